#include "policy/reason.h"

#define BAD       "invalid_request_error"
#define AUTH      "authentication_error"
#define DENY      "permission_error"
#define MISSING   "not_found_error"
#define TOO_LARGE "request_too_large"
#define BROKER    "api_error"
#define BUSY      "overloaded_error"
#define RATE      "rate_limit_error"

#define REFUSED(s, c, t, x)                                                                    \
	{                                                                                      \
		.code = (c), .type = (t), .text = (x), .status = (s), .lasting = true,         \
		.decision = DECISION_DENIED                                                    \
	}
#define LIMITED(c, x)                                                                          \
	{                                                                                      \
		.code = (c), .type = RATE, .text = (x), .status = 429, .retry_after_s = 1,     \
		.decision = DECISION_LIMITED                                                   \
	}
#define LOCKED(c, x)                                                                           \
	{                                                                                      \
		.code = (c), .type = DENY, .text = (x), .status = 423, .lasting = true,        \
		.decision = DECISION_LOCKED                                                    \
	}
#define FAILED(s, c, t, wait, x)                                                               \
	{                                                                                      \
		.code = (c), .type = (t), .text = (x), .status = (s), .retry_after_s = (wait), \
		.decision = DECISION_FAILED                                                    \
	}

static const struct reason_info infos[REASON_COUNT] = {
    [REASON_OK] = {.code = "ok",
                   .type = "ok",
                   .text = "The request was allowed.",
                   .decision = DECISION_ALLOWED},
    [REASON_BAD_REQUEST] = REFUSED(400, "bad_request", BAD,
                                   "The request is not well-formed HTTP/1.1; correct the head "
                                   "of the request and send it again."),
    [REASON_AMBIGUOUS_PATH] = REFUSED(400, "ambiguous_path", BAD,
                                      "The path could be read in two ways; send it without "
                                      "encoded slashes or dots, dot segments, "
                                      "backslashes and empty segments."),
    [REASON_INVALID_KEY] = REFUSED(
        401, "invalid_api_key", AUTH,
        "No valid relay key was presented; ask whoever runs this broker for a new one."),
    [REASON_METHOD_DENIED] = REFUSED(
        403, "method_not_allowed", DENY,
        "This relay key may not use this method here; ask for a grant that includes it."),
    [REASON_PATH_DENIED] =
        REFUSED(403, "path_not_allowed", DENY,
                "This relay key may not use this path; ask for a grant that includes it."),
    [REASON_QUERY_DENIED] =
        REFUSED(403, "query_param_not_allowed", DENY,
                "A query parameter of this request is denied to this relay key; leave it out."),
    [REASON_IP_DENIED] = REFUSED(
        403, "ip_not_allowed", DENY,
        "This relay key may not be used from this address; call from an allowed network."),
    [REASON_CONN_NOT_GRANTED] = REFUSED(
        403, "connection_not_granted", DENY,
        "This relay key has no grant on this connection; ask for one or use another key."),
    [REASON_CONN_DISABLED] = REFUSED(
        403, "connection_disabled", DENY,
        "This connection has been disabled; ask whoever runs this broker to enable it."),
    [REASON_NO_CONN] = REFUSED(
        404, "connection_not_found", MISSING,
        "There is no such connection; put the connection's id or name first in the path."),
    [REASON_BODY_TOO_LARGE] =
        REFUSED(413, "body_too_large", TOO_LARGE,
                "The body is larger than this broker accepts; send less at once."),
    [REASON_EXPECTATION] =
        REFUSED(417, "expectation_failed", BAD,
                "The only supported Expect value is 100-continue; leave the header out."),
    [REASON_HEAD_TOO_LARGE] = REFUSED(
        431, "head_too_large", BAD,
        "The request line and headers are too large or too many; send fewer or shorter ones."),
    [REASON_UPSTREAM_FAILED] =
        FAILED(502, "upstream_unreachable", BROKER, 0,
               "The upstream could not be reached or gave no usable answer; try again later."),
    [REASON_UPSTREAM_REFUSED] = FAILED(502, "upstream_refused", BROKER, 0,
                                       "The broker refused the upstream's address or "
                                       "certificate; ask whoever runs this broker to "
                                       "check the connection."),
    [REASON_UPSTREAM_TIMEOUT] = FAILED(504, "upstream_timeout", BROKER, 0,
                                       "The upstream did not answer in time; try again later."),
    [REASON_SEALED] =
        FAILED(503, "sealed", BROKER, 5,
               "The broker is sealed until its token is available; try again later."),
    [REASON_AUDIT_UNAVAILABLE] = FAILED(503, "audit_unavailable", BROKER, 5,
                                        "The broker cannot write its audit log and forwards "
                                        "nothing without it; try again later."),
    [REASON_OVERLOADED] =
        FAILED(503, "overloaded", BUSY, 1,
               "The broker has too many requests in hand; try again in a moment."),
    [REASON_CLIENT_TIMEOUT] = FAILED(408, "request_timeout", BAD, 0,
                                     "The request did not arrive in time; send it again."),
    [REASON_UPGRADE_DENIED] =
        REFUSED(501, "upgrade_not_supported", BAD,
                "This broker does not tunnel the requested upgrade; use plain HTTP/1.1."),
    [REASON_TRAFFIC_STOPPED] =
        REFUSED(403, "traffic_stopped", DENY,
                "All traffic through this broker has been stopped; ask whoever runs it."),
    [REASON_RATE_LIMITED] =
        LIMITED("rate_limited", "This relay key has used up its requests for now; send "
                                "the next one after the time in Retry-After."),
    [REASON_CONCURRENCY_LIMITED] =
        LIMITED("concurrency_limited", "This relay key has as many requests open as it may; "
                                       "send this one again when another has ended."),
    [REASON_IP_UNCONFIRMED] =
        LOCKED("ip_not_confirmed",
               "This relay key is used from a new address, which has to be confirmed first: "
               "with the link in the mail to the key's holder, or by an administrator."),
};

const struct reason_info *reason_info(unsigned reason)
{
	return &infos[reason < REASON_COUNT ? reason : REASON_BAD_REQUEST];
}

const char *decision_name(unsigned decision)
{
	static const char *const names[] = {
	    [DECISION_ALLOWED] = "allowed", [DECISION_DENIED] = "denied",
	    [DECISION_LOCKED] = "locked",   [DECISION_LIMITED] = "limited",
	    [DECISION_FAILED] = "failed",
	};

	return decision < sizeof names / sizeof names[0] ? names[decision] : "unknown";
}

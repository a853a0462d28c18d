/*
 * Why a request was allowed or refused: one table gives each reason its stable
 * code, HTTP status, error type and text. Codes never change once released.
 */
#ifndef POLICY_REASON_H
#define POLICY_REASON_H

#include "base/slice.h"

enum decision {
	DECISION_ALLOWED,
	DECISION_DENIED,
	DECISION_LOCKED,
	DECISION_LIMITED,
	DECISION_FAILED
};

enum reason {
	REASON_OK,
	REASON_BAD_REQUEST,    /* 400: head does not parse; detail names the rule */
	REASON_AMBIGUOUS_PATH, /* 400 */
	REASON_INVALID_KEY, /* 401: none, unknown, expired, revoked, two different: one constant
	                       text */
	REASON_METHOD_DENIED,     /* 403 */
	REASON_PATH_DENIED,       /* 403 */
	REASON_QUERY_DENIED,      /* 403 */
	REASON_IP_DENIED,         /* 403 */
	REASON_CONN_NOT_GRANTED,  /* 403 */
	REASON_CONN_DISABLED,     /* 403 */
	REASON_NO_CONN,           /* 404 */
	REASON_BODY_TOO_LARGE,    /* 413 */
	REASON_EXPECTATION,       /* 417 */
	REASON_HEAD_TOO_LARGE,    /* 431 */
	REASON_UPSTREAM_FAILED,   /* 502 */
	REASON_UPSTREAM_REFUSED,  /* 502: address class not allowed, certificate not valid */
	REASON_UPSTREAM_TIMEOUT,  /* 504 */
	REASON_SEALED,            /* 503: no token session */
	REASON_AUDIT_UNAVAILABLE, /* 503: the audit row could not be made durable */
	REASON_OVERLOADED,        /* 503 */
	REASON_CLIENT_TIMEOUT,    /* 408 */
	REASON_UPGRADE_DENIED,    /* 501: an upgrade this proxy does not tunnel */
	/* 429: per minute or per day; at once */
	REASON_RATE_LIMITED,
	REASON_CONCURRENCY_LIMITED,
	REASON_IP_UNCONFIRMED,  /* 423: an address that its holder was not trusted at yet */
	REASON_TRAFFIC_STOPPED, /* 403: the panic switch */
	REASON_COUNT
};

struct reason_info {
	const char *code;      /* "path_not_allowed" */
	const char *type;      /* "permission_error": error.type of the body */
	const char *text;      /* one sentence for the developer who reads the body */
	uint16_t status;       /* 0 for REASON_OK */
	bool lasting;          /* x-should-retry: false */
	uint8_t retry_after_s; /* unless it is known better; 0: no Retry-After */
	enum decision decision;
};

/* Static storage; an out-of-range value gives the entry of REASON_BAD_REQUEST. */
const struct reason_info *reason_info(unsigned reason);

const char *decision_name(unsigned decision);

#endif

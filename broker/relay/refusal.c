#include "relay/refusal.h"

#include <stdio.h>

#include "base/err.h"
#include "relay/limits.h"
#include "relay/rewrite.h"

static const char *connection_line(const struct refusal *r)
{
	if (r->close)
		return "Connection: close\r\n";
	return r->keep_alive ? "Connection: keep-alive\r\n" : "";
}

ssize_t refusal_write(const struct refusal *r, char *dst, size_t cap)
{
	const struct reason_info *info = reason_info(r->reason);
	char body[1024], limits[LIMITS_TEXT], retry[40] = "";
	unsigned retry_s = info->retry_after_s;
	int body_n, n;

	/* every text in it is the broker's own and needs no escaping */
	body_n = snprintf(body, sizeof body,
	                  "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"code\":\"%s\","
	                  "\"message\":\"%s%s%s%s\",\"param\":null,\"request_id\":\"%s\","
	                  "\"help_url\":\"urn:relaykey:reason:%s\"}}\n",
	                  info->type, info->code, info->text, r->detail ? " (" : "",
	                  r->detail ? r->detail : "", r->detail ? ")" : "", r->request_id,
	                  info->code);
	if (body_n < 0 || (size_t)body_n >= sizeof body)
		return RK_E_TOOBIG;
	/* of a 502: how long the upstream is left alone */
	if ((info->status == 429 || info->status == 502) && r->limits &&
	    r->limits->retry_after_s)
		retry_s = r->limits->retry_after_s;
	if (retry_s)
		snprintf(retry, sizeof retry, "Retry-After: %u\r\n", retry_s);
	/* a 401 tells of no key */
	limits_text(info->status == 401 ? NULL : r->limits, limits);
	n = snprintf(
	    dst, cap,
	    "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
	    "Cache-Control: no-store\r\nx-relaykey-request-id: %s\r\n"
	    "x-relaykey-decision: %s\r\nx-relaykey-block-reason: %s\r\n%s%s%s%s%s\r\n%s",
	    info->status, rewrite_phrase(info->status), body_n, r->request_id,
	    decision_name(info->decision), info->code,
	    info->lasting ? "x-should-retry: false\r\n" : "", retry, limits,
	    info->status == 401
	        ? "WWW-Authenticate: Basic realm=\"relaykey\"\r\nWWW-Authenticate: Bearer\r\n"
	        : "",
	    connection_line(r), r->head ? "" : body);
	return n < 0 || (size_t)n >= cap ? RK_E_TOOBIG : n;
}

ssize_t refusal_write_health(const char *status, const struct refusal *r, char *dst, size_t cap)
{
	bool ok = rk_slice_is(rk_str(status), "ok");
	char body[64];
	int body_n = snprintf(body, sizeof body, "{\"status\":\"%s\"}\n", status);
	int n =
	    snprintf(dst, cap,
	             "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
	             "Cache-Control: no-store\r\n%s%s\r\n%s",
	             ok ? "200 OK" : "503 Service Unavailable", body_n,
	             ok ? "" : "Retry-After: 5\r\n", connection_line(r), r->head ? "" : body);

	return n < 0 || (size_t)n >= cap ? RK_E_TOOBIG : n;
}

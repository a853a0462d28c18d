#include "console/reply.h"

#include <stdio.h>
#include <time.h>

const char *reply_phrase(int status)
{
	static const struct {
		int status;
		const char *phrase;
	} table[] = {
	    {200, "OK"},
	    {201, "Created"},
	    {202, "Accepted"},
	    {204, "No Content"},
	    {303, "See Other"},
	    {400, "Bad Request"},
	    {401, "Unauthorized"},
	    {403, "Forbidden"},
	    {404, "Not Found"},
	    {405, "Method Not Allowed"},
	    {406, "Not Acceptable"},
	    {408, "Request Timeout"},
	    {409, "Conflict"},
	    {410, "Gone"},
	    {411, "Length Required"},
	    {412, "Precondition Failed"},
	    {413, "Content Too Large"},
	    {415, "Unsupported Media Type"},
	    {417, "Expectation Failed"},
	    {422, "Unprocessable Content"},
	    {429, "Too Many Requests"},
	    {431, "Request Header Fields Too Large"},
	    {500, "Internal Server Error"},
	    {503, "Service Unavailable"},
	    {505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (table[i].status == status)
			return table[i].phrase;
	}
	return "Error";
}

struct reply reply_health(int status, const char *what, char *body, size_t cap)
{
	snprintf(body, cap, "{\"status\":\"%s\"}\n", what);
	return (struct reply){.status = status,
	                      .type = "application/json",
	                      .body = rk_str(body),
	                      .headers = status == 200 ? NULL : "Retry-After: 5\r\n"};
}

struct reply reply_problem(int status, const char *code, const char *detail, char *body,
                           size_t cap)
{
	snprintf(body, cap,
	         "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"code\":\"%s\","
	         "\"detail\":\"%s\"}\n",
	         reply_phrase(status), status, code, detail);
	return (struct reply){.status = status,
	                      .type = "application/problem+json",
	                      .body = rk_str(body),
	                      .headers = status == 503 ? "Retry-After: 5\r\n" : NULL};
}

/* IMF-fixdate, RFC 9110 section 5.6.7. Written out: strftime() would follow the locale. */
static void http_date(int64_t wall_ms, char out[40])
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm = {0};

	gmtime_r(&t, &tm);
	snprintf(out, 40, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday,
	         tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
	         tm.tm_sec);
}

static size_t body_length(const struct reply *r)
{
	size_t n = r->body.n;

	for (unsigned i = 0; i < REPLY_VAULT; i++)
		n += r->vault[i].len;
	return n;
}

static int add_framing(const struct reply *r, const struct reply_terms *t, struct rk_buf *out)
{
	if (r->status == 204)
		return 0;
	switch (t->framing) {
	case REPLY_LENGTH:
		return rk_buf_printf(out, "Content-Length: %zu\r\n", body_length(r));
	case REPLY_CHUNKED:
		return rk_buf_printf(out, "Transfer-Encoding: chunked\r\n");
	case REPLY_UNTIL_CLOSE:
		break;
	}
	return 0;
}

int reply_render(const struct reply *r, const struct reply_terms *t, struct rk_buf *out)
{
	char date[40];
	int err;

	http_date(t->wall_ms, date);
	err = rk_buf_printf(out,
	                    "HTTP/1.1 %d %s\r\n"
	                    "Date: %s\r\n"
	                    "X-Request-Id: %s\r\n"
	                    "Cache-Control: no-store\r\n"
	                    "X-Content-Type-Options: nosniff\r\n"
	                    "X-Frame-Options: DENY\r\n"
	                    "Referrer-Policy: no-referrer\r\n"
	                    "Cross-Origin-Resource-Policy: same-origin\r\n"
	                    "Strict-Transport-Security: max-age=31536000\r\n"
	                    "Content-Security-Policy: %s\r\n",
	                    r->status, reply_phrase(r->status), date, t->request_id,
	                    r->csp ? r->csp : "default-src 'none'; frame-ancestors 'none'");
	if (!err && r->type)
		err = rk_buf_printf(out, "Content-Type: %s\r\n", r->type);
	if (!err)
		err = add_framing(r, t, out);
	if (!err)
		err = rk_buf_printf(out, "%s%s\r\n", r->headers ? r->headers : "",
		                    t->close ? "Connection: close\r\n" : "");
	return err || t->without_body ? err : rk_buf_add_slice(out, r->body);
}

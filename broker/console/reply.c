#include "console/reply.h"

#include <stdio.h>
#include <time.h>

static const char *reason_phrase(int status)
{
	static const struct {
		int status;
		const char *phrase;
	} table[] = {
	    {200, "OK"},
	    {400, "Bad Request"},
	    {404, "Not Found"},
	    {405, "Method Not Allowed"},
	    {417, "Expectation Failed"},
	    {431, "Request Header Fields Too Large"},
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
	                      .body = body,
	                      .header = status == 200 ? NULL : "Retry-After: 5\r\n"};
}

struct reply reply_problem(int status, const char *code, const char *detail, char *body,
                           size_t cap)
{
	snprintf(body, cap,
	         "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"code\":\"%s\","
	         "\"detail\":\"%s\"}\n",
	         reason_phrase(status), status, code, detail);
	return (struct reply){.status = status,
	                      .type = "application/problem+json",
	                      .body = body,
	                      .header = status == 405 ? "Allow: GET, HEAD\r\n" : NULL};
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

int reply_render(const struct reply *r, bool without_body, bool close, int64_t wall_ms,
                 struct rk_buf *out)
{
	char date[40];

	http_date(wall_ms, date);
	return rk_buf_printf(out,
	                     "HTTP/1.1 %d %s\r\n"
	                     "Date: %s\r\n"
	                     "Content-Type: %s\r\n"
	                     "Content-Length: %zu\r\n"
	                     "Cache-Control: no-store\r\n"
	                     "X-Content-Type-Options: nosniff\r\n"
	                     "Content-Security-Policy: default-src 'none'\r\n"
	                     "%s%s\r\n%s",
	                     r->status, reason_phrase(r->status), date, r->type,
	                     strlen(r->body), r->header ? r->header : "",
	                     close ? "Connection: close\r\n" : "", without_body ? "" : r->body);
}

#include "base/log.h"

#include "base/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { LOG_LINE_MAX = 1024, LOG_ROLE_MAX = 32 };

/* The name is written once by log_init, before threads. */
static struct {
	char role[LOG_ROLE_MAX];
	_Atomic enum log_level lowest;
} logger = {.role = "-", .lowest = LOG_LEVEL_INFO};

struct line {
	char text[LOG_LINE_MAX];
	size_t n;
};

void log_init(const char *role, enum log_level lowest)
{
	snprintf(logger.role, sizeof logger.role, "%s", role);
	logger.lowest = lowest;
}

void log_set_level(enum log_level lowest)
{
	logger.lowest = lowest;
}

static void put(struct line *l, const char *p, size_t n)
{
	/* the last byte belongs to the newline */
	size_t room = sizeof l->text - 1 - l->n;

	if (n > room)
		n = room;
	memcpy(l->text + l->n, p, n);
	l->n += n;
}

static bool needs_quotes(struct rk_slice v)
{
	for (size_t i = 0; i < v.n; i++) {
		unsigned char c = (unsigned char)v.p[i];

		if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\')
			return true;
	}
	return v.n == 0;
}

/* One byte as it stands between quotes; returns its length, at most 4. */
static size_t escape(unsigned char c, char out[5])
{
	switch (c) {
	case '\n':
		return (size_t)snprintf(out, 5, "\\n");
	case '\r':
		return (size_t)snprintf(out, 5, "\\r");
	case '\t':
		return (size_t)snprintf(out, 5, "\\t");
	case '"':
	case '\\':
		return (size_t)snprintf(out, 5, "\\%c", c);
	default:
		if (c < ' ' || c >= 0x7f)
			return (size_t)snprintf(out, 5, "\\x%02x", c);
		out[0] = (char)c;
		return 1;
	}
}

static void put_value(struct line *l, struct rk_slice v)
{
	static const char cut[] = "...\"";
	const size_t last = sizeof l->text - 1 - (sizeof cut - 1);
	char esc[5];

	if (!needs_quotes(v) && l->n + v.n <= last) {
		put(l, v.p, v.n);
		return;
	}
	put(l, "\"", 1);
	for (size_t i = 0; i < v.n; i++) {
		size_t n = escape((unsigned char)v.p[i], esc);

		if (l->n + n > last) {
			put(l, cut, sizeof cut - 1);
			return;
		}
		put(l, esc, n);
	}
	put(l, "\"", 1);
}

static void put_pair(struct line *l, const char *key, struct rk_slice value)
{
	if (l->n)
		put(l, " ", 1);
	put(l, key, strlen(key));
	put(l, "=", 1);
	put_value(l, value);
}

static const char *level_name(enum log_level level)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};

	return (unsigned)level < sizeof names / sizeof names[0] ? names[level] : "error";
}

void log_event(enum log_level level, const char *event, const char *key, const char *fmt, ...)
{
	int saved = errno;
	struct line l = {.n = 0};
	char ts[RK_TIME_TEXT];
	char value[LOG_LINE_MAX];

	if (level < logger.lowest)
		return;
	rk_time_format(rk_wall_ms(), ts);
	put_pair(&l, "ts", rk_str(ts));
	put_pair(&l, "level", rk_str(level_name(level)));
	put_pair(&l, "role", rk_str(logger.role));
	put_pair(&l, "event", rk_str(event));
	if (key) {
		va_list ap;
		int n;

		va_start(ap, fmt);
		n = vsnprintf(value, sizeof value, fmt, ap);
		va_end(ap);
		if (n < 0)
			n = 0;
		if ((size_t)n >= sizeof value)
			n = sizeof value - 1;
		put_pair(&l, key, rk_slice(value, (size_t)n));
	}
	l.text[l.n++] = '\n';
	/* one write a line: lines of several processes never mix; a short write is not
	 * continued */
	while (write(STDERR_FILENO, l.text, l.n) < 0 && errno == EINTR)
		continue;
	errno = saved;
}

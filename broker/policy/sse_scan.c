#include "policy/sse_scan.h"

#include <string.h>

enum state {
	ST_MARK,  /* a byte order mark may begin the stream */
	ST_START, /* of a line */
	ST_NAME,  /* so far it is the beginning of "data" */
	ST_SPACE, /* behind "data:" one space is not data */
	ST_DATA,
	ST_SKIP, /* a line that says nothing to us */
};

static const char mark[] = "\xef\xbb\xbf";
static const char name[] = "data";

static bool ends_line(char c)
{
	return c == '\n' || c == '\r';
}

static void begin_data(struct sse_scan *s)
{
	if (s->has_data)
		s->ops->data(rk_str("\n"), s->arg);
	s->has_data = true;
	s->state = ST_SPACE;
}

static void end_line(struct sse_scan *s, char c)
{
	bool blank = s->state == ST_START;

	s->after_cr = c == '\r';
	/* "data" without a colon is a data line, an empty one */
	if (s->state == ST_NAME && s->at == sizeof name - 1)
		begin_data(s);
	s->state = ST_START;
	if (blank && s->has_data) {
		s->has_data = false;
		s->ops->event(s->arg);
	}
}

static void step_name(struct sse_scan *s, char c)
{
	if (s->at < sizeof name - 1 && c == name[s->at])
		s->at++;
	else if (s->at == sizeof name - 1 && c == ':')
		begin_data(s);
	else
		s->state = ST_SKIP;
}

static void step(struct sse_scan *s, char c)
{
	if (s->state == ST_MARK) {
		if (c == mark[s->at]) {
			if (++s->at == sizeof mark - 1)
				s->state = ST_START;
			return;
		}
		/* half a mark is the name of a field that nobody knows */
		s->state = s->at ? ST_SKIP : ST_START;
	}
	if (ends_line(c)) {
		end_line(s, c);
		return;
	}
	if (s->state == ST_START) {
		s->at = 0;
		s->state = ST_NAME;
	}
	if (s->state == ST_NAME)
		step_name(s, c);
}

/* The run of bytes up to the line's end goes on in one piece. */
static size_t pass_data(struct sse_scan *s, struct rk_slice left)
{
	size_t n = 0;

	if (s->state == ST_SPACE && !ends_line(left.p[0])) {
		s->state = ST_DATA;
		if (left.p[0] == ' ')
			return 1;
	}
	if (s->state != ST_DATA)
		return 0;
	while (n < left.n && !ends_line(left.p[n]))
		n++;
	if (n)
		s->ops->data(rk_slice(left.p, n), s->arg);
	return n;
}

void sse_scan_init(struct sse_scan *s, const struct sse_scan_ops *ops, void *arg)
{
	*s = (struct sse_scan){.ops = ops, .arg = arg, .state = ST_MARK};
}

void sse_scan_feed(struct sse_scan *s, struct rk_slice piece)
{
	while (piece.n) {
		size_t n;

		if (s->after_cr) {
			s->after_cr = false;
			if (piece.p[0] == '\n') {
				piece = rk_slice_skip(piece, 1);
				continue;
			}
		}
		n = pass_data(s, piece);
		if (!n) {
			step(s, piece.p[0]);
			n = 1;
		}
		piece = rk_slice_skip(piece, n);
	}
}

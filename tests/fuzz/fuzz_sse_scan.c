/*
 * Event streams in pieces. The first byte says how large these are. Pieces of any size give the
 * same data and events, and the same as a reader that has the whole stream and goes line by
 * line.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "policy/sse_scan.h"

enum { OUT_BYTES = 1 << 16 };

struct out {
	size_t n;
	char bytes[OUT_BYTES]; /* an event ends with NUL and 1 */
};

static void put(struct out *o, const char *p, size_t n)
{
	REQUIRE(o->n + n <= sizeof o->bytes);
	memcpy(o->bytes + o->n, p, n);
	o->n += n;
}

static void data(struct rk_slice piece, void *arg)
{
	put(arg, piece.p, piece.n);
}

static void event(void *arg)
{
	put(arg, "\0\1", 2);
}

static const struct sse_scan_ops ops = {.data = data, .event = event};

static void scan(struct rk_slice text, size_t piece, struct out *out)
{
	struct sse_scan s;

	out->n = 0;
	sse_scan_init(&s, &ops, out);
	while (text.n) {
		size_t n = text.n < piece ? text.n : piece;

		sse_scan_feed(&s, rk_slice(text.p, n));
		text = rk_slice_skip(text, n);
	}
}

/* One line without its end; what is behind the last line end is none. */
static bool next_line(struct rk_slice *text, struct rk_slice *line)
{
	size_t n = 0;

	while (n < text->n && text->p[n] != '\n' && text->p[n] != '\r')
		n++;
	if (n == text->n)
		return false;
	*line = rk_slice(text->p, n);
	if (text->p[n] == '\r' && n + 1 < text->n && text->p[n + 1] == '\n')
		n++;
	*text = rk_slice_skip(*text, n + 1);
	return true;
}

static void reference(struct rk_slice text, struct out *out)
{
	struct rk_slice line;
	bool has_data = false;

	out->n = 0;
	if (rk_slice_starts(text, rk_str("\xef\xbb\xbf")))
		text = rk_slice_skip(text, 3);
	while (next_line(&text, &line)) {
		if (line.n == 0) {
			if (has_data)
				put(out, "\0\1", 2);
			has_data = false;
		} else if (rk_slice_starts(line, rk_str("data:")) ||
		           rk_slice_is(line, "data")) {
			if (has_data)
				put(out, "\n", 1);
			has_data = true;
			line = rk_slice_skip(line, line.n > 4 ? 5 : 4);
			if (line.n && line.p[0] == ' ')
				line = rk_slice_skip(line, 1);
			if (line.n)
				put(out, line.p, line.n);
		}
	}
}

/* Up to the end of the last event: the reference does not see an unfinished line. */
static size_t events_end(const struct out *o)
{
	size_t n = o->n;

	while (n >= 2 && memcmp(o->bytes + n - 2, "\0\1", 2) != 0)
		n--;
	return n < 2 ? 0 : n;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct out whole, pieces, want;
	struct rk_slice text;

	if (size == 0 || size > OUT_BYTES / 2)
		return 0;
	text = rk_slice(bytes + 1, size - 1);
	if (memchr(text.p, 0, text.n)) /* it marks the events here */
		return 0;
	scan(text, SIZE_MAX, &whole);
	scan(text, 1 + bytes[0] % 7, &pieces);
	REQUIRE(whole.n == pieces.n && memcmp(whole.bytes, pieces.bytes, whole.n) == 0);
	reference(text, &want);
	REQUIRE(events_end(&whole) == events_end(&want));
	REQUIRE(memcmp(whole.bytes, want.bytes, events_end(&want)) == 0);
	return 0;
}

#include "relay/flow.h"

#include <stdio.h>

enum {
	FRAME_FRONT = 8, /* "3ff0" CR LF, with room to spare */
	FRAME_BACK = 8,  /* CR LF "0" CR LF CR LF less one */
	RECORD = 16384,  /* of TLS: one write, one record */
	RUNS_A_TURN = 8, /* then others get their turn */
	CHUNK_MAX = RECORD - FRAME_FRONT - FRAME_BACK,
};

void flow_start(struct flow *f, enum h1_body kind, uint64_t length, bool rechunk)
{
	f->kind = (uint8_t)kind;
	f->left = kind == H1_BODY_LENGTH ? length : 0;
	f->rechunk = rechunk;
	f->ended = kind == H1_BODY_NONE || (kind == H1_BODY_LENGTH && length == 0);
	f->bytes = 0;
	h1_chunked_init(&f->chunked);
}

/* Counts n body bytes as taken. */
static void took(struct flow *f, size_t n)
{
	f->bytes += n;
	if (f->kind != H1_BODY_LENGTH)
		return;
	f->left -= n;
	f->ended = f->left == 0;
}

size_t flow_take_early(struct flow *f, void *dst, size_t cap)
{
	size_t n = f->in->len;

	if (f->kind != H1_BODY_LENGTH || f->ended)
		return 0;
	if (n > f->left)
		n = (size_t)f->left;
	if (n > cap)
		n = cap;
	if (n == 0)
		return 0;
	memcpy(dst, f->in->mem + f->in->off, n);
	span_consume(f->in, n);
	took(f, n);
	return n;
}

/* Decodes chunks out of `in` into dst. Bytes written, or < 0 (enum h1_err). */
static ssize_t decode(struct flow *f, char *dst, size_t room)
{
	size_t put = 0;

	while (f->in->len && !f->chunked.done && put < room) {
		struct rk_slice in = span_slice(f->in), data;
		int used;

		if (in.n > room - put)
			in.n = room - put;
		used = h1_chunked_next(&f->chunked, in, &data);
		if (used < 0)
			return used;
		if (data.n)
			memcpy(dst + put, data.p, data.n);
		put += data.n;
		span_consume(f->in, (size_t)used);
		if (used == 0)
			break;
	}
	f->ended = f->chunked.done;
	return (ssize_t)put;
}

/* Reads from the source: all that OpenSSL holds, up to room. RK_E_* when nothing came. */
static ssize_t pull(struct flow *f, char *dst, size_t room)
{
	size_t got = 0;

	do {
		ssize_t n = tls_read(f->from, dst + got, room - got);

		if (n < 0)
			return got ? (ssize_t)got : n;
		got += (size_t)n;
	} while (got < room && tls_pending(f->from));
	f->moved = true;
	return (ssize_t)got;
}

/* Up to `room` body bytes into dst: from what was read, else from the source. */
static ssize_t gather(struct flow *f, char *dst, size_t room, int *h1_err)
{
	ssize_t n;

	if (f->kind == H1_BODY_CHUNKED) {
		if (f->in->len == 0) {
			if (!span_hold(f->blocks, f->in))
				return RK_E_NOMEM;
			n = pull(f, f->in->mem, BLOCK_BYTES);
			if (n < 0)
				return n;
			f->in->off = 0;
			f->in->len = (size_t)n;
		}
		n = decode(f, dst, room);
		if (n < 0) {
			*h1_err = (int)n;
			return RK_E_PROTOCOL;
		}
		f->bytes += (uint64_t)n;
		return n;
	}
	if (f->kind == H1_BODY_LENGTH && room > f->left)
		room = (size_t)f->left;
	if (f->in->len) {
		n = (ssize_t)(f->in->len < room ? f->in->len : room);
		memcpy(dst, f->in->mem + f->in->off, (size_t)n);
		span_consume(f->in, (size_t)n);
	} else {
		n = pull(f, dst, room);
	}
	if (n == RK_E_CLOSED && f->kind == H1_BODY_CLOSE) {
		f->ended = true;
		return 0;
	}
	if (n > 0)
		took(f, (size_t)n);
	return n;
}

/* The same, masked; what is held back of them comes with the next ones. */
static ssize_t gather_masked(struct flow *f, char *dst, size_t room, int *h1_err)
{
	size_t held = echo_room(f->echo);
	ssize_t n = gather(f, dst + held, room - held, h1_err);

	if (!f->echo)
		return n;
	if (n < 0) {
		if (n == RK_E_PROTOCOL)
			rk_wipe(dst, room); /* chunks before the bad one */
		return n;
	}
	/* extensions and trailers went nowhere, and nobody has looked at them */
	if (f->chunked.dropped)
		span_wipe_rest(f->in);
	return n || f->ended ? echo_body(f->echo, dst, (size_t)n, f->ended, f->in) : 0;
}

/* Puts the chunk's frame around n bytes that stand at `at`; behind what `out` holds already. */
static void frame(struct flow *f, char *at, size_t n)
{
	static const char last[] = "0\r\n\r\n";
	struct span *out = f->out;
	char head[FRAME_FRONT + 1] = "";
	size_t head_n = 0;
	char *end = at + n;

	if (f->rechunk && n)
		head_n = (size_t)snprintf(head, sizeof head, "%zx\r\n", n);
	if (out->len) {
		/* the gap that was left for the size is too wide: close it */
		char *to = span_end(out) + head_n;

		memmove(to, at, n);
		end = to + n;
		at = to;
	} else {
		out->off = (size_t)(at - head_n - out->mem);
	}
	memcpy(at - head_n, head, head_n);
	if (f->rechunk && n) {
		memcpy(end, "\r\n", 2);
		end += 2;
	}
	if (f->rechunk && f->ended) {
		memcpy(end, last, sizeof last - 1);
		end += sizeof last - 1;
	}
	out->len = (size_t)(end - out->mem) - out->off;
}

/* Fills `out`. 0, or RK_E_*. */
static int refill(struct flow *f, int *h1_err)
{
	struct span *out = f->out;
	size_t room;
	char *at;
	ssize_t n;

	if (!span_hold(f->blocks, out))
		return RK_E_NOMEM;
	room = span_room(out);
	if (room < FRAME_FRONT + FRAME_BACK + 64 + echo_room(f->echo))
		return 0; /* a very long head: it is written first */
	at = span_end(out) + FRAME_FRONT;
	room -= FRAME_FRONT + FRAME_BACK;
	if (!f->rechunk && room > RECORD)
		room = RECORD;
	if (f->rechunk && room > CHUNK_MAX)
		room = CHUNK_MAX;
	n = gather_masked(f, at, room, h1_err);
	if (n < 0)
		return (int)n;
	if (n || f->ended)
		frame(f, at, (size_t)n);
	return 0;
}

/* Writes `out`. 0 when it is empty, or RK_E_*. */
static int flush(struct flow *f)
{
	struct span *out = f->out;

	while (out->len) {
		ssize_t n = tls_write(f->to, out->mem + out->off, out->len);

		if (n < 0)
			return (int)n;
		f->moved = true;
		span_consume(out, (size_t)n);
	}
	return 0;
}

static void release_empty(struct flow *f)
{
	if (f->in->len == 0)
		span_release(f->blocks, f->in);
	if (f->out->len == 0)
		span_release(f->blocks, f->out);
}

static enum flow_result result_of_source(int err)
{
	switch (err) {
	case RK_E_AGAIN:
		return FLOW_WAIT_READ;
	case RK_E_PROTOCOL:
		return FLOW_SOURCE_BAD;
	case RK_E_NOMEM:
		return FLOW_NO_MEMORY;
	default:
		return FLOW_SOURCE_GONE;
	}
}

enum flow_result flow_run(struct flow *f, int *h1_err)
{
	enum flow_result result = FLOW_WAIT_READ;
	bool behind_head =
	    f->out->len > 0; /* body that is here already joins the head's record */

	for (unsigned run = 0; run < RUNS_A_TURN; run++) {
		int err = 0;

		if (!f->ended && (!behind_head || f->in->len)) {
			err = refill(f, h1_err);
			if (err && (err != RK_E_AGAIN || !f->out->len)) {
				result = result_of_source(err);
				break;
			}
		}
		behind_head = false;
		err = flush(f);
		if (err) {
			result = err == RK_E_AGAIN ? FLOW_WAIT_WRITE : FLOW_SINK_GONE;
			break;
		}
		if (f->ended) {
			result = FLOW_DONE;
			break;
		}
		/* the source is empty as far as is known: asking again costs a system call for
		 * nothing */
		if (f->in->len == 0 && !tls_pending(f->from))
			break;
	}
	release_empty(f);
	return result;
}

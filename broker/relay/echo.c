#include "relay/echo.h"

int echo_start(struct echo *e, struct rk_slice prints)
{
	echo_end(e);
	return mask_init(&e->mask, prints);
}

void echo_frames(struct echo *e)
{
	e->framed = true;
	e->frames = (struct websocket_frames){0};
}

void echo_end(struct echo *e)
{
	rk_secret_free(&e->held);
	e->mask.covered = 0;
	e->head_n = 0;
}

void echo_head(struct echo *e, struct span *in, size_t n, bool whole)
{
	char *at = in->mem + in->off + e->head_n;

	e->head_n += mask_scan(&e->mask, at, n - e->head_n, whole);
	if (whole)
		e->head_n = 0;
}

static int hold(struct echo *e, const char *p, size_t n)
{
	int err = rk_secret_alloc(&e->held, n);

	return err ? err : rk_secret_add(&e->held, p, n);
}

ssize_t echo_body(struct echo *e, char *at, size_t n, bool last, struct span *source)
{
	bool found = e->mask.found;
	size_t pass;

	if (e->framed)
		last |= websocket_frames_pass(&e->frames, rk_slice(at + e->held.len, n));
	if (e->held.len) {
		memcpy(at, e->held.p, e->held.len);
		n += e->held.len;
		rk_secret_free(&e->held);
	}
	e->mask.found = false;
	pass = mask_scan(&e->mask, at, n, last);
	if (e->mask.found || pass < n)
		span_wipe_rest(source);
	e->mask.found |= found;
	if (pass < n) {
		int err = hold(e, at + pass, n - pass);

		rk_wipe(at + pass, n - pass);
		if (err)
			return err;
	}
	return (ssize_t)pass;
}

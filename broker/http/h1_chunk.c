#include "http/h1_bytes.h"

enum chunk_state {
	ST_SIZE,       /* hexadecimal digits */
	ST_EXT,        /* behind the first ';' */
	ST_EXT_QUOTED, /* between double quotes */
	ST_EXT_ESCAPE, /* behind a backslash between quotes */
	ST_SIZE_LF,
	ST_DATA,
	ST_DATA_CR,
	ST_DATA_LF,
	ST_TRAILER, /* first byte of a trailer line, or of the empty one */
	ST_TRAILER_NAME,
	ST_TRAILER_VALUE,
	ST_TRAILER_LF,
	ST_END_LF,
	ST_DONE,
};

void h1_chunked_init(struct h1_chunked *c)
{
	*c = (struct h1_chunked){.state = ST_SIZE};
}

static int step_size(struct h1_chunked *c, char b)
{
	int digit = h1_hex(b);

	if (digit >= 0) {
		if (++c->digits > 16)
			return H1_E_CHUNK;
		c->left = c->left << 4 | (unsigned)digit;
		return 0;
	}
	if (c->digits == 0)
		return H1_E_CHUNK;
	if (b == '\r')
		c->state = ST_SIZE_LF;
	else if (b == ';')
		c->state = ST_EXT;
	else
		return H1_E_CHUNK;
	return 0;
}

/*
 * An extension is skipped, but its quotes are followed: inside them CR LF ends the line for one
 * reader and not for another, so it is refused there.
 */
static int step_ext(struct h1_chunked *c, char b)
{
	if (b == '\r' && c->state == ST_EXT) {
		c->state = ST_SIZE_LF;
		return 0;
	}
	c->dropped = true;
	if (!h1_is(b, H1_B_TEXT) || ++c->skipped > H1_MAX_CHUNK_EXT)
		return H1_E_CHUNK;
	if (c->state == ST_EXT_ESCAPE)
		c->state = ST_EXT_QUOTED;
	else if (b == '"')
		c->state = c->state == ST_EXT ? ST_EXT_QUOTED : ST_EXT;
	else if (b == '\\' && c->state == ST_EXT_QUOTED)
		c->state = ST_EXT_ESCAPE;
	return 0;
}

static int step_trailer(struct h1_chunked *c, char b)
{
	switch (c->state) {
	case ST_TRAILER:
		if (b == '\r') {
			c->state = ST_END_LF;
			return 0;
		}
		if (!h1_name_at(&b))
			return H1_E_TRAILER;
		c->state = ST_TRAILER_NAME;
		break;
	case ST_TRAILER_NAME:
		if (b == ':')
			c->state = ST_TRAILER_VALUE;
		else if (!h1_name_at(&b))
			return H1_E_TRAILER;
		break;
	case ST_TRAILER_VALUE:
		if (b == '\r')
			c->state = ST_TRAILER_LF;
		else if (!h1_is(b, H1_B_TEXT))
			return H1_E_TRAILER;
		break;
	default: /* ST_TRAILER_LF */
		if (b != '\n')
			return H1_E_TRAILER;
		c->state = ST_TRAILER;
		break;
	}
	c->dropped = true;
	return ++c->trailer > H1_MAX_TRAILER ? H1_E_TRAILER : 0;
}

static int step(struct h1_chunked *c, char b)
{
	switch (c->state) {
	case ST_SIZE:
		return step_size(c, b);
	case ST_EXT:
	case ST_EXT_QUOTED:
	case ST_EXT_ESCAPE:
		return step_ext(c, b);
	case ST_SIZE_LF:
		if (b != '\n')
			return H1_E_CHUNK;
		c->state = c->left ? ST_DATA : ST_TRAILER;
		return 0;
	case ST_DATA_CR:
		if (b != '\r')
			return H1_E_CHUNK;
		c->state = ST_DATA_LF;
		return 0;
	case ST_DATA_LF:
		if (b != '\n')
			return H1_E_CHUNK;
		c->state = ST_SIZE;
		c->digits = 0;
		c->skipped = 0;
		return 0;
	case ST_END_LF:
		if (b != '\n')
			return H1_E_TRAILER;
		c->state = ST_DONE;
		c->done = true;
		return 0;
	default:
		return step_trailer(c, b);
	}
}

int h1_chunked_next(struct h1_chunked *c, struct rk_slice in, struct rk_slice *data)
{
	enum { RUN_MAX = 1 << 30 };
	size_t at = 0;

	*data = rk_slice(NULL, 0);
	if (in.n > RUN_MAX)
		in.n = RUN_MAX;
	while (at < in.n && c->state != ST_DONE) {
		int err;

		if (c->state == ST_DATA) {
			size_t run = in.n - at;

			if (run > c->left)
				run = c->left;
			c->left -= run;
			if (c->left == 0)
				c->state = ST_DATA_CR;
			*data = rk_slice(in.p + at, run);
			return (int)(at + run);
		}
		err = step(c, in.p[at++]);
		if (err)
			return err;
	}
	return (int)at;
}

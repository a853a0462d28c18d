#include "api/text.h"

int api_text_add(struct api_text *t, const char *p, size_t n)
{
	for (unsigned i = 0; n && i < API_TEXT_BLOCKS; i++) {
		struct rk_secret *b = &t->block[i];
		size_t room;

		if (!b->p && rk_secret_alloc(b, SECRET_MAX_BYTES))
			return RK_E_NOMEM;
		room = b->cap - b->len < n ? b->cap - b->len : n;
		if (room && rk_secret_add(b, p, room))
			return RK_E_NOMEM;
		p += room;
		n -= room;
	}
	return n ? RK_E_TOOBIG : 0;
}

size_t api_text_size(const struct api_text *t)
{
	size_t n = 0;

	for (unsigned i = 0; i < API_TEXT_BLOCKS; i++)
		n += t->block[i].len;
	return n;
}

size_t api_text_read(const struct api_text *t, size_t from, char *to, size_t n)
{
	size_t had = 0;

	for (unsigned i = 0; had < n && i < API_TEXT_BLOCKS; i++) {
		struct rk_slice b = rk_secret_slice(&t->block[i]);
		size_t skip = from < b.n ? from : b.n, take;

		from -= skip;
		b = rk_slice_skip(b, skip);
		take = b.n < n - had ? b.n : n - had;
		if (take)
			memcpy(to + had, b.p, take);
		had += take;
	}
	return had;
}

void api_text_free(struct api_text *t)
{
	for (unsigned i = 0; i < API_TEXT_BLOCKS; i++)
		rk_secret_free(&t->block[i]);
}

struct reading {
	const struct api_text *text;
	size_t at;
};

static size_t give(void *to, size_t n, void *arg)
{
	struct reading *r = arg;
	size_t had = api_text_read(r->text, r->at, to, n);

	r->at += had;
	return had;
}

json_t *api_text_parse(const struct api_text *t)
{
	struct reading r = {.text = t};
	json_error_t e = {0};
	json_t *doc = json_load_callback(give, &r, 0, &e);

	/* it quotes what stands around an error */
	rk_wipe(&e, sizeof e);
	return doc;
}

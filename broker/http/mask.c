#include "http/mask.h"

#include "base/record.h"

static const size_t NOWHERE = SIZE_MAX;

int mask_init(struct mask *m, struct rk_slice list)
{
	struct mask fresh = {0};
	struct rk_slice item;

	while (record_list_next(&list, &item)) {
		int err = RK_E_PROTOCOL;

		if (fresh.count < MASK_NEEDLES)
			err = mask_print_decode(item, &fresh.print[fresh.count++]);
		if (err)
			return err;
	}
	*m = fresh;
	return 0;
}

/* Where the needle begins next, at `from` or behind it. */
static size_t find(const struct mask_print *f, const char *buf, size_t n, size_t from)
{
	while (n >= f->length && from <= n - f->length) {
		const char *at =
		    memchr(buf + from + f->anchor_at, f->anchor, n - f->length - from + 1);

		if (!at)
			break;
		from = (size_t)(at - buf) - f->anchor_at;
		if (mask_print_is(f, buf + from))
			return from;
		from++;
	}
	return NOWHERE;
}

/* Where the needle may begin and not have come to its end; n: nowhere. */
static size_t find_begun(const struct mask_print *f, const char *buf, size_t n)
{
	size_t most = f->length - 1U, at = n;

	while (at > 0 && n - at < most && mask_print_has(f, buf[at - 1]))
		at--;
	while (at < n && !mask_print_may_begin(f, buf + at, n - at))
		at++;
	return at;
}

static void cover(char *buf, size_t from, size_t to)
{
	if (to > from)
		memset(buf + from, '*', to - from);
}

/*
 * Hits of all needles are taken in order of where they begin, and a run of hits that overlap or
 * touch is overwritten only when all that begin in it are known: needles are looked for in the
 * bytes as they came. A run that reaches into what is kept back goes on in `covered`.
 */
size_t mask_scan(struct mask *m, char *buf, size_t n, bool last)
{
	size_t next[MASK_NEEDLES], keep = n, from = 0, to = m->covered;

	for (unsigned i = 0; i < m->count; i++) {
		size_t begun = last ? n : find_begun(&m->print[i], buf, n);

		if (begun < keep)
			keep = begun;
		next[i] = find(&m->print[i], buf, n, 0);
	}
	for (;;) {
		unsigned first = 0;
		size_t at;

		for (unsigned i = 1; i < m->count; i++) {
			if (next[i] < next[first])
				first = i;
		}
		if (m->count == 0 || next[first] >= keep)
			break; /* what begins in the rest is found with the rest */
		at = next[first];
		if (at > to) {
			cover(buf, from, to);
			from = at;
		}
		if (at + m->print[first].length > to)
			to = at + m->print[first].length;
		next[first] = find(&m->print[first], buf, n, at + 1);
		m->found = true;
	}
	m->covered = to > keep ? to - keep : 0;
	cover(buf, from, to < keep ? to : keep);
	return keep;
}

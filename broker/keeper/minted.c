#include "keeper/minted.h"

#include <stdlib.h>

void minted_free(struct minted *m)
{
	free(m->key);
	free(m->end);
	*m = (struct minted){0};
}

static int64_t end_of(const struct index_key *k)
{
	return k->expires_ms ? k->expires_ms : INT64_MAX;
}

static bool is_live(const struct index_key *k, int64_t now_ms)
{
	return !k->revoked_ms && now_ms < end_of(k);
}

/* ---- the heap ---- */

static void sink(struct minted *m, size_t i)
{
	const struct minted_end e = m->end[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child < m->live && child + 1 < m->live &&
		    m->end[child + 1].at_ms < m->end[child].at_ms)
			child++;
		if (child >= m->live || m->end[child].at_ms >= e.at_ms)
			break;
		m->end[i] = m->end[child];
		i = child;
	}
	m->end[i] = e;
}

static void put(struct minted *m, struct index_key *k)
{
	const struct minted_end e = {.at_ms = end_of(k), .key = k};
	size_t i = m->live++;

	while (i && m->end[(i - 1) / 2].at_ms > e.at_ms) {
		m->end[i] = m->end[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	m->end[i] = e;
	k->counted = true;
}

/* The first one came up: it goes, or it ends later than it was said to. */
static void settle(struct minted *m, int64_t now_ms)
{
	struct index_key *k = m->end[0].key;

	if (is_live(k, now_ms)) {
		m->end[0].at_ms = end_of(k);
	} else {
		k->counted = false;
		m->end[0] = m->end[--m->live];
	}
	if (m->live)
		sink(m, 0);
}

static void recount(struct minted *m, int64_t now_ms)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->live; i++) {
		struct index_key *k = m->end[i].key;

		k->counted = is_live(k, now_ms);
		if (k->counted)
			m->end[kept++] = (struct minted_end){.at_ms = end_of(k), .key = k};
	}
	m->live = kept;
	for (size_t i = kept / 2; i-- > 0;)
		sink(m, i);
}

/* ---- keys ---- */

static int reserve(void **p, size_t *cap, size_t used, size_t size)
{
	size_t n = *cap ? 2 * *cap : 16;
	void *bigger;

	if (used < *cap)
		return 0;
	bigger = realloc(*p, n * size);
	if (!bigger)
		return RK_E_NOMEM;
	*p = bigger;
	*cap = n;
	return 0;
}

int minted_reserve(struct minted *m)
{
	int err = reserve((void **)&m->key, &m->key_cap, m->keys, sizeof *m->key);

	/* room for all in the heap: one that ended may be extended */
	if (!err && m->end_cap < m->key_cap) {
		struct minted_end *end = realloc(m->end, m->key_cap * sizeof *end);

		if (!end)
			return RK_E_NOMEM;
		m->end = end;
		m->end_cap = m->key_cap;
	}
	return err;
}

int minted_enter(struct minted *m, struct index_key *k, int64_t now_ms)
{
	int err = minted_reserve(m);

	if (err)
		return err;
	m->key[m->keys++] = k;
	if (is_live(k, now_ms))
		put(m, k);
	return 0;
}

void minted_extended(struct minted *m, struct index_key *k, int64_t now_ms)
{
	if (!k->counted && is_live(k, now_ms))
		put(m, k);
}

uint32_t minted_live(struct minted *m, int64_t now_ms, bool exact)
{
	while (m->live && m->end[0].at_ms <= now_ms)
		settle(m, now_ms);
	if (exact)
		recount(m, now_ms);
	return (uint32_t)m->live + m->lost;
}

#include "keeper/mgmt_keys.h"

#include <stdlib.h>

#include "base/base62.h"
#include "keeper/slots.h"

struct mgmt_keys {
	uint64_t seed;
	struct mgmt_entry **at; /* by place; ascending numbers */
	size_t count, cap;
	struct slots digests; /* places by digest */
};

static const char id_prefix[] = "mkey_";

/* ---- finding ---- */

static uint64_t digest_hash(const struct mgmt_keys *m, const uint8_t digest[32])
{
	uint64_t first;

	memcpy(&first, digest, sizeof first);
	return slots_mix(first ^ m->seed);
}

static uint64_t place_hash(const void *owner, uint32_t place)
{
	const struct mgmt_keys *m = owner;

	return digest_hash(m, m->at[place]->digest);
}

static bool place_equal(const void *owner, uint32_t place, const void *digest)
{
	return memcmp(((const struct mgmt_keys *)owner)->at[place]->digest, digest, 32) == 0;
}

struct mgmt_entry *mgmt_keys_by_digest(struct mgmt_keys *m, const uint8_t digest[32])
{
	uint32_t place = slots_find(&m->digests, digest_hash(m, digest), digest);

	return place == SLOTS_NONE ? NULL : m->at[place];
}

/* The place of the first one with that number or a higher one. */
static size_t place_of(const struct mgmt_keys *m, uint32_t number)
{
	size_t from = 0, to = m->count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (m->at[middle]->number < number)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

struct mgmt_entry *mgmt_keys_by_number(struct mgmt_keys *m, uint32_t number)
{
	size_t place = place_of(m, number);

	return place < m->count && m->at[place]->number == number ? m->at[place] : NULL;
}

struct mgmt_entry *mgmt_keys_by_id(struct mgmt_keys *m, struct rk_slice id)
{
	for (size_t i = 0; i < m->count; i++) {
		if (rk_slice_is(id, m->at[i]->id))
			return m->at[i];
	}
	return NULL;
}

static int resolve_masked(struct mgmt_keys *m, enum mgmt_role role, const char *hint,
                          struct mgmt_entry **out, struct rk_fault *fault)
{
	struct mgmt_entry *live = NULL, *dead = NULL;
	unsigned lives = 0, deads = 0;

	for (size_t i = 0; i < m->count; i++) {
		struct mgmt_entry *e = m->at[i];

		if (e->role != role || memcmp(e->hint, hint, RELAY_KEY_HINT) != 0)
			continue;
		if (e->revoked_ms) {
			dead = e;
			deads++;
		} else {
			live = e;
			lives++;
		}
	}
	if (lives > 1 || (!lives && deads > 1))
		return rk_fail(fault, RK_E_AMBIGUOUS, "%u keys look like that: use the id",
		               lives ? lives : deads);
	if (!lives && !deads)
		return rk_fail(fault, RK_E_NOTFOUND, "no management key looks like that");
	*out = live ? live : dead;
	return 0;
}

int mgmt_keys_resolve(struct mgmt_keys *m, struct rk_slice ref, struct mgmt_entry **out,
                      struct rk_fault *fault)
{
	char hint[RELAY_KEY_HINT];
	struct mgmt_entry *e;
	enum mgmt_role role;
	struct mgmt_key whole;
	uint8_t digest[32];

	if (!mgmt_key_parse_masked(ref, &role, hint))
		return resolve_masked(m, role, hint, out, fault);
	if (!mgmt_key_parse(ref, &whole)) {
		rk_sha256(ref, digest);
		e = mgmt_keys_by_digest(m, digest);
	} else {
		e = mgmt_keys_by_id(m, ref);
	}
	/* ref is not shown: it may be a key with a typing error */
	if (!e)
		return rk_fail(fault, RK_E_NOTFOUND, "no such management key");
	*out = e;
	return 0;
}

struct mgmt_entry *mgmt_keys_next(struct mgmt_keys *m, const struct mgmt_entry *after)
{
	size_t place = after ? place_of(m, after->number) + 1 : 0;

	return place < m->count ? m->at[place] : NULL;
}

void mgmt_keys_extended(struct mgmt_keys *m, struct index_key *k, int64_t now_ms)
{
	struct mgmt_entry *e = k->minted_by ? mgmt_keys_by_number(m, k->minted_by) : NULL;

	if (e)
		minted_extended(&e->minted, k, now_ms);
}

/* ---- adding ---- */

int mgmt_keys_room(const struct mgmt_keys *m)
{
	return m->count < MGMT_MAX_KEYS ? 0 : RK_E_FULL;
}

static void entry_free(struct mgmt_entry *e)
{
	if (!e)
		return;
	minted_free(&e->minted);
	free((void *)(uintptr_t)e->bounds.p);
	free(e);
}

static int entry_new(const struct store_mgmt_key *k, struct mgmt_entry **out)
{
	struct mgmt_entry *e = calloc(1, sizeof *e);
	char *bounds = e ? malloc(k->bounds.n + 1) : NULL;

	if (!bounds) {
		free(e);
		return RK_E_NOMEM;
	}
	if (k->bounds.n)
		memcpy(bounds, k->bounds.p, k->bounds.n);
	e->bounds = rk_slice(bounds, k->bounds.n);
	e->number = k->number;
	memcpy(e->digest, k->digest, sizeof e->digest);
	memcpy(e->hint, k->hint, sizeof e->hint);
	e->role = k->role;
	e->revision = k->revision ? k->revision : 1;
	e->created_ms = k->created_ms;
	e->expires_ms = k->expires_ms;
	e->revoked_ms = k->revoked_ms;
	if (!rk_slice_cstr(k->id, e->id, sizeof e->id) ||
	    !rk_slice_cstr(k->name, e->name, sizeof e->name) ||
	    !rk_slice_starts(k->id, rk_str(id_prefix)) || k->role <= ROLE_NOBODY ||
	    k->role >= ROLE_COUNT) {
		entry_free(e);
		return RK_E_CORRUPT;
	}
	*out = e;
	return 0;
}

static int enter(struct mgmt_keys *m, struct mgmt_entry *e)
{
	if (m->count && m->at[m->count - 1]->number >= e->number)
		return RK_E_CORRUPT;
	if (m->count == m->cap) {
		size_t cap = m->cap ? 2 * m->cap : 16;
		struct mgmt_entry **at = realloc(m->at, cap * sizeof(struct mgmt_entry *));

		if (!at)
			return RK_E_NOMEM;
		m->at = at;
		m->cap = cap;
	}
	m->at[m->count] = e;
	if (slots_add(&m->digests, digest_hash(m, e->digest), (uint32_t)m->count))
		return RK_E_NOMEM;
	m->count++;
	return 0;
}

int mgmt_keys_add(struct mgmt_keys *m, const struct store_mgmt_key *k, struct mgmt_entry **out,
                  struct rk_fault *fault)
{
	struct mgmt_entry *e = NULL;
	int err = mgmt_keys_room(m);

	if (!err)
		err = entry_new(k, &e);
	if (!err)
		err = enter(m, e);
	if (err) {
		entry_free(e);
		return rk_fail(fault, err, "management key %.*s: %s", RK_FMT(k->id),
		               rk_strerror(err));
	}
	if (out)
		*out = e;
	return 0;
}

/* ---- life ---- */

int mgmt_keys_new(struct mgmt_keys **out)
{
	struct mgmt_keys *m = calloc(1, sizeof *m);

	if (!m)
		return RK_E_NOMEM;
	rk_random(&m->seed, sizeof m->seed);
	m->digests = (struct slots){.hash = place_hash, .equal = place_equal, .owner = m};
	*out = m;
	return 0;
}

void mgmt_keys_free(struct mgmt_keys *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->count; i++)
		entry_free(m->at[i]);
	free(m->at);
	slots_free(&m->digests);
	free(m);
}

static int load_one(const struct store_mgmt_key *k, void *arg, struct rk_fault *fault)
{
	return mgmt_keys_add(arg, k, NULL, fault);
}

int mgmt_keys_load(struct mgmt_keys *m, struct store *s, struct index *ix, int64_t now_ms,
                   struct rk_fault *fault)
{
	struct index_key *k = NULL;
	struct mgmt_entry *e = NULL;
	int err = store_mgmt_load(s, load_one, m, fault);

	while (!err && (k = index_key_next(ix, k))) {
		if (!k->minted_by)
			continue;
		if (!e || e->number != k->minted_by)
			e = mgmt_keys_by_number(m, k->minted_by);
		if (e && minted_enter(&e->minted, k, now_ms))
			err = rk_fail(fault, RK_E_NOMEM, "out of memory");
	}
	return err;
}

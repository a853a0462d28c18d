#include "keeper/index_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base62.h"
#include "keeper/index_holder.h"

static const char id_prefix[] = "key_";

/* ---- the tables ---- */

static uint64_t digest_hash(const struct index *ix, const uint8_t digest[32])
{
	uint64_t first;

	memcpy(&first, digest, sizeof first);
	return slots_mix(first ^ ix->seed);
}

static uint64_t number_digest_hash(const void *owner, uint32_t number)
{
	return digest_hash(owner, index_key_at(owner, number)->digest);
}

static bool digest_equal(const void *owner, uint32_t number, const void *key)
{
	return memcmp(index_key_at(owner, number)->digest, key, 32) == 0;
}

static uint64_t id_hash(const struct index *ix, const char id[RELAY_KEY_ID])
{
	return slots_hash_bytes(ix->seed, id, RELAY_KEY_ID);
}

static uint64_t number_id_hash(const void *owner, uint32_t number)
{
	return id_hash(owner, index_key_at(owner, number)->id);
}

static bool id_equal(const void *owner, uint32_t number, const void *key)
{
	return memcmp(index_key_at(owner, number)->id, key, RELAY_KEY_ID) == 0;
}

void index_key_tables(struct index *ix)
{
	ix->key_digests =
	    (struct slots){.hash = number_digest_hash, .equal = digest_equal, .owner = ix};
	ix->key_ids = (struct slots){.hash = number_id_hash, .equal = id_equal, .owner = ix};
}

void index_key_free_all(struct index *ix)
{
	for (size_t i = 0; i < ix->keys; i++)
		free(index_key_at(ix, i)->rate);
	for (size_t i = 0; i * INDEX_CHUNK_KEYS < ix->keys; i++)
		free(ix->chunk[i]);
	free(ix->chunk);
	slots_free(&ix->key_digests);
	slots_free(&ix->key_ids);
}

struct index_key *index_key_by_digest(struct index *ix, const uint8_t digest[32])
{
	uint32_t number = slots_find(&ix->key_digests, digest_hash(ix, digest), digest);

	return number == SLOTS_NONE ? NULL : index_key_at(ix, number);
}

/* The id without its prefix; the empty slice when it is none. */
static struct rk_slice plain_id(struct rk_slice id)
{
	if (rk_slice_starts(id, rk_str(id_prefix)))
		id = rk_slice_skip(id, sizeof id_prefix - 1);
	return id.n == RELAY_KEY_ID && rk_base62_is(id) ? id : rk_slice(NULL, 0);
}

struct index_key *index_key_by_id(struct index *ix, struct rk_slice id)
{
	uint32_t number;

	id = plain_id(id);
	if (!id.n)
		return NULL;
	number = slots_find(&ix->key_ids, id_hash(ix, id.p), id.p);
	return number == SLOTS_NONE ? NULL : index_key_at(ix, number);
}

/* ---- adding ---- */

static int cidrs_compile(struct index *ix, struct rk_slice list, struct index_key *k,
                         struct rk_fault *fault)
{
	struct rk_cidr set[INDEX_MAX_CIDRS];
	struct rk_slice item;
	unsigned n = 0;

	while (record_list_next(&list, &item)) {
		if (n == INDEX_MAX_CIDRS)
			return rk_fail(fault, RK_E_TOOBIG, "a key has at most %d prefixes",
			               INDEX_MAX_CIDRS);
		if (rk_cidr_parse(item, &set[n]))
			return rk_fail(fault, RK_E_INVALID,
			               "\"%.*s\" is not an address or prefix", RK_FMT(item));
		n++;
	}
	k->cidr_count = (uint8_t)n;
	if (!n)
		return 0;
	k->cidrs = intern_put(ix->texts, set, n * sizeof set[0], 0, NULL);
	return k->cidrs ? 0 : rk_fail(fault, RK_E_NOMEM, "out of memory");
}

static int text_intern(struct index *ix, struct rk_slice s, const char **out,
                       struct rk_fault *fault)
{
	if (s.n > MSG_MAX_NAME || (s.n && memchr(s.p, 0, s.n)))
		return rk_fail(fault, RK_E_INVALID, "a text of the key is malformed");
	*out = intern_text(ix->texts, s);
	return *out ? 0 : rk_fail(fault, RK_E_NOMEM, "out of memory");
}

static int owner_find(struct index *ix, struct rk_slice name, struct index_key *out,
                      struct rk_fault *fault)
{
	const char *interned;
	int err = text_intern(ix, name, &interned, fault);

	if (err)
		return err;
	err = index_holder_get(ix, (enum holder_kind)out->kind, interned, &out->owner);
	return err ? rk_fail(fault, err, "no room for another holder") : 0;
}

/* From here on the key is one of its holder's. */
static void owner_enter(struct index_key *k)
{
	k->owner_next = k->owner->first ? k->owner->first->number : SLOTS_NONE;
	k->owner->first = k;
	k->owner->keys++;
}

static int key_fill(struct index *ix, const struct store_key *k, struct index_key *out,
                    struct rk_fault *fault)
{
	struct rk_slice id = plain_id(k->id);
	int err;

	if (!rk_slice_starts(k->id, rk_str(id_prefix)) || !id.n)
		return rk_fail(fault, RK_E_INVALID, "\"%.*s\" is not a key id", RK_FMT(k->id));
	if (k->kind >= HOLDER_KINDS || !rk_base62_is(rk_slice(k->hint, sizeof k->hint)) ||
	    k->expires_ms < 0 || k->revoked_ms < 0 || k->limits.per_minute > RATE_MAX ||
	    k->limits.per_day > RATE_MAX || k->flags > KEY_FLAGS ||
	    k->limits.max_concurrent > RATE_MAX)
		return rk_fail(fault, RK_E_INVALID, "key %.*s is malformed", RK_FMT(k->id));
	memcpy(out->digest, k->digest, sizeof out->digest);
	memcpy(out->id, id.p, sizeof out->id);
	memcpy(out->hint, k->hint, sizeof out->hint);
	out->kind = k->kind;
	out->created_ms = k->created_ms;
	out->expires_ms = k->expires_ms;
	out->revoked_ms = k->revoked_ms;
	out->flags = (uint8_t)k->flags;
	out->revision = k->revision ? k->revision : 1;
	out->minted_by = k->minted_by;
	if ((err = owner_find(ix, k->holder, out, fault)) ||
	    (err = text_intern(ix, k->name, &out->name, fault)) ||
	    (err = text_intern(ix, k->env, &out->env, fault)) ||
	    (err = cidrs_compile(ix, k->cidrs, out, fault)))
		return err;
	return index_compile_grants(ix, k->grants, &out->grants, &out->grant_count, fault);
}

static int room_reserve(struct index *ix)
{
	size_t n = ix->keys / INDEX_CHUNK_KEYS;

	if (ix->keys % INDEX_CHUNK_KEYS)
		return 0;
	if (ix->keys >= SLOTS_NONE - INDEX_CHUNK_KEYS)
		return RK_E_FULL;
	if (n == ix->chunk_cap) {
		size_t cap = n ? 2 * n : 8;
		struct index_key **chunk = realloc(ix->chunk, cap * sizeof(struct index_key *));

		if (!chunk)
			return RK_E_NOMEM;
		ix->chunk = chunk;
		ix->chunk_cap = cap;
	}
	ix->chunk[n] = calloc(INDEX_CHUNK_KEYS, sizeof(struct index_key));
	return ix->chunk[n] ? 0 : RK_E_NOMEM;
}

static int key_enter(struct index *ix, const struct index_key *k, struct index_key **out)
{
	uint32_t number = (uint32_t)ix->keys;
	struct index_key *at;
	int err = room_reserve(ix);

	if (err)
		return err;
	at = index_key_at(ix, number);
	*at = *k;
	at->number = number;
	err = slots_add(&ix->key_digests, digest_hash(ix, at->digest), number);
	if (!err && (err = slots_add(&ix->key_ids, id_hash(ix, at->id), number)))
		slots_remove(&ix->key_digests, digest_hash(ix, at->digest), number);
	if (err) {
		if (number % INDEX_CHUNK_KEYS == 0)
			free(ix->chunk[number / INDEX_CHUNK_KEYS]);
		return err;
	}
	ix->keys++;
	*out = at;
	return 0;
}

/* Only keys with limits pay for what is counted. */
static int rate_make(const struct rate_limits *limits, struct rate **out)
{
	if (!rate_limits_any(limits))
		return 0;
	*out = calloc(1, sizeof **out);
	if (!*out)
		return RK_E_NOMEM;
	(*out)->limits = *limits;
	return 0;
}

int index_add_key(struct index *ix, const struct store_key *k, struct index_key **out,
                  struct rk_fault *fault)
{
	struct index_key fresh = {0}, *at;
	int err = key_fill(ix, k, &fresh, fault);

	if (err)
		return err;
	if (index_key_by_digest(ix, k->digest) || index_key_by_id(ix, k->id))
		return rk_fail(fault, RK_E_EXISTS, "key %.*s exists already", RK_FMT(k->id));
	err = rate_make(&k->limits, &fresh.rate);
	if (!err)
		err = key_enter(ix, &fresh, &at);
	if (err) {
		free(fresh.rate);
		return rk_fail(fault, err, "no room for another key");
	}
	owner_enter(at);
	ix->limited += at->rate != NULL;
	if (out)
		*out = at;
	return 0;
}

/* ---- changing ---- */

int index_key_compile(struct index *ix, const struct store_key *k, uint32_t set,
                      struct index_key *fresh, struct rk_fault *fault)
{
	const struct rate_limits any = {.per_minute = 1};
	int err = 0;

	*fresh = (struct index_key){.expires_ms = k->expires_ms, .flags = (uint8_t)k->flags};
	if (set & KEY_SET_NAME)
		err = text_intern(ix, k->name, &fresh->name, fault);
	if (!err && set & KEY_SET_ENV)
		err = text_intern(ix, k->env, &fresh->env, fault);
	if (!err && set & KEY_SET_CIDRS)
		err = cidrs_compile(ix, k->cidrs, fresh, fault);
	if (!err && set & KEY_SET_GRANTS)
		err = index_compile_grants(ix, k->grants, &fresh->grants, &fresh->grant_count,
		                           fault);
	/* for a key that has no limits so far; whether it gets one is known later */
	if (!err && set & KEY_SET_LIMITS) {
		err = rate_make(&any, &fresh->rate);
		if (err)
			return rk_fail(fault, err, "out of memory");
		fresh->rate->limits = k->limits;
	}
	return err;
}

void index_key_drop(struct index_key *fresh)
{
	free(fresh->rate);
	fresh->rate = NULL;
}

static void assume_limits(struct index *ix, struct index_key *key, struct index_key *fresh,
                          uint32_t set)
{
	const struct rate_limits *from = &fresh->rate->limits;
	struct rate_limits next = {0};

	if (key->rate)
		next = key->rate->limits;
	if (set & KEY_SET_RATE_PER_MINUTE)
		next.per_minute = from->per_minute;
	if (set & KEY_SET_RATE_PER_DAY)
		next.per_day = from->per_day;
	if (set & KEY_SET_MAX_CONCURRENT)
		next.max_concurrent = from->max_concurrent;
	if (key->rate) {
		/* what was counted stays, also while there is no limit to hold it against */
		key->rate->limits = next;
	} else if (rate_limits_any(&next)) {
		key->rate = fresh->rate;
		key->rate->limits = next;
		fresh->rate = NULL;
		ix->limited++;
	}
}

void index_key_assume(struct index *ix, struct index_key *key, struct index_key *fresh,
                      uint32_t set)
{
	if (set & KEY_SET_NAME)
		key->name = fresh->name;
	if (set & KEY_SET_ENV)
		key->env = fresh->env;
	if (set & KEY_SET_EXPIRY)
		key->expires_ms = fresh->expires_ms;
	if (set & KEY_SET_CIDRS) {
		key->cidrs = fresh->cidrs;
		key->cidr_count = fresh->cidr_count;
	}
	if (set & KEY_SET_GRANTS) {
		key->grants = fresh->grants;
		key->grant_count = fresh->grant_count;
	}
	if (set & KEY_SET_FLAGS)
		key->flags = fresh->flags;
	if (set & KEY_SET_LIMITS && fresh->rate)
		assume_limits(ix, key, fresh, set);
	index_key_drop(fresh);
}

/* ---- finding for people ---- */

struct masked {
	struct index_key *live, *dead; /* the first of each */
	unsigned live_count, dead_count;
	char ids[5 * (sizeof id_prefix + RELAY_KEY_ID + 2)];
	size_t used;
};

static void masked_note(struct masked *m, struct index_key *k)
{
	if (k->revoked_ms) {
		if (!m->dead_count++)
			m->dead = k;
		return;
	}
	if (!m->live_count++)
		m->live = k;
	if (m->live_count <= 5)
		m->used +=
		    (size_t)snprintf(m->ids + m->used, sizeof m->ids - m->used, "%s%s%.*s",
		                     m->used ? ", " : "", id_prefix, RELAY_KEY_ID, k->id);
}

static int resolve_masked(struct index *ix, enum holder_kind kind, const char *hint,
                          struct index_key **out, struct rk_fault *fault)
{
	struct masked m = {0};

	for (size_t i = 0; i < ix->keys; i++) {
		struct index_key *k = index_key_at(ix, i);

		if (k->kind == kind && memcmp(k->hint, hint, RELAY_KEY_HINT) == 0)
			masked_note(&m, k);
	}
	if (m.live_count > 1 || (!m.live_count && m.dead_count > 1))
		return rk_fail(fault, RK_E_AMBIGUOUS, "%u keys look like that%s%s: use the id",
		               m.live_count ? m.live_count : m.dead_count, m.used ? ": " : "",
		               m.ids);
	if (!m.live_count && !m.dead_count)
		return rk_fail(fault, RK_E_NOTFOUND, "no key looks like that");
	*out = m.live ? m.live : m.dead;
	return 0;
}

int index_key_resolve(struct index *ix, struct rk_slice ref, struct index_key **out,
                      struct rk_fault *fault)
{
	char hint[RELAY_KEY_HINT];
	struct relay_key whole;
	struct index_key *k;
	enum holder_kind kind;
	uint8_t digest[32];

	if (!relay_key_parse_masked(ref, &kind, hint))
		return resolve_masked(ix, kind, hint, out, fault);
	if (!relay_key_parse(ref, &whole)) {
		rk_sha256(ref, digest);
		k = index_key_by_digest(ix, digest);
	} else {
		k = index_key_by_id(ix, ref);
	}
	/* ref is not shown: it may be a key with a typing error */
	if (!k)
		return rk_fail(fault, RK_E_NOTFOUND, "no such key");
	*out = k;
	return 0;
}

/* ---- walking and counting ---- */

struct index_key *index_key_next(struct index *ix, const struct index_key *after)
{
	size_t i = after ? (size_t)after->number + 1 : 0;

	return i < ix->keys ? index_key_at(ix, i) : NULL;
}

size_t index_key_count(const struct index *ix)
{
	return ix->keys;
}

static bool key_live(const struct index_key *k, int64_t now_ms)
{
	return !k->revoked_ms && (!k->expires_ms || now_ms < k->expires_ms);
}

size_t index_key_live(const struct index *ix, int64_t now_ms)
{
	size_t n = 0;

	for (size_t i = 0; i < ix->keys; i++)
		n += key_live(index_key_at(ix, i), now_ms);
	return n;
}

size_t index_conn_live_keys(struct index *ix, const struct index_conn *c, int64_t now_ms)
{
	size_t n = 0;

	for (size_t i = 0; i < ix->keys; i++) {
		const struct index_key *k = index_key_at(ix, i);
		unsigned g = 0;

		if (!key_live(k, now_ms))
			continue;
		while (g < k->grant_count && k->grants[g]->conn != c)
			g++;
		n += g < k->grant_count;
	}
	return n;
}

/*
 * Connections, grants and relay keys for tests of the keeper, straight into an index.
 */
#ifndef TESTS_POLICY_SAMPLE_H
#define TESTS_POLICY_SAMPLE_H

#include <stdio.h>
#include <stdlib.h>

#include "base/base62.h"
#include "ipc/catalogue_manage.h"
#include "keeper/index.h"

struct sample_list {
	char bytes[1024];
	size_t used;
};

/* A LIST of the words of a text, separated by single spaces. */
static inline struct rk_slice sample_words(struct sample_list *l, const char *words)
{
	l->used = 0;
	while (*words) {
		size_t n = strcspn(words, " ");

		if (record_list_add(l->bytes, sizeof l->bytes, &l->used, rk_slice(words, n)))
			abort();
		words += n;
		while (*words == ' ')
			words++;
	}
	return rk_slice(l->bytes, l->used);
}

struct sample_grants {
	char bytes[8192];
	size_t used;
};

static inline struct rk_slice sample_grants_slice(const struct sample_grants *g)
{
	return rk_slice(g->bytes, g->used);
}

static inline void sample_grant(struct sample_grants *g, const char *conn, const char *methods,
                                const char *paths, const char *deny)
{
	struct sample_list m, p, d;
	struct msg_grant grant = {
	    .conn = rk_str(conn),
	    .methods = sample_words(&m, methods),
	    .paths = sample_words(&p, paths),
	    .deny_query = sample_words(&d, deny),
	};
	char one[4096];
	ssize_t n = record_encode(&msg_grant_desc, &grant, one, sizeof one);

	if (n < 0 ||
	    record_list_add(g->bytes, sizeof g->bytes, &g->used, rk_slice(one, (size_t)n)))
		abort();
}

static inline struct index_conn *sample_conn(struct index *ix, const char *id, const char *name,
                                             const char *url, uint32_t flags)
{
	struct store_conn c = {
	    .id = rk_str(id),
	    .name = rk_str(name),
	    .provider = rk_str("openai"),
	    .base_url = rk_str(url),
	    .flags = flags,
	    .enabled = true,
	    .created_ms = 1000,
	    .updated_ms = 1000,
	    .credential = {.version = 1,
	                   .blob = rk_str("wrapped"),
	                   .hint = rk_str("sk_...5f81"),
	                   .created_ms = 1000},
	};
	struct index_conn *out = NULL;
	struct rk_fault fault;

	if (index_add_conn(ix, &c, &out, &fault)) {
		fprintf(stderr, "%s\n", fault.text);
		abort();
	}
	return out;
}

struct sample_key {
	char text[RELAY_KEY_MAX];
	size_t len;
	char id[4 + RELAY_KEY_ID + 1];
	struct index_key *key;
};

/* A new key of the kind "vendor" with these grants and limits; cidrs as words. */
static inline void sample_limited_key(struct index *ix, const struct sample_grants *g,
                                      const char *cidrs, int64_t expires_ms,
                                      struct rate_limits limits, struct sample_key *out)
{
	struct sample_list prefixes;
	struct store_key k = {
	    .id = {NULL, 0},
	    .kind = HOLDER_VENDOR,
	    .holder = rk_str("acme"),
	    .name = rk_str("test key"),
	    .env = rk_str("production"),
	    .cidrs = sample_words(&prefixes, cidrs),
	    .grants = sample_grants_slice(g),
	    .created_ms = 1000,
	    .expires_ms = expires_ms,
	    .limits = limits,
	};
	struct relay_key parts;
	struct rk_fault fault;

	out->len = relay_key_generate(HOLDER_VENDOR, out->text, &parts);
	snprintf(out->id, sizeof out->id, "key_%.*s", RELAY_KEY_ID, parts.id);
	k.id = rk_str(out->id);
	memcpy(k.hint, out->text + out->len - RELAY_KEY_HINT, sizeof k.hint);
	rk_sha256(rk_slice(out->text, out->len), k.digest);
	if (index_add_key(ix, &k, &out->key, &fault)) {
		fprintf(stderr, "%s\n", fault.text);
		abort();
	}
}

static inline void sample_key(struct index *ix, const struct sample_grants *g,
                              const char *cidrs, int64_t expires_ms, struct sample_key *out)
{
	sample_limited_key(ix, g, cidrs, expires_ms, (struct rate_limits){0}, out);
}

#endif

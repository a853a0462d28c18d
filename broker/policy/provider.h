/*
 * What is known of providers: where their API is, how a key is put into a request, which
 * variables their SDKs read, and what an application usually needs of them. For the .env import
 * and for what /_discover tells an SDK's user. Facts, not policy: nothing here decides over a
 * request. Pure.
 */
#ifndef POLICY_PROVIDER_H
#define POLICY_PROVIDER_H

#include "base/slice.h"

enum { PROVIDER_MAX_AUTH = 2 };

struct provider {
	const char *id;       /* also the name of a connection that import makes */
	const char *title;    /* "OpenAI" */
	const char *base_url; /* NULL: each customer has another one */
	/* styles of policy/auth_style.h; of "basic:@" the user stands in another variable */
	const char *auth[PROVIDER_MAX_AUTH];
	const char *key_var; /* the variable in which the SDKs look for the key; NULL: none */
	/* Names of variables that hold a base URL, separated by blanks; the first is the one to
	 * set. */
	const char *base_vars;
	bool sdk_reads_base; /* the official SDKs read the first of them */
	const char *sdk;     /* how an SDK is told otherwise; NULL: nothing to say */
	/* What import grants, below the base path, separated by blanks. */
	const char *methods, *paths;
};

/* NULL when nothing is known of it. */
const struct provider *provider_find(struct rk_slice id);

/* All of them, in order; NULL behind the last. */
const struct provider *provider_at(size_t i);

/* The next word of a text of words separated by single blanks; false at the end. */
bool provider_next_word(struct rk_slice *words, struct rk_slice *word);

/* Whether `word` is one of them. */
bool provider_has_word(const char *words, struct rk_slice word);

/* The path of the provider's own base URL: "" or "/v1"; NULL when it has none. */
const char *provider_base_path(const struct provider *p);

#endif

/*
 * relaykey import: which lines of a .env file hold keys of providers, what will be made of
 * them, and the file as it is then. The plan is pure; the text stays where it is, in secret
 * memory, and everything here borrows from it.
 */
#ifndef CLI_IMPORT_H
#define CLI_IMPORT_H

#include "cli/cli.h"
#include "policy/auth_style.h"
#include "policy/base_url.h"
#include "policy/env_file.h"
#include "policy/key_shape.h"
#include "policy/relay_key.h"

enum {
	IMPORT_MAX_KEYS = 32,
	IMPORT_MAX_BYTES = 32768,
	IMPORT_MAX_OUT = 65536,
	IMPORT_VAR = 96,
};

struct import_options {
	const char *file;
	const char *proxy_url;          /* NULL: as the configuration says */
	struct cli_list base_urls;      /* "PROVIDER=URL" */
	struct cli_list methods, paths; /* empty: what the provider's applications need */
	const char *ca_file, *write;    /* NULL: not given */
	uint32_t flags;                 /* of new connections */
	bool in_place, dry_run;
	struct msg_key_issue issue; /* kind, holder, env, ttl */
	char holder[MSG_MAX_NAME];
};

/* A line that holds a key. */
struct import_key {
	struct env_line line;
	const struct provider *provider;
	struct rk_slice secret;
	char auth[PROVIDER_MAX_AUTH][2 * MSG_MAX_NAME]; /* styles; "" behind the last */
	struct base_url url;                            /* where its API is */
	char base_url[BASE_URL_MAX];                    /* the same as it was written */
	struct rk_slice base_line; /* name of the line that said so, or empty */
	char base_var[IMPORT_VAR]; /* which variable is to name the proxy; "": another key's
	                              does */
	char hint[MSG_MAX_NAME + 1];
	unsigned first;    /* index of the first line with the same secret */
	char problem[160]; /* why it stays as it is; "" */
	/* what was made of it, at `first` */
	char conn_id[MSG_MAX_NAME + 1], conn[MSG_MAX_NAME + 1];
	bool conn_found;
	char key_id[MSG_MAX_NAME + 1];
	struct rk_slice relay_key;
};

struct import_plan {
	const struct import_options *options;
	const struct rk_secret *text;
	struct import_key key[IMPORT_MAX_KEYS];
	unsigned count;
	unsigned relayed;     /* lines that hold a relay key already */
	struct cli_list left; /* names of lines that look like secrets and stay */
	char proxy[256];      /* "https://host:port" */
};

/* ---- import_plan.c ---- */

/* p->proxy is set, all else is zero. CLI_DONE, or CLI_FAILED with a message: more keys than
 * IMPORT_MAX_KEYS. */
int import_plan_make(struct import_plan *p, const struct rk_secret *text,
                     const struct import_options *o);

/*
 * The text with relay keys and base URLs in place, into `out` (secret memory of
 * IMPORT_MAX_OUT bytes); all other bytes as they are. RK_E_TOOBIG.
 */
RK_MUST_CHECK int import_plan_apply(const struct import_plan *p, struct rk_secret *out);

/* A name for a connection or a holder out of any text. */
void import_name(struct rk_slice from, const char *otherwise, char *to, size_t cap);

/* ---- import_make.c ---- */

/*
 * Makes connections and relay keys, or finds connections of the same provider, base URL and
 * secret's hint. `keys` is secret memory for the relay keys. On failure what was made in this
 * run is taken back.
 */
int import_make(struct cli *c, struct import_plan *p, struct rk_secret *keys);

/* Revokes the keys and removes the connections that this run has made. */
void import_take_back(struct cli *c, const struct import_plan *p);

/* Methods and path globs for a key, as lists. CLI_USAGE when they do not fit. */
int import_grant(const struct import_plan *p, const struct import_key *k,
                 struct cli_list *methods, struct cli_list *paths);

int cli_import(struct cli *c, int argc, char **argv);
extern const char cli_import_usage[];

#endif

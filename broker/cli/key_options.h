/*
 * Options that commands about keys share: grants, limits, holders, and showing a key the one
 * time that it is shown. Functions return CLI_DONE, or CLI_USAGE with a message.
 */
#ifndef CLI_KEY_OPTIONS_H
#define CLI_KEY_OPTIONS_H

#include <jansson.h>

#include "cli/cli.h"
#include "policy/relay_key.h"

enum { CLI_MAX_GRANTS = 16 };

/* One --conn with the --method, --path and --deny-query that follow it. */
struct cli_grant {
	const char *conn;
	struct cli_list methods, paths, deny_query;
};

/* Large: make it static. */
struct cli_grants {
	struct cli_grant at[CLI_MAX_GRANTS];
	unsigned count;
	char encoded[MSG_MAX_GRANTS];
	size_t used;
};

int cli_grants_conn(struct cli_grants *g, const char *conn);
/* Of the last --conn: 'm', 'p' or 'q' for --method, --path, --deny-query. */
int cli_grants_add(struct cli_grants *g, int option, const char *text);
/* LIST of encoded msg_grant, in *out until g goes. */
int cli_grants_encode(struct cli_grants *g, struct rk_slice *out);

/* "app:web" into kind and name. */
int cli_parse_holder(const char *text, uint8_t *kind, struct rk_slice *holder);

/* "60/min" or "10000/day", each at most once; a number of requests. */
int cli_parse_rate(const char *text, uint32_t *per_minute, uint32_t *per_day);
int cli_parse_concurrent(const char *text, uint32_t *out);
/* A whole number from 1 to RATE_MAX. */
bool cli_parse_number(struct rk_slice text, uint32_t *out);

/* All bytes to standard output without stdio: a key must not stay in its buffer. */
int cli_write_out(struct rk_slice s);

/* {"id":...,"<member>":<secret>,<everything else of doc>}, on one line. Takes doc. */
int cli_print_once(json_t *doc, struct rk_slice id, const char *member, struct rk_slice secret);

#endif

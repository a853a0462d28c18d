#include "cli/key_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ipc/catalogue_manage.h"
#include "policy/rate.h"

/* ---- grants ---- */

int cli_grants_conn(struct cli_grants *g, const char *conn)
{
	if (g->count == CLI_MAX_GRANTS)
		return cli_fail(CLI_USAGE, "at most %d --conn", CLI_MAX_GRANTS);
	g->at[g->count++].conn = conn;
	return CLI_DONE;
}

int cli_grants_add(struct cli_grants *g, int option, const char *text)
{
	struct cli_grant *last = &g->at[g->count ? g->count - 1 : 0];

	if (!g->count)
		return cli_fail(CLI_USAGE, "%s belongs behind the --conn that it is for",
		                option == 'm'   ? "--method"
		                : option == 'p' ? "--path"
		                                : "--deny-query");
	return cli_list_add(option == 'm'   ? &last->methods
	                    : option == 'p' ? &last->paths
	                                    : &last->deny_query,
	                    text);
}

int cli_grants_encode(struct cli_grants *g, struct rk_slice *out)
{
	static char one[MSG_MAX_GRANT];

	for (unsigned i = 0; i < g->count; i++) {
		const struct cli_grant *from = &g->at[i];
		struct msg_grant grant = {
		    .conn = rk_str(from->conn),
		    .methods = cli_list_slice(&from->methods),
		    .paths = cli_list_slice(&from->paths),
		    .deny_query = cli_list_slice(&from->deny_query),
		};
		ssize_t n = record_encode(&msg_grant_desc, &grant, one, sizeof one);

		if (n < 0 || record_list_add(g->encoded, sizeof g->encoded, &g->used,
		                             rk_slice(one, (size_t)n)))
			return cli_fail(
			    CLI_USAGE, "too many or too long --method, --path or --deny-query");
		if (!from->methods.used || !from->paths.used)
			fprintf(stderr,
			        "relaykey: warning: without --method and --path the key may do "
			        "nothing on '%s'\n",
			        from->conn);
	}
	*out = rk_slice(g->encoded, g->used);
	return CLI_DONE;
}

/* ---- holders and limits ---- */

int cli_parse_holder(const char *text, uint8_t *kind, struct rk_slice *holder)
{
	const char *colon = strchr(text, ':');
	enum holder_kind k;

	if (!colon || !colon[1] ||
	    holder_kind_parse(rk_slice(text, (size_t)(colon - text)), &k))
		return cli_fail(CLI_USAGE,
		                "--holder: '%s' is not KIND:NAME with a kind of app, agent, "
		                "person or vendor",
		                text);
	*kind = (uint8_t)k;
	*holder = rk_str(colon + 1);
	return CLI_DONE;
}

bool cli_parse_number(struct rk_slice text, uint32_t *out)
{
	uint64_t n;

	if (!rk_slice_u64(text, &n) || n < 1 || n > RATE_MAX)
		return false;
	*out = (uint32_t)n;
	return true;
}

int cli_parse_rate(const char *text, uint32_t *per_minute, uint32_t *per_day)
{
	const char *slash = strchr(text, '/');
	uint32_t *to = NULL;

	if (slash && strcmp(slash, "/min") == 0)
		to = per_minute;
	else if (slash && strcmp(slash, "/day") == 0)
		to = per_day;
	if (to && *to)
		return cli_fail(CLI_USAGE, "--rate: '%s' is a second rate for the same time",
		                text);
	if (!to || !cli_parse_number(rk_slice(text, (size_t)(slash - text)), to))
		return cli_fail(CLI_USAGE, "--rate: '%s' is no rate: use 60/min or 10000/day",
		                text);
	return CLI_DONE;
}

int cli_parse_concurrent(const char *text, uint32_t *out)
{
	if (!cli_parse_number(rk_str(text), out))
		return cli_fail(CLI_USAGE, "--concurrent: '%s' is no number of requests", text);
	return CLI_DONE;
}

/* ---- a key, once ---- */

int cli_write_out(struct rk_slice s)
{
	while (s.n) {
		ssize_t n = write(STDOUT_FILENO, s.p, s.n);

		if (n < 0)
			return cli_fail(CLI_FAILED, "writing the output failed");
		s = rk_slice_skip(s, (size_t)n);
	}
	return CLI_DONE;
}

int cli_print_once(json_t *doc, struct rk_slice id, const char *member, struct rk_slice secret)
{
	char head[160];
	char *rest;
	int status;

	snprintf(head, sizeof head, "{\"id\":\"%.*s\",\"%s\":\"", RK_FMT(id), member);
	json_object_del(doc, "id");
	rest = json_dumps(doc, JSON_COMPACT);
	json_decref(doc);
	if (!rest)
		return cli_fail(CLI_FAILED, "out of memory");
	fflush(stdout);
	status = cli_write_out(rk_str(head));
	if (!status)
		status = cli_write_out(secret);
	if (!status)
		status = cli_write_out(rk_str("\","));
	if (!status)
		status = cli_write_out(rk_str(rest + 1));
	if (!status)
		status = cli_write_out(rk_str("\n"));
	free(rest);
	return status;
}

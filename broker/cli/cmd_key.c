#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/render.h"
#include "ipc/catalogue_manage.h"
#include "policy/rate.h"
#include "policy/relay_key.h"

enum { MAX_GRANTS = 16 };

/* One --conn with the --method, --path and --deny-query that follow it. */
struct grant_options {
	const char *conn;
	struct cli_list methods, paths, deny_query;
};

struct issue_options {
	struct msg_key_issue issue;
	struct grant_options *grants;
	unsigned grant_count;
	struct cli_list cidrs;
	const char *holder;
};

/* "limits        60/min, 10000/day, 4 at once" */
static void print_limits(const json_t *limits)
{
	static const struct {
		const char *key, *unit;
	} each[] = {{"per_minute", "/min"}, {"per_day", "/day"}, {"concurrent", " at once"}};
	bool any = false;

	for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
		const json_t *n = json_object_get(limits, each[i].key);

		if (!json_is_integer(n))
			continue;
		if (any)
			fputs(", ", stdout);
		else
			printf("%-14s", "limits");
		printf("%lld%s", (long long)json_integer_value(n), each[i].unit);
		any = true;
	}
	if (any)
		putchar('\n');
}

static void print_key(const json_t *doc)
{
	static const char *const lines[] = {"id",      "masked",      "state",
	                                    "name",    "environment", "created",
	                                    "expires", "revoked",     "last_used"};
	const json_t *holder = json_object_get(doc, "holder");
	json_t *grant;
	size_t i;

	for (i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		if (!*render_string(doc, lines[i]))
			continue;
		render_print(stdout, lines[i], 14);
		render_print(stdout, render_string(doc, lines[i]), 0);
		putchar('\n');
	}
	printf("%-14s%s:", "holder", render_string(holder, "kind"));
	render_print(stdout, render_string(holder, "name"), 0);
	putchar('\n');
	print_limits(json_object_get(doc, "limits"));
	json_array_foreach(json_object_get(doc, "grants"), i, grant)
	{
		static const char *const parts[] = {"methods", "paths", "deny_query_params"};
		const json_t *conn = json_object_get(grant, "connection");

		printf("%-14s", "grant");
		render_print(stdout,
		             *render_string(conn, "name") ? render_string(conn, "name")
		                                          : "(removed)",
		             0);
		for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++) {
			json_t *item;
			size_t k;

			json_array_foreach(json_object_get(grant, parts[p]), k, item)
			{
				fputs(k ? "," : p == 2 ? "  without " : "  ", stdout);
				render_print(stdout, json_string_value(item), 0);
			}
		}
		putchar('\n');
	}
}

static int show_key(struct cli *c, const struct msg_key_info *k)
{
	json_t *doc = render_key(k);

	if (c->json)
		return render_json_line(doc);
	print_key(doc);
	json_decref(doc);
	return CLI_DONE;
}

/* All bytes to standard output without stdio: the key must not stay in its buffer. */
static int write_out(struct rk_slice s)
{
	while (s.n) {
		ssize_t n = write(STDOUT_FILENO, s.p, s.n);

		if (n < 0)
			return cli_fail(CLI_FAILED, "writing the output failed");
		s = rk_slice_skip(s, (size_t)n);
	}
	return CLI_DONE;
}

/* The one time that the key is shown. */
static int show_issued(struct cli *c, const struct msg_key_info *k)
{
	json_t *doc = render_key(k);
	char head[128];
	char *rest;
	int status;

	if (!c->json) {
		fputs("key           ", stdout);
		fflush(stdout);
		status = write_out(k->key);
		puts("");
		print_key(doc);
		puts("The key is shown this once only.");
		json_decref(doc);
		return status;
	}
	/* {"id":...,"key":...,<everything else>} */
	snprintf(head, sizeof head, "{\"id\":\"%.*s\",\"key\":\"", RK_FMT(k->id));
	json_object_del(doc, "id");
	rest = json_dumps(doc, JSON_COMPACT);
	json_decref(doc);
	if (!rest)
		return cli_fail(CLI_FAILED, "out of memory");
	fflush(stdout);
	status = write_out(rk_str(head));
	if (!status)
		status = write_out(k->key);
	if (!status)
		status = write_out(rk_str("\","));
	if (!status)
		status = write_out(rk_str(rest + 1));
	if (!status)
		status = write_out(rk_str("\n"));
	free(rest);
	return status;
}

/* "app:web" into kind and name. */
static int parse_holder(const char *text, struct msg_key_issue *issue)
{
	const char *colon = strchr(text, ':');
	enum holder_kind kind;

	if (!colon || !colon[1] ||
	    holder_kind_parse(rk_slice(text, (size_t)(colon - text)), &kind))
		return cli_fail(CLI_USAGE,
		                "--holder: '%s' is not KIND:NAME with a kind of app, agent, "
		                "person or vendor",
		                text);
	issue->kind = (uint8_t)kind;
	issue->holder = rk_str(colon + 1);
	return CLI_DONE;
}

/* A whole number from 1 to RATE_MAX. */
static bool parse_limit(struct rk_slice text, uint32_t *out)
{
	uint64_t n;

	if (!rk_slice_u64(text, &n) || n < 1 || n > RATE_MAX)
		return false;
	*out = (uint32_t)n;
	return true;
}

/* "60/min" or "10000/day"; each at most once. */
static int parse_rate(const char *text, struct msg_key_issue *issue)
{
	const char *slash = strchr(text, '/');
	uint32_t *to = NULL;

	if (slash && strcmp(slash, "/min") == 0)
		to = &issue->rate_per_minute;
	else if (slash && strcmp(slash, "/day") == 0)
		to = &issue->rate_per_day;
	if (to && *to)
		return cli_fail(CLI_USAGE, "--rate: '%s' is a second rate for the same time",
		                text);
	if (!to || !parse_limit(rk_slice(text, (size_t)(slash - text)), to))
		return cli_fail(CLI_USAGE, "--rate: '%s' is no rate: use 60/min or 10000/day",
		                text);
	return CLI_DONE;
}

static int parse_concurrent(const char *text, struct msg_key_issue *issue)
{
	if (!parse_limit(rk_str(text), &issue->max_concurrent))
		return cli_fail(CLI_USAGE, "--concurrent: '%s' is no number of requests", text);
	return CLI_DONE;
}

static struct grant_options *grant_now(struct issue_options *o, const char *option)
{
	if (o->grant_count)
		return &o->grants[o->grant_count - 1];
	cli_fail(CLI_USAGE, "%s belongs behind the --conn that it is for", option);
	return NULL;
}

static int issue_option(struct cli *c, struct issue_options *o, int opt, const char *arg)
{
	struct grant_options *g;

	switch (opt) {
	case 'c':
		if (o->grant_count == MAX_GRANTS)
			return cli_fail(CLI_USAGE, "at most %d --conn", MAX_GRANTS);
		o->grants[o->grant_count++].conn = arg;
		return CLI_DONE;
	case 'm':
		g = grant_now(o, "--method");
		return g ? cli_list_add(&g->methods, arg) : CLI_USAGE;
	case 'p':
		g = grant_now(o, "--path");
		return g ? cli_list_add(&g->paths, arg) : CLI_USAGE;
	case 'q':
		g = grant_now(o, "--deny-query");
		return g ? cli_list_add(&g->deny_query, arg) : CLI_USAGE;
	case 'i':
		return cli_list_add(&o->cidrs, arg);
	case 'h':
		o->holder = arg;
		return parse_holder(arg, &o->issue);
	case 't':
		return cli_parse_ttl(arg, &o->issue.ttl_ms);
	case 'x':
		return cli_parse_time("--expires", arg, &o->issue.expires_ms);
	case 'e':
		o->issue.env = rk_str(arg);
		return CLI_DONE;
	case 'n':
		o->issue.name = rk_str(arg);
		return CLI_DONE;
	case 'r':
		return parse_rate(arg, &o->issue);
	case 'o':
		return parse_concurrent(arg, &o->issue);
	case 'j':
		c->json = true;
		return CLI_DONE;
	default:
		return CLI_USAGE;
	}
}

/* Encodes the grants into list[cap]. */
static int encode_grants(const struct issue_options *o, char *list, size_t cap, size_t *used)
{
	static char one[MSG_MAX_GRANT];

	for (unsigned i = 0; i < o->grant_count; i++) {
		const struct grant_options *g = &o->grants[i];
		struct msg_grant grant = {
		    .conn = rk_str(g->conn),
		    .methods = cli_list_slice(&g->methods),
		    .paths = cli_list_slice(&g->paths),
		    .deny_query = cli_list_slice(&g->deny_query),
		};
		ssize_t n = record_encode(&msg_grant_desc, &grant, one, sizeof one);

		if (n < 0 || record_list_add(list, cap, used, rk_slice(one, (size_t)n)))
			return cli_fail(
			    CLI_USAGE, "too many or too long --method, --path or --deny-query");
		if (!g->methods.used || !g->paths.used)
			fprintf(stderr,
			        "relaykey: warning: without --method and --path the key may do "
			        "nothing on '%s'\n",
			        g->conn);
	}
	return CLI_DONE;
}

static int key_issue(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {
	    {"conn", required_argument, NULL, 'c'},
	    {"method", required_argument, NULL, 'm'},
	    {"path", required_argument, NULL, 'p'},
	    {"deny-query", required_argument, NULL, 'q'},
	    {"ip", required_argument, NULL, 'i'},
	    {"holder", required_argument, NULL, 'h'},
	    {"ttl", required_argument, NULL, 't'},
	    {"expires", required_argument, NULL, 'x'},
	    {"env", required_argument, NULL, 'e'},
	    {"name", required_argument, NULL, 'n'},
	    {"rate", required_argument, NULL, 'r'},
	    {"concurrent", required_argument, NULL, 'o'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	static struct grant_options grants[MAX_GRANTS];
	static struct issue_options o = {.grants = grants};
	static char encoded[MSG_MAX_GRANTS];
	struct ipc_message m;
	size_t used = 0;
	int opt, status;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (issue_option(c, &o, opt, optarg))
			return CLI_USAGE;
	}
	if (optind != argc)
		return cli_fail(CLI_USAGE, "'%s' is no option", argv[optind]);
	if (!o.grant_count || !o.holder)
		return cli_fail(CLI_USAGE, "--conn and --holder are needed");
	if (o.issue.ttl_ms && o.issue.expires_ms)
		return cli_fail(CLI_USAGE, "--ttl or --expires, not both");
	status = encode_grants(&o, encoded, sizeof encoded, &used);
	if (status)
		return status;
	o.issue.grants = rk_slice(encoded, used);
	o.issue.cidrs = cli_list_slice(&o.cidrs);
	status = cli_call(c, MSG_KEY_ISSUE, &o.issue, MSG_KEY_INFO, &m);
	return status ? status : show_issued(c, &m.body.key_info);
}

static int key_list(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {
	    {"conn", required_argument, NULL, 'c'}, {"holder", required_argument, NULL, 'h'},
	    {"live", no_argument, NULL, 'l'},       {"limit", required_argument, NULL, 'n'},
	    {"json", no_argument, NULL, 'j'},       {NULL, 0, NULL, 0},
	};
	struct msg_list list = {0};
	struct ipc_message m;
	uint64_t limit;
	bool titled = false;
	int opt, status;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (opt == 'c') {
			list.conn = rk_str(optarg);
		} else if (opt == 'h') {
			list.holder = rk_str(optarg);
		} else if (opt == 'l') {
			list.live_only = 1;
		} else if (opt == 'n') {
			if (!rk_slice_u64(rk_str(optarg), &limit) || limit > UINT32_MAX)
				return cli_fail(CLI_USAGE, "--limit: '%s' is no number",
				                optarg);
			list.limit = (uint32_t)limit;
		} else if (opt == 'j') {
			c->json = true;
		} else {
			return CLI_USAGE;
		}
	}
	if (optind != argc)
		return cli_fail(CLI_USAGE, "'%s' is no option", argv[optind]);
	status = cli_send(c, MSG_KEY_LIST, &list);
	while (!status) {
		json_t *doc;

		status = cli_receive(c, &m);
		if (status)
			break;
		if (!c->json && !titled)
			printf("%-17s %-16s %-9s %-24s %s\n", "ID", "KEY", "STATE", "EXPIRES",
			       "HOLDER");
		titled = true;
		if (m.type == MSG_DONE)
			break;
		if (m.type != MSG_KEY_INFO)
			return cli_fail(CLI_FAILED, "the broker's answer is malformed");
		doc = render_key(&m.body.key_info);
		if (c->json) {
			status = render_json_line(doc);
			continue;
		}
		render_print(stdout, render_string(doc, "id"), 18);
		render_print(stdout, render_string(doc, "masked"), 17);
		render_print(stdout, render_string(doc, "state"), 10);
		render_print(stdout,
		             *render_string(doc, "expires") ? render_string(doc, "expires")
		                                            : "never",
		             25);
		printf("%s:", render_string(json_object_get(doc, "holder"), "kind"));
		render_print(stdout, render_string(json_object_get(doc, "holder"), "name"), 0);
		putchar('\n');
		json_decref(doc);
	}
	return status;
}

/* Commands whose only argument is a key: `type` is sent, one key comes back. */
static int key_by_ref(struct cli *c, int argc, char **argv, enum ipc_type type)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
	                                        {NULL, 0, NULL, 0}};
	struct ipc_message m;
	struct msg_ref body;
	int opt, status;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (opt != 'j')
			return CLI_USAGE;
		c->json = true;
	}
	if (optind != argc - 1)
		return cli_fail(CLI_USAGE, "which key? one key, id or masked key is needed");
	body = (struct msg_ref){.ref = rk_str(argv[optind])};
	status = cli_call(c, type, &body, MSG_KEY_INFO, &m);
	if (status)
		return status;
	if (type == MSG_KEY_REVOKE && !c->json) {
		printf("status: revoked   %.*s   %.*s\n", RK_FMT(m.body.key_info.id),
		       RK_FMT(m.body.key_info.masked));
		puts("real key: untouched");
		return CLI_DONE;
	}
	return show_key(c, &m.body.key_info);
}

static int key_show(struct cli *c, int argc, char **argv)
{
	return key_by_ref(c, argc, argv, MSG_KEY_GET);
}

int cli_key_revoke(struct cli *c, int argc, char **argv)
{
	return key_by_ref(c, argc, argv, MSG_KEY_REVOKE);
}

static int key_extend(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {
	    {"ttl", required_argument, NULL, 't'},
	    {"expires", required_argument, NULL, 'x'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	struct msg_key_extend body = {0};
	struct ipc_message m;
	int opt, status = CLI_DONE;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (opt == 't')
			status = cli_parse_ttl(optarg, &body.ttl_ms);
		else if (opt == 'x')
			status = cli_parse_time("--expires", optarg, &body.expires_ms);
		else if (opt == 'j')
			c->json = true;
		else
			return CLI_USAGE;
		if (status)
			return status;
	}
	if (optind != argc - 1)
		return cli_fail(CLI_USAGE, "which key? one key, id or masked key is needed");
	if (!body.ttl_ms == !body.expires_ms)
		return cli_fail(CLI_USAGE, "--ttl or --expires is needed, not both");
	body.ref = rk_str(argv[optind]);
	status = cli_call(c, MSG_KEY_EXTEND, &body, MSG_KEY_INFO, &m);
	return status ? status : show_key(c, &m.body.key_info);
}

const char cli_revoke_usage[] =
    "usage: relaykey revoke KEY|ID|rk_vendor...91k [--json]\n"
    "  In force at once, for requests in flight too. The real key is untouched.\n";

const struct cli_command cli_key_commands[] = {
    {"issue", key_issue,
     "usage: relaykey key issue --conn NAME --holder KIND:NAME [--method M]... [--path "
     "GLOB]...\n"
     "           [--deny-query Q]... [--ttl 7d | --expires DATE] [--ip CIDR]... [--env E]\n"
     "           [--name N] [--rate 60/min] [--rate 10000/day] [--concurrent N] [--json]\n"
     "  KIND is app, agent, person or vendor. What is not allowed by --method and --path is\n"
     "  refused; '*' is every method, '/**' every path. Several --conn, each followed by\n"
     "  its own --method, --path and --deny-query, make several grants. --rate and\n"
     "  --concurrent are for the key as a whole.\n"},
    {"list", key_list,
     "usage: relaykey key list [--conn NAME] [--holder KIND:NAME] [--live] [--limit N] "
     "[--json]\n"},
    {"show", key_show, "usage: relaykey key show KEY|ID|rk_vendor...91k [--json]\n"},
    {"revoke", cli_key_revoke, "usage: relaykey key revoke KEY|ID|rk_vendor...91k [--json]\n"},
    {"extend", key_extend,
     "usage: relaykey key extend KEY|ID|rk_vendor...91k (--ttl 7d | --expires DATE) "
     "[--json]\n"},
    {NULL, NULL, NULL},
};

#include <getopt.h>
#include <stdio.h>

#include "cli/key_options.h"
#include "cli/render.h"

struct issue_options {
	struct msg_key_issue issue;
	struct cli_grants *grants;
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
	static const struct {
		const char *label, *member;
	} lines[] = {
	    {"id", "id"},
	    {"masked", "masked"},
	    {"state", "state"},
	    {"name", "name"},
	    {"environment", "environment"},
	    {"created", "created_at"},
	    {"expires", "expires_at"},
	    {"revoked", "revoked_at"},
	    {"last used", "last_used_at"},
	};
	const json_t *holder = json_object_get(doc, "holder");
	json_t *grant;
	size_t i;

	for (i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		if (!*render_string(doc, lines[i].member))
			continue;
		render_print(stdout, lines[i].label, 14);
		render_print(stdout, render_string(doc, lines[i].member), 0);
		putchar('\n');
	}
	printf("%-14s%s:", "holder", render_string(holder, "kind"));
	render_print(stdout, render_string(holder, "name"), 0);
	putchar('\n');
	if (json_is_true(json_object_get(doc, "trusted_only")))
		puts("addresses     trusted ones only");
	if (json_is_true(json_object_get(doc, "honey")))
		printf("%-14snever valid; its use raises an alert\n", "honey key");
	print_limits(json_object_get(doc, "limits"));
	json_array_foreach(json_object_get(doc, "grants"), i, grant)
	{
		static const char *const parts[] = {"allowed_methods", "allowed_paths",
		                                    "deny_query_params"};

		printf("%-14s", "grant");
		render_print(stdout,
		             *render_string(grant, "connection_name")
		                 ? render_string(grant, "connection_name")
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

int cli_show_key(struct cli *c, const struct msg_key_info *k)
{
	json_t *doc = render_key(k);

	if (c->json)
		return render_json_line(doc);
	print_key(doc);
	json_decref(doc);
	return CLI_DONE;
}

/* The one time that the key is shown. */
int cli_show_issued_key(struct cli *c, const struct msg_key_info *k)
{
	json_t *doc = render_key(k);
	int status;

	if (!c->json) {
		fputs("key           ", stdout);
		fflush(stdout);
		status = cli_write_out(k->key);
		puts("");
		print_key(doc);
		puts("The key is shown this once only.");
		json_decref(doc);
		return status;
	}
	return cli_print_once(doc, k->id, "key", k->key);
}

static int issue_option(struct cli *c, struct issue_options *o, int opt, const char *arg)
{
	switch (opt) {
	case 'c':
		return cli_grants_conn(o->grants, arg);
	case 'm':
	case 'p':
	case 'q':
		return cli_grants_add(o->grants, opt, arg);
	case 'i':
		return cli_list_add(&o->cidrs, arg);
	case 'h':
		o->holder = arg;
		return cli_parse_holder(arg, &o->issue.kind, &o->issue.holder);
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
		return cli_parse_rate(arg, &o->issue.rate_per_minute, &o->issue.rate_per_day);
	case 'o':
		return cli_parse_concurrent(arg, &o->issue.max_concurrent);
	case 'T':
		o->issue.flags |= KEY_TRUSTED_ONLY;
		return CLI_DONE;
	case 'A':
		o->issue.flags |= KEY_ANY_IP;
		return CLI_DONE;
	case 'H':
		o->issue.flags |= KEY_HONEY;
		return CLI_DONE;
	case 'j':
		c->json = true;
		return CLI_DONE;
	default:
		return CLI_USAGE;
	}
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
	    {"trusted-only", no_argument, NULL, 'T'},
	    {"any-ip", no_argument, NULL, 'A'},
	    {"honey", no_argument, NULL, 'H'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	static struct cli_grants grants;
	static struct issue_options o = {.grants = &grants};
	struct ipc_message m;
	int opt, status;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (issue_option(c, &o, opt, optarg))
			return CLI_USAGE;
	}
	if (optind != argc)
		return cli_fail(CLI_USAGE, "'%s' is no option", argv[optind]);
	if ((!grants.count && !(o.issue.flags & KEY_HONEY)) || !o.holder)
		return cli_fail(CLI_USAGE, "--conn and --holder are needed");
	if (o.issue.ttl_ms && o.issue.expires_ms)
		return cli_fail(CLI_USAGE, "--ttl or --expires, not both");
	status = cli_grants_encode(&grants, &o.issue.grants);
	if (status)
		return status;
	o.issue.cidrs = cli_list_slice(&o.cidrs);
	status = cli_call(c, MSG_KEY_ISSUE, &o.issue, MSG_KEY_INFO, &m);
	return status ? status : cli_show_issued_key(c, &m.body.key_info);
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
		             *render_string(doc, "expires_at")
		                 ? render_string(doc, "expires_at")
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
	struct ipc_message m;
	struct msg_ref body;
	int status =
	    cli_arguments(c, argc, argv, 1, "which key? one key, id or masked key is needed");

	if (status)
		return status;
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
	return cli_show_key(c, &m.body.key_info);
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
	return status ? status : cli_show_key(c, &m.body.key_info);
}

const char cli_revoke_usage[] =
    "usage: relaykey revoke KEY|ID|rk_vendor...91k [--json]\n"
    "  In force at once, for requests in flight too. The real key is untouched.\n";

const struct cli_command cli_key_commands[] = {
    {"issue", key_issue,
     "usage: relaykey key issue --conn NAME --holder KIND:NAME [--method M]... [--path "
     "GLOB]...\n"
     "           [--deny-query Q]... [--ttl 7d | --expires DATE] [--ip CIDR]... [--env E]\n"
     "           [--trusted-only | --any-ip] [--name N] [--rate 60/min] [--rate 10000/day]\n"
     "           [--concurrent N] [--json]\n"
     "       relaykey key issue --honey --holder KIND:NAME [--name N] [--json]\n"
     "  KIND is app, agent, person or vendor. What is not allowed by --method and --path is\n"
     "  refused; '*' is every method, '/**' every path. Several --conn, each followed by\n"
     "  its own --method, --path and --deny-query, make several grants. --rate and\n"
     "  --concurrent are for the key as a whole.\n"
     "  --trusted-only: only from addresses that the holder is trusted at: the first one, "
     "then\n"
     "  each that was confirmed. A person's or vendor's key is so unless --ip or --any-ip is\n"
     "  given.\n"
     "  --honey: a key that is never valid, to be planted; its use raises an alert.\n"},
    {"mint", cli_key_mint, cli_key_mint_usage},
    {"list", key_list,
     "usage: relaykey key list [--conn NAME] [--holder KIND:NAME] [--live] [--limit N] "
     "[--json]\n"},
    {"show", key_show, "usage: relaykey key show KEY|ID|rk_vendor...91k [--json]\n"},
    {"revoke", cli_key_revoke, "usage: relaykey key revoke KEY|ID|rk_vendor...91k [--json]\n"},
    {"update", cli_key_update, cli_key_update_usage},
    {"extend", key_extend,
     "usage: relaykey key extend KEY|ID|rk_vendor...91k (--ttl 7d | --expires DATE) "
     "[--json]\n"},
    {NULL, NULL, NULL},
};

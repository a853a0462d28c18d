#include <getopt.h>
#include <stdio.h>

#include "cli/key_options.h"
#include "cli/render.h"
#include "policy/mgmt_role.h"

/* ---- showing ---- */

static void print_line(const json_t *doc, const char *name)
{
	if (!*render_string(doc, name))
		return;
	render_print(stdout, name, 16);
	render_print(stdout, render_string(doc, name), 0);
	putchar('\n');
}

static void print_list(const char *before, const json_t *list)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		fputs(i ? "," : before, stdout);
		render_print(stdout, json_string_value(item), 0);
	}
}

static void print_number(const json_t *doc, const char *name, const char *unit)
{
	const json_t *n = json_object_get(doc, name);

	if (json_is_integer(n))
		printf("%-16s%lld%s\n", name, (long long)json_integer_value(n), unit);
}

static void print_bounds(const json_t *bounds)
{
	const json_t *limits = json_object_get(bounds, "limits");
	json_t *grant;
	size_t i;

	json_array_foreach(json_object_get(bounds, "grants"), i, grant)
	{
		printf("%-16s", "may grant");
		render_print(stdout,
		             *render_string(grant, "connection_name")
		                 ? render_string(grant, "connection_name")
		                 : "(removed)",
		             0);
		print_list("  ", json_object_get(grant, "allowed_methods"));
		print_list("  ", json_object_get(grant, "allowed_paths"));
		print_list("  without ", json_object_get(grant, "deny_query_params"));
		putchar('\n');
	}
	printf("%-16s", "to");
	if (json_array_size(json_object_get(bounds, "kinds")) == 0)
		fputs("anything", stdout);
	print_list("", json_object_get(bounds, "kinds"));
	putchar('\n');
	print_number(bounds, "max_ttl_seconds", "");
	print_number(bounds, "max_live_keys", "");
	print_number(limits, "per_minute", "");
	print_number(limits, "per_day", "");
	print_number(limits, "concurrent", "");
	print_line(bounds, "environment");
	print_line(bounds, "holder");
}

static void print_mgmt(const json_t *doc)
{
	static const char *const lines[] = {"id",         "masked",     "role",
	                                    "name",       "state",      "created_at",
	                                    "expires_at", "revoked_at", "last_used_at"};
	const json_t *bounds = json_object_get(doc, "bounds");

	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		print_line(doc, lines[i]);
	if (json_is_object(bounds))
		print_bounds(bounds);
	print_number(doc, "live_keys", "");
}

static int show(struct cli *c, const struct msg_mgmt_info *k)
{
	json_t *doc = render_mgmt(k);

	if (c->json)
		return render_json_line(doc);
	print_mgmt(doc);
	json_decref(doc);
	return CLI_DONE;
}

/* The one time that the key is shown. */
static int show_issued(struct cli *c, const struct msg_mgmt_info *k)
{
	json_t *doc = render_mgmt(k);
	int status;

	if (c->json)
		return cli_print_once(doc, k->id, "key", k->key);
	fputs("key             ", stdout);
	fflush(stdout);
	status = cli_write_out(k->key);
	puts("");
	print_mgmt(doc);
	puts("The key is shown this once only.");
	json_decref(doc);
	return status;
}

/* ---- issue ---- */

struct issue_options {
	struct msg_mgmt_issue m;
	struct cli_grants *grants;
};

static int take_role(struct issue_options *o, const char *text)
{
	enum mgmt_role role;

	if (mgmt_role_parse(rk_str(text), &role))
		return cli_fail(CLI_USAGE,
		                "--role: '%s' is none of admin, operator, auditor, provisioner",
		                text);
	o->m.role = (uint8_t)role;
	return CLI_DONE;
}

static int take_kind(struct issue_options *o, const char *text)
{
	enum holder_kind kind;

	if (holder_kind_parse(rk_str(text), &kind))
		return cli_fail(CLI_USAGE, "--kind: '%s' is none of app, agent, person, vendor",
		                text);
	o->m.kinds |= 1u << kind;
	return CLI_DONE;
}

static int issue_option(struct cli *c, struct issue_options *o, int opt, const char *arg)
{
	switch (opt) {
	case 'R':
		return take_role(o, arg);
	case 'n':
		o->m.name = rk_str(arg);
		return CLI_DONE;
	case 't':
		return cli_parse_ttl(arg, &o->m.ttl_ms);
	case 'x':
		return cli_parse_time("--expires", arg, &o->m.expires_ms);
	case 'c':
		return cli_grants_conn(o->grants, arg);
	case 'm':
	case 'p':
	case 'q':
		return cli_grants_add(o->grants, opt, arg);
	case 'k':
		return take_kind(o, arg);
	case 'T':
		return cli_parse_ttl(arg, &o->m.max_ttl_ms);
	case 'L':
		if (!cli_parse_number(rk_str(arg), &o->m.max_live_keys))
			return cli_fail(CLI_USAGE, "--max-live: '%s' is no number of keys",
			                arg);
		return CLI_DONE;
	case 'r':
		return cli_parse_rate(arg, &o->m.rate_per_minute, &o->m.rate_per_day);
	case 'o':
		return cli_parse_concurrent(arg, &o->m.max_concurrent);
	case 'e':
		o->m.env = rk_str(arg);
		return CLI_DONE;
	case 'h':
		o->m.holder = rk_str(arg);
		return CLI_DONE;
	case 'j':
		c->json = true;
		return CLI_DONE;
	default:
		return CLI_USAGE;
	}
}

static int mgmt_issue(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {
	    {"role", required_argument, NULL, 'R'},
	    {"name", required_argument, NULL, 'n'},
	    {"ttl", required_argument, NULL, 't'},
	    {"expires", required_argument, NULL, 'x'},
	    {"conn", required_argument, NULL, 'c'},
	    {"method", required_argument, NULL, 'm'},
	    {"path", required_argument, NULL, 'p'},
	    {"deny-query", required_argument, NULL, 'q'},
	    {"kind", required_argument, NULL, 'k'},
	    {"max-ttl", required_argument, NULL, 'T'},
	    {"max-live", required_argument, NULL, 'L'},
	    {"rate", required_argument, NULL, 'r'},
	    {"concurrent", required_argument, NULL, 'o'},
	    {"env", required_argument, NULL, 'e'},
	    {"holder", required_argument, NULL, 'h'},
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
	if (!o.m.role || !o.m.name.n)
		return cli_fail(CLI_USAGE, "--role and --name are needed");
	if (o.m.ttl_ms && o.m.expires_ms)
		return cli_fail(CLI_USAGE, "--ttl or --expires, not both");
	status = cli_grants_encode(&grants, &o.m.grants);
	if (!status)
		status = cli_call(c, MSG_MGMT_ISSUE, &o.m, MSG_MGMT_INFO, &m);
	return status ? status : show_issued(c, &m.body.mgmt_info);
}

/* ---- list ---- */

static int print_row(struct cli *c, const struct msg_mgmt_info *k)
{
	json_t *doc = render_mgmt(k);
	const char *until = render_string(doc, "expires_at");

	if (c->json)
		return render_json_line(doc);
	render_print(stdout, render_string(doc, "id"), 18);
	render_print(stdout, render_string(doc, "role"), 12);
	render_print(stdout, render_string(doc, "state"), 9);
	render_print(stdout, *until ? until : "never", 25);
	render_print(stdout, render_string(doc, "name"), 0);
	putchar('\n');
	json_decref(doc);
	return CLI_DONE;
}

static int mgmt_list(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {
	    {"live", no_argument, NULL, 'l'},
	    {"limit", required_argument, NULL, 'n'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	struct msg_list list = {0};
	struct ipc_message m;
	bool titled = false;
	int opt, status;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (opt == 'l')
			list.live_only = 1;
		else if (opt == 'j')
			c->json = true;
		else if (opt != 'n')
			return CLI_USAGE;
		else if (!cli_parse_number(rk_str(optarg), &list.limit))
			return cli_fail(CLI_USAGE, "--limit: '%s' is no number", optarg);
	}
	if (optind != argc)
		return cli_fail(CLI_USAGE, "'%s' is no option", argv[optind]);
	status = cli_send(c, MSG_MGMT_LIST, &list);
	while (!status) {
		status = cli_receive(c, &m);
		if (status)
			break;
		if (!c->json && !titled)
			printf("%-17s %-11s %-8s %-24s %s\n", "ID", "ROLE", "STATE", "EXPIRES",
			       "NAME");
		titled = true;
		if (m.type == MSG_DONE)
			break;
		if (m.type != MSG_MGMT_INFO)
			return cli_fail(CLI_FAILED, "the broker's answer is malformed");
		status = print_row(c, &m.body.mgmt_info);
	}
	return status;
}

/* ---- one key ---- */

static const char which_key[] = "which management key? one key, id or masked key is needed";

static int one_ref(int argc, char **argv, struct rk_slice *ref)
{
	if (optind != argc - 1)
		return cli_fail(CLI_USAGE, "%s", which_key);
	*ref = rk_str(argv[optind]);
	return CLI_DONE;
}

static int mgmt_show(struct cli *c, int argc, char **argv)
{
	struct ipc_message m;
	struct msg_ref body;
	int status = cli_arguments(c, argc, argv, 1, which_key);

	if (status)
		return status;
	body = (struct msg_ref){.ref = rk_str(argv[optind])};
	status = cli_call(c, MSG_MGMT_GET, &body, MSG_MGMT_INFO, &m);
	return status ? status : show(c, &m.body.mgmt_info);
}

static int mgmt_revoke(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {{"cascade", no_argument, NULL, 'C'},
	                                        {"json", no_argument, NULL, 'j'},
	                                        {NULL, 0, NULL, 0}};
	struct msg_mgmt_revoke body = {0};
	const struct msg_mgmt_info *k;
	struct ipc_message m;
	int opt, status;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (opt == 'C')
			body.cascade = 1;
		else if (opt == 'j')
			c->json = true;
		else
			return CLI_USAGE;
	}
	status = one_ref(argc, argv, &body.ref);
	if (!status)
		status = cli_call(c, MSG_MGMT_REVOKE, &body, MSG_MGMT_INFO, &m);
	if (status)
		return status;
	k = &m.body.mgmt_info;
	if (c->json)
		return show(c, k);
	printf("status: revoked   %.*s   %.*s\n", RK_FMT(k->id), RK_FMT(k->masked));
	if (k->live_keys)
		printf("%u relay keys that it minted are live: --cascade revokes them too\n",
		       k->live_keys);
	return CLI_DONE;
}

static int mgmt_extend(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {
	    {"ttl", required_argument, NULL, 't'}, {"expires", required_argument, NULL, 'x'},
	    {"never", no_argument, NULL, 'N'},     {"name", required_argument, NULL, 'n'},
	    {"json", no_argument, NULL, 'j'},      {NULL, 0, NULL, 0},
	};
	struct msg_mgmt_update body = {0};
	struct ipc_message m;
	bool never = false;
	int opt, status = CLI_DONE;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (opt == 't')
			status = cli_parse_ttl(optarg, &body.ttl_ms);
		else if (opt == 'x')
			status = cli_parse_time("--expires", optarg, &body.expires_ms);
		else if (opt == 'N')
			never = true;
		else if (opt == 'n')
			body.name = rk_str(optarg);
		else if (opt == 'j')
			c->json = true;
		else
			return CLI_USAGE;
		if (status)
			return status;
	}
	if ((body.ttl_ms != 0) + (body.expires_ms != 0) + never > 1)
		return cli_fail(CLI_USAGE, "--ttl, --expires or --never, only one of them");
	if (body.ttl_ms || body.expires_ms || never)
		body.set |= MGMT_SET_EXPIRY;
	if (body.name.n)
		body.set |= MGMT_SET_NAME;
	if (!body.set)
		return cli_fail(CLI_USAGE, "say until when, or another name");
	status = one_ref(argc, argv, &body.ref);
	if (!status)
		status = cli_call(c, MSG_MGMT_UPDATE, &body, MSG_MGMT_INFO, &m);
	return status ? status : show(c, &m.body.mgmt_info);
}

const struct cli_command cli_mgmt_commands[] = {
    {"issue", mgmt_issue,
     "usage: relaykey mgmt issue --role ROLE --name N [--ttl 90d | --expires DATE] [--json]\n"
     "       relaykey mgmt issue --role provisioner --name N --conn NAME --method M... --path\n"
     "           GLOB... [--deny-query Q]... [--kind K]... [--max-ttl 1h] [--max-live N]\n"
     "           [--rate 60/min] [--rate 10000/day] [--concurrent N] [--env E] [--holder H]\n"
     "           [--ttl 90d | --expires DATE] [--json]\n"
     "  ROLE is admin, operator, auditor or provisioner. A provisioner's key mints relay keys\n"
     "  within these bounds and can do nothing else: --conn with --method and --path is what\n"
     "  they may be granted at most, --max-ttl how long they may live, --max-live how many at\n"
     "  once, --kind what their holders may be.\n"},
    {"list", mgmt_list, "usage: relaykey mgmt list [--live] [--limit N] [--json]\n"},
    {"show", mgmt_show, "usage: relaykey mgmt show KEY|ID|rk_mgmt_admin...91k [--json]\n"},
    {"revoke", mgmt_revoke,
     "usage: relaykey mgmt revoke KEY|ID|rk_mgmt_admin...91k [--cascade] [--json]\n"
     "  In force at once. --cascade revokes every relay key that it minted as well.\n"},
    {"extend", mgmt_extend,
     "usage: relaykey mgmt extend KEY|ID|rk_mgmt_admin...91k [--ttl 90d | --expires DATE |\n"
     "           --never] [--name N] [--json]\n"},
    {NULL, NULL, NULL},
};

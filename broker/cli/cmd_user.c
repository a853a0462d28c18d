#include <getopt.h>
#include <stdio.h>

#include "cli/key_options.h"
#include "cli/render.h"
#include "policy/mgmt_role.h"

static int show(struct cli *c, const struct msg_user_info *u)
{
	static const char *const lines[] = {"id",   "name",       "email",
	                                    "role", "created_at", "updated_at"};
	json_t *doc = render_user(u);

	if (c->json)
		return render_json_line(doc);
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		if (!*render_string(doc, lines[i]))
			continue;
		render_print(stdout, lines[i], 14);
		render_print(stdout, render_string(doc, lines[i]), 0);
		putchar('\n');
	}
	printf("%-14s%s\n", "state", u->enabled ? "enabled" : "disabled");
	json_decref(doc);
	return CLI_DONE;
}

/* What add and update have in common. */
struct user_options {
	struct msg_user_update m;
	bool json;
};

static int user_option(struct user_options *o, int opt, const char *arg)
{
	enum mgmt_role role;

	switch (opt) {
	case 'n':
		o->m.set |= USER_SET_NAME;
		o->m.name = rk_str(arg);
		return CLI_DONE;
	case 'e':
		o->m.set |= USER_SET_EMAIL;
		o->m.email = rk_str(arg);
		return CLI_DONE;
	case 'R':
		if (mgmt_role_parse(rk_str(arg), &role))
			return cli_fail(CLI_USAGE,
			                "--role: '%s' is none of admin, operator, auditor, "
			                "provisioner",
			                arg);
		o->m.set |= USER_SET_ROLE;
		o->m.role = (uint8_t)role;
		return CLI_DONE;
	case 'E':
	case 'D':
		if (o->m.set & USER_SET_ENABLED)
			return cli_fail(CLI_USAGE, "--enable or --disable, once");
		o->m.set |= USER_SET_ENABLED;
		o->m.enabled = opt == 'E';
		return CLI_DONE;
	case 'j':
		o->json = true;
		return CLI_DONE;
	default:
		return CLI_USAGE;
	}
}

static int parse(struct cli *c, int argc, char **argv, const struct option *options,
                 struct user_options *o)
{
	int opt;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (user_option(o, opt, optarg))
			return CLI_USAGE;
	}
	c->json = c->json || o->json;
	if (optind != argc - 1)
		return cli_fail(CLI_USAGE, "which user? one NAME or id is needed");
	o->m.ref = rk_str(argv[optind]);
	return CLI_DONE;
}

static int user_add(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {
	    {"email", required_argument, NULL, 'e'},
	    {"role", required_argument, NULL, 'R'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	struct user_options o = {0};
	struct msg_user_add body;
	struct ipc_message m;
	int status = parse(c, argc, argv, options, &o);

	if (!status && !o.m.role)
		status = cli_fail(CLI_USAGE, "--role is needed");
	if (status)
		return status;
	body = (struct msg_user_add){.name = o.m.ref, .email = o.m.email, .role = o.m.role};
	status = cli_call(c, MSG_USER_ADD, &body, MSG_USER_INFO, &m);
	return status ? status : show(c, &m.body.user_info);
}

static int user_update(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {
	    {"name", required_argument, NULL, 'n'},
	    {"email", required_argument, NULL, 'e'},
	    {"role", required_argument, NULL, 'R'},
	    {"enable", no_argument, NULL, 'E'},
	    {"disable", no_argument, NULL, 'D'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	struct user_options o = {0};
	struct ipc_message m;
	int status = parse(c, argc, argv, options, &o);

	if (!status && !o.m.set)
		status = cli_fail(CLI_USAGE, "say what to change");
	if (!status)
		status = cli_call(c, MSG_USER_UPDATE, &o.m, MSG_USER_INFO, &m);
	return status ? status : show(c, &m.body.user_info);
}

static const struct option only_json[] = {{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};

static int user_show(struct cli *c, int argc, char **argv)
{
	struct user_options o = {0};
	struct ipc_message m;
	int status = parse(c, argc, argv, only_json, &o);
	const struct msg_ref body = {.ref = o.m.ref};

	if (!status)
		status = cli_call(c, MSG_USER_GET, &body, MSG_USER_INFO, &m);
	return status ? status : show(c, &m.body.user_info);
}

static int user_remove(struct cli *c, int argc, char **argv)
{
	struct user_options o = {0};
	struct ipc_message m;
	int status = parse(c, argc, argv, only_json, &o);
	const struct msg_ref body = {.ref = o.m.ref};

	if (!status)
		status = cli_call(c, MSG_USER_REMOVE, &body, MSG_DONE, &m);
	if (status)
		return status;
	if (c->json)
		return render_json_line(
		    json_pack("{s:o, s:b}", "user", render_text(body.ref), "removed", 1));
	puts("removed");
	return CLI_DONE;
}

static int print_row(struct cli *c, const struct msg_user_info *u)
{
	json_t *doc = render_user(u);

	if (c->json)
		return render_json_line(doc);
	render_print(stdout, render_string(doc, "name"), 21);
	render_print(stdout, render_string(doc, "role"), 12);
	render_print(stdout, u->enabled ? "enabled" : "disabled", 10);
	render_print(stdout, render_string(doc, "email"), 0);
	putchar('\n');
	json_decref(doc);
	return CLI_DONE;
}

static int user_list(struct cli *c, int argc, char **argv)
{
	const struct msg_list list = {0};
	struct ipc_message m;
	bool titled = false;
	int opt, status;

	optind = 0;
	while ((opt = cli_option(argc, argv, only_json)) != -1) {
		if (opt != 'j')
			return CLI_USAGE;
		c->json = true;
	}
	if (optind != argc)
		return cli_fail(CLI_USAGE, "too many arguments");
	status = cli_send(c, MSG_USER_LIST, &list);
	while (!status) {
		status = cli_receive(c, &m);
		if (status)
			break;
		if (!c->json && !titled)
			printf("%-20s %-11s %-9s %s\n", "NAME", "ROLE", "STATE", "E-MAIL");
		titled = true;
		if (m.type == MSG_DONE)
			break;
		if (m.type != MSG_USER_INFO)
			return cli_fail(CLI_FAILED, "the broker's answer is malformed");
		status = print_row(c, &m.body.user_info);
	}
	return status;
}

const struct cli_command cli_user_commands[] = {
    {"add", user_add,
     "usage: relaykey user add NAME --role ROLE [--email ADDRESS] [--json]\n"
     "  ROLE is admin, operator, auditor or provisioner.\n"},
    {"list", user_list, "usage: relaykey user list [--json]\n"},
    {"show", user_show, "usage: relaykey user show NAME|ID [--json]\n"},
    {"update", user_update,
     "usage: relaykey user update NAME|ID [--name N] [--email ADDRESS] [--role ROLE]\n"
     "           [--enable | --disable] [--json]\n"
     "  The last enabled administrator stays one.\n"},
    {"remove", user_remove, "usage: relaykey user remove NAME|ID [--json]\n"},
    {NULL, NULL, NULL},
};

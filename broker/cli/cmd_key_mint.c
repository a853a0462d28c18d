#include <getopt.h>

#include "cli/key_options.h"

struct mint_options {
	struct msg_key_mint m;
	struct cli_list methods, paths, deny_query, cidrs;
};

static int take_kind(struct mint_options *o, const char *text)
{
	enum holder_kind kind;

	if (holder_kind_parse(rk_str(text), &kind))
		return cli_fail(CLI_USAGE, "--kind: '%s' is none of app, agent, person, vendor",
		                text);
	o->m.set |= MINT_SET_KIND;
	o->m.kind = (uint8_t)kind;
	return CLI_DONE;
}

static int mint_option(struct cli *c, struct mint_options *o, int opt, const char *arg)
{
	switch (opt) {
	case 'c':
		if (o->m.conn.n)
			return cli_fail(CLI_USAGE, "--conn, once: a key that is minted has one "
			                           "grant");
		o->m.conn = rk_str(arg);
		return CLI_DONE;
	case 'n':
		o->m.name = rk_str(arg);
		return CLI_DONE;
	case 'm':
		return cli_list_add(&o->methods, arg);
	case 'p':
		return cli_list_add(&o->paths, arg);
	case 'q':
		return cli_list_add(&o->deny_query, arg);
	case 'i':
		return cli_list_add(&o->cidrs, arg);
	case 't':
		return cli_parse_ttl(arg, &o->m.ttl_ms);
	case 'k':
		return take_kind(o, arg);
	case 'h':
		o->m.holder = rk_str(arg);
		return CLI_DONE;
	case 'e':
		o->m.env = rk_str(arg);
		return CLI_DONE;
	case 'r':
		return cli_parse_rate(arg, &o->m.rate_per_minute, &o->m.rate_per_day);
	case 'o':
		return cli_parse_concurrent(arg, &o->m.max_concurrent);
	case 'j':
		c->json = true;
		return CLI_DONE;
	default:
		return CLI_USAGE;
	}
}

int cli_key_mint(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {
	    {"conn", required_argument, NULL, 'c'},
	    {"name", required_argument, NULL, 'n'},
	    {"method", required_argument, NULL, 'm'},
	    {"path", required_argument, NULL, 'p'},
	    {"deny-query", required_argument, NULL, 'q'},
	    {"ip", required_argument, NULL, 'i'},
	    {"ttl", required_argument, NULL, 't'},
	    {"kind", required_argument, NULL, 'k'},
	    {"holder", required_argument, NULL, 'h'},
	    {"env", required_argument, NULL, 'e'},
	    {"rate", required_argument, NULL, 'r'},
	    {"concurrent", required_argument, NULL, 'o'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	static struct mint_options o;
	struct ipc_message m;
	int opt, status;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (mint_option(c, &o, opt, optarg))
			return CLI_USAGE;
	}
	if (optind != argc)
		return cli_fail(CLI_USAGE, "'%s' is no option", argv[optind]);
	if (!o.m.conn.n || !o.methods.used || !o.paths.used)
		return cli_fail(CLI_USAGE, "--conn, --method and --path are needed");
	o.m.methods = cli_list_slice(&o.methods);
	o.m.paths = cli_list_slice(&o.paths);
	o.m.deny_query = cli_list_slice(&o.deny_query);
	o.m.cidrs = cli_list_slice(&o.cidrs);
	status = cli_call(c, MSG_KEY_MINT, &o.m, MSG_KEY_INFO, &m);
	return status ? status : cli_show_issued_key(c, &m.body.key_info);
}

const char cli_key_mint_usage[] =
    "usage: relaykey key mint --conn NAME --method M... --path GLOB... [--deny-query Q]...\n"
    "           [--name N] [--ttl 15m] [--kind K] [--holder NAME] [--env E] [--ip CIDR]...\n"
    "           [--rate 60/min] [--rate 10000/day] [--concurrent N] [--json]\n"
    "  A key for an automation: with a provisioner's management key, within its bounds; with\n"
    "  another one, or over the control socket, without any. KIND is an agent unless said.\n";

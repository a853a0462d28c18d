#include <getopt.h>

#include "cli/key_options.h"

struct update_options {
	struct msg_key_update m;
	struct cli_grants *grants;
	struct cli_list cidrs;
	bool any_ip, never;
};

/* "60/min", or "none/min" for no such limit any more. */
static int take_rate(struct update_options *o, const char *text)
{
	const char *slash = strchr(text, '/');
	bool none = slash && rk_slice_is(rk_slice(text, (size_t)(slash - text)), "none");

	if (!none || (strcmp(slash, "/min") && strcmp(slash, "/day"))) {
		int status = cli_parse_rate(text, &o->m.rate_per_minute, &o->m.rate_per_day);

		if (status)
			return status;
	}
	o->m.set |= strcmp(slash, "/min") == 0 ? KEY_SET_RATE_PER_MINUTE : KEY_SET_RATE_PER_DAY;
	return CLI_DONE;
}

static int take_concurrent(struct update_options *o, const char *text)
{
	o->m.set |= KEY_SET_MAX_CONCURRENT;
	return strcmp(text, "none") == 0 ? CLI_DONE
	                                 : cli_parse_concurrent(text, &o->m.max_concurrent);
}

static int take_trusted(struct update_options *o, const char *text)
{
	o->m.set |= KEY_SET_FLAGS;
	if (strcmp(text, "yes") == 0)
		o->m.flags = KEY_TRUSTED_ONLY;
	else if (strcmp(text, "no") != 0)
		return cli_fail(CLI_USAGE, "--trusted-only: say yes or no");
	return CLI_DONE;
}

static int update_option(struct cli *c, struct update_options *o, int opt, const char *arg)
{
	switch (opt) {
	case 'c':
		o->m.set |= KEY_SET_GRANTS;
		return cli_grants_conn(o->grants, arg);
	case 'm':
	case 'p':
	case 'q':
		return cli_grants_add(o->grants, opt, arg);
	case 'i':
		o->m.set |= KEY_SET_CIDRS;
		return cli_list_add(&o->cidrs, arg);
	case 'A':
		o->m.set |= KEY_SET_CIDRS;
		o->any_ip = true;
		return CLI_DONE;
	case 't':
		o->m.set |= KEY_SET_EXPIRY;
		return cli_parse_ttl(arg, &o->m.ttl_ms);
	case 'x':
		o->m.set |= KEY_SET_EXPIRY;
		return cli_parse_time("--expires", arg, &o->m.expires_ms);
	case 'N':
		o->m.set |= KEY_SET_EXPIRY;
		o->never = true;
		return CLI_DONE;
	case 'e':
		o->m.set |= KEY_SET_ENV;
		o->m.env = rk_str(arg);
		return CLI_DONE;
	case 'n':
		o->m.set |= KEY_SET_NAME;
		o->m.name = rk_str(arg);
		return CLI_DONE;
	case 'r':
		return take_rate(o, arg);
	case 'o':
		return take_concurrent(o, arg);
	case 'T':
		return take_trusted(o, arg);
	case 'j':
		c->json = true;
		return CLI_DONE;
	default:
		return CLI_USAGE;
	}
}

int cli_key_update(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {
	    {"conn", required_argument, NULL, 'c'},
	    {"method", required_argument, NULL, 'm'},
	    {"path", required_argument, NULL, 'p'},
	    {"deny-query", required_argument, NULL, 'q'},
	    {"ip", required_argument, NULL, 'i'},
	    {"any-ip", no_argument, NULL, 'A'},
	    {"ttl", required_argument, NULL, 't'},
	    {"expires", required_argument, NULL, 'x'},
	    {"never", no_argument, NULL, 'N'},
	    {"env", required_argument, NULL, 'e'},
	    {"name", required_argument, NULL, 'n'},
	    {"rate", required_argument, NULL, 'r'},
	    {"concurrent", required_argument, NULL, 'o'},
	    {"trusted-only", required_argument, NULL, 'T'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	static struct cli_grants grants;
	static struct update_options o = {.grants = &grants};
	struct ipc_message m;
	int opt, status;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (update_option(c, &o, opt, optarg))
			return CLI_USAGE;
	}
	if (optind != argc - 1)
		return cli_fail(CLI_USAGE, "which key? one key, id or masked key is needed");
	if (!o.m.set)
		return cli_fail(CLI_USAGE, "say what to change");
	if ((o.m.ttl_ms != 0) + (o.m.expires_ms != 0) + o.never > 1)
		return cli_fail(CLI_USAGE, "--ttl, --expires or --never, only one of them");
	if (o.any_ip && o.cidrs.used)
		return cli_fail(CLI_USAGE, "--ip or --any-ip, not both");
	status = cli_grants_encode(&grants, &o.m.grants);
	if (status)
		return status;
	o.m.ref = rk_str(argv[optind]);
	o.m.cidrs = cli_list_slice(&o.cidrs);
	status = cli_call(c, MSG_KEY_UPDATE, &o.m, MSG_KEY_INFO, &m);
	return status ? status : cli_show_key(c, &m.body.key_info);
}

const char cli_key_update_usage[] =
    "usage: relaykey key update KEY|ID|rk_vendor...91k [--name N] [--env E]\n"
    "           [--ttl 7d | --expires DATE | --never] [--ip CIDR]... [--any-ip]\n"
    "           [--conn NAME [--method M]... [--path GLOB]... [--deny-query Q]...]...\n"
    "           [--rate N/min|none/min] [--rate N/day|none/day] [--concurrent N|none]\n"
    "           [--trusted-only yes|no] [--json]\n"
    "  What is not named stays. --ip and --conn replace all addresses and grants the key has.\n"
    "  A change that only takes away is in force at once; requests in flight that the key\n"
    "  would not get any more are cut.\n";

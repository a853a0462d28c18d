/*
 * relaykey conn update: what a connection is, member by member.
 */
#include <getopt.h>
#include <stdio.h>

#include "base/file.h"
#include "cli/cli.h"
#include "cli/render.h"

struct update_options {
	struct msg_conn_update body;
	struct cli_list auth;
	const char *secret_file, *ca_file;
};

static int take_flag(struct update_options *o, const char *arg, uint32_t flag, uint32_t set)
{
	bool on = strcmp(arg, "yes") == 0;

	if (!on && strcmp(arg, "no") != 0)
		return cli_fail(CLI_USAGE, "yes or no, not '%s'", arg);
	if (o->body.set & set && !!(o->body.flags & flag) != on)
		return cli_fail(CLI_USAGE, "one option is both yes and no");
	o->body.set |= set;
	o->body.flags |= on ? flag : 0;
	return CLI_DONE;
}

static int take_option(struct cli *c, struct update_options *o, int opt, const char *arg)
{
	struct msg_conn_update *b = &o->body;

	switch (opt) {
	case 'n':
		b->set |= CONN_SET_NAME;
		b->name = rk_str(arg);
		return CLI_DONE;
	case 'p':
		b->set |= CONN_SET_PROVIDER;
		b->provider = rk_str(arg);
		return CLI_DONE;
	case 'u':
		b->set |= CONN_SET_BASE_URL;
		b->base_url = rk_str(arg);
		return CLI_DONE;
	case 'a':
		b->set |= CONN_SET_AUTH;
		return cli_list_add(&o->auth, arg);
	case 'c':
		b->set |= CONN_SET_CA;
		o->ca_file = strcmp(arg, "system") == 0 ? NULL : arg;
		return CLI_DONE;
	case 's':
		o->secret_file = arg;
		return CLI_DONE;
	case 'P':
		return take_flag(o, arg, UPSTREAM_ALLOW_PRIVATE, CONN_SET_PRIVATE);
	case 'E':
		return take_flag(o, arg, UPSTREAM_ALLOW_ENCODED_SLASH, CONN_SET_ENCODED_SLASH);
	case 'C':
		return take_flag(o, arg, UPSTREAM_ALLOW_SET_COOKIE, CONN_SET_COOKIE);
	case 'j':
		c->json = true;
		return CLI_DONE;
	default:
		return CLI_USAGE;
	}
}

static bool needs_secret(const struct update_options *o)
{
	return o->secret_file ||
	       o->body.set & (CONN_SET_BASE_URL | CONN_SET_AUTH | CONN_SET_CA);
}

int cli_conn_update(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {
	    {"name", required_argument, NULL, 'n'},
	    {"provider", required_argument, NULL, 'p'},
	    {"base-url", required_argument, NULL, 'u'},
	    {"auth", required_argument, NULL, 'a'},
	    {"ca", required_argument, NULL, 'c'},
	    {"secret-file", required_argument, NULL, 's'},
	    {"allow-private", required_argument, NULL, 'P'},
	    {"allow-encoded-slash", required_argument, NULL, 'E'},
	    {"allow-set-cookie", required_argument, NULL, 'C'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	static struct update_options o;
	RK_SECRET_AUTO secret = {0};
	struct rk_buf ca = {0};
	struct rk_fault fault;
	int opt, status;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (take_option(c, &o, opt, optarg))
			return CLI_USAGE;
	}
	if (optind != argc - 1)
		return cli_fail(CLI_USAGE, "which connection? one NAME or id is needed");
	o.body.ref = rk_str(argv[optind]);
	o.body.auth = cli_list_slice(&o.auth);
	if (!o.body.set && !o.secret_file)
		return cli_fail(CLI_USAGE, "what shall change?");
	if (o.ca_file && file_read(o.ca_file, MSG_MAX_PEM, &ca, &fault))
		return cli_fail(CLI_FAILED, "%s", fault.text);
	o.body.ca_pem = rk_buf_slice(&ca);
	status = needs_secret(&o)
	             ? cli_read_secret(o.secret_file, "secret of the connection", &secret)
	             : CLI_DONE;
	o.body.secret = rk_secret_slice(&secret);
	if (!status)
		status = cli_conn_call(c, MSG_CONN_UPDATE, &o.body);
	rk_buf_free(&ca);
	return status;
}

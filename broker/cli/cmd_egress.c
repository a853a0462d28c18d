/*
 * How a connection's upstream is reached: options of `conn add`, and the commands that change
 * it later.
 */
#include <getopt.h>
#include <stdio.h>

#include "base/file.h"
#include "cli/cli.h"

/* Standard input ends once: at most one secret comes from there. */
static int check_standard_input(const struct cli_egress *e, const char *secret_file)
{
	const char *const files[] = {secret_file, e->proxy_secret_file, e->key_file};
	unsigned count = 0;

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		count += files[i] && strcmp(files[i], "-") == 0;
	if (count > 1)
		return cli_fail(CLI_USAGE, "only one secret can come from standard input");
	return CLI_DONE;
}

int cli_egress_read(struct cli_egress *e, const char *secret_file)
{
	struct rk_fault fault;
	int status = check_standard_input(e, secret_file);

	if (status)
		return status;
	if (!e->certificate_file != !e->key_file)
		return cli_fail(CLI_USAGE, "--client-cert and --client-key-file come together");
	if (e->proxy && strcmp(e->proxy, "default") == 0)
		e->proxy = "";
	if (e->proxy_secret_file && !e->proxy)
		return cli_fail(CLI_USAGE, "--egress-proxy-secret-file needs --egress-proxy");
	if (e->certificate_file &&
	    file_read(e->certificate_file, MSG_MAX_CHAIN, &e->chain, &fault))
		return cli_fail(CLI_FAILED, "%s", fault.text);
	if (e->key_file)
		status = cli_read_secret(e->key_file, "private key", &e->key);
	if (!status && e->proxy_secret_file)
		status = cli_read_secret(e->proxy_secret_file, "user:password for the proxy",
		                         &e->proxy_secret);
	return status;
}

void cli_egress_free(struct cli_egress *e)
{
	rk_buf_free(&e->chain);
	rk_secret_free(&e->key);
	rk_secret_free(&e->proxy_secret);
}

/* Options and the one NAME of a command that changes it. */
static int parse(struct cli *c, int argc, char **argv, const struct option *options,
                 struct cli_egress *e, bool *none, const char **ref)
{
	int opt;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		switch (opt) {
		case 'j':
			c->json = true;
			break;
		case 'c':
			e->certificate_file = optarg;
			break;
		case 'k':
			e->key_file = optarg;
			break;
		case 'x':
			e->proxy = optarg;
			break;
		case 'X':
			e->proxy_secret_file = optarg;
			break;
		case 'n':
			*none = true;
			break;
		default:
			return CLI_USAGE;
		}
	}
	if (optind != argc - 1)
		return cli_fail(CLI_USAGE, "which connection? one NAME or id is needed");
	*ref = argv[optind];
	return CLI_DONE;
}

int cli_conn_set_identity(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {
	    {"client-cert", required_argument, NULL, 'c'},
	    {"client-key-file", required_argument, NULL, 'k'},
	    {"none", no_argument, NULL, 'n'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	struct cli_egress e = {0};
	struct msg_conn_identity body;
	const char *ref = NULL;
	bool none = false;
	int status = parse(c, argc, argv, options, &e, &none, &ref);

	if (!status && none == (e.certificate_file != NULL))
		status =
		    cli_fail(CLI_USAGE, "give --client-cert and --client-key-file, or --none");
	if (!status)
		status = cli_egress_read(&e, NULL);
	if (!status) {
		body = (struct msg_conn_identity){
		    .ref = rk_str(ref),
		    .client_chain = rk_buf_slice(&e.chain),
		    .client_key = rk_secret_slice(&e.key),
		};
		status = cli_conn_call(c, MSG_CONN_IDENTITY, &body);
	}
	cli_egress_free(&e);
	return status;
}

int cli_conn_set_proxy(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {
	    {"egress-proxy", required_argument, NULL, 'x'},
	    {"egress-proxy-secret-file", required_argument, NULL, 'X'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	struct cli_egress e = {0};
	struct msg_conn_proxy body;
	const char *ref = NULL;
	bool none = false;
	int status = parse(c, argc, argv, options, &e, &none, &ref);

	if (!status && !e.proxy)
		status = cli_fail(CLI_USAGE, "--egress-proxy is missing");
	if (!status)
		status = cli_egress_read(&e, NULL);
	if (!status) {
		body = (struct msg_conn_proxy){
		    .ref = rk_str(ref),
		    .egress = rk_str(e.proxy),
		    .proxy_secret = rk_secret_slice(&e.proxy_secret),
		};
		status = cli_conn_call(c, MSG_CONN_PROXY, &body);
	}
	cli_egress_free(&e);
	return status;
}

/*
 * relaykey conn test: whether a connection reaches its upstream and is let in there.
 */
#include <getopt.h>
#include <stdio.h>

#include "api/encode.h"
#include "api/fields.h"
#include "cli/cli.h"
#include "cli/render.h"

static const char *meaning(unsigned status)
{
	if (status == 401)
		return "the upstream does not take the secret";
	if (status == 403)
		return "the secret is known there, and may not do this";
	if (status == 404)
		return "the upstream answers, and has no such path";
	if (status >= 500)
		return "the upstream is in trouble";
	return status < 400 ? "good" : "the upstream answers";
}

static void print_result(const struct msg_probe_result *r, const json_t *doc)
{
	const json_t *certificate = json_object_get(doc, "certificate");

	printf("%-14s%.*s %s\n", "asked", RK_FMT(r->method), render_string(doc, "path"));
	if (r->status) {
		printf("%-14s%u, %s\n", "answer", r->status, meaning(r->status));
	} else {
		printf("%-14snone: %s", "answer", render_string(doc, "reason"));
		if (r->detail.n)
			fputs(", ", stdout);
		render_print(stdout, render_string(doc, "detail"), 0);
		putchar('\n');
	}
	if (r->subject.n) {
		printf("%-14s", "certificate");
		render_print(stdout, render_string(certificate, "subject"), 0);
		printf(", expires %s\n", render_string(certificate, "expires_at"));
	}
	printf("%-14sconnection %.1f ms, TLS %.1f ms, first byte %.1f ms\n", "time",
	       r->dial_us / 1e3, r->tls_us / 1e3, r->first_byte_us / 1e3);
}

int cli_conn_test(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {
	    {"method", required_argument, NULL, 'm'},
	    {"path", required_argument, NULL, 'p'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	struct msg_conn_probe body = {.ref = rk_str(NULL)};
	const struct msg_probe_result *r;
	struct ipc_message m;
	json_t *doc;
	bool good;
	int opt, status;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (opt == 'm')
			body.method = rk_str(optarg);
		else if (opt == 'p')
			body.path = rk_str(optarg);
		else if (opt == 'j')
			c->json = true;
		else
			return CLI_USAGE;
	}
	if (optind != argc - 1)
		return cli_fail(CLI_USAGE, "which connection? one NAME or id is needed");
	body.ref = rk_str(argv[optind]);
	status = cli_call(c, MSG_CONN_PROBE, &body, MSG_PROBE_RESULT, &m);
	if (status)
		return status;
	r = &m.body.probe_result;
	good = r->status && r->status < 400;
	doc = api_encode(&api_probe_result, r);
	if (c->json) {
		status = render_json_line(doc);
	} else {
		print_result(r, doc);
		json_decref(doc);
	}
	return status ? status : good ? CLI_DONE : CLI_FAILED;
}

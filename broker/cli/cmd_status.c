#include <getopt.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/render.h"

const char cli_status_usage[] = "usage: relaykey status [--json]\n";

static long long number(const json_t *doc, const char *key)
{
	return (long long)json_integer_value(json_object_get(doc, key));
}

/* Only while it is on: then it is the first thing to know. */
static void print_panic(const json_t *panic)
{
	const char *reason = render_string(panic, "reason");

	if (!json_is_true(json_object_get(panic, "on")))
		return;
	printf("traffic       STOPPED since %s by %s", render_string(panic, "since"),
	       render_string(panic, "by"));
	if (*reason)
		fputs(": ", stdout);
	render_print(stdout, reason, 0);
	putchar('\n');
}

static void print_status(const struct cli *c, const json_t *doc)
{
	const json_t *token = json_object_get(doc, "token");
	const json_t *audit = json_object_get(doc, "audit");
	const json_t *keys = json_object_get(doc, "keys");

	printf("relaykeyd %s, up since %s\n", render_string(doc, "version"),
	       render_string(doc, "started_at"));
	if (c->url) {
		printf("interface     %s\n", c->url);
	} else {
		printf("proxy         https://%s\n", c->config.proxy);
		printf("console       https://%s\n", c->config.console);
	}
	printf("state         %s\n",
	       json_is_true(json_object_get(doc, "sealed")) ? "sealed" : "unsealed");
	print_panic(json_object_get(doc, "panic"));
	printf("token         %s (%s), %s, KEK generation %lld, %s\n",
	       render_string(token, "label"), render_string(token, "model"),
	       render_string(token, "state"), number(token, "kek_generation"),
	       render_string(token, "mechanism"));
	printf("audit         %lld rows, %s\n", number(audit, "rows"),
	       json_is_true(json_object_get(audit, "ok")) ? "ok"
	                                                  : render_string(audit, "error"));
	printf("connections   %lld\n", number(doc, "connections"));
	printf("relay keys    %lld live of %lld\n", number(keys, "live"),
	       number(keys, "total"));
	printf("requests      %lld, %lld refused, %lld in flight\n", number(doc, "requests"),
	       number(doc, "refused"), number(doc, "in_flight"));
	printf("relays        %lld, secrets in %s\n", number(doc, "relays"),
	       render_string(doc, "secret_memory"));
}

int cli_status(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
	                                        {NULL, 0, NULL, 0}};
	struct msg_empty empty = {0};
	struct ipc_message m;
	json_t *doc;
	int opt, status;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (opt != 'j')
			return CLI_USAGE;
		c->json = true;
	}
	if (optind != argc)
		return cli_fail(CLI_USAGE, "'%s' is no option", argv[optind]);
	status = cli_call(c, MSG_STATUS_GET, &empty, MSG_STATUS, &m);
	if (status)
		return status;
	doc = render_status(&m.body.status);
	/* the configuration is not here when the broker is not */
	if (!c->url) {
		json_object_set_new(doc, "proxy", json_string(c->config.proxy));
		json_object_set_new(doc, "console", json_string(c->config.console));
	}
	if (c->json)
		return render_json_line(doc);
	print_status(c, doc);
	json_decref(doc);
	return CLI_DONE;
}

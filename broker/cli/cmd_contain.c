#include <getopt.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/render.h"

const char cli_panic_usage[] =
    "usage: relaykey panic on [--reason TEXT] [--json]\n"
    "       relaykey panic off [--reason TEXT] [--json]\n"
    "  on: everything in flight is cut and every request is refused, at once and across\n"
    "  restarts, until somebody says off.\n";

static int show(struct cli *c, const struct msg_status *s)
{
	json_t *doc = render_status(s);
	json_t *panic = json_object_get(doc, "panic");

	if (c->json) {
		json_incref(panic);
		json_decref(doc);
		return render_json_line(panic);
	}
	if (json_is_true(json_object_get(panic, "on")))
		printf("traffic: stopped since %s\n", render_string(panic, "since"));
	else
		puts("traffic: goes on");
	json_decref(doc);
	return CLI_DONE;
}

int cli_panic(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {{"reason", required_argument, NULL, 'r'},
	                                        {"json", no_argument, NULL, 'j'},
	                                        {NULL, 0, NULL, 0}};
	struct msg_panic body = {.reason = rk_str("")};
	struct ipc_message m;
	bool on;
	int opt, status;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (opt == 'r')
			body.reason = rk_str(optarg);
		else if (opt == 'j')
			c->json = true;
		else
			return CLI_USAGE;
	}
	if (optind != argc - 1)
		return cli_fail(CLI_USAGE, "on or off?");
	on = strcmp(argv[optind], "on") == 0;
	if (!on && strcmp(argv[optind], "off") != 0)
		return cli_fail(CLI_USAGE, "on or off, not '%s'", argv[optind]);
	if (body.reason.n > MSG_MAX_REASON)
		return cli_fail(CLI_USAGE, "--reason: at most %d bytes", MSG_MAX_REASON);
	status = cli_call(c, on ? MSG_PANIC_ON : MSG_PANIC_OFF, &body, MSG_STATUS, &m);
	return status ? status : show(c, &m.body.status);
}

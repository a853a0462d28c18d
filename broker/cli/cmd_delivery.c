#include <getopt.h>
#include <stdio.h>

#include "api/encode.h"
#include "api/fields.h"
#include "cli/cli.h"
#include "cli/render.h"

static void print_row(const json_t *doc)
{
	static const struct {
		const char *key;
		int width;
	} columns[] = {
	    {"id", 12}, {"created_at", 26}, {"state", 9}, {"event", 16}, {"target", 28}};
	const json_t *status = json_object_get(doc, "status");

	for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
		render_print(stdout, render_string(doc, columns[i].key), columns[i].width);
	if (json_is_integer(status))
		printf("%lld ", (long long)json_integer_value(status));
	render_print(stdout, render_string(doc, "error"), 0);
	putchar('\n');
}

static int show(struct cli *c, const struct msg_delivery_info *d)
{
	json_t *doc = api_encode(&api_delivery, d);

	if (c->json)
		return render_json_line(doc);
	print_row(doc);
	json_decref(doc);
	return CLI_DONE;
}

static int parse_state(const char *text, uint8_t *out)
{
	for (unsigned i = DELIVERY_WAITING; i <= DELIVERY_FAILED; i++) {
		if (strcmp(text, api_delivery_state(i)) == 0) {
			*out = (uint8_t)i;
			return CLI_DONE;
		}
	}
	return cli_fail(CLI_USAGE, "--state: '%s' is not waiting, sent or failed", text);
}

static int parse_kind(const char *text, uint8_t *out)
{
	if (strcmp(text, "mail") && strcmp(text, "webhook"))
		return cli_fail(CLI_USAGE, "--kind: '%s' is not mail or webhook", text);
	*out = text[0] == 'm' ? DELIVERY_MAIL : DELIVERY_WEBHOOK;
	return CLI_DONE;
}

static int parse_limit(const char *text, uint32_t *out)
{
	uint64_t n;

	if (!rk_slice_u64(rk_str(text), &n) || !n || n > UINT32_MAX)
		return cli_fail(CLI_USAGE, "--limit: '%s' is no number", text);
	*out = (uint32_t)n;
	return CLI_DONE;
}

static int take_option(struct cli *c, struct msg_delivery_list *m, int opt, const char *arg)
{
	switch (opt) {
	case 'w':
		m->hook = rk_str(arg);
		return CLI_DONE;
	case 's':
		return parse_state(arg, &m->state);
	case 'k':
		return parse_kind(arg, &m->kind);
	case 'l':
		return parse_limit(arg, &m->limit);
	case 'j':
		c->json = true;
		return CLI_DONE;
	default:
		return CLI_USAGE;
	}
}

static int delivery_list(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {
	    {"webhook", required_argument, NULL, 'w'}, {"state", required_argument, NULL, 's'},
	    {"kind", required_argument, NULL, 'k'},    {"limit", required_argument, NULL, 'l'},
	    {"json", no_argument, NULL, 'j'},          {NULL, 0, NULL, 0},
	};
	struct msg_delivery_list body = {.limit = 50};
	struct ipc_message m;
	int opt, status = CLI_DONE;

	optind = 0;
	while (!status && (opt = cli_option(argc, argv, options)) != -1)
		status = take_option(c, &body, opt, optarg);
	if (!status && optind != argc)
		status = cli_fail(CLI_USAGE, "'%s' is no option", argv[optind]);
	if (!status)
		status = cli_send(c, MSG_DELIVERY_LIST, &body);
	while (!status && !(status = cli_receive(c, &m)) && m.type == MSG_DELIVERY_INFO)
		status = show(c, &m.body.delivery_info);
	return status;
}

static int on_one(struct cli *c, int argc, char **argv, enum ipc_type type)
{
	struct ipc_message m;
	struct msg_ref body;
	int status =
	    cli_arguments(c, argc, argv, 1, "which delivery? one ID (dlv_...) is needed");

	if (status)
		return status;
	body = (struct msg_ref){.ref = rk_str(argv[optind])};
	status = cli_call(c, type, &body, MSG_DELIVERY_INFO, &m);
	return status ? status : show(c, &m.body.delivery_info);
}

static int delivery_show(struct cli *c, int argc, char **argv)
{
	return on_one(c, argc, argv, MSG_DELIVERY_GET);
}

static int delivery_replay(struct cli *c, int argc, char **argv)
{
	return on_one(c, argc, argv, MSG_DELIVERY_REPLAY);
}

const struct cli_command cli_delivery_commands[] = {
    {"list", delivery_list,
     "usage: relaykey delivery list [--webhook NAME|ID] [--kind mail|webhook]\n"
     "           [--state waiting|sent|failed] [--limit N] [--json]\n"
     "  What was and is to be sent, the newest first (50 unless --limit says otherwise).\n"},
    {"show", delivery_show, "usage: relaykey delivery show ID [--json]\n"},
    {"replay", delivery_replay,
     "usage: relaykey delivery replay ID [--json]\n"
     "  Sends once more what failed for good, or was sent.\n"},
    {NULL, NULL, NULL},
};

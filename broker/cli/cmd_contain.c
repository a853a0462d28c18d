#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "api/encode.h"
#include "api/fields.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/render.h"
#include "ipc/catalogue_contain.h"
#include "policy/key_scan.h"

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

/* ---- leak ---- */

enum { TEXT_MAX = 32 << 20, TOKENS_AT_ONCE = 100 };

const char cli_leak_usage[] =
    "usage: relaykey leak FILE|- [--source TEXT] [--json]\n"
    "  Finds relay keys and management keys in any text (a log, a diff, an export of a chat)\n"
    "  and revokes those that were issued here. --source says where it was found, for the\n"
    "  audit log.\n";

struct leak_batch {
	char payload[TOKENS_AT_ONCE * (KEY_SCAN_MAX + 1)];
	char items[MSG_MAX_LEAK_ITEMS];
	size_t payload_n, items_n;
	unsigned count, found, revoked;
};

static int add_key(struct leak_batch *b, struct rk_slice key, struct rk_slice source)
{
	const struct msg_leak_item item = {
	    .at = (uint32_t)b->payload_n, .n = (uint16_t)key.n, .source = source};
	char one[MSG_MAX_LEAK_SOURCE + 32];
	ssize_t n = record_encode(&msg_leak_item_desc, &item, one, sizeof one);

	if (n < 0 ||
	    record_list_add(b->items, sizeof b->items, &b->items_n, rk_slice(one, (size_t)n)))
		return cli_fail(CLI_FAILED, "the report is too long");
	memcpy(b->payload + b->payload_n, key.p, key.n);
	b->payload_n += key.n;
	b->payload[b->payload_n++] = '\n';
	b->count++;
	return CLI_DONE;
}

static const char *finding_text(unsigned finding)
{
	switch (finding) {
	case LEAK_REVOKED:
		return "revoked";
	case LEAK_OVER:
		return "was not valid any more";
	case LEAK_HONEY:
		return "honey key";
	default:
		return "not issued here";
	}
}

static int show_verdict(struct cli *c, struct leak_batch *b, const struct msg_leak_verdict *v)
{
	b->found++;
	b->revoked += v->finding == LEAK_REVOKED;
	if (c->json)
		return render_json_line(api_encode(&api_leak_verdict, v));
	printf("%-17.*s %-16.*s %s\n", RK_FMT(v->key_id), RK_FMT(v->masked),
	       finding_text(v->finding));
	return CLI_DONE;
}

static int send_batch(struct cli *c, struct leak_batch *b)
{
	const struct msg_leak_report body = {
	    .payload = rk_slice(b->payload, b->payload_n),
	    .items = rk_slice(b->items, b->items_n),
	};
	struct ipc_message m;
	int status = b->count ? cli_send(c, MSG_LEAK_REPORT, &body) : CLI_DONE;

	while (b->count && !status && !(status = cli_receive(c, &m)) &&
	       m.type == MSG_LEAK_VERDICT)
		status = show_verdict(c, b, &m.body.leak_verdict);
	b->count = 0;
	b->payload_n = 0;
	b->items_n = 0;
	return status;
}

static int report(struct cli *c, struct rk_slice text, struct rk_slice source)
{
	static struct leak_batch b;
	struct rk_slice key;
	size_t at = 0;
	int status = CLI_DONE;

	while (!status && (key = key_scan_next(text, &at)).n) {
		status = add_key(&b, key, source);
		if (!status && b.count == TOKENS_AT_ONCE)
			status = send_batch(c, &b);
	}
	if (!status)
		status = send_batch(c, &b);
	rk_wipe(b.payload, sizeof b.payload);
	if (!status && !b.found)
		return cli_fail(CLI_FAILED,
		                "there is no relay key in it, and no management key");
	if (!status && !c->json)
		printf("%u keys, %u revoked by this. The real keys are untouched.\n", b.found,
		       b.revoked);
	return status;
}

static int read_standard_input(struct rk_buf *text)
{
	char piece[65536];
	ssize_t n;

	rk_buf_init(text, TEXT_MAX);
	while ((n = read(STDIN_FILENO, piece, sizeof piece)) > 0) {
		if (rk_buf_add(text, piece, (size_t)n))
			return cli_fail(CLI_FAILED, "that is more than %d MiB", TEXT_MAX >> 20);
	}
	return n < 0 ? cli_fail(CLI_FAILED, "standard input cannot be read") : CLI_DONE;
}

static int read_text(const char *file, struct rk_buf *text)
{
	struct rk_fault fault;

	if (strcmp(file, "-") == 0)
		return read_standard_input(text);
	if (file_read(file, TEXT_MAX, text, &fault))
		return cli_fail(CLI_FAILED, "%s", fault.text);
	return CLI_DONE;
}

int cli_leak(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {{"source", required_argument, NULL, 's'},
	                                        {"json", no_argument, NULL, 'j'},
	                                        {NULL, 0, NULL, 0}};
	struct rk_slice source = rk_str(NULL);
	struct rk_buf text = {0};
	int opt, status;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (opt == 's')
			source = rk_str(optarg);
		else if (opt == 'j')
			c->json = true;
		else
			return CLI_USAGE;
	}
	if (optind != argc - 1)
		return cli_fail(CLI_USAGE, "one FILE is needed, or - for standard input");
	if (source.n > MSG_MAX_LEAK_SOURCE / 2)
		return cli_fail(CLI_USAGE, "--source: at most %d bytes",
		                MSG_MAX_LEAK_SOURCE / 2);
	status = read_text(argv[optind], &text);
	if (!status)
		status = report(c, rk_buf_slice(&text), source);
	rk_buf_free(&text);
	return status;
}

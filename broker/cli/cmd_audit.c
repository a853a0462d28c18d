#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/audit.h"
#include "api/encode.h"
#include "api/fields.h"
#include "base/base62.h"
#include "cli/cli.h"
#include "cli/render.h"

struct audit_options {
	struct msg_audit_query q;
	bool csv;
};

enum audit_format { FORMAT_TABLE, FORMAT_JSON, FORMAT_CSV };

/* Filters whose value is a text; the broker says what it does not know. */
enum { TEXT_FIRST = 1000 }; /* their options' numbers */

static const struct {
	const char *name;
	size_t offset;
} text_filters[] = {
    {"holder", offsetof(struct msg_audit_query, holder)},
    {"kind", offsetof(struct msg_audit_query, kind)},
    {"conn", offsetof(struct msg_audit_query, conn)},
    {"key", offsetof(struct msg_audit_query, key_id)},
    {"env", offsetof(struct msg_audit_query, env)},
    {"decision", offsetof(struct msg_audit_query, decision)},
    {"type", offsetof(struct msg_audit_query, type)},
    {"reason", offsetof(struct msg_audit_query, reason)},
    {"provider", offsetof(struct msg_audit_query, provider)},
    {"model", offsetof(struct msg_audit_query, model)},
    {"client", offsetof(struct msg_audit_query, client)},
    {"request", offsetof(struct msg_audit_query, request_id)},
    {"path", offsetof(struct msg_audit_query, path)},
    {"actor", offsetof(struct msg_audit_query, actor)},
    {"action", offsetof(struct msg_audit_query, action)},
    {"target", offsetof(struct msg_audit_query, target)},
};

enum { TEXT_FILTERS = sizeof text_filters / sizeof text_filters[0] };

static int parse_number(const char *text, uint64_t max, uint64_t *out)
{
	if (!rk_slice_u64(rk_str(text), out) || *out > max)
		return cli_fail(CLI_USAGE, "'%s' is no number that fits", text);
	return CLI_DONE;
}

static int parse_order(const char *text, uint8_t *out)
{
	static const char *const names[] = {
	    [AUDIT_NEWEST] = "newest", [AUDIT_FALLING] = "falling", [AUDIT_RISING] = "rising"};

	for (uint8_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(text, names[i]) == 0) {
			*out = i;
			return CLI_DONE;
		}
	}
	return cli_fail(CLI_USAGE, "--order is newest, falling or rising");
}

static int take_option(struct cli *c, struct audit_options *o, int opt)
{
	struct msg_audit_query *q = &o->q;
	uint64_t v = 0;
	int status = CLI_DONE;

	switch (opt) {
	case 'n':
		status = parse_number(optarg, UINT32_MAX, &v);
		q->limit = (uint32_t)v;
		break;
	case 's':
		status = parse_number(optarg, 599, &v);
		q->status = (uint16_t)v;
		break;
	case 'C':
		status = parse_number(optarg, INT64_MAX, &v);
		q->cursor = v;
		break;
	case 'o':
		status = parse_order(optarg, &q->order);
		break;
	case 'f':
		status = cli_parse_time("--since", optarg, &q->since_ms);
		break;
	case 't':
		status = cli_parse_time("--until", optarg, &q->until_ms);
		break;
	case 'F':
		o->csv = strcmp(optarg, "csv") == 0;
		if (!o->csv && strcmp(optarg, "jsonl") != 0)
			status = cli_fail(CLI_USAGE, "--format is jsonl or csv");
		break;
	case 'j':
		c->json = true;
		break;
	default:
		if (opt < TEXT_FIRST || opt >= TEXT_FIRST + (int)TEXT_FILTERS)
			return CLI_USAGE;
		*(struct rk_slice *)((char *)q + text_filters[opt - TEXT_FIRST].offset) =
		    rk_str(optarg);
		break;
	}
	return status ? CLI_USAGE : CLI_DONE;
}

static int parse(struct cli *c, int argc, char **argv, struct audit_options *o)
{
	static const struct option others[] = {
	    {"limit", required_argument, NULL, 'n'},
	    {"status", required_argument, NULL, 's'},
	    {"cursor", required_argument, NULL, 'C'},
	    {"order", required_argument, NULL, 'o'},
	    {"since", required_argument, NULL, 'f'},
	    {"until", required_argument, NULL, 't'},
	    {"format", required_argument, NULL, 'F'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	struct option options[TEXT_FILTERS + sizeof others / sizeof others[0]];
	int opt, status;

	for (int i = 0; i < (int)TEXT_FILTERS; i++)
		options[i] = (struct option){text_filters[i].name, required_argument, NULL,
		                             TEXT_FIRST + i};
	memcpy(options + TEXT_FILTERS, others, sizeof others);
	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		status = take_option(c, o, opt);
		if (status)
			return status;
	}
	if (optind != argc)
		return cli_fail(CLI_USAGE, "'%s' is no option", argv[optind]);
	return CLI_DONE;
}

/* ---- output ---- */

/* What is longer than the column is shown all the same. */
static void print_column(const char *text, int width)
{
	if (strlen(text) < (size_t)width)
		render_print(stdout, text, width);
	else
		render_print(stdout, text, 0);
	putchar(' ');
}

static void print_row(const json_t *doc)
{
	const json_t *holder = json_object_get(doc, "holder");
	const json_t *conn = json_object_get(doc, "connection");
	const json_t *status = json_object_get(doc, "status");

	render_print(stdout, render_string(doc, "time"), 25);
	if (strcmp(render_string(doc, "type"), "request") != 0) {
		render_print(stdout, render_string(doc, "type"), 11);
		print_column(render_string(doc, "action"), 22);
		print_column(render_string(doc, "target"), 19);
		print_column(render_string(doc, "actor"), 19);
		render_print(stdout, render_string(doc, "detail"), 0);
		putchar('\n');
		return;
	}
	render_print(stdout, render_string(doc, "decision"), 8);
	if (json_is_integer(status))
		printf("%3d ", (int)json_integer_value(status));
	else
		fputs("  - ", stdout);
	render_print(stdout, render_string(doc, "method"), 7);
	render_print(stdout, render_string(conn, "name"), 14);
	putchar(' ');
	render_print(stdout, render_string(doc, "path"), 36);
	putchar(' ');
	if (holder && json_is_object(holder))
		printf("%s:", render_string(holder, "kind"));
	render_print(stdout, render_string(holder, "name"), 0);
	if (*render_string(doc, "action")) {
		render_print(stdout, render_string(doc, "action"), 0);
		fputs(" by ", stdout);
		render_print(stdout, render_string(doc, "actor"), 0);
	}
	if (strcmp(render_string(doc, "reason"), "ok") != 0) {
		fputs("  ", stdout);
		render_print(stdout, render_string(doc, "reason"), 0);
	}
	if (*render_string(doc, "outcome") &&
	    strcmp(render_string(doc, "outcome"), "complete") != 0) {
		fputs("  ", stdout);
		render_print(stdout, render_string(doc, "outcome"), 0);
	}
	putchar('\n');
}

static int write_out(const char *p, size_t n, void *arg)
{
	(void)arg;
	return fwrite(p, 1, n, stdout) == n ? 0 : RK_E_IO;
}

static int print_entries(struct cli *c, const struct msg_audit_query *q,
                         enum audit_format format)
{
	int status = cli_send(c, MSG_AUDIT_QUERY, q);
	uint64_t first = 0, last = 0;
	struct ipc_message m;
	uint64_t rows = 0;

	while (!status) {
		json_t *doc;

		status = cli_receive(c, &m);
		if (status || m.type == MSG_DONE)
			break;
		if (m.type != MSG_AUDIT_ENTRY ||
		    render_audit(&m.body.audit_entry, q->mode == AUDIT_MODE_EXPORT, &doc))
			return cli_fail(CLI_FAILED, "the broker's answer is malformed");
		/* on a terminal the rows themselves are seen */
		if (q->mode == AUDIT_MODE_EXPORT && !isatty(STDOUT_FILENO))
			cli_progress("rows exported", ++rows, q->limit);
		last = m.body.audit_entry.seq;
		first = first ? first : last;
		if (format == FORMAT_JSON) {
			status = render_json_line(doc);
		} else {
			if (format == FORMAT_TABLE)
				print_row(doc);
			else if (api_audit_csv_line(doc, write_out, NULL))
				status = cli_fail(CLI_FAILED, "writing the output failed");
			json_decref(doc);
		}
		/* a live tail into a pipe is worth nothing when it waits in a buffer */
		if (q->mode == AUDIT_MODE_TAIL && fflush(stdout) != 0)
			return CLI_FAILED;
	}
	cli_progress_end();
	if (!status && m.body.done.more && format == FORMAT_TABLE && isatty(STDERR_FILENO))
		fprintf(stderr, "there are more: --cursor %llu\n",
		        (unsigned long long)(q->order == AUDIT_NEWEST ? first : last));
	return status;
}

static int audit_list(struct cli *c, int argc, char **argv)
{
	struct audit_options o = {.q = {.mode = AUDIT_MODE_LIST, .limit = 50}};
	int status = parse(c, argc, argv, &o);

	return status ? status : print_entries(c, &o.q, c->json ? FORMAT_JSON : FORMAT_TABLE);
}

static int audit_tail(struct cli *c, int argc, char **argv)
{
	struct audit_options o = {.q = {.mode = AUDIT_MODE_TAIL}};
	int status = parse(c, argc, argv, &o);

	return status ? status : print_entries(c, &o.q, c->json ? FORMAT_JSON : FORMAT_TABLE);
}

static int audit_export(struct cli *c, int argc, char **argv)
{
	struct audit_options o = {.q = {.mode = AUDIT_MODE_EXPORT}};
	int status = parse(c, argc, argv, &o);

	if (status)
		return status;
	if (o.csv && api_audit_csv_header(write_out, NULL))
		return cli_fail(CLI_FAILED, "writing the output failed");
	return print_entries(c, &o.q, o.csv ? FORMAT_CSV : FORMAT_JSON);
}

static int audit_verify(struct cli *c, int argc, char **argv)
{
	struct audit_options o = {0};
	struct msg_empty empty = {0};
	const struct msg_audit_verified *v;
	struct ipc_message m;
	char head[65];
	int status = parse(c, argc, argv, &o);

	if (!status)
		status = cli_call_long(c, "verifying", MSG_AUDIT_VERIFY, &empty,
		                       MSG_AUDIT_VERIFIED, &m);
	if (status)
		return status;
	v = &m.body.audit_verified;
	rk_hex(v->head, 32, head);
	if (c->json) {
		status = render_json_line(api_encode(&api_audit_verified, v));
	} else if (v->ok) {
		printf("ok: %llu rows, the chain is whole, head %s\n",
		       (unsigned long long)v->rows, head);
	}
	if (!v->ok)
		return cli_fail(CLI_FAILED, "the audit chain is broken at row %llu: %.*s",
		                (unsigned long long)v->bad_seq, RK_FMT(v->text));
	return status;
}

#define FILTERS                                                                                \
	"  filters: --holder [KIND:]NAME --kind KIND --key ID --conn NAME --provider P\n"      \
	"           --model M --env E --decision D --reason CODE --status N --path PREFIX\n"   \
	"           --client ADDRESS|PREFIX --request ID --type T --actor A --action A\n"      \
	"           --target ID --since TIME --until TIME\n"

const struct cli_command cli_audit_commands[] = {
    {"list", audit_list,
     "usage: relaykey audit list [--limit N] [--cursor SEQ] [--order ORDER] [filters] "
     "[--json]\n" FILTERS
     "  order: newest (the last N, the oldest of them first), falling, rising\n"
     "  cursor: the number of the entry at which the page before ended\n"},
    {"tail", audit_tail,
     "usage: relaykey audit tail [--cursor SEQ] [filters] [--json]\n" FILTERS
     "  cursor: begins with what came after that row\n"},
    {"export", audit_export,
     "usage: relaykey audit export --format jsonl|csv [--limit N] [--cursor SEQ] "
     "[filters]\n" FILTERS "  cursor: begins behind that row\n"},
    {"verify", audit_verify,
     "usage: relaykey audit verify [--json]\n"
     "  Recomputes the hash chain over every row. Exit status 1 when it does not hold.\n"},
    {NULL, NULL, NULL},
};

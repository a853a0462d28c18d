#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/encode.h"
#include "api/fields.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/render.h"
#include "ipc/notice_kind.h"

struct hook_options {
	struct msg_hook_update m; /* of add: what it has, too */
	struct rk_buf ca;
};

static void print_hook(const json_t *doc)
{
	static const char *const lines[] = {"id", "name", "url", "created_at", "updated_at"};
	const json_t *event;
	size_t i;

	for (i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		render_print(stdout, lines[i], 14);
		render_print(stdout, render_string(doc, lines[i]), 0);
		putchar('\n');
	}
	printf("%-14s%s%s%s\n", "state",
	       json_is_true(json_object_get(doc, "enabled")) ? "enabled" : "disabled",
	       json_is_true(json_object_get(doc, "allow_private")) ? ", private addresses" : "",
	       json_is_true(json_object_get(doc, "private_ca")) ? ", its own CA" : "");
	printf("%-14s", "events");
	json_array_foreach(json_object_get(doc, "events"), i, event)
	{
		printf("%s%s", i ? ", " : "", json_string_value(event));
	}
	putchar('\n');
}

/* All bytes to standard output without stdio: the secret must not stay in its buffer. */
static int write_out(struct rk_slice s)
{
	fflush(stdout);
	while (s.n) {
		ssize_t n = write(STDOUT_FILENO, s.p, s.n);

		if (n < 0)
			return cli_fail(CLI_FAILED, "writing the output failed");
		s = rk_slice_skip(s, (size_t)n);
	}
	return CLI_DONE;
}

static int show_json(json_t *doc, struct rk_slice secret)
{
	char *rest;
	int status;

	if (!secret.n)
		return render_json_line(doc);
	/* {"secret":...,<everything else>} */
	rest = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	json_decref(doc);
	if (!rest)
		return cli_fail(CLI_FAILED, "out of memory");
	fputs("{\"secret\":\"", stdout);
	status = write_out(secret);
	printf("\",%s\n", rest + 1);
	free(rest);
	return status;
}

/* Without its secret, which must not stay in the heap. */
static json_t *document_of(const struct msg_hook_info *h)
{
	struct msg_hook_info shown = *h;

	shown.secret = rk_str(NULL);
	return api_encode(&api_webhook, &shown);
}

static int show(struct cli *c, const struct msg_hook_info *h)
{
	json_t *doc = document_of(h);
	int status = CLI_DONE;

	if (c->json)
		return show_json(doc, h->secret);
	print_hook(doc);
	json_decref(doc);
	if (!h->secret.n)
		return CLI_DONE;
	printf("%-14s", "secret");
	status = write_out(h->secret);
	puts("\nThe secret is shown this once only.");
	return status;
}

static int call(struct cli *c, enum ipc_type type, const void *body)
{
	struct ipc_message m;
	int status = cli_call(c, type, body, MSG_HOOK_INFO, &m);

	return status ? status : show(c, &m.body.hook_info);
}

/* ---- options ---- */

static int add_event(struct msg_hook_update *m, const char *name)
{
	enum notice_kind kind;

	m->set |= HOOK_EVENTS;
	if (strcmp(name, "all") == 0) {
		m->events = NOTICE_EVERY;
		return CLI_DONE;
	}
	if (notice_kind_parse(rk_str(name), &kind) == 0) {
		m->events |= NOTICE_BIT(kind);
		return CLI_DONE;
	}
	cli_fail(CLI_USAGE, "--event: there is no '%s'; there are all and", name);
	for (unsigned i = 1; i < NOTICE_KINDS; i++)
		fprintf(stderr, "  %s\n", notice_kind_name(i));
	return CLI_USAGE;
}

static int read_ca(struct hook_options *o, const char *path)
{
	struct rk_fault fault;

	o->m.set |= HOOK_CA;
	if (strcmp(path, "none") == 0)
		return CLI_DONE;
	rk_buf_free(&o->ca);
	if (file_read(path, MSG_MAX_PEM, &o->ca, &fault))
		return cli_fail(CLI_FAILED, "%s", fault.text);
	o->m.ca_pem = rk_buf_slice(&o->ca);
	return CLI_DONE;
}

static int take_option(struct cli *c, struct hook_options *o, int opt, const char *arg)
{
	struct msg_hook_update *m = &o->m;

	switch (opt) {
	case 'u':
		m->set |= HOOK_URL;
		m->url = rk_str(arg);
		return CLI_DONE;
	case 'n':
		m->set |= HOOK_NAME;
		m->name = rk_str(arg);
		return CLI_DONE;
	case 'e':
		return add_event(m, arg);
	case 'c':
		return read_ca(o, arg);
	case 'p':
	case 'P':
		m->set |= HOOK_FLAGS;
		m->flags = opt == 'p' ? HOOK_ALLOW_PRIVATE : 0;
		return CLI_DONE;
	case 'x':
	case 'y':
		m->set |= HOOK_ENABLED;
		m->enabled = opt == 'y';
		return CLI_DONE;
	case 'j':
		c->json = true;
		return CLI_DONE;
	default:
		return CLI_USAGE;
	}
}

/* Options and the one NAME. */
static int parse(struct cli *c, int argc, char **argv, const struct option *options,
                 struct hook_options *o)
{
	int opt, status = CLI_DONE;

	optind = 0;
	while (!status && (opt = cli_option(argc, argv, options)) != -1)
		status = take_option(c, o, opt, optarg);
	if (status)
		return status;
	if (optind != argc - 1)
		return cli_fail(CLI_USAGE, "which webhook? one NAME is needed");
	o->m.ref = rk_str(argv[optind]);
	return CLI_DONE;
}

/* ---- commands ---- */

static int webhook_add(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {
	    {"url", required_argument, NULL, 'u'}, {"event", required_argument, NULL, 'e'},
	    {"ca", required_argument, NULL, 'c'},  {"allow-private", no_argument, NULL, 'p'},
	    {"json", no_argument, NULL, 'j'},      {NULL, 0, NULL, 0},
	};
	struct hook_options o = {0};
	int status = parse(c, argc, argv, options, &o);

	if (!status && !o.m.url.n)
		status = cli_fail(CLI_USAGE, "--url is missing");
	if (!status) {
		const struct msg_hook_add body = {
		    .name = o.m.ref,
		    .url = o.m.url,
		    .events = o.m.events,
		    .flags = o.m.flags,
		    .ca_pem = o.m.ca_pem,
		};

		status = call(c, MSG_HOOK_ADD, &body);
	}
	rk_buf_free(&o.ca);
	return status;
}

static int webhook_update(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {
	    {"name", required_argument, NULL, 'n'},    {"url", required_argument, NULL, 'u'},
	    {"event", required_argument, NULL, 'e'},   {"ca", required_argument, NULL, 'c'},
	    {"allow-private", no_argument, NULL, 'p'}, {"public-only", no_argument, NULL, 'P'},
	    {"disable", no_argument, NULL, 'x'},       {"enable", no_argument, NULL, 'y'},
	    {"json", no_argument, NULL, 'j'},          {NULL, 0, NULL, 0},
	};
	struct hook_options o = {0};
	int status = parse(c, argc, argv, options, &o);

	if (!status && !o.m.set)
		status = cli_fail(CLI_USAGE, "nothing to change was given");
	if (!status)
		status = call(c, MSG_HOOK_UPDATE, &o.m);
	rk_buf_free(&o.ca);
	return status;
}

static const struct option only_json[] = {{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};

static int on_one(struct cli *c, int argc, char **argv, enum ipc_type type, bool shows)
{
	struct hook_options o = {0};
	struct ipc_message m;
	struct msg_ref body;
	int status = parse(c, argc, argv, only_json, &o);

	if (status)
		return status;
	body = (struct msg_ref){.ref = o.m.ref};
	return shows ? call(c, type, &body) : cli_call(c, type, &body, MSG_DONE, &m);
}

static int webhook_show(struct cli *c, int argc, char **argv)
{
	return on_one(c, argc, argv, MSG_HOOK_GET, true);
}

static int webhook_rotate(struct cli *c, int argc, char **argv)
{
	return on_one(c, argc, argv, MSG_HOOK_ROTATE, true);
}

static int webhook_remove(struct cli *c, int argc, char **argv)
{
	return on_one(c, argc, argv, MSG_HOOK_REMOVE, false);
}

static int webhook_test(struct cli *c, int argc, char **argv)
{
	int status = on_one(c, argc, argv, MSG_HOOK_TEST, false);

	if (!status && !c->json)
		puts("A test is on its way: 'relaykey delivery list' tells how it went.");
	return status;
}

static int webhook_list(struct cli *c, int argc, char **argv)
{
	struct msg_hook_list body = {0};
	struct ipc_message m;
	int opt, status;

	optind = 0;
	while ((opt = cli_option(argc, argv, only_json)) != -1) {
		if (opt != 'j')
			return CLI_USAGE;
		c->json = true;
	}
	if (optind != argc)
		return cli_fail(CLI_USAGE, "'%s' is no option", argv[optind]);
	status = cli_send(c, MSG_HOOK_LIST, &body);
	while (!status && !(status = cli_receive(c, &m)) && m.type == MSG_HOOK_INFO) {
		const struct msg_hook_info *h = &m.body.hook_info;

		if (c->json) {
			status = render_json_line(document_of(h));
			continue;
		}
		printf("%-18.*s  %-20.*s  %-8s  %.*s\n", RK_FMT(h->id), RK_FMT(h->name),
		       h->enabled ? "enabled" : "disabled", RK_FMT(h->url));
	}
	return status;
}

const struct cli_command cli_webhook_commands[] = {
    {"add", webhook_add,
     "usage: relaykey webhook add NAME --url https://HOST[:PORT]/PATH [--event EVENT ...]\n"
     "           [--ca FILE] [--allow-private] [--json]\n"
     "  Prints the signing secret, once. Without --event it is told of everything.\n"},
    {"list", webhook_list, "usage: relaykey webhook list [--json]\n"},
    {"show", webhook_show, "usage: relaykey webhook show NAME|ID [--json]\n"},
    {"update", webhook_update,
     "usage: relaykey webhook update NAME|ID [--name NAME] [--url URL] [--event EVENT|all "
     "...]\n"
     "           [--ca FILE|none] [--allow-private|--public-only] [--enable|--disable] "
     "[--json]\n"},
    {"rotate", webhook_rotate,
     "usage: relaykey webhook rotate NAME|ID [--json]\n"
     "  Makes a new signing secret and prints it, once; the former one signs nothing any\n"
     "  more.\n"},
    {"test", webhook_test, "usage: relaykey webhook test NAME|ID [--json]\n"},
    {"remove", webhook_remove, "usage: relaykey webhook remove NAME|ID [--json]\n"},
    {NULL, NULL, NULL},
};

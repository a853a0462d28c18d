/*
 * Holders, and the addresses that they are trusted at.
 */
#include <getopt.h>
#include <stdio.h>

#include "api/encode.h"
#include "api/fields.h"
#include "cli/cli.h"
#include "cli/render.h"
#include "policy/relay_key.h"

/* ---- how they look ---- */

static json_t *render_holder(const struct msg_holder_info *h)
{
	return api_encode(&api_holder, h);
}

static json_t *render_trust(const struct msg_trust_info *t)
{
	return api_encode(&api_trusted_ip, t);
}

/* One line of a list; `titled` is set once its heading stands. */
static int list_line(struct cli *c, const struct ipc_message *m, bool *titled)
{
	bool holders = m->type == MSG_HOLDER_INFO;
	json_t *doc =
	    holders ? render_holder(&m->body.holder_info) : render_trust(&m->body.trust_info);
	const json_t *holder = holders ? doc : json_object_get(doc, "holder");
	char count[40];

	if (c->json)
		return render_json_line(doc);
	if (!*titled && holders)
		printf("%-8s %-11s %-12s %-30s %s\n", "KIND", "LIVE/KEYS", "IPS/PENDING",
		       "MAIL", "NAME");
	else if (!*titled)
		printf("%-8s %-8s %-22s %-16s %-24s %s\n", "ID", "STATE", "ADDRESS", "KEY",
		       "SEEN", "HOLDER");
	*titled = true;
	if (holders) {
		render_print(stdout, render_string(doc, "kind"), 9);
		snprintf(count, sizeof count, "%u/%u", m->body.holder_info.live_keys,
		         m->body.holder_info.keys);
		render_print(stdout, count, 12);
		snprintf(count, sizeof count, "%u/%u", m->body.holder_info.trusted_ips,
		         m->body.holder_info.pending_ips);
		render_print(stdout, count, 13);
		render_print(stdout, render_string(doc, "email"), 31);
	} else {
		render_print(stdout, render_string(doc, "id"), 9);
		render_print(stdout, render_string(doc, "state"), 9);
		render_print(stdout, render_string(doc, "address"), 23);
		render_print(stdout, render_string(doc, "key"), 17);
		render_print(stdout, render_string(doc, "first_seen_at"), 25);
		printf("%s:", render_string(holder, "kind"));
	}
	render_print(stdout, render_string(holder, "name"), 0);
	putchar('\n');
	json_decref(doc);
	return CLI_DONE;
}

static void print_lines(const json_t *doc, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const json_t *value = json_object_get(doc, names[i]);

		if (json_is_integer(value)) {
			render_print(stdout, names[i], 16);
			printf("%lld\n", (long long)json_integer_value(value));
		} else if (*render_string(doc, names[i])) {
			render_print(stdout, names[i], 16);
			render_print(stdout, render_string(doc, names[i]), 0);
			putchar('\n');
		}
	}
}

static int show_holder(struct cli *c, const struct msg_holder_info *h)
{
	static const char *const names[] = {"email", "keys", "live_keys", "trusted_ips",
	                                    "pending_ips"};
	json_t *doc = render_holder(h);

	if (c->json)
		return render_json_line(doc);
	render_print(stdout, "holder", 16);
	printf("%s:", render_string(doc, "kind"));
	render_print(stdout, render_string(doc, "name"), 0);
	putchar('\n');
	print_lines(doc, names, sizeof names / sizeof names[0]);
	json_decref(doc);
	return CLI_DONE;
}

static int show_trust(struct cli *c, const struct msg_trust_info *t)
{
	static const char *const names[] = {"id",         "address",       "state",
	                                    "trusted_by", "key",           "user_agent",
	                                    "decided_at", "first_seen_at", "link_expires_at"};
	json_t *doc = render_trust(t);
	const json_t *holder = json_object_get(doc, "holder");

	if (c->json)
		return render_json_line(doc);
	print_lines(doc, names, sizeof names / sizeof names[0]);
	render_print(stdout, "holder", 16);
	printf("%s:", render_string(holder, "kind"));
	render_print(stdout, render_string(holder, "name"), 0);
	putchar('\n');
	json_decref(doc);
	return CLI_DONE;
}

/* ---- lists ---- */

/* Sends the request and prints what comes until DONE. */
static int list(struct cli *c, enum ipc_type type, const void *body, enum ipc_type each)
{
	struct ipc_message m;
	bool titled = false;
	int status = cli_send(c, type, body);

	while (!status && !(status = cli_receive(c, &m)) && m.type != MSG_DONE) {
		if (m.type != each)
			return cli_fail(CLI_FAILED, "the broker's answer is malformed");
		status = list_line(c, &m, &titled);
	}
	if (!status && !titled && !c->json)
		puts("none");
	return status;
}

static int parse_limit(const char *text, uint32_t *out)
{
	uint64_t n;

	if (!rk_slice_u64(rk_str(text), &n) || n > UINT32_MAX)
		return cli_fail(CLI_USAGE, "--limit: '%s' is no number", text);
	*out = (uint32_t)n;
	return CLI_DONE;
}

static int holder_list(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {
	    {"kind", required_argument, NULL, 'k'},
	    {"after", required_argument, NULL, 'a'},
	    {"limit", required_argument, NULL, 'n'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	struct msg_holder_list body = {.limit = 0};
	int opt;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (opt == 'k')
			body.kind = rk_str(optarg);
		else if (opt == 'a')
			body.after = rk_str(optarg);
		else if (opt == 'j')
			c->json = true;
		else if (opt != 'n' || parse_limit(optarg, &body.limit))
			return CLI_USAGE;
	}
	if (optind != argc)
		return cli_fail(CLI_USAGE, "'%s' is no option", argv[optind]);
	return list(c, MSG_HOLDER_LIST, &body, MSG_HOLDER_INFO);
}

static int parse_state(const char *text, uint8_t *out)
{
	if (strcmp(text, "pending") == 0)
		*out = TRUST_PENDING;
	else if (strcmp(text, "trusted") == 0)
		*out = TRUST_TRUSTED;
	else
		return cli_fail(CLI_USAGE, "--state is pending or trusted");
	return CLI_DONE;
}

static int addresses(struct cli *c, int argc, char **argv, struct msg_trust_list *body)
{
	static const struct option options[] = {
	    {"holder", required_argument, NULL, 'h'},
	    {"key", required_argument, NULL, 'k'},
	    {"state", required_argument, NULL, 's'},
	    {"after", required_argument, NULL, 'a'},
	    {"limit", required_argument, NULL, 'n'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	int opt;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (opt == 'h')
			body->holder = rk_str(optarg);
		else if (opt == 'k')
			body->key = rk_str(optarg);
		else if (opt == 'a')
			body->after = rk_str(optarg);
		else if (opt == 'j')
			c->json = true;
		else if ((opt != 's' || parse_state(optarg, &body->state)) &&
		         (opt != 'n' || parse_limit(optarg, &body->limit)))
			return CLI_USAGE;
	}
	if (optind != argc)
		return cli_fail(CLI_USAGE, "'%s' is no option", argv[optind]);
	return list(c, MSG_TRUST_LIST, body, MSG_TRUST_INFO);
}

static int trust_list(struct cli *c, int argc, char **argv)
{
	struct msg_trust_list body = {.state = 0};

	return addresses(c, argc, argv, &body);
}

int cli_approvals(struct cli *c, int argc, char **argv)
{
	struct msg_trust_list body = {.state = TRUST_PENDING};

	return addresses(c, argc, argv, &body);
}

/* ---- one of them ---- */

static int holder_show(struct cli *c, int argc, char **argv)
{
	struct msg_ref body;
	struct ipc_message m;
	int status = cli_arguments(c, argc, argv, 1, "which holder? one KIND:NAME is needed");

	if (status)
		return status;
	body = (struct msg_ref){.ref = rk_str(argv[optind])};
	status = cli_call(c, MSG_HOLDER_GET, &body, MSG_HOLDER_INFO, &m);
	return status ? status : show_holder(c, &m.body.holder_info);
}

static int holder_set(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {
	    {"email", required_argument, NULL, 'e'},
	    {"no-email", no_argument, NULL, 'E'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	struct msg_holder_set body = {.set = 0};
	struct ipc_message m;
	int opt, status;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (opt == 'j') {
			c->json = true;
			continue;
		}
		if (opt != 'e' && opt != 'E')
			return CLI_USAGE;
		if (body.set || (opt == 'e' && !*optarg))
			return cli_fail(CLI_USAGE, "one --email ADDRESS, or --no-email");
		body.set = HOLDER_SET_EMAIL;
		body.email = opt == 'e' ? rk_str(optarg) : rk_str("");
	}
	if (optind != argc - 1 || !body.set)
		return cli_fail(CLI_USAGE,
		                "a KIND:NAME, and --email or --no-email, are needed");
	body.ref = rk_str(argv[optind]);
	status = cli_call(c, MSG_HOLDER_SET, &body, MSG_HOLDER_INFO, &m);
	return status ? status : show_holder(c, &m.body.holder_info);
}

static int holder_revoke(struct cli *c, int argc, char **argv)
{
	struct msg_ref body;
	struct ipc_message m;
	json_t *doc;
	int status = cli_arguments(c, argc, argv, 1, "which holder? one KIND:NAME is needed");

	if (status)
		return status;
	body = (struct msg_ref){.ref = rk_str(argv[optind])};
	status = cli_call(c, MSG_HOLDER_REVOKE, &body, MSG_HOLDER_INFO, &m);
	if (status)
		return status;
	if (c->json) {
		doc = render_holder(&m.body.holder_info);
		json_object_set_new(doc, "revoked",
		                    json_integer((json_int_t)m.body.holder_info.revoked));
		return render_json_line(doc);
	}
	printf("status: revoked   %u keys of %s\n", m.body.holder_info.revoked, argv[optind]);
	puts("real keys: untouched");
	return CLI_DONE;
}

static int trust_add(struct cli *c, int argc, char **argv)
{
	struct msg_trust_add body;
	struct ipc_message m;
	int status = cli_arguments(c, argc, argv, 2, "a KIND:NAME and an address are needed");

	if (status)
		return status;
	body = (struct msg_trust_add){.holder = rk_str(argv[optind]),
	                              .address = rk_str(argv[optind + 1])};
	status = cli_call(c, MSG_TRUST_ADD, &body, MSG_TRUST_INFO, &m);
	return status ? status : show_trust(c, &m.body.trust_info);
}

static int trust_by_id(struct cli *c, int argc, char **argv, enum ipc_type type)
{
	struct msg_ref body;
	struct ipc_message m;
	int status =
	    cli_arguments(c, argc, argv, 1, "which address? one id (ip_...) is needed");

	if (status)
		return status;
	body = (struct msg_ref){.ref = rk_str(argv[optind])};
	status = cli_call(c, type, &body, MSG_TRUST_INFO, &m);
	return status ? status : show_trust(c, &m.body.trust_info);
}

static int trust_approve(struct cli *c, int argc, char **argv)
{
	return trust_by_id(c, argc, argv, MSG_TRUST_APPROVE);
}

static int trust_remove(struct cli *c, int argc, char **argv)
{
	return trust_by_id(c, argc, argv, MSG_TRUST_REMOVE);
}

const char cli_approvals_usage[] =
    "usage: relaykey approvals [--holder KIND:NAME] [--key KEY] [--after ID] [--limit N]\n"
    "           [--json]\n"
    "  New addresses that wait: 'trust approve ID' lets one in, 'trust remove ID' forgets "
    "it.\n";

const struct cli_command cli_holder_commands[] = {
    {"list", holder_list,
     "usage: relaykey holder list [--kind KIND] [--after KIND:NAME] [--limit N] [--json]\n"},
    {"show", holder_show, "usage: relaykey holder show KIND:NAME [--json]\n"},
    {"set", holder_set,
     "usage: relaykey holder set KIND:NAME (--email ADDRESS | --no-email) [--json]\n"
     "  Where the mail goes whose link confirms a new address. Links that went to the former\n"
     "  one open nothing any more.\n"},
    {"revoke", holder_revoke,
     "usage: relaykey holder revoke KIND:NAME [--json]\n"
     "  Every key of the holder, in force at once, for requests in flight too.\n"},
    {NULL, NULL, NULL},
};

const struct cli_command cli_trust_commands[] = {
    {"list", trust_list,
     "usage: relaykey trust list [--holder KIND:NAME] [--key KEY] [--state pending|trusted]\n"
     "           [--after ID] [--limit N] [--json]\n"},
    {"add", trust_add,
     "usage: relaykey trust add KIND:NAME ADDRESS|PREFIX [--json]\n"
     "  One IPv6 address stands for its /64.\n"},
    {"approve", trust_approve, "usage: relaykey trust approve ID [--json]\n"},
    {"remove", trust_remove,
     "usage: relaykey trust remove ID [--json]\n"
     "  A trusted one or one that waits. What is in flight from there is cut.\n"},
    {NULL, NULL, NULL},
};

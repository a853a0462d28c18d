#include <getopt.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/render.h"

static void print_egress(const json_t *doc)
{
	const json_t *cert = json_object_get(doc, "client_certificate");
	const char *proxy = render_string(doc, "egress_proxy");

	printf("%-20s", "client certificate");
	render_print(stdout, json_is_object(cert) ? render_string(cert, "subject") : "none", 0);
	if (json_is_object(cert))
		printf(", expires %s", render_string(cert, "expires_at"));
	printf("\n%-20s", "egress proxy");
	render_print(stdout, *proxy ? proxy : "as configured", 0);
	puts(json_is_true(json_object_get(doc, "egress_proxy_secret_set"))
	         ? ", with a credential"
	         : "");
}

/* In a list: only what is out of the ordinary. */
static void print_egress_short(const json_t *doc)
{
	const json_t *cert = json_object_get(doc, "client_certificate");
	const char *proxy = render_string(doc, "egress_proxy");

	if (*proxy) {
		printf(strcmp(proxy, "none") == 0 ? " (direct)" : " via ");
		render_print(stdout, strcmp(proxy, "none") == 0 ? "" : proxy, 0);
	}
	if (json_is_object(cert)) {
		printf(" as ");
		render_print(stdout, render_string(cert, "subject"), 0);
		printf(" until %.10s", render_string(cert, "expires_at"));
	}
}

static void print_conn(const json_t *doc)
{
	static const struct {
		const char *label, *member;
	} lines[] = {
	    {"id", "id"},
	    {"name", "name"},
	    {"provider", "provider"},
	    {"base_url", "base_url"},
	    {"secret", "secret_hint"},
	    {"mechanism", "mechanism"},
	    {"created", "created_at"},
	    {"updated", "updated_at"},
	};

	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		render_print(stdout, lines[i].label, 20);
		render_print(stdout, render_string(doc, lines[i].member), 0);
		putchar('\n');
	}
	printf("%-20s%s\n", "state",
	       json_is_true(json_object_get(doc, "enabled")) ? "enabled" : "disabled");
	printf("%-20s%lld\n", "credential version",
	       (long long)json_integer_value(json_object_get(doc, "credential_version")));
	print_egress(doc);
	printf("%-20s%lld\n", "live keys",
	       (long long)json_integer_value(json_object_get(doc, "live_keys")));
}

static void warn_of_expiry(const struct msg_conn_info *i)
{
	char text[RK_TIME_TEXT];

	if (!i->client_expires_ms || i->client_expires_ms > rk_wall_ms())
		return;
	rk_time_format(i->client_expires_ms, text);
	fprintf(
	    stderr,
	    "relaykey: warning: the client certificate expired on %s: upstreams refuse it\n",
	    text);
}

int cli_conn_call(struct cli *c, enum ipc_type type, const void *body)
{
	struct ipc_message m;
	int status = cli_call(c, type, body, MSG_CONN_INFO, &m);
	json_t *doc;

	if (status)
		return status;
	warn_of_expiry(&m.body.conn_info);
	doc = render_conn(&m.body.conn_info);
	if (c->json)
		return render_json_line(doc);
	print_conn(doc);
	json_decref(doc);
	return CLI_DONE;
}

/* Options of commands that take one NAME and little else. */
static int parse_simple(struct cli *c, int argc, char **argv, const char **secret_file,
                        bool *force, const char **ref)
{
	static const struct option options[] = {
	    {"json", no_argument, NULL, 'j'},
	    {"secret-file", required_argument, NULL, 's'},
	    {"force", no_argument, NULL, 'f'},
	    {NULL, 0, NULL, 0},
	};
	int opt;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (opt == 'j')
			c->json = true;
		else if (opt == 's' && secret_file)
			*secret_file = optarg;
		else if (opt == 'f' && force)
			*force = true;
		else
			return opt == '?' ? CLI_USAGE
			                  : cli_fail(CLI_USAGE, "no such option here");
	}
	if (!ref)
		return optind == argc ? CLI_DONE : cli_fail(CLI_USAGE, "too many arguments");
	if (optind != argc - 1)
		return cli_fail(CLI_USAGE, "which connection? one NAME or id is needed");
	*ref = argv[optind];
	return CLI_DONE;
}

static int conn_add(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {
	    {"base-url", required_argument, NULL, 'u'},
	    {"provider", required_argument, NULL, 'p'},
	    {"secret-file", required_argument, NULL, 's'},
	    {"ca", required_argument, NULL, 'c'},
	    {"allow-private", no_argument, NULL, 'P'},
	    {"allow-encoded-slash", no_argument, NULL, 'E'},
	    {"allow-set-cookie", no_argument, NULL, 'C'},
	    {"auth", required_argument, NULL, 'a'},
	    {"client-cert", required_argument, NULL, 'i'},
	    {"client-key-file", required_argument, NULL, 'k'},
	    {"egress-proxy", required_argument, NULL, 'x'},
	    {"egress-proxy-secret-file", required_argument, NULL, 'X'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	struct msg_conn_add add = {0};
	static struct cli_list auth;
	const char *secret_file = NULL, *ca_file = NULL;
	struct cli_egress egress = {0};
	struct rk_buf ca = {0};
	RK_SECRET_AUTO secret = {0};
	struct rk_fault fault;
	int opt, status;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		switch (opt) {
		case 'u':
			add.base_url = rk_str(optarg);
			break;
		case 'p':
			add.provider = rk_str(optarg);
			break;
		case 's':
			secret_file = optarg;
			break;
		case 'c':
			ca_file = optarg;
			break;
		case 'P':
			add.flags |= UPSTREAM_ALLOW_PRIVATE;
			break;
		case 'E':
			add.flags |= UPSTREAM_ALLOW_ENCODED_SLASH;
			break;
		case 'C':
			add.flags |= UPSTREAM_ALLOW_SET_COOKIE;
			break;
		case 'a':
			if (cli_list_add(&auth, optarg))
				return CLI_USAGE;
			break;
		case 'i':
			egress.certificate_file = optarg;
			break;
		case 'k':
			egress.key_file = optarg;
			break;
		case 'x':
			egress.proxy = optarg;
			break;
		case 'X':
			egress.proxy_secret_file = optarg;
			break;
		case 'j':
			c->json = true;
			break;
		default:
			return CLI_USAGE;
		}
	}
	if (optind != argc - 1)
		return cli_fail(CLI_USAGE, "the new connection needs one NAME");
	if (add.base_url.n == 0)
		return cli_fail(CLI_USAGE, "--base-url is missing");
	add.name = rk_str(argv[optind]);
	add.auth = cli_list_slice(&auth);
	if (ca_file && file_read(ca_file, MSG_MAX_PEM, &ca, &fault))
		return cli_fail(CLI_FAILED, "%s", fault.text);
	add.ca_pem = rk_buf_slice(&ca);
	status = cli_egress_read(&egress, secret_file);
	if (!status)
		status = cli_read_secret(secret_file, "secret of the connection", &secret);
	if (!status) {
		add.secret = rk_secret_slice(&secret);
		add.egress = rk_str(egress.proxy);
		add.proxy_secret = rk_secret_slice(&egress.proxy_secret);
		add.client_chain = rk_buf_slice(&egress.chain);
		add.client_key = rk_secret_slice(&egress.key);
		status = cli_conn_call(c, MSG_CONN_ADD, &add);
	}
	cli_egress_free(&egress);
	rk_buf_free(&ca);
	return status;
}

static int conn_list(struct cli *c, int argc, char **argv)
{
	struct msg_list list = {0};
	struct ipc_message m;
	int status = parse_simple(c, argc, argv, NULL, NULL, NULL);
	bool titled = false;

	if (!status)
		status = cli_send(c, MSG_CONN_LIST, &list);
	while (!status) {
		json_t *doc;

		status = cli_receive(c, &m);
		if (status)
			break;
		if (!c->json && !titled)
			printf("%-20s %-10s %-18s %s\n", "NAME", "STATE", "SECRET", "BASE URL");
		titled = true;
		if (m.type == MSG_DONE)
			break;
		if (m.type != MSG_CONN_INFO)
			return cli_fail(CLI_FAILED, "the broker's answer is malformed");
		doc = render_conn(&m.body.conn_info);
		if (c->json) {
			status = render_json_line(doc);
			continue;
		}
		render_print(stdout, render_string(doc, "name"), 21);
		render_print(stdout, m.body.conn_info.enabled ? "enabled" : "disabled", 11);
		render_print(stdout, render_string(doc, "secret_hint"), 19);
		render_print(stdout, render_string(doc, "base_url"), 0);
		print_egress_short(doc);
		putchar('\n');
		json_decref(doc);
	}
	return status;
}

static int conn_show(struct cli *c, int argc, char **argv)
{
	const char *ref = NULL;
	int status = parse_simple(c, argc, argv, NULL, NULL, &ref);
	struct msg_ref body;

	if (status)
		return status;
	body = (struct msg_ref){.ref = rk_str(ref)};
	return cli_conn_call(c, MSG_CONN_GET, &body);
}

static int conn_rotate(struct cli *c, int argc, char **argv)
{
	const char *ref = NULL, *secret_file = NULL;
	RK_SECRET_AUTO secret = {0};
	struct msg_conn_rotate body;
	int status = parse_simple(c, argc, argv, &secret_file, NULL, &ref);

	if (!status)
		status = cli_read_secret(secret_file, "new secret of the connection", &secret);
	if (status)
		return status;
	body = (struct msg_conn_rotate){.ref = rk_str(ref), .secret = rk_secret_slice(&secret)};
	return cli_conn_call(c, MSG_CONN_ROTATE, &body);
}

static int set_state(struct cli *c, int argc, char **argv, bool enabled)
{
	const char *ref = NULL;
	int status = parse_simple(c, argc, argv, NULL, NULL, &ref);
	struct msg_conn_state body;

	if (status)
		return status;
	body = (struct msg_conn_state){.ref = rk_str(ref), .enabled = enabled};
	return cli_conn_call(c, MSG_CONN_STATE, &body);
}

static int conn_disable(struct cli *c, int argc, char **argv)
{
	return set_state(c, argc, argv, false);
}

static int conn_enable(struct cli *c, int argc, char **argv)
{
	return set_state(c, argc, argv, true);
}

static int conn_remove(struct cli *c, int argc, char **argv)
{
	const char *ref = NULL;
	bool force = false;
	int status = parse_simple(c, argc, argv, NULL, &force, &ref);
	struct ipc_message m;
	struct msg_ref body;

	if (status)
		return status;
	body = (struct msg_ref){.ref = rk_str(ref), .force = force};
	status = cli_call(c, MSG_CONN_REMOVE, &body, MSG_DONE, &m);
	if (status)
		return status;
	if (c->json)
		return render_json_line(
		    json_pack("{s:s, s:b}", "connection", ref, "removed", 1));
	puts("removed");
	return CLI_DONE;
}

const struct cli_command cli_conn_commands[] = {
    {"add", conn_add,
     "usage: relaykey conn add NAME --base-url URL [--provider P] [--secret-file F|-]\n"
     "           [--ca FILE] [--allow-private] [--allow-encoded-slash] [--allow-set-cookie]\n"
     "           [--auth bearer | basic[:USER] | header:NAME[:PREFIX] | query:NAME]...\n"
     "           [--client-cert FILE --client-key-file F|-]\n"
     "           [--egress-proxy http://HOST:PORT|none [--egress-proxy-secret-file F|-]]\n"
     "  The secret comes from the file, from standard input (-), or from a prompt.\n"
     "  The client certificate is what the broker shows to the upstream: PEM, the leaf first.\n"
     "  The proxy's secret is user:password.\n"},
    {"list", conn_list, "usage: relaykey conn list [--json]\n"},
    {"show", conn_show, "usage: relaykey conn show NAME [--json]\n"},
    {"rotate", conn_rotate, "usage: relaykey conn rotate NAME [--secret-file F|-] [--json]\n"},
    {"test", cli_conn_test,
     "usage: relaykey conn test NAME [--method GET|HEAD] [--path PATH] [--json]\n"
     "  One request with its secret, for nobody. PATH stands behind the base URL's; without\n"
     "  one, what costs nothing at a provider that is known. Exit status 0 for an answer\n"
     "  below 400.\n"},
    {"update", cli_conn_update,
     "usage: relaykey conn update NAME [--name N] [--provider P] [--base-url URL]\n"
     "           [--auth STYLE]... [--ca FILE|system] [--secret-file F|-]\n"
     "           [--allow-private yes|no] [--allow-encoded-slash yes|no]\n"
     "           [--allow-set-cookie yes|no] [--json]\n"
     "  With --base-url, --auth or --ca the secret has to be given once more: else whoever\n"
     "  points a connection elsewhere could read it. URLs with its id stay as they are.\n"},
    {"versions", cli_conn_versions, "usage: relaykey conn versions NAME [--json]\n"},
    {"rollback", cli_conn_rollback,
     "usage: relaykey conn rollback NAME VERSION [--json]\n"
     "  What that version holds becomes the newest one; requests go on with it.\n"},
    {"purge", cli_conn_purge,
     "usage: relaykey conn purge NAME VERSION [--json]\n"
     "  Removes an earlier version for good.\n"},
    {"set-identity", cli_conn_set_identity,
     "usage: relaykey conn set-identity NAME --client-cert FILE --client-key-file F|- "
     "[--json]\n"
     "       relaykey conn set-identity NAME --none [--json]\n"},
    {"set-proxy", cli_conn_set_proxy,
     "usage: relaykey conn set-proxy NAME --egress-proxy http://HOST:PORT|none|default\n"
     "           [--egress-proxy-secret-file F|-] [--json]\n"
     "  default: as relaykeyd.conf says. Without a secret the earlier one is dropped.\n"},
    {"disable", conn_disable, "usage: relaykey conn disable NAME [--json]\n"},
    {"enable", conn_enable, "usage: relaykey conn enable NAME [--json]\n"},
    {"remove", conn_remove,
     "usage: relaykey conn remove NAME [--force] [--json]\n"
     "  --force removes it although live keys hold grants on it.\n"},
    {NULL, NULL, NULL},
};

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/encode.h"
#include "api/fields.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/render.h"

/* Of what is longer than a line, only that; of a list of such, each item's name. */
static void print_line(const char *text, bool named)
{
	const char *end = strchr(text, '\n');
	char line[MSG_MAX_NAME + 1];

	if (!end)
		render_print(stdout, text, 0);
	else if (named && snprintf(line, sizeof line, "%.*s", (int)(end - text), text) > 0)
		render_print(stdout, line, 0);
	else
		fputs("set", stdout);
}

/* A text, a number, "yes" or "no", or a list with its items behind each other. */
static void print_value(const json_t *v)
{
	const json_t *item;
	size_t i;

	if (json_is_string(v))
		print_line(json_string_value(v), false);
	else if (json_is_integer(v))
		printf("%lld", (long long)json_integer_value(v));
	else if (json_is_boolean(v))
		fputs(json_is_true(v) ? "yes" : "no", stdout);
	else if (!json_array_size(v))
		fputs("-", stdout);
	json_array_foreach(v, i, item)
	{
		fputs(i ? ", " : "", stdout);
		print_line(json_string_value(item), true);
	}
	putchar('\n');
}

static int show(struct cli *c, const struct msg_settings *s)
{
	json_t *doc = api_encode(&api_settings, s), *value;
	const char *name;

	if (c->json)
		return render_json_line(doc);
	json_object_foreach(doc, name, value)
	{
		render_print(stdout, name, 20);
		print_value(value);
	}
	json_decref(doc);
	return CLI_DONE;
}

static int call(struct cli *c, enum ipc_type type, const void *body)
{
	struct ipc_message m;
	int status = cli_call(c, type, body, MSG_SETTINGS, &m);

	return status ? status : show(c, &m.body.settings);
}

static int settings_show(struct cli *c, int argc, char **argv)
{
	struct msg_empty ask = {0};
	int status = cli_arguments(c, argc, argv, 0, "there is one set of settings");

	return status ? status : call(c, MSG_SETTINGS_GET, &ask);
}

/* ---- settings set ---- */

struct set_options {
	struct msg_settings_set m;
	struct cli_list alerts, presets, keys;
	struct rk_buf ca;
	struct rk_secret password;
	const char *password_file;
};

static int number(const char *option, const char *text, uint64_t most, uint64_t *out)
{
	if (!rk_slice_u64(rk_str(text), out) || *out > most)
		return cli_fail(CLI_USAGE, "%s: '%s' is no number that it could be", option,
		                text);
	return CLI_DONE;
}

static int parse_tls(const char *text, uint8_t *out)
{
	for (unsigned i = SMTP_TLS_NONE; i <= SMTP_TLS_FULL; i++) {
		if (strcmp(text, api_smtp_tls(i)) == 0) {
			*out = (uint8_t)i;
			return CLI_DONE;
		}
	}
	return cli_fail(CLI_USAGE, "--smtp-tls: '%s' is not none, starttls or tls", text);
}

static int parse_yes(const char *option, const char *text, uint8_t *out)
{
	if (strcmp(text, "yes") && strcmp(text, "no"))
		return cli_fail(CLI_USAGE, "%s: '%s' is not yes or no", option, text);
	*out = strcmp(text, "yes") == 0;
	return CLI_DONE;
}

/* "none" empties a list. */
static int add(struct cli_list *l, const char *item)
{
	return strcmp(item, "none") == 0 ? CLI_DONE : cli_list_add(l, item);
}

/* ID=FILE: a public key of somebody who reports leaked keys. */
static int add_leak_key(struct set_options *o, const char *text)
{
	const char *equals = strchr(text, '=');
	struct rk_fault fault;
	struct rk_buf pem;
	char *item;
	int status;

	if (strcmp(text, "none") == 0)
		return CLI_DONE;
	if (!equals || equals == text)
		return cli_fail(CLI_USAGE, "--leak-key: '%s' is not ID=FILE", text);
	if (file_read(equals + 1, MSG_MAX_LIST, &pem, &fault))
		return cli_fail(CLI_FAILED, "%s", fault.text);
	item = malloc((size_t)(equals - text) + pem.len + 2);
	if (!item) {
		rk_buf_free(&pem);
		return cli_fail(CLI_FAILED, "out of memory");
	}
	snprintf(item, (size_t)(equals - text) + pem.len + 2, "%.*s\n%.*s",
	         (int)(equals - text), text, (int)pem.len, rk_buf_data(&pem));
	status = cli_list_add(&o->keys, item);
	free(item);
	rk_buf_free(&pem);
	return status;
}

static int read_ca(struct set_options *o, const char *path)
{
	struct rk_fault fault;

	if (strcmp(path, "none") == 0)
		return CLI_DONE;
	rk_buf_free(&o->ca);
	if (file_read(path, MSG_MAX_PEM, &o->ca, &fault))
		return cli_fail(CLI_FAILED, "%s", fault.text);
	return CLI_DONE;
}

/* A member's bit is its option's. */
static int set_option(struct set_options *o, int opt, const char *arg)
{
	struct msg_settings_set *m = &o->m;
	uint64_t n = 0;
	int status = CLI_DONE;

	if (opt < 0x100 || opt > 0x100 + 13)
		return CLI_USAGE;
	m->set |= 1u << (opt - 0x100);
	switch (1 << (opt - 0x100)) {
	case SETTINGS_PUBLIC_URL:
		m->public_url = rk_str(arg);
		break;
	case SETTINGS_SMTP_HOST:
		m->smtp_host = rk_str(arg);
		break;
	case SETTINGS_SMTP_PORT:
		status = number("--smtp-port", arg, UINT16_MAX, &n);
		m->smtp_port = (uint16_t)n;
		break;
	case SETTINGS_SMTP_TLS:
		status = parse_tls(arg, &m->smtp_tls);
		break;
	case SETTINGS_SMTP_USER:
		m->smtp_user = rk_str(arg);
		break;
	case SETTINGS_SMTP_PASSWORD:
		o->password_file = arg;
		break;
	case SETTINGS_SMTP_CA:
		status = read_ca(o, arg);
		break;
	case SETTINGS_MAIL_FROM:
		m->mail_from = rk_str(arg);
		break;
	case SETTINGS_ALERT_MAIL:
		status = add(&o->alerts, arg);
		break;
	case SETTINGS_TRUST_FIRST_IP:
		status = parse_yes("--trust-first-ip", arg, &m->trust_first_ip);
		break;
	case SETTINGS_TRUST_PRESETS:
		status = add(&o->presets, arg);
		break;
	case SETTINGS_MAILS_PER_KEY_DAY:
		status = number("--mails-per-key-day", arg, UINT32_MAX, &n);
		m->mails_per_key_day = (uint32_t)n;
		break;
	case SETTINGS_CONFIRM_TTL:
		status = cli_parse_ttl(arg, &m->confirm_ttl_ms);
		break;
	case SETTINGS_LEAK_KEYS:
		status = add_leak_key(o, arg);
		break;
	}
	return status;
}

static int read_password(struct set_options *o)
{
	if (!o->password_file || strcmp(o->password_file, "none") == 0)
		return CLI_DONE;
	return cli_read_secret(o->password_file, "password for the mail server", &o->password);
}

static int settings_set(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {
	    {"public-url", required_argument, NULL, 0x100},
	    {"smtp-host", required_argument, NULL, 0x101},
	    {"smtp-port", required_argument, NULL, 0x102},
	    {"smtp-tls", required_argument, NULL, 0x103},
	    {"smtp-user", required_argument, NULL, 0x104},
	    {"smtp-password-file", required_argument, NULL, 0x105},
	    {"smtp-ca", required_argument, NULL, 0x106},
	    {"mail-from", required_argument, NULL, 0x107},
	    {"alert-mail", required_argument, NULL, 0x108},
	    {"trust-first-ip", required_argument, NULL, 0x109},
	    {"trust-preset", required_argument, NULL, 0x10a},
	    {"mails-per-key-day", required_argument, NULL, 0x10b},
	    {"confirm-ttl", required_argument, NULL, 0x10c},
	    {"leak-key", required_argument, NULL, 0x10d},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	static struct set_options o;
	int opt, status = CLI_DONE;

	optind = 0;
	while (!status && (opt = cli_option(argc, argv, options)) != -1) {
		if (opt == 'j')
			c->json = true;
		else
			status = set_option(&o, opt, optarg);
	}
	if (!status && optind != argc)
		status = cli_fail(CLI_USAGE, "'%s' is no option", argv[optind]);
	if (!status && !o.m.set)
		status = cli_fail(CLI_USAGE, "nothing to set was given");
	if (!status)
		status = read_password(&o);
	if (!status) {
		o.m.smtp_password = rk_secret_slice(&o.password);
		o.m.smtp_ca = rk_buf_slice(&o.ca);
		o.m.alert_mail = cli_list_slice(&o.alerts);
		o.m.trust_presets = cli_list_slice(&o.presets);
		o.m.leak_keys = cli_list_slice(&o.keys);
		status = call(c, MSG_SETTINGS_SET, &o.m);
	}
	rk_secret_free(&o.password);
	rk_buf_free(&o.ca);
	return status;
}

static int settings_test_mail(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
	                                        {NULL, 0, NULL, 0}};
	struct msg_mail_test body = {0};
	struct ipc_message m;
	int opt, status;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (opt != 'j')
			return CLI_USAGE;
		c->json = true;
	}
	if (argc - optind > 1)
		return cli_fail(CLI_USAGE, "to one ADDRESS, or to those of --alert-mail");
	if (optind < argc)
		body.address = rk_str(argv[optind]);
	status = cli_call(c, MSG_MAIL_TEST, &body, MSG_DONE, &m);
	if (!status && !c->json)
		puts("A test mail is on its way: 'relaykey delivery list' tells how it went.");
	return status;
}

const struct cli_command cli_settings_commands[] = {
    {"show", settings_show, "usage: relaykey settings show [--json]\n"},
    {"set", settings_set,
     "usage: relaykey settings set [--public-url URL] [--smtp-host HOST] [--smtp-port N]\n"
     "           [--smtp-tls none|starttls|tls] [--smtp-user USER]\n"
     "           [--smtp-password-file FILE|-|none] [--smtp-ca FILE|none]\n"
     "           [--mail-from ADDRESS] [--alert-mail ADDRESS|none ...]\n"
     "           [--trust-first-ip yes|no] [--trust-preset PREFIX|none ...]\n"
     "           [--mails-per-key-day N] [--confirm-ttl SPAN] [--leak-key ID=FILE|none ...]\n"
     "           [--json]\n"
     "  What is not given stays as it is; a list is given as a whole. An empty value removes\n"
     "  a text. Where mail goes is changed together with the password, which is never "
     "shown.\n"},
    {"test-mail", settings_test_mail,
     "usage: relaykey settings test-mail [ADDRESS] [--json]\n"},
    {NULL, NULL, NULL},
};

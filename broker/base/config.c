#include "base/config.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/ipaddr.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONFIG_MAX_BYTES = 65536, CONFIG_SHOWN_MAX = 80, TOKEN_LABEL_MAX = 32 };

static const char default_ca[] = "/etc/ssl/certs/ca-certificates.crt";

struct parser {
	struct rk_config *conf;
	struct rk_fault *fault;
	const char *file;
	unsigned line;
	unsigned seen; /* bit per row of keys[] */
};

/* A value in an error text: bounded, and without bytes that would disturb a terminal. */
struct shown {
	char text[CONFIG_SHOWN_MAX + 4];
};

static struct shown show(struct rk_slice s)
{
	struct shown out = {.text = ""};
	size_t n = s.n < CONFIG_SHOWN_MAX ? s.n : CONFIG_SHOWN_MAX;

	for (size_t i = 0; i < n; i++)
		out.text[i] = s.p[i] < ' ' || s.p[i] == 0x7f ? '?' : s.p[i];
	if (n < s.n)
		memcpy(out.text + n, "...", 3);
	return out;
}

/* "file:line: " before the text; a long path keeps its end. */
static int bad(const struct parser *p, const char *fmt, ...) RK_PRINTF(2, 3);

static int bad(const struct parser *p, const char *fmt, ...)
{
	char why[384];
	size_t n = strlen(p->file);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	return rk_fail(p->fault, RK_E_INVALID, "%s%s:%u: %s", n > 100 ? "..." : "",
	               n > 100 ? p->file + n - 100 : p->file, p->line, why);
}

struct key {
	const char *name;
	int (*set)(const struct parser *p, const struct key *k, struct rk_slice value);
	size_t offset; /* of the field, for the setters shared by several keys */
	size_t cap;
	const char *example; /* of a required key */
	bool repeats;
};

static char *field(const struct parser *p, const struct key *k)
{
	return (char *)p->conf + k->offset;
}

static int set_text(const struct parser *p, const struct key *k, struct rk_slice value)
{
	if (!rk_slice_cstr(value, field(p, k), k->cap))
		return bad(p, "%s is too long; it has at most %zu bytes", k->name, k->cap - 1);
	return 0;
}

/* Absolute, or relative to the configuration's own directory. */
static int resolve(const struct parser *p, const char *what, struct rk_slice value, char *dst,
                   size_t cap)
{
	char name[CONFIG_PATH_MAX];

	while (value.n >= 2 && value.p[0] == '.' && value.p[1] == '/')
		value = rk_slice_skip(value, 2);
	if (value.n == 0 || rk_slice_is(value, "."))
		value = rk_str(p->conf->dir);
	if (!rk_slice_cstr(value, name, sizeof name) || file_join(p->conf->dir, name, dst, cap))
		return bad(p, "the path of %s is too long; it has at most %zu bytes", what,
		           cap - 1);
	return 0;
}

static int set_path(const struct parser *p, const struct key *k, struct rk_slice value)
{
	return resolve(p, k->name, value, field(p, k), k->cap);
}

static int set_socket(const struct parser *p, const struct key *k, struct rk_slice value)
{
	const size_t most = sizeof((struct sockaddr_un *)0)->sun_path;
	int rc = set_path(p, k, value);

	if (!rc && strlen(field(p, k)) >= most)
		rc = bad(p,
		         "the path of %s is too long for a socket; it has at most %zu bytes, "
		         "as in /run/relaykey/control.sock",
		         k->name, most - 1);
	return rc;
}

static int set_listen(const struct parser *p, const struct key *k, struct rk_slice value)
{
	char host[RK_IP_TEXT];
	unsigned short port;

	if (!rk_slice_cstr(value, field(p, k), k->cap) ||
	    config_split_listen(field(p, k), host, sizeof host, &port))
		return bad(
		    p,
		    "%s \"%s\" is not an address and a port from 1 to 65535; write it as "
		    "127.0.0.1:8443 or [::]:8443",
		    k->name, show(value).text);
	return 0;
}

static int set_trusted_proxy(const struct parser *p, const struct key *k, struct rk_slice value)
{
	struct rk_cidrs *list = &p->conf->trusted_proxies;
	struct rk_cidr cidr;

	if (rk_cidr_parse(value, &cidr))
		return bad(p,
		           "%s \"%s\" is not an address or a prefix without host bits, such as "
		           "10.0.0.0/8",
		           k->name, show(value).text);
	if (list->count == RK_CIDRS_MAX)
		return bad(p, "more than %d lines of %s", RK_CIDRS_MAX, k->name);
	list->at[list->count++] = cidr;
	return 0;
}

static int set_egress(const struct parser *p, const struct key *k, struct rk_slice value)
{
	struct rk_fault why;

	if (egress_parse(value, &p->conf->egress, &why))
		return bad(p, "%s: %.200s", k->name, why.text);
	return 0;
}

static int set_relays(const struct parser *p, const struct key *k, struct rk_slice value)
{
	uint64_t n;

	if (!rk_slice_u64(value, &n) || n < 1 || n > CONFIG_MAX_RELAYS)
		return bad(p, "%s \"%s\" is not a number from 1 to %d", k->name,
		           show(value).text, CONFIG_MAX_RELAYS);
	p->conf->relays = (unsigned)n;
	return 0;
}

static int set_connections(const struct parser *p, const struct key *k, struct rk_slice value)
{
	unsigned *at = (unsigned *)(void *)field(p, k);
	uint64_t n;

	if (!rk_slice_u64(value, &n) || n < 1 || n > CONFIG_MAX_CONNECTIONS)
		return bad(p, "%s \"%s\" is not a number from 1 to %d", k->name,
		           show(value).text, CONFIG_MAX_CONNECTIONS);
	*at = (unsigned)n;
	return 0;
}

static int set_user(const struct parser *p, const struct key *k, struct rk_slice value)
{
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];
		bool lead = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

		if (!lead && (i == 0 || !((c >= '0' && c <= '9') || c == '-' || c == '.')))
			return bad(p, "%s \"%s\" is not a user name, such as nobody", k->name,
			           show(value).text);
	}
	return set_text(p, k, value);
}

static int set_token(const struct parser *p, const struct key *k, struct rk_slice value)
{
	if (!rk_slice_starts(value, rk_str("pkcs11:")) && value.n > TOKEN_LABEL_MAX)
		return bad(
		    p,
		    "%s \"%s\" is longer than a token label, which has at most %d bytes; a URI "
		    "starts with pkcs11:",
		    k->name, show(value).text, TOKEN_LABEL_MAX);
	return set_text(p, k, value);
}

static bool env_name_ok(struct rk_slice name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '_')
			return false;
	}
	return name.n > 0;
}

/* These steer the loader or this program itself, not the module. */
static bool env_name_reserved(struct rk_slice name)
{
	return rk_slice_starts(name, rk_str("LD_")) || rk_slice_is(name, "PATH") ||
	       rk_slice_starts(name, rk_str("RELAYKEY_"));
}

static int set_env(const struct parser *p, const struct key *k, struct rk_slice value)
{
	const char *eq = memchr(value.p, '=', value.n);
	struct rk_config *c = p->conf;
	struct rk_slice name = value;
	char *slot;

	if (!eq)
		return bad(p, "%s \"%s\" has no '='; write it as NAME=VALUE", k->name,
		           show(value).text);
	name.n = (size_t)(eq - value.p);
	if (!env_name_ok(name))
		return bad(p, "%s name \"%s\" is not made of A-Z, 0-9 and _", k->name,
		           show(name).text);
	if (env_name_reserved(name))
		return bad(
		    p, "%s may not set %s; LD_*, PATH and RELAYKEY_* are not for the module",
		    k->name, show(name).text);
	for (unsigned i = 0; i < c->token_env_count; i++) {
		if (rk_slice_starts(rk_str(c->token_env[i]), rk_slice(value.p, name.n + 1)))
			return bad(p, "%s %s is set twice; keep one line", k->name,
			           show(name).text);
	}
	if (c->token_env_count == CONFIG_MAX_ENV)
		return bad(p, "more than %d lines of %s", CONFIG_MAX_ENV, k->name);
	slot = c->token_env[c->token_env_count];
	if (rk_slice_is(name, "SOFTHSM2_CONF")) {
		memcpy(slot, value.p, name.n + 1);
		if (resolve(p, k->name, rk_slice_skip(value, name.n + 1), slot + name.n + 1,
		            CONFIG_PATH_MAX - name.n - 1))
			return RK_E_INVALID;
	} else if (!rk_slice_cstr(value, slot, CONFIG_PATH_MAX)) {
		return bad(p, "%s is too long; it has at most %d bytes", k->name,
		           CONFIG_PATH_MAX - 1);
	}
	c->token_env_count++;
	return 0;
}

/* Index of value among words[0..n), or an error that lists them. */
static int one_of(const struct parser *p, const struct key *k, struct rk_slice value,
                  const char *const *words, int n)
{
	char list[128] = "";
	size_t at = 0;

	for (int i = 0; i < n; i++) {
		if (rk_slice_is(value, words[i]))
			return i;
		at += (size_t)snprintf(list + at, sizeof list - at, "%s%s",
		                       i == 0       ? ""
		                       : i == n - 1 ? " or "
		                                    : ", ",
		                       words[i]);
	}
	return bad(p, "%s \"%s\" is not %s", k->name, show(value).text, list);
}

static int set_sync(const struct parser *p, const struct key *k, struct rk_slice value)
{
	static const char *const words[] = {"full", "normal"};
	int i = one_of(p, k, value, words, 2);

	p->conf->journal_sync_normal = i == 1;
	return i < 0 ? i : 0;
}

static int set_secret_memory(const struct parser *p, const struct key *k, struct rk_slice value)
{
	static const char *const words[] = {"best", "locked"};
	int i = one_of(p, k, value, words, 2);

	p->conf->secret_memory_locked = i == 1;
	return i < 0 ? i : 0;
}

static int set_proxy_protocol(const struct parser *p, const struct key *k,
                              struct rk_slice value)
{
	static const char *const words[] = {"off", "on"};
	int i = one_of(p, k, value, words, 2);

	p->conf->proxy_protocol = i == 1;
	return i < 0 ? i : 0;
}

static int set_log_level(const struct parser *p, const struct key *k, struct rk_slice value)
{
	static const char *const words[] = {
	    [LOG_LEVEL_DEBUG] = "debug",
	    [LOG_LEVEL_INFO] = "info",
	    [LOG_LEVEL_WARN] = "warn",
	    [LOG_LEVEL_ERROR] = "error",
	};
	int i = one_of(p, k, value, words, 4);

	p->conf->log_level = i;
	return i < 0 ? i : 0;
}

#define TEXT_FIELD(f)                                                                          \
	.offset = offsetof(struct rk_config, f), .cap = sizeof((struct rk_config *)0)->f

static const struct key keys[] = {
    {.name = "state-dir", .set = set_path, TEXT_FIELD(state_dir)},
    {.name = "control-socket", .set = set_socket, TEXT_FIELD(control_socket)},
    {.name = "proxy", .set = set_listen, TEXT_FIELD(proxy), .example = "127.0.0.1:8443"},
    {.name = "console", .set = set_listen, TEXT_FIELD(console), .example = "127.0.0.1:8444"},
    {.name = "proxy-protocol", .set = set_proxy_protocol},
    {.name = "trusted-proxy", .set = set_trusted_proxy, .repeats = true},
    {.name = "max-connections", .set = set_connections, TEXT_FIELD(max_connections)},
    {.name = "max-connections-per-client",
     .set = set_connections,
     TEXT_FIELD(max_connections_per_client)},
    {.name = "tls-certificate",
     .set = set_path,
     TEXT_FIELD(tls_certificate),
     .example = "server.pem"},
    {.name = "tls-key", .set = set_path, TEXT_FIELD(tls_key), .example = "server.key"},
    {.name = "upstream-ca", .set = set_path, TEXT_FIELD(upstream_ca)},
    {.name = "egress-proxy", .set = set_egress},
    {.name = "relays", .set = set_relays},
    {.name = "user", .set = set_user, TEXT_FIELD(user)},
    {.name = "token-module",
     .set = set_path,
     TEXT_FIELD(token_module),
     .example = "/usr/lib/softhsm/libsofthsm2.so"},
    {.name = "token-init-args", .set = set_text, TEXT_FIELD(token_init_args)},
    {.name = "token-env", .set = set_env, .repeats = true},
    {.name = "token", .set = set_token, TEXT_FIELD(token), .example = "relaykey"},
    {.name = "token-pin-file", .set = set_path, TEXT_FIELD(token_pin_file)},
    {.name = "journal-sync", .set = set_sync},
    {.name = "secret-memory", .set = set_secret_memory},
    {.name = "log-level", .set = set_log_level},
};

enum { KEY_COUNT = sizeof keys / sizeof keys[0] };

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static struct rk_slice trim(struct rk_slice s)
{
	while (s.n && is_space(s.p[0]))
		s = rk_slice_skip(s, 1);
	while (s.n && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* A comment starts with '#' at the start of a word: "a#b" is a value. */
static struct rk_slice strip_comment(struct rk_slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '#' && (i == 0 || is_space(s.p[i - 1]))) {
			s.n = i;
			break;
		}
	}
	return s;
}

static int check_bytes(const struct parser *p, struct rk_slice line)
{
	for (size_t i = 0; i < line.n; i++) {
		unsigned char c = (unsigned char)line.p[i];

		if (c == '\r')
			return bad(p, "carriage return; save the file with LF line ends");
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return bad(p, "control byte 0x%02x; the file is plain text", c);
	}
	return 0;
}

static int parse_line(struct parser *p, struct rk_slice line)
{
	struct rk_slice name, value;
	int rc = check_bytes(p, line);

	if (rc)
		return rc;
	line = trim(strip_comment(line));
	if (line.n == 0)
		return 0;
	name = line;
	for (name.n = 0; name.n < line.n && !is_space(line.p[name.n]);)
		name.n++;
	value = trim(rk_slice_skip(line, name.n));
	for (unsigned i = 0; i < KEY_COUNT; i++) {
		const struct key *k = &keys[i];

		if (!rk_slice_is(name, k->name))
			continue;
		if (p->seen & 1u << i && !k->repeats)
			return bad(p, "%s is set twice; keep one line", k->name);
		if (value.n == 0)
			return bad(p, "%s has no value; write \"%s VALUE\" or remove the line",
			           k->name, k->name);
		p->seen |= 1u << i;
		return k->set(p, k, value);
	}
	return bad(p, "unknown key \"%s\"; lines are \"key value\", and '#' starts a comment",
	           show(name).text);
}

static void set_defaults(struct rk_config *c)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	memcpy(c->state_dir, c->dir, sizeof c->state_dir);
	memcpy(c->upstream_ca, default_ca, sizeof default_ca);
	c->relays = cores < 1                   ? 1
	            : cores > CONFIG_MAX_RELAYS ? CONFIG_MAX_RELAYS
	                                        : (unsigned)cores;
	c->log_level = LOG_LEVEL_INFO;
}

static int set_file(struct rk_config *c, const char *path, struct rk_fault *fault)
{
	const char *slash = strrchr(path, '/');
	size_t dir = slash ? (size_t)(slash - path) : 0;

	if (path[0] != '/' || strlen(path) >= sizeof c->path)
		return rk_fail(
		    fault, RK_E_INVALID,
		    "the configuration's path is not absolute or has more than %d bytes",
		    CONFIG_PATH_MAX - 1);
	snprintf(c->path, sizeof c->path, "%s", path);
	memcpy(c->dir, path, dir ? dir : 1);
	return 0;
}

static int check_whole(struct parser *p)
{
	static const char default_socket[] = "control.sock";
	struct rk_config *c = p->conf;

	for (unsigned i = 0; i < KEY_COUNT; i++) {
		if (keys[i].example && !(p->seen & 1u << i))
			return bad(p, "%s is missing; add a line such as \"%s %s\"",
			           keys[i].name, keys[i].name, keys[i].example);
	}
	if (strcmp(c->proxy, c->console) == 0)
		return bad(p, "proxy and console are both %s; give each a port of its own",
		           c->proxy);
	if (c->proxy_protocol && c->trusted_proxies.count == 0)
		return bad(p, "proxy-protocol is on and no trusted-proxy says from whom; add a "
		              "line such as \"trusted-proxy 10.0.0.0/8\"");
	if (c->control_socket[0])
		return 0;
	for (unsigned i = 0; i < KEY_COUNT; i++) {
		if (keys[i].set == set_socket)
			return set_socket(p, &keys[i], rk_str(default_socket));
	}
	return 0;
}

int config_parse(struct rk_slice text, const char *path, struct rk_config *out,
                 struct rk_fault *fault)
{
	struct rk_config conf = {.relays = 0};
	struct parser p = {.conf = &conf, .fault = fault, .file = conf.path};
	int rc = set_file(&conf, path, fault);

	if (rc)
		return rc;
	set_defaults(&conf);
	while (text.n) {
		const char *lf = memchr(text.p, '\n', text.n);
		struct rk_slice line = text;

		if (lf)
			line.n = (size_t)(lf - text.p);
		p.line++;
		rc = parse_line(&p, line);
		if (rc)
			return rc;
		text = rk_slice_skip(text, line.n + 1);
	}
	if (p.line == 0)
		p.line = 1;
	rc = check_whole(&p);
	if (!rc)
		*out = conf;
	return rc;
}

int config_load(const char *path, struct rk_config *out, struct rk_fault *fault)
{
	char *real = realpath(path, NULL);
	struct rk_buf text = {.limit = 0};
	int rc;

	if (!real)
		return rk_fail_errno(fault, RK_E_INVALID, "cannot open %s", path);
	rc = file_read(real, CONFIG_MAX_BYTES, &text, fault);
	rc = rc ? RK_E_INVALID : config_parse(rk_buf_slice(&text), real, out, fault);
	rk_buf_free(&text);
	free(real);
	return rc;
}

int config_split_listen(const char *text, char *host, size_t host_cap, unsigned short *port)
{
	const char *colon = strrchr(text, ':');
	struct rk_slice addr, digits;
	struct rk_ip ip;
	uint64_t n;

	if (!colon)
		return RK_E_INVALID;
	addr = rk_slice(text, (size_t)(colon - text));
	digits = rk_str(colon + 1);
	if (digits.n > 5 || !rk_slice_u64(digits, &n) || n < 1 || n > 65535)
		return RK_E_INVALID;
	if (addr.n >= 2 && addr.p[0] == '[' && addr.p[addr.n - 1] == ']') {
		addr = rk_slice(addr.p + 1, addr.n - 2);
		if (addr.n == 0 || !memchr(addr.p, ':', addr.n))
			return RK_E_INVALID;
	} else if (memchr(addr.p, ':', addr.n)) {
		return RK_E_INVALID; /* IPv6 without brackets: where would the port start? */
	}
	if (rk_ip_parse(addr, &ip) || addr.n >= host_cap)
		return RK_E_INVALID;
	memcpy(host, addr.p, addr.n);
	host[addr.n] = '\0';
	*port = (unsigned short)n;
	return 0;
}

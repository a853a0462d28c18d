#include "keeper/audit_terms.h"

#include <string.h>

enum {
	VALUE_BYTES = 160, /* of a longer value only its beginning counts */
	PATH_SEGMENTS = 3,
};

/* Counted in the mapped form: /32, /24, /16 and /8 of IPv4; whole addresses, /64, /48 and /32
 * of IPv6. The longest first. */
static const uint8_t prefixes_v4[AUDIT_TERM_CLIENTS] = {128, 120, 112, 104};
static const uint8_t prefixes_v6[AUDIT_TERM_CLIENTS] = {128, 64, 48, 32};

uint64_t audit_term(const uint8_t salt[RK_SIPHASH_KEY], enum audit_term_field field,
                    struct rk_slice value)
{
	char text[1 + VALUE_BYTES];
	size_t n = value.n < VALUE_BYTES ? value.n : VALUE_BYTES;

	text[0] = (char)field;
	if (n)
		memcpy(text + 1, value.p, n);
	return rk_siphash(salt, rk_slice(text, n + 1)) >> (64 - AUDIT_TERM_BITS);
}

uint64_t audit_term_number(const uint8_t salt[RK_SIPHASH_KEY], enum audit_term_field field,
                           uint16_t value)
{
	char bytes[2] = {(char)(value & 0xff), (char)(value >> 8)};

	return audit_term(salt, field, rk_slice(bytes, sizeof bytes));
}

/* One row's terms under construction. */
struct maker {
	const uint8_t *salt;
	struct audit_terms *out;
};

static void add(const struct maker *m, uint64_t term)
{
	if (m->out->n < AUDIT_TERMS_MAX)
		m->out->at[m->out->n++] = term;
}

static void add_text(const struct maker *m, enum audit_term_field field, struct rk_slice value)
{
	if (value.n)
		add(m, audit_term(m->salt, field, value));
}

static void add_number(const struct maker *m, enum audit_term_field field, uint16_t value)
{
	add(m, audit_term_number(m->salt, field, value));
}

static uint64_t client_term(const uint8_t *salt, const struct rk_ip *ip, unsigned bits)
{
	char value[1 + sizeof ip->b] = {(char)bits};

	/* all prefix lengths are whole bytes */
	memcpy(value + 1, ip->b, bits / 8);
	return audit_term(salt, TERM_CLIENT, rk_slice(value, sizeof value));
}

static void add_client(const struct maker *m, const uint8_t address[16])
{
	static const uint8_t none[16];
	const uint8_t *prefixes;
	struct rk_ip ip;

	if (memcmp(address, none, sizeof none) == 0)
		return;
	memcpy(ip.b, address, sizeof ip.b);
	prefixes = rk_ip_is_v4(&ip) ? prefixes_v4 : prefixes_v6;
	for (unsigned i = 0; i < AUDIT_TERM_CLIENTS; i++)
		add(m, client_term(m->salt, &ip, prefixes[i]));
}

bool audit_term_client(const uint8_t salt[RK_SIPHASH_KEY], const struct rk_cidr *c,
                       uint64_t *term)
{
	/* a prefix of fewer than 96 bits may end in the mapped part: then it is IPv6 */
	const uint8_t *prefixes =
	    c->bits >= 96 && rk_ip_is_v4(&c->net) ? prefixes_v4 : prefixes_v6;

	for (unsigned i = 0; i < AUDIT_TERM_CLIENTS; i++) {
		if (prefixes[i] <= c->bits) {
			*term = client_term(salt, &c->net, prefixes[i]);
			return true;
		}
	}
	return false;
}

/* Where segment number `i` ends in the path: behind its last byte. 0: there is no such end. */
static size_t segment_end(struct rk_slice path, size_t from)
{
	const char *slash;

	if (from >= path.n || path.p[from] != '/')
		return 0;
	slash = memchr(path.p + from + 1, '/', path.n - from - 1);
	return slash ? (size_t)(slash - path.p) : path.n;
}

static void add_path(const struct maker *m, struct rk_slice path)
{
	size_t end = 0;

	for (unsigned i = 0; i < PATH_SEGMENTS; i++) {
		end = segment_end(path, end);
		if (end == 0 || end > VALUE_BYTES)
			return;
		add(m, audit_term(m->salt, TERM_PATH, rk_slice(path.p, end)));
	}
}

bool audit_term_path(const uint8_t salt[RK_SIPHASH_KEY], struct rk_slice prefix, uint64_t *term)
{
	size_t end = 0, last = 0;

	for (unsigned i = 0; i < PATH_SEGMENTS; i++) {
		end = segment_end(prefix, end);
		/* a segment that ends with the prefix may go on in the path */
		if (end == 0 || end > VALUE_BYTES || end == prefix.n)
			break;
		last = end;
	}
	if (last)
		*term = audit_term(salt, TERM_PATH, rk_slice(prefix.p, last));
	return last > 0;
}

static void add_request(const struct maker *m, const struct audit_row *row)
{
	add_number(m, TERM_DECISION, row->decision);
	add_number(m, TERM_REASON, row->reason);
	if (row->status)
		add_number(m, TERM_STATUS, row->status);
}

void audit_terms_of(const uint8_t salt[RK_SIPHASH_KEY], const struct audit_row *row,
                    struct audit_terms *out)
{
	const struct maker m = {.salt = salt, .out = out};
	static const uint8_t none[16];

	out->n = 0;
	if (row->type == AUDIT_RESPONSE)
		return;
	add_text(&m, TERM_KEY, row->key_id);
	if (row->key_id.n)
		add_number(&m, TERM_KIND, row->holder_kind);
	add_text(&m, TERM_HOLDER, row->holder);
	add_text(&m, TERM_CONN, row->conn_id);
	add_text(&m, TERM_CONN, row->conn_name);
	add_text(&m, TERM_PROVIDER, row->provider);
	add_text(&m, TERM_ENV, row->env);
	add_text(&m, TERM_MODEL, row->model);
	add_text(&m, TERM_ACTOR, row->actor);
	add_text(&m, TERM_ACTION, row->action);
	add_text(&m, TERM_TARGET, row->target);
	if (row->type == AUDIT_MANAGE) {
		add_text(&m, TERM_KEY, row->target);
		add_text(&m, TERM_CONN, row->target);
	}
	if (memcmp(row->request_id, none, sizeof none) != 0)
		add_text(&m, TERM_REQUEST, rk_slice(row->request_id, sizeof row->request_id));
	add_number(&m, TERM_ENTRY, 0);
	add_number(&m, TERM_TYPE, row->type);
	if (row->type == AUDIT_REQUEST)
		add_request(&m, row);
	add_client(&m, row->client_ip);
	add_path(&m, row->path);
}

void audit_terms_of_response(const uint8_t salt[RK_SIPHASH_KEY], const struct audit_row *row,
                             struct audit_terms *out)
{
	const struct maker m = {.salt = salt, .out = out};

	out->n = 0;
	if (row->status)
		add_number(&m, TERM_STATUS, row->status);
	if (row->reason)
		add_number(&m, TERM_REASON, row->reason);
}

#include "relay/table.h"

#include <stdio.h>
#include <stdlib.h>

static unsigned hash_text(struct rk_slice s)
{
	uint32_t h = 2166136261U; /* FNV-1a; the keeper's names are not hostile */

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 16777619U;
	return (h ^ h >> 15) & (TABLE_BUCKETS - 1);
}

static unsigned hash_id(uint32_t id)
{
	return id & (TABLE_BUCKETS - 1);
}

/* Copies s to *at with a NUL behind it; *at moves on. */
static struct rk_slice put(char **at, struct rk_slice s)
{
	struct rk_slice copy = {*at, s.n};

	if (s.n)
		memcpy(*at, s.p, s.n);
	(*at)[s.n] = '\0';
	*at += s.n + 1;
	return copy;
}

static bool text_is_plain(struct rk_slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 0x7f)
			return false;
	}
	return true;
}

/* RFC 9110 7.2: the port only when it is not the scheme's own. */
static void put_authority(struct upstream *u, char *at, size_t cap)
{
	bool v6 = strchr(u->host, ':') != NULL;
	char port[8] = "";

	if (u->port != 443)
		snprintf(port, sizeof port, ":%u", u->port);
	u->authority = at;
	snprintf(at, cap, "%s%s%s%s", v6 ? "[" : "", u->host, v6 ? "]" : "", port);
}

static int fill(struct upstream *u, const struct msg_upstream *m)
{
	enum { AUTHORITY_EXTRA = 10 }; /* brackets, colon, port, NUL */
	size_t bytes = m->conn_id.n + m->name.n + 2 * m->host.n + m->base_path.n +
	               m->set_headers.n + 5 + AUTHORITY_EXTRA;
	char *at;

	u->text = malloc(bytes);
	if (!u->text)
		return RK_E_NOMEM;
	at = u->text;
	u->id = m->upstream_id;
	u->flags = m->flags;
	u->port = m->port;
	u->conn_id = put(&at, m->conn_id);
	u->name = put(&at, m->name);
	u->base_path = put(&at, m->base_path);
	u->set_headers = put(&at, m->set_headers);
	u->host = at;
	put(&at, m->host);
	put_authority(u, at, m->host.n + AUTHORITY_EXTRA);
	if (m->ca_pem.n && tls_client_ctx_new(m->ca_pem, true, &u->ctx, NULL) < 0)
		u->broken_ca = true;
	if (egress_parse(m->egress, &u->egress, NULL) ||
	    (m->client_chain.n && tls_identity_new(m->client_chain, &u->identity, NULL)))
		u->broken_egress = true;
	return 0;
}

int table_add(struct table *t, const struct msg_upstream *m, struct upstream **out)
{
	struct upstream *u;
	unsigned at;
	int err;

	if (m->host.n == 0 || m->port == 0 || m->conn_id.n == 0 || !text_is_plain(m->host) ||
	    !text_is_plain(m->base_path))
		return RK_E_PROTOCOL;
	if (table_by_id(t, m->upstream_id))
		return RK_E_EXISTS;
	u = calloc(1, sizeof *u);
	if (!u)
		return RK_E_NOMEM;
	u->refs = 1;
	err = fill(u, m);
	if (err) {
		upstream_unref(u);
		return err;
	}
	at = hash_id(u->id);
	u->by_id_next = t->by_id[at];
	t->by_id[at] = u;
	at = hash_text(u->conn_id);
	u->by_conn_next = t->by_conn[at];
	t->by_conn[at] = u;
	at = hash_text(u->name);
	u->by_name_next = t->by_name[at];
	t->by_name[at] = u;
	u->named = true;
	t->count++;
	*out = u;
	return 0;
}

struct upstream *table_find(const struct table *t, struct rk_slice conn)
{
	unsigned at = hash_text(conn);

	if (conn.n == 0)
		return NULL;
	for (struct upstream *u = t->by_conn[at]; u; u = u->by_conn_next) {
		if (rk_slice_eq(u->conn_id, conn))
			return u;
	}
	for (struct upstream *u = t->by_name[at]; u; u = u->by_name_next) {
		if (rk_slice_eq(u->name, conn))
			return u;
	}
	return NULL;
}

struct upstream *table_by_id(const struct table *t, uint32_t id)
{
	struct upstream *u = t->by_id[hash_id(id)];

	while (u && u->id != id)
		u = u->by_id_next;
	return u;
}

void table_unname(struct table *t, struct upstream *u)
{
	struct upstream **at;

	if (!u->named)
		return;
	u->named = false;
	t->count--;
	for (at = &t->by_conn[hash_text(u->conn_id)]; *at != u; at = &(*at)->by_conn_next)
		;
	*at = u->by_conn_next;
	for (at = &t->by_name[hash_text(u->name)]; *at != u; at = &(*at)->by_name_next)
		;
	*at = u->by_name_next;
}

void table_remove(struct table *t, struct upstream *u)
{
	struct upstream **at;

	table_unname(t, u);
	for (at = &t->by_id[hash_id(u->id)]; *at != u; at = &(*at)->by_id_next)
		;
	*at = u->by_id_next;
	upstream_unref(u);
}

struct upstream *table_any(const struct table *t)
{
	for (unsigned i = 0; i < TABLE_BUCKETS; i++) {
		if (t->by_id[i])
			return t->by_id[i];
	}
	return NULL;
}

void upstream_ref(struct upstream *u)
{
	u->refs++;
}

void upstream_unref(struct upstream *u)
{
	if (!u || --u->refs)
		return;
	tls_session_clear(&u->session);
	tls_ctx_free(u->ctx);
	tls_identity_free(u->identity);
	rk_secret_free(&u->dial);
	free(u->text);
	free(u);
}

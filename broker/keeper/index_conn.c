#include "keeper/index_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "http/tls_key.h"
#include "ipc/messages_contain.h"
#include "keeper/store_credential.h"

/* ---- the table of ids and names ---- */

static struct rk_slice ref_text(const struct index *ix, uint32_t number)
{
	const struct index_conn *c = ix->conn[number / 2];

	return rk_str(number % 2 ? c->name : c->id);
}

static uint64_t text_hash(const struct index *ix, struct rk_slice s)
{
	return slots_hash_bytes(ix->seed, s.p, s.n);
}

static uint64_t ref_hash(const void *owner, uint32_t number)
{
	return text_hash(owner, ref_text(owner, number));
}

static bool ref_equal(const void *owner, uint32_t number, const void *key)
{
	const struct rk_slice *s = key;

	return rk_slice_eq(ref_text(owner, number), *s);
}

void index_conn_tables(struct index *ix)
{
	ix->conn_refs = (struct slots){.hash = ref_hash, .equal = ref_equal, .owner = ix};
}

struct index_conn *index_conn_find(struct index *ix, struct rk_slice ref)
{
	uint32_t number = slots_find(&ix->conn_refs, text_hash(ix, ref), &ref);

	return number == SLOTS_NONE ? NULL : ix->conn[number / 2];
}

static void table_remove(struct index *ix, uint32_t number)
{
	slots_remove(&ix->conn_refs, ref_hash(ix, number), number);
}

static int table_add(struct index *ix, uint32_t number)
{
	return slots_add(&ix->conn_refs, ref_hash(ix, number), number);
}

/* ---- one connection ---- */

/* Ids and names are one path segment of a URL. */
static int ref_check(struct rk_slice s, struct rk_fault *fault)
{
	bool ok = s.n > 0 && s.n <= MSG_MAX_NAME;

	for (size_t i = 0; ok && i < s.n; i++)
		ok = s.p[i] > ' ' && s.p[i] < 0x7f && !strchr("/?#%\\", s.p[i]);
	if (ok)
		return 0;
	return rk_fail(fault, RK_E_INVALID, "not a connection id or name");
}

static int own(struct rk_slice s, struct rk_slice *out)
{
	char *p;

	if (!s.n)
		return 0;
	p = malloc(s.n);
	if (!p)
		return RK_E_NOMEM;
	memcpy(p, s.p, s.n);
	*out = rk_slice(p, s.n);
	return 0;
}

static void disown(struct rk_slice *s)
{
	union {
		const char *borrowed;
		void *owned;
	} p = {.borrowed = s->p};

	free(p.owned);
	*s = rk_slice(NULL, 0);
} /* NOLINT: it was freed by another name */

static int auth_new(struct rk_slice list, struct index_auth **out, struct rk_fault *fault)
{
	struct index_auth *a = calloc(1, sizeof *a);
	int err;

	if (!a)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	err = auth_style_parse(list, &a->style, fault);
	if (err) {
		free(a);
		return err;
	}
	a->refs = 1;
	*out = a;
	return 0;
}

struct index_auth *index_auth_ref(struct index_auth *a)
{
	a->refs++;
	return a;
}

void index_auth_unref(struct index_auth *a)
{
	if (a && --a->refs == 0)
		free(a);
}

static size_t conn_bytes(const struct index_conn *c)
{
	return sizeof *c + sizeof *c->auth + c->auth_list.n + c->ca_pem.n + c->blob.n +
	       c->identity.public.n + c->identity.blob.n + c->proxy.public.n + c->proxy.blob.n;
}

static void egress_disown(struct index_egress *e)
{
	disown(&e->public);
	disown(&e->blob);
}

static int egress_own(const struct store_egress *e, struct index_egress *out)
{
	struct index_egress n = {.version = e->version};

	if (own(e->public, &n.public) || own(e->blob, &n.blob)) {
		egress_disown(&n);
		return RK_E_NOMEM;
	}
	*out = n;
	return 0;
}

/* What is shown of the client certificate. */
struct shown {
	char subject[sizeof((struct index_conn *)0)->client_subject];
	int64_t expires_ms;
};

static int describe_identity(struct rk_slice chain, struct shown *out, struct rk_fault *fault)
{
	struct tls_identity *id;
	int err;

	*out = (struct shown){.expires_ms = 0};
	if (!chain.n)
		return 0;
	err = tls_identity_new(chain, &id, fault);
	if (err)
		return err;
	tls_identity_describe(id, out->subject, sizeof out->subject, &out->expires_ms);
	tls_identity_free(id);
	return 0;
}

static void show_identity(struct index_conn *c, const struct shown *s)
{
	memcpy(c->client_subject, s->subject, sizeof c->client_subject);
	c->client_expires_ms = s->expires_ms;
}

static void conn_destroy(struct index_conn *c)
{
	index_auth_unref(c->auth);
	disown(&c->auth_list);
	disown(&c->ca_pem);
	disown(&c->blob);
	egress_disown(&c->identity);
	egress_disown(&c->proxy);
	free(c);
}

static int conn_fill(struct index_conn *n, const struct store_conn *c, struct rk_fault *fault)
{
	struct shown shown;
	int err;

	if ((err = ref_check(c->id, fault)) || (err = ref_check(c->name, fault)))
		return err;
	if (!rk_slice_cstr(c->id, n->id, sizeof n->id) ||
	    !rk_slice_cstr(c->name, n->name, sizeof n->name) ||
	    !rk_slice_cstr(c->provider, n->provider, sizeof n->provider) ||
	    !rk_slice_cstr(c->credential.hint, n->hint, sizeof n->hint))
		return rk_fail(fault, RK_E_INVALID, "a text of connection %.*s is malformed",
		               RK_FMT(c->name));
	if ((err = base_url_parse(c->base_url, &n->url, fault)) ||
	    (err = auth_new(c->auth, &n->auth, fault)))
		return err;
	if ((err = describe_identity(c->identity.public, &shown, fault)))
		return err;
	show_identity(n, &shown);
	if (own(c->auth, &n->auth_list) || own(c->ca_pem, &n->ca_pem) ||
	    own(c->credential.blob, &n->blob) || egress_own(&c->identity, &n->identity) ||
	    egress_own(&c->proxy, &n->proxy))
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	n->flags = c->flags;
	n->enabled = c->enabled;
	n->credential_version = c->credential.version;
	n->created_ms = c->created_ms;
	n->updated_ms = c->updated_ms;
	n->revision = c->revision ? c->revision : 1;
	return 0;
}

static int numbers_reserve(struct index *ix)
{
	size_t cap = ix->conn_cap ? 2 * ix->conn_cap : 16;
	struct index_conn **conn;

	if (ix->conns < ix->conn_cap)
		return 0;
	if (ix->conns >= SLOTS_NONE / 2)
		return RK_E_FULL;
	conn = realloc(ix->conn, cap * sizeof(struct index_conn *));
	if (!conn)
		return RK_E_NOMEM;
	ix->conn = conn;
	ix->conn_cap = cap;
	return 0;
}

static int conn_enter(struct index *ix, struct index_conn *n)
{
	uint32_t number = (uint32_t)ix->conns;
	int err = numbers_reserve(ix);

	if (err)
		return err;
	n->number = number;
	ix->conn[number] = n;
	if ((err = table_add(ix, 2 * number)))
		return err;
	if (strcmp(n->id, n->name) != 0 && (err = table_add(ix, 2 * number + 1))) {
		table_remove(ix, 2 * number);
		return err;
	}
	ix->conns++;
	ix->conn_count++;
	ix->conn_bytes += conn_bytes(n);
	n->upstream_id = index_new_upstream_id(ix);
	return 0;
}

int index_add_conn(struct index *ix, const struct store_conn *c, struct index_conn **out,
                   struct rk_fault *fault)
{
	struct index_conn *n;
	int err;

	if (index_conn_find(ix, c->id) || index_conn_find(ix, c->name))
		return rk_fail(fault, RK_E_EXISTS, "a connection \"%.*s\" exists already",
		               RK_FMT(c->name));
	n = calloc(1, sizeof *n);
	if (!n)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	err = conn_fill(n, c, fault);
	if (!err && (err = conn_enter(ix, n)))
		rk_fail(fault, err, "no room for another connection");
	if (err) {
		conn_destroy(n);
		return err;
	}
	if (out)
		*out = n;
	return 0;
}

int index_conn_rotate(struct index *ix, struct index_conn *c,
                      const struct store_credential *cred, int64_t now_ms)
{
	struct rk_slice blob = {NULL, 0};
	char hint[sizeof c->hint];

	if (!rk_slice_cstr(cred->hint, hint, sizeof hint))
		return RK_E_INVALID;
	if (own(cred->blob, &blob))
		return RK_E_NOMEM;
	if (!c->removed)
		ix->conn_bytes += blob.n - c->blob.n;
	disown(&c->blob);
	c->blob = blob;
	c->credential_version = cred->version;
	memcpy(c->hint, hint, sizeof hint);
	c->upstream_id = index_new_upstream_id(ix);
	c->updated_ms = now_ms;
	c->revision++;
	return 0;
}

int index_conn_set_egress(struct index *ix, struct index_conn *c, enum store_egress_kind kind,
                          const struct store_egress *e, int64_t now_ms)
{
	struct index_egress *to = kind == STORE_IDENTITY ? &c->identity : &c->proxy;
	struct index_egress n;
	struct shown shown;
	int err = kind == STORE_IDENTITY ? describe_identity(e->public, &shown, NULL) : 0;

	if (!err)
		err = egress_own(e, &n);
	if (err)
		return err;
	if (kind == STORE_IDENTITY)
		show_identity(c, &shown);
	if (!c->removed)
		ix->conn_bytes += n.public.n + n.blob.n - to->public.n - to->blob.n;
	egress_disown(to);
	*to = n;
	c->upstream_id = index_new_upstream_id(ix);
	c->updated_ms = now_ms;
	c->revision++;
	return 0;
}

/* What an update brings, made before anything changes. */
struct updated {
	struct index_auth *auth;
	struct rk_slice auth_list, ca_pem, blob;
	struct base_url url;
	char name[MSG_MAX_NAME + 1], provider[MSG_MAX_NAME + 1], hint[MSG_MAX_NAME + 1];
};

static void updated_drop(struct updated *u)
{
	index_auth_unref(u->auth);
	disown(&u->auth_list);
	disown(&u->ca_pem);
	disown(&u->blob);
}

static int updated_make(const struct store_conn_change *ch, struct updated *u,
                        struct rk_fault *fault)
{
	int err = 0;

	if ((ch->set & CONN_SET_NAME && (err = ref_check(ch->name, fault))) ||
	    (ch->set & CONN_SET_BASE_URL &&
	     (err = base_url_parse(ch->base_url, &u->url, fault))) ||
	    (ch->set & CONN_SET_AUTH && (err = auth_new(ch->auth, &u->auth, fault))))
		return err;
	if (!rk_slice_cstr(ch->name, u->name, sizeof u->name) ||
	    !rk_slice_cstr(ch->provider, u->provider, sizeof u->provider) ||
	    !rk_slice_cstr(ch->credential.hint, u->hint, sizeof u->hint))
		return rk_fail(fault, RK_E_INVALID, "a text of the connection is malformed");
	if (own(ch->auth, &u->auth_list) || own(ch->ca_pem, &u->ca_pem) ||
	    own(ch->credential.blob, &u->blob))
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	return 0;
}

/* The table finds it by its new name; on failure by its old one, as before. */
static int conn_rename(struct index *ix, struct index_conn *c, const char *name,
                       struct rk_fault *fault)
{
	char old[sizeof c->name];
	int err;

	if (strcmp(c->name, name) == 0)
		return 0;
	if (index_conn_find(ix, rk_str(name)))
		return rk_fail(fault, RK_E_EXISTS, "a connection \"%s\" exists already", name);
	memcpy(old, c->name, sizeof old);
	table_remove(ix, 2 * c->number + 1);
	snprintf(c->name, sizeof c->name, "%s", name);
	err = table_add(ix, 2 * c->number + 1);
	if (!err)
		return 0;
	memcpy(c->name, old, sizeof old);
	if (table_add(ix, 2 * c->number + 1)) {
		/* nothing: the place that it had is free */
	}
	return rk_fail(fault, err, "out of memory");
}

static void swap(struct rk_slice *a, struct rk_slice *b)
{
	struct rk_slice s = *a;

	*a = *b;
	*b = s;
}

/* Nothing can fail any more; what was there before is left in *u. */
static void updated_put(struct index_conn *c, const struct store_conn_change *ch,
                        struct updated *u)
{
	if (ch->set & CONN_SET_PROVIDER)
		memcpy(c->provider, u->provider, sizeof c->provider);
	if (ch->set & CONN_SET_FLAGS)
		c->flags = ch->flags;
	if (ch->set & CONN_SET_BASE_URL)
		c->url = u->url;
	if (ch->set & (CONN_SET_BASE_URL | CONN_SET_FLAGS))
		c->target++;
	if (ch->set & CONN_SET_CA)
		swap(&c->ca_pem, &u->ca_pem);
	if (ch->set & CONN_SET_AUTH) {
		struct index_auth *before = c->auth;

		c->auth = u->auth;
		u->auth = before;
		swap(&c->auth_list, &u->auth_list);
	}
	if (ch->credential.version) {
		swap(&c->blob, &u->blob);
		c->credential_version = ch->credential.version;
		memcpy(c->hint, u->hint, sizeof c->hint);
	}
}

int index_conn_update(struct index *ix, struct index_conn *c,
                      const struct store_conn_change *ch, struct rk_fault *fault)
{
	struct updated u = {.auth = NULL};
	size_t before = conn_bytes(c);
	int err = updated_make(ch, &u, fault);

	if (!err && ch->set & CONN_SET_NAME)
		err = conn_rename(ix, c, u.name, fault);
	if (!err) {
		updated_put(c, ch, &u);
		ix->conn_bytes += conn_bytes(c) - before;
		c->upstream_id = index_new_upstream_id(ix);
		c->updated_ms = ch->now_ms;
		c->revision++;
	}
	updated_drop(&u);
	return err;
}

void index_conn_set_enabled(struct index *ix, struct index_conn *c, bool enabled,
                            int64_t now_ms)
{
	(void)ix;
	c->enabled = enabled;
	c->updated_ms = now_ms;
}

void index_conn_remove(struct index *ix, struct index_conn *c)
{
	if (c->removed)
		return;
	if (strcmp(c->id, c->name) != 0)
		table_remove(ix, 2 * c->number + 1);
	table_remove(ix, 2 * c->number);
	ix->conn[c->number] = NULL;
	ix->conn_count--;
	ix->conn_bytes -= conn_bytes(c);
	index_kill_grants(c);
	c->removed = true;
	if (!c->refs)
		conn_destroy(c);
}

void index_conn_ref(struct index_conn *c)
{
	c->refs++;
}

void index_conn_unref(struct index_conn *c)
{
	if (--c->refs == 0 && c->removed)
		conn_destroy(c);
}

struct index_conn *index_conn_next(struct index *ix, const struct index_conn *after)
{
	for (size_t i = after ? (size_t)after->number + 1 : 0; i < ix->conns; i++) {
		if (ix->conn[i])
			return ix->conn[i];
	}
	return NULL;
}

size_t index_conn_count(const struct index *ix)
{
	return ix->conn_count;
}

/* Requests that still hold a removed connection are over by the time the index goes. */
void index_conn_free_all(struct index *ix)
{
	for (size_t i = 0; i < ix->conns; i++) {
		if (ix->conn[i])
			conn_destroy(ix->conn[i]);
	}
	free(ix->conn);
	slots_free(&ix->conn_refs);
}

uint32_t index_new_upstream_id(struct index *ix)
{
	if (++ix->next_upstream_id == 0) /* 0 is "none" */
		ix->next_upstream_id = 1;
	return ix->next_upstream_id;
}

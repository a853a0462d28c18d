/*
 * How a connection's upstream is reached: its client certificate and its egress proxy. Their
 * secrets, the private key and the proxy's credential, are wrapped like the connection's own,
 * each for its own place, and never shown again.
 */
#include "keeper/manage_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "http/tls_key.h"
#include "keeper/credential.h"
#include "keeper/manage_check.h"

/* ---- taking them out of a request ---- */

/* The request lies in this operation's own secret memory. */
static void wipe_part(struct manage_op *op, struct rk_slice part)
{
	if (part.n)
		rk_wipe(op->request.p + (part.p - (const char *)op->request.p), part.n);
}

/* Certificate and key belong together; notes whose they are. */
static int check_pair(struct change_egress *e, struct rk_fault *fault)
{
	struct tls_identity *id;
	int64_t expires_ms;
	int err = tls_identity_new(e->public, &id, fault);

	if (err)
		return err;
	err = tls_identity_check_key(id, rk_secret_slice(&e->secret), fault);
	tls_identity_describe(id, e->text, sizeof e->text, &expires_ms);
	tls_identity_free(id);
	return err;
}

int manage_take_identity(struct manage_op *op, struct rk_slice chain, struct rk_slice key,
                         uint32_t version, struct rk_fault *fault)
{
	struct change_egress *e = &op->identity;
	int err;

	if (!chain.n != !key.n) {
		wipe_part(op, key);
		return rk_fail(fault, RK_E_INVALID,
		               "a client certificate and its private key come together");
	}
	e->version = version;
	e->public = chain;
	if (!chain.n)
		return 0;
	err = tls_key_from_pem(key, &e->secret, fault);
	wipe_part(op, key);
	if (!err && e->secret.len > MSG_MAX_CLIENT_KEY)
		err = rk_fail(fault, RK_E_TOOBIG, "the private key is too large");
	return err ? err : check_pair(e, fault);
}

static int take_proxy_secret(struct manage_op *op, struct rk_slice from, struct rk_fault *fault)
{
	struct rk_secret *s = &op->proxy.secret;
	int err = rk_secret_alloc(s, from.n);

	if (!err)
		err = rk_secret_add(s, from.p, from.n);
	wipe_part(op, from);
	if (err)
		return rk_fail(fault, err, "there is no secret memory left for the secret");
	return check_proxy_secret(rk_secret_slice(s), fault);
}

int manage_take_proxy(struct manage_op *op, const struct base_url *url, uint32_t flags,
                      struct rk_slice text, struct rk_slice secret, uint32_t version,
                      struct rk_fault *fault)
{
	struct egress egress;
	int err = egress_parse(text, &egress, fault);

	if (!err && egress.kind == EGRESS_PROXY)
		err = check_proxied(url, flags, fault);
	if (!err && secret.n && egress.kind != EGRESS_PROXY)
		err = rk_fail(
		    fault, RK_E_INVALID,
		    "a proxy's credential needs the proxy that it is for: --egress-proxy "
		    "http://HOST:PORT");
	if (err) {
		wipe_part(op, secret);
		return err;
	}
	op->proxy.version = version;
	op->proxy.public = rk_str(egress_format(&egress, op->proxy.text));
	return secret.n ? take_proxy_secret(op, secret, fault) : 0;
}

/* ---- wrapping and storing ---- */

static int wrap(struct manage_op *op, enum store_egress_kind kind, struct change_egress *e,
                struct rk_fault *fault)
{
	char mem[CREDENTIAL_PLACE_MAX];
	struct rk_slice place =
	    credential_dial_place(kind, rk_str(op->conn.id), e->version, mem);
	size_t cap = e->secret.len + TOKEN_WRAP_OVERHEAD;
	int err;

	if (!e->secret.len)
		return 0;
	e->blob = malloc(cap);
	if (!e->blob)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	err = token_wrap(op->k->token, &e->secret, place, e->blob, cap, &e->blob_len, fault);
	rk_secret_free(&e->secret);
	return err;
}

int manage_wrap_egress(struct manage_op *op, struct rk_fault *fault)
{
	int err = wrap(op, STORE_IDENTITY, &op->identity, fault);

	return err ? err : wrap(op, STORE_PROXY, &op->proxy, fault);
}

struct store_egress manage_egress_of(const struct manage_op *op, const struct change_egress *e)
{
	return (struct store_egress){
	    .version = e->version,
	    .public = e->public,
	    .blob = rk_slice(e->blob, e->blob_len),
	    .created_ms = op->now_ms,
	};
}

void manage_egress_free(struct change_egress *e)
{
	rk_secret_free(&e->secret);
	free(e->blob);
	e->blob = NULL;
}

/* ---- connection.identity ---- */

static int identity_begin(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_conn_identity *b = &op->body.conn_identity;
	struct index_conn *c;
	int err = manage_conn_take(op, b->ref, &c, fault);

	if (!err && !b->client_chain.n && !b->client_key.n && !c->identity.public.n)
		return 1; /* there is none, and none shall be */
	if (!err)
		err = manage_take_identity(op, b->client_chain, b->client_key,
		                           c->identity.version + 1, fault);
	if (err)
		return err;
	manage_detail(op, "version=%u %s", op->identity.version,
	              b->client_chain.n ? op->identity.text : "none");
	return 0;
}

static int identity_store(struct manage_op *op, struct rk_fault *fault)
{
	struct store_egress e = manage_egress_of(op, &op->identity);

	return store_conn_set_egress(op->k->store, rk_str(op->conn.id), STORE_IDENTITY, &e,
	                             fault);
}

static int apply(struct manage_op *op, enum store_egress_kind kind,
                 const struct change_egress *change, struct rk_fault *fault)
{
	struct store_egress e = manage_egress_of(op, change);
	struct index_conn *c = index_conn_find(op->k->index, rk_str(op->conn.id));
	uint32_t former = c->upstream_id;
	int err = index_conn_set_egress(op->k->index, c, kind, &e, op->now_ms);

	if (err)
		return rk_fail(fault, err, "%s", rk_strerror(err));
	relay_links_conn_changed(op->k->relays, c, former);
	return 0;
}

static int identity_apply(struct manage_op *op, struct rk_fault *fault)
{
	return apply(op, STORE_IDENTITY, &op->identity, fault);
}

static void answer(struct manage_op *op)
{
	manage_send_conn(op, index_conn_find(op->k->index, rk_str(op->conn.id)), UINT32_MAX);
}

const struct mutation mutation_conn_identity = {
    .action = "connection.identity",
    .begin = identity_begin,
    .prepare = manage_wrap_egress,
    .store = identity_store,
    .apply = identity_apply,
    .answer = answer,
};

/* ---- connection.proxy ---- */

static int proxy_begin(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_conn_proxy *b = &op->body.conn_proxy;
	struct index_conn *c;
	int err = manage_conn_take(op, b->ref, &c, fault);

	if (!err)
		err = manage_take_proxy(op, &c->url, c->flags, b->egress, b->proxy_secret,
		                        c->proxy.version + 1, fault);
	if (err)
		return err;
	manage_detail(op, "version=%u egress=%s%s", op->proxy.version,
	              op->proxy.text[0] ? op->proxy.text : "default",
	              op->proxy.secret.len ? " secret" : "");
	return 0;
}

static int proxy_store(struct manage_op *op, struct rk_fault *fault)
{
	struct store_egress e = manage_egress_of(op, &op->proxy);

	return store_conn_set_egress(op->k->store, rk_str(op->conn.id), STORE_PROXY, &e, fault);
}

static int proxy_apply(struct manage_op *op, struct rk_fault *fault)
{
	return apply(op, STORE_PROXY, &op->proxy, fault);
}

const struct mutation mutation_conn_proxy = {
    .action = "connection.proxy",
    .begin = proxy_begin,
    .prepare = manage_wrap_egress,
    .store = proxy_store,
    .apply = proxy_apply,
    .answer = answer,
};

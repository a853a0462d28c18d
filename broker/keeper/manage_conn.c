#include "keeper/manage_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base62.h"
#include "base/clock.h"
#include "keeper/credential.h"
#include "keeper/manage_check.h"

enum { CONN_ID_DIGITS = 12 };

static const uint32_t flags_known =
    UPSTREAM_ALLOW_PRIVATE | UPSTREAM_ALLOW_ENCODED_SLASH | UPSTREAM_ALLOW_SET_COOKIE;

int manage_check_flags(uint32_t flags, struct rk_fault *fault)
{
	if (flags & ~flags_known)
		return rk_fail(fault, RK_E_INVALID, "the connection has an unknown option");
	return 0;
}

int manage_find_conn(struct keeper *k, struct rk_slice ref, struct index_conn **out,
                     struct rk_fault *fault)
{
	struct index_conn *c = ref.n ? index_conn_find(k->index, ref) : NULL;

	/* ref is not shown: it may be a secret pasted in the wrong place */
	if (!c)
		return rk_fail(fault, RK_E_NOTFOUND, "there is no such connection");
	*out = c;
	return 0;
}

/* Notes which connection it is: in the audit row and for the workers. */
static void conn_note(struct manage_op *op, const char *id, struct rk_slice name,
                      struct rk_slice provider)
{
	snprintf(op->conn.id, sizeof op->conn.id, "%s", id);
	snprintf(op->target, sizeof op->target, "%s", id);
	op->row.conn_id = rk_str(op->conn.id);
	op->row.conn_name = name;
	op->row.provider = provider;
}

/* The name and provider of an existing connection are copied: it can go while a row waits. */
int manage_conn_take(struct manage_op *op, struct rk_slice ref, struct index_conn **out,
                     struct rk_fault *fault)
{
	int err = manage_find_conn(op->k, ref, out, fault);

	if (err == 0)
		err = manage_check_revision(op, (*out)->revision, fault);
	if (err)
		return err;
	snprintf(op->conn.name, sizeof op->conn.name, "%s", (*out)->name);
	snprintf(op->conn.provider, sizeof op->conn.provider, "%s", (*out)->provider);
	conn_note(op, (*out)->id, rk_str(op->conn.name), rk_str(op->conn.provider));
	return 0;
}

struct index_conn *manage_conn_again(struct manage_op *op)
{
	return index_conn_find(op->k->index, rk_str(op->conn.id));
}

static int conn_recall(struct manage_op *op, struct rk_fault *fault)
{
	struct index_conn *c;
	int err = manage_find_conn(op->k, rk_str(op->target), &c, fault);

	if (err == 0)
		snprintf(op->conn.id, sizeof op->conn.id, "%s", c->id);
	return err;
}

void manage_conn_answer(struct manage_op *op)
{
	manage_send_conn(op, manage_conn_again(op), UINT32_MAX);
}

/* ---- the secret ---- */

/* Takes it out of the request, checks it against the style, and notes its hint. */
int manage_take_secret(struct manage_op *op, struct rk_slice from,
                       const struct auth_style *style, struct rk_fault *fault)
{
	struct rk_secret *s = &op->conn.secret;
	int err = rk_secret_alloc(s, from.n + 1);

	if (err == 0)
		err = rk_secret_add(s, from.p, from.n);
	if (err)
		return rk_fail(fault, err, "there is no secret memory left for the secret");
	/* the request lies in this operation's own secret memory */
	rk_wipe(op->request.p + (from.p - (const char *)op->request.p), from.n);
	err = auth_style_check_secret(style, s, fault);
	if (err == 0)
		auth_secret_hint(s, op->conn.hint, sizeof op->conn.hint);
	return err;
}

int manage_wrap_secret(struct manage_op *op, struct rk_fault *fault)
{
	char mem[CREDENTIAL_PLACE_MAX];
	struct rk_slice place = credential_place(rk_str(op->conn.id), op->conn.version, mem);
	size_t cap = op->conn.secret.len + TOKEN_WRAP_OVERHEAD;
	int err;

	op->conn.blob = malloc(cap);
	if (!op->conn.blob)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	err = token_wrap(op->k->token, &op->conn.secret, place, op->conn.blob, cap,
	                 &op->conn.blob_len, fault);
	rk_secret_free(&op->conn.secret);
	return err;
}

struct store_credential manage_credential_of(const struct manage_op *op)
{
	return (struct store_credential){
	    .version = op->conn.version,
	    .blob = rk_slice(op->conn.blob, op->conn.blob_len),
	    .hint = rk_str(op->conn.hint),
	    .created_ms = op->now_ms,
	};
}

/* ---- connection.add ---- */

static int add_check(struct manage_op *op, struct auth_style *style, struct rk_fault *fault)
{
	const struct msg_conn_add *b = &op->body.conn_add;
	struct base_url url;
	int err;

	if ((err = check_conn_name(b->name, fault)))
		return err;
	if (b->provider.n && (err = check_name("a provider", b->provider, fault)))
		return err;
	if ((err = manage_check_flags(b->flags, fault)) ||
	    (err = base_url_parse(b->base_url, &url, fault)) ||
	    (err = check_upstream(&url, b->flags, fault)) ||
	    (err = auth_style_parse(b->auth, style, fault)) ||
	    (err = check_ca_pem(b->ca_pem, fault)) ||
	    (err = manage_take_identity(op, b->client_chain, b->client_key,
	                                b->client_chain.n ? 1 : 0, fault)) ||
	    (err = manage_take_proxy(op, &url, b->flags, b->egress, b->proxy_secret,
	                             b->egress.n ? 1 : 0, fault)))
		return err;
	if (index_conn_find(op->k->index, b->name))
		return rk_fail(fault, RK_E_EXISTS, "a connection \"%.*s\" exists already",
		               RK_FMT(b->name));
	return 0;
}

static int add_begin(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_conn_add *b = &op->body.conn_add;
	char id[sizeof "conn_" + CONN_ID_DIGITS] = "conn_";
	struct auth_style style;
	size_t used = 0;
	int err;

	err = add_check(op, &style, fault);
	if (err == 0)
		err = manage_take_secret(op, b->secret, &style, fault);
	if (err)
		return err;
	op->conn.auth = b->auth;
	if (b->auth.n == 0) {
		err = record_list_add(op->conn.auth_default, sizeof op->conn.auth_default,
		                      &used, rk_str("bearer"));
		op->conn.auth = rk_slice(op->conn.auth_default, used);
	}
	do {
		rk_base62_random(id + 5, CONN_ID_DIGITS);
	} while (index_conn_find(op->k->index, rk_str(id)));
	op->conn.version = 1;
	conn_note(op, id, b->name, b->provider);
	manage_detail(op, "base_url=%.*s%s%s%s%s", RK_FMT(b->base_url),
	              b->flags & UPSTREAM_ALLOW_PRIVATE ? " allow_private" : "",
	              b->client_chain.n ? " client_certificate" : "",
	              b->egress.n ? " egress=" : "", op->proxy.text);
	return err;
}

static struct store_conn conn_of(const struct manage_op *op)
{
	const struct msg_conn_add *b = &op->body.conn_add;

	return (struct store_conn){
	    .id = rk_str(op->conn.id),
	    .name = b->name,
	    .provider = b->provider,
	    .base_url = b->base_url,
	    .auth = op->conn.auth,
	    .flags = b->flags,
	    .enabled = true,
	    .ca_pem = b->ca_pem,
	    .created_ms = op->now_ms,
	    .updated_ms = op->now_ms,
	    .credential = manage_credential_of(op),
	    .identity = manage_egress_of(op, &op->identity),
	    .proxy = manage_egress_of(op, &op->proxy),
	};
}

static int add_prepare(struct manage_op *op, struct rk_fault *fault)
{
	int err = manage_wrap_secret(op, fault);

	return err ? err : manage_wrap_egress(op, fault);
}

static int add_store(struct manage_op *op, struct rk_fault *fault)
{
	struct store_conn c = conn_of(op);

	return store_conn_add(op->k->store, &c, fault);
}

static int add_apply(struct manage_op *op, struct rk_fault *fault)
{
	struct store_conn c = conn_of(op);
	struct index_conn *added;
	int err = index_add_conn(op->k->index, &c, &added, fault);

	if (err == 0)
		relay_links_conn_changed(op->k->relays, added, 0);
	return err;
}

static void add_answer(struct manage_op *op)
{
	manage_send_conn(op, manage_conn_again(op), UINT32_MAX);
}

const struct mutation mutation_conn_add = {
    .action = "connection.add",
    .begin = add_begin,
    .prepare = add_prepare,
    .store = add_store,
    .apply = add_apply,
    .answer = add_answer,
    .recall = conn_recall,
};

/* ---- connection.rotate ---- */

static int rotate_begin(struct manage_op *op, struct rk_fault *fault)
{
	struct index_conn *c;
	int err = manage_conn_take(op, op->body.conn_rotate.ref, &c, fault);

	if (err == 0)
		err =
		    manage_take_secret(op, op->body.conn_rotate.secret, &c->auth->style, fault);
	if (err)
		return err;
	op->conn.version = c->credential_version + 1;
	manage_detail(op, "version=%u", op->conn.version);
	return 0;
}

static int rotate_store(struct manage_op *op, struct rk_fault *fault)
{
	struct store_credential cred = manage_credential_of(op);

	return store_conn_rotate(op->k->store, rk_str(op->conn.id), &cred, fault);
}

int manage_rotate_apply(struct manage_op *op, struct rk_fault *fault)
{
	struct store_credential cred = manage_credential_of(op);
	struct index_conn *c = manage_conn_again(op);
	uint32_t former = c->upstream_id;
	int err = index_conn_rotate(op->k->index, c, &cred, op->now_ms);

	if (err)
		return rk_fail(fault, err, "%s", rk_strerror(err));
	relay_links_conn_changed(op->k->relays, c, former);
	return 0;
}

const struct mutation mutation_conn_rotate = {
    .action = "connection.rotate",
    .begin = rotate_begin,
    .prepare = manage_wrap_secret,
    .store = rotate_store,
    .apply = manage_rotate_apply,
    .answer = manage_conn_answer,
    .recall = conn_recall,
};

/* ---- connection.disable, connection.enable ---- */

void manage_conn_state(struct manage_op *op)
{
	op->mutation =
	    op->body.conn_state.enabled ? &mutation_conn_enable : &mutation_conn_disable;
	mutation_start(op);
}

/* An enable that is under way must not undo a disable that came later. Whether there was one:
 * then what it stores must be stored over. */
static bool overtake(struct manage_op *disable)
{
	bool any = false;

	for (struct manage_op *op = disable->m->ops; op; op = op->next) {
		if (op->mutation == &mutation_conn_enable &&
		    (rk_slice_is(op->body.conn_state.ref, disable->conn.id) ||
		     rk_slice_is(op->body.conn_state.ref, disable->conn.name)))
			any = op->conn.overtaken = true;
	}
	return any;
}

static int disable_at_once(struct manage_op *op, struct rk_fault *fault)
{
	struct index_conn *c;
	int err = manage_conn_take(op, op->body.conn_state.ref, &c, fault);

	if (err)
		return err;
	op->conn.changed = overtake(op) || c->enabled;
	if (c->enabled)
		index_conn_set_enabled(op->k->index, c, false, rk_wall_ms());
	pipeline_cut_conn(op->k->pipeline, c, REASON_CONN_DISABLED);
	return 0;
}

static int disable_begin(struct manage_op *op, struct rk_fault *fault)
{
	/* by id now: the name could belong to another one by the time its turn comes */
	if (!manage_conn_again(op))
		return rk_fail(fault, RK_E_NOTFOUND, "the connection was removed meanwhile");
	return !op->conn.changed && !manage_is_undurable(op->m, op->conn.id);
}

static int state_store(struct manage_op *op, struct rk_fault *fault)
{
	return store_conn_set_enabled(op->k->store, rk_str(op->conn.id), op->conn.enable,
	                              op->now_ms, fault);
}

static int disable_apply(struct manage_op *op, struct rk_fault *fault)
{
	(void)fault;
	manage_drop_undurable(op->m, op->conn.id);
	manage_conn_again(op)->revision++;
	return 0;
}

const struct mutation mutation_conn_disable = {
    .action = "connection.disable",
    .at_once = disable_at_once,
    .begin = disable_begin,
    .store = state_store,
    .apply = disable_apply,
    .answer = manage_conn_answer,
};

static int enable_begin(struct manage_op *op, struct rk_fault *fault)
{
	struct index_conn *c;
	int err = manage_conn_take(op, op->body.conn_state.ref, &c, fault);

	op->conn.enable = true;
	return err ? err : c->enabled;
}

static int enable_apply(struct manage_op *op, struct rk_fault *fault)
{
	struct index_conn *c = manage_conn_again(op);

	(void)fault;
	manage_drop_undurable(op->m, op->conn.id);
	c->revision++;
	if (!op->conn.overtaken)
		index_conn_set_enabled(op->k->index, c, true, op->now_ms);
	return 0;
}

const struct mutation mutation_conn_enable = {
    .action = "connection.enable",
    .begin = enable_begin,
    .store = state_store,
    .apply = enable_apply,
    .answer = manage_conn_answer,
    .recall = conn_recall,
};

/* ---- connection.remove ---- */

static int remove_begin(struct manage_op *op, struct rk_fault *fault)
{
	struct index_conn *c;
	size_t live;
	int err = manage_conn_take(op, op->body.ref.ref, &c, fault);

	if (err)
		return err;
	live = index_conn_live_keys(op->k->index, c, op->now_ms);
	if (live && !op->body.ref.force)
		return rk_fail(fault, RK_E_STATE,
		               "%zu live key%s may use \"%s\": revoke %s first, or use --force",
		               live, live == 1 ? "" : "s", c->name, live == 1 ? "it" : "them");
	manage_detail(op, "live_keys=%zu%s", live, op->body.ref.force ? " force" : "");
	return 0;
}

static int remove_store(struct manage_op *op, struct rk_fault *fault)
{
	return store_conn_remove(op->k->store, rk_str(op->conn.id), fault);
}

static int remove_apply(struct manage_op *op, struct rk_fault *fault)
{
	struct index_conn *c = manage_conn_again(op);

	(void)fault;
	index_conn_ref(c);
	index_conn_remove(op->k->index, c);
	pipeline_cut_conn(op->k->pipeline, c, REASON_NO_CONN);
	relay_links_conn_removed(op->k->relays, c);
	index_conn_unref(c);
	manage_drop_undurable(op->m, op->conn.id);
	return 0;
}

static void remove_answer(struct manage_op *op)
{
	struct msg_done done = {0};

	manage_send(op, MSG_DONE, &done);
}

/* It is gone either way. */
static int remove_recall(struct manage_op *op, struct rk_fault *fault)
{
	(void)op;
	(void)fault;
	return 0;
}

const struct mutation mutation_conn_remove = {
    .action = "connection.remove",
    .begin = remove_begin,
    .store = remove_store,
    .apply = remove_apply,
    .answer = remove_answer,
    .recall = remove_recall,
};

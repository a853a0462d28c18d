/*
 * connection.update: another name, provider, options, base URL, auth style or CA.
 *
 * Whoever says where a secret goes, and whom it trusts there, can read it. So base URL, auth
 * style and CA change only together with the secret, freshly given: nobody who does not have it
 * gets it by a change. For the same reason no version from before comes back afterwards
 * (keeper/store_credential.h).
 *
 * Relays learn of it as of a rotation: what is in flight ends where it went; what is decided
 * and not sent is refused when what it was allowed to ask for may be something else now.
 */
#include "keeper/manage_int.h"

#include "keeper/manage_check.h"

static bool same_url(const struct base_url *a, const struct base_url *b)
{
	return a->port == b->port && strcmp(a->host, b->host) == 0 &&
	       strcmp(a->path, b->path) == 0;
}

/* The text of what is there now, for the audit log. */
static void note(struct manage_op *op, const char *what, struct rk_slice from,
                 struct rk_slice to)
{
	char before[sizeof op->detail];
	int from_n = (int)(from.n < 160 ? from.n : 160), to_n = (int)(to.n < 160 ? to.n : 160);

	memcpy(before, op->detail, sizeof before);
	manage_detail(op, "%s%s%s=%.*s > %.*s", before, before[0] ? " " : "", what, from_n,
	              from_n ? from.p : "", to_n, to_n ? to.p : "");
}

static void note_flags(struct manage_op *op, uint32_t from, uint32_t to)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} known[] = {
	    {UPSTREAM_ALLOW_PRIVATE, "allow_private"},
	    {UPSTREAM_ALLOW_ENCODED_SLASH, "allow_encoded_slash"},
	    {UPSTREAM_ALLOW_SET_COOKIE, "allow_set_cookie"},
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if ((from ^ to) & known[i].flag)
			note(op, known[i].name, rk_str(from & known[i].flag ? "yes" : "no"),
			     rk_str(to & known[i].flag ? "yes" : "no"));
	}
}

static void note_auth(struct manage_op *op, struct rk_slice from, struct rk_slice to)
{
	struct rk_slice first = rk_str(NULL), second = rk_str(NULL);

	/* of several the first, which tells most */
	(void)record_list_next(&from, &first);
	(void)record_list_next(&to, &second);
	note(op, "auth", first, second);
}

static void note_version(struct manage_op *op)
{
	char before[sizeof op->detail];

	memcpy(before, op->detail, sizeof before);
	manage_detail(op, "version=%u%s%s", op->conn.version, before[0] ? " " : "", before);
}

/* ---- what really changes ---- */

static int change_name(struct manage_op *op, const struct index_conn *c,
                       struct store_conn_change *ch, struct rk_fault *fault)
{
	const struct msg_conn_update *b = &op->body.conn_update;
	int err;

	if (rk_slice_is(b->name, c->name))
		return 0;
	if ((err = check_conn_name(b->name, fault)))
		return err;
	if (index_conn_find(op->k->index, b->name))
		return rk_fail(fault, RK_E_EXISTS, "a connection \"%.*s\" exists already",
		               RK_FMT(b->name));
	ch->set |= CONN_SET_NAME;
	ch->name = b->name;
	note(op, "name", rk_str(c->name), b->name);
	return 0;
}

static int change_provider(struct manage_op *op, const struct index_conn *c,
                           struct store_conn_change *ch, struct rk_fault *fault)
{
	const struct msg_conn_update *b = &op->body.conn_update;
	int err;

	if (rk_slice_is(b->provider, c->provider))
		return 0;
	if (b->provider.n && (err = check_name("a provider", b->provider, fault)))
		return err;
	ch->set |= CONN_SET_PROVIDER;
	ch->provider = b->provider;
	note(op, "provider", rk_str(c->provider), b->provider);
	return 0;
}

static int change_auth(struct manage_op *op, const struct index_conn *c,
                       struct store_conn_change *ch, struct auth_style *style,
                       struct rk_fault *fault)
{
	struct rk_slice list = op->body.conn_update.auth;
	size_t used = 0;
	int err = auth_style_parse(list, style, fault);

	if (!err && !list.n) { /* as when it is added */
		err = record_list_add(op->conn.auth_default, sizeof op->conn.auth_default,
		                      &used, rk_str("bearer"));
		list = rk_slice(op->conn.auth_default, used);
	}
	if (err || rk_slice_eq(list, c->auth_list))
		return err;
	ch->set |= CONN_SET_AUTH;
	ch->auth = list;
	note_auth(op, c->auth_list, list);
	return 0;
}

static int change_ca(struct manage_op *op, const struct index_conn *c,
                     struct store_conn_change *ch, struct rk_fault *fault)
{
	const struct msg_conn_update *b = &op->body.conn_update;
	int err;

	if (rk_slice_eq(b->ca_pem, c->ca_pem))
		return 0;
	if ((err = check_ca_pem(b->ca_pem, fault)))
		return err;
	ch->set |= CONN_SET_CA;
	ch->ca_pem = b->ca_pem;
	note(op, "ca", rk_str(c->ca_pem.n ? "private" : "system"),
	     rk_str(b->ca_pem.n ? "private" : "system"));
	return 0;
}

static uint32_t flags_after(const struct msg_conn_update *b, uint32_t now)
{
	uint32_t meant = 0;

	if (b->set & CONN_SET_FLAGS)
		return b->flags;
	if (b->set & CONN_SET_PRIVATE)
		meant |= UPSTREAM_ALLOW_PRIVATE;
	if (b->set & CONN_SET_ENCODED_SLASH)
		meant |= UPSTREAM_ALLOW_ENCODED_SLASH;
	if (b->set & CONN_SET_COOKIE)
		meant |= UPSTREAM_ALLOW_SET_COOKIE;
	return (now & ~meant) | (b->flags & meant);
}

/* Options and base URL are judged together: one allows the other. */
static int change_upstream(struct manage_op *op, const struct index_conn *c,
                           struct store_conn_change *ch, struct rk_fault *fault)
{
	const struct msg_conn_update *b = &op->body.conn_update;
	uint32_t flags = flags_after(b, c->flags);
	struct base_url url = c->url;
	struct egress egress;
	int err;

	if ((err = manage_check_flags(flags, fault)) ||
	    (b->set & CONN_SET_BASE_URL && (err = base_url_parse(b->base_url, &url, fault))))
		return err;
	if (flags != c->flags) {
		ch->set |= CONN_SET_FLAGS;
		ch->flags = flags;
		note_flags(op, c->flags, flags);
	}
	if (!same_url(&url, &c->url)) {
		ch->set |= CONN_SET_BASE_URL;
		ch->base_url = b->base_url;
		note(op, "base_url", manage_url_text(op->m, &c->url), b->base_url);
	}
	if (!(ch->set & (CONN_SET_FLAGS | CONN_SET_BASE_URL)))
		return 0;
	err = egress_parse(c->proxy.public, &egress, fault);
	if (!err && egress.kind == EGRESS_PROXY)
		err = check_proxied(&url, flags, fault);
	return err ? err : check_upstream(&url, flags, fault);
}

/* ---- the change ---- */

static int find_changes(struct manage_op *op, const struct index_conn *c,
                        struct auth_style *style, struct rk_fault *fault)
{
	const uint32_t set = op->body.conn_update.set;
	struct store_conn_change *ch = &op->conn.update;
	int err = 0;

	if (set & ~(uint32_t)CONN_SET_ALL)
		return rk_fail(fault, RK_E_INVALID, "the change has an unknown member");
	*style = c->auth->style;
	if ((set & CONN_SET_NAME && (err = change_name(op, c, ch, fault))) ||
	    (set & CONN_SET_PROVIDER && (err = change_provider(op, c, ch, fault))) ||
	    (set & CONN_SET_AUTH && (err = change_auth(op, c, ch, style, fault))) ||
	    (set & CONN_SET_CA && (err = change_ca(op, c, ch, fault))))
		return err;
	return change_upstream(op, c, ch, fault);
}

static int update_begin(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_conn_update *b = &op->body.conn_update;
	struct store_conn_change *ch = &op->conn.update;
	struct auth_style style;
	struct index_conn *c;
	int err = manage_conn_take(op, b->ref, &c, fault);

	if (!err)
		err = find_changes(op, c, &style, fault);
	if (err)
		return err;
	ch->retarget = ch->set & (CONN_SET_BASE_URL | CONN_SET_AUTH | CONN_SET_CA);
	if (ch->retarget && !b->secret.n)
		return rk_fail(fault, RK_E_INVALID,
		               "where a secret goes, and how, changes only together with the "
		               "secret: give it once more");
	if (!ch->set && !b->secret.n)
		return 1;
	if (!b->secret.n)
		return 0;
	err = manage_take_secret(op, b->secret, &style, fault);
	op->conn.version = c->credential_version + 1;
	note_version(op);
	return err;
}

static int update_prepare(struct manage_op *op, struct rk_fault *fault)
{
	return op->conn.version ? manage_wrap_secret(op, fault) : 0;
}

static const struct store_conn_change *change_of(struct manage_op *op)
{
	op->conn.update.now_ms = op->now_ms;
	if (op->conn.version)
		op->conn.update.credential = manage_credential_of(op);
	return &op->conn.update;
}

static int update_store(struct manage_op *op, struct rk_fault *fault)
{
	return store_conn_update(op->k->store, rk_str(op->conn.id), change_of(op), fault);
}

static int update_apply(struct manage_op *op, struct rk_fault *fault)
{
	struct index_conn *c = manage_conn_again(op);
	uint32_t former = c->upstream_id;
	int err = index_conn_update(op->k->index, c, change_of(op), fault);

	if (!err)
		relay_links_conn_changed(op->k->relays, c, former);
	return err;
}

const struct mutation mutation_conn_update = {
    .action = "connection.update",
    .begin = update_begin,
    .prepare = update_prepare,
    .store = update_store,
    .apply = update_apply,
    .answer = manage_conn_answer,
};

#include "keeper/manage_int.h"

#include <stdio.h>

#include "base/clock.h"
#include "ipc/catalogue_manage.h"

/* ---- connections ---- */

struct rk_slice manage_url_text(struct manage *m, const struct base_url *u)
{
	bool v6 = strchr(u->host, ':') != NULL;
	char port[8] = "";

	if (u->port != 443)
		snprintf(port, sizeof port, ":%u", u->port);
	snprintf(m->url, sizeof m->url, "https://%s%s%s%s%s", v6 ? "[" : "", u->host,
	         v6 ? "]" : "", port, u->path);
	return rk_str(m->url);
}

const char *manage_mechanism_text(enum wrap_mechanism w)
{
	switch (w) {
	case WRAP_AES_GCM_TOKEN:
		return "aes-gcm";
	case WRAP_RSA_OAEP:
		return "rsa-oaep";
	case WRAP_NONE:
		break;
	}
	return "";
}

void manage_send_conn(struct manage_op *op, struct index_conn *c, uint32_t live_keys)
{
	struct token_blob_info blob = {0};
	struct msg_conn_info info;

	if (token_blob_info(c->blob, &blob))
		blob.mechanism = WRAP_NONE;
	if (live_keys == UINT32_MAX)
		live_keys = (uint32_t)index_conn_live_keys(op->k->index, c, rk_wall_ms());
	info = (struct msg_conn_info){
	    .id = rk_str(c->id),
	    .name = rk_str(c->name),
	    .provider = rk_str(c->provider),
	    .base_url = manage_url_text(op->m, &c->url),
	    .auth = c->auth_list,
	    .flags = c->flags,
	    .enabled = c->enabled,
	    .private_ca = c->ca_pem.n > 0,
	    .credential_version = c->credential_version,
	    .kek_generation = blob.kek_generation,
	    .mechanism = rk_str(manage_mechanism_text(blob.mechanism)),
	    .secret_hint = rk_str(c->hint),
	    .created_ms = c->created_ms,
	    .updated_ms = c->updated_ms,
	    .live_keys = live_keys,
	    .client_subject = rk_str(c->client_subject),
	    .client_expires_ms = c->client_expires_ms,
	    .egress = c->proxy.public,
	    .proxy_secret = c->proxy.blob.n > 0,
	    .revision = c->revision,
	};
	manage_send(op, MSG_CONN_INFO, &info);
}

void manage_conn_get(struct manage_op *op)
{
	struct rk_fault fault;
	struct index_conn *c;
	int err = manage_find_conn(op->k, op->body.ref.ref, &c, &fault);

	if (err) {
		manage_end(op, err, fault.text);
		return;
	}
	manage_send_conn(op, c, UINT32_MAX);
	manage_finish(op);
}

/* ---- keys ---- */

/* LIST of encoded grants; a grant whose connection is gone has neither id nor name. */
static struct rk_slice grants_text(struct manage *m, const struct index_key *k)
{
	size_t used = 0;

	for (unsigned i = 0; i < k->grant_count; i++) {
		const struct index_grant *g = k->grants[i];
		struct msg_grant out = {
		    .conn = rk_str(g->conn ? g->conn->id : NULL),
		    .conn_name = rk_str(g->conn ? g->conn->name : NULL),
		    .methods = g->methods,
		    .paths = g->paths,
		    .deny_query = g->deny_query,
		};
		ssize_t n = record_encode(&msg_grant_desc, &out, m->grant, sizeof m->grant);

		/* what was issued here fits (see grants_resolve) */
		if (n < 0 || record_list_add(m->grants, sizeof m->grants, &used,
		                             rk_slice(m->grant, (size_t)n)))
			break;
	}
	return rk_slice(m->grants, used);
}

static struct rk_slice cidrs_text(struct manage *m, const struct index_key *k)
{
	char text[RK_CIDR_TEXT];
	size_t used = 0;

	for (unsigned i = 0; i < k->cidr_count; i++) {
		rk_cidr_format(&k->cidrs[i], text);
		if (record_list_add(m->cidrs, sizeof m->cidrs, &used, rk_str(text)))
			break;
	}
	return rk_slice(m->cidrs, used);
}

static enum key_state key_state(const struct index_key *k, int64_t now_ms)
{
	if (k->revoked_ms)
		return KEY_REVOKED;
	return k->expires_ms && now_ms >= k->expires_ms ? KEY_EXPIRED : KEY_ACTIVE;
}

void manage_send_key(struct manage_op *op, struct index_key *key, struct rk_slice text)
{
	const struct mgmt_entry *minter =
	    key->minted_by ? mgmt_keys_by_number(op->k->mgmt_keys, key->minted_by) : NULL;
	char id[RELAY_KEY_ID + 5], masked[RELAY_KEY_MASKED];
	struct msg_key_info info;

	snprintf(id, sizeof id, "key_%.*s", RELAY_KEY_ID, key->id);
	relay_key_mask(key->kind, key->hint, masked);
	info = (struct msg_key_info){
	    .id = rk_str(id),
	    .key = text,
	    .masked = rk_str(masked),
	    .kind = key->kind,
	    .holder = rk_str(index_key_holder(key)),
	    .name = rk_str(key->name),
	    .env = rk_str(key->env),
	    .cidrs = cidrs_text(op->m, key),
	    .grants = grants_text(op->m, key),
	    .state = (uint8_t)key_state(key, rk_wall_ms()),
	    .created_ms = key->created_ms,
	    .expires_ms = key->expires_ms,
	    .revoked_ms = key->revoked_ms,
	    .last_used_ms = key->last_used_ms,
	    .in_flight = key->in_flight,
	    .flags = key->flags,
	    .revision = key->revision,
	    .minted_by = rk_str(minter ? minter->id : NULL),
	};
	if (key->rate) {
		info.rate_per_minute = key->rate->limits.per_minute;
		info.rate_per_day = key->rate->limits.per_day;
		info.max_concurrent = key->rate->limits.max_concurrent;
	}
	manage_send(op, MSG_KEY_INFO, &info);
}

void manage_key_get(struct manage_op *op)
{
	struct rk_fault fault;
	struct index_key *k;
	int err = manage_find_key(op, op->body.ref.ref, &k, &fault);

	if (err) {
		manage_end(op, err, fault.text);
		return;
	}
	manage_send_key(op, k, rk_str(NULL));
	manage_finish(op);
}

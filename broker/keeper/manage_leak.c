/*
 * Leaked keys, reported by a secret scanner (signed) or by somebody who may revoke keys anyway.
 *
 *   signature (token worker) -> all of them revoked, in memory and in flight -> a row for each,
 *   kept when the journal is away -> one change: a row of the report, the store with what the
 *   outside is told, the verdicts
 *
 * What is revoked by now is not told of again, so a report may be sent as often as one likes.
 */
#include "keeper/manage_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base62.h"
#include "base/clock.h"
#include "base/log.h"
#include "ipc/catalogue_contain.h"
#include "keeper/alarm.h"
#include "keeper/leak_verify.h"
#include "keeper/mgmt_auth.h"
#include "keeper/mgmt_leak.h"
#include "keeper/notice.h"
#include "keeper/settings.h"
#include "keeper/store_contain.h"

enum { LEAK_MAX_ITEMS = MSG_MAX_LEAK_TOKENS };

struct leak_found {
	struct rk_slice token; /* in the report */
	struct index_key *key; /* NULL: no relay key that was issued here */
	struct rk_slice source;
	/* of a management key; "" when it is none of ours */
	char mgmt_id[MGMT_KEY_ID_TEXT], mgmt_masked[MGMT_KEY_MASKED];
	uint8_t finding; /* enum leak_finding */
};

struct leak_report {
	char pem[LEAK_PEM_MAX];
	size_t pem_n;
	uint8_t client_ip[16];
	unsigned count, revoked, unknown;
	struct leak_found found[LEAK_MAX_ITEMS];
	/* of those that this report revokes, for the store */
	unsigned tell;
	struct index_key *key[LEAK_MAX_ITEMS];
	struct store_leak leak[LEAK_MAX_ITEMS];
	char id[LEAK_MAX_ITEMS][RELAY_KEY_ID + 5];
	char masked[LEAK_MAX_ITEMS][RELAY_KEY_MASKED];
};

void manage_leak_release(struct manage_op *op)
{
	free(op->leak);
}

/* ---- what is in it ---- */

static bool is_live(const struct index_key *k, int64_t now_ms)
{
	return !k->revoked_ms && (!k->expires_ms || now_ms < k->expires_ms);
}

static void look_up(struct manage_op *op, struct leak_found *f, struct rk_slice token)
{
	struct relay_key shape;
	uint8_t digest[32];

	f->finding = LEAK_UNKNOWN;
	if (relay_key_parse(token, &shape))
		return;
	rk_sha256(token, digest);
	f->key = index_key_by_digest(op->k->index, digest);
	if (!f->key)
		return;
	if (!is_live(f->key, rk_wall_ms()))
		f->finding = LEAK_OVER;
	else
		f->finding = f->key->flags & KEY_HONEY ? LEAK_HONEY : LEAK_REVOKED;
}

static int read_items(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_leak_report *b = &op->body.leak_report;
	struct leak_report *l = op->leak;
	struct rk_slice list = b->items, item;
	struct msg_leak_item i;

	while (record_list_next(&list, &item)) {
		struct leak_found *f = &l->found[l->count];

		if (l->count == LEAK_MAX_ITEMS)
			return rk_fail(fault, RK_E_TOOBIG, "at most %d tokens in one report",
			               LEAK_MAX_ITEMS);
		if (record_decode(&msg_leak_item_desc, item, &i) || !i.n ||
		    i.at > b->payload.n || i.n > b->payload.n - i.at)
			return rk_fail(fault, RK_E_INVALID,
			               "a token does not stand in the report");
		f->source = i.source;
		f->token = rk_slice(b->payload.p + i.at, i.n);
		look_up(op, f, f->token);
		l->count++;
	}
	if (!l->count)
		return rk_fail(fault, RK_E_INVALID, "the report names no token");
	return 0;
}

/* ---- in force ---- */

static void key_row(struct manage_op *op, const struct leak_found *f, const char *id)
{
	char detail[MSG_MAX_LEAK_SOURCE + 16];
	bool honey = f->finding == LEAK_HONEY;
	struct audit_row row = {
	    .type = AUDIT_MANAGE,
	    .actor = rk_str(op->actor),
	    .action = rk_str("key.leaked"),
	    .target = rk_str(id),
	    .key_id = rk_str(id),
	    .holder_kind = f->key->kind,
	    .holder = rk_str(index_key_holder(f->key)),
	    .env = rk_str(f->key->env),
	};
	int n = snprintf(detail, sizeof detail, "%s%s%.*s", honey ? "honey" : "",
	                 honey && f->source.n ? " " : "", RK_FMT(f->source));

	for (int i = 0; i < n; i++)
		detail[i] = detail[i] >= ' ' && detail[i] < 0x7f ? detail[i] : '?';
	row.detail = rk_str(detail);
	pipeline_keep_row(op->k->pipeline, &row);
}

static void key_id_text(const struct index_key *k, char id[RELAY_KEY_ID + 5])
{
	snprintf(id, RELAY_KEY_ID + 5, "key_%.*s", RELAY_KEY_ID, k->id);
}

static void tell_of(struct manage_op *op, const struct leak_found *f)
{
	struct leak_report *l = op->leak;
	unsigned i = l->tell++;

	key_id_text(f->key, l->id[i]);
	relay_key_mask(f->key->kind, f->key->hint, l->masked[i]);
	l->key[i] = f->key;
	l->leak[i] = (struct store_leak){
	    .key_id = rk_str(l->id[i]),
	    .key_masked = rk_str(l->masked[i]),
	    .holder_kind = f->key->kind,
	    .holder = rk_str(index_key_holder(f->key)),
	    .source = f->source,
	    .revoked_ms = f->key->revoked_ms,
	};
}

static void revoke(struct manage_op *op, const struct leak_found *f, int64_t now_ms)
{
	struct leak_report *l = op->leak;

	f->key->revoked_ms = now_ms;
	pipeline_cut_key(op->k->pipeline, f->key, REASON_INVALID_KEY);
	tell_of(op, f);
	key_row(op, f, l->id[l->tell - 1]);
	/* until it is stored */
	manage_add_undurable(op->m, l->id[l->tell - 1]);
	l->revoked++;
}

/* It stays, to be tried by whoever found it. */
static void alert(struct manage_op *op, const struct leak_found *f)
{
	static const uint8_t nowhere[16];
	char id[RELAY_KEY_ID + 5];

	key_id_text(f->key, id);
	if (alarm_honey(op->k->alarm, f->key, NULL, nowhere, rk_str("leak report")))
		key_row(op, f, id);
}

/* Its row and its store are management's; who else is told, is told here. */
static void find_management_key(struct manage_op *op, struct leak_found *f)
{
	struct msg_notice n = {.kind = NOTICE_KEY_LEAKED, .actor = rk_str(op->actor)};
	enum mgmt_leak leak = mgmt_key_revoke_leaked(op->m, op->actor, f->token, f->source,
	                                             f->mgmt_id, f->mgmt_masked);

	if (leak == MGMT_LEAK_UNKNOWN) {
		f->mgmt_id[0] = '\0';
		op->leak->unknown++;
		return;
	}
	f->finding = leak == MGMT_LEAK_REVOKED ? LEAK_REVOKED : LEAK_OVER;
	if (leak != MGMT_LEAK_REVOKED)
		return;
	op->leak->revoked++;
	n.key_id = rk_str(f->mgmt_id);
	n.key_masked = rk_str(f->mgmt_masked);
	n.detail = f->source;
	if (notice_raise(op->k, &n, rk_str(NULL)))
		log_event(LOG_LEVEL_WARN, "notice-lost", "key", "%s", f->mgmt_id);
}

static void find(struct manage_op *op, struct leak_found *f, int64_t now_ms)
{
	char id[RELAY_KEY_ID + 5];

	if (!f->key) {
		find_management_key(op, f);
		return;
	}
	key_id_text(f->key, id);
	if (f->finding == LEAK_HONEY)
		alert(op, f);
	else if (f->finding == LEAK_REVOKED && !f->key->revoked_ms)
		revoke(op, f, now_ms);
	else if (manage_is_undurable(op->m, id) && f->finding == LEAK_OVER)
		tell_of(op, f); /* revoked, and not stored: once more */
	else
		f->finding = LEAK_OVER; /* named twice */
}

static int leak_at_once(struct manage_op *op, struct rk_fault *fault)
{
	struct leak_report *l = op->leak;
	int64_t now_ms = rk_wall_ms();
	int err = read_items(op, fault);

	if (err)
		return err;
	for (unsigned i = 0; i < l->count; i++)
		find(op, &l->found[i], now_ms);
	snprintf(op->target, sizeof op->target, "%s", l->tell == 1 ? l->id[0] : "keys");
	return 0;
}

/* ---- the change ---- */

static int leak_begin(struct manage_op *op, struct rk_fault *fault)
{
	struct leak_report *l = op->leak;

	(void)fault;
	manage_detail(op, "tokens=%u revoked=%u unknown=%u", l->count, l->revoked, l->unknown);
	return l->tell == 0;
}

static int leak_store(struct manage_op *op, struct rk_fault *fault)
{
	return store_keys_leaked(op->k->store, op->leak->leak, op->leak->tell,
	                         rk_str(op->actor), op->now_ms, fault);
}

static int leak_apply(struct manage_op *op, struct rk_fault *fault)
{
	(void)fault;
	for (unsigned i = 0; i < op->leak->tell; i++) {
		op->leak->key[i]->revision++;
		manage_drop_undurable(op->m, op->leak->id[i]);
	}
	manage_drop_undurable(op->m, op->target);
	return 0;
}

static void leak_answer(struct manage_op *op)
{
	char id[RELAY_KEY_ID + 5], masked[RELAY_KEY_MASKED];
	struct msg_done done = {0};

	for (unsigned i = 0; i < op->leak->count; i++) {
		const struct leak_found *f = &op->leak->found[i];
		struct msg_leak_verdict v = {.finding = f->finding};

		if (f->key) {
			key_id_text(f->key, id);
			relay_key_mask(f->key->kind, f->key->hint, masked);
			v.key_id = rk_str(id);
			v.masked = rk_str(masked);
		} else if (f->mgmt_id[0]) {
			v.key_id = rk_str(f->mgmt_id);
			v.masked = rk_str(f->mgmt_masked);
		}
		manage_send(op, MSG_LEAK_VERDICT, &v);
	}
	manage_send(op, MSG_DONE, &done);
}

const struct mutation mutation_leak = {
    .action = "leak.report",
    .at_once = leak_at_once,
    .begin = leak_begin,
    .store = leak_store,
    .apply = leak_apply,
    .answer = leak_answer,
};

/* ---- who reports it ---- */

static void verify_work(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;
	const struct msg_leak_report *b = &op->body.leak_report;

	op->fault.text[0] = '\0';
	op->err = leak_verify(rk_slice(op->leak->pem, op->leak->pem_n), b->payload,
	                      b->signature, &op->fault);
}

/* Audited, and counted with those who try management keys. */
static void refuse_scanner(struct manage_op *op, const char *why, const char *text)
{
	int err = mgmt_auth_refuse(op->k, op->leak->client_ip, why);

	manage_end(op, err,
	           err == RK_E_AGAIN ? "too many reports that nobody vouches for: try again in "
	                               "a minute"
	                             : text);
}

static void verify_done(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;

	if (op->m->dying)
		manage_op_free(op);
	else if (op->err == RK_E_AUTH)
		refuse_scanner(op, "signature of a leak report", op->fault.text);
	else if (op->err)
		manage_end(op, op->err, op->fault.text);
	else
		mutation_start(op); /* whether the reporter waits for the answer or not */
}

/* Unsigned, from nobody: their word is the signature. */
static int take_scanner(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_leak_report *b = &op->body.leak_report;
	struct rk_slice pem;

	if (!b->signature.n || !b->key_id.n)
		return rk_fail(fault, RK_E_AUTH,
		               "a report without a management key needs a secret scanner's "
		               "signature");
	pem = leak_key_find(keeper_settings(op->k)->leak_keys, b->key_id);
	if (!pem.n || pem.n > sizeof op->leak->pem)
		return rk_fail(fault, RK_E_AUTH,
		               "the settings have no secret scanner with this key");
	memcpy(op->leak->pem, pem.p, pem.n);
	op->leak->pem_n = pem.n;
	/* it is one of those in the settings: not the caller's choice */
	snprintf(op->actor, sizeof op->actor, "scanner:%.*s",
	         (int)(b->key_id.n < 48 ? b->key_id.n : 48), b->key_id.p);
	return 0;
}

void manage_leak_report(struct manage_op *op)
{
	struct rk_fault fault;
	int err;

	op->leak = calloc(1, sizeof *op->leak);
	if (!op->leak) {
		manage_end(op, RK_E_NOMEM, "out of memory");
		return;
	}
	op->mutation = &mutation_leak;
	if (op->caller->role != ROLE_NOBODY) {
		mutation_start(op);
		return;
	}
	memcpy(op->leak->client_ip, op->caller->client_ip, sizeof op->leak->client_ip);
	if (mgmt_auth_exhausted(op->k, op->leak->client_ip)) {
		refuse_scanner(op, "leak report", "");
		return;
	}
	err = take_scanner(op, &fault);
	if (err) {
		refuse_scanner(op, "scanner of a leak report", fault.text);
		return;
	}
	op->job.work = verify_work;
	op->job.done = verify_done;
	worker_submit(op->k->token_pool, &op->job);
}

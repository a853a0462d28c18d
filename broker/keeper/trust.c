#include "keeper/trust_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base62.h"
#include "base/clock.h"
#include "base/log.h"

enum job_kind {
	JOB_FIRST,   /* trust it: who asked waits */
	JOB_PENDING, /* keep it as pending */
	JOB_CODE,    /* a new code for one that is pending */
};

static const char *const action_of[] = {
    [JOB_FIRST] = "ip.first", [JOB_PENDING] = "ip.pending", [JOB_CODE] = "ip.mail"};

/* One change on its way: audit row, store, index. The record is busy meanwhile. */
struct trust_job {
	struct worker_job job; /* first: cast back */
	struct trust *t;
	struct trust_job *next, **prev;
	enum job_kind kind;
	struct index_trust *rec;
	uint32_t replaces; /* number of the one that makes room */
	bool was_stored;   /* JOB_FIRST of one that was pending */
	int err;
	struct rk_fault fault;
	/* for the store's thread */
	struct store_trust row;
	struct msg_notice notice;
	struct store_mail mail;
	char code[TRUST_CODE + 1];
	/* what the slices of row and notice lie in */
	char holder[MSG_MAX_NAME + 1], email[MSG_MAX_EMAIL + 1];
	char key_id[RELAY_KEY_ID + 5], masked[RELAY_KEY_MASKED];
	char conn_id[MSG_MAX_NAME + 1], conn_name[MSG_MAX_NAME + 1];
	char user_agent[AUDIT_MAX_USER_AGENT];
};

/* ---- the terms ---- */

static void bring_up_to_date(struct trust *t)
{
	struct trust_terms now;
	bool had = t->known;

	t->terms(t->k, &now);
	if (t->known && now.first == t->first &&
	    rk_slice_eq(now.presets, rk_slice(t->presets, t->presets_n)))
		return;
	t->known = true;
	t->first = now.first;
	t->presets_n = now.presets.n < sizeof t->presets ? now.presets.n : 0;
	if (t->presets_n)
		memcpy(t->presets, now.presets.p, t->presets_n);
	index_trust_rule(t->k->index, t->first, rk_slice(t->presets, t->presets_n));
	if (had)
		pipeline_cut_untrusted(t->k->pipeline);
}

/* ---- the life of a job ---- */

static void job_free(struct trust_job *j)
{
	*j->prev = j->next;
	if (j->next)
		j->next->prev = j->prev;
	j->t->job_count--;
	rk_wipe(j->code, sizeof j->code);
	free(j);
}

static void fill_audit_row(const struct trust_job *j, const char *action, const char *detail,
                           const char *id, struct audit_row *out)
{
	*out = (struct audit_row){
	    .type = AUDIT_MANAGE,
	    .key_id = rk_str(j->key_id),
	    .holder_kind = j->row.kind,
	    .holder = rk_str(j->holder),
	    .conn_id = rk_str(j->conn_id),
	    .conn_name = rk_str(j->conn_name),
	    .user_agent = j->row.user_agent,
	    .actor = rk_str(j->key_id),
	    .action = rk_str(action),
	    .target = rk_str(id),
	    .detail = rk_str(detail),
	};
	memcpy(out->client_ip, j->notice.client_ip, sizeof out->client_ip);
}

static int append_row(struct trust_job *j, bool failed, const char *detail,
                      pipeline_row_done *done)
{
	char id[TRUST_ID], action[32];
	struct audit_row row;

	trust_id(j->rec->number, id);
	snprintf(action, sizeof action, "%s%s", action_of[j->kind], failed ? ".failed" : "");
	fill_audit_row(j, action, detail, id, &row);
	return pipeline_append_row(j->t->k->pipeline, &row, done, j);
}

/* As if it had not been asked for. */
static void undo(struct trust_job *j)
{
	struct index_trust *rec = j->rec;
	struct index *ix = j->t->k->index;

	struct index_trust *old = j->replaces ? index_trust_by_number(ix, j->replaces) : NULL;

	if (old)
		old->busy = false;
	if (rec->holder->claim == rec)
		rec->holder->claim = NULL;
	rec->busy = false;
	if (j->kind == JOB_PENDING || (j->kind == JOB_FIRST && !j->was_stored))
		index_trust_drop(ix, rec);
}

static void job_end(struct trust_job *j)
{
	struct index_holder *h = j->rec->holder;
	struct pipeline *p = j->t->k->pipeline;
	bool waited_for = j->kind == JOB_FIRST;

	if (j->err)
		undo(j);
	job_free(j);
	if (waited_for)
		pipeline_trust_settled(p, h);
}

static void apply(struct trust_job *j)
{
	struct index_trust *rec = j->rec, *old;

	rec->busy = rec->fresh = false;
	if (j->kind == JOB_FIRST) {
		rec->state = TRUST_TRUSTED;
		rec->how = TRUST_BY_FIRST;
		rec->decided_ms = j->row.decided_ms;
		rec->code_expires_ms = 0;
		rec->revision += j->was_stored;
		rec->holder->settled = true;
		rec->holder->claim = NULL;
		return;
	}
	old = j->replaces ? index_trust_by_number(j->t->k->index, j->replaces) : NULL;
	if (old)
		index_trust_drop(j->t->k->index, old);
	rec->mailed_ms = j->row.mailed_ms;
	/* a link that goes to where the holder's mail went before opens nothing */
	if (rk_slice_is(j->mail.to, rec->holder->email ? rec->holder->email : ""))
		rec->code_expires_ms = j->row.code_expires_ms;
	memcpy(rec->code_digest, j->row.code_digest, sizeof rec->code_digest);
	rec->revision += j->kind == JOB_CODE;
}

static void store_done(struct worker_job *job)
{
	struct trust_job *j = (struct trust_job *)job;
	struct trust *t = j->t;

	if (!j->err)
		t->k->policy_version++;
	if (t->stopped)
		return; /* trust_free() */
	if (j->err) {
		log_event(LOG_LEVEL_ERROR, "address-not-stored", action_of[j->kind], "%s",
		          j->fault.text);
		(void)!append_row(j, true, "not stored", NULL);
	} else {
		apply(j);
	}
	job_end(j);
}

static void store_work(struct worker_job *job)
{
	struct trust_job *j = (struct trust_job *)job;
	struct store *s = j->t->k->store;

	j->fault.text[0] = '\0';
	if (j->kind == JOB_CODE)
		j->err = store_trust_code(s, &j->row, &j->mail, &j->fault);
	else if (j->was_stored)
		j->err = store_trust_decide(s, j->row.number, TRUST_BY_FIRST, j->row.decided_ms,
		                            &j->fault);
	else
		j->err = store_trust_add(s, &j->row, j->replaces, &j->mail, &j->fault);
}

static void row_done(int err, void *arg)
{
	struct trust_job *j = arg;

	if (j->t->stopped)
		return;
	j->err = err;
	if (err) {
		job_end(j);
		return;
	}
	j->job = (struct worker_job){.work = store_work, .done = store_done};
	worker_submit(j->t->k->store_pool, &j->job);
}

/* ---- making one ---- */

/* What the store's thread and the mail have to know, copied: the index may change meanwhile. */
static void copy_texts(struct trust_job *j, const struct index_key *key,
                       const struct index_conn *conn, struct rk_slice user_agent)
{
	const struct index_holder *h = j->rec->holder;

	snprintf(j->holder, sizeof j->holder, "%s", h->name);
	snprintf(j->email, sizeof j->email, "%s", h->email ? h->email : "");
	snprintf(j->key_id, sizeof j->key_id, "key_%.*s", RELAY_KEY_ID, key->id);
	relay_key_mask((enum holder_kind)key->kind, key->hint, j->masked);
	snprintf(j->conn_id, sizeof j->conn_id, "%s", conn->id);
	snprintf(j->conn_name, sizeof j->conn_name, "%s", conn->name);
	if (user_agent.n > sizeof j->user_agent)
		user_agent.n = sizeof j->user_agent;
	if (user_agent.n)
		memcpy(j->user_agent, user_agent.p, user_agent.n);
	j->row.user_agent = rk_slice(j->user_agent, user_agent.n);
}

static int job_new(struct trust *t, enum job_kind kind, struct index_trust *rec,
                   const struct index_key *key, const struct index_conn *conn,
                   const struct msg_authorize *m, struct trust_job **out)
{
	struct trust_job *j;

	if (t->job_count >= TRUST_MAX_JOBS)
		return RK_E_AGAIN;
	j = calloc(1, sizeof *j);
	if (!j)
		return RK_E_NOMEM;
	j->t = t;
	j->kind = kind;
	j->rec = rec;
	copy_texts(j, key, conn, m->user_agent);
	memcpy(j->notice.client_ip, m->client_ip, sizeof j->notice.client_ip);
	j->row.number = rec->number;
	j->row.kind = key->kind;
	j->row.holder = rk_str(j->holder);
	j->row.net = rec->net;
	j->row.state = TRUST_PENDING;
	j->row.key_id = rk_str(j->key_id);
	j->row.conn_id = rk_str(j->conn_id);
	j->row.first_ms = rec->first_ms;
	j->row.revision = 1;
	j->next = t->jobs;
	j->prev = &t->jobs;
	if (j->next)
		j->next->prev = &j->next;
	t->jobs = j;
	t->job_count++;
	*out = j;
	return 0;
}

static int claim(struct index *ix, struct index_key *key, const struct index_conn *conn,
                 const struct msg_authorize *m, int64_t now_ms, struct index_trust **out)
{
	struct rk_cidr net = index_trust_net(m->client_ip);
	int err = index_trust_new(ix, key->owner, &net, m->user_agent, out);

	if (err)
		return err;
	(*out)->key = key;
	(*out)->conn_id = conn->id;
	(*out)->first_ms = now_ms;
	return 0;
}

/* ---- the first address ---- */

static int on_first(struct index_key *key, const struct index_conn *conn,
                    const struct msg_authorize *m, void *arg)
{
	struct trust *t = ((struct keeper *)arg)->trust;
	struct index_holder *h = key->owner;
	struct rk_cidr net = index_trust_net(m->client_ip);
	struct index_trust *rec = index_trust_at(h, &net);
	int64_t now_ms = rk_wall_ms();
	bool was_stored = rec != NULL;
	struct trust_job *j;
	int err = 0;

	if (!t || t->stopped)
		return RK_E_STATE;
	if (h->claim)
		return 0; /* this very address: it waits like the one before */
	if (rec && (rec->busy || rec->state != TRUST_PENDING))
		return RK_E_AGAIN;
	if (!rec)
		err = claim(t->k->index, key, conn, m, now_ms, &rec);
	if (err)
		return err;
	err = job_new(t, JOB_FIRST, rec, key, conn, m, &j);
	if (err) {
		if (!was_stored)
			index_trust_drop(t->k->index, rec);
		return err;
	}
	j->was_stored = was_stored;
	j->row.state = TRUST_TRUSTED;
	j->row.how = TRUST_BY_FIRST;
	j->row.decided_ms = now_ms;
	rec->busy = true;
	h->claim = rec;
	err = append_row(j, false, "the holder's first address: trusted", row_done);
	if (err) {
		undo(j);
		job_free(j);
	}
	return err;
}

/* ---- all others ---- */

/* The pending address that nobody answered for the longest time; NULL: all are still open. */
static struct index_trust *oldest_unanswered(const struct index_holder *h, int64_t ttl_ms,
                                             int64_t now_ms)
{
	struct index_trust *oldest = NULL;

	for (unsigned i = 0; i < h->trusts; i++) {
		struct index_trust *rec = h->trust[i];

		if (rec->state != TRUST_PENDING || rec->busy || now_ms < rec->code_expires_ms ||
		    now_ms < rec->first_ms + ttl_ms || now_ms < rec->mailed_ms + ttl_ms)
			continue;
		if (!oldest || rec->first_ms < oldest->first_ms)
			oldest = rec;
	}
	return oldest;
}

static void put_code(struct trust_job *j, const struct trust_terms *terms, int64_t now_ms)
{
	trust_code_make(j->rec->number, j->code, j->row.code_digest);
	j->row.mailed_ms = now_ms;
	j->row.code_expires_ms = now_ms + terms->confirm_ttl_ms;
	j->notice.code = rk_slice(j->code, TRUST_CODE);
	j->notice.until_ms = j->row.code_expires_ms;
	j->mail.to = rk_str(j->email);
}

static void put_notice(struct trust_job *j, int64_t now_ms)
{
	struct msg_notice *n = &j->notice;

	n->kind = NOTICE_NEW_IP;
	rk_random(n->id, sizeof n->id);
	n->time_ms = now_ms;
	n->key_id = rk_str(j->key_id);
	n->key_masked = rk_str(j->masked);
	n->holder_kind = j->row.kind;
	n->holder = rk_str(j->holder);
	n->conn_id = rk_str(j->conn_id);
	n->conn_name = rk_str(j->conn_name);
	n->user_agent = j->row.user_agent;
	n->actor = rk_str(j->key_id);
	j->mail.notice = n;
}

static void keep_pending(struct trust *t, struct index_key *key, const struct index_conn *conn,
                         const struct msg_authorize *m, struct index_trust *rec,
                         const struct trust_terms *terms)
{
	struct index *ix = t->k->index;
	const struct index_holder *h = key->owner;
	int64_t now_ms = rk_wall_ms();
	bool known = rec != NULL;
	uint32_t most = terms->mails_per_key_day < HOLDER_MAX_MAILS ? terms->mails_per_key_day
	                                                            : HOLDER_MAX_MAILS;
	bool mail = h->email && index_mails(key, now_ms) < most;
	struct index_trust *old = NULL;
	struct trust_job *j;

	if (known && (!mail || now_ms < rec->code_expires_ms))
		return;
	if (!known && index_trust_count(h, TRUST_PENDING) >= HOLDER_MAX_PENDING) {
		old = oldest_unanswered(h, terms->confirm_ttl_ms, now_ms);
		if (!old)
			return;
	}
	if (!known && claim(ix, key, conn, m, now_ms, &rec))
		return;
	if (job_new(t, known ? JOB_CODE : JOB_PENDING, rec, key, conn, m, &j)) {
		if (!known)
			index_trust_drop(ix, rec);
		return;
	}
	rec->busy = true;
	if (old) {
		old->busy = true;
		j->replaces = old->number;
	}
	put_notice(j, now_ms);
	if (mail) {
		put_code(j, terms, now_ms);
		index_mail_count(ix, key, now_ms);
	}
	if (append_row(j, false,
	               mail       ? "a mail with a link goes to the holder"
	               : h->email ? "no mail: the key's mails of the day are used up"
	                          : "no mail: the holder has no address",
	               row_done)) {
		undo(j);
		job_free(j);
	}
}

static void on_locked(struct index_key *key, const struct index_conn *conn,
                      const struct msg_authorize *m, void *arg)
{
	struct trust *t = ((struct keeper *)arg)->trust;
	struct rk_cidr net = index_trust_net(m->client_ip);
	struct index_trust *rec = index_trust_at(key->owner, &net);
	struct trust_terms terms;

	if (!t || t->stopped || (rec && (rec->busy || rec->state != TRUST_PENDING)))
		return;
	t->terms(t->k, &terms);
	keep_pending(t, key, conn, m, rec, &terms);
}

static void on_ask(void *arg)
{
	struct trust *t = ((struct keeper *)arg)->trust;

	if (t && !t->stopped)
		bring_up_to_date(t);
}

struct pipeline_trust trust_hooks(struct keeper *k)
{
	return (struct pipeline_trust){
	    .ask = on_ask, .first = on_first, .locked = on_locked, .arg = k};
}

/* ---- the whole ---- */

int trust_new(struct keeper *k, void (*terms)(struct keeper *k, struct trust_terms *out),
              struct trust **out)
{
	struct trust *t = calloc(1, sizeof *t);

	if (!t)
		return RK_E_NOMEM;
	t->k = k;
	t->terms = terms;
	rk_random(&t->guess_seed, sizeof t->guess_seed);
	*out = t;
	return 0;
}

void trust_stop(struct trust *t)
{
	if (t)
		t->stopped = true;
}

void trust_free(struct trust *t)
{
	if (!t)
		return;
	while (t->jobs)
		/* NOLINTNEXTLINE: the one before was unlinked through its back pointer */
		job_free(t->jobs);
	free(t);
}

/*
 * A connection's earlier credentials: listed (never shown), brought back, removed for good.
 *
 * To bring one back is to unwrap it where it stands and to wrap it again as the newest version,
 * because a wrapped secret opens for its own version only. The plain text is in secret memory
 * between the two, on the token worker.
 */
#include "keeper/manage_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "keeper/credential.h"
#include "keeper/store_credential.h"

enum { VERSIONS_A_PAGE = 100 };

struct version_shown {
	uint32_t version;
	bool restorable;
	char hint[MSG_MAX_NAME + 1];
	struct token_blob_info blob;
	int64_t created_ms;
};

struct manage_versions {
	uint32_t before;
	unsigned limit, count; /* one more is read, to know whether there are more */
	struct version_shown shown[VERSIONS_A_PAGE + 1];
};

void manage_credential_release(struct manage_op *op)
{
	free(op->versions);
}

/* The job that runs ends it. */
void manage_credential_forget(struct manage_op *op)
{
	(void)op;
}

static void read_and_then(struct manage_op *op, void (*work)(struct worker_job *job),
                          void (*done)(struct worker_job *job))
{
	op->job.work = work;
	op->job.done = done;
	worker_submit(op->k->store_pool, &op->job);
}

/* ---- credential.list ---- */

static int note_version(const struct store_credential *c, bool restorable, void *arg)
{
	struct manage_versions *v = arg;
	struct version_shown *s = &v->shown[v->count++];

	*s = (struct version_shown){
	    .version = c->version,
	    .restorable = restorable,
	    .created_ms = c->created_ms,
	};
	if (!rk_slice_cstr(c->hint, s->hint, sizeof s->hint))
		s->hint[0] = '\0';
	if (token_blob_info(c->blob, &s->blob))
		s->blob.mechanism = WRAP_NONE;
	return 0;
}

static void list_work(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;
	struct manage_versions *v = op->versions;

	op->err = store_credential_each(op->k->store, rk_str(op->conn.id), v->before,
	                                v->limit + 1, note_version, v, &op->fault);
}

static void list_done(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;
	const struct manage_versions *v = op->versions;
	struct msg_done done = {.more = v->count > v->limit};
	struct index_conn *c = manage_conn_again(op);

	if (!op->caller) {
		manage_op_free(op);
		return;
	}
	if (op->err) {
		manage_end(op, op->err, op->fault.text);
		return;
	}
	for (unsigned i = 0; i < v->count && i < v->limit; i++) {
		const struct version_shown *s = &v->shown[i];
		const struct msg_credential_info info = {
		    .conn_id = rk_str(op->conn.id),
		    .version = s->version,
		    .current = c && s->version == c->credential_version,
		    .restorable = s->restorable,
		    .hint = rk_str(s->hint),
		    .mechanism = rk_str(manage_mechanism_text(s->blob.mechanism)),
		    .kek_generation = s->blob.kek_generation,
		    .created_ms = s->created_ms,
		};

		manage_send(op, MSG_CREDENTIAL_INFO, &info);
	}
	manage_send(op, MSG_DONE, &done);
	manage_finish(op);
}

void manage_credential_list(struct manage_op *op)
{
	const struct msg_credential_list *b = &op->body.credential_list;
	struct rk_fault fault;
	struct index_conn *c;
	int err = manage_conn_take(op, b->ref, &c, &fault);

	if (!err && !(op->versions = calloc(1, sizeof *op->versions)))
		err = rk_fail(&fault, RK_E_NOMEM, "out of memory");
	if (err) {
		manage_end(op, err, fault.text);
		return;
	}
	op->versions->before = b->before;
	op->versions->limit =
	    b->limit && b->limit < VERSIONS_A_PAGE ? b->limit : VERSIONS_A_PAGE;
	read_and_then(op, list_work, list_done);
}

/* ---- connection.rollback ---- */

static int keep_blob(const struct store_credential *c, bool restorable, void *arg)
{
	struct manage_op *op = arg;

	(void)restorable; /* the store says so once more when it is stored */
	if (c->version != op->conn.from)
		return RK_E_NOTFOUND;
	op->conn.blob = malloc(c->blob.n ? c->blob.n : 1);
	if (!op->conn.blob)
		return RK_E_NOMEM;
	memcpy(op->conn.blob, c->blob.p, c->blob.n);
	op->conn.blob_len = c->blob.n;
	return rk_slice_cstr(c->hint, op->conn.hint, sizeof op->conn.hint) ? 0 : RK_E_CORRUPT;
}

static void read_work(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;

	op->fault.text[0] = '\0';
	op->err = store_credential_each(op->k->store, rk_str(op->conn.id), op->conn.from + 1, 1,
	                                keep_blob, op, &op->fault);
	if (!op->err && !op->conn.blob)
		op->err = RK_E_NOTFOUND;
	if (op->err && !op->fault.text[0])
		rk_fail(&op->fault, op->err,
		        op->err == RK_E_NOTFOUND ? "there is no credential version %u"
		                                 : "credential version %u cannot be read",
		        op->conn.from);
}

static void read_done(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;

	if (!op->caller)
		manage_op_free(op);
	else if (op->err)
		manage_end(op, op->err, op->fault.text);
	else
		mutation_start(op);
}

void manage_conn_rollback(struct manage_op *op)
{
	const struct msg_credential_ref *b = &op->body.credential_ref;
	struct rk_fault fault;
	struct index_conn *c;
	int err = manage_conn_take(op, b->ref, &c, &fault);

	if (!err && (b->version == 0 || b->version > c->credential_version))
		err = rk_fail(&fault, RK_E_NOTFOUND, "there is no credential version %u",
		              b->version);
	if (!err && b->version == c->credential_version)
		err = rk_fail(&fault, RK_E_STATE, "version %u is the one in use", b->version);
	if (err) {
		manage_end(op, err, fault.text);
		return;
	}
	op->conn.from = b->version;
	op->mutation = &mutation_conn_rollback;
	read_and_then(op, read_work, read_done);
}

static int rollback_begin(struct manage_op *op, struct rk_fault *fault)
{
	struct index_conn *c = manage_conn_again(op);

	if (!c)
		return rk_fail(fault, RK_E_NOTFOUND, "the connection was removed meanwhile");
	op->conn.version = c->credential_version + 1;
	manage_detail(op, "version=%u from=%u", op->conn.version, op->conn.from);
	return 0;
}

static int rollback_prepare(struct manage_op *op, struct rk_fault *fault)
{
	char mem[CREDENTIAL_PLACE_MAX];
	struct rk_slice place = credential_place(rk_str(op->conn.id), op->conn.from, mem);
	int err = token_unwrap(op->k->token, rk_slice(op->conn.blob, op->conn.blob_len), place,
	                       &op->conn.secret, fault);

	free(op->conn.blob);
	op->conn.blob = NULL;
	return err ? err : manage_wrap_secret(op, fault);
}

static int rollback_store(struct manage_op *op, struct rk_fault *fault)
{
	struct store_credential cred = manage_credential_of(op);

	return store_credential_restore(op->k->store, rk_str(op->conn.id), op->conn.from, &cred,
	                                fault);
}

const struct mutation mutation_conn_rollback = {
    .action = "connection.rollback",
    .begin = rollback_begin,
    .prepare = rollback_prepare,
    .store = rollback_store,
    .apply = manage_rotate_apply,
    .answer = manage_conn_answer,
};

/* ---- connection.purge ---- */

static int purge_begin(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_credential_ref *b = &op->body.credential_ref;
	struct index_conn *c;
	int err = manage_conn_take(op, b->ref, &c, fault);

	if (err)
		return err;
	if (b->version == c->credential_version)
		return rk_fail(fault, RK_E_STATE,
		               "version %u is the one in use: rotate the connection first",
		               b->version);
	if (b->version == 0 || b->version > c->credential_version)
		return rk_fail(fault, RK_E_NOTFOUND, "there is no credential version %u",
		               b->version);
	manage_detail(op, "version=%u", b->version);
	return 0;
}

static int purge_store(struct manage_op *op, struct rk_fault *fault)
{
	return store_credential_purge(op->k->store, rk_str(op->conn.id),
	                              op->body.credential_ref.version, fault);
}

static int purge_apply(struct manage_op *op, struct rk_fault *fault)
{
	(void)op; /* only the newest is in the index */
	(void)fault;
	return 0;
}

const struct mutation mutation_conn_purge = {
    .action = "connection.purge",
    .begin = purge_begin,
    .store = purge_store,
    .apply = purge_apply,
    .answer = manage_conn_answer,
};

#include "keeper/manage_int.h"
#include "keeper/manage_trust.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "keeper/recent_keys.h"

enum { SWEEP_MS = 1000 };

static void change(struct manage_op *op)
{
	op->mutation = op->cmd->mutation;
	mutation_start(op);
}

static const struct manage_command commands[] = {
    {.type = MSG_STATUS_GET, .may = MAY_READ, .when_sealed = true, .start = manage_status},
    {.type = MSG_CONN_ADD, .may = MAY_ADMIN, .start = change, .mutation = &mutation_conn_add},
    {.type = MSG_CONN_GET, .may = MAY_READ, .start = manage_conn_get},
    {.type = MSG_CONN_LIST,
     .may = MAY_READ,
     .start = manage_conn_list,
     .resume = manage_conn_list_resume,
     .release = manage_list_release},
    {.type = MSG_CONN_ROTATE,
     .may = MAY_ADMIN,
     .start = change,
     .mutation = &mutation_conn_rotate},
    {.type = MSG_CONN_IDENTITY,
     .may = MAY_ADMIN,
     .start = change,
     .mutation = &mutation_conn_identity},
    {.type = MSG_CONN_PROXY,
     .may = MAY_ADMIN,
     .start = change,
     .mutation = &mutation_conn_proxy},
    {.type = MSG_CONN_UPDATE,
     .may = MAY_ADMIN,
     .start = change,
     .mutation = &mutation_conn_update},
    {.type = MSG_CREDENTIAL_LIST,
     .may = MAY_READ,
     .start = manage_credential_list,
     .forget = manage_credential_forget,
     .release = manage_credential_release},
    {.type = MSG_CONN_ROLLBACK,
     .may = MAY_ADMIN,
     .start = manage_conn_rollback,
     .release = manage_credential_release},
    {.type = MSG_CONN_PURGE,
     .may = MAY_ADMIN,
     .start = change,
     .mutation = &mutation_conn_purge},
    {.type = MSG_CONN_PROBE,
     .may = MAY_OPERATE,
     .start = manage_conn_probe,
     .forget = manage_probe_forget,
     .release = manage_probe_release},
    {.type = MSG_CONN_STATE, .may = MAY_OPERATE, .start = manage_conn_state},
    {.type = MSG_CONN_REMOVE,
     .may = MAY_ADMIN,
     .start = change,
     .mutation = &mutation_conn_remove},
    {.type = MSG_KEY_ISSUE,
     .may = MAY_OPERATE,
     .start = change,
     .mutation = &mutation_key_issue},
    {.type = MSG_KEY_GET, .may = MAY_EVERY_ROLE, .start = manage_key_get},
    {.type = MSG_KEY_LIST,
     .may = MAY_EVERY_ROLE,
     .start = manage_key_list,
     .resume = manage_key_list_resume,
     .release = manage_list_release},
    {.type = MSG_KEY_REVOKE,
     .may = MAY_MINT,
     .start = change,
     .mutation = &mutation_key_revoke},
    {.type = MSG_KEY_EXTEND,
     .may = MAY_OPERATE,
     .start = change,
     .mutation = &mutation_key_extend},
    {.type = MSG_SETTINGS_GET, .may = MAY_READ, .start = manage_settings_get},
    {.type = MSG_SETTINGS_SET,
     .may = MAY_ADMIN,
     .start = change,
     .release = manage_settings_release,
     .mutation = &mutation_settings_set},
    {.type = MSG_MAIL_TEST, .may = MAY_ADMIN, .start = change, .mutation = &mutation_mail_test},
    {.type = MSG_HOOK_ADD,
     .may = MAY_ADMIN,
     .start = change,
     .release = manage_hook_release,
     .mutation = &mutation_hook_add},
    {.type = MSG_HOOK_GET, .may = MAY_READ, .start = manage_hook_get},
    {.type = MSG_HOOK_LIST, .may = MAY_READ, .start = manage_hook_list},
    {.type = MSG_HOOK_UPDATE,
     .may = MAY_ADMIN,
     .start = change,
     .release = manage_hook_release,
     .mutation = &mutation_hook_update},
    {.type = MSG_HOOK_REMOVE,
     .may = MAY_ADMIN,
     .start = change,
     .mutation = &mutation_hook_remove},
    {.type = MSG_HOOK_ROTATE,
     .may = MAY_ADMIN,
     .start = change,
     .release = manage_hook_release,
     .mutation = &mutation_hook_rotate},
    {.type = MSG_HOOK_TEST, .may = MAY_ADMIN, .start = change, .mutation = &mutation_hook_test},
    {.type = MSG_DELIVERY_LIST,
     .may = MAY_READ,
     .start = manage_delivery_list,
     .resume = manage_delivery_resume,
     .forget = manage_delivery_forget,
     .release = manage_delivery_release},
    {.type = MSG_DELIVERY_GET,
     .may = MAY_READ,
     .start = manage_delivery_get,
     .forget = manage_delivery_forget,
     .release = manage_delivery_release},
    {.type = MSG_DELIVERY_REPLAY,
     .may = MAY_OPERATE,
     .start = change,
     .release = manage_delivery_release,
     .mutation = &mutation_delivery_replay},
    {.type = MSG_KEY_UPDATE, .may = MAY_OPERATE, .start = manage_key_update},
    {.type = MSG_KEY_MINT, .may = MAY_MINT, .start = change, .mutation = &mutation_key_mint},
    {.type = MSG_MGMT_ISSUE,
     .may = MAY_ADMIN,
     .start = change,
     .mutation = &mutation_mgmt_issue},
    {.type = MSG_MGMT_GET, .may = MAY_ADMIN, .start = manage_mgmt_get},
    {.type = MSG_MGMT_LIST,
     .may = MAY_ADMIN,
     .start = manage_mgmt_list,
     .resume = manage_mgmt_list_resume},
    {.type = MSG_MGMT_UPDATE,
     .may = MAY_ADMIN,
     .start = change,
     .mutation = &mutation_mgmt_update},
    {.type = MSG_MGMT_REVOKE,
     .may = MAY_ADMIN,
     .start = change,
     .mutation = &mutation_mgmt_revoke},
    {.type = MSG_USER_ADD, .may = MAY_ADMIN, .start = change, .mutation = &mutation_user_add},
    {.type = MSG_USER_GET, .may = MAY_ADMIN, .start = manage_user_get},
    {.type = MSG_USER_LIST,
     .may = MAY_ADMIN,
     .start = manage_user_list,
     .resume = manage_user_list_resume},
    {.type = MSG_USER_UPDATE,
     .may = MAY_ADMIN,
     .start = change,
     .mutation = &mutation_user_update},
    {.type = MSG_USER_REMOVE,
     .may = MAY_ADMIN,
     .start = change,
     .mutation = &mutation_user_remove},
    {.type = MSG_HOLDER_LIST,
     .may = MAY_READ,
     .start = manage_holder_list,
     .resume = manage_holder_list_resume,
     .release = manage_trust_release},
    {.type = MSG_HOLDER_GET, .may = MAY_READ, .start = manage_holder_get},
    {.type = MSG_HOLDER_SET,
     .may = MAY_OPERATE,
     .start = manage_trust_change,
     .mutation = &mutation_holder_set,
     .release = manage_trust_release},
    {.type = MSG_HOLDER_REVOKE,
     .may = MAY_OPERATE,
     .start = manage_trust_change,
     .mutation = &mutation_holder_revoke,
     .release = manage_trust_release},
    {.type = MSG_TRUST_LIST,
     .may = MAY_READ,
     .start = manage_trust_list,
     .resume = manage_trust_list_resume,
     .release = manage_trust_release},
    {.type = MSG_TRUST_GET, .may = MAY_READ, .start = manage_trust_get},
    {.type = MSG_TRUST_ADD,
     .may = MAY_OPERATE,
     .start = manage_trust_change,
     .mutation = &mutation_trust_add,
     .release = manage_trust_release},
    {.type = MSG_TRUST_APPROVE,
     .may = MAY_OPERATE,
     .start = manage_trust_change,
     .mutation = &mutation_trust_approve,
     .release = manage_trust_release},
    {.type = MSG_TRUST_REMOVE,
     .may = MAY_OPERATE,
     .start = manage_trust_change,
     .mutation = &mutation_trust_remove,
     .release = manage_trust_release},
    {.type = MSG_TRUST_CONFIRM_GET,
     .may = MAY_ANYONE | MAY_EVERY_ROLE,
     .start = manage_confirm_get},
    {.type = MSG_TRUST_CONFIRM,
     .may = MAY_ANYONE | MAY_EVERY_ROLE,
     .start = manage_trust_change,
     .mutation = &mutation_confirm,
     .release = manage_trust_release},
    {.type = MSG_LEAK_REPORT,
     .may = MAY_ANYONE | MAY_OPERATE, /* nobody in particular: with a signature */
     .start = manage_leak_report,
     .release = manage_leak_release},
    {.type = MSG_PANIC_ON, .may = MAY_OPERATE, .start = change, .mutation = &mutation_panic_on},
    {.type = MSG_PANIC_OFF, .may = MAY_ADMIN, .start = change, .mutation = &mutation_panic_off},
    {.type = MSG_AUDIT_QUERY,
     .may = MAY_READ,
     .start = manage_audit_query,
     .resume = manage_audit_resume,
     .forget = manage_audit_forget,
     .release = manage_audit_release},
    {.type = MSG_AUDIT_VERIFY,
     .may = MAY_READ,
     .start = manage_audit_verify,
     .forget = manage_audit_forget,
     .release = manage_audit_release},
};

/* ---- answers ---- */

void manage_send(struct manage_op *op, enum ipc_type type, const void *body)
{
	/* a caller that cannot be reached says so itself, through manage_forget() */
	if (op->caller)
		(void)!op->caller->ops->send(op->caller, type, body);
}

bool manage_room(struct manage_op *op)
{
	return op->caller && op->caller->ops->room(op->caller);
}

void manage_finish(struct manage_op *op)
{
	struct manage_caller *c = op->caller;

	op->caller = NULL;
	if (c)
		c->op = NULL;
	manage_op_free(op);
	if (c)
		c->ops->done(c);
}

void manage_end(struct manage_op *op, int err, const char *text)
{
	struct msg_done done = {.err = err, .text = rk_str(text)};

	manage_send(op, MSG_DONE, &done);
	manage_finish(op);
}

void manage_end_list(struct manage_op *op, bool more)
{
	struct msg_done done = {.more = more};

	manage_send(op, MSG_DONE, &done);
	manage_finish(op);
}

/* ---- the life of an operation ---- */

static void manage_destroy(struct manage *m)
{
	while (m->undurable) {
		struct manage_undurable *u = m->undurable;

		m->undurable = u->next;
		free(u);
	}
	recent_keys_free(m->recent);
	if (m->sweep)
		event_free(m->sweep);
	if (m->wake)
		event_free(m->wake);
	if (m->wake_fd >= 0)
		close(m->wake_fd);
	free(m);
}

void manage_op_free(struct manage_op *op)
{
	struct manage *m = op->m;

	if (op->cmd->release)
		op->cmd->release(op);
	if (op->again)
		event_free(op->again);
	rk_secret_free(&op->request);
	rk_secret_free(&op->conn.secret);
	rk_secret_free(&op->key.text);
	free(op->conn.blob);
	manage_egress_free(&op->identity);
	manage_egress_free(&op->proxy);
	free(op->key.lists);
	index_key_drop(&op->key.fresh);
	manage_mgmt_release(op);
	*op->prev = op->next;
	if (op->next)
		op->next->prev = op->prev;
	free(op);
	if (m->dying && !m->ops)
		manage_destroy(m);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct manage_op *op = arg;

	(void)fd;
	(void)what;
	op->cmd->resume(op);
}

void manage_again(struct manage_op *op)
{
	static const struct timeval now;

	if (op->again)
		event_add(op->again, &now);
}

/* Copies the body, because its slices die with the caller's message. Secrets come with it. */
static int op_copy_body(struct manage_op *op, enum ipc_type type, const union ipc_body *body)
{
	const struct record_desc *d = ipc_row(type)->body;
	ssize_t n;
	int err;

	err = rk_secret_alloc(&op->request, record_size(d, body) + 1);
	if (err)
		return err;
	n = record_encode(d, body, op->request.p, op->request.cap);
	if (n < 0)
		return (int)n;
	op->request.len = (size_t)n;
	return record_decode(d, rk_secret_slice(&op->request), &op->body);
}

static int op_new(struct manage *m, struct manage_caller *c, const struct manage_command *cmd,
                  const union ipc_body *body, struct manage_op **out)
{
	struct manage_op *op = calloc(1, sizeof *op);
	int err;

	if (!op)
		return RK_E_NOMEM;
	op->m = m;
	op->k = m->k;
	op->cmd = cmd;
	op->next = m->ops;
	op->prev = &m->ops;
	if (op->next)
		op->next->prev = &op->next;
	m->ops = op;
	op->again = evtimer_new(loop_base(m->k->loop), on_again, op);
	err = op->again ? op_copy_body(op, cmd->type, body) : RK_E_NOMEM;
	if (err) {
		manage_op_free(op);
		return err;
	}
	op->role = (uint8_t)c->role;
	op->mgmt_key = c->mgmt_key;
	op->if_revision = c->if_revision;
	/* what nobody did, anybody could ask for again */
	if (c->role != ROLE_NOBODY)
		snprintf(op->idempotency_key, sizeof op->idempotency_key, "%s",
		         c->idempotency_key);
	op->caller = c;
	c->op = op;
	*out = op;
	return 0;
}

/* Who is known, and asks for what it may not: nobody waits for the row. */
static void note_denied(struct manage *m, const struct manage_caller *c, enum ipc_type type)
{
	char detail[48];
	struct audit_row row = {
	    .type = AUDIT_MANAGE,
	    .actor = rk_str(c->actor),
	    .action = rk_str("denied"),
	    .target = rk_str(ipc_row(type)->name),
	};

	snprintf(detail, sizeof detail, "role=%s", mgmt_role_name(c->role));
	row.detail = rk_str(detail);
	if (c->role != ROLE_NOBODY && m->k->pipeline &&
	    pipeline_append_row(m->k->pipeline, &row, NULL, NULL))
		log_event(LOG_LEVEL_WARN, "denied", "actor", "%s: %s", c->actor,
		          ipc_row(type)->name);
}

static void refuse(struct manage_caller *c, int err, struct rk_slice text)
{
	struct msg_done done = {.err = err, .text = text};

	(void)!c->ops->send(c, MSG_DONE, &done);
	c->ops->done(c);
}

void manage_run(struct manage *m, struct manage_caller *c, enum ipc_type type,
                const union ipc_body *body)
{
	const struct manage_command *cmd = NULL;
	struct rk_fault fault;
	struct manage_op *op;
	int err;

	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		if (commands[i].type == type)
			cmd = &commands[i];
	}
	if (!cmd) {
		refuse(c, RK_E_UNSUPPORTED, rk_str("this is no management command"));
		return;
	}
	if (!mgmt_role_may(c->role, cmd->may)) {
		note_denied(m, c, type);
		rk_fail(&fault, 0, "the role %s may not do this", mgmt_role_name(c->role));
		refuse(c, c->role == ROLE_NOBODY ? RK_E_AUTH : RK_E_DENIED, rk_str(fault.text));
		return;
	}
	if (!cmd->when_sealed && m->k->state != KEEPER_OPEN) {
		if (m->k->state == KEEPER_SEALED)
			err = rk_fail(&fault, RK_E_TOKEN, "sealed: %s", m->k->seal_reason);
		else
			err = rk_fail(&fault, RK_E_CLOSED, "the broker is stopping");
		refuse(c, err, rk_str(fault.text));
		return;
	}
	err = op_new(m, c, cmd, body, &op);
	if (err) {
		refuse(c, err, rk_str(rk_strerror(err)));
		return;
	}
	cmd->start(op);
}

void manage_drained(struct manage_caller *c)
{
	if (c->op && c->op->cmd->resume)
		c->op->cmd->resume(c->op);
}

static void op_forget(struct manage_op *op)
{
	if (op->caller)
		op->caller->op = NULL;
	op->caller = NULL;
	if (op->mutation)
		return;
	if (op->cmd->forget)
		op->cmd->forget(op);
	else
		manage_op_free(op);
}

void manage_forget(struct manage_caller *c)
{
	if (c->op)
		op_forget(c->op);
}

void manage_forget_key(struct manage *m, uint32_t number, const struct manage_op *but)
{
	struct manage_op *op = m->ops;

	while (op) {
		struct manage_caller *c = op->caller;

		if (op == but || !c || op->mgmt_key != number) {
			op = op->next;
			continue;
		}
		op_forget(op);
		refuse(c, RK_E_AUTH, rk_str("the management key is not valid any more"));
		op = m->ops; /* who was told may have ended others */
	}
}

/* ---- management as a whole ---- */

/* A reader thread has a piece ready for one of the operations. */
static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct manage *m = arg;
	struct manage_op *op, *next;
	uint64_t n;

	(void)what;
	while (read(fd, &n, sizeof n) < 0 && errno == EINTR)
		;
	for (op = m->ops; op; op = next) {
		next = op->next;
		if (op->stream && op->caller && op->cmd->resume)
			manage_again(op);
	}
}

/* A key that expires ends what its bearer still reads: a live tail has no end of its own. */
static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct manage *m = arg;
	struct manage_op *op, *next;

	(void)fd;
	(void)what;
	for (op = m->ops; op; op = next) {
		const struct mgmt_entry *e =
		    op->mgmt_key && op->caller && !op->mutation
		        ? mgmt_keys_by_number(m->k->mgmt_keys, op->mgmt_key)
		        : NULL;

		next = op->next;
		if (!e || mgmt_entry_live(e, rk_wall_ms()))
			continue;
		manage_forget_key(m, e->number, NULL);
		next = m->ops; /* those that follow may be gone */
	}
}

int manage_new(struct keeper *k, struct manage **out)
{
	static const struct timeval sweep = {.tv_sec = SWEEP_MS / 1000};
	struct manage *m = calloc(1, sizeof *m);

	if (!m)
		return RK_E_NOMEM;
	m->k = k;
	m->queue_tail = &m->queue;
	m->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (m->wake_fd >= 0)
		m->wake =
		    event_new(loop_base(k->loop), m->wake_fd, EV_READ | EV_PERSIST, on_wake, m);
	m->sweep = event_new(loop_base(k->loop), -1, EV_PERSIST, on_sweep, m);
	if (!m->wake || event_add(m->wake, NULL) < 0 || recent_keys_new(k->loop, &m->recent) ||
	    !m->sweep || event_add(m->sweep, &sweep) < 0) {
		manage_destroy(m);
		return RK_E_IO;
	}
	*out = m;
	return 0;
}

void manage_free(struct manage *m)
{
	struct manage_op *op, *next;

	if (!m)
		return;
	mutation_drop_queue(m);
	event_free(m->wake);
	m->wake = NULL;
	event_free(m->sweep);
	m->sweep = NULL;
	recent_keys_free(m->recent);
	m->recent = NULL;
	for (op = m->ops; op; op = next) {
		next = op->next;
		event_free(op->again);
		op->again = NULL;
		op_forget(op);
	}
	m->dying = true;
	if (!m->ops)
		manage_destroy(m);
}

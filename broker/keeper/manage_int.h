/*
 * Inside management: what manage.c (commands and their life), manage_mutation.c (changes, one
 * at a time) and the files of each subject share.
 */
#ifndef KEEPER_MANAGE_INT_H
#define KEEPER_MANAGE_INT_H

#include "base/egress.h"
#include "keeper/keeper_int.h"
#include "keeper/manage.h"
#include "keeper/probe.h"
#include "keeper/store_credential.h"

struct audit_stream;
struct change_hook;
struct change_settings;
struct delivery_read;
struct audit_tail;
struct manage_list;
struct manage_trust;
struct manage_versions;
struct leak_report;

/* What a change is made of. Errors leave everything as it was, but for `at_once`. */
struct mutation {
	const char *action; /* for the audit log */
	/* Loop, before waiting for its turn: what is in force whatever happens then. */
	int (*at_once)(struct manage_op *op, struct rk_fault *fault);
	/* Loop: validates, fills op->target and op->row. > 0: nothing to change, only answer.
	 */
	int (*begin)(struct manage_op *op, struct rk_fault *fault);
	/* Token worker; may be NULL. Neither it nor `store` may touch the index. */
	int (*prepare)(struct manage_op *op, struct rk_fault *fault);
	/* Store worker. */
	int (*store)(struct manage_op *op, struct rk_fault *fault);
	/* Loop: index and relays. */
	int (*apply)(struct manage_op *op, struct rk_fault *fault);
	void (*answer)(struct manage_op *op);
	/* Loop: makes `answer` tell of op->target, which an earlier command under the same
	 * idempotency key made. NULL: that can only be said to have been done. */
	int (*recall)(struct manage_op *op, struct rk_fault *fault);
};

struct manage_command {
	enum ipc_type type;
	unsigned may;     /* roles that may, a mask of policy/mgmt_role.h */
	bool when_sealed; /* works without stores */
	const struct mutation *mutation;
	void (*start)(struct manage_op *op);
	/* There is room for more of the answer, or manage_again() was called. */
	void (*resume)(struct manage_op *op);
	/* The caller is gone; ends the operation now or when its job is over. NULL: now. */
	void (*forget)(struct manage_op *op);
	/* Frees what the file keeps in the operation. */
	void (*release)(struct manage_op *op);
};

struct change_conn {
	struct store_conn_change update;
	uint32_t from; /* version that comes back */
	char id[MSG_MAX_NAME + 1], name[MSG_MAX_NAME + 1], provider[MSG_MAX_NAME + 1];
	uint32_t version;
	struct rk_slice auth; /* LIST */
	char auth_default[16];
	struct rk_secret secret;
	unsigned char *blob;
	size_t blob_len;
	char hint[MSG_MAX_NAME + 1];
	bool enable;
	bool overtaken; /* an enable that a later disable is ahead of */
	bool changed;   /* by at_once */
};

/* A client identity or an egress proxy. */
struct change_egress {
	uint32_t version;       /* 0: no change of it */
	struct rk_slice public; /* in the request, or in `text` */
	char text[EGRESS_TEXT]; /* of the proxy; subject of the certificate */
	struct rk_secret secret;
	unsigned char *blob;
	size_t blob_len;
};

struct change_key {
	struct index_key *key;
	char id[RELAY_KEY_ID + 5]; /* "key_..." */
	struct rk_secret text;
	uint8_t digest[32];
	char hint[RELAY_KEY_HINT];
	char *lists; /* what the slices lie in */
	struct rk_slice grants, cidrs;
	int64_t expires_ms, revoked_ms;
	uint32_t minted_by;
	uint32_t flags;         /* of a changed key */
	struct index_key fresh; /* what of it is new */
	uint32_t overtaken;     /* members (enum key_set) that a later change is ahead of */
	bool recalled;          /* it was made by an earlier command */
	bool changed;           /* by at_once */
};

/* A management key, or what one mints. */
struct change_mgmt {
	struct mgmt_entry *entry;
	uint32_t number;
	char name[MSG_MAX_NAME + 1];
	char *bounds; /* encoded msg_mint_bounds */
	size_t bounds_n;
	char *mint; /* what the grant that is minted lies in */
	uint32_t cascaded;
	struct store_cascade cascade;
	uint32_t sent; /* of a list */
};

struct change_user {
	struct user_entry next; /* as it will be */
	uint32_t number;        /* of a new one; the last one that was listed */
	uint32_t sent;
	uint32_t flags;
	bool changed; /* by at_once */
};

/* A test of a connection that is under way. */
struct probe_kept {
	struct pl_probe *running; /* NULL: none */
	bool head;
	uint8_t request_id[16];
	char path[2 * MSG_MAX_URL + 1];
};

enum { MUTATION_ACTION_MAX = 48 };

/* One command from its start to its answer. */
struct manage_op {
	struct worker_job job; /* first: jobs are cast back */
	struct manage *m;
	struct keeper *k;
	struct manage_caller *caller; /* NULL: gone */
	const struct manage_command *cmd;
	const struct mutation *mutation; /* NULL: not a change */
	struct manage_op *next, **prev;  /* all operations */
	struct rk_secret request;        /* the body, encoded: */
	union ipc_body body;             /* decoded, borrows it */
	/* whose it is and on what terms: the caller's, which may go before the operation */
	uint8_t role;
	uint32_t mgmt_key;
	uint64_t if_revision;
	char idempotency_key[MSG_MAX_IDEMPOTENCY_KEY + 1]; /* "": none, or it has no meaning */
	struct event *again;

	/* changes */
	struct manage_op *queue_next;
	int err; /* of the last job */
	struct rk_fault fault;
	void (*looked)(struct manage_op *op, int found, struct rk_fault *fault);
	uint8_t digest[32]; /* of the command, under an idempotency key */
	int row_err;        /* of an urgent change whose audit row failed */
	char actor[64];
	int64_t now_ms;                  /* when its turn came */
	char target[MSG_MAX_HOLDER + 1]; /* id of the object; "kind:name" of a holder */
	char detail[AUDIT_MAX_DETAIL + 1];
	struct audit_row row;
	struct change_conn conn;
	struct change_egress identity, proxy;
	struct change_key key;
	struct change_settings *settings; /* manage_settings.c's */
	struct change_hook *hook;         /* manage_hook.c's */
	struct change_mgmt mgmt;
	struct change_user user;
	struct panic panic;
	bool panic_changed, panic_overtaken; /* as of a connection */

	/* long answers */
	struct delivery_read *deliveries; /* manage_delivery.c's */
	struct manage_list *list;
	struct audit_stream *stream;
	struct audit_tail *tail;

	struct manage_trust *trust; /* keeper/manage_trust.h */
	struct manage_versions *versions;
	struct leak_report *leak;
	struct probe_kept *probe;
};

/* A change that is in force but could not be stored; asked for again, it is tried again. */
struct manage_undurable {
	struct manage_undurable *next;
	char id[MSG_MAX_HOLDER + 1];
};

struct manage {
	struct keeper *k;
	struct manage_op *ops;
	struct manage_op *running, *queue, **queue_tail; /* changes */
	bool pumping, dying;
	struct manage_undurable *undurable;
	struct recent_keys *recent;
	int wake_fd; /* reader threads write, the loop reads */
	struct event *wake;
	struct event *sweep; /* ends what callers with an expired key still read */
	/* scratch of the loop's thread, for answers */
	char url[BASE_URL_MAX + BASE_URL_HOST_MAX + 32];
	char grant[MSG_MAX_GRANT + 2 * MSG_MAX_NAME];
	char grants[MSG_MAX_GRANTS];
	char cidrs[MSG_MAX_LIST];
};

/* ---- manage.c ---- */

/* Sends one message of the answer, when there is still somebody to read it. */
void manage_send(struct manage_op *op, enum ipc_type type, const void *body);
bool manage_room(struct manage_op *op);

/* The answer is complete: tells the caller and frees the operation. */
void manage_finish(struct manage_op *op);
/* The end of a list; `more`: a limit cut it short. */
void manage_end_list(struct manage_op *op, bool more);
/* MSG_DONE with err and text, then manage_finish(). */
void manage_end(struct manage_op *op, int err, const char *text);

/* Has cmd->resume called in a later turn of the loop, after other work. */
void manage_again(struct manage_op *op);

/* A management key is good no longer: its callers' commands end, but for `but`; a change that
 * was begun is completed. */
void manage_forget_key(struct manage *m, uint32_t number, const struct manage_op *but);

/* For operations whose job is over and whose caller is gone. */
void manage_op_free(struct manage_op *op);

/* ---- manage_mutation.c ---- */

/* Queues op->mutation. */
void mutation_start(struct manage_op *op);
/* Drops what waits; a change that runs ends with its job. */
void mutation_drop_queue(struct manage *m);
/* Whether a revocation or disabling of that object is in force but not stored. */
bool manage_is_undurable(const struct manage *m, const char *id);
/* Before it is stored, of one that a change of several puts in force. */
void manage_add_undurable(struct manage *m, const char *id);
void manage_drop_undurable(struct manage *m, const char *id);
/* A printf into op->detail, printable ASCII only. */
void manage_detail(struct manage_op *op, const char *fmt, ...) RK_PRINTF(2, 3);

extern const struct mutation mutation_conn_add, mutation_conn_rotate, mutation_conn_identity,
    mutation_conn_proxy, mutation_conn_enable, mutation_conn_disable, mutation_conn_remove,
    mutation_key_issue, mutation_key_mint, mutation_key_revoke, mutation_key_extend,
    mutation_mgmt_issue, mutation_mgmt_update, mutation_mgmt_revoke, mutation_user_add,
    mutation_user_update, mutation_user_remove, mutation_panic_on, mutation_panic_off,
    mutation_conn_rollback, mutation_conn_purge, mutation_conn_update, mutation_leak;

/* RK_E_STALE unless the object is of the revision that the caller meant. */
RK_MUST_CHECK int manage_check_revision(const struct manage_op *op, uint32_t revision,
                                        struct rk_fault *fault);

/* ---- manage_idem.c: a change under an idempotency key is made once ---- */

static inline bool manage_has_idem(const struct manage_op *op)
{
	return op->idempotency_key[0] != '\0';
}
/* RK_E_AGAIN when another one under the same key waits or runs. */
RK_MUST_CHECK int manage_idem_admit(const struct manage_op *op, struct rk_fault *fault);
/* Looks for what was done; then `done`: > 0 when op->target was made, 0 when nothing was. */
void manage_idem_look(struct manage_op *op,
                      void (*done)(struct manage_op *op, int found, struct rk_fault *fault));
/* Store worker: op->mutation->store, together with what is kept for the next time. */
RK_MUST_CHECK int manage_idem_store(struct manage_op *op, struct rk_fault *fault);
/* Makes the answer tell of op->target. */
RK_MUST_CHECK int manage_idem_recall(struct manage_op *op, struct rk_fault *fault);
/* A key was made: its text may be asked for once more. */
void manage_idem_remember(struct manage_op *op);

/* ---- manage_conn.c, manage_egress.c ---- */

/* Finds the connection of a change and notes it in the audit row and for the workers. */
RK_MUST_CHECK int manage_conn_take(struct manage_op *op, struct rk_slice ref,
                                   struct index_conn **out, struct rk_fault *fault);

/* The same one later in the change; NULL when it has gone. */
struct index_conn *manage_conn_again(struct manage_op *op);
/* MSG_CONN_INFO. */
void manage_conn_answer(struct manage_op *op);
/* The newest credential is that of op->conn: index and relays. */
RK_MUST_CHECK int manage_rotate_apply(struct manage_op *op, struct rk_fault *fault);
/* Takes a secret out of the request, checks it against the style, and notes its hint. */
RK_MUST_CHECK int manage_take_secret(struct manage_op *op, struct rk_slice from,
                                     const struct auth_style *style, struct rk_fault *fault);
/* Token worker: wraps op->conn.secret for op->conn.version. */
RK_MUST_CHECK int manage_wrap_secret(struct manage_op *op, struct rk_fault *fault);
struct store_credential manage_credential_of(const struct manage_op *op);

/* Options that a connection may have. */
RK_MUST_CHECK int manage_check_flags(uint32_t flags, struct rk_fault *fault);

/* Check what a request brings and take it into op->identity and op->proxy; the secrets are
 * wiped from the request. `version` is the one that they become. */
RK_MUST_CHECK int manage_take_identity(struct manage_op *op, struct rk_slice chain,
                                       struct rk_slice key, uint32_t version,
                                       struct rk_fault *fault);
RK_MUST_CHECK int manage_take_proxy(struct manage_op *op, const struct base_url *url,
                                    uint32_t flags, struct rk_slice text,
                                    struct rk_slice secret, uint32_t version,
                                    struct rk_fault *fault);
/* Token worker: wraps the secrets among them. */
RK_MUST_CHECK int manage_wrap_egress(struct manage_op *op, struct rk_fault *fault);
struct store_egress manage_egress_of(const struct manage_op *op, const struct change_egress *e);
void manage_egress_free(struct change_egress *e);

/* ---- manage_key.c, manage_mint.c ---- */

/* The grants with their connections' ids, into op->key.grants. */
RK_MUST_CHECK int manage_grants_resolve(struct manage_op *op, struct rk_slice list,
                                        struct rk_fault *fault);
/* The steps of issuing op->body.key_issue. */
RK_MUST_CHECK int manage_issue_begin(struct manage_op *op, struct rk_fault *fault);
RK_MUST_CHECK int manage_issue_store(struct manage_op *op, struct rk_fault *fault);
RK_MUST_CHECK int manage_issue_apply(struct manage_op *op, struct rk_fault *fault);
void manage_issue_answer(struct manage_op *op);
RK_MUST_CHECK int manage_key_recall(struct manage_op *op, struct rk_fault *fault);

/* Finds the key of a change and notes it in the audit row and for the store. */
RK_MUST_CHECK int manage_key_take(struct manage_op *op, struct rk_slice ref,
                                  struct rk_fault *fault);
/* The key, if the caller may see it: a provisioner sees what it minted. */
RK_MUST_CHECK int manage_find_key(const struct manage_op *op, struct rk_slice ref,
                                  struct index_key **out, struct rk_fault *fault);
bool manage_key_visible(const struct manage_op *op, const struct index_key *k);

/* ---- manage_show.c ---- */

/* live_keys: counted in O(keys) when UINT32_MAX. Fails only for a stored form that no message
 * can carry. */
/* "https://host/path", in scratch memory of m. */
struct rk_slice manage_url_text(struct manage *m, const struct base_url *u);
/* "aes-gcm" */
const char *manage_mechanism_text(enum wrap_mechanism w);

void manage_send_conn(struct manage_op *op, struct index_conn *c, uint32_t live_keys);
/* `text`: the key itself, or empty. */
void manage_send_key(struct manage_op *op, struct index_key *key, struct rk_slice text);

/* The connection or RK_E_NOTFOUND. */
RK_MUST_CHECK int manage_find_conn(struct keeper *k, struct rk_slice ref,
                                   struct index_conn **out, struct rk_fault *fault);

/* ---- manage_settings.c, manage_hook.c, manage_delivery.c ---- */

extern const struct mutation mutation_settings_set, mutation_mail_test, mutation_hook_add,
    mutation_hook_update, mutation_hook_remove, mutation_hook_rotate, mutation_hook_test,
    mutation_delivery_replay;

/* RK_E_STALE when the caller means another revision than the object has. */
RK_MUST_CHECK int manage_revision(const struct manage_op *op, uint32_t revision,
                                  struct rk_fault *fault);

void manage_settings_get(struct manage_op *op);
void manage_settings_release(struct manage_op *op);

void manage_hook_get(struct manage_op *op);
void manage_hook_list(struct manage_op *op);
void manage_hook_release(struct manage_op *op);

void manage_delivery_get(struct manage_op *op);
void manage_delivery_list(struct manage_op *op);
void manage_delivery_resume(struct manage_op *op);
void manage_delivery_forget(struct manage_op *op);
void manage_delivery_release(struct manage_op *op);

/* ---- the subjects ---- */

void manage_conn_get(struct manage_op *op);
void manage_key_get(struct manage_op *op);
void manage_conn_state(struct manage_op *op); /* enable or disable */
void manage_key_update(struct manage_op *op); /* at once or not */

void manage_conn_list(struct manage_op *op);
void manage_conn_list_resume(struct manage_op *op);
void manage_key_list(struct manage_op *op);
void manage_key_list_resume(struct manage_op *op);
void manage_list_release(struct manage_op *op);

void manage_mgmt_get(struct manage_op *op);
void manage_mgmt_list(struct manage_op *op);
void manage_mgmt_list_resume(struct manage_op *op);
void manage_mgmt_release(struct manage_op *op);

void manage_user_get(struct manage_op *op);
void manage_user_list(struct manage_op *op);
void manage_user_list_resume(struct manage_op *op);
void manage_credential_list(struct manage_op *op);
void manage_conn_rollback(struct manage_op *op);
void manage_credential_forget(struct manage_op *op);
void manage_credential_release(struct manage_op *op);

void manage_conn_probe(struct manage_op *op);
void manage_probe_forget(struct manage_op *op);
void manage_probe_release(struct manage_op *op);

void manage_leak_report(struct manage_op *op);
void manage_leak_release(struct manage_op *op);

void manage_status(struct manage_op *op);

void manage_audit_query(struct manage_op *op);
void manage_audit_verify(struct manage_op *op);
void manage_audit_resume(struct manage_op *op);
void manage_audit_forget(struct manage_op *op);
void manage_audit_release(struct manage_op *op);

/*
 * A reader thread hands the rows after + 1 .. after + rows to the loop, each by itself; the
 * command's resume is called when there are some, and at the end. manage_stream_next() gives
 * the next one, borrowed until its next call. The operation must not end before
 * manage_stream_stop() returns true; else resume comes once more when it may.
 */
RK_MUST_CHECK int manage_stream_rows(struct manage_op *op, uint64_t after, uint32_t rows);
bool manage_stream_next(struct manage_op *op, struct msg_audit_entry *e);
bool manage_stream_over(const struct manage_op *op); /* all of them were given */
bool manage_stream_stop(struct manage_op *op);

/* manage_tail.c: AUDIT_QUERY in mode TAIL. */
void manage_tail_start(struct manage_op *op);
void manage_tail_resume(struct manage_op *op);
void manage_tail_leave(struct manage_op *op); /* the caller is gone */
void manage_tail_release(struct manage_op *op);

#endif

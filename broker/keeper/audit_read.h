/*
 * Reading the audit journal: lists, export, verification. Each call opens its own read-only
 * connection, so it runs on any thread and never delays a commit. A long read is done in slices
 * that each end their read transaction, so that the WAL can restart.
 */
#ifndef KEEPER_AUDIT_READ_H
#define KEEPER_AUDIT_READ_H

#include "base/secret.h"
#include "ipc/messages.h"

/* Filter as in msg_audit_query; strings are copied by audit_filter_init. */
struct audit_filter;
RK_MUST_CHECK int audit_filter_new(
    const struct msg_audit_query *q, struct audit_filter **out,
    struct rk_fault *fault); /* RK_E_INVALID: unknown decision or kind name */
void audit_filter_free(struct audit_filter *f);

/* Whether a REQUEST / MANAGE / STATE row passes; `response` may be NULL. */
bool audit_filter_matches(const struct audit_filter *f, const struct audit_row *row,
                          const struct audit_row *response);

struct audit_reader;
RK_MUST_CHECK int audit_reader_open(const char *journal_path, const struct rk_secret *key,
                                    struct audit_reader **out, struct rk_fault *fault);
void audit_reader_close(struct audit_reader *r);

/* Return 0 to go on, > 0 to stop without error, < 0 to stop with that error. The entry borrows
 * until the return. */
struct audit_sink {
	int (*entry)(const struct msg_audit_entry *e, void *arg);
	void *arg;
};

/* The newest `limit` matching requests, management actions and state changes, each with its
 * response; oldest of them first. */
RK_MUST_CHECK int audit_list(struct audit_reader *r, const struct audit_filter *f,
                             uint32_t limit, const struct audit_sink *sink,
                             struct rk_fault *fault);

/* Every matching row in order of seq with its hashes, from `after_seq` + 1 on; limit 0 is all.
 * RESPONSE rows pass when their request does. */
RK_MUST_CHECK int audit_export(struct audit_reader *r, const struct audit_filter *f,
                               uint64_t after_seq, uint32_t limit,
                               const struct audit_sink *sink, struct rk_fault *fault);

/*
 * Recomputes the chain from the first row. Returns 0 also when the chain is broken: out->ok
 * says it, bad_seq and text where and why (changed row, missing row, head behind `expect` =
 * rows removed at the end). `expect` may be NULL.
 */
struct journal_head;
RK_MUST_CHECK int audit_verify(struct audit_reader *r, const struct journal_head *expect,
                               struct msg_audit_verified *out, char *text, size_t text_cap,
                               struct rk_fault *fault);

#endif

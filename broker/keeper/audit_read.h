/*
 * Reading the audit journal: lists, export, verification. Each call opens its own read-only
 * connection, so it runs on any thread and never delays a commit. A long read is done in slices
 * that each end their read transaction, so that the WAL can restart.
 */
#ifndef KEEPER_AUDIT_READ_H
#define KEEPER_AUDIT_READ_H

#include "base/secret.h"
#include "keeper/audit_filter.h"

struct audit_reader;
RK_MUST_CHECK int audit_reader_open(const char *journal_path, const struct rk_secret *key,
                                    struct audit_reader **out, struct rk_fault *fault);
void audit_reader_close(struct audit_reader *r);
struct audit_rows *audit_reader_rows(struct audit_reader *r);

/* Return 0 to go on, > 0 to stop without error, < 0 to stop with that error. The entry borrows
 * until the return. */
struct audit_sink {
	int (*entry)(const struct msg_audit_entry *e, void *arg);
	void *arg;
};

/* What a list or an export remembers at most while it pairs requests and responses. */
enum { AUDIT_PAIRS_MAX = 100000 };

enum { AUDIT_LIST_MAX = 100000 };

/*
 * The newest `limit` (at most AUDIT_LIST_MAX, else RK_E_TOOBIG) matching requests, management
 * actions and state changes, each with its response; oldest of them first. A response more than
 * 100,000 open requests away from its request is not found.
 */
RK_MUST_CHECK int audit_list(struct audit_reader *r, const struct audit_filter *f,
                             uint32_t limit, const struct audit_sink *sink,
                             struct rk_fault *fault);

/*
 * Every matching row in order of seq with its hashes, from `after_seq` + 1 on; limit 0 is all.
 * RESPONSE rows pass when their request does; one whose request lies more than 100,000 rows
 * before `after_seq` passes only without a filter. Ends with the last row there is.
 */
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

/*
 * Reading the audit journal: lists, export, verification. Each call opens its own read-only
 * connection, so it runs on any thread and never delays a commit. A long read is done in slices
 * that each end their read transaction, so that the WAL can restart.
 */
#ifndef KEEPER_AUDIT_READ_H
#define KEEPER_AUDIT_READ_H

#include "base/secret.h"
#include "keeper/audit_filter.h"
#include "keeper/audit_index.h"

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
	bool (*gone)(void *arg); /* nobody wants the rest; may be NULL */
};

/* What a list or an export remembers at most while it pairs requests and responses. */
enum { AUDIT_PAIRS_MAX = 100000 };

enum { AUDIT_LIST_MAX = 100000 };

/* Which entries a list has; see msg_audit_query. */
struct audit_page {
	enum audit_order order;
	uint64_t cursor;
	uint32_t limit; /* at most AUDIT_LIST_MAX, else RK_E_TOOBIG */
	bool more;      /* out: it ended because of the limit */
};

/*
 * A page of matching requests, management actions and state changes, each with its response.
 * `ix` (may be NULL) makes it quick: what the index covers is looked up, the rest is read. The
 * answer is the same: everything that is durable. Without the index a response more than
 * 100,000 open requests away from its request is not found, and a list by time ends where
 * 20,000 rows in a row lie more than an hour outside.
 *
 * Pages do not change while rows are added, but for responses that come. With AUDIT_RISING and
 * a filter by status or reason, a request without response is not there yet.
 */
RK_MUST_CHECK int audit_list(struct audit_reader *r, struct audit_index *ix,
                             const struct audit_filter *f, struct audit_page *page,
                             const struct audit_sink *sink, struct rk_fault *fault);

/*
 * Every matching row in order of seq with its hashes, from `after_seq` + 1 on; limit 0 is all.
 * RESPONSE rows pass when their request does; one whose request lies more than 100,000 rows
 * before `after_seq` passes only without a filter. Ends with the last row there is. `ix` as in
 * audit_list(); it is held as long as the sink takes for what it covers.
 */
RK_MUST_CHECK int audit_export(struct audit_reader *r, struct audit_index *ix,
                               const struct audit_filter *f, uint64_t after_seq, uint32_t limit,
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

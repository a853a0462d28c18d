#include "keeper/audit_read.h"

#include <stdlib.h>

#include "policy/reason.h"
#include "policy/relay_key.h"

struct audit_filter {
	char holder[AUDIT_MAX_NAME + 1];
	char conn[AUDIT_MAX_NAME + 1];
	char key_id[AUDIT_MAX_NAME + 1];
	char env[AUDIT_MAX_NAME + 1];
	int kind;     /* enum holder_kind, or -1 */
	int decision; /* enum decision, or -1 */
	uint16_t status;
	int64_t since_ms, until_ms;
};

static int find_decision(struct rk_slice name, int *out, struct rk_fault *fault)
{
	if (name.n == 0)
		return 0;
	for (int d = DECISION_ALLOWED; d <= DECISION_FAILED; d++) {
		if (rk_slice_is(name, decision_name((unsigned)d))) {
			*out = d;
			return 0;
		}
	}
	return rk_fail(fault, RK_E_INVALID,
	               "no decision is called \"%.*s\": allowed, denied, locked, limited or "
	               "failed",
	               RK_FMT(name));
}

static int find_kind(struct rk_slice name, int *out, struct rk_fault *fault)
{
	enum holder_kind kind;

	if (name.n == 0)
		return 0;
	if (holder_kind_parse(name, &kind) != 0)
		return rk_fail(fault, RK_E_INVALID,
		               "no kind of holder is called \"%.*s\": app, agent, person or "
		               "vendor",
		               RK_FMT(name));
	*out = (int)kind;
	return 0;
}

int audit_filter_new(const struct msg_audit_query *q, struct audit_filter **out,
                     struct rk_fault *fault)
{
	struct audit_filter *f = calloc(1, sizeof *f);
	int err = 0;

	if (!f)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	f->kind = -1;
	f->decision = -1;
	f->status = q->status;
	f->since_ms = q->since_ms;
	f->until_ms = q->until_ms;
	if (q->since_ms < 0 || q->until_ms < 0)
		err = rk_fail(fault, RK_E_INVALID, "a time to filter by lies before 1970");
	if (!err)
		err = find_decision(q->decision, &f->decision, fault);
	if (!err)
		err = find_kind(q->kind, &f->kind, fault);
	if (!err && (!rk_slice_cstr(q->holder, f->holder, sizeof f->holder) ||
	             !rk_slice_cstr(q->conn, f->conn, sizeof f->conn) ||
	             !rk_slice_cstr(q->key_id, f->key_id, sizeof f->key_id) ||
	             !rk_slice_cstr(q->env, f->env, sizeof f->env)))
		err = rk_fail(fault, RK_E_INVALID, "a name to filter by is too long");
	if (err) {
		audit_filter_free(f);
		return err;
	}
	*out = f;
	return 0;
}

void audit_filter_free(struct audit_filter *f)
{
	free(f);
}

bool audit_filter_is_empty(const struct audit_filter *f)
{
	return !f->holder[0] && !f->conn[0] && !f->key_id[0] && !f->env[0] && f->kind < 0 &&
	       f->decision < 0 && !f->status && !f->since_ms && !f->until_ms;
}

int64_t audit_filter_since_ms(const struct audit_filter *f)
{
	return f->since_ms;
}

/* An unset criterion holds for everything. */
static bool holds(const char *wanted, struct rk_slice value)
{
	return !wanted[0] || rk_slice_is(value, wanted);
}

static bool on_conn(const struct audit_filter *f, const struct audit_row *row)
{
	return holds(f->conn, row->conn_id) || holds(f->conn, row->conn_name) ||
	       (row->type == AUDIT_MANAGE && holds(f->conn, row->target));
}

static bool on_key(const struct audit_filter *f, const struct audit_row *row)
{
	return holds(f->key_id, row->key_id) ||
	       (row->type == AUDIT_MANAGE && holds(f->key_id, row->target));
}

static bool of_kind(const struct audit_filter *f, const struct audit_row *row)
{
	return f->kind < 0 || (row->key_id.n > 0 && row->holder_kind == f->kind);
}

static bool in_time(const struct audit_filter *f, const struct audit_row *row)
{
	return (!f->since_ms || row->time_ms >= f->since_ms) &&
	       (!f->until_ms || row->time_ms < f->until_ms);
}

bool audit_filter_may_match(const struct audit_filter *f, const struct audit_row *row)
{
	if (row->type == AUDIT_RESPONSE)
		return false;
	if (row->type != AUDIT_REQUEST && (f->decision >= 0 || f->status))
		return false;
	if (f->decision >= 0 && row->decision != f->decision)
		return false;
	/* a refusal has its status already, and no response */
	if (f->status && row->status && row->status != f->status)
		return false;
	return in_time(f, row) && of_kind(f, row) && holds(f->holder, row->holder) &&
	       holds(f->env, row->env) && on_conn(f, row) && on_key(f, row);
}

bool audit_filter_matches(const struct audit_filter *f, const struct audit_row *row,
                          const struct audit_row *response)
{
	if (!audit_filter_may_match(f, row))
		return false;
	return !f->status || row->status == f->status ||
	       (response && response->status == f->status);
}

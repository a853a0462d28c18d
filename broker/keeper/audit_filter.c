#include "keeper/audit_filter.h"

#include <stdlib.h>

#include "base/base62.h"
#include "policy/reason.h"
#include "policy/relay_key.h"

enum { REQUEST_BYTES = 16 };

struct audit_filter {
	char holder[AUDIT_MAX_NAME + 1];
	char conn[AUDIT_MAX_NAME + 1];
	char key_id[AUDIT_MAX_NAME + 1];
	char env[AUDIT_MAX_NAME + 1];
	char provider[AUDIT_MAX_NAME + 1];
	char model[AUDIT_MAX_NAME + 1];
	char actor[AUDIT_MAX_NAME + 1];
	char action[AUDIT_MAX_NAME + 1];
	char target[AUDIT_MAX_NAME + 1];
	char path[MSG_MAX_URL + 1];
	int kind;     /* enum holder_kind, or -1 */
	int decision; /* enum decision, or -1 */
	int reason;   /* enum reason, or -1 */
	int type;     /* enum audit_type, or -1 */
	bool by_client, by_request;
	struct rk_cidr client;
	uint8_t request_id[REQUEST_BYTES];
	uint16_t status;
	int64_t since_ms, until_ms;
};

/* ---- making ---- */

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

static int find_type(struct rk_slice name, int *out, struct rk_fault *fault)
{
	if (name.n == 0)
		return 0;
	for (int t = AUDIT_START; t <= AUDIT_STOP; t++) {
		if (t != AUDIT_RESPONSE && rk_slice_is(name, audit_type_name((unsigned)t))) {
			*out = t;
			return 0;
		}
	}
	return rk_fail(fault, RK_E_INVALID,
	               "no type of entry is called \"%.*s\": request, management, state, start "
	               "or stop",
	               RK_FMT(name));
}

static int find_reason(struct rk_slice code, int *out, struct rk_fault *fault)
{
	if (code.n == 0)
		return 0;
	for (int r = 0; r < REASON_COUNT; r++) {
		if (rk_slice_is(code, reason_info((unsigned)r)->code)) {
			*out = r;
			return 0;
		}
	}
	return rk_fail(fault, RK_E_INVALID, "no reason has the code \"%.*s\"", RK_FMT(code));
}

static int find_client(struct rk_slice text, struct audit_filter *f, struct rk_fault *fault)
{
	if (text.n == 0)
		return 0;
	f->by_client = true;
	if (rk_cidr_parse(text, &f->client) != 0)
		return rk_fail(fault, RK_E_INVALID,
		               "\"%.*s\" is no address and no prefix without host bits",
		               RK_FMT(text));
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int find_request(struct rk_slice text, struct audit_filter *f, struct rk_fault *fault)
{
	struct rk_slice hex = text;
	uint8_t any = 0;
	bool good;

	if (text.n == 0)
		return 0;
	if (rk_slice_starts(hex, rk_str("req_")))
		hex = rk_slice_skip(hex, 4);
	good = hex.n == 2 * REQUEST_BYTES;
	for (size_t i = 0; i < REQUEST_BYTES && good; i++) {
		int high = hex_digit(hex.p[2 * i]), low = hex_digit(hex.p[2 * i + 1]);

		good = high >= 0 && low >= 0;
		f->request_id[i] = (uint8_t)(high << 4 | (low & 15));
		any |= f->request_id[i];
	}
	/* zeros stand for none */
	if (!good || !any)
		return rk_fail(fault, RK_E_INVALID, "\"%.*s\" is no request id", RK_FMT(text));
	f->by_request = true;
	return 0;
}

/* "kind:name" and "kind:"; names have no colon. */
static int find_holder(struct rk_slice text, struct audit_filter *f, struct rk_fault *fault)
{
	const char *colon = text.n ? memchr(text.p, ':', text.n) : NULL;
	int err = 0;

	if (colon) {
		size_t n = (size_t)(colon - text.p);

		err = find_kind(rk_slice(text.p, n), &f->kind, fault);
		text = rk_slice_skip(text, n + 1);
	}
	if (!err && !rk_slice_cstr(text, f->holder, sizeof f->holder))
		err = rk_fail(fault, RK_E_INVALID, "a name to filter by is too long");
	return err;
}

static int copy_names(const struct msg_audit_query *q, struct audit_filter *f,
                      struct rk_fault *fault)
{
	if (rk_slice_cstr(q->conn, f->conn, sizeof f->conn) &&
	    rk_slice_cstr(q->key_id, f->key_id, sizeof f->key_id) &&
	    rk_slice_cstr(q->env, f->env, sizeof f->env) &&
	    rk_slice_cstr(q->provider, f->provider, sizeof f->provider) &&
	    rk_slice_cstr(q->model, f->model, sizeof f->model) &&
	    rk_slice_cstr(q->actor, f->actor, sizeof f->actor) &&
	    rk_slice_cstr(q->action, f->action, sizeof f->action) &&
	    rk_slice_cstr(q->target, f->target, sizeof f->target) &&
	    rk_slice_cstr(q->path, f->path, sizeof f->path))
		return 0;
	return rk_fail(fault, RK_E_INVALID, "a name to filter by is too long");
}

static int fill(const struct msg_audit_query *q, struct audit_filter *f, struct rk_fault *fault)
{
	int err;

	if (q->since_ms < 0 || q->until_ms < 0)
		return rk_fail(fault, RK_E_INVALID, "a time to filter by lies before 1970");
	err = copy_names(q, f, fault);
	if (!err)
		err = find_holder(q->holder, f, fault);
	if (!err)
		err = find_kind(q->kind, &f->kind, fault);
	if (!err)
		err = find_decision(q->decision, &f->decision, fault);
	if (!err)
		err = find_type(q->type, &f->type, fault);
	if (!err)
		err = find_reason(q->reason, &f->reason, fault);
	if (!err)
		err = find_client(q->client, f, fault);
	if (!err)
		err = find_request(q->request_id, f, fault);
	return err;
}

int audit_filter_new(const struct msg_audit_query *q, struct audit_filter **out,
                     struct rk_fault *fault)
{
	struct audit_filter *f = calloc(1, sizeof *f);
	int err;

	if (!f)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	f->kind = f->decision = f->reason = f->type = -1;
	f->status = q->status;
	f->since_ms = q->since_ms;
	f->until_ms = q->until_ms;
	err = fill(q, f, fault);
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
	return !f->holder[0] && !f->conn[0] && !f->key_id[0] && !f->env[0] && !f->provider[0] &&
	       !f->model[0] && !f->actor[0] && !f->action[0] && !f->target[0] && !f->path[0] &&
	       f->kind < 0 && f->decision < 0 && f->reason < 0 && f->type < 0 &&
	       !f->by_client && !f->by_request && !f->status && !f->since_ms && !f->until_ms;
}

int64_t audit_filter_since_ms(const struct audit_filter *f)
{
	return f->since_ms;
}

int64_t audit_filter_until_ms(const struct audit_filter *f)
{
	return f->until_ms;
}

/* ---- rows ---- */

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

static bool from_client(const struct audit_filter *f, const struct audit_row *row)
{
	static const uint8_t none[sizeof row->client_ip];
	struct rk_ip ip;

	if (!f->by_client)
		return true;
	memcpy(ip.b, row->client_ip, sizeof ip.b);
	return memcmp(ip.b, none, sizeof ip.b) != 0 && rk_cidr_contains(&f->client, &ip);
}

static bool of_request(const struct audit_filter *f, const struct audit_row *row)
{
	return !f->by_request ||
	       memcmp(f->request_id, row->request_id, sizeof f->request_id) == 0;
}

/* What only requests have. */
static bool as_request(const struct audit_filter *f, const struct audit_row *row)
{
	if (row->type != AUDIT_REQUEST)
		return f->decision < 0 && f->reason < 0 && !f->status;
	if (f->decision >= 0 && row->decision != f->decision)
		return false;
	/* a refusal has its status and its reason already, and no response */
	if (f->reason >= 0 && row->decision != DECISION_ALLOWED && row->reason != f->reason)
		return false;
	return !f->status || !row->status || row->status == f->status;
}

bool audit_filter_may_match(const struct audit_filter *f, const struct audit_row *row)
{
	return row->type != AUDIT_RESPONSE && (f->type < 0 || row->type == f->type) &&
	       as_request(f, row) && in_time(f, row) && of_kind(f, row) &&
	       holds(f->holder, row->holder) && holds(f->env, row->env) && on_conn(f, row) &&
	       on_key(f, row) && holds(f->provider, row->provider) &&
	       holds(f->model, row->model) && holds(f->actor, row->actor) &&
	       holds(f->action, row->action) && holds(f->target, row->target) &&
	       rk_slice_starts(row->path, rk_str(f->path)) && from_client(f, row) &&
	       of_request(f, row);
}

bool audit_filter_matches(const struct audit_filter *f, const struct audit_row *row,
                          const struct audit_row *response)
{
	if (!audit_filter_may_match(f, row))
		return false;
	if (f->reason >= 0 &&
	    (response && response->reason ? response->reason : row->reason) != f->reason)
		return false;
	return !f->status || row->status == f->status ||
	       (response && response->status == f->status);
}

bool audit_filter_waits(const struct audit_filter *f, const struct audit_row *row)
{
	return (f->reason >= 0 || f->status) && row->type == AUDIT_REQUEST &&
	       row->decision == DECISION_ALLOWED && audit_filter_may_match(f, row);
}

/* ---- terms ---- */

struct maker {
	const uint8_t *salt;
	struct audit_filter_terms *out;
};

static void add(const struct maker *m, uint64_t term)
{
	m->out->at[m->out->n++] = term;
}

static void add_text(const struct maker *m, enum audit_term_field field, const char *wanted)
{
	if (wanted[0])
		add(m, audit_term(m->salt, field, rk_str(wanted)));
}

static void add_number(const struct maker *m, enum audit_term_field field, int wanted)
{
	if (wanted >= 0)
		add(m, audit_term_number(m->salt, field, (uint16_t)wanted));
}

static void add_of_response(const struct maker *m, enum audit_term_field field, int wanted)
{
	if (wanted >= 0)
		m->out->by_response |= 1u << m->out->n;
	add_number(m, field, wanted);
}

void audit_filter_terms(const struct audit_filter *f, const uint8_t salt[RK_SIPHASH_KEY],
                        struct audit_filter_terms *out)
{
	const struct maker m = {.salt = salt, .out = out};
	uint64_t term;

	out->n = out->by_response = 0;
	if (f->by_request)
		add(&m, audit_term(salt, TERM_REQUEST,
		                   rk_slice(f->request_id, sizeof f->request_id)));
	add_text(&m, TERM_TARGET, f->target);
	add_text(&m, TERM_ACTOR, f->actor);
	add_text(&m, TERM_ACTION, f->action);
	add_text(&m, TERM_KEY, f->key_id);
	if (f->by_client && audit_term_client(salt, &f->client, &term))
		add(&m, term);
	add_text(&m, TERM_HOLDER, f->holder);
	add_of_response(&m, TERM_STATUS, f->status ? f->status : -1);
	add_of_response(&m, TERM_REASON, f->reason);
	add_number(&m, TERM_DECISION, f->decision);
	add_text(&m, TERM_MODEL, f->model);
	add_text(&m, TERM_CONN, f->conn);
	add_text(&m, TERM_PROVIDER, f->provider);
	if (f->path[0] && audit_term_path(salt, rk_str(f->path), &term))
		add(&m, term);
	add_text(&m, TERM_ENV, f->env);
	add_number(&m, TERM_KIND, f->kind);
	add_number(&m, TERM_TYPE, f->type);
	if (out->n == 0)
		add_number(&m, TERM_ENTRY, 0);
}

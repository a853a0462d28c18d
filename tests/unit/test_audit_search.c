/*
 * The search index of the audit journal: whatever is asked, a search with the index finds what
 * the rows themselves say, and an index that is not to be trusted is made anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>

#include "base/base62.h"
#include "keeper/audit_index_int.h"
#include "keeper/audit_indexer.h"
#include "keeper/audit_read.h"
#include "keeper/audit_view.h"
#include "keeper/journal.h"
#include "tests/lib/store_fixture.h"

enum {
	BITS = 7, /* small chunks: the many cases of their borders come often */
	ROWS = 3000,
	QUESTIONS = 600,
	T0 = 1700000000,
	SECOND = 1000,
	ROW_CAP = 1024,
	BATCH = 64,
};

/* ---- a book of rows, and what is known of them ---- */

struct known {
	struct audit_row row; /* texts are constants */
	uint64_t response;    /* seq; 0: none */
};

struct book {
	struct store_dir d;
	struct rk_secret key;
	struct journal *j;
	struct audit_reader *reader;
	struct audit_index *ix;
	char index_path[128];
	struct known *known; /* by seq */
	uint64_t rows;
	uint64_t seed;
};

static uint64_t dice(struct book *b, uint64_t sides)
{
	b->seed ^= b->seed << 13;
	b->seed ^= b->seed >> 7;
	b->seed ^= b->seed << 17;
	return b->seed % sides;
}

static struct rk_slice pick(struct book *b, const char *const *words, size_t n)
{
	return rk_str(words[dice(b, n)]);
}

static const char *const keys[] = {"key_one", "key_two", "key_rare", "key_one", "key_one"};
static const char *const holders[] = {"billing", "acme", "crawler"};
static const char *const conns[] = {"conn_A", "conn_B", "conn_C"};
static const char *const conn_names[] = {"openai", "stripe", "conn_A"};
static const char *const providers[] = {"openai", "stripe", ""};
static const char *const envs[] = {"production", "staging", ""};
static const char *const models[] = {"gpt-5", "", "", "claude"};
static const char *const actors[] = {"uid:0", "uid:1000", "mkey_1"};
static const char *const actions[] = {"key.revoke", "connection.add", "key.issue"};
static const char *const targets[] = {"key_one", "conn_A", "key_rare"};
static const char *const paths[] = {
    "/v1/files", "/v1/files/a/content", "/v1/filesystem", "/",
    "/v2",       "/v1/chat/x/y/z",      "/v1/files/b",    "/v1/responses"};
static const char *const clients[] = {"10.0.0.1",  "10.0.1.9",    "10.9.0.1",
                                      "192.0.2.7", "2001:db8::1", "2001:db8:0:1::1"};

#define PICK(b, words) pick(b, words, sizeof(words) / sizeof((words)[0]))

static struct audit_row random_request(struct book *b)
{
	struct audit_row row = {
	    .type = AUDIT_REQUEST,
	    .key_id = dice(b, 9) ? PICK(b, keys) : rk_str(""),
	    .holder_kind = (uint8_t)dice(b, 4),
	    .holder = PICK(b, holders),
	    .conn_id = PICK(b, conns),
	    .conn_name = PICK(b, conn_names),
	    .provider = PICK(b, providers),
	    .env = PICK(b, envs),
	    .model = PICK(b, models),
	    .path = PICK(b, paths),
	};
	struct rk_ip ip;

	rk_random(row.request_id, sizeof row.request_id);
	assert_int_equal(rk_ip_parse(PICK(b, clients), &ip), 0);
	memcpy(row.client_ip, ip.b, sizeof ip.b);
	if (dice(b, 5) == 0) {
		row.decision = DECISION_DENIED;
		row.reason = dice(b, 2) ? REASON_PATH_DENIED : REASON_METHOD_DENIED;
		row.status = reason_info(row.reason)->status;
	}
	return row;
}

static struct audit_row random_row(struct book *b)
{
	if (dice(b, 20) == 0)
		return (struct audit_row){.type = AUDIT_MANAGE,
		                          .actor = PICK(b, actors),
		                          .action = PICK(b, actions),
		                          .target = PICK(b, targets)};
	if (dice(b, 60) == 0)
		return (struct audit_row){.type = AUDIT_STATE, .action = rk_str("token.lost")};
	return random_request(b);
}

/* A response of one of the requests that have none: of a recent one, or of any. */
static bool random_response(struct book *b, struct audit_row *row)
{
	uint64_t back = dice(b, 8) ? 12 : 600;

	for (unsigned attempt = 0; attempt < 8; attempt++) {
		uint64_t seq = b->rows - dice(b, back < b->rows ? back : b->rows);
		struct known *k = &b->known[seq];

		if (k->row.type != AUDIT_REQUEST || k->row.decision != DECISION_ALLOWED ||
		    k->response)
			continue;
		*row = (struct audit_row){.type = AUDIT_RESPONSE,
		                          .status = dice(b, 10) ? 200 : 429};
		if (dice(b, 15) == 0) {
			row->status = 0;
			row->reason = REASON_UPSTREAM_TIMEOUT;
		}
		memcpy(row->request_id, k->row.request_id, sizeof row->request_id);
		k->response = b->rows + 1;
		return true;
	}
	return false;
}

static void add_rows(struct book *b, unsigned n)
{
	static unsigned char mem[BATCH][ROW_CAP];

	while (n > 0) {
		struct journal_entry e[BATCH] = {0};
		struct rk_fault fault = {""};
		unsigned count = n < BATCH ? n : BATCH;

		for (unsigned i = 0; i < count; i++) {
			struct audit_row row;

			if (b->rows == 0 || dice(b, 2) || !random_response(b, &row))
				row = random_row(b);
			/* now and then the clock steps back */
			row.time_ms = ((int64_t)T0 + (int64_t)b->rows) * SECOND;
			if (dice(b, 200) == 0)
				row.time_ms -= 100 * SECOND;
			e[i].body = fixture_row(&row, mem[i], ROW_CAP);
			b->known[++b->rows].row = row;
		}
		if (journal_append(b->j, e, count, &fault) != 0)
			fail_msg("%s", fault.text);
		n -= count;
	}
}

/* The index borrows the key that lies in it: it stays where it is. */
static struct book *new_book(uint64_t seed)
{
	struct book *b = calloc(1, sizeof *b);
	struct rk_fault fault = {""};

	assert_non_null(b);
	b->d = fixture_dir("journal.db");
	b->key = fixture_key('k');
	b->seed = seed;
	b->known = calloc(2 * ROWS + 1, sizeof *b->known);
	assert_non_null(b->known);
	snprintf(b->index_path, sizeof b->index_path, "%s/search.db", b->d.dir);
	if (journal_open(b->d.path, &b->key, false, true, &b->j, &fault) != 0 ||
	    audit_reader_open(b->d.path, &b->key, &b->reader, &fault) != 0)
		fail_msg("%s", fault.text);
	assert_int_equal(audit_index_new(b->index_path, &b->key, BITS, &b->ix), 0);
	return b;
}

static void end_book(struct book *b)
{
	audit_index_free(b->ix);
	audit_reader_close(b->reader);
	journal_close(b->j);
	rk_secret_free(&b->key);
	fixture_remove(&b->d);
	free(b->known);
	free(b);
}

static bool open_index(struct book *b)
{
	struct rk_fault fault = {""};
	bool fresh = false;

	if (audit_index_open(b->ix, audit_reader_rows(b->reader), &fresh, &fault) != 0)
		fail_msg("%s", fault.text);
	return fresh;
}

/* Takes in what there is, or at least `rows` of it. */
static void advance(struct book *b, uint64_t rows)
{
	struct rk_fault fault = {""};
	size_t n = 1;

	while (n > 0 && audit_index_upto(b->ix) < rows) {
		if (audit_index_advance(b->ix, audit_reader_rows(b->reader), &n, &fault) != 0)
			fail_msg("%s", fault.text);
	}
}

/* As if the process had ended: only the file stays. */
static void restart(struct book *b)
{
	audit_index_free(b->ix);
	assert_int_equal(audit_index_new(b->index_path, &b->key, BITS, &b->ix), 0);
	assert_false(open_index(b));
}

/* ---- questions, answered by the index and by what is known ---- */

struct answer {
	uint64_t seq[2 * ROWS], response[2 * ROWS];
	size_t n;
	bool more;
};

static struct msg_audit_query random_question(struct book *b)
{
	struct msg_audit_query q = {.mode = AUDIT_MODE_LIST};
	static const char *const decisions[] = {"allowed", "denied", "limited"};
	static const char *const reasons[] = {"ok", "path_not_allowed", "upstream_timeout"};
	static const char *const types[] = {"request", "management", "state"};
	static const char *const kinds[] = {"app", "vendor"};
	static const char *const prefixes[] = {
	    "/v1", "/v1/", "/v1/files", "/v1/files/", "/v1/chat/x/y/", "/v", "/v9"};
	static const char *const nets[] = {"10.0.0.0/8",    "10.0.0.0/20",   "10.0.0.1",
	                                   "2001:db8::/32", "2001:db8::/64", "::/0",
	                                   "0.0.0.0/0",     "2001:800::/21", "192.0.2.0/25"};
	static char id[40];
	unsigned criteria = (unsigned)dice(b, 4);
	uint64_t seq;

	for (unsigned i = 0; i < criteria; i++) {
		switch (dice(b, 18)) {
		case 0:
			q.key_id = PICK(b, keys);
			break;
		case 1:
			q.holder = PICK(b, holders);
			break;
		case 2:
			q.holder = rk_str(dice(b, 2) ? "vendor:acme" : "app:");
			break;
		case 3:
			q.conn = dice(b, 2) ? PICK(b, conns) : PICK(b, conn_names);
			break;
		case 4:
			q.provider = PICK(b, providers);
			break;
		case 5:
			q.env = PICK(b, envs);
			break;
		case 6:
			q.model = PICK(b, models);
			break;
		case 7:
			q.decision = PICK(b, decisions);
			break;
		case 8:
			q.reason = PICK(b, reasons);
			break;
		case 9:
			q.status = (uint16_t)(dice(b, 2) ? 200 : dice(b, 2) ? 403 : 429);
			break;
		case 10:
			q.type = PICK(b, types);
			break;
		case 11:
			q.kind = PICK(b, kinds);
			break;
		case 12:
			q.path = PICK(b, prefixes);
			break;
		case 13:
			q.client = PICK(b, nets);
			break;
		case 14:
			q.actor = PICK(b, actors);
			break;
		case 15:
			q.action = PICK(b, actions);
			break;
		case 16:
			q.target = PICK(b, targets);
			break;
		default:
			do
				seq = 1 + dice(b, b->rows);
			while (b->known[seq].row.type != AUDIT_REQUEST);
			rk_hex(b->known[seq].row.request_id, 16, id);
			q.request_id = rk_str(id);
			break;
		}
	}
	if (dice(b, 3) == 0)
		q.since_ms = ((int64_t)T0 + (int64_t)dice(b, b->rows)) * SECOND;
	if (dice(b, 3) == 0)
		q.until_ms = ((int64_t)T0 + (int64_t)dice(b, b->rows)) * SECOND;
	if (dice(b, 3) == 0)
		q.cursor = 1 + dice(b, b->rows + 2);
	q.order = (uint8_t)dice(b, 3);
	q.limit = dice(b, 4) ? (uint32_t)dice(b, 60) + 1 : ROWS;
	return q;
}

static int take(const struct msg_audit_entry *e, void *arg)
{
	struct answer *a = arg;
	struct audit_row row;

	assert_int_equal(record_unpack(&audit_row_desc, e->row, &row), 0);
	assert_int_equal(e->response.n > 0, e->response_seq > 0);
	a->seq[a->n] = e->seq;
	a->response[a->n++] = e->response_seq;
	return 0;
}

static void ask(struct book *b, struct audit_index *ix, const struct msg_audit_query *q,
                struct answer *out)
{
	struct audit_page page = {.order = q->order, .cursor = q->cursor, .limit = q->limit};
	const struct audit_sink sink = {.entry = take, .arg = out};
	struct audit_filter *f = NULL;
	struct rk_fault fault = {""};

	out->n = 0;
	if (audit_filter_new(q, &f, &fault) != 0 ||
	    audit_list(b->reader, ix, f, &page, &sink, &fault) != 0)
		fail_msg("%s", fault.text);
	out->more = page.more;
	audit_filter_free(f);
}

static bool known_matches(const struct book *b, const struct audit_filter *f, uint64_t seq)
{
	const struct known *k = &b->known[seq];

	return audit_filter_matches(f, &k->row,
	                            k->response ? &b->known[k->response].row : NULL);
}

/* One row after the other, in the order that is asked for. */
static void ask_slowly(const struct book *b, const struct msg_audit_query *q,
                       struct answer *out)
{
	bool rising = q->order == AUDIT_RISING;
	uint64_t from = q->cursor ? q->cursor : rising ? 0 : b->rows + 1;
	struct audit_filter *f = NULL;
	struct rk_fault fault = {""};

	out->n = 0;
	out->more = false;
	assert_int_equal(audit_filter_new(q, &f, &fault), 0);
	if (from > b->rows + 1)
		from = b->rows + 1;
	for (uint64_t seq = rising ? from + 1 : from - 1; seq >= 1 && seq <= b->rows;
	     seq += rising ? 1 : UINT64_MAX) {
		if (!known_matches(b, f, seq))
			continue;
		out->more = out->n == q->limit;
		if (out->more)
			break;
		out->seq[out->n] = seq;
		out->response[out->n++] = b->known[seq].response;
	}
	for (size_t i = 0; q->order == AUDIT_NEWEST && i < out->n / 2; i++) {
		uint64_t seq = out->seq[i], response = out->response[i];

		out->seq[i] = out->seq[out->n - 1 - i];
		out->response[i] = out->response[out->n - 1 - i];
		out->seq[out->n - 1 - i] = seq;
		out->response[out->n - 1 - i] = response;
	}
	audit_filter_free(f);
}

static void assert_same(const struct answer *got, const struct answer *due, unsigned question)
{
	for (size_t i = 0; i < due->n && i < got->n; i++) {
		if (got->seq[i] != due->seq[i] || got->response[i] != due->response[i])
			fail_msg("question %u, entry %zu: %llu+%llu instead of %llu+%llu",
			         question, i, (unsigned long long)got->seq[i],
			         (unsigned long long)got->response[i],
			         (unsigned long long)due->seq[i],
			         (unsigned long long)due->response[i]);
	}
	if (got->n != due->n)
		fail_msg("question %u: %zu entries instead of %zu", question, got->n, due->n);
	assert_int_equal(got->more, due->more);
}

/* For whoever has to find out why. */
static void print_question(const struct msg_audit_query *q, unsigned number)
{
	print_message("question %u: order %u cursor %llu limit %u holder %.*s kind %.*s conn "
	              "%.*s key %.*s env %.*s decision %.*s status %u since %lld until %lld "
	              "type %.*s reason %.*s provider %.*s model %.*s client %.*s request "
	              "%.*s path %.*s actor %.*s action %.*s target %.*s\n",
	              number, q->order, (unsigned long long)q->cursor, q->limit,
	              RK_FMT(q->holder), RK_FMT(q->kind), RK_FMT(q->conn), RK_FMT(q->key_id),
	              RK_FMT(q->env), RK_FMT(q->decision), q->status, (long long)q->since_ms,
	              (long long)q->until_ms, RK_FMT(q->type), RK_FMT(q->reason),
	              RK_FMT(q->provider), RK_FMT(q->model), RK_FMT(q->client),
	              RK_FMT(q->request_id), RK_FMT(q->path), RK_FMT(q->actor),
	              RK_FMT(q->action), RK_FMT(q->target));
}

static bool same(const struct answer *a, const struct answer *b)
{
	return a->n == b->n && a->more == b->more &&
	       memcmp(a->seq, b->seq, a->n * sizeof a->seq[0]) == 0 &&
	       memcmp(a->response, b->response, a->n * sizeof a->response[0]) == 0;
}

static void ask_many(struct book *b, struct audit_index *ix, unsigned questions)
{
	static struct answer got, due;

	for (unsigned i = 0; i < questions; i++) {
		struct msg_audit_query q = random_question(b);

		ask(b, ix, &q, &got);
		ask_slowly(b, &q, &due);
		if (!same(&got, &due))
			print_question(&q, i);
		assert_same(&got, &due, i);
	}
}

struct exported {
	uint64_t seq[4 * ROWS];
	uint8_t prev_hash[4 * ROWS][AUDIT_HASH];
	size_t n;
};

static int take_exported(const struct msg_audit_entry *e, void *arg)
{
	struct exported *x = arg;

	x->seq[x->n] = e->seq;
	memcpy(x->prev_hash[x->n++], e->prev_hash, AUDIT_HASH);
	return 0;
}

static void export_all(struct book *b, struct audit_index *ix, const struct msg_audit_query *q,
                       struct exported *out)
{
	const struct audit_sink sink = {.entry = take_exported, .arg = out};
	struct audit_filter *f = NULL;
	struct rk_fault fault = {""};

	memset(out, 0, sizeof *out);
	if (audit_filter_new(q, &f, &fault) != 0 ||
	    audit_export(b->reader, ix, f, q->cursor, q->limit, &sink, &fault) != 0)
		fail_msg("%s", fault.text);
	audit_filter_free(f);
}

static void export_many(struct book *b, unsigned questions)
{
	static struct exported got, due;

	for (unsigned i = 0; i < questions; i++) {
		struct msg_audit_query q = random_question(b);

		export_all(b, b->ix, &q, &got);
		export_all(b, NULL, &q, &due);
		if (memcmp(&got, &due, sizeof got) != 0) {
			print_question(&q, i);
			fail_msg("%zu rows instead of %zu", got.n, due.n);
		}
	}
}

/* ---- the tests ---- */

static void test_a_search_finds_what_the_rows_say(void **state)
{
	struct book *b = new_book(4711);

	(void)state;
	add_rows(b, ROWS);
	assert_true(open_index(b));
	advance(b, UINT64_MAX);
	assert_int_equal(audit_index_upto(b->ix), ROWS);
	ask_many(b, b->ix, QUESTIONS);
	end_book(b);
}

static void test_without_an_index_the_answers_are_the_same(void **state)
{
	struct book *b = new_book(815);

	(void)state;
	add_rows(b, ROWS);
	ask_many(b, NULL, QUESTIONS / 2);
	/* one that is not open yet counts as none */
	ask_many(b, b->ix, QUESTIONS / 4);
	end_book(b);
}

static void test_rows_behind_the_index_are_found_too(void **state)
{
	struct book *b = new_book(99);

	(void)state;
	assert_true(open_index(b));
	for (unsigned i = 0; i < 10; i++) {
		add_rows(b, 300);
		/* at most a slice less than everything */
		advance(b, b->rows > 700 ? b->rows - 700 : 1);
		assert_true(audit_index_upto(b->ix) < b->rows || i < 3);
		ask_many(b, b->ix, QUESTIONS / 10);
	}
	end_book(b);
}

static void test_a_restart_goes_on_where_the_file_ends(void **state)
{
	struct book *b = new_book(7);
	uint64_t before;

	(void)state;
	assert_true(open_index(b));
	for (unsigned i = 0; i < 6; i++) {
		add_rows(b, 450);
		advance(b, UINT64_MAX);
		before = audit_index_upto(b->ix);
		restart(b);
		/* the chunk that was in memory is read again */
		assert_in_range(audit_index_upto(b->ix), before - (1 << BITS), before);
		ask_many(b, b->ix, QUESTIONS / 12);
		advance(b, UINT64_MAX);
		assert_int_equal(audit_index_upto(b->ix), before);
		ask_many(b, b->ix, QUESTIONS / 12);
	}
	end_book(b);
}

static void test_pages_by_cursor_have_every_entry_once_while_rows_are_added(void **state)
{
	struct book *b = new_book(31);
	static struct answer page, all;
	struct msg_audit_query q = {.limit = ROWS, .order = AUDIT_FALLING};
	uint64_t end;

	(void)state;
	add_rows(b, ROWS / 2);
	open_index(b);
	advance(b, UINT64_MAX);
	q.decision = rk_str("allowed");
	q.conn = rk_str("conn_A");
	ask(b, b->ix, &q, &all);
	assert_true(all.n > 100);
	q.limit = 7;
	for (size_t at = 0; at < all.n; at += page.n) {
		ask(b, b->ix, &q, &page);
		for (size_t i = 0; i < page.n; i++)
			assert_int_equal(page.seq[i], all.seq[at + i]);
		assert_int_equal(page.more, at + page.n < all.n);
		end = page.seq[page.n - 1];
		q.cursor = end;
		add_rows(b, 5);
		if (at % 3)
			advance(b, UINT64_MAX);
	}
	end_book(b);
}

static void test_an_export_with_the_index_is_the_one_without(void **state)
{
	struct book *b = new_book(2024);

	(void)state;
	open_index(b);
	for (unsigned i = 0; i < 4; i++) {
		add_rows(b, 700);
		advance(b, b->rows - 300);
		export_many(b, QUESTIONS / 8);
	}
	advance(b, UINT64_MAX);
	export_many(b, QUESTIONS / 8);
	end_book(b);
}

/* ---- what is not to be trusted ---- */

static void fill_and_close(struct book *b)
{
	add_rows(b, 1000);
	assert_true(open_index(b));
	advance(b, UINT64_MAX);
	audit_index_free(b->ix);
	assert_int_equal(audit_index_new(b->index_path, &b->key, BITS, &b->ix), 0);
}

static void test_the_index_of_another_journal_is_made_anew(void **state)
{
	struct book *b = new_book(5), *other = new_book(6);
	struct rk_buf file;

	(void)state;
	fill_and_close(b);
	fill_and_close(other);
	file = fixture_read(other->index_path);
	fixture_write(b->index_path, rk_buf_data(&file), file.len);
	rk_buf_free(&file);
	assert_true(open_index(b));
	assert_int_equal(audit_index_upto(b->ix), 0);
	advance(b, UINT64_MAX);
	ask_many(b, b->ix, QUESTIONS / 10);
	/* its twin: the journal's own is taken as it is */
	assert_false(open_index(other));
	assert_true(audit_index_upto(other->ix) > 0);
	end_book(b);
	end_book(other);
}

static void test_a_file_that_is_no_index_is_made_anew(void **state)
{
	static const char noise[5000] = "this is no database";
	static const size_t sizes[] = {0, 10, sizeof noise};

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct book *b = new_book(50 + i);

		add_rows(b, 500);
		fixture_write(b->index_path, noise, sizes[i]);
		assert_true(open_index(b));
		advance(b, UINT64_MAX);
		ask_many(b, b->ix, 20);
		end_book(b);
	}
}

static void test_a_damaged_index_costs_no_answer_and_is_made_anew(void **state)
{
	struct book *b = new_book(77);
	struct msg_audit_query q = {.limit = ROWS, .conn = rk_str("conn_A")};
	static struct answer got, due;
	struct rk_buf file;

	(void)state;
	fill_and_close(b);
	file = fixture_read(b->index_path);
	/* every page but the first ones, with which it opens */
	for (size_t at = 12 * 4096; at < file.len; at += 4096)
		rk_buf_data(&file)[at + 100] ^= 1;
	fixture_write(b->index_path, rk_buf_data(&file), file.len);
	rk_buf_free(&file);
	(void)open_index(b);
	ask(b, b->ix, &q, &got);
	ask_slowly(b, &q, &due);
	assert_same(&got, &due, 0);
	assert_false(audit_index_is_open(b->ix));
	/* found damaged: the next opening must not take it for good again and again */
	(void)open_index(b);
	advance(b, UINT64_MAX);
	ask_many(b, b->ix, QUESTIONS / 10);
	end_book(b);
}

static void test_a_journal_that_lost_rows_has_no_index(void **state)
{
	struct book *b = new_book(88);
	sqlite3 *db = NULL;
	struct rk_fault fault;

	(void)state;
	fill_and_close(b);
	audit_reader_close(b->reader);
	journal_close(b->j);
	assert_int_equal(db_open(b->d.path, &b->key, DB_READ_WRITE, false, &db, &fault), 0);
	assert_int_equal(db_exec(db, "DELETE FROM row WHERE seq > 700", &fault, "delete"), 0);
	db_close(db);
	assert_int_equal(journal_open(b->d.path, &b->key, false, false, &b->j, &fault), 0);
	assert_int_equal(audit_reader_open(b->d.path, &b->key, &b->reader, &fault), 0);
	assert_true(open_index(b));
	end_book(b);
}

static void test_a_full_disk_leaves_what_there_is_and_the_rest_to_the_journal(void **state)
{
	struct rlimit before, small;
	struct rk_fault fault = {""};
	struct book *b = new_book(12);
	uint64_t upto;
	size_t n = 1;
	int err = 0;

	(void)state;
	add_rows(b, 300);
	open_index(b);
	advance(b, UINT64_MAX);
	add_rows(b, ROWS - 300);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	small = before;
	small.rlim_cur = 150000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	while (!err && n > 0)
		err = audit_index_advance(b->ix, audit_reader_rows(b->reader), &n, &fault);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(err, RK_E_FULL);
	upto = audit_index_upto(b->ix);
	assert_in_range(upto, 300, ROWS - 1);
	assert_true(audit_index_is_open(b->ix));
	ask_many(b, b->ix, QUESTIONS / 10);
	/* room again: it goes on */
	advance(b, UINT64_MAX);
	assert_int_equal(audit_index_upto(b->ix), ROWS);
	restart(b);
	ask_many(b, b->ix, QUESTIONS / 10);
	end_book(b);
}

static void test_a_writer_that_is_stopped_leaves_the_file_as_it_was(void **state)
{
	struct book *b = new_book(64);
	struct rk_fault fault;
	uint64_t upto;
	size_t n = 1;
	int err = 0;

	(void)state;
	add_rows(b, 400);
	open_index(b);
	advance(b, UINT64_MAX);
	add_rows(b, 400);
	upto = audit_index_upto(b->ix);
	audit_index_stop(b->ix);
	while (!err && n > 0)
		err = audit_index_advance(b->ix, audit_reader_rows(b->reader), &n, &fault);
	assert_int_equal(err, RK_E_STATE);
	/* the chunk that was full then is the last one */
	assert_in_range(audit_index_upto(b->ix), upto, upto + (1 << BITS));
	ask_many(b, b->ix, 50);
	restart(b);
	advance(b, UINT64_MAX);
	assert_int_equal(audit_index_upto(b->ix), b->rows);
	ask_many(b, b->ix, 50);
	end_book(b);
}

/* ---- its thread ---- */

static void test_the_thread_follows_the_journal_and_ends_when_told(void **state)
{
	struct book *b = new_book(3);
	struct audit_indexer *x = NULL;

	(void)state;
	add_rows(b, 1000);
	assert_int_equal(audit_indexer_new(b->d.path, &b->key, b->ix, &x), 0);
	for (unsigned round = 0; round < 3; round++) {
		add_rows(b, 100);
		for (unsigned i = 0; i < 2000 && audit_index_upto(b->ix) < b->rows; i++)
			usleep(5000);
		assert_int_equal(audit_index_upto(b->ix), b->rows);
		ask_many(b, b->ix, 30);
	}
	audit_index_distrust(b->ix);
	for (unsigned i = 0; i < 4000 && audit_index_upto(b->ix) < b->rows; i++)
		usleep(5000);
	assert_int_equal(audit_index_upto(b->ix), b->rows);
	audit_indexer_free(x);
	end_book(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_search_finds_what_the_rows_say),
	    cmocka_unit_test(test_without_an_index_the_answers_are_the_same),
	    cmocka_unit_test(test_rows_behind_the_index_are_found_too),
	    cmocka_unit_test(test_a_restart_goes_on_where_the_file_ends),
	    cmocka_unit_test(test_pages_by_cursor_have_every_entry_once_while_rows_are_added),
	    cmocka_unit_test(test_an_export_with_the_index_is_the_one_without),
	    cmocka_unit_test(test_the_index_of_another_journal_is_made_anew),
	    cmocka_unit_test(test_a_file_that_is_no_index_is_made_anew),
	    cmocka_unit_test(test_a_damaged_index_costs_no_answer_and_is_made_anew),
	    cmocka_unit_test(test_a_journal_that_lost_rows_has_no_index),
	    cmocka_unit_test(test_a_full_disk_leaves_what_there_is_and_the_rest_to_the_journal),
	    cmocka_unit_test(test_a_writer_that_is_stopped_leaves_the_file_as_it_was),
	    cmocka_unit_test(test_the_thread_follows_the_journal_and_ends_when_told),
	};

	return cmocka_run_group_tests(tests, fixture_arena, NULL);
}

/*
 * Lists, exports and verification of the audit journal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "keeper/audit_read.h"
#include "keeper/journal.h"
#include "keeper/request_map.h"
#include "tests/lib/store_fixture.h"

enum { ROW_CAP = 1024, MINUTE = 60000, T0 = 1700000000 };

struct book {
	struct store_dir d;
	struct journal *j;
	int64_t now_ms;
};

static struct book new_book(void)
{
	struct book b = {.d = fixture_dir("journal.db"), .now_ms = (int64_t)T0 * 1000};
	struct rk_secret key = fixture_key('k');
	struct rk_fault fault;

	assert_int_equal(journal_open(b.d.path, &key, true, true, &b.j, &fault), 0);
	rk_secret_free(&key);
	return b;
}

static void end_book(struct book *b)
{
	journal_close(b->j);
	fixture_remove(&b->d);
}

static void add(struct book *b, struct audit_row row)
{
	unsigned char mem[ROW_CAP];
	struct journal_entry e = {0};
	struct rk_fault fault;

	b->now_ms += MINUTE;
	row.time_ms = b->now_ms;
	e.body = fixture_row(&row, mem, sizeof mem);
	assert_int_equal(journal_append(b->j, &e, 1, &fault), 0);
}

static struct audit_row request(uint32_t id)
{
	struct audit_row row = {.type = AUDIT_REQUEST,
	                        .key_id = rk_str("key_one"),
	                        .holder_kind = 0,
	                        .holder = rk_str("billing"),
	                        .conn_id = rk_str("conn_A"),
	                        .conn_name = rk_str("openai"),
	                        .env = rk_str("production")};

	memcpy(row.request_id, &id, sizeof id);
	return row;
}

static struct audit_row refused(uint32_t id, uint16_t status)
{
	struct audit_row row = request(id);

	row.decision = DECISION_DENIED;
	row.status = status;
	return row;
}

static void respond(struct book *b, uint32_t id, uint16_t status)
{
	struct audit_row row = {.type = AUDIT_RESPONSE, .status = status};

	memcpy(row.request_id, &id, sizeof id);
	add(b, row);
}

/*
 * The book that most tests read:
 *   1 START, 2 request 1, 3 request 2, 4 response 2 (500), 5 refused 3 (403), 6 MANAGE on
 *   conn_A, 7 request 4 (vendor acme, conn_B), 8 response 1 (200), 9 STATE, 10 response 4 (200)
 */
static struct book sample_book(void)
{
	struct book b = new_book();
	struct audit_row vendor = request(4);

	vendor.key_id = rk_str("key_two");
	vendor.holder_kind = 3;
	vendor.holder = rk_str("acme");
	vendor.conn_id = rk_str("conn_B");
	vendor.conn_name = rk_str("stripe");
	vendor.env = rk_str("staging");
	add(&b, (struct audit_row){.type = AUDIT_START});
	add(&b, request(1));
	add(&b, request(2));
	respond(&b, 2, 500);
	add(&b, refused(3, 403));
	add(&b, (struct audit_row){.type = AUDIT_MANAGE,
	                           .action = rk_str("connection.rotate"),
	                           .target = rk_str("conn_A")});
	add(&b, vendor);
	respond(&b, 1, 200);
	add(&b, (struct audit_row){.type = AUDIT_STATE, .action = rk_str("token.lost")});
	respond(&b, 4, 200);
	return b;
}

static struct audit_reader *open_reader(const struct book *b)
{
	struct rk_secret key = fixture_key('k');
	struct audit_reader *r = NULL;
	struct rk_fault fault = {0};

	if (audit_reader_open(b->d.path, &key, &r, &fault) != 0)
		fail_msg("%s", fault.text);
	rk_secret_free(&key);
	return r;
}

/* What a sink was given: "seq/response seq" and so on, as text. */
struct got {
	char text[256];
	size_t used;
	unsigned stop_after; /* 0: never */
	unsigned count;
	int answer;
};

static int take(const struct msg_audit_entry *e, void *arg)
{
	struct got *g = arg;
	struct audit_row row;

	assert_int_equal(record_unpack(&audit_row_desc, e->row, &row), 0);
	if (e->response_seq)
		assert_int_equal(record_unpack(&audit_row_desc, e->response, &row), 0);
	g->used +=
	    (size_t)snprintf(g->text + g->used, sizeof g->text - g->used,
	                     e->response_seq ? "%s%llu+%llu" : "%s%llu", g->used ? " " : "",
	                     (unsigned long long)e->seq, (unsigned long long)e->response_seq);
	g->count++;
	return g->stop_after && g->count == g->stop_after ? g->answer : 0;
}

static int run_list(const struct book *b, struct msg_audit_query q, uint32_t limit,
                    struct got *got)
{
	struct audit_reader *r = open_reader(b);
	struct audit_filter *f = NULL;
	struct rk_fault fault = {0};
	int err = audit_filter_new(&q, &f, &fault);

	if (!err)
		err = audit_list(r, NULL, f, &(struct audit_page){.limit = limit},
		                 &(struct audit_sink){.entry = take, .arg = got}, &fault);
	audit_filter_free(f);
	audit_reader_close(r);
	return err;
}

static int run_export(const struct book *b, struct msg_audit_query q, uint64_t after,
                      uint32_t limit, struct got *got)
{
	struct audit_reader *r = open_reader(b);
	struct audit_filter *f = NULL;
	struct rk_fault fault = {0};
	int err = audit_filter_new(&q, &f, &fault);

	if (!err)
		err = audit_export(r, NULL, f, after, limit,
		                   &(struct audit_sink){.entry = take, .arg = got}, &fault);
	audit_filter_free(f);
	audit_reader_close(r);
	return err;
}

#define assert_list(b, limit, expected, ...)                                                   \
	do {                                                                                   \
		struct got got_ = {0};                                                         \
		assert_int_equal(                                                              \
		    run_list(b, (struct msg_audit_query){__VA_ARGS__}, limit, &got_), 0);      \
		assert_string_equal(got_.text, expected);                                      \
	} while (0)

#define assert_export(b, after, limit, expected, ...)                                          \
	do {                                                                                   \
		struct got got_ = {0};                                                         \
		assert_int_equal(                                                              \
		    run_export(b, (struct msg_audit_query){__VA_ARGS__}, after, limit, &got_), \
		    0);                                                                        \
		assert_string_equal(got_.text, expected);                                      \
	} while (0)

static void test_a_list_pairs_requests_with_their_responses(void **state)
{
	struct book b = sample_book();

	(void)state;
	assert_list(&b, 100, "1 2+8 3+4 5 6 7+10 9", 0);
	end_book(&b);
}

static void test_a_list_gives_the_newest_oldest_of_them_first(void **state)
{
	struct book b = sample_book();

	(void)state;
	assert_list(&b, 3, "6 7+10 9", 0);
	assert_list(&b, 0, "", 0);
	end_book(&b);
}

static void test_a_list_over_the_limit_is_refused(void **state)
{
	struct book b = sample_book();
	struct got got = {0};

	(void)state;
	assert_int_equal(run_list(&b, (struct msg_audit_query){0}, AUDIT_LIST_MAX + 1, &got),
	                 RK_E_TOOBIG);
	assert_int_equal(run_list(&b, (struct msg_audit_query){0}, AUDIT_LIST_MAX, &got), 0);
	end_book(&b);
}

static void test_each_criterion_selects(void **state)
{
	struct book b = sample_book();
	int64_t t = (int64_t)T0 * 1000;

	(void)state;
	assert_list(&b, 9, "7+10", .holder = rk_str("acme"));
	assert_list(&b, 9, "2+8 3+4 5", .holder = rk_str("billing"));
	assert_list(&b, 9, "7+10", .kind = rk_str("vendor"));
	assert_list(&b, 9, "2+8 3+4 5", .kind = rk_str("app"));
	assert_list(&b, 9, "7+10", .conn = rk_str("conn_B"));
	assert_list(&b, 9, "7+10", .conn = rk_str("stripe"));
	assert_list(&b, 9, "2+8 3+4 5 6", .conn = rk_str("conn_A"));
	assert_list(&b, 9, "2+8 3+4 5", .key_id = rk_str("key_one"));
	assert_list(&b, 9, "7+10", .env = rk_str("staging"));
	assert_list(&b, 9, "5", .decision = rk_str("denied"));
	assert_list(&b, 9, "2+8 3+4 7+10", .decision = rk_str("allowed"));
	assert_list(&b, 9, "5", .status = 403);
	assert_list(&b, 9, "2+8 7+10", .status = 200);
	assert_list(&b, 9, "3+4", .status = 500);
	assert_list(&b, 9, "", .status = 404);
	assert_list(&b, 9, "6 7+10 9", .since_ms = t + 6 * MINUTE);
	assert_list(&b, 9, "1 2+8", .until_ms = t + 3 * MINUTE);
	assert_list(&b, 9, "7+10", .kind = rk_str("vendor"), .env = rk_str("staging"));
	assert_list(&b, 9, "", .kind = rk_str("vendor"), .env = rk_str("production"));
	end_book(&b);
}

static void test_unknown_names_in_a_filter_are_refused(void **state)
{
	struct audit_filter *f = NULL;
	struct rk_fault fault;
	struct msg_audit_query q = {.decision = rk_str("perhaps")};

	(void)state;
	assert_int_equal(audit_filter_new(&q, &f, &fault), RK_E_INVALID);
	assert_non_null(strstr(fault.text, "perhaps"));
	q = (struct msg_audit_query){.kind = rk_str("robot")};
	assert_int_equal(audit_filter_new(&q, &f, &fault), RK_E_INVALID);
	q = (struct msg_audit_query){.since_ms = INT64_MIN};
	assert_int_equal(audit_filter_new(&q, &f, &fault), RK_E_INVALID);
	q = (struct msg_audit_query){.kind = rk_str("agent"), .decision = rk_str("locked")};
	assert_int_equal(audit_filter_new(&q, &f, &fault), 0);
	audit_filter_free(f);
}

static void test_an_export_gives_every_row_in_order(void **state)
{
	struct book b = sample_book();

	(void)state;
	assert_export(&b, 0, 0, "1 2 3 4 5 6 7 8 9 10", 0);
	assert_export(&b, 6, 0, "7 8 9 10", 0);
	assert_export(&b, 6, 2, "7 8", 0);
	assert_export(&b, 10, 0, "", 0);
	assert_export(&b, UINT64_MAX, 0, "", 0);
	end_book(&b);
}

static void test_a_filtered_export_keeps_the_responses_of_its_requests(void **state)
{
	struct book b = sample_book();

	(void)state;
	assert_export(&b, 0, 0, "2 3 4 5 8", .holder = rk_str("billing"));
	assert_export(&b, 0, 0, "7 10", .kind = rk_str("vendor"));
	assert_export(&b, 0, 0, "2 7 8 10", .status = 200);
	assert_export(&b, 0, 0, "3 4", .status = 500);
	assert_export(&b, 0, 0, "5", .status = 403);
	assert_export(&b, 0, 3, "2 7 8", .status = 200);
	end_book(&b);
}

static void test_an_export_that_goes_on_knows_the_requests_before_it(void **state)
{
	struct book b = sample_book();

	(void)state;
	assert_export(&b, 3, 0, "4 5 8", .holder = rk_str("billing"));
	assert_export(&b, 7, 0, "8 10", .status = 200);
	end_book(&b);
}

static int check_links(const struct msg_audit_entry *e, void *arg)
{
	uint8_t *prev = arg;

	assert_memory_equal(e->prev_hash, prev, 32);
	memcpy(prev, e->hash, 32);
	return 0;
}

static void test_each_row_names_the_hash_of_the_one_before(void **state)
{
	struct book b = sample_book();
	struct audit_reader *r = open_reader(&b);
	struct audit_filter *f = NULL;
	struct msg_audit_query q = {0};
	struct journal_head head;
	struct rk_fault fault;
	uint8_t prev[32] = {0};

	(void)state;
	assert_int_equal(audit_filter_new(&q, &f, &fault), 0);
	assert_int_equal(audit_export(r, NULL, f, 0, 0,
	                              &(struct audit_sink){.entry = check_links, .arg = prev},
	                              &fault),
	                 0);
	journal_head(b.j, &head);
	assert_memory_equal(prev, head.hash, 32);
	audit_filter_free(f);
	audit_reader_close(r);
	end_book(&b);
}

static void test_a_sink_can_stop_and_can_fail(void **state)
{
	struct book b = sample_book();
	struct got stop = {.stop_after = 2, .answer = 1};
	struct got bad = {.stop_after = 2, .answer = RK_E_CLOSED};

	(void)state;
	assert_int_equal(run_list(&b, (struct msg_audit_query){0}, 9, &stop), 0);
	assert_string_equal(stop.text, "1 2+8");
	assert_int_equal(run_list(&b, (struct msg_audit_query){0}, 9, &bad), RK_E_CLOSED);
	stop = (struct got){.stop_after = 2, .answer = 1};
	bad = (struct got){.stop_after = 2, .answer = RK_E_CLOSED};
	assert_int_equal(run_export(&b, (struct msg_audit_query){0}, 0, 0, &stop), 0);
	assert_string_equal(stop.text, "1 2");
	assert_int_equal(run_export(&b, (struct msg_audit_query){0}, 0, 0, &bad), RK_E_CLOSED);
	end_book(&b);
}

/* A collector that takes for ever: the journal must be able to restart its WAL meanwhile. */
static int slow_collector(const struct msg_audit_entry *e, void *arg)
{
	struct book *b = arg;
	static char body[20000];
	struct journal_entry entry = {.body = rk_slice(body, sizeof body)};
	struct rk_fault fault;

	(void)e;
	for (unsigned i = 0; i < 600; i++) {
		assert_int_equal(journal_append(b->j, &entry, 1, &fault), 0);
		journal_maintain(b->j);
	}
	return 1;
}

static void test_a_slow_collector_does_not_hold_the_wal(void **state)
{
	struct book b = sample_book();
	struct audit_reader *r = open_reader(&b);
	struct audit_filter *f = NULL;
	struct msg_audit_query q = {0};
	struct rk_fault fault;
	struct stat before, after;
	char wal[128];

	(void)state;
	snprintf(wal, sizeof wal, "%s-wal", b.d.path);
	assert_int_equal(stat(wal, &before), 0);
	assert_int_equal(audit_filter_new(&q, &f, &fault), 0);
	assert_int_equal(audit_export(r, NULL, f, 0, 0,
	                              &(struct audit_sink){.entry = slow_collector, .arg = &b},
	                              &fault),
	                 0);
	assert_int_equal(audit_list(r, NULL, f, &(struct audit_page){.limit = 1},
	                            &(struct audit_sink){.entry = slow_collector, .arg = &b},
	                            &fault),
	                 RK_E_CORRUPT); /* those rows are no records; nothing was handed out */
	assert_int_equal(stat(wal, &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	audit_filter_free(f);
	audit_reader_close(r);
	end_book(&b);
}

/* ---- verification ---- */

static struct msg_audit_verified verify(const struct book *b, const struct journal_head *expect,
                                        char text[256])
{
	struct audit_reader *r = open_reader(b);
	struct msg_audit_verified out = {0};
	struct rk_fault fault = {0};

	if (audit_verify(r, expect, &out, text, 256, &fault) != 0)
		fail_msg("%s", fault.text);
	audit_reader_close(r);
	return out;
}

static void tamper(const struct book *b, const char *sql)
{
	struct rk_secret key = fixture_key('k');
	struct rk_fault fault = {0};
	sqlite3 *db;

	assert_int_equal(db_open(b->d.path, &key, DB_READ_WRITE, true, &db, &fault), 0);
	if (db_exec(db, sql, &fault, "tamper") != 0)
		fail_msg("%s", fault.text);
	db_close(db);
	rk_secret_free(&key);
}

static void assert_broken_by(const char *sql, uint64_t at, const char *why)
{
	struct book b = sample_book();
	struct journal_head head;
	struct msg_audit_verified v;
	char text[256];

	journal_head(b.j, &head);
	v = verify(&b, &head, text);
	assert_int_equal(v.ok, 1);
	tamper(&b, sql);
	v = verify(&b, &head, text);
	assert_int_equal(v.ok, 0);
	assert_int_equal(v.bad_seq, at);
	if (!strstr(text, why))
		fail_msg("%s", text);
	end_book(&b);
}

static void test_an_untouched_chain_verifies(void **state)
{
	struct book b = sample_book();
	struct journal_head head;
	struct msg_audit_verified v;
	char text[256];

	(void)state;
	journal_head(b.j, &head);
	v = verify(&b, &head, text);
	assert_int_equal(v.ok, 1);
	assert_int_equal(v.rows, 10);
	assert_int_equal(v.first_seq, 1);
	assert_int_equal(v.last_seq, 10);
	assert_memory_equal(v.head, head.hash, 32);
	/* rows that came after the head was taken are no fault */
	add(&b, request(9));
	assert_int_equal(verify(&b, &head, text).ok, 1);
	end_book(&b);
}

static void test_an_empty_journal_verifies(void **state)
{
	struct book b = new_book();
	char text[256];

	(void)state;
	assert_int_equal(verify(&b, NULL, text).ok, 1);
	assert_int_equal(verify(&b, NULL, text).rows, 0);
	end_book(&b);
}

static void test_a_changed_body_is_found(void **state)
{
	(void)state;
	assert_broken_by("UPDATE row SET body = body || x'00' WHERE seq = 4", 4, "changed");
}

static void test_a_changed_hash_is_found(void **state)
{
	(void)state;
	assert_broken_by("UPDATE row SET hash = zeroblob(32) WHERE seq = 4", 4, "changed");
	assert_broken_by("UPDATE row SET hash = x'01' WHERE seq = 10", 10, "changed");
}

static void test_a_row_removed_in_the_middle_is_found(void **state)
{
	(void)state;
	assert_broken_by("DELETE FROM row WHERE seq = 5", 5, "missing");
	assert_broken_by("DELETE FROM row WHERE seq = 1", 1, "missing");
}

static void test_a_removed_row_with_the_gap_closed_is_found(void **state)
{
	(void)state;
	assert_broken_by("DELETE FROM row WHERE seq = 5;"
	                 "UPDATE row SET seq = 5 WHERE seq = 6;"
	                 "UPDATE row SET seq = 6 WHERE seq = 7",
	                 5, "changed, or is not in its place");
}

static void test_reordered_rows_are_found(void **state)
{
	(void)state;
	assert_broken_by("UPDATE row SET seq = 99 WHERE seq = 3;"
	                 "UPDATE row SET seq = 3 WHERE seq = 4;"
	                 "UPDATE row SET seq = 4 WHERE seq = 99",
	                 3, "not in its place");
}

static void test_rows_removed_at_the_end_are_found(void **state)
{
	(void)state;
	assert_broken_by("DELETE FROM row WHERE seq > 8", 9, "removed at the end");
	assert_broken_by("DELETE FROM row", 1, "removed at the end");
}

static void test_a_chain_made_anew_is_found(void **state)
{
	struct book b = sample_book(), other = new_book();
	struct journal_head head;
	char text[256];

	(void)state;
	journal_head(b.j, &head);
	for (uint32_t i = 0; i < 12; i++)
		add(&other, request(i));
	assert_int_equal(verify(&other, NULL, text).ok, 1);
	assert_int_equal(verify(&other, &head, text).ok, 0);
	assert_non_null(strstr(text, "made anew"));
	end_book(&b);
	end_book(&other);
}

static void test_a_flipped_bit_in_the_file_is_found(void **state)
{
	struct book b = new_book();
	struct msg_audit_verified v;
	struct rk_buf file;
	char text[256];

	(void)state;
	for (uint32_t i = 0; i < 400; i++)
		add(&b, request(i));
	journal_close(b.j);
	b.j = NULL;
	assert_int_equal(verify(&b, NULL, text).ok, 1);
	file = fixture_read(b.d.path);
	assert_true(file.len > 8 * 4096);
	rk_buf_data(&file)[5 * 4096 + 100] ^= 1;
	fixture_write(b.d.path, rk_buf_data(&file), file.len);
	rk_buf_free(&file);
	v = verify(&b, NULL, text);
	assert_int_equal(v.ok, 0);
	assert_in_range(v.bad_seq, 2, 399);
	fixture_remove(&b.d);
}

static void test_readers_refuse_what_is_no_journal(void **state)
{
	struct store_dir d = fixture_dir("other.db");
	struct rk_secret key = fixture_key('k');
	struct audit_reader *r = NULL;
	struct rk_fault fault;
	sqlite3 *db;

	(void)state;
	assert_int_equal(db_open(d.path, &key, DB_READ_WRITE_CREATE, true, &db, &fault), 0);
	assert_int_equal(db_exec(db, "CREATE TABLE t(x)", &fault, "t"), 0);
	db_close(db);
	assert_int_equal(audit_reader_open(d.path, &key, &r, &fault), RK_E_CORRUPT);
	assert_null(r);
	rk_secret_free(&key);
	fixture_remove(&d);
}

/* ---- the map that pairs them ---- */

static void id_of(uint32_t n, uint8_t id[REQUEST_ID])
{
	memset(id, 0, REQUEST_ID);
	memcpy(id, &n, sizeof n);
}

static void test_the_map_finds_what_was_put_and_gives_it_once(void **state)
{
	struct request_map *m;
	uint8_t id[REQUEST_ID];
	uint64_t v;

	(void)state;
	assert_int_equal(request_map_new(100000, &m), 0);
	for (uint32_t i = 0; i < 5000; i++) {
		id_of(i, id);
		assert_int_equal(request_map_put(m, id, i * 3), 0);
	}
	assert_int_equal(request_map_count(m), 5000);
	for (uint32_t i = 0; i < 5000; i += 2) {
		id_of(i, id);
		assert_true(request_map_take(m, id, &v));
		assert_int_equal(v, i * 3);
		assert_false(request_map_take(m, id, &v));
	}
	for (uint32_t i = 1; i < 5000; i += 2) {
		id_of(i, id);
		assert_true(request_map_take(m, id, &v));
		assert_int_equal(v, i * 3);
	}
	assert_int_equal(request_map_count(m), 0);
	request_map_free(m);
}

static void test_the_map_forgets_the_oldest_at_its_limit(void **state)
{
	struct request_map *m;
	uint8_t id[REQUEST_ID];
	uint64_t v;

	(void)state;
	assert_int_equal(request_map_new(100, &m), 0);
	for (uint32_t i = 0; i < 1000; i++) {
		id_of(i, id);
		assert_int_equal(request_map_put(m, id, i), 0);
		assert_true(request_map_count(m) <= 100);
	}
	id_of(0, id);
	assert_false(request_map_take(m, id, &v));
	id_of(999, id);
	assert_true(request_map_take(m, id, &v));
	id_of(950, id);
	assert_true(request_map_take(m, id, &v));
	request_map_free(m);
}

static void test_a_second_put_replaces_the_first(void **state)
{
	struct request_map *m;
	uint8_t id[REQUEST_ID];
	uint64_t v = 0;

	(void)state;
	id_of(7, id);
	assert_int_equal(request_map_new(4, &m), 0);
	assert_int_equal(request_map_put(m, id, 1), 0);
	assert_int_equal(request_map_put(m, id, 2), 0);
	assert_int_equal(request_map_count(m), 1);
	assert_true(request_map_take(m, id, &v));
	assert_int_equal(v, 2);
	assert_false(request_map_take(m, id, &v));
	request_map_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_list_pairs_requests_with_their_responses),
	    cmocka_unit_test(test_a_list_gives_the_newest_oldest_of_them_first),
	    cmocka_unit_test(test_a_list_over_the_limit_is_refused),
	    cmocka_unit_test(test_each_criterion_selects),
	    cmocka_unit_test(test_unknown_names_in_a_filter_are_refused),
	    cmocka_unit_test(test_an_export_gives_every_row_in_order),
	    cmocka_unit_test(test_a_filtered_export_keeps_the_responses_of_its_requests),
	    cmocka_unit_test(test_an_export_that_goes_on_knows_the_requests_before_it),
	    cmocka_unit_test(test_each_row_names_the_hash_of_the_one_before),
	    cmocka_unit_test(test_a_sink_can_stop_and_can_fail),
	    cmocka_unit_test(test_a_slow_collector_does_not_hold_the_wal),
	    cmocka_unit_test(test_an_untouched_chain_verifies),
	    cmocka_unit_test(test_an_empty_journal_verifies),
	    cmocka_unit_test(test_a_changed_body_is_found),
	    cmocka_unit_test(test_a_changed_hash_is_found),
	    cmocka_unit_test(test_a_row_removed_in_the_middle_is_found),
	    cmocka_unit_test(test_a_removed_row_with_the_gap_closed_is_found),
	    cmocka_unit_test(test_reordered_rows_are_found),
	    cmocka_unit_test(test_rows_removed_at_the_end_are_found),
	    cmocka_unit_test(test_a_chain_made_anew_is_found),
	    cmocka_unit_test(test_a_flipped_bit_in_the_file_is_found),
	    cmocka_unit_test(test_readers_refuse_what_is_no_journal),
	    cmocka_unit_test(test_the_map_finds_what_was_put_and_gives_it_once),
	    cmocka_unit_test(test_the_map_forgets_the_oldest_at_its_limit),
	    cmocka_unit_test(test_a_second_put_replaces_the_first),
	};

	return cmocka_run_group_tests(tests, fixture_arena, NULL);
}

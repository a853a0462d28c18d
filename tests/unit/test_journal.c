/*
 * The audit journal: durability, the chain, recovery from failure and from kill -9.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "keeper/audit_chain.h"
#include "keeper/audit_read.h"
#include "keeper/journal.h"
#include "tests/lib/store_fixture.h"

enum { BATCH = 8, ROW_CAP = 1024, KILLS = 20 };

static struct journal *open_journal(const struct store_dir *d, bool create)
{
	struct rk_secret key = fixture_key('k');
	struct journal *j = NULL;
	struct rk_fault fault = {0};
	int err = journal_open(d->path, &key, true, create, &j, &fault);

	rk_secret_free(&key);
	if (err)
		fail_msg("%d: %s", err, fault.text);
	return j;
}

static int try_open(const struct store_dir *d, struct rk_fault *fault)
{
	struct rk_secret key = fixture_key('k');
	struct journal *j = NULL;
	int err = journal_open(d->path, &key, true, false, &j, fault);

	rk_secret_free(&key);
	journal_close(j);
	return err;
}

/* A row whose request id is a number. */
static struct audit_row numbered(enum audit_type type, uint32_t id)
{
	struct audit_row row = {.type = (uint8_t)type,
	                        .time_ms = 1700000000000 + id,
	                        .method = rk_str("POST"),
	                        .path = rk_str("/v1/chat/completions")};

	memcpy(row.request_id, &id, sizeof id);
	return row;
}

static int append_row(struct journal *j, const struct audit_row *row, struct journal_entry *e,
                      struct rk_fault *fault)
{
	unsigned char mem[ROW_CAP];
	int err;

	e->body = fixture_row(row, mem, sizeof mem);
	err = journal_append(j, e, 1, fault);
	e->body = (struct rk_slice){0};
	return err;
}

static void must_append(struct journal *j, enum audit_type type, uint32_t id)
{
	struct audit_row row = numbered(type, id);
	struct journal_entry e = {0};
	struct rk_fault fault = {0};
	int err = append_row(j, &row, &e, &fault);

	if (err)
		fail_msg("%d: %s", err, fault.text);
}

/* Appends `count` rows in one batch, ids from `id` on. */
static int append_batch(struct journal *j, uint32_t id, size_t count, size_t padding,
                        struct rk_fault *fault)
{
	static unsigned char mem[256][ROW_CAP];
	static const char pad[512];
	struct journal_entry e[256] = {0};

	for (size_t i = 0; i < count; i++) {
		struct audit_row row = numbered(AUDIT_REQUEST, id + (uint32_t)i);

		row.detail = rk_slice(pad, padding);
		e[i].body = fixture_row(&row, mem[i], sizeof mem[i]);
	}
	return journal_append(j, e, count, fault);
}

static struct msg_audit_verified verify(const struct store_dir *d,
                                        const struct journal_head *expect)
{
	struct rk_secret key = fixture_key('k');
	struct audit_reader *r = NULL;
	struct msg_audit_verified out = {0};
	struct rk_fault fault = {0};
	char text[256];
	int err = audit_reader_open(d->path, &key, &r, &fault);

	rk_secret_free(&key);
	if (!err)
		err = audit_verify(r, expect, &out, text, sizeof text, &fault);
	if (err)
		fail_msg("%d: %s", err, fault.text);
	audit_reader_close(r);
	out.text = (struct rk_slice){0};
	return out;
}

static off_t wal_size(const struct store_dir *d)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof path, "%s-wal", d->path);
	return stat(path, &st) == 0 ? st.st_size : -1;
}

static void test_a_new_journal_is_empty(void **state)
{
	struct store_dir d = fixture_dir("journal.db");
	struct journal *j = open_journal(&d, true);
	struct journal_head head;
	static const uint8_t zeros[32];

	(void)state;
	journal_head(j, &head);
	assert_int_equal(head.seq, 0);
	assert_int_equal(head.rows, 0);
	assert_memory_equal(head.hash, zeros, sizeof zeros);
	journal_close(j);
	fixture_remove(&d);
}

static void test_a_batch_gets_numbers_and_hashes_in_order(void **state)
{
	struct store_dir d = fixture_dir("journal.db");
	struct journal *j = open_journal(&d, true);
	struct journal_entry e[2] = {{.body = rk_str("first")}, {.body = rk_str("second")}};
	struct audit_chain *chain;
	struct journal_head head;
	struct rk_fault fault;
	uint8_t hash[32] = {0};

	(void)state;
	assert_int_equal(journal_append(j, e, 2, &fault), 0);
	assert_int_equal(e[0].seq, 1);
	assert_int_equal(e[1].seq, 2);
	assert_int_equal(audit_chain_new(&chain), 0);
	assert_int_equal(audit_chain_hash(chain, hash, 1, rk_str("first"), hash), 0);
	assert_memory_equal(e[0].hash, hash, 32);
	assert_int_equal(audit_chain_hash(chain, hash, 2, rk_str("second"), hash), 0);
	assert_memory_equal(e[1].hash, hash, 32);
	audit_chain_free(chain);
	journal_head(j, &head);
	assert_int_equal(head.seq, 2);
	assert_int_equal(head.rows, 2);
	assert_memory_equal(head.hash, hash, 32);
	journal_close(j);
	fixture_remove(&d);
}

static void test_the_chain_goes_on_after_reopening(void **state)
{
	struct store_dir d = fixture_dir("journal.db");
	struct journal *j = open_journal(&d, true);
	struct journal_head before, after;
	struct rk_fault fault;

	(void)state;
	assert_int_equal(append_batch(j, 1, 100, 10, &fault), 0);
	journal_head(j, &before);
	journal_close(j);
	j = open_journal(&d, false);
	journal_head(j, &after);
	assert_memory_equal(&before, &after, sizeof before);
	must_append(j, AUDIT_STATE, 0);
	journal_head(j, &after);
	assert_int_equal(after.seq, 101);
	journal_close(j);
	assert_int_equal(verify(&d, &after).ok, 1);
	fixture_remove(&d);
}

static void test_a_missing_journal_is_not_made_behind_ones_back(void **state)
{
	struct store_dir d = fixture_dir("journal.db");
	struct rk_fault fault;

	(void)state;
	assert_int_equal(try_open(&d, &fault), RK_E_NOTFOUND);
	journal_close(open_journal(&d, true));
	assert_int_equal(try_open(&d, &fault), 0);
	fixture_remove(&d);
}

static void test_a_row_of_no_or_too_many_bytes_is_refused_alone(void **state)
{
	struct store_dir d = fixture_dir("journal.db");
	struct journal *j = open_journal(&d, true);
	static char big[AUDIT_MAX_ROW + 1];
	struct journal_entry e[2] = {{.body = rk_str("good")}, {.body = rk_slice(big, 0)}};
	struct rk_fault fault;

	(void)state;
	assert_int_equal(journal_append(j, e, 2, &fault), RK_E_TOOBIG);
	e[1].body.n = sizeof big;
	assert_int_equal(journal_append(j, e, 2, &fault), RK_E_TOOBIG);
	e[1].body.n = AUDIT_MAX_ROW;
	assert_int_equal(journal_append(j, e, 2, &fault), 0);
	assert_int_equal(e[1].seq, 2);
	journal_close(j);
	fixture_remove(&d);
}

/* Runs SQL on the closed journal with the right key: an attacker who has it, or a bug. */
static void tamper(const struct store_dir *d, const char *sql)
{
	struct rk_secret key = fixture_key('k');
	struct rk_fault fault = {0};
	sqlite3 *db;

	assert_int_equal(db_open(d->path, &key, DB_READ_WRITE, true, &db, &fault), 0);
	if (db_exec(db, sql, &fault, "tamper") != 0)
		fail_msg("%s", fault.text);
	db_close(db);
	rk_secret_free(&key);
}

static void test_a_head_that_does_not_belong_to_its_row_stops_the_opening(void **state)
{
	struct store_dir d = fixture_dir("journal.db");
	struct journal *j = open_journal(&d, true);
	struct rk_fault fault;

	(void)state;
	assert_int_equal(append_batch(j, 1, 3, 0, &fault), 0);
	journal_close(j);
	tamper(&d, "UPDATE row SET body = x'00' WHERE seq = 3");
	assert_int_equal(try_open(&d, &fault), RK_E_CORRUPT);
	tamper(&d, "DELETE FROM row WHERE seq = 3");
	assert_int_equal(try_open(&d, &fault), 0);
	tamper(&d, "DELETE FROM row WHERE seq = 1");
	assert_int_equal(try_open(&d, &fault), RK_E_CORRUPT);
	assert_non_null(strstr(fault.text, "row 1 is missing"));
	fixture_remove(&d);
}

/* ---- a WAL of constant size ---- */

static void test_the_wal_keeps_its_size_over_many_checkpoints(void **state)
{
	struct store_dir d = fixture_dir("journal.db");
	struct journal *j = open_journal(&d, true);
	off_t start = wal_size(&d);
	struct journal_head head;
	struct stat st;
	struct rk_fault fault;

	(void)state;
	assert_true(start > 2 << 20);
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(append_batch(j, i * 200, 200, 500, &fault), 0);
		journal_maintain(j);
		assert_int_equal(wal_size(&d), start);
	}
	/* 40,000 rows went through it and into the database */
	assert_int_equal(stat(d.path, &st), 0);
	assert_true(st.st_size > 20 << 20);
	journal_head(j, &head);
	journal_close(j);
	/* after a clean end the database is one file */
	assert_int_equal(wal_size(&d), -1);
	assert_int_equal(verify(&d, &head).ok, 1);
	fixture_remove(&d);
}

static void test_a_reader_in_the_way_delays_the_checkpoint_and_nothing_else(void **state)
{
	struct store_dir d = fixture_dir("journal.db");
	struct journal *j = open_journal(&d, true);
	struct rk_secret key = fixture_key('k');
	struct journal_head head;
	struct rk_fault fault;
	sqlite3 *reader;
	off_t grown;

	(void)state;
	must_append(j, AUDIT_START, 0);
	assert_int_equal(db_open(d.path, &key, DB_READ_ONLY, true, &reader, &fault), 0);
	rk_secret_free(&key);
	assert_int_equal(db_exec(reader, "BEGIN; SELECT count(*) FROM row", &fault, "t"), 0);
	for (unsigned i = 0; i < 60; i++) {
		assert_int_equal(append_batch(j, i * 200, 200, 500, &fault), 0);
		journal_maintain(j);
	}
	grown = wal_size(&d);
	assert_true(grown > 6 << 20);
	assert_int_equal(db_exec(reader, "COMMIT", &fault, "t"), 0);
	db_close(reader);
	for (unsigned i = 0; i < 80; i++) {
		assert_int_equal(append_batch(j, i * 200, 200, 500, &fault), 0);
		journal_maintain(j);
	}
	/* a little more until the next attempt, then it starts again at its beginning */
	assert_true(wal_size(&d) < grown + (3 << 20));
	journal_head(j, &head);
	journal_close(j);
	assert_int_equal(verify(&d, &head).ok, 1);
	fixture_remove(&d);
}

/* ---- a full disk ---- */

static void limit_file_size(rlim_t bytes)
{
	struct rlimit lim;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &lim), 0);
	lim.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &lim), 0);
}

static void test_a_full_disk_refuses_batches_and_needs_no_restart(void **state)
{
	struct store_dir d = fixture_dir("journal.db");
	struct journal *j = open_journal(&d, true);
	struct journal_head before, after;
	struct journal_entry e = {0};
	struct audit_row row = numbered(AUDIT_REQUEST, 1);
	struct rk_fault fault;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(append_batch(j, 1, 100, 100, &fault), 0);
	journal_head(j, &before);
	limit_file_size(8192);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(append_batch(j, 200, 100, 100, &fault), RK_E_FULL);
		assert_int_equal(append_row(j, &row, &e, &fault), RK_E_FULL);
		assert_int_equal(e.seq, 0);
		journal_maintain(j);
		journal_head(j, &after);
		assert_memory_equal(&before, &after, sizeof before);
	}
	assert_non_null(strstr(fault.text, "journal"));
	limit_file_size(RLIM_INFINITY);
	assert_int_equal(append_row(j, &row, &e, &fault), 0);
	assert_int_equal(e.seq, before.seq + 1);
	assert_int_equal(append_batch(j, 300, 100, 100, &fault), 0);
	journal_head(j, &after);
	journal_close(j);
	assert_int_equal(verify(&d, &after).ok, 1);
	assert_int_equal(verify(&d, &after).rows, before.rows + 101);
	fixture_remove(&d);
}

static void test_a_disk_that_fills_within_a_batch_keeps_none_of_it(void **state)
{
	struct store_dir d = fixture_dir("journal.db");
	struct journal *j;
	struct journal_head head;
	struct rk_fault fault;
	rlim_t room = 64 << 10;
	unsigned refused = 0;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	/* the WAL itself cannot be preallocated here, nor the database grow */
	limit_file_size(room);
	j = open_journal(&d, true);
	for (unsigned i = 0; i < 60; i++) {
		int err = append_batch(j, i * 10, 10, 500, &fault);

		assert_true(err == 0 || err == RK_E_FULL);
		if (err) {
			refused++;
			room += 16 << 10;
			limit_file_size(room);
		}
		journal_maintain(j);
	}
	limit_file_size(RLIM_INFINITY);
	assert_true(refused > 3);
	journal_head(j, &head);
	assert_int_equal(head.seq, (60 - refused) * 10);
	journal_close(j);
	assert_int_equal(verify(&d, &head).ok, 1);
	assert_int_equal(verify(&d, NULL).rows, (60 - refused) * 10);
	fixture_remove(&d);
}

/* ---- what a crash left open ---- */

struct seen {
	uint32_t id[16];
	unsigned count;
	int answer;
};

static int note(const struct audit_row *row, void *arg)
{
	struct seen *s = arg;

	assert_int_equal(row->type, AUDIT_REQUEST);
	assert_true(s->count < 16);
	memcpy(&s->id[s->count++], row->request_id, sizeof s->id[0]);
	return s->answer;
}

static void append_denied(struct journal *j, uint32_t id)
{
	struct audit_row row = numbered(AUDIT_REQUEST, id);
	struct journal_entry e = {0};
	struct rk_fault fault;

	row.decision = DECISION_DENIED;
	assert_int_equal(append_row(j, &row, &e, &fault), 0);
}

static void test_requests_without_a_response_are_found_oldest_first(void **state)
{
	struct store_dir d = fixture_dir("journal.db");
	struct journal *j = open_journal(&d, true);
	struct seen seen = {0};
	struct rk_fault fault;

	(void)state;
	must_append(j, AUDIT_REQUEST, 90); /* of an earlier life: before START */
	must_append(j, AUDIT_START, 0);
	must_append(j, AUDIT_REQUEST, 1);
	must_append(j, AUDIT_REQUEST, 2);
	append_denied(j, 3);
	must_append(j, AUDIT_RESPONSE, 1);
	must_append(j, AUDIT_REQUEST, 4);
	must_append(j, AUDIT_MANAGE, 0);
	journal_close(j);
	j = open_journal(&d, false);
	assert_int_equal(journal_each_open(j, note, &seen, &fault), 0);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.id[0], 2);
	assert_int_equal(seen.id[1], 4);
	must_append(j, AUDIT_RESPONSE, 2);
	must_append(j, AUDIT_RESPONSE, 4);
	seen.count = 0;
	assert_int_equal(journal_each_open(j, note, &seen, &fault), 0);
	assert_int_equal(seen.count, 0);
	journal_close(j);
	fixture_remove(&d);
}

static void test_thousands_of_open_requests_are_found(void **state)
{
	struct store_dir d = fixture_dir("journal.db");
	struct journal *j = open_journal(&d, true);
	struct rk_fault fault;
	struct seen seen = {0};

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(append_batch(j, i * 200, 200, 400, &fault), 0);
	for (unsigned i = 0; i < 2000; i++) {
		if (i != 1234)
			must_append(j, AUDIT_RESPONSE, i);
	}
	assert_int_equal(journal_each_open(j, note, &seen, &fault), 0);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.id[0], 1234);
	journal_close(j);
	fixture_remove(&d);
}

static void test_the_callbacks_error_ends_the_search(void **state)
{
	struct store_dir d = fixture_dir("journal.db");
	struct journal *j = open_journal(&d, true);
	struct seen seen = {.answer = RK_E_STATE};
	struct rk_fault fault;

	(void)state;
	must_append(j, AUDIT_REQUEST, 1);
	must_append(j, AUDIT_REQUEST, 2);
	assert_int_equal(journal_each_open(j, note, &seen, &fault), RK_E_STATE);
	assert_int_equal(seen.count, 1);
	journal_close(j);
	fixture_remove(&d);
}

static void test_a_tail_that_does_not_decode_is_corrupt(void **state)
{
	struct store_dir d = fixture_dir("journal.db");
	struct journal *j = open_journal(&d, true);
	struct journal_entry e = {.body = rk_slice("\1\0", 2)};
	struct seen seen = {0};
	struct rk_fault fault;

	(void)state;
	assert_int_equal(journal_append(j, &e, 1, &fault), 0);
	assert_int_equal(journal_each_open(j, note, &seen, &fault), RK_E_CORRUPT);
	journal_close(j);
	fixture_remove(&d);
}

static void test_a_tail_of_a_newer_version_is_told_from_a_corrupt_one(void **state)
{
	struct store_dir d = fixture_dir("journal.db");
	struct journal *j = open_journal(&d, true);
	struct journal_entry e = {.body = rk_slice("\1\2\xff\1", 4)};
	struct seen seen = {0};
	struct rk_fault fault;

	(void)state;
	assert_int_equal(journal_append(j, &e, 1, &fault), 0);
	assert_int_equal(journal_each_open(j, note, &seen, &fault), RK_E_UNSUPPORTED);
	assert_string_equal(fault.text, "audit row 1 was written by a newer version");
	journal_close(j);
	fixture_remove(&d);
}

/* ---- kill -9 ---- */

/* Appends for ever and tells each durable head; never returns. */
static void append_until_killed(const struct store_dir *d, int report)
{
	struct journal *j = open_journal(d, false);
	struct journal_head head;
	struct rk_fault fault;

	for (uint32_t i = 0;; i++) {
		size_t n = 1 + i % BATCH;

		if (append_batch(j, i, n, (i * 37) % 500, &fault) != 0)
			_exit(1);
		journal_head(j, &head);
		if (write(report, &head, sizeof head) != sizeof head)
			_exit(2);
		journal_maintain(j);
	}
}

static void kill_one(const struct store_dir *d, struct journal_head *head, unsigned delay_us)
{
	struct journal_head seen;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		append_until_killed(d, fds[1]);
	}
	close(fds[1]);
	/* the first report says that it runs; then some time more, reports waiting in the pipe
	 */
	assert_int_equal(read(fds[0], &seen, sizeof seen), sizeof seen);
	usleep(delay_us);
	kill(pid, SIGKILL);
	do
		*head = seen;
	while (read(fds[0], &seen, sizeof seen) == sizeof seen);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static void test_kill_9_loses_no_row_that_was_reported_durable(void **state)
{
	struct store_dir d = fixture_dir("journal.db");
	struct journal_head reported, found;
	unsigned seed = (unsigned)rk_mono_us();

	(void)state;
	journal_close(open_journal(&d, true));
	for (unsigned i = 0; i < KILLS; i++) {
		struct msg_audit_verified v;
		struct journal *j;

		seed = seed * 1103515245u + 12345u;
		kill_one(&d, &reported, (seed >> 8) % 60000);
		/* the reported head is in the chain with its hash, and at most one batch more
		 */
		v = verify(&d, &reported);
		if (!v.ok)
			fail_msg("broken at %llu", (unsigned long long)v.bad_seq);
		assert_in_range(v.rows, reported.seq, reported.seq + BATCH);
		j = open_journal(&d, false);
		journal_head(j, &found);
		assert_int_equal(found.seq, v.last_seq);
		journal_close(j);
	}
	fixture_remove(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_new_journal_is_empty),
	    cmocka_unit_test(test_a_batch_gets_numbers_and_hashes_in_order),
	    cmocka_unit_test(test_the_chain_goes_on_after_reopening),
	    cmocka_unit_test(test_a_missing_journal_is_not_made_behind_ones_back),
	    cmocka_unit_test(test_a_row_of_no_or_too_many_bytes_is_refused_alone),
	    cmocka_unit_test(test_a_head_that_does_not_belong_to_its_row_stops_the_opening),
	    cmocka_unit_test(test_the_wal_keeps_its_size_over_many_checkpoints),
	    cmocka_unit_test(test_a_reader_in_the_way_delays_the_checkpoint_and_nothing_else),
	    cmocka_unit_test(test_a_full_disk_refuses_batches_and_needs_no_restart),
	    cmocka_unit_test(test_a_disk_that_fills_within_a_batch_keeps_none_of_it),
	    cmocka_unit_test(test_requests_without_a_response_are_found_oldest_first),
	    cmocka_unit_test(test_thousands_of_open_requests_are_found),
	    cmocka_unit_test(test_the_callbacks_error_ends_the_search),
	    cmocka_unit_test(test_a_tail_that_does_not_decode_is_corrupt),
	    cmocka_unit_test(test_a_tail_of_a_newer_version_is_told_from_a_corrupt_one),
	    cmocka_unit_test(test_kill_9_loses_no_row_that_was_reported_durable),
	};

	return cmocka_run_group_tests(tests, fixture_arena, NULL);
}

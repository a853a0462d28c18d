/*
 * Opening encrypted databases, telling apart what is wrong with them, and migrations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/lib/store_fixture.h"

enum { APP = 0x524b5431, OTHER_APP = 0x524b5432 };

static const struct db_migration steps[] = {
    {"CREATE TABLE a(x INTEGER)"},
    {"ALTER TABLE a ADD COLUMN y INTEGER; INSERT INTO a VALUES (7, 8)"},
};

static sqlite3 *must_open(const struct store_dir *d, enum db_mode mode)
{
	struct rk_secret key = fixture_key('k');
	struct rk_fault fault = {0};
	sqlite3 *db = NULL;
	int err = db_open(d->path, &key, mode, true, &db, &fault);

	rk_secret_free(&key);
	if (err)
		fail_msg("%d: %s", err, fault.text);
	return db;
}

/* A database with both steps applied, closed again. */
static struct store_dir made(void)
{
	struct store_dir d = fixture_dir("x.db");
	struct rk_fault fault;
	sqlite3 *db = must_open(&d, DB_READ_WRITE_CREATE);

	assert_int_equal(db_migrate(db, APP, steps, 2, &fault), 0);
	db_close(db);
	return d;
}

static int open_as(const struct store_dir *d, unsigned char fill, enum db_mode mode,
                   struct rk_fault *fault)
{
	struct rk_secret key = fixture_key(fill);
	sqlite3 *db = NULL;
	int err = db_open(d->path, &key, mode, true, &db, fault);

	rk_secret_free(&key);
	db_close(db);
	return err;
}

static int64_t ask(sqlite3 *db, const char *sql)
{
	int64_t v = -1;
	struct rk_fault fault;

	assert_int_equal(db_query_int(db, sql, &v, &fault), 0);
	return v;
}

static void test_what_was_written_is_there_after_reopening(void **state)
{
	struct store_dir d = made();
	sqlite3 *db = must_open(&d, DB_READ_ONLY);

	(void)state;
	assert_int_equal(ask(db, "SELECT y FROM a WHERE x = 7"), 8);
	assert_int_equal(ask(db, "PRAGMA user_version"), 2);
	assert_int_equal(ask(db, "PRAGMA page_size"), 4096);
	db_close(db);
	fixture_remove(&d);
}

static void test_nothing_of_the_file_is_in_the_clear(void **state)
{
	struct store_dir d = fixture_dir("x.db");
	sqlite3 *db = must_open(&d, DB_READ_WRITE_CREATE);
	struct rk_fault fault;
	struct rk_buf main_file, wal;
	char wal_path[128];

	(void)state;
	assert_int_equal(
	    db_exec(db, "CREATE TABLE t(x); INSERT INTO t VALUES('findme-here')", &fault, "t"),
	    0);
	snprintf(wal_path, sizeof wal_path, "%s-wal", d.path);
	wal = fixture_read(wal_path);
	assert_true(wal.len > 4096);
	assert_null(memmem(rk_buf_data(&wal), wal.len, "findme-here", 11));
	db_close(db);
	main_file = fixture_read(d.path);
	assert_true(main_file.len >= 8192);
	assert_null(memmem(rk_buf_data(&main_file), main_file.len, "findme-here", 11));
	assert_memory_not_equal(rk_buf_data(&main_file), "SQLite format 3", 16);
	rk_buf_free(&main_file);
	rk_buf_free(&wal);
	fixture_remove(&d);
}

static void test_new_files_are_private_whatever_the_umask(void **state)
{
	struct store_dir d = fixture_dir("x.db");
	mode_t before = umask(0);
	sqlite3 *db = must_open(&d, DB_READ_WRITE_CREATE);
	struct rk_fault fault;
	struct stat st;
	char wal[128];

	(void)state;
	assert_int_equal(db_migrate(db, APP, steps, 2, &fault), 0);
	assert_int_equal(stat(d.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	snprintf(wal, sizeof wal, "%s-wal", d.path);
	assert_int_equal(stat(wal, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	db_close(db);
	umask(0777);
	remove(d.path);
	db = must_open(&d, DB_READ_WRITE_CREATE);
	assert_int_equal(stat(d.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	db_close(db);
	umask(before);
	fixture_remove(&d);
}

static void test_another_key_is_refused_and_says_so(void **state)
{
	struct store_dir d = made();
	struct rk_fault fault;

	(void)state;
	assert_int_equal(open_as(&d, 'w', DB_READ_WRITE, &fault), RK_E_CORRUPT);
	assert_non_null(strstr(fault.text, "does not open with its key"));
	assert_int_equal(open_as(&d, 'w', DB_READ_WRITE_CREATE, &fault), RK_E_CORRUPT);
	assert_int_equal(open_as(&d, 'k', DB_READ_WRITE, &fault), 0);
	fixture_remove(&d);
}

static void test_a_key_of_another_length_is_refused(void **state)
{
	struct store_dir d = made();
	struct rk_secret key = fixture_key('k');
	struct rk_fault fault;
	sqlite3 *db = NULL;

	(void)state;
	key.len = 31;
	assert_int_equal(db_open(d.path, &key, DB_READ_WRITE, true, &db, &fault), RK_E_INVALID);
	assert_null(db);
	rk_secret_free(&key);
	fixture_remove(&d);
}

static void test_a_plain_sqlite_file_is_refused_and_named(void **state)
{
	struct store_dir d = fixture_dir("plain.db");
	struct rk_fault fault;
	sqlite3 *db = NULL;

	(void)state;
	assert_int_equal(sqlite3_open(d.path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE t(x)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(open_as(&d, 'k', DB_READ_WRITE, &fault), RK_E_CORRUPT);
	assert_non_null(strstr(fault.text, "unencrypted SQLite"));
	fixture_remove(&d);
}

static void test_a_file_of_noise_is_refused_and_left_alone(void **state)
{
	struct store_dir d = fixture_dir("noise.db");
	static unsigned char noise[3 * 4096], after[sizeof noise];
	struct rk_fault fault;
	struct rk_buf now;

	(void)state;
	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (unsigned char)(i * 2654435761u >> 13);
	memcpy(after, noise, sizeof noise);
	fixture_write(d.path, noise, sizeof noise);
	assert_int_equal(open_as(&d, 'k', DB_READ_WRITE_CREATE, &fault), RK_E_CORRUPT);
	assert_non_null(strstr(fault.text, "no database"));
	now = fixture_read(d.path);
	assert_int_equal(now.len, sizeof noise);
	assert_memory_equal(rk_buf_data(&now), after, sizeof noise);
	rk_buf_free(&now);
	fixture_remove(&d);
}

static void test_truncated_and_empty_files_are_refused(void **state)
{
	struct store_dir d = made();
	struct rk_fault fault;
	struct stat st;

	(void)state;
	assert_int_equal(stat(d.path, &st), 0);
	assert_int_equal(truncate(d.path, st.st_size - 4096), 0);
	assert_int_equal(open_as(&d, 'k', DB_READ_WRITE, &fault), RK_E_CORRUPT);
	assert_int_equal(truncate(d.path, 100), 0);
	assert_int_equal(open_as(&d, 'k', DB_READ_WRITE, &fault), RK_E_CORRUPT);
	assert_non_null(strstr(fault.text, "truncated"));
	assert_int_equal(truncate(d.path, 0), 0);
	assert_int_equal(open_as(&d, 'k', DB_READ_WRITE, &fault), RK_E_CORRUPT);
	assert_non_null(strstr(fault.text, "empty"));
	assert_int_equal(open_as(&d, 'k', DB_READ_ONLY, &fault), RK_E_CORRUPT);
	/* what a set-up that died left behind may be taken up again */
	assert_int_equal(open_as(&d, 'k', DB_READ_WRITE_CREATE, &fault), 0);
	fixture_remove(&d);
}

static void test_a_missing_file_is_made_only_when_asked(void **state)
{
	struct store_dir d = fixture_dir("x.db");
	struct rk_fault fault;

	(void)state;
	assert_int_equal(open_as(&d, 'k', DB_READ_WRITE, &fault), RK_E_NOTFOUND);
	assert_int_equal(open_as(&d, 'k', DB_READ_ONLY, &fault), RK_E_NOTFOUND);
	assert_int_equal(access(d.path, F_OK), -1);
	assert_int_equal(open_as(&d, 'k', DB_READ_WRITE_CREATE, &fault), 0);
	fixture_remove(&d);
}

static void test_a_directory_in_place_of_the_file_is_no_corruption(void **state)
{
	struct store_dir d = fixture_dir("x.db");
	struct rk_fault fault;

	(void)state;
	assert_int_equal(mkdir(d.path, 0700), 0);
	assert_int_equal(open_as(&d, 'k', DB_READ_WRITE, &fault), RK_E_INVALID);
	fixture_remove(&d);
}

static void test_a_read_only_connection_writes_nothing(void **state)
{
	struct store_dir d = made();
	sqlite3 *db = must_open(&d, DB_READ_ONLY);
	struct rk_fault fault;

	(void)state;
	assert_int_equal(db_exec(db, "INSERT INTO a VALUES (1, 2)", &fault, "t"), RK_E_STORE);
	db_close(db);
	db = must_open(&d, DB_READ_WRITE);
	assert_int_equal(db_exec(db, "INSERT INTO a VALUES (1, 2)", &fault, "t"), 0);
	db_close(db);
	fixture_remove(&d);
}

static void test_a_newer_schema_is_refused_unchanged(void **state)
{
	struct store_dir d = made();
	sqlite3 *db = must_open(&d, DB_READ_WRITE);
	struct rk_fault fault;

	(void)state;
	assert_int_equal(db_migrate(db, APP, steps, 1, &fault), RK_E_UNSUPPORTED);
	assert_non_null(strstr(fault.text, "newer RelayKey"));
	assert_int_equal(ask(db, "PRAGMA user_version"), 2);
	assert_int_equal(ask(db, "SELECT count(*) FROM a"), 1);
	assert_int_equal(db_migrate(db, APP, steps, 2, &fault), 0);
	db_close(db);
	fixture_remove(&d);
}

static void test_an_old_schema_gets_the_missing_steps_only(void **state)
{
	struct store_dir d = fixture_dir("x.db");
	sqlite3 *db = must_open(&d, DB_READ_WRITE_CREATE);
	struct rk_fault fault;

	(void)state;
	assert_int_equal(db_migrate(db, APP, steps, 1, &fault), 0);
	assert_int_equal(ask(db, "PRAGMA user_version"), 1);
	assert_int_equal(db_migrate(db, APP, steps, 2, &fault), 0);
	assert_int_equal(db_migrate(db, APP, steps, 2, &fault), 0);
	assert_int_equal(ask(db, "PRAGMA user_version"), 2);
	assert_int_equal(ask(db, "SELECT count(*) FROM a"), 1);
	db_close(db);
	fixture_remove(&d);
}

static void test_a_failed_migration_leaves_the_old_version(void **state)
{
	static const struct db_migration broken[] = {
	    {"CREATE TABLE a(x INTEGER)"},
	    {"CREATE TABLE b(x); INSERT INTO a VALUES (1); INSERT INTO nowhere VALUES (1)"},
	};
	struct store_dir d = fixture_dir("x.db");
	sqlite3 *db = must_open(&d, DB_READ_WRITE_CREATE);
	struct rk_fault fault;

	(void)state;
	assert_int_equal(db_migrate(db, APP, broken, 2, &fault), RK_E_STORE);
	assert_non_null(strstr(fault.text, "schema version 2"));
	assert_int_equal(ask(db, "PRAGMA user_version"), 1);
	assert_int_equal(ask(db, "SELECT count(*) FROM sqlite_master"), 1);
	assert_int_equal(ask(db, "SELECT count(*) FROM a"), 0);
	/* and the connection is not stuck in a transaction: the right step still works */
	assert_int_equal(db_migrate(db, APP, steps, 2, &fault), 0);
	db_close(db);
	fixture_remove(&d);
}

static void test_the_other_store_is_refused_unchanged(void **state)
{
	struct store_dir d = made();
	sqlite3 *db = must_open(&d, DB_READ_WRITE);
	struct rk_fault fault;

	(void)state;
	assert_int_equal(db_migrate(db, OTHER_APP, steps, 2, &fault), RK_E_CORRUPT);
	assert_int_equal(db_check_schema(db, OTHER_APP, 2, &fault), RK_E_CORRUPT);
	assert_int_equal(db_check_schema(db, APP, 1, &fault), RK_E_UNSUPPORTED);
	assert_int_equal(db_check_schema(db, APP, 2, &fault), 0);
	assert_int_equal(ask(db, "PRAGMA application_id"), APP);
	db_close(db);
	fixture_remove(&d);
}

static void test_no_secret_memory_stays_in_use(void **state)
{
	struct store_dir d = made();
	struct rk_fault fault;

	(void)state;
	assert_int_equal(open_as(&d, 'w', DB_READ_ONLY, &fault), RK_E_CORRUPT);
	assert_int_equal(open_as(&d, 'k', DB_READ_ONLY, &fault), 0);
	assert_int_equal(secret_arena_in_use(), 0);
	fixture_remove(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_was_written_is_there_after_reopening),
	    cmocka_unit_test(test_nothing_of_the_file_is_in_the_clear),
	    cmocka_unit_test(test_new_files_are_private_whatever_the_umask),
	    cmocka_unit_test(test_another_key_is_refused_and_says_so),
	    cmocka_unit_test(test_a_key_of_another_length_is_refused),
	    cmocka_unit_test(test_a_plain_sqlite_file_is_refused_and_named),
	    cmocka_unit_test(test_a_file_of_noise_is_refused_and_left_alone),
	    cmocka_unit_test(test_truncated_and_empty_files_are_refused),
	    cmocka_unit_test(test_a_missing_file_is_made_only_when_asked),
	    cmocka_unit_test(test_a_directory_in_place_of_the_file_is_no_corruption),
	    cmocka_unit_test(test_a_read_only_connection_writes_nothing),
	    cmocka_unit_test(test_a_newer_schema_is_refused_unchanged),
	    cmocka_unit_test(test_an_old_schema_gets_the_missing_steps_only),
	    cmocka_unit_test(test_a_failed_migration_leaves_the_old_version),
	    cmocka_unit_test(test_the_other_store_is_refused_unchanged),
	    cmocka_unit_test(test_no_secret_memory_stays_in_use),
	};

	return cmocka_run_group_tests(tests, fixture_arena, NULL);
}

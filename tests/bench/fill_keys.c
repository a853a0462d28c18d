/*
 * A policy store with very many relay keys: fill_keys CONFIG COUNT SAMPLE. Opens the store as
 * the keeper does, with the key that the token unwraps, and adds COUNT relay keys that are like
 * the newest one, each with a text, an id and a digest of its own, one holder for 100 of them.
 * Prints SAMPLE of the keys, one a line. For a broker that is stopped.
 *
 * Rows are copied in SQL, in large transactions: the calls of keeper/store.h make each key
 * durable by itself, which a million times is a test of the disk.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/file.h"
#include "keeper/db_stmt.h"
#include "keeper/store_keys.h"
#include "policy/relay_key.h"

#include <openssl/sha.h>

enum { KEYS_A_HOLDER = 100, KEYS_A_COMMIT = 100000, COLUMNS_MAX = 2048, PIN_MAX = 255 };

static void die(const char *doing, const struct rk_fault *fault)
{
	fprintf(stderr, "fill_keys: %s: %s\n", doing, fault->text);
	exit(EXIT_FAILURE);
}

static struct token *open_token(const struct rk_config *c)
{
	const struct token_params params = {
	    .module = c->token_module,
	    .init_args = c->token_init_args[0] ? c->token_init_args : NULL,
	    .token = c->token,
	};
	RK_SECRET_AUTO pin = {0};
	struct rk_fault fault = {""};
	struct token *t = NULL;

	for (unsigned i = 0; i < c->token_env_count; i++)
		putenv(strdup(c->token_env[i]));
	if (file_read_secret(c->token_pin_file, PIN_MAX, true, &pin, &fault) ||
	    token_open(&params, &t, &fault) || token_login(t, &pin, &fault) ||
	    token_kek_load(t, &fault))
		die("token", &fault);
	return t;
}

static sqlite3 *open_store(const struct rk_config *c)
{
	RK_SECRET_AUTO key = {0};
	struct rk_fault fault = {""};
	struct token *t = open_token(c);
	char path[CONFIG_PATH_MAX];
	sqlite3 *db = NULL;

	if (store_key_load(t, c->state_dir, "policy", &key, &fault) ||
	    file_join(c->state_dir, "policy.db", path, sizeof path) ||
	    db_open(path, &key, DB_READ_WRITE, false, &db, &fault) ||
	    db_exec(db, "PRAGMA cache_size = -500000", &fault, "cannot set the cache"))
		die("policy store", &fault);
	token_close(t);
	return db;
}

/* The columns of relay_key that a copy takes over, each behind a comma. */
static void other_columns(sqlite3 *db, char *out, size_t cap)
{
	static const char *const own[] = {"n", "id", "digest", "hint", "holder"};
	struct rk_fault fault = {""};
	sqlite3_stmt *st = NULL;
	size_t used = 0;

	if (db_prepare(db, "PRAGMA table_info(relay_key)", &st, &fault))
		die("columns", &fault);
	while (sqlite3_step(st) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(st, 1);
		bool copied = true;

		for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
			copied = copied && strcmp(name, own[i]) != 0;
		if (copied && used < cap)
			used += (size_t)snprintf(out + used, cap - used, ", %s", name);
	}
	sqlite3_finalize(st);
	if (used >= cap)
		die("columns", &fault);
}

static sqlite3_stmt *prepare_copy(sqlite3 *db)
{
	char others[COLUMNS_MAX], sql[2 * COLUMNS_MAX + 256];
	struct rk_fault fault = {""};
	sqlite3_stmt *st = NULL;
	int64_t newest = 0;

	if (db_query_int(db, "SELECT max(n) FROM relay_key", &newest, &fault) || newest == 0)
		die("no relay key to copy", &fault);
	other_columns(db, others, sizeof others);
	snprintf(sql, sizeof sql,
	         "INSERT INTO relay_key(id, digest, hint, holder%s) "
	         "SELECT ?1, ?2, ?3, ?4%s FROM relay_key WHERE n = %lld",
	         others, others, (long long)newest);
	if (db_prepare(db, sql, &st, &fault))
		die("copy", &fault);
	return st;
}

static int64_t add_holder(sqlite3 *db, size_t i)
{
	struct rk_fault fault = {""};
	char name[32];

	snprintf(name, sizeof name, "holder-%zu", i);
	if (db_run(db, "INSERT INTO holder(kind, name) VALUES (?, ?)",
	           DB_VALUES(DB_INT(HOLDER_APP), DB_TEXT(rk_str(name))), NULL, &fault,
	           "holder"))
		die("holder", &fault);
	return sqlite3_last_insert_rowid(db);
}

static void add_key(sqlite3 *db, sqlite3_stmt *copy, int64_t holder, struct rk_secret *text)
{
	char id[4 + RELAY_KEY_ID] = {'k', 'e', 'y', '_'};
	unsigned char digest[SHA256_DIGEST_LENGTH];
	struct rk_fault fault = {""};
	struct relay_key made;

	text->len = relay_key_generate(HOLDER_APP, (char *)text->p, &made);
	SHA256(text->p, text->len, digest);
	memcpy(id + 4, made.id, RELAY_KEY_ID);
	sqlite3_bind_text(copy, 1, id, sizeof id, SQLITE_TRANSIENT);
	sqlite3_bind_blob(copy, 2, digest, sizeof digest, SQLITE_TRANSIENT);
	sqlite3_bind_text(copy, 3, (char *)text->p + text->len - RELAY_KEY_HINT, RELAY_KEY_HINT,
	                  SQLITE_TRANSIENT);
	sqlite3_bind_int64(copy, 4, holder);
	if (sqlite3_step(copy) != SQLITE_DONE) {
		db_error(db, sqlite3_errcode(db), &fault, "cannot add a key");
		die("key", &fault);
	}
	sqlite3_reset(copy);
}

static void fill(sqlite3 *db, size_t count, size_t sample)
{
	sqlite3_stmt *copy = prepare_copy(db);
	RK_SECRET_AUTO text = {0};
	struct rk_fault fault = {""};
	size_t every = sample ? count / sample : 0;
	int64_t holder = 0;
	int err = rk_secret_alloc(&text, RELAY_KEY_MAX);

	if (!err)
		err = db_exec(db, "BEGIN IMMEDIATE", &fault, "begin");
	for (size_t i = 0; i < count && !err; i++) {
		if (i % KEYS_A_HOLDER == 0)
			holder = add_holder(db, i / KEYS_A_HOLDER);
		add_key(db, copy, holder, &text);
		if (every && i % every == 0)
			printf("%.*s\n", (int)text.len, (char *)text.p);
		if (i % KEYS_A_COMMIT == KEYS_A_COMMIT - 1)
			err = db_exec(db, "COMMIT; BEGIN IMMEDIATE", &fault, "commit");
	}
	if (!err)
		err = db_exec(db,
		              "UPDATE setting SET value = value + 1 WHERE name = "
		              "'policy_version'; COMMIT",
		              &fault, "commit");
	sqlite3_finalize(copy);
	if (err)
		die("fill", &fault);
}

int main(int argc, char **argv)
{
	static struct rk_config config;
	struct rk_fault fault = {""};
	sqlite3 *db;

	if (argc != 4) {
		fprintf(stderr, "usage: fill_keys CONFIG COUNT SAMPLE\n");
		return 2;
	}
	if (config_load(argv[1], &config, &fault) ||
	    secret_arena_init(4 * SECRET_MAX_BYTES, SECRET_BACKING_LOCKED, &fault))
		die("start", &fault);
	db = open_store(&config);
	fill(db, strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
	db_close(db);
	return 0;
}

#include "keeper/journal.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "ipc/messages.h"
#include "keeper/audit_rows.h"
#include "keeper/request_map.h"
#include "policy/reason.h"

enum {
	/* the WAL is moved into the database when it has passed this many pages */
	WAL_PAGES = 512,
	/* when a reader was in the way, not again before it has grown by this */
	WAL_PAGES_RETRY = 128,
	WAL_FRAME_BYTES = 4096 + 24,
	WAL_BYTES = (WAL_PAGES + WAL_PAGES_RETRY) * WAL_FRAME_BYTES,
	/* requests that can have been open at once when the broker died */
	OPEN_MAX_REQUESTS = 1 << 22,
};

struct journal {
	sqlite3 *db;
	struct audit_rows *rows;
	struct audit_chain *chain;
	sqlite3_stmt *begin, *insert, *commit, *rollback;
	int wal_pages;        /* after the last commit */
	int checkpoint_pages; /* wal_pages at which to try next */
	bool stale;           /* the last append failed: read the head from the file again */
	pthread_mutex_t lock; /* for head; written by the journal's thread only */
	struct journal_head head;
};

static int step(struct journal *j, sqlite3_stmt *st, struct rk_fault *fault, const char *doing)
{
	int rc = sqlite3_step(st);
	int err = rc == SQLITE_DONE ? 0 : db_error(j->db, rc, fault, doing);

	sqlite3_reset(st);
	return err;
}

/* The last row, and whether its hash follows from it and the row before. */
static int read_head(struct journal *j, struct journal_head *out, struct rk_fault *fault)
{
	struct rk_buf mem, mem_before;
	struct stored_row last, before = {0};
	uint8_t hash[AUDIT_HASH];
	int err;

	rk_buf_init(&mem, AUDIT_MAX_ROW);
	rk_buf_init(&mem_before, AUDIT_MAX_ROW);
	err = audit_rows_last(j->rows, &mem, &last, fault);
	if (err == RK_E_NOTFOUND) {
		*out = (struct journal_head){0};
		err = 0;
		goto out;
	}
	if (!err && last.seq > 1)
		err = audit_rows_get(j->rows, last.seq - 1, &mem_before, &before, fault);
	if (err == RK_E_NOTFOUND)
		err = rk_fail(fault, RK_E_CORRUPT,
		              "the audit journal is broken: row %llu is missing",
		              (unsigned long long)last.seq - 1);
	if (!err && audit_chain_hash(j->chain, before.hash, last.seq, last.body, hash) != 0)
		err = rk_fail(fault, RK_E_CRYPTO, "SHA-256 failed");
	if (!err && memcmp(hash, last.hash, sizeof hash) != 0)
		err = rk_fail(fault, RK_E_CORRUPT,
		              "the audit journal is broken: the hash of its last row, %llu, "
		              "does not belong to it",
		              (unsigned long long)last.seq);
	if (!err) {
		*out = (struct journal_head){.seq = last.seq, .rows = last.seq};
		memcpy(out->hash, last.hash, sizeof out->hash);
	}
out:
	rk_buf_free(&mem);
	rk_buf_free(&mem_before);
	return err;
}

static void publish(struct journal *j, const struct journal_head *head)
{
	pthread_mutex_lock(&j->lock);
	j->head = *head;
	pthread_mutex_unlock(&j->lock);
}

void journal_head(struct journal *j, struct journal_head *out)
{
	pthread_mutex_lock(&j->lock);
	*out = j->head;
	pthread_mutex_unlock(&j->lock);
}

static int count_wal_pages(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct journal *j = arg;

	(void)db;
	(void)name;
	j->wal_pages = pages;
	return SQLITE_OK;
}

/*
 * Writes zeros behind what the WAL holds until it has its lasting size. SQLite takes them for
 * frames that were never written. Only worth an attempt: a WAL that grows is slower, not wrong.
 */
static void preallocate_wal(const char *path)
{
	static const char zeros[64 * 1024];
	char wal[4096];
	struct stat st;
	RK_FD_AUTO fd = -1;
	off_t at;

	if (snprintf(wal, sizeof wal, "%s-wal", path) >= (int)sizeof wal)
		return;
	/* no lock is ever taken on this file, so a second descriptor does no harm here */
	fd = open(wal, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return;
	for (at = st.st_size; at < WAL_BYTES;) {
		size_t want = (size_t)(WAL_BYTES - at);
		ssize_t n = pwrite(fd, zeros, want < sizeof zeros ? want : sizeof zeros, at);

		if (n <= 0)
			break;
		at += n;
	}
	if (at > st.st_size)
		fdatasync(fd);
}

static int prepare(struct journal *j, struct rk_fault *fault)
{
	int err = db_prepare(j->db, "BEGIN IMMEDIATE", &j->begin, fault);

	if (!err)
		err = db_prepare(j->db, "INSERT INTO row(seq, body, hash) VALUES (?, ?, ?)",
		                 &j->insert, fault);
	if (!err)
		err = db_prepare(j->db, "COMMIT", &j->commit, fault);
	if (!err)
		err = db_prepare(j->db, "ROLLBACK", &j->rollback, fault);
	if (err)
		return err;
	/* replaces the automatic checkpoint too */
	sqlite3_wal_hook(j->db, count_wal_pages, j);
	return 0;
}

int journal_open(const char *path, const struct rk_secret *key, bool sync_full, bool create,
                 struct journal **out, struct rk_fault *fault)
{
	struct journal *j = calloc(1, sizeof *j);
	int err;

	if (!j)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	pthread_mutex_init(&j->lock, NULL);
	j->checkpoint_pages = WAL_PAGES;
	err = db_open(path, key, create ? DB_READ_WRITE_CREATE : DB_READ_WRITE, sync_full,
	              &j->db, fault);
	if (!err)
		err = db_migrate(j->db, JOURNAL_APPLICATION_ID, journal_migrations,
		                 journal_schema_version, fault);
	if (!err)
		err = prepare(j, fault);
	if (!err)
		err = audit_rows_new(j->db, &j->rows, fault);
	if (!err && audit_chain_new(&j->chain) != 0)
		err = rk_fail(fault, RK_E_CRYPTO, "SHA-256 is not available");
	if (!err)
		err = read_head(j, &j->head, fault);
	if (err) {
		journal_close(j);
		return err;
	}
	preallocate_wal(path);
	*out = j;
	return 0;
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	sqlite3_finalize(j->begin);
	sqlite3_finalize(j->insert);
	sqlite3_finalize(j->commit);
	sqlite3_finalize(j->rollback);
	audit_rows_free(j->rows);
	audit_chain_free(j->chain);
	db_close(j->db);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

/* After a failure the file is asked where the chain stands; it may only ever have grown. */
static int refresh_head(struct journal *j, struct journal_head *head, struct rk_fault *fault)
{
	struct journal_head found;
	int err = read_head(j, &found, fault);

	if (!err && found.seq < head->seq)
		err = rk_fail(fault, RK_E_CORRUPT,
		              "the audit journal lost rows: it ended at %llu, now at %llu",
		              (unsigned long long)head->seq, (unsigned long long)found.seq);
	if (!err)
		*head = found;
	return err;
}

static int insert(struct journal *j, struct journal_head *head, struct journal_entry *e,
                  struct rk_fault *fault)
{
	uint64_t seq = head->seq + 1;

	if (audit_chain_hash(j->chain, head->hash, seq, e->body, e->hash) != 0)
		return rk_fail(fault, RK_E_CRYPTO, "SHA-256 failed");
	sqlite3_bind_int64(j->insert, 1, (int64_t)seq);
	sqlite3_bind_blob(j->insert, 2, e->body.p, (int)e->body.n, SQLITE_STATIC);
	sqlite3_bind_blob(j->insert, 3, e->hash, sizeof e->hash, SQLITE_STATIC);
	e->seq = seq;
	head->seq = seq;
	head->rows++;
	memcpy(head->hash, e->hash, sizeof head->hash);
	return step(j, j->insert, fault, "cannot write to the audit journal");
}

int journal_append(struct journal *j, struct journal_entry *entries, size_t count,
                   struct rk_fault *fault)
{
	struct journal_head head = j->head;
	int err;

	if (count == 0)
		return 0;
	for (size_t i = 0; i < count; i++) {
		if (entries[i].body.n == 0 || entries[i].body.n > AUDIT_MAX_ROW)
			return rk_fail(fault, RK_E_TOOBIG, "an audit row of %zu bytes",
			               entries[i].body.n);
	}
	err = step(j, j->begin, fault, "cannot write to the audit journal");
	if (!err && j->stale)
		err = refresh_head(j, &head, fault);
	for (size_t i = 0; i < count && !err; i++)
		err = insert(j, &head, &entries[i], fault);
	if (!err)
		err = step(j, j->commit, fault, "cannot commit to the audit journal");
	sqlite3_clear_bindings(j->insert);
	if (err) {
		if (!sqlite3_get_autocommit(j->db))
			(void)step(j, j->rollback, NULL, "cannot roll back");
		for (size_t i = 0; i < count; i++)
			entries[i].seq = 0;
		j->stale = true;
		return err;
	}
	j->stale = false;
	publish(j, &head);
	return 0;
}

void journal_maintain(struct journal *j)
{
	int log = 0, moved = 0;
	int rc;

	if (j->wal_pages < j->checkpoint_pages)
		return;
	/* PASSIVE waits for nobody; when it has moved everything, the next commit starts the
	 * WAL at its beginning again */
	rc = sqlite3_wal_checkpoint_v2(j->db, "main", SQLITE_CHECKPOINT_PASSIVE, &log, &moved);
	if (rc == SQLITE_OK && moved == log) {
		j->wal_pages = 0;
		j->checkpoint_pages = WAL_PAGES;
	} else {
		j->checkpoint_pages = j->wal_pages + WAL_PAGES_RETRY;
	}
}

/* Requests whose end is not in the journal, newest first. */
struct open_list {
	uint64_t *seqs;
	size_t count, cap;
};

static int open_push(struct open_list *l, uint64_t seq)
{
	if (l->count == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		uint64_t *seqs = realloc(l->seqs, cap * sizeof *seqs);

		if (!seqs)
			return RK_E_NOMEM;
		l->seqs = seqs;
		l->cap = cap;
	}
	l->seqs[l->count++] = seq;
	return 0;
}

/* One row further back; > 0 when it is the START row that ends the search. */
static int look_back(const struct stored_row *stored, struct request_map *ended,
                     struct open_list *open, struct rk_fault *fault)
{
	struct audit_row row;
	uint64_t response;
	int err = stored_row_unpack(stored, &row, fault);

	if (err)
		return err;
	if (row.type == AUDIT_START)
		return 1;
	if (row.type == AUDIT_RESPONSE)
		err = request_map_put(ended, row.request_id, stored->seq);
	else if (row.type == AUDIT_REQUEST && row.decision == DECISION_ALLOWED &&
	         !request_map_take(ended, row.request_id, &response))
		err = open_push(open, stored->seq);
	return err ? rk_fail(fault, err, "out of memory") : 0;
}

static int find_open(struct journal *j, struct open_list *open, struct rk_fault *fault)
{
	const struct stored_row *rows;
	struct request_map *ended = NULL;
	uint64_t before = j->head.seq + 1;
	size_t n = 1;
	int err = request_map_new(OPEN_MAX_REQUESTS, &ended);

	if (err)
		return rk_fail(fault, err, "out of memory");
	while (!err && n > 0) {
		err = audit_rows_before(j->rows, before, &rows, &n, fault);
		for (size_t i = 0; i < n && !err; i++) {
			err = look_back(&rows[i], ended, open, fault);
			before = rows[i].seq;
		}
	}
	request_map_free(ended);
	return err < 0 ? err : 0;
}

int journal_each_open(struct journal *j, int (*open)(const struct audit_row *row, void *arg),
                      void *arg, struct rk_fault *fault)
{
	struct open_list list = {0};
	struct rk_buf mem;
	int err = find_open(j, &list, fault);

	rk_buf_init(&mem, AUDIT_MAX_ROW);
	while (!err && list.count > 0) {
		struct stored_row stored;
		struct audit_row row;

		err = audit_rows_get(j->rows, list.seqs[--list.count], &mem, &stored, fault);
		if (!err)
			err = stored_row_unpack(&stored, &row, fault);
		if (!err)
			err = open(&row, arg);
	}
	rk_buf_free(&mem);
	free(list.seqs);
	return err;
}

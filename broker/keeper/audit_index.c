#include "keeper/audit_index_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base62.h"
#include "keeper/db_stmt.h"
#include "policy/reason.h"

enum {
	OPEN_MAX_REQUESTS = 100000,
};

static const struct db_migration search_migrations[] = {
    {"CREATE TABLE state("
     "one INTEGER PRIMARY KEY CHECK(one = 1), "
     "version INTEGER NOT NULL, "
     "bits INTEGER NOT NULL, "
     "salt BLOB NOT NULL, "
     "upto INTEGER NOT NULL, "
     "hash BLOB NOT NULL);"
     "CREATE TABLE chunk("
     "n INTEGER PRIMARY KEY, "
     "min_ms INTEGER NOT NULL, "
     "max_ms INTEGER NOT NULL, "
     "blocks BLOB NOT NULL);"
     "CREATE TABLE posting(id INTEGER PRIMARY KEY, rows BLOB NOT NULL);"
     "CREATE TABLE pair(block INTEGER PRIMARY KEY, deltas BLOB NOT NULL);"
     "CREATE TABLE late(request INTEGER PRIMARY KEY, response INTEGER NOT NULL);"
     "CREATE TABLE late_term(term INTEGER NOT NULL, seq INTEGER NOT NULL, "
     "PRIMARY KEY(term, seq)) WITHOUT ROWID;"
     "CREATE TABLE open(request_id BLOB NOT NULL, seq INTEGER NOT NULL)"},
};

/* A row of the slice that is being taken in. */
struct fed_row {
	uint64_t seq;
	int64_t time_ms;
	uint8_t hash[AUDIT_HASH];
	uint8_t request_id[REQUEST_ID];
	bool opens, ends; /* a request that was allowed; a response */
	struct audit_terms terms;
};

int audit_index_new(const char *path, const struct rk_secret *key, unsigned bits,
                    struct audit_index **out)
{
	struct audit_index *ix;

	if (bits < ROW_SET_BITS_MIN || bits > ROW_SET_BITS ||
	    strlen(path) >= sizeof ix->path - 8)
		return RK_E_INVALID;
	ix = calloc(1, sizeof *ix);
	if (!ix)
		return RK_E_NOMEM;
	snprintf(ix->path, sizeof ix->path, "%s", path);
	ix->key = key;
	ix->bits = bits;
	pthread_mutex_init(&ix->lock, NULL);
	pthread_cond_init(&ix->unviewed, NULL);
	ix->fed = calloc(AUDIT_SLICE_ROWS, sizeof *ix->fed);
	ix->mem.delta = calloc((size_t)1 << bits, sizeof *ix->mem.delta);
	if (!ix->fed || !ix->mem.delta ||
	    request_map_new(OPEN_MAX_REQUESTS, &ix->mem.open) != 0) {
		audit_index_free(ix);
		return RK_E_NOMEM;
	}
	*out = ix;
	return 0;
}

/* Locked, or nobody looks. */
static void mem_clear(struct audit_index *ix)
{
	struct index_mem *m = &ix->mem;

	m->log_n = m->pair_n = m->term_n = 0;
	memset(m->delta, 0, sizeof *m->delta << ix->bits);
	for (unsigned i = 0; i < INDEX_BLOCKS; i++)
		m->span[i] = (struct index_span){INT64_MAX, INT64_MIN};
}

static void close_file(struct audit_index *ix)
{
	sqlite3_finalize(ix->put_posting);
	sqlite3_finalize(ix->put_pair);
	ix->put_posting = ix->put_pair = NULL;
	db_close(ix->db);
	ix->db = NULL;
}

void audit_index_free(struct audit_index *ix)
{
	if (!ix)
		return;
	close_file(ix);
	request_map_free(ix->mem.open);
	free(ix->mem.log);
	free(ix->mem.delta);
	free(ix->mem.pair);
	free(ix->mem.term);
	free(ix->fed);
	pthread_cond_destroy(&ix->unviewed);
	pthread_mutex_destroy(&ix->lock);
	free(ix);
}

bool audit_index_is_open(struct audit_index *ix)
{
	bool ready;

	pthread_mutex_lock(&ix->lock);
	ready = ix->ready;
	pthread_mutex_unlock(&ix->lock);
	return ready;
}

uint64_t audit_index_upto(struct audit_index *ix)
{
	uint64_t upto;

	pthread_mutex_lock(&ix->lock);
	upto = ix->ready ? ix->mem.upto : 0;
	pthread_mutex_unlock(&ix->lock);
	return upto;
}

void audit_index_stop(struct audit_index *ix)
{
	atomic_store(&ix->stop, true);
}

void audit_index_pace(struct audit_index *ix, void (*pace)(void *arg), void *arg)
{
	ix->pace = pace;
	ix->pace_arg = arg;
}

void audit_index_distrust(struct audit_index *ix)
{
	pthread_mutex_lock(&ix->lock);
	ix->ready = false;
	pthread_mutex_unlock(&ix->lock);
}

/* ---- the file ---- */

/* What the state row says; `hash` is checked against the journal. */
struct stored_state {
	uint64_t upto;
	uint8_t salt[RK_SIPHASH_KEY], hash[AUDIT_HASH];
};

static int read_state(struct audit_index *ix, struct stored_state *out, struct rk_fault *fault)
{
	sqlite3_stmt *st = NULL;
	int err =
	    db_prepare(ix->db, "SELECT version, bits, salt, upto, hash FROM state", &st, fault);
	int rc;

	if (err)
		return err;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW && sqlite3_column_int(st, 0) == INDEX_VERSION &&
	    sqlite3_column_int(st, 1) == (int)ix->bits &&
	    sqlite3_column_bytes(st, 2) == sizeof out->salt &&
	    sqlite3_column_bytes(st, 4) == sizeof out->hash &&
	    sqlite3_column_int64(st, 3) >= 0) {
		memcpy(out->salt, sqlite3_column_blob(st, 2), sizeof out->salt);
		memcpy(out->hash, sqlite3_column_blob(st, 4), sizeof out->hash);
		out->upto = (uint64_t)sqlite3_column_int64(st, 3);
	} else if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
		err = rk_fail(fault, RK_E_CORRUPT, "the search index is of another version");
	} else {
		err = db_error(ix->db, rc, fault, "cannot read the search index");
	}
	sqlite3_finalize(st);
	return err;
}

/* Whether this journal has the row with which the index ends. */
static int check_journal(const struct stored_state *s, struct audit_rows *journal,
                         struct rk_fault *fault)
{
	struct stored_row row;
	struct rk_buf mem;
	int err;

	if (s->upto == 0)
		return 0;
	rk_buf_init(&mem, AUDIT_MAX_ROW);
	err = audit_rows_get(journal, s->upto, &mem, &row, fault);
	if (err == RK_E_NOTFOUND || (!err && memcmp(row.hash, s->hash, sizeof row.hash) != 0))
		err = rk_fail(fault, RK_E_CORRUPT, "the search index is of another journal");
	rk_buf_free(&mem);
	return err;
}

static int load_open(struct audit_index *ix, struct rk_fault *fault)
{
	sqlite3_stmt *st = NULL;
	int err =
	    db_prepare(ix->db, "SELECT request_id, seq FROM open ORDER BY seq", &st, fault);
	int rc = SQLITE_DONE;

	if (err)
		return err;
	while (!err && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		if (sqlite3_column_bytes(st, 0) != REQUEST_ID)
			err = rk_fail(fault, RK_E_CORRUPT, "the search index is damaged");
		else if (request_map_put(ix->mem.open, sqlite3_column_blob(st, 0),
		                         (uint64_t)sqlite3_column_int64(st, 1)) != 0)
			err = rk_fail(fault, RK_E_NOMEM, "out of memory");
	}
	if (!err && rc != SQLITE_DONE)
		err = db_error(ix->db, rc, fault, "cannot read the search index");
	sqlite3_finalize(st);
	return err;
}

static int new_state(struct audit_index *ix, struct rk_fault *fault)
{
	uint8_t salt[RK_SIPHASH_KEY], none[AUDIT_HASH] = {0};

	rk_random(salt, sizeof salt);
	return db_run(
	    ix->db,
	    "INSERT INTO state(one, version, bits, salt, upto, hash) VALUES (1, ?, ?, ?, 0, ?)",
	    DB_VALUES(DB_INT(INDEX_VERSION), DB_INT(ix->bits),
	              DB_BLOB(rk_slice(salt, sizeof salt)),
	              DB_BLOB(rk_slice(none, sizeof none))),
	    NULL, fault, "cannot make the search index");
}

static void begin_at(struct audit_index *ix, const struct stored_state *s)
{
	struct index_mem *m = &ix->mem;

	memcpy(ix->salt, s->salt, sizeof ix->salt);
	m->upto = m->base_upto = s->upto;
	memcpy(m->upto_hash, s->hash, sizeof m->upto_hash);
	m->chunk = s->upto ? (s->upto >> ix->bits) + 1 : 0;
	mem_clear(ix);
}

/* SQLite's own files beside the database, too. */
static void remove_file(const struct audit_index *ix)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	char path[INDEX_PATH_MAX + 8];

	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		snprintf(path, sizeof path, "%s%s", ix->path, ends[i]);
		(void)!unlink(path);
	}
}

static int open_file(struct audit_index *ix, struct audit_rows *journal, bool create,
                     struct rk_fault *fault)
{
	struct stored_state state;
	int err;

	/* NORMAL: in a WAL a power cut may take the last chunks, and nothing else */
	err = db_open(ix->path, ix->key, create ? DB_READ_WRITE_CREATE : DB_READ_WRITE, false,
	              &ix->db, fault);
	if (!err)
		err = db_migrate(ix->db, SEARCH_APPLICATION_ID, search_migrations,
		                 sizeof search_migrations / sizeof search_migrations[0], fault);
	if (!err && create)
		err = new_state(ix, fault);
	if (!err)
		err = read_state(ix, &state, fault);
	if (!err)
		err = check_journal(&state, journal, fault);
	if (!err)
		err = index_flush_prepare(ix, fault);
	if (!err) {
		request_map_free(ix->mem.open);
		ix->mem.open = NULL;
		if (request_map_new(OPEN_MAX_REQUESTS, &ix->mem.open) != 0)
			err = rk_fail(fault, RK_E_NOMEM, "out of memory");
	}
	if (!err)
		err = load_open(ix, fault);
	if (err)
		close_file(ix);
	else
		begin_at(ix, &state);
	return err;
}

int audit_index_open(struct audit_index *ix, struct audit_rows *journal, bool *fresh,
                     struct rk_fault *fault)
{
	struct rk_fault why = {""};
	int err;

	pthread_mutex_lock(&ix->lock);
	ix->ready = false;
	while (ix->views)
		pthread_cond_wait(&ix->unviewed, &ix->lock);
	pthread_mutex_unlock(&ix->lock);
	close_file(ix);
	*fresh = false;
	err = open_file(ix, journal, false, &why);
	if (err == RK_E_CORRUPT || err == RK_E_UNSUPPORTED || err == RK_E_NOTFOUND ||
	    err == RK_E_INVALID) {
		*fresh = true;
		remove_file(ix);
		err = open_file(ix, journal, true, &why);
	}
	if (err)
		return rk_fail(fault, err, "%s", why.text);
	pthread_mutex_lock(&ix->lock);
	ix->ready = true;
	pthread_mutex_unlock(&ix->lock);
	return 0;
}

/* ---- taking rows in ---- */

static int digest(const struct audit_index *ix, const struct stored_row *stored,
                  struct fed_row *out, struct rk_fault *fault)
{
	struct audit_row row;
	int err = stored_row_unpack(stored, &row, fault);

	if (err)
		return err;
	out->seq = stored->seq;
	out->time_ms = row.time_ms;
	memcpy(out->hash, stored->hash, sizeof out->hash);
	memcpy(out->request_id, row.request_id, sizeof out->request_id);
	out->opens = row.type == AUDIT_REQUEST && row.decision == DECISION_ALLOWED;
	out->ends = row.type == AUDIT_RESPONSE;
	if (out->ends)
		audit_terms_of_response(ix->salt, &row, &out->terms);
	else
		audit_terms_of(ix->salt, &row, &out->terms);
	return 0;
}

/* Room for `more` elements of `size` bytes behind n. */
static int make_room(void **at, size_t n, size_t more, size_t size, size_t *cap)
{
	size_t want = *cap ? *cap : 1024;
	void *bigger;

	if (*cap - n >= more)
		return 0;
	while (want < n + more)
		want *= 2;
	bigger = realloc(*at, want * size);
	if (!bigger)
		return RK_E_NOMEM;
	*at = bigger;
	*cap = want;
	return 0;
}

/* For the worst that a slice can bring, so that taking it in cannot fail halfway. */
static int reserve(struct index_mem *m, size_t rows)
{
	void *log = m->log, *pair = m->pair, *term = m->term;
	int err =
	    make_room(&log, m->log_n, rows * AUDIT_TERMS_MAX, sizeof *m->log, &m->log_cap);

	m->log = log;
	if (!err)
		err = make_room(&pair, m->pair_n, rows, sizeof *m->pair, &m->pair_cap);
	m->pair = pair;
	if (!err)
		err = make_room(&term, m->term_n, rows * 2, sizeof *m->term, &m->term_cap);
	m->term = term;
	return err;
}

static void add_term(struct audit_index *ix, uint64_t seq, uint64_t term)
{
	struct index_mem *m = &ix->mem;

	if (seq >> ix->bits == m->chunk)
		m->log[m->log_n++] = term << 16 | index_place(ix, seq);
	else if (m->term_n < m->term_cap)
		m->term[m->term_n++] = (struct late_term){term, seq};
}

/* A request's response: its terms become the request's. */
static void add_response(struct audit_index *ix, const struct fed_row *row)
{
	struct index_mem *m = &ix->mem;
	uint64_t request;

	if (!request_map_take(m->open, row->request_id, &request))
		return;
	if (request >> ix->bits == m->chunk)
		m->delta[index_place(ix, request)] = (uint16_t)(row->seq - request);
	else
		m->pair[m->pair_n++] = (struct late_pair){request, row->seq};
	for (unsigned i = 0; i < row->terms.n; i++)
		add_term(ix, request, row->terms.at[i]);
}

static int add_row(struct audit_index *ix, const struct fed_row *row)
{
	struct index_mem *m = &ix->mem;
	struct index_span *span = &m->span[index_block(ix, index_place(ix, row->seq))];

	if (row->opens && request_map_put(m->open, row->request_id, row->seq) != 0)
		return RK_E_NOMEM;
	if (row->ends) {
		add_response(ix, row);
	} else {
		for (unsigned i = 0; i < row->terms.n; i++)
			add_term(ix, row->seq, row->terms.at[i]);
	}
	if (row->time_ms < span->min_ms)
		span->min_ms = row->time_ms;
	if (row->time_ms > span->max_ms)
		span->max_ms = row->time_ms;
	m->upto = row->seq;
	memcpy(m->upto_hash, row->hash, sizeof m->upto_hash);
	return 0;
}

/* Takes in those of the chunk in memory; *taken is how many. */
static int add_rows(struct audit_index *ix, const struct fed_row *rows, size_t n, size_t *taken)
{
	struct index_mem *m = &ix->mem;
	size_t i = 0;
	int err;

	pthread_mutex_lock(&ix->lock);
	err = reserve(m, n);
	for (; i < n && !err && rows[i].seq >> ix->bits == m->chunk; i++)
		err = add_row(ix, &rows[i]);
	pthread_mutex_unlock(&ix->lock);
	*taken = i;
	return err;
}

/* The chunk in memory goes into the file; the next one is that of `seq`. */
static int turn_over(struct audit_index *ix, uint64_t seq, struct rk_fault *fault)
{
	struct index_mem *m = &ix->mem;
	int err = m->upto > m->base_upto ? index_flush(ix, fault) : 0;

	if (err)
		return err;
	pthread_mutex_lock(&ix->lock);
	m->base_upto = m->upto;
	m->chunk = seq >> ix->bits;
	mem_clear(ix);
	pthread_mutex_unlock(&ix->lock);
	return 0;
}

static int take_in(struct audit_index *ix, const struct fed_row *rows, size_t n,
                   struct rk_fault *fault)
{
	size_t taken;
	int err = 0;

	while (n > 0 && !err) {
		if (rows->seq >> ix->bits != ix->mem.chunk)
			err = turn_over(ix, rows->seq, fault);
		if (!err && add_rows(ix, rows, n, &taken) != 0)
			err = rk_fail(fault, RK_E_NOMEM, "out of memory");
		if (!err) {
			rows += taken;
			n -= taken;
		}
	}
	return err;
}

int audit_index_advance(struct audit_index *ix, struct audit_rows *journal, size_t *n,
                        struct rk_fault *fault)
{
	const struct stored_row *rows;
	size_t got, digested = 0;
	int bad = 0;
	int err = audit_rows_after(journal, ix->mem.upto, &rows, &got, fault);

	if (err)
		return err;
	while (digested < got && !bad) {
		bad = digest(ix, &rows[digested], &ix->fed[digested], fault);
		if (!bad)
			digested++;
	}
	err = take_in(ix, ix->fed, digested, fault);
	if (err == RK_E_CORRUPT)
		audit_index_distrust(ix);
	if (!err)
		*n = digested;
	return err ? err : bad;
}

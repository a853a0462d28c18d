/*
 * The policy store; and that every past schema of both stores still opens. The fixtures under
 * tests/corpus/schema are written by `test_store --write-fixtures DIR` when a schema is new,
 * and never again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>

#include "keeper/audit_read.h"
#include "keeper/audit_rows.h"
#include "keeper/journal.h"
#include "keeper/store.h"
#include "keeper/store_schema.h"
#include "tests/lib/store_fixture.h"

static struct store *must_open(const struct store_dir *d, bool create)
{
	struct rk_secret key = fixture_key('k');
	struct store *s = NULL;
	struct rk_fault fault = {0};

	if (store_open(d->path, &key, create, &s, &fault) != 0)
		fail_msg("%s", fault.text);
	rk_secret_free(&key);
	return s;
}

static struct store_conn conn(const char *id, const char *name)
{
	return (struct store_conn){
	    .id = rk_str(id),
	    .name = rk_str(name),
	    .provider = rk_str("openai"),
	    .base_url = rk_str("https://api.openai.com/v1"),
	    .auth = rk_slice("\6\0\0\0bearer", 10),
	    .flags = 5,
	    .enabled = true,
	    .ca_pem = rk_str("-----BEGIN CERTIFICATE-----\n"),
	    .created_ms = 1000,
	    .updated_ms = 2000,
	    .credential = {.version = 1,
	                   .blob = rk_slice("wrapped\0one", 11),
	                   .hint = rk_str("sk_\u2022\u2022\u2022\u20225f81"),
	                   .created_ms = 1500},
	};
}

static struct store_key relay_key(const char *id, const char *holder)
{
	struct store_key k = {
	    .id = rk_str(id),
	    .hint = {'9', '1', 'k'},
	    .kind = 3,
	    .holder = rk_str(holder),
	    .name = rk_str("night job"),
	    .env = rk_str("staging"),
	    .cidrs = rk_slice("\12\0\0\00010.0.0.0/8", 14),
	    .grants = rk_slice("\5\0\0\0grant", 9),
	    .created_ms = 3000,
	    .expires_ms = 9000,
	};

	memset(k.digest, id[4], sizeof k.digest);
	return k;
}

/* What a load gave: one line each. */
struct loaded {
	char text[2048];
	size_t used;
	uint64_t version;
	int answer;
};

static void line(struct loaded *l, const char *fmt, ...) RK_PRINTF(2, 3);

static void line(struct loaded *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	l->used += (size_t)vsnprintf(l->text + l->used, sizeof l->text - l->used, fmt, ap);
	va_end(ap);
	assert_true(l->used < sizeof l->text);
}

static void see_egress(struct loaded *l, const char *what, const struct store_egress *e)
{
	if (e->version)
		line(l, " %s v%u %.*s/%.*s %lld\n", what, e->version, RK_FMT(e->public),
		     RK_FMT(e->blob), (long long)e->created_ms);
}

static int see_conn(const struct store_conn *c, void *arg)
{
	struct loaded *l = arg;

	assert_true(rk_slice_eq(c->auth, rk_slice("\6\0\0\0bearer", 10)));
	assert_true(rk_slice_is(c->base_url, "https://api.openai.com/v1"));
	assert_true(rk_slice_is(c->ca_pem, "-----BEGIN CERTIFICATE-----\n"));
	assert_int_equal(c->flags, 5);
	line(l, "%.*s %.*s %.*s %s %lld-%lld v%u %zu:%.*s %.*s %lld\n", RK_FMT(c->id),
	     RK_FMT(c->name), RK_FMT(c->provider), c->enabled ? "on" : "off",
	     (long long)c->created_ms, (long long)c->updated_ms, c->credential.version,
	     c->credential.blob.n, RK_FMT(c->credential.blob), RK_FMT(c->credential.hint),
	     (long long)c->credential.created_ms);
	see_egress(l, "identity", &c->identity);
	see_egress(l, "proxy", &c->proxy);
	return l->answer;
}

static int see_key(const struct store_key *k, void *arg)
{
	struct loaded *l = arg;
	uint8_t digest[32];

	memset(digest, k->id.p[4], sizeof digest);
	assert_memory_equal(k->digest, digest, sizeof digest);
	assert_true(rk_slice_eq(k->cidrs, rk_slice("\12\0\0\00010.0.0.0/8", 14)));
	line(l, "%.*s %.3s %u %.*s %.*s %.*s %.*s %lld %lld %lld", RK_FMT(k->id), k->hint,
	     k->kind, RK_FMT(k->holder), RK_FMT(k->name), RK_FMT(k->env),
	     RK_FMT(rk_slice_skip(k->grants, 4)), (long long)k->created_ms,
	     (long long)k->expires_ms, (long long)k->revoked_ms);
	if (rate_limits_any(&k->limits))
		line(l, " %u/min %u/day %u at once", k->limits.per_minute, k->limits.per_day,
		     k->limits.max_concurrent);
	line(l, "\n");
	return l->answer;
}

static struct loaded load(struct store *s)
{
	struct loaded l = {0};
	struct rk_fault fault = {0};

	if (store_load(s, &(struct store_loader){.conn = see_conn, .key = see_key, .arg = &l},
	               &l.version, &fault))
		fail_msg("%s", fault.text);
	return l;
}

static int64_t count(struct store *s, const char *table)
{
	char sql[64];
	struct rk_fault fault;
	int64_t n = -1;

	snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", table);
	assert_int_equal(db_query_int(s->db, sql, &n, &fault), 0);
	return n;
}

static void add_conn(struct store *s, const char *id, const char *name)
{
	struct store_conn c = conn(id, name);
	struct rk_fault fault = {0};

	if (store_conn_add(s, &c, &fault) != 0)
		fail_msg("%s", fault.text);
}

static void add_key(struct store *s, const char *id, const char *holder)
{
	struct store_key k = relay_key(id, holder);
	struct rk_fault fault = {0};

	if (store_key_add(s, &k, &fault) != 0)
		fail_msg("%s", fault.text);
}

#define CONN_A                                                                                 \
	"conn_A openai openai on 1000-2000 v1 11:wrapped sk_\u2022\u2022\u2022\u20225f81 "     \
	"1500\n"
#define KEY_A "key_a 91k 3 acme night job staging grant 3000 9000 0\n"

/* "%.*s" stops at the NUL within the blob, after "wrapped"; its length is shown. */
static void test_what_was_added_is_loaded_after_reopening(void **state)
{
	struct store_dir d = fixture_dir("policy.db");
	struct store *s = must_open(&d, true);
	struct loaded l;

	(void)state;
	add_conn(s, "conn_A", "openai");
	add_key(s, "key_a", "acme");
	store_close(s);
	s = must_open(&d, false);
	l = load(s);
	assert_string_equal(l.text, CONN_A KEY_A);
	assert_int_equal(l.version, 2);
	store_close(s);
	fixture_remove(&d);
}

static void test_a_new_store_is_empty(void **state)
{
	struct store_dir d = fixture_dir("policy.db");
	struct store *s = must_open(&d, true);
	struct loaded l = load(s);

	(void)state;
	assert_string_equal(l.text, "");
	assert_int_equal(l.version, 0);
	store_close(s);
	fixture_remove(&d);
}

static void test_a_taken_name_or_id_is_refused_and_nothing_changes(void **state)
{
	struct store_dir d = fixture_dir("policy.db");
	struct store *s = must_open(&d, true);
	struct store_conn same_id = conn("conn_A", "other"),
	                  same_name = conn("conn_B", "openai");
	struct store_key same_key = relay_key("key_a", "someone");
	struct rk_fault fault;
	struct loaded l;

	(void)state;
	add_conn(s, "conn_A", "openai");
	add_key(s, "key_a", "acme");
	assert_int_equal(store_conn_add(s, &same_id, &fault), RK_E_EXISTS);
	assert_int_equal(store_conn_add(s, &same_name, &fault), RK_E_EXISTS);
	assert_non_null(strstr(fault.text, "openai"));
	assert_int_equal(store_key_add(s, &same_key, &fault), RK_E_EXISTS);
	l = load(s);
	assert_string_equal(l.text, CONN_A KEY_A);
	assert_int_equal(l.version, 2);
	assert_int_equal(count(s, "holder"), 1);
	add_conn(s, "conn_B", "other");
	assert_int_equal(load(s).version, 3);
	store_close(s);
	fixture_remove(&d);
}

static void test_rotation_keeps_the_earlier_versions(void **state)
{
	struct store_dir d = fixture_dir("policy.db");
	struct store *s = must_open(&d, true);
	struct store_credential c = {
	    .version = 2, .blob = rk_str("second"), .hint = rk_str("sk_2"), .created_ms = 5000};
	struct rk_fault fault;
	struct loaded l;

	(void)state;
	add_conn(s, "conn_A", "openai");
	assert_int_equal(store_conn_rotate(s, rk_str("conn_A"), &c, &fault), 0);
	l = load(s);
	assert_string_equal(l.text,
	                    "conn_A openai openai on 1000-5000 v2 6:second sk_2 5000\n");
	assert_int_equal(l.version, 2);
	assert_int_equal(count(s, "credential"), 2);
	/* an old version would never be used: refused */
	assert_int_equal(store_conn_rotate(s, rk_str("conn_A"), &c, &fault), RK_E_EXISTS);
	c.version = 1;
	assert_int_equal(store_conn_rotate(s, rk_str("conn_A"), &c, &fault), RK_E_EXISTS);
	c.version = 3;
	assert_int_equal(store_conn_rotate(s, rk_str("conn_X"), &c, &fault), RK_E_NOTFOUND);
	assert_int_equal(store_conn_rotate(s, rk_str("conn_A"), &c, &fault), 0);
	assert_int_equal(load(s).version, 3);
	store_close(s);
	fixture_remove(&d);
}

static struct store_egress egress(uint32_t version, const char *public, const char *blob)
{
	return (struct store_egress){.version = version,
	                             .public = rk_str(public),
	                             .blob = rk_str(blob),
	                             .created_ms = 6000 + version};
}

static void test_identity_and_proxy_have_versions_of_their_own(void **state)
{
	struct store_dir d = fixture_dir("policy.db");
	struct store *s = must_open(&d, true);
	struct store_conn c = conn("conn_A", "openai");
	struct store_egress e = egress(2, "chain-2", "key-2");
	struct rk_fault fault = {0};

	(void)state;
	c.identity = egress(1, "chain", "key");
	assert_int_equal(store_conn_add(s, &c, &fault), 0);
	add_conn(s, "conn_B", "other");
	assert_string_equal(load(s).text,
	                    CONN_A " identity v1 chain/key 6001\n"
	                           "conn_B other openai on 1000-2000 v1 11:wrapped "
	                           "sk_\u2022\u2022\u2022\u20225f81 1500\n");
	assert_int_equal(store_conn_set_egress(s, rk_str("conn_A"), STORE_IDENTITY, &e, &fault),
	                 0);
	/* a version that is there is refused; one of the other kind is another matter */
	assert_int_equal(store_conn_set_egress(s, rk_str("conn_A"), STORE_IDENTITY, &e, &fault),
	                 RK_E_EXISTS);
	e = egress(1, "http://proxy:1", "");
	assert_int_equal(store_conn_set_egress(s, rk_str("conn_A"), STORE_PROXY, &e, &fault),
	                 0);
	assert_int_equal(store_conn_set_egress(s, rk_str("conn_X"), STORE_PROXY, &e, &fault),
	                 RK_E_NOTFOUND);
	store_close(s);
	s = must_open(&d, false);
	assert_int_equal(load(s).version, 4);
	assert_non_null(strstr(load(s).text, " identity v2 chain-2/key-2 6002\n"
	                                     " proxy v1 http://proxy:1/ 6001\nconn_B"));
	assert_int_equal(count(s, "egress"), 3);
	assert_int_equal(store_conn_remove(s, rk_str("conn_A"), &fault), 0);
	assert_int_equal(count(s, "egress"), 0);
	store_close(s);
	fixture_remove(&d);
}

static void test_a_connection_is_disabled_and_enabled(void **state)
{
	struct store_dir d = fixture_dir("policy.db");
	struct store *s = must_open(&d, true);
	struct rk_fault fault;

	(void)state;
	add_conn(s, "conn_A", "openai");
	assert_int_equal(store_conn_set_enabled(s, rk_str("conn_A"), false, 7000, &fault), 0);
	assert_non_null(strstr(load(s).text, "off 1000-7000"));
	assert_int_equal(store_conn_set_enabled(s, rk_str("conn_A"), true, 8000, &fault), 0);
	assert_non_null(strstr(load(s).text, "on 1000-8000"));
	assert_int_equal(store_conn_set_enabled(s, rk_str("conn_X"), true, 8000, &fault),
	                 RK_E_NOTFOUND);
	assert_int_equal(load(s).version, 3);
	store_close(s);
	fixture_remove(&d);
}

static void test_a_removed_connection_takes_all_its_credentials_along(void **state)
{
	struct store_dir d = fixture_dir("policy.db");
	struct store *s = must_open(&d, true);
	struct store_credential c = {.version = 2, .blob = rk_str("second")};
	struct rk_fault fault;

	(void)state;
	add_conn(s, "conn_A", "openai");
	add_conn(s, "conn_B", "stripe");
	assert_int_equal(store_conn_rotate(s, rk_str("conn_B"), &c, &fault), 0);
	assert_int_equal(store_conn_remove(s, rk_str("conn_B"), &fault), 0);
	assert_string_equal(load(s).text, CONN_A);
	assert_int_equal(count(s, "credential"), 1);
	assert_int_equal(store_conn_remove(s, rk_str("conn_B"), &fault), RK_E_NOTFOUND);
	store_close(s);
	fixture_remove(&d);
}

static void test_keys_are_revoked_and_extended(void **state)
{
	struct store_dir d = fixture_dir("policy.db");
	struct store *s = must_open(&d, true);
	struct rk_fault fault;

	(void)state;
	add_key(s, "key_a", "acme");
	assert_int_equal(store_key_set_revoked(s, rk_str("key_a"), 4444, &fault), 0);
	assert_int_equal(store_key_set_expires(s, rk_str("key_a"), 9999, &fault), 0);
	assert_string_equal(load(s).text,
	                    "key_a 91k 3 acme night job staging grant 3000 9999 4444\n");
	assert_int_equal(store_key_set_revoked(s, rk_str("key_x"), 1, &fault), RK_E_NOTFOUND);
	assert_int_equal(store_key_set_expires(s, rk_str("key_x"), 1, &fault), RK_E_NOTFOUND);
	assert_int_equal(load(s).version, 3);
	store_close(s);
	fixture_remove(&d);
}

static void test_equal_grants_and_holders_are_stored_once(void **state)
{
	struct store_dir d = fixture_dir("policy.db");
	struct store *s = must_open(&d, true);
	struct store_key k = relay_key("key_d", "acme");
	struct rk_fault fault;

	(void)state;
	add_key(s, "key_a", "acme");
	add_key(s, "key_b", "acme");
	add_key(s, "key_c", "globex");
	assert_int_equal(count(s, "grant_set"), 1);
	assert_int_equal(count(s, "holder"), 2);
	k.grants = rk_slice("\5\0\0\0other", 9);
	k.kind = 0; /* an app called acme is somebody else */
	assert_int_equal(store_key_add(s, &k, &fault), 0);
	assert_int_equal(count(s, "grant_set"), 2);
	assert_int_equal(count(s, "holder"), 3);
	assert_non_null(strstr(load(s).text, "key_d 91k 0 acme night job staging other"));
	store_close(s);
	fixture_remove(&d);
}

static void test_loading_is_in_order_of_creation(void **state)
{
	struct store_dir d = fixture_dir("policy.db");
	struct store *s = must_open(&d, true);
	struct rk_fault fault;
	struct loaded l;
	char *first, *second;

	(void)state;
	add_conn(s, "conn_Z", "last-name");
	add_conn(s, "conn_A", "openai");
	assert_int_equal(store_conn_remove(s, rk_str("conn_A"), &fault), 0);
	add_conn(s, "conn_B", "a-name");
	add_key(s, "key_z", "z");
	add_key(s, "key_a", "a");
	l = load(s);
	first = strstr(l.text, "conn_Z");
	second = strstr(l.text, "conn_B");
	assert_true(first && second && first < second);
	first = strstr(l.text, "key_z");
	second = strstr(l.text, "key_a");
	assert_true(first && second && first < second);
	store_close(s);
	fixture_remove(&d);
}

static void test_a_callbacks_error_ends_the_load(void **state)
{
	struct store_dir d = fixture_dir("policy.db");
	struct store *s = must_open(&d, true);
	struct loaded l = {.answer = RK_E_NOMEM};
	struct rk_fault fault;
	uint64_t version = 77;

	(void)state;
	add_conn(s, "conn_A", "openai");
	add_conn(s, "conn_B", "stripe");
	assert_int_equal(
	    store_load(s, &(struct store_loader){.conn = see_conn, .key = see_key, .arg = &l},
	               &version, &fault),
	    RK_E_NOMEM);
	assert_string_equal(l.text, CONN_A);
	assert_int_equal(version, 77);
	/* and the store is not left in a transaction */
	add_key(s, "key_a", "acme");
	store_close(s);
	fixture_remove(&d);
}

static void test_a_full_disk_changes_nothing_and_needs_no_restart(void **state)
{
	struct store_dir d = fixture_dir("policy.db");
	struct store *s = must_open(&d, true);
	struct store_conn c = conn("conn_B", "stripe");
	struct rlimit lim;
	struct rk_fault fault;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	add_conn(s, "conn_A", "openai");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &lim), 0);
	lim.rlim_cur = 4096;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &lim), 0);
	assert_int_equal(store_conn_add(s, &c, &fault), RK_E_FULL);
	assert_string_equal(load(s).text, CONN_A);
	lim.rlim_cur = RLIM_INFINITY;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &lim), 0);
	assert_int_equal(store_conn_add(s, &c, &fault), 0);
	assert_int_equal(load(s).version, 2);
	store_close(s);
	fixture_remove(&d);
}

static void test_a_journal_is_no_policy_store(void **state)
{
	struct store_dir d = fixture_dir("policy.db");
	struct rk_secret key = fixture_key('k');
	struct journal *j = NULL;
	struct store *s = NULL;
	struct rk_fault fault;

	(void)state;
	assert_int_equal(journal_open(d.path, &key, true, true, &j, &fault), 0);
	journal_close(j);
	assert_int_equal(store_open(d.path, &key, false, &s, &fault), RK_E_CORRUPT);
	assert_null(s);
	assert_int_equal(journal_open(d.path, &key, true, false, &j, &fault), 0);
	journal_close(j);
	rk_secret_free(&key);
	fixture_remove(&d);
}

/* ---- past schemas ---- */

static const char schema_dir[] = "tests/corpus/schema";

static void fill_policy(struct store *s, unsigned version)
{
	struct store_credential c = {
	    .version = 2, .blob = rk_str("second"), .hint = rk_str("sk_2"), .created_ms = 5000};
	struct store_key k = relay_key("key_l", "acme");
	struct store_egress identity = egress(1, "chain", "key"), proxy = egress(1, "none", "");
	struct rk_fault fault;

	add_conn(s, "conn_A", "openai");
	add_conn(s, "conn_B", "stripe");
	assert_int_equal(store_conn_rotate(s, rk_str("conn_B"), &c, &fault), 0);
	add_key(s, "key_a", "acme");
	add_key(s, "key_b", "globex");
	assert_int_equal(store_key_set_revoked(s, rk_str("key_b"), 4444, &fault), 0);
	if (version < 2)
		return;
	k.limits =
	    (struct rate_limits){.per_minute = 60, .per_day = 10000, .max_concurrent = 4};
	assert_int_equal(store_key_add(s, &k, &fault), 0);
	if (version < 3)
		return;
	assert_int_equal(
	    store_conn_set_egress(s, rk_str("conn_B"), STORE_IDENTITY, &identity, &fault), 0);
	assert_int_equal(
	    store_conn_set_egress(s, rk_str("conn_B"), STORE_PROXY, &proxy, &fault), 0);
}

/* What fill_policy() of a version left, read by this one. */
static const char filled_policy[] =
    CONN_A "conn_B stripe openai on 1000-5000 v2 6:second sk_2 5000\n";
static const char filled_policy_3[] =
    CONN_A "conn_B stripe openai on 1000-6001 v2 6:second sk_2 5000\n"
           " identity v1 chain/key 6001\n proxy v1 none/ 6001\n";
static const char filled_keys[] =
    KEY_A "key_b 91k 3 globex night job staging grant 3000 9000 4444\n";
static const char filled_keys_2[] =
    "key_l 91k 3 acme night job staging grant 3000 9000 0 60/min 10000/day 4 at once\n";

static void fill_journal(struct journal *j)
{
	for (uint8_t i = 1; i <= 20; i++) {
		struct audit_row row = {.type = i == 1 ? AUDIT_START : AUDIT_REQUEST,
		                        .time_ms = 1700000000000 + i,
		                        .request_id = {i},
		                        .path = rk_str("/v1/charges")};
		unsigned char mem[1024];
		struct journal_entry e = {.body = fixture_row(&row, mem, sizeof mem)};
		struct rk_fault fault;

		assert_int_equal(journal_append(j, &e, 1, &fault), 0);
	}
}

/* A copy in a directory of its own: opening migrates. */
static struct store_dir copy_of(const char *name, unsigned version)
{
	struct store_dir d = fixture_dir("store.db");
	char from[128];
	struct rk_buf file;

	snprintf(from, sizeof from, "%s/%s-%u.db", schema_dir, name, version);
	file = fixture_read(from);
	fixture_write(d.path, rk_buf_data(&file), file.len);
	rk_buf_free(&file);
	return d;
}

static void test_every_past_policy_schema_opens_with_what_was_in_it(void **state)
{
	(void)state;
	for (unsigned v = 1; v <= store_schema_version; v++) {
		struct store_dir d = copy_of("policy", v);
		struct store *s = must_open(&d, false);
		struct loaded l = load(s);

		char want[1024];

		snprintf(want, sizeof want, "%s%s%s", v >= 3 ? filled_policy_3 : filled_policy,
		         filled_keys, v >= 2 ? filled_keys_2 : "");
		assert_string_equal(l.text, want);
		assert_int_equal(l.version, v >= 3 ? 9 : v >= 2 ? 7 : 6);
		add_key(s, "key_c", "new");
		store_close(s);
		fixture_remove(&d);
	}
}

static int count_open(const struct audit_row *row, void *arg)
{
	assert_true(rk_slice_is(row->path, "/v1/charges"));
	++*(unsigned *)arg;
	return 0;
}

static void test_every_past_journal_schema_opens_and_verifies(void **state)
{
	struct rk_secret key = fixture_key('k');

	(void)state;
	for (unsigned v = 1; v <= journal_schema_version; v++) {
		struct store_dir d = copy_of("journal", v);
		struct msg_audit_verified found = {0};
		struct journal_head head;
		struct audit_reader *r = NULL;
		struct journal *j = NULL;
		struct rk_fault fault;
		unsigned open = 0;
		char text[128];

		assert_int_equal(journal_open(d.path, &key, true, false, &j, &fault), 0);
		assert_int_equal(journal_each_open(j, count_open, &open, &fault), 0);
		assert_int_equal(open, 19);
		fill_journal(j);
		journal_head(j, &head);
		assert_int_equal(head.rows, 40);
		assert_int_equal(audit_reader_open(d.path, &key, &r, &fault), 0);
		assert_int_equal(audit_verify(r, &head, &found, text, sizeof text, &fault), 0);
		assert_int_equal(found.ok, 1);
		audit_reader_close(r);
		journal_close(j);
		fixture_remove(&d);
	}
	rk_secret_free(&key);
}

static int write_fixtures(const char *dir)
{
	struct store_dir policy, book;
	struct rk_secret key;
	struct journal *j = NULL;
	struct store *s;
	struct rk_fault fault = {0};

	if (fixture_arena(NULL) != 0)
		return 1;
	key = fixture_key('k');
	snprintf(policy.path, sizeof policy.path, "%s/policy-%u.db", dir, store_schema_version);
	snprintf(book.path, sizeof book.path, "%s/journal-%u.db", dir, journal_schema_version);
	/* one that is there is never written again */
	if (access(policy.path, F_OK) != 0) {
		s = must_open(&policy, true);
		fill_policy(s, store_schema_version);
		store_close(s);
	}
	if (access(book.path, F_OK) != 0) {
		if (journal_open(book.path, &key, true, true, &j, &fault) != 0)
			return 1;
		fill_journal(j);
		journal_close(j);
	}
	rk_secret_free(&key);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_was_added_is_loaded_after_reopening),
	    cmocka_unit_test(test_a_new_store_is_empty),
	    cmocka_unit_test(test_a_taken_name_or_id_is_refused_and_nothing_changes),
	    cmocka_unit_test(test_rotation_keeps_the_earlier_versions),
	    cmocka_unit_test(test_identity_and_proxy_have_versions_of_their_own),
	    cmocka_unit_test(test_a_connection_is_disabled_and_enabled),
	    cmocka_unit_test(test_a_removed_connection_takes_all_its_credentials_along),
	    cmocka_unit_test(test_keys_are_revoked_and_extended),
	    cmocka_unit_test(test_equal_grants_and_holders_are_stored_once),
	    cmocka_unit_test(test_loading_is_in_order_of_creation),
	    cmocka_unit_test(test_a_callbacks_error_ends_the_load),
	    cmocka_unit_test(test_a_full_disk_changes_nothing_and_needs_no_restart),
	    cmocka_unit_test(test_a_journal_is_no_policy_store),
	    cmocka_unit_test(test_every_past_policy_schema_opens_with_what_was_in_it),
	    cmocka_unit_test(test_every_past_journal_schema_opens_and_verifies),
	};

	if (argc == 3 && strcmp(argv[1], "--write-fixtures") == 0)
		return write_fixtures(argv[2]);
	return cmocka_run_group_tests(tests, fixture_arena, NULL);
}

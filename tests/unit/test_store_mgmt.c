/*
 * Management keys, users, changes of relay keys and idempotency keys in the policy store, each
 * read back through a second opening.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>

#include "ipc/messages_manage.h"
#include "keeper/store_idem.h"
#include "keeper/store_mgmt.h"
#include "keeper/store_schema.h"
#include "keeper/store_user.h"
#include "tests/lib/store_fixture.h"

struct scene {
	struct store_dir dir;
	struct store *s;
	char text[4096]; /* what a load gave */
	size_t used;
};

static struct rk_fault fault;

#define OK(call)                                                                               \
	do {                                                                                   \
		if ((call) != 0)                                                               \
			fail_msg("%s: %s", #call, fault.text);                                 \
	} while (0)

static void open_store(struct scene *t, bool create)
{
	struct rk_secret key = fixture_key('k');

	OK(store_open(t->dir.path, &key, create, &t->s, &fault));
	rk_secret_free(&key);
}

static int setup(void **state)
{
	struct scene *t = calloc(1, sizeof *t);

	if (!t)
		return -1;
	t->dir = fixture_dir("policy.db");
	open_store(t, true);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct scene *t = *state;

	store_close(t->s);
	fixture_remove(&t->dir);
	free(t);
	return 0;
}

static void reopen(struct scene *t)
{
	store_close(t->s);
	open_store(t, false);
}

static void say(struct scene *t, const char *fmt, ...) RK_PRINTF(2, 3);

static void say(struct scene *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	t->used += (size_t)vsnprintf(t->text + t->used, sizeof t->text - t->used, fmt, ap);
	va_end(ap);
	assert_true(t->used < sizeof t->text);
}

static int see_mgmt(const struct store_mgmt_key *k, void *arg, struct rk_fault *f)
{
	(void)f;
	say(arg, "%u %.*s %02x %.3s role %u %.*s bounds %zu %lld-%lld x%lld r%u\n", k->number,
	    RK_FMT(k->id), k->digest[31], k->hint, k->role, RK_FMT(k->name), k->bounds.n,
	    (long long)k->created_ms, (long long)k->expires_ms, (long long)k->revoked_ms,
	    k->revision);
	return 0;
}

static int see_user(const struct store_user *u, void *arg, struct rk_fault *f)
{
	(void)f;
	say(arg, "%u %.*s %.*s <%.*s> role %u %s %lld-%lld r%u\n", u->number, RK_FMT(u->id),
	    RK_FMT(u->name), RK_FMT(u->email), u->role, u->enabled ? "on" : "off",
	    (long long)u->created_ms, (long long)u->updated_ms, u->revision);
	return 0;
}

static int see_conn(const struct store_conn *c, void *arg)
{
	(void)c;
	(void)arg;
	return 0;
}

static int see_key(const struct store_key *k, void *arg)
{
	say(arg, "%.*s %.*s/%.*s x%lld %lld [%.*s] [%.*s] %u/%u/%u f%u r%u by %u\n",
	    RK_FMT(k->id), RK_FMT(k->name), RK_FMT(k->env), (long long)k->revoked_ms,
	    (long long)k->expires_ms, RK_FMT(k->cidrs), RK_FMT(k->grants), k->limits.per_minute,
	    k->limits.per_day, k->limits.max_concurrent, k->flags, k->revision, k->minted_by);
	return 0;
}

static const char *mgmt_keys(struct scene *t)
{
	t->used = 0;
	t->text[0] = '\0';
	OK(store_mgmt_load(t->s, see_mgmt, t, &fault));
	return t->text;
}

static const char *users(struct scene *t)
{
	t->used = 0;
	t->text[0] = '\0';
	OK(store_user_load(t->s, see_user, t, &fault));
	return t->text;
}

static const char *relay_keys(struct scene *t)
{
	uint64_t version;

	t->used = 0;
	t->text[0] = '\0';
	OK(store_load(t->s, &(struct store_loader){.conn = see_conn, .key = see_key, .arg = t},
	              &version, &fault));
	return t->text;
}

static uint32_t add_mgmt(struct scene *t, const char *id, unsigned char fill)
{
	struct store_mgmt_key k = {
	    .id = rk_str(id),
	    .hint = {'9', '1', 'k'},
	    .role = 4,
	    .name = rk_str("ci"),
	    .bounds = rk_str("bounds"),
	    .created_ms = 1000,
	    .expires_ms = 9000,
	};
	uint32_t number = 0;

	memset(k.digest, fill, sizeof k.digest);
	OK(store_mgmt_add(t->s, &k, &number, &fault));
	return number;
}

static void add_key(struct scene *t, const char *id, uint32_t minted_by, int64_t revoked_ms)
{
	struct store_key k = {
	    .id = rk_str(id),
	    .hint = {'9', '1', 'k'},
	    .holder = rk_str("acme"),
	    .name = rk_str("n"),
	    .env = rk_str("e"),
	    .cidrs = rk_str("c"),
	    .grants = rk_str("g"),
	    .expires_ms = 9000,
	    .revoked_ms = revoked_ms,
	    .minted_by = minted_by,
	};

	memset(k.digest, id[15], sizeof k.digest);
	OK(store_key_add(t->s, &k, &fault));
}

static void test_management_keys_survive_a_restart(void **state)
{
	struct scene *t = *state;

	assert_int_equal(add_mgmt(t, "mkey_a", 0xaa), 1);
	assert_int_equal(add_mgmt(t, "mkey_b", 0xbb), 2);
	OK(store_mgmt_update(t->s, rk_str("mkey_b"), rk_str("nightly"), 0, &fault));
	OK(store_mgmt_revoke(t->s, 1, 4444, NULL, &fault));
	reopen(t);
	assert_string_equal(mgmt_keys(t),
	                    "1 mkey_a aa 91k role 4 ci bounds 6 1000-9000 x4444 r2\n"
	                    "2 mkey_b bb 91k role 4 nightly bounds 6 1000-0 x0 r2\n");
}

static void test_what_is_not_there_cannot_be_changed(void **state)
{
	struct scene *t = *state;

	add_mgmt(t, "mkey_a", 0xaa);
	assert_int_equal(store_mgmt_update(t->s, rk_str("mkey_x"), rk_str("n"), 0, &fault),
	                 RK_E_NOTFOUND);
	assert_int_equal(store_mgmt_revoke(t->s, 2, 4444, NULL, &fault), RK_E_NOTFOUND);
	assert_string_equal(mgmt_keys(t),
	                    "1 mkey_a aa 91k role 4 ci bounds 6 1000-9000 x0 r1\n");
}

#define KEY(id, rest) id " n/e " rest " 9000 [c] [g] 0/0/0 f0 "

static void test_a_cascade_revokes_what_the_key_minted_and_lives_and_nothing_else(void **state)
{
	static const char want[] = KEY("key_00000000000a", "x4444") "r2 by 1\n" KEY(
	    "key_00000000000b",
	    "x0") "r1 by 2\n" KEY("key_00000000000c",
	                          "x77") "r1 by 1\n" KEY("key_00000000000d",
	                                                 "x0") "r1 by 0\n" KEY("key_"
	                                                                       "00000000000e",
	                                                                       "x4444") "r2 by "
	                                                                                "1\n";
	struct store_cascade c = {0};
	struct scene *t = *state;

	add_mgmt(t, "mkey_a", 0xaa);
	add_mgmt(t, "mkey_b", 0xbb);
	add_key(t, "key_00000000000a", 1, 0);
	add_key(t, "key_00000000000b", 2, 0);
	add_key(t, "key_00000000000c", 1, 77);
	add_key(t, "key_00000000000d", 0, 0);
	add_key(t, "key_00000000000e", 1, 0);
	OK(store_mgmt_revoke(t->s, 1, 4444, &c, &fault));
	assert_int_equal(c.count, 2);
	assert_memory_equal(c.ids, "00000000000a00000000000e", 24);
	store_cascade_free(&c);
	reopen(t);
	assert_string_equal(relay_keys(t), want);
}

static void test_without_a_cascade_the_minted_keys_live_on(void **state)
{
	struct scene *t = *state;

	add_mgmt(t, "mkey_a", 0xaa);
	add_key(t, "key_00000000000a", 1, 0);
	OK(store_mgmt_revoke(t->s, 1, 4444, NULL, &fault));
	assert_string_equal(relay_keys(t), KEY("key_00000000000a", "x0") "r1 by 1\n");
}

/* No half of a cascade is ever there. */
static void test_a_cascade_on_a_full_disk_changes_nothing(void **state)
{
	enum { KEYS = 400 };
	struct store_cascade c = {0};
	struct scene *t = *state;
	struct rlimit lim;
	char id[32];

	signal(SIGXFSZ, SIG_IGN);
	add_mgmt(t, "mkey_a", 0xaa);
	for (unsigned i = 0; i < KEYS; i++) {
		snprintf(id, sizeof id, "key_%012u", i);
		add_key(t, id, 1, 0);
	}
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &lim), 0);
	lim.rlim_cur = 4096;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &lim), 0);
	assert_int_equal(store_mgmt_revoke(t->s, 1, 4444, &c, &fault), RK_E_FULL);
	store_cascade_free(&c);
	lim.rlim_cur = RLIM_INFINITY;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &lim), 0);
	assert_non_null(strstr(mgmt_keys(t), "x0 r1"));
	OK(store_mgmt_revoke(t->s, 1, 4444, &c, &fault));
	assert_int_equal(c.count, KEYS);
	store_cascade_free(&c);
}

static void test_only_the_members_that_are_meant_change(void **state)
{
	const struct store_key k = {
	    .id = rk_str("key_00000000000a"),
	    .name = rk_str("name"),
	    .env = rk_str("env"),
	    .expires_ms = 5000,
	    .cidrs = rk_str("cidrs"),
	    .grants = rk_str("grants"),
	    .limits = {.per_minute = 1, .per_day = 2, .max_concurrent = 3},
	    .flags = 1,
	};
	static const struct {
		uint32_t set;
		const char *want;
	} each[] = {
	    {KEY_SET_NAME, "name/e x0 9000 [c] [g] 0/0/0 f0"},
	    {KEY_SET_ENV, "name/env x0 9000 [c] [g] 0/0/0 f0"},
	    {KEY_SET_EXPIRY, "name/env x0 5000 [c] [g] 0/0/0 f0"},
	    {KEY_SET_CIDRS, "name/env x0 5000 [cidrs] [g] 0/0/0 f0"},
	    {KEY_SET_GRANTS, "name/env x0 5000 [cidrs] [grants] 0/0/0 f0"},
	    {KEY_SET_RATE_PER_MINUTE, "name/env x0 5000 [cidrs] [grants] 1/0/0 f0"},
	    {KEY_SET_RATE_PER_DAY, "name/env x0 5000 [cidrs] [grants] 1/2/0 f0"},
	    {KEY_SET_MAX_CONCURRENT, "name/env x0 5000 [cidrs] [grants] 1/2/3 f0"},
	    {KEY_SET_FLAGS, "name/env x0 5000 [cidrs] [grants] 1/2/3 f1"},
	};
	struct scene *t = *state;
	char want[256];

	add_key(t, "key_00000000000a", 0, 0);
	for (unsigned i = 0; i < sizeof each / sizeof each[0]; i++) {
		OK(store_key_update(t->s, &k, each[i].set, &fault));
		snprintf(want, sizeof want, "key_00000000000a %s r%u by 0\n", each[i].want,
		         i + 2);
		assert_string_equal(relay_keys(t), want);
	}
}

static void add_user(struct scene *t, const char *id, const char *name)
{
	const struct store_user u = {
	    .id = rk_str(id),
	    .name = rk_str(name),
	    .email = rk_str("a@example.com"),
	    .role = 1,
	    .enabled = true,
	    .created_ms = 10,
	    .updated_ms = 10,
	};
	uint32_t number;

	OK(store_user_add(t->s, &u, &number, &fault));
}

static void test_users_are_kept_changed_and_removed(void **state)
{
	struct store_user u = {.id = rk_str("user_b"),
	                       .name = rk_str("bob"),
	                       .email = rk_str("b@example.com"),
	                       .role = 3,
	                       .updated_ms = 20};
	struct scene *t = *state;

	add_user(t, "user_a", "ada");
	add_user(t, "user_b", "bo");
	add_user(t, "user_c", "cy");
	OK(store_user_update(t->s, &u, &fault));
	OK(store_user_remove(t->s, rk_str("user_c"), &fault));
	assert_int_equal(store_user_remove(t->s, rk_str("user_c"), &fault), RK_E_NOTFOUND);
	u.name = rk_str("ada");
	assert_int_equal(store_user_update(t->s, &u, &fault), RK_E_EXISTS);
	reopen(t);
	assert_string_equal(users(t), "1 user_a ada <a@example.com> role 1 on 10-10 r1\n"
	                              "2 user_b bob <b@example.com> role 3 off 10-20 r2\n");
}

/* ---- idempotency keys ---- */

static struct store_idem idem(const char *caller, const char *key, unsigned char fill,
                              int64_t now_ms)
{
	struct store_idem r = {.caller = rk_str(caller),
	                       .key = rk_str(key),
	                       .target = rk_str("user_a"),
	                       .created_ms = now_ms};

	memset(r.digest, fill, sizeof r.digest);
	return r;
}

static int find(struct scene *t, const char *caller, const char *key, unsigned char fill,
                int64_t now_ms)
{
	struct store_idem q = idem(caller, key, fill, now_ms);
	char target[32] = "";
	int found = store_idem_find(t->s, &q, target, sizeof target, &fault);

	if (found > 0)
		assert_string_equal(target, "user_a");
	return found;
}

static void test_an_idempotency_key_is_stored_with_its_change_or_not_at_all(void **state)
{
	struct scene *t = *state;
	struct store_idem row = idem("mkey_a", "one", 7, 1000);
	struct store_user u = {.id = rk_str("user_b"), .name = rk_str("ada")};
	uint32_t number;

	store_idem_note(t->s, &row);
	add_user(t, "user_a", "ada");
	row = idem("mkey_a", "two", 7, 1000);
	assert_int_equal(store_user_add(t->s, &u, &number, &fault), RK_E_EXISTS);
	store_idem_note(t->s, NULL);
	add_user(t, "user_c", "cy");
	reopen(t);
	assert_int_equal(find(t, "mkey_a", "one", 7, 2000), 1);
	assert_int_equal(find(t, "mkey_a", "two", 7, 2000), 0);
}

static void test_an_idempotency_key_is_the_callers_own_and_means_one_command(void **state)
{
	struct scene *t = *state;
	struct store_idem row = idem("mkey_a", "one", 7, 1000);

	store_idem_note(t->s, &row);
	add_user(t, "user_a", "ada");
	store_idem_note(t->s, NULL);
	assert_int_equal(find(t, "mkey_a", "one", 8, 2000), RK_E_EXISTS);
	assert_non_null(strstr(fault.text, "another command"));
	assert_int_equal(find(t, "mkey_b", "one", 8, 2000), 0);
	assert_int_equal(find(t, "mkey_a", "One", 8, 2000), 0);
}

static void test_an_idempotency_key_is_forgotten_after_a_day(void **state)
{
	struct scene *t = *state;
	struct store_idem row = idem("mkey_a", "one", 7, 1000);
	int64_t rows;

	store_idem_note(t->s, &row);
	add_user(t, "user_a", "ada");
	assert_int_equal(find(t, "mkey_a", "one", 7, 999 + STORE_IDEM_TTL_MS), 1);
	assert_int_equal(find(t, "mkey_a", "one", 7, 1000 + STORE_IDEM_TTL_MS), 0);
	/* and may be used again, for which the old row goes */
	row = idem("mkey_a", "one", 8, 1000 + STORE_IDEM_TTL_MS);
	add_user(t, "user_b", "bo");
	store_idem_note(t->s, NULL);
	OK(db_query_int(t->s->db, "SELECT count(*) FROM idempotency", &rows, &fault));
	assert_int_equal(rows, 1);
}

static void test_a_caller_has_so_many_idempotency_keys_and_others_keep_theirs(void **state)
{
	enum { MORE = 200 };
	struct scene *t = *state;
	struct store_idem row = idem("mkey_b", "kept", 7, 1);
	char key[32];
	int64_t rows;

	/* straight in, in one transaction */
	OK(store_begin(t->s, &fault));
	OK(store_idem_add(t->s, &row, &fault));
	for (unsigned i = 0; i < STORE_IDEM_PER_CALLER + MORE; i++) {
		snprintf(key, sizeof key, "k%u", i);
		row = idem("mkey_a", key, 7, 1000 + i);
		OK(store_idem_add(t->s, &row, &fault));
	}
	OK(store_end(t->s, 0, &fault));
	OK(db_query_int(t->s->db, "SELECT count(*) FROM idempotency WHERE caller = 'mkey_a'",
	                &rows, &fault));
	assert_in_range(rows, STORE_IDEM_PER_CALLER, STORE_IDEM_PER_CALLER + 64);
	assert_int_equal(find(t, "mkey_a", "k0", 7, 20000), 0);
	assert_int_equal(find(t, "mkey_a", key, 7, 20000), 1);
	assert_int_equal(find(t, "mkey_b", "kept", 7, 20000), 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_management_keys_survive_a_restart),
	    TEST(test_what_is_not_there_cannot_be_changed),
	    TEST(test_a_cascade_revokes_what_the_key_minted_and_lives_and_nothing_else),
	    TEST(test_without_a_cascade_the_minted_keys_live_on),
	    TEST(test_a_cascade_on_a_full_disk_changes_nothing),
	    TEST(test_only_the_members_that_are_meant_change),
	    TEST(test_users_are_kept_changed_and_removed),
	    TEST(test_an_idempotency_key_is_stored_with_its_change_or_not_at_all),
	    TEST(test_an_idempotency_key_is_the_callers_own_and_means_one_command),
	    TEST(test_an_idempotency_key_is_forgotten_after_a_day),
	    TEST(test_a_caller_has_so_many_idempotency_keys_and_others_keep_theirs),
	};

	return cmocka_run_group_tests(tests, fixture_arena, NULL);
}

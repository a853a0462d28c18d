/*
 * The stores' keys, wrapped by a SoftHSM token in a directory of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "keeper/store.h"
#include "keeper/store_keys.h"
#include "pkcs11/token.h"
#include "tests/lib/store_fixture.h"

struct world {
	struct store_dir home;
	struct token *token;
};

static struct rk_fault fault;

static const char *softhsm_module(void)
{
	static const char *const paths[] = {
	    "/usr/lib/softhsm/libsofthsm2.so",
	    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
	    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
	};

	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		if (access(paths[i], R_OK) == 0)
			return paths[i];
	}
	return NULL;
}

static void make_secret(struct rk_secret *s, const char *text)
{
	assert_int_equal(rk_secret_alloc(s, strlen(text)), 0);
	assert_int_equal(rk_secret_add(s, text, strlen(text)), 0);
}

/* A new token with a KEK, logged in. */
static struct token *new_token(const char *label)
{
	struct token_params p = {.module = softhsm_module(), .token = label, .max_sessions = 2};
	RK_SECRET_AUTO so = {0};
	RK_SECRET_AUTO pin = {0};
	struct token *t = NULL;
	uint32_t generation;

	make_secret(&so, "so-1122334455");
	make_secret(&pin, "user-7392");
	if (token_init(&p, &so, &pin, &fault) != 0 || token_open(&p, &t, &fault) != 0 ||
	    token_login(t, &pin, &fault) != 0 || token_kek_generate(t, &generation, &fault))
		fail_msg("%s", fault.text);
	return t;
}

static int make_world(void **state)
{
	static struct world w;
	char conf[128], text[192];

	if (secret_arena_init(1 << 20, SECRET_BACKING_LOCKED, &fault) != 0)
		return -1;
	w.home = fixture_dir("policy.db");
	snprintf(conf, sizeof conf, "%s/softhsm2.conf", w.home.dir);
	snprintf(text, sizeof text, "directories.tokendir = %s\nlog.level = ERROR\n",
	         w.home.dir);
	fixture_write(conf, text, strlen(text));
	setenv("SOFTHSM2_CONF", conf, 1);
	w.token = new_token("relaykey");
	*state = &w;
	return 0;
}

static int remove_world(void **state)
{
	struct world *w = *state;

	token_close(w->token);
	fixture_remove(&w->home);
	return secret_arena_in_use() == 0 ? 0 : -1;
}

static void path_of(const struct world *w, const char *file, char path[128])
{
	snprintf(path, 128, "%s/%s", w->home.dir, file);
}

static int load(const struct world *w, const char *name, struct rk_secret *out)
{
	return store_key_load(w->token, w->home.dir, name, out, &fault);
}

static void test_a_new_key_comes_back_and_opens_a_store(void **state)
{
	struct world *w = *state;
	RK_SECRET_AUTO key = {0};
	RK_SECRET_AUTO again = {0};
	struct store *s = NULL;

	assert_int_equal(store_key_create(w->token, w->home.dir, "policy", &fault), 0);
	assert_int_equal(load(w, "policy", &key), 0);
	assert_int_equal(key.len, DB_KEY_BYTES);
	assert_int_equal(load(w, "policy", &again), 0);
	assert_true(rk_equal_ct(rk_secret_slice(&key), rk_secret_slice(&again)));
	assert_int_equal(store_open(w->home.path, &key, true, &s, &fault), 0);
	store_close(s);
	assert_int_equal(store_open(w->home.path, &again, false, &s, &fault), 0);
	store_close(s);
}

static void test_two_stores_have_two_keys(void **state)
{
	struct world *w = *state;
	RK_SECRET_AUTO a = {0};
	RK_SECRET_AUTO b = {0};

	assert_int_equal(store_key_create(w->token, w->home.dir, "one", &fault), 0);
	assert_int_equal(store_key_create(w->token, w->home.dir, "two", &fault), 0);
	assert_int_equal(load(w, "one", &a), 0);
	assert_int_equal(load(w, "two", &b), 0);
	assert_false(rk_equal_ct(rk_secret_slice(&a), rk_secret_slice(&b)));
}

static void test_a_key_is_never_written_over(void **state)
{
	struct world *w = *state;
	RK_SECRET_AUTO before = {0};
	RK_SECRET_AUTO after = {0};

	assert_int_equal(store_key_create(w->token, w->home.dir, "kept", &fault), 0);
	assert_int_equal(load(w, "kept", &before), 0);
	assert_int_equal(store_key_create(w->token, w->home.dir, "kept", &fault), RK_E_EXISTS);
	assert_int_equal(load(w, "kept", &after), 0);
	assert_true(rk_equal_ct(rk_secret_slice(&before), rk_secret_slice(&after)));
}

static void test_the_file_is_private_and_does_not_hold_the_key(void **state)
{
	struct world *w = *state;
	RK_SECRET_AUTO key = {0};
	struct rk_buf file;
	struct stat st;
	char path[128];

	assert_int_equal(store_key_create(w->token, w->home.dir, "private", &fault), 0);
	path_of(w, "private.key", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(load(w, "private", &key), 0);
	file = fixture_read(path);
	assert_null(memmem(rk_buf_data(&file), file.len, key.p, 8));
	rk_buf_free(&file);
}

static void test_a_key_file_moved_to_the_other_store_does_not_open(void **state)
{
	struct world *w = *state;
	RK_SECRET_AUTO key = {0};
	char from[128], to[128];

	assert_int_equal(store_key_create(w->token, w->home.dir, "here", &fault), 0);
	path_of(w, "here.key", from);
	path_of(w, "there.key", to);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(load(w, "there", &key), RK_E_CORRUPT);
	assert_non_null(strstr(fault.text, "there.key"));
	assert_int_equal(rename(to, from), 0);
	assert_int_equal(load(w, "here", &key), 0);
}

static void test_damaged_and_missing_key_files_are_told_apart(void **state)
{
	struct world *w = *state;
	RK_SECRET_AUTO key = {0};
	struct rk_buf file;
	char path[128];

	assert_int_equal(load(w, "absent", &key), RK_E_NOTFOUND);
	assert_int_equal(store_key_create(w->token, w->home.dir, "damaged", &fault), 0);
	path_of(w, "damaged.key", path);
	file = fixture_read(path);
	rk_buf_data(&file)[file.len - 1] ^= 1;
	fixture_write(path, rk_buf_data(&file), file.len);
	assert_int_equal(load(w, "damaged", &key), RK_E_CORRUPT);
	fixture_write(path, rk_buf_data(&file), file.len / 2);
	assert_int_equal(load(w, "damaged", &key), RK_E_CORRUPT);
	fixture_write(path, "", 0);
	assert_int_equal(load(w, "damaged", &key), RK_E_CORRUPT);
	assert_null(key.p);
	rk_buf_free(&file);
}

static void test_a_wrapped_secret_of_another_length_is_no_store_key(void **state)
{
	struct world *w = *state;
	RK_SECRET_AUTO shorter = {0};
	RK_SECRET_AUTO key = {0};
	unsigned char blob[128];
	size_t n = 0;
	char path[128];

	make_secret(&shorter, "sixteen bytes...");
	assert_int_equal(token_wrap(w->token, &shorter, rk_str("store|short"), blob,
	                            sizeof blob, &n, &fault),
	                 0);
	path_of(w, "short.key", path);
	fixture_write(path, blob, n);
	assert_int_equal(load(w, "short", &key), RK_E_CORRUPT);
	assert_null(key.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_new_key_comes_back_and_opens_a_store),
	    cmocka_unit_test(test_two_stores_have_two_keys),
	    cmocka_unit_test(test_a_key_is_never_written_over),
	    cmocka_unit_test(test_the_file_is_private_and_does_not_hold_the_key),
	    cmocka_unit_test(test_a_key_file_moved_to_the_other_store_does_not_open),
	    cmocka_unit_test(test_damaged_and_missing_key_files_are_told_apart),
	    cmocka_unit_test(test_a_wrapped_secret_of_another_length_is_no_store_key),
	};

	return cmocka_run_group_tests(tests, make_world, remove_world);
}

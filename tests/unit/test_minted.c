/* How many of the keys that a management key minted live, as time goes by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "keeper/minted.h"

enum { KEYS = 1000 };

struct scene {
	struct minted m;
	struct index_key key[KEYS];
};

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct scene));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	minted_free(&((struct scene *)*state)->m);
	free(*state);
	return 0;
}

static void enter(struct scene *t, unsigned i, int64_t expires_ms, int64_t now_ms)
{
	t->key[i].expires_ms = expires_ms;
	assert_int_equal(minted_enter(&t->m, &t->key[i], now_ms), 0);
}

static void test_keys_end_one_by_one_and_some_never_do(void **state)
{
	struct scene *t = *state;

	enter(t, 0, 300, 1);
	enter(t, 1, 100, 1);
	enter(t, 2, 0, 1);
	enter(t, 3, 200, 1);
	enter(t, 4, 1, 1); /* was over before */
	assert_int_equal(minted_live(&t->m, 1, false), 4);
	assert_int_equal(minted_live(&t->m, 99, false), 4);
	assert_int_equal(minted_live(&t->m, 100, false), 3);
	assert_int_equal(minted_live(&t->m, 250, false), 2);
	assert_int_equal(minted_live(&t->m, INT64_MAX - 1, false), 1);
	assert_int_equal(t->m.keys, 5);
}

static void test_a_revoked_key_is_gone_when_it_matters(void **state)
{
	struct scene *t = *state;

	enter(t, 0, 0, 1);
	enter(t, 1, 0, 1);
	t->key[0].revoked_ms = 5;
	assert_int_equal(minted_live(&t->m, 10, true), 1);
	assert_int_equal(minted_live(&t->m, 10, false), 1);
}

static void test_an_end_may_move_both_ways(void **state)
{
	struct scene *t = *state;

	enter(t, 0, 100, 1);
	t->key[0].expires_ms = 200;
	minted_extended(&t->m, &t->key[0], 50);
	assert_int_equal(minted_live(&t->m, 150, false), 1);
	t->key[0].expires_ms = 160;
	assert_int_equal(minted_live(&t->m, 170, true), 0);
	t->key[0].expires_ms = 300;
	minted_extended(&t->m, &t->key[0], 180);
	minted_extended(&t->m, &t->key[0], 180);
	assert_int_equal(minted_live(&t->m, 200, false), 1);
	t->key[0].expires_ms = 0;
	assert_int_equal(minted_live(&t->m, 400, false), 1);
}

static void test_what_has_no_memory_counts(void **state)
{
	struct scene *t = *state;

	enter(t, 0, 0, 1);
	t->m.lost = 1;
	assert_int_equal(minted_live(&t->m, 2, true), 2);
}

/* Against counting them all anew, with everything that can happen to a key. */
static void test_the_number_is_what_counting_gives(void **state)
{
	struct scene *t = *state;
	unsigned used = 0;
	int64_t now_ms = 1;

	srand(5);
	for (unsigned turn = 0; turn < 20000; turn++) {
		struct index_key *k = used ? &t->key[rand() % used] : NULL;
		unsigned live = 0;

		now_ms += rand() % 3;
		switch (rand() % 8) {
		case 0:
		case 1:
		case 2:
			if (used < KEYS)
				enter(t, used++, rand() % 5 ? now_ms + rand() % 400 : 0,
				      now_ms);
			break;
		case 3:
			if (k && rand() % 3 == 0)
				k->revoked_ms = now_ms;
			break;
		case 4:
			if (k && !k->revoked_ms) {
				k->expires_ms = now_ms + rand() % 200;
				minted_extended(&t->m, k, now_ms);
			}
			break;
		default:
			break;
		}
		for (unsigned i = 0; i < used; i++)
			live += !t->key[i].revoked_ms &&
			        (!t->key[i].expires_ms || now_ms < t->key[i].expires_ms);
		assert_true(minted_live(&t->m, now_ms, false) >= live);
		assert_int_equal(minted_live(&t->m, now_ms, true), live);
	}
	assert_int_equal(used, KEYS);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_keys_end_one_by_one_and_some_never_do),
	    TEST(test_a_revoked_key_is_gone_when_it_matters),
	    TEST(test_an_end_may_move_both_ways),
	    TEST(test_what_has_no_memory_counts),
	    TEST(test_the_number_is_what_counting_gives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* When a batch waits for more rows, with a time that the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "keeper/gather.h"

struct world {
	struct loop *loop;
	struct gather g;
	unsigned dues;
};

static void on_due(void *arg)
{
	struct world *w = arg;

	w->dues++;
	loop_stop(w->loop);
}

static int setup(void **state)
{
	static struct world w;

	w = (struct world){.g.fd = -1};
	assert_int_equal(loop_new(&w.loop), 0);
	assert_int_equal(gather_init(&w.g, w.loop, on_due, &w), 0);
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	gather_free(&w->g);
	gather_free(&w->g); /* and again */
	loop_free(w->loop);
	return 0;
}

static void the_first_batch_does_not_wait(void **state)
{
	struct world *w = *state;

	assert_false(gather_more(&w->g, 1000, 1));
}

static void after_a_commit_of_few_rows_nobody_waits(void **state)
{
	struct world *w = *state;

	gather_committed(&w->g, 1000, 200, GATHER_BUSY_ROWS - 1);
	assert_false(gather_more(&w->g, 1000, 1));
}

static void under_load_a_batch_waits_as_long_as_the_last_commit_took(void **state)
{
	struct world *w = *state;

	gather_committed(&w->g, 1000, 200, GATHER_BUSY_ROWS);
	assert_true(gather_more(&w->g, 1001, 1));
	assert_true(gather_more(&w->g, 1199, 2));
	assert_false(gather_more(&w->g, 1200, 3));
}

static void a_slow_disk_makes_nobody_wait_longer_than_the_most(void **state)
{
	struct world *w = *state;

	gather_committed(&w->g, 1000, 50000, 100);
	assert_true(gather_more(&w->g, 1000 + GATHER_MAX_US - 1, 1));
	assert_false(gather_more(&w->g, 1000 + GATHER_MAX_US, 1));
}

static void a_full_batch_does_not_wait(void **state)
{
	struct world *w = *state;

	gather_committed(&w->g, 1000, 200, 100);
	assert_true(gather_more(&w->g, 1001, GATHER_FULL_ROWS - 1));
	assert_false(gather_more(&w->g, 1001, GATHER_FULL_ROWS));
}

static void the_end_of_the_wait_is_told_once(void **state)
{
	struct world *w = *state;
	int64_t now_us = rk_mono_us();

	gather_committed(&w->g, now_us, 400, 100);
	assert_true(gather_more(&w->g, now_us, 1));
	assert_true(gather_more(&w->g, now_us + 1, 2));
	loop_run(w->loop);
	assert_int_equal(w->dues, 1);
	assert_true(rk_mono_us() - now_us >= 400);
	/* and the next one again */
	now_us = rk_mono_us();
	gather_committed(&w->g, now_us, 300, 100);
	assert_true(gather_more(&w->g, now_us, 1));
	assert_true(w->g.armed);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_first_batch_does_not_wait),
	    TEST(after_a_commit_of_few_rows_nobody_waits),
	    TEST(under_load_a_batch_waits_as_long_as_the_last_commit_took),
	    TEST(a_slow_disk_makes_nobody_wait_longer_than_the_most),
	    TEST(a_full_batch_does_not_wait),
	    TEST(the_end_of_the_wait_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "relay/echo.h"

#define SECRET "sk-proj-Zq81_TfX0bKd7wRmY2"

enum { SECRET_N = sizeof SECRET - 1, ARENA = 65536 };

static struct blocks blocks;

static struct echo started(void)
{
	static const uint8_t key[MASK_KEY] = "0123456789abcde";
	char list[MASK_LIST_BYTES];
	struct echo e = {0};
	size_t used = 0;

	assert_int_equal(mask_list_add(list, sizeof list, &used, rk_str(SECRET), key), 0);
	assert_int_equal(echo_start(&e, rk_slice(list, used)), 0);
	return e;
}

/* A block with `text` in it, as if it had just been read. */
static struct span block_of(const char *text)
{
	struct span s = {0};

	assert_true(span_hold(&blocks, &s));
	memset(s.mem, 0, BLOCK_BYTES);
	s.len = strlen(text);
	memcpy(s.mem, text, s.len);
	return s;
}

/* Copies what `in` holds to `out` behind what may be held, as a flow does. */
static ssize_t pass(struct echo *e, struct span *in, struct span *out, bool last)
{
	size_t n = in->len;

	memcpy(out->mem + echo_room(e), in->mem + in->off, n);
	span_consume(in, n);
	return echo_body(e, out->mem, n, last, in);
}

static bool has(const struct span *s, const char *text, size_t n)
{
	return memmem(s->mem, BLOCK_BYTES, text, n) != NULL;
}

static void a_secret_in_a_body_is_nowhere_after_it_has_passed(void **state)
{
	(void)state;
	for (size_t cut = 1; cut < SECRET_N; cut++) {
		struct span in = block_of("a "), out = block_of("");
		struct echo e = started();

		memcpy(in.mem + in.len, SECRET, cut);
		in.len += cut;
		assert_int_equal(pass(&e, &in, &out, false), 2);
		assert_int_equal(echo_room(&e), cut);
		assert_true(secret_arena_holds(e.held.p));
		assert_false(has(&in, "sk", 2) || has(&out, "sk", 2));
		in.len = SECRET_N - cut + 2;
		memcpy(in.mem, SECRET " b" + cut, in.len);
		assert_int_equal(pass(&e, &in, &out, true), SECRET_N + 2);
		assert_true(echo_found(&e));
		assert_memory_equal(out.mem, "************************** b", SECRET_N + 2);
		for (size_t i = 0; i + 3 < SECRET_N; i++)
			assert_false(has(&in, SECRET + i, 4) || has(&out, SECRET + i, 4));
		assert_int_equal(secret_arena_in_use(), 0);
		span_release(&blocks, &in);
		span_release(&blocks, &out);
	}
}

static void what_is_held_is_wiped_when_the_exchange_ends(void **state)
{
	struct span in = block_of("sk-proj-Zq81_TfX"), out = block_of("");
	struct echo e = started();

	(void)state;
	assert_int_equal(pass(&e, &in, &out, false), 0);
	assert_true(secret_arena_in_use() > 0);
	echo_end(&e);
	assert_int_equal(secret_arena_in_use(), 0);
	assert_int_equal(echo_room(&e), 0);
	assert_false(has(&in, "sk", 2) || has(&out, "sk", 2));
	span_release(&blocks, &in);
	span_release(&blocks, &out);
}

static void data_that_wait_behind_it_stay(void **state)
{
	struct span in = block_of("x" SECRET "next response"), out = block_of("");
	struct echo e = started();

	(void)state;
	memcpy(out.mem, in.mem, 1 + SECRET_N);
	span_consume(&in, 1 + SECRET_N);
	assert_int_equal(echo_body(&e, out.mem, 1 + SECRET_N, true, &in), 1 + SECRET_N);
	assert_true(rk_slice_is(span_slice(&in), "next response"));
	assert_false(has(&in, SECRET, 4));
	span_release(&blocks, &in);
	span_release(&blocks, &out);
}

static void without_secret_memory_nothing_passes(void **state)
{
	struct span in = block_of("a sk-proj-"), out = block_of("");
	struct echo e = started();
	struct rk_secret all = {0};

	(void)state;
	assert_int_equal(rk_secret_alloc(&all, ARENA), 0);
	assert_int_equal(pass(&e, &in, &out, false), RK_E_NOMEM);
	assert_false(has(&in, "sk", 2) || has(&out, "sk", 2));
	rk_secret_free(&all);
	span_release(&blocks, &in);
	span_release(&blocks, &out);
}

static void a_head_is_masked_where_it_stands(void **state)
{
	struct span in = block_of("HTTP/1.1 200 " SECRET "\r\nX: " SECRET "\r\n\r\nsk-proj-");
	struct echo e = started();

	(void)state;
	echo_head(&e, &in, in.len - 8, true);
	assert_true(echo_found(&e));
	assert_true(rk_slice_is(span_slice(&in),
	                        "HTTP/1.1 200 **************************\r\n"
	                        "X: **************************\r\n\r\nsk-proj-"));
	assert_int_equal(echo_room(&e), 0);
	span_release(&blocks, &in);
}

static void a_head_is_masked_as_it_comes(void **state)
{
	static const char head[] = "HTTP/1.1 200\r\nX: " SECRET SECRET "\r\n\r\n";

	(void)state;
	for (size_t a = 1; a < sizeof head - 1; a++) {
		struct span in = block_of("");
		struct echo e = started();

		memcpy(in.mem, head, a);
		in.len = a;
		echo_head(&e, &in, a, false);
		assert_false(has(&in, SECRET, SECRET_N));
		memcpy(in.mem + a, head + a, sizeof head - 1 - a);
		in.len = sizeof head - 1;
		echo_head(&e, &in, in.len, true);
		assert_true(rk_slice_is(span_slice(&in),
		                        "HTTP/1.1 200\r\nX: **************************"
		                        "**************************\r\n\r\n"));
		span_release(&blocks, &in);
	}
}

static void a_frame_does_not_wait_for_the_next_one(void **state)
{
	struct span in = block_of("\x81\x0bit is sk-pr"), out = block_of("");
	struct echo e = started();

	(void)state;
	echo_frames(&e);
	assert_int_equal(pass(&e, &in, &out, false), 13);
	span_release(&blocks, &in);
	/* the same text, but its frame goes on */
	in = block_of("\x81\x1eit is sk-pr");
	assert_int_equal(pass(&e, &in, &out, false), 8);
	assert_int_equal(echo_room(&e), 5);
	echo_end(&e);
	span_release(&blocks, &in);
	span_release(&blocks, &out);
}

static void a_new_decision_forgets_what_the_first_one_brought(void **state)
{
	struct span in = block_of("sk-proj-"), out = block_of("");
	struct echo e = started();

	(void)state;
	assert_int_equal(pass(&e, &in, &out, false), 0);
	assert_int_equal(echo_start(&e, rk_str("")), 0);
	assert_int_equal(secret_arena_in_use(), 0);
	in.len = SECRET_N;
	memcpy(in.mem, SECRET, SECRET_N);
	assert_int_equal(pass(&e, &in, &out, false), SECRET_N);
	assert_false(echo_found(&e));
	span_release(&blocks, &in);
	span_release(&blocks, &out);
}

static void moving_data_in_a_block_leaves_no_second_copy(void **state)
{
	struct span s = block_of("0123456789012345678901234567890123456789" SECRET);

	(void)state;
	span_consume(&s, 40);
	assert_int_equal(span_room(&s), BLOCK_BYTES - SECRET_N);
	assert_true(rk_slice_is(span_slice(&s), SECRET));
	assert_null(memmem(s.mem + 1, BLOCK_BYTES - 1, "sk-proj", 7));
	span_discard(&blocks, &s);
	assert_null(s.mem);
	assert_true(span_hold(&blocks, &s)); /* the same block again */
	assert_false(has(&s, "sk-proj", 7));
	span_release(&blocks, &s);
}

static int make_arena(void **state)
{
	(void)state;
	return secret_arena_init(ARENA, SECRET_BACKING_BEST, NULL);
}

static int end(void **state)
{
	(void)state;
	blocks_free(&blocks);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_secret_in_a_body_is_nowhere_after_it_has_passed),
	    cmocka_unit_test(what_is_held_is_wiped_when_the_exchange_ends),
	    cmocka_unit_test(data_that_wait_behind_it_stay),
	    cmocka_unit_test(without_secret_memory_nothing_passes),
	    cmocka_unit_test(a_head_is_masked_where_it_stands),
	    cmocka_unit_test(a_head_is_masked_as_it_comes),
	    cmocka_unit_test(a_frame_does_not_wait_for_the_next_one),
	    cmocka_unit_test(a_new_decision_forgets_what_the_first_one_brought),
	    cmocka_unit_test(moving_data_in_a_block_leaves_no_second_copy),
	};

	return cmocka_run_group_tests(tests, make_arena, end);
}

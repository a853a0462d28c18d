#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "http/h1.h"

#define S(text) ((struct rk_slice){(text), sizeof(text) - 1})

struct body {
	char bytes[65536];
	size_t n;
	size_t consumed;
	int err;
	bool done;
};

/* Feeds one piece; the bytes that are not consumed belong to what follows the body. */
static void feed(struct h1_chunked *c, struct rk_slice in, struct body *out)
{
	size_t at = 0;

	while (at < in.n && !out->err && !c->done) {
		struct rk_slice data;
		int n = h1_chunked_next(c, rk_slice_skip(in, at), &data);

		if (n < 0) {
			out->err = n;
			return;
		}
		assert_true(n > 0);
		assert_true((size_t)n <= in.n - at);
		if (data.n) {
			/* A run of data ends what is consumed. */
			assert_ptr_equal(data.p + data.n, in.p + at + n);
			assert_true(out->n + data.n <= sizeof(out->bytes));
			memcpy(out->bytes + out->n, data.p, data.n);
			out->n += data.n;
		}
		at += (size_t)n;
	}
	out->consumed += at;
	out->done = c->done;
}

static struct body whole;

static void decode(struct rk_slice in)
{
	struct h1_chunked c;
	char *copy = malloc(in.n);

	assert_non_null(copy);
	memcpy(copy, in.p, in.n);
	whole = (struct body){0};
	h1_chunked_init(&c);
	feed(&c, rk_slice(copy, in.n), &whole);
	free(copy);
}

static void accept(struct rk_slice in, const char *bytes)
{
	decode(in);
	assert_int_equal(whole.err, 0);
	assert_true(whole.done);
	assert_int_equal(whole.consumed, in.n);
	assert_true(rk_slice_is(rk_slice(whole.bytes, whole.n), bytes));
}

static void refuse(struct rk_slice in, int err)
{
	decode(in);
	assert_int_equal(whole.err, err);
}

static void test_chunks_are_joined(void **state)
{
	(void)state;
	accept(S("5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n"), "hello, world");
	accept(S("0\r\n\r\n"), "");
	accept(S("00000\r\n\r\n"), "");
	accept(S("a\r\n0123456789\r\nA\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n"),
	       "0123456789\r\n\r\n\r\n\r\n\r\n");
}

static void test_what_follows_the_last_chunk_is_not_consumed(void **state)
{
	struct h1_chunked c;
	struct rk_slice data;

	(void)state;
	decode(S("1\r\nx\r\n0\r\n\r\nGET /"));
	assert_true(whole.done);
	assert_int_equal(whole.consumed, 11);
	h1_chunked_init(&c);
	assert_int_equal(h1_chunked_next(&c, S("0\r\n\r\nrest"), &data), 5);
	assert_true(c.done);
	assert_int_equal(h1_chunked_next(&c, S("rest"), &data), 0);
	assert_int_equal(data.n, 0);
}

static void test_no_input_asks_for_more(void **state)
{
	struct h1_chunked c;
	struct rk_slice data;

	(void)state;
	h1_chunked_init(&c);
	assert_int_equal(h1_chunked_next(&c, rk_slice(NULL, 0), &data), 0);
	assert_false(c.done);
}

static void test_sizes_are_plain_hexadecimal(void **state)
{
	(void)state;
	refuse(S("+5\r\nhello\r\n0\r\n\r\n"), H1_E_CHUNK);
	refuse(S("-5\r\nhello\r\n0\r\n\r\n"), H1_E_CHUNK);
	refuse(S(" 5\r\nhello\r\n0\r\n\r\n"), H1_E_CHUNK);
	refuse(S("5 \r\nhello\r\n0\r\n\r\n"), H1_E_CHUNK);
	refuse(S("5\t;x\r\nhello\r\n0\r\n\r\n"), H1_E_CHUNK);
	refuse(S("0x5\r\nhello\r\n0\r\n\r\n"), H1_E_CHUNK);
	refuse(S("5g\r\nhello\r\n0\r\n\r\n"), H1_E_CHUNK);
	refuse(S("5_0\r\n"), H1_E_CHUNK);
	refuse(S("\r\nhello\r\n0\r\n\r\n"), H1_E_CHUNK);
	refuse(S(";x\r\n"), H1_E_CHUNK);
	refuse(S("\xb2\r\n"), H1_E_CHUNK);
	accept(S("05\r\nhello\r\n0\r\n\r\n"), "hello");
}

static void test_a_size_has_at_most_16_digits(void **state)
{
	struct h1_chunked c;
	struct rk_slice data;

	(void)state;
	refuse(S("00000000000000005\r\n"), H1_E_CHUNK);
	refuse(S("10000000000000000\r\n"), H1_E_CHUNK);
	accept(S("0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n"), "hello");
	h1_chunked_init(&c);
	assert_int_equal(h1_chunked_next(&c, S("ffffffffffffffff\r\nab"), &data), 20);
	assert_int_equal(data.n, 2);
	assert_true(c.left == UINT64_MAX - 2);
}

static void test_chunk_lines_end_with_cr_lf(void **state)
{
	(void)state;
	refuse(S("5\nhello\r\n0\r\n\r\n"), H1_E_CHUNK);
	refuse(S("5\rhello\r\n0\r\n\r\n"), H1_E_CHUNK);
	refuse(S("5\r\nhello\n0\r\n\r\n"), H1_E_CHUNK);
	refuse(S("5\r\nhello\r0\r\n\r\n"), H1_E_CHUNK);
	refuse(S("5\r\nhello0\r\n\r\n"), H1_E_CHUNK);
	refuse(S("4\r\nhello\r\n0\r\n\r\n"), H1_E_CHUNK);
	refuse(S("6\r\nhello\r\n0\r\n\r\n"), H1_E_CHUNK);
	refuse(S("0\n\r\n"), H1_E_CHUNK);
	refuse(S("0\r\n\n"), H1_E_TRAILER);
	refuse(S("0\r\n\rX"), H1_E_TRAILER);
	accept(S("5\r\nhello\r\n0\r\n\r\n"), "hello");
}

static void test_extensions_are_skipped_with_their_quotes_in_view(void **state)
{
	(void)state;
	accept(S("5;a=b;c\r\nhello\r\n0;last\r\n\r\n"), "hello");
	accept(S("5;a=\"x;\\\"y\\\\\"\r\nhello\r\n0\r\n\r\n"), "hello");
	refuse(S("5;a=\"\r\nhello\r\n0\r\n\r\n"), H1_E_CHUNK);
	refuse(S("5;a=\"x\r\n\"\r\nhello\r\n"), H1_E_CHUNK);
	refuse(S("5;a=\"\\\r\n"), H1_E_CHUNK);
	refuse(S("5;a\nhello\r\n"), H1_E_CHUNK);
	refuse(S("5;a\rhello\r\n"), H1_E_CHUNK);
	refuse(S("5;a\x01\r\nhello\r\n"), H1_E_CHUNK);
	refuse(S("5;a\x80\r\nhello\r\n"), H1_E_CHUNK);
}

static void test_extensions_are_limited_for_each_chunk(void **state)
{
	char text[2 * H1_MAX_CHUNK_EXT + 64];
	char ext[H1_MAX_CHUNK_EXT + 2];

	(void)state;
	memset(ext, 'x', sizeof(ext));
	ext[H1_MAX_CHUNK_EXT] = '\0';
	snprintf(text, sizeof(text), "1;%s\r\na\r\n1;%s\r\nb\r\n0\r\n\r\n", ext, ext);
	accept(rk_str(text), "ab");
	ext[H1_MAX_CHUNK_EXT] = 'x';
	ext[H1_MAX_CHUNK_EXT + 1] = '\0';
	snprintf(text, sizeof(text), "1;%s\r\na\r\n0\r\n\r\n", ext);
	refuse(rk_str(text), H1_E_CHUNK);
}

static void test_trailers_are_checked_and_dropped(void **state)
{
	(void)state;
	accept(S("1\r\nx\r\n0\r\nExpires: never\r\nX-Sum:\t1\r\nEmpty:\r\n\r\n"), "x");
	refuse(S("0\r\nBad Name: x\r\n\r\n"), H1_E_TRAILER);
	refuse(S("0\r\nSpace : x\r\n\r\n"), H1_E_TRAILER);
	refuse(S("0\r\n: x\r\n\r\n"), H1_E_TRAILER);
	refuse(S("0\r\nnocolon\r\n\r\n"), H1_E_TRAILER);
	refuse(S("0\r\nA: b\r\n folded\r\n\r\n"), H1_E_TRAILER);
	refuse(S("0\r\nA: b\nC: d\r\n\r\n"), H1_E_TRAILER);
	refuse(S("0\r\nA: b\rC: d\r\n\r\n"), H1_E_TRAILER);
	refuse(S("0\r\nA: \0\r\n\r\n"), H1_E_TRAILER);
	refuse(S("0\r\nA: \x80\r\n\r\n"), H1_E_TRAILER);
	refuse(S("0\r\nA: \x7f\r\n\r\n"), H1_E_TRAILER);
}

static void test_trailers_are_limited_together(void **state)
{
	static char text[H1_MAX_TRAILER + 64];
	const size_t start = sizeof("0\r\n") - 1;
	size_t n = start;

	(void)state;
	memcpy(text, "0\r\n", n);
	for (; n + 8 <= start + H1_MAX_TRAILER; n += 8)
		memcpy(text + n, "A: 123\r\n", 8);
	assert_int_equal(n, start + H1_MAX_TRAILER);
	memcpy(text + n, "\r\n", 2);
	accept(rk_slice(text, n + 2), "");
	memcpy(text + n, "A:\r\n\r\n", 6);
	refuse(rk_slice(text, n + 6), H1_E_TRAILER);
	refuse(rk_slice(text, n + 1), H1_E_TRAILER);
}

static void test_any_split_gives_the_same_bytes(void **state)
{
	static const struct rk_slice bodies[] = {
	    S("5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n"),
	    S("5;a=\"q\\\"\";b\r\nhello\r\n0;z\r\nTrailer: 1\r\nOther:\r\n\r\nleft over"),
	    S("0001\r\n\n\r\n2\r\n\r\n\r\n0\r\n\r\n"),
	    S("5\r\nhello\r\n5\r\nworldX\r\n0\r\n\r\n"),
	    S("5\r\nhello\r\n5;\"\r\nworld\r\n"),
	    S("3\r\nabc\r\n0\r\nA: b\r\n c\r\n\r\n"),
	};
	static struct body split;

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
		decode(bodies[i]);
		for (size_t a = 0; a <= bodies[i].n; a++) {
			for (size_t b = a; b <= bodies[i].n; b++) {
				struct h1_chunked c;

				split = (struct body){0};
				h1_chunked_init(&c);
				feed(&c, rk_slice(bodies[i].p, a), &split);
				feed(&c, rk_slice(bodies[i].p + a, b - a), &split);
				feed(&c, rk_slice_skip(bodies[i], b), &split);
				assert_int_equal(split.err, whole.err);
				assert_int_equal(split.done, whole.done);
				assert_int_equal(split.n, whole.n);
				assert_memory_equal(split.bytes, whole.bytes, whole.n);
				if (!whole.err)
					assert_int_equal(split.consumed, whole.consumed);
			}
		}
	}
}

static void test_what_is_dropped_is_told(void **state)
{
	static const struct {
		struct rk_slice in;
		bool dropped;
	} cases[] = {
	    {S("2\r\nok\r\n0\r\n\r\n"), false},
	    {S("2;a\r\nok\r\n0\r\n\r\n"), true},
	    {S("2\r\nok\r\n0;a=\"b\"\r\n\r\n"), true},
	    {S("2\r\nok\r\n0\r\nA: b\r\n\r\n"), true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct h1_chunked c;

		h1_chunked_init(&c);
		whole = (struct body){0};
		feed(&c, cases[i].in, &whole);
		assert_true(whole.done);
		assert_int_equal(c.dropped, cases[i].dropped);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_chunks_are_joined),
	    cmocka_unit_test(test_what_follows_the_last_chunk_is_not_consumed),
	    cmocka_unit_test(test_no_input_asks_for_more),
	    cmocka_unit_test(test_sizes_are_plain_hexadecimal),
	    cmocka_unit_test(test_a_size_has_at_most_16_digits),
	    cmocka_unit_test(test_chunk_lines_end_with_cr_lf),
	    cmocka_unit_test(test_extensions_are_skipped_with_their_quotes_in_view),
	    cmocka_unit_test(test_extensions_are_limited_for_each_chunk),
	    cmocka_unit_test(test_trailers_are_checked_and_dropped),
	    cmocka_unit_test(test_trailers_are_limited_together),
	    cmocka_unit_test(test_any_split_gives_the_same_bytes),
	    cmocka_unit_test(test_what_is_dropped_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

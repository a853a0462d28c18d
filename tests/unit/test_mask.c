#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/base62.h"
#include "base/record.h"
#include "http/mask.h"
#include "tests/lib/mask_reference.h"

#define S(text)  ((struct rk_slice){(text), sizeof(text) - 1})
#define SECRET   "sk-proj-Zq81_TfX0bKd7wRmY2"
#define PASSWORD "hunter2hunter2"

enum { ROOM = 1 << 20 };

static const uint8_t key[MASK_KEY] = "0123456789abcde";

static struct mask made(const struct rk_slice *needles, unsigned count)
{
	char list[MASK_LIST_BYTES];
	struct mask m;
	size_t used = 0;

	for (unsigned i = 0; i < count; i++)
		assert_int_equal(mask_list_add(list, sizeof list, &used, needles[i], key), 0);
	assert_int_equal(mask_init(&m, rk_slice(list, used)), 0);
	assert_int_equal(m.count, count);
	return m;
}

/* A response as it passes: pieces come, what is kept back comes again in front. */
struct passage {
	struct mask mask;
	char work[ROOM], out[ROOM];
	size_t kept, passed;
};

static struct passage *begin(const struct rk_slice *needles, unsigned count)
{
	struct passage *p = calloc(1, sizeof *p);

	assert_non_null(p);
	p->mask = made(needles, count);
	return p;
}

static void piece(struct passage *p, struct rk_slice in, bool last)
{
	size_t n = p->kept + in.n, pass;

	if (in.n)
		memcpy(p->work + p->kept, in.p, in.n);
	pass = mask_scan(&p->mask, p->work, n, last);
	assert_true(pass <= n);
	memcpy(p->out + p->passed, p->work, pass);
	p->passed += pass;
	memmove(p->work, p->work + pass, n - pass);
	p->kept = n - pass;
}

static void expect(struct passage *p, struct rk_slice wanted)
{
	assert_int_equal(p->kept, 0);
	assert_int_equal(p->passed, wanted.n);
	assert_memory_equal(p->out, wanted.p, wanted.n);
	free(p);
}

/* In pieces of at most `size` bytes, against the reference. */
static bool check(struct rk_slice text, const struct rk_slice *needles, unsigned count,
                  size_t size)
{
	struct passage *p = begin(needles, count);
	char *wanted = malloc(text.n + 1);
	bool found = mask_reference(text, needles, count, wanted);

	for (size_t at = 0; at < text.n; at += size) {
		size_t n = text.n - at < size ? text.n - at : size;

		piece(p, rk_slice(text.p + at, n), at + n == text.n);
	}
	assert_int_equal(p->mask.found, found);
	expect(p, rk_slice(wanted, text.n));
	free(wanted);
	return found;
}

/* ---- */

static void a_needle_is_masked_and_its_neighbours_are_not(void **state)
{
	const struct rk_slice needle = S(SECRET);
	struct passage *p = begin(&needle, 1);

	(void)state;
	piece(p, S("{\"key\":\"" SECRET "\",\"near\":\"sk-proj-Zq81_TfX0bKd7wRmY3\"}"), true);
	assert_true(p->mask.found);
	expect(p, S("{\"key\":\"**************************\",\"near\":\"sk-proj-Zq81_"
	            "TfX0bKd7wRmY3\"}"));
}

static void a_needle_is_found_wherever_it_is_cut(void **state)
{
	static const char text[] = "Bearer " SECRET " and " SECRET SECRET "x";
	const struct rk_slice needle = S(SECRET);

	(void)state;
	for (size_t a = 0; a < sizeof text - 1; a++) {
		for (size_t b = a; b < sizeof text - 1; b++) {
			struct passage *p = begin(&needle, 1);
			char wanted[sizeof text];

			mask_reference(S(text), &needle, 1, wanted);
			piece(p, rk_slice(text, a), false);
			piece(p, rk_slice(text + a, b - a), false);
			piece(p, rk_slice(text + b, sizeof text - 1 - b), true);
			expect(p, rk_slice(wanted, sizeof text - 1));
		}
	}
}

static void byte_by_byte_it_is_the_same(void **state)
{
	static const char text[] =
	    "x" SECRET "," PASSWORD "sk-" SECRET " " PASSWORD PASSWORD "hunter2";
	const struct rk_slice needles[] = {S(SECRET), S(PASSWORD), S("proj-Zq81")};

	(void)state;
	for (unsigned count = 1; count <= 3; count++) {
		for (size_t size = 1; size < sizeof text; size++)
			assert_true(check(S(text), needles, count, size));
	}
}

static void needles_that_overlap_are_masked_whole(void **state)
{
	static const char periodic[] = "abcabcabcabcabcabcabcab abcabcabc aaaaaaaaaaaa";
	const struct rk_slice needles[] = {S("abcabcabc"), S("cabcabca"), S("aaaaaaaa"),
	                                   S("cab abcabc")};

	(void)state;
	for (unsigned count = 1; count <= 4; count++) {
		for (size_t size = 1; size < sizeof periodic; size++)
			assert_true(check(S(periodic), needles, count, size));
	}
}

static void any_mixture_is_masked_like_the_reference_does_it(void **state)
{
	static const char letters[] = "ab\nc";
	const struct rk_slice needles[] = {S("abababab"), S("bababbaaab"),
	                                   S("aabbaabbaabbaabbaabbaabb"), S("ab\nab\nab")};
	char text[400];
	uint32_t seed = 7;
	unsigned hits = 0;

	(void)state;
	for (unsigned round = 0; round < 4000; round++) {
		size_t n = 0;

		while (n < sizeof text - 32) {
			const struct rk_slice *s = &needles[seed >> 8 & 3];

			seed = seed * 1664525 + 1013904223;
			if ((seed >> 28) < 3) {
				size_t part = (seed >> 12) % (s->n + 1);

				memcpy(text + n, s->p, part);
				n += part;
			} else {
				text[n++] = letters[seed >> 24 & 3];
			}
		}
		hits += check(rk_slice(text, n), needles, 1 + (seed >> 20 & 3),
		              1 + (seed >> 16) % 40);
	}
	assert_true(hits > 1000);
}

static void the_end_of_the_body_lets_go_what_was_kept(void **state)
{
	const struct rk_slice needle = S(SECRET);

	(void)state;
	for (size_t n = 1; n < needle.n; n++) {
		struct passage *p = begin(&needle, 1);

		piece(p, rk_slice(SECRET, n), false);
		assert_int_equal(p->kept, n);
		piece(p, S(""), true);
		assert_false(p->mask.found);
		expect(p, rk_slice(SECRET, n));
	}
}

static void only_what_may_begin_a_needle_is_kept_back(void **state)
{
	static const struct {
		struct rk_slice text;
		size_t kept;
	} cases[] = {
	    {S("data: {\"a\":1}\n\n"), 0},
	    {S("data: sk-proj-Zq81_TfX0bKd7wRmY2\n\n"), 0}, /* whole: masked and passed */
	    {S("data: sk-proj-Zq81_TfX0bKd7wRmY\n\n"), 0},
	    {S("hello"), 0},
	    {S("no spaces"), 1},
	    {S("ask"), 2},
	    {S("ask "), 0},
	    {S("ask\""), 0},
	    {S("sk-proj-"), 8},
	    {S("sk-proj-Zq81_TfX0bKd7wRmY"), 25},
	    {S("sk-proj-zq81_TfX0bKd7wRmY"), 0}, /* another byte where the anchor is */
	    {S("sk-sk-sk-sk-sk-sk-sk-s"), 7},
	    {S("s\xc3\xa9"), 0},
	    {S("ssssssssssssssssssssssssssssssssssssssssssssss"), 1},
	};
	const struct rk_slice needle = S(SECRET);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct passage *p = begin(&needle, 1);

		piece(p, cases[i].text, false);
		if (p->kept != cases[i].kept)
			fail_msg("%s: %zu kept", cases[i].text.p, p->kept);
		free(p);
	}
}

static void a_byte_that_no_needle_has_is_never_kept_back(void **state)
{
	const struct rk_slice needles[] = {S(SECRET), S(PASSWORD),
	                                   S("dXNlcjpodW50ZXIyaHVudGVyMg")};
	static const char never[] = "\n\r\t \"'\\{}[](),:;<>!?@%&#|\x7f\x80\xff*";

	(void)state;
	for (size_t i = 0; i < sizeof never; i++) {
		char text[] = SECRET PASSWORD "x";

		for (size_t cut = 0; cut < sizeof text - 1; cut++) {
			struct passage *p = begin(needles, 3);

			text[cut] = never[i];
			piece(p, rk_slice(text, cut + 1), false);
			assert_int_equal(p->kept, 0);
			free(p);
			text[cut] = (SECRET PASSWORD "x")[cut];
		}
	}
}

static void less_than_the_longest_needle_is_kept_back(void **state)
{
	const struct rk_slice needles[] = {S(PASSWORD), S("aaaaaaaaaaaaaaaaaaaaaaaa")};
	struct passage *p = begin(needles, 2);
	char text[300];

	(void)state;
	memset(text, 'a', sizeof text);
	for (size_t n = 1; n < sizeof text; n += 7) {
		piece(p, rk_slice(text, n), false);
		assert_true(p->kept < needles[1].n);
	}
	free(p);
}

static void noise_passes_as_it_is(void **state)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const struct rk_slice needles[] = {S(SECRET),
	                                   S("c3ZjOnNrLXByb2otWnE4MV9UZlgwYktkN3dSbVky")};
	char *text = malloc(ROOM);
	uint32_t seed = 1;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < ROOM; i++) {
		seed = seed * 1664525 + 1013904223;
		text[i] = digits[seed >> 26];
	}
	/* all of a needle but its last byte, and all but its first */
	for (size_t at = 100; at < ROOM - 100; at += 1000) {
		memcpy(text + at, needles[at / 1000 % 2].p, needles[at / 1000 % 2].n - 1);
		text[at + needles[at / 1000 % 2].n - 1] = '/';
	}
	assert_false(check(rk_slice(text, ROOM), needles, 2, 16384));
	memcpy(text + 16384 * 3 - 5, SECRET, sizeof SECRET - 1);
	assert_true(check(rk_slice(text, ROOM), needles, 2, 16384));
	free(text);
}

static void the_lengths_that_are_masked_are_those_promised(void **state)
{
	char list[MASK_LIST_BYTES], *big = malloc(MASK_MAX + 1);
	struct rk_slice needle = rk_slice(big, MASK_MAX);
	size_t used = 0;

	(void)state;
	memset(big, 'k', MASK_MAX + 1);
	assert_int_equal(mask_list_add(list, sizeof list, &used, S("1234567"), key),
	                 RK_E_INVALID);
	assert_int_equal(
	    mask_list_add(list, sizeof list, &used, rk_slice(big, MASK_MAX + 1), key),
	    RK_E_INVALID);
	assert_int_equal(used, 0);
	assert_true(check(S("a12345678b"), &S("12345678"), 1, 3));
	assert_true(check(needle, &needle, 1, 1000));
	for (unsigned i = 0; i < MASK_NEEDLES; i++)
		assert_int_equal(mask_list_add(list, sizeof list, &used, needle, key), 0);
	assert_int_equal(mask_list_add(list, sizeof list, &used, needle, key), RK_E_TOOBIG);
	free(big);
}

static void nothing_is_masked_without_fingerprints(void **state)
{
	char text[] = SECRET;
	struct mask m = {0};

	(void)state;
	assert_int_equal(mask_scan(&m, text, sizeof text, false), sizeof text);
	assert_int_equal(mask_init(&m, S("")), 0);
	assert_int_equal(mask_scan(&m, text, sizeof text, false), sizeof text);
	assert_string_equal(text, SECRET);
}

static void a_fingerprint_holds_no_more_of_the_needle_than_it_says(void **state)
{
	char list[MASK_LIST_BYTES];
	size_t used = 0;

	(void)state;
	assert_int_equal(mask_list_add(list, sizeof list, &used, S(SECRET), key), 0);
	assert_null(memmem(list, used, "sk-p", 4));
	for (size_t at = 1; at + 3 <= sizeof SECRET - 1; at++)
		assert_null(memmem(list, used, SECRET + at, 3));
	used = 0;
	assert_int_equal(mask_list_add(list, sizeof list, &used, S(PASSWORD), key), 0);
	for (size_t at = 0; at + 2 <= sizeof PASSWORD - 1; at++)
		assert_null(memmem(list, used, PASSWORD + at, 2));
}

static void another_key_gives_another_fingerprint(void **state)
{
	static const uint8_t other[MASK_KEY] = "0123456789abcdf";
	char a[MASK_LIST_BYTES], b[MASK_LIST_BYTES];
	size_t a_n = 0, b_n = 0, same = 0;

	(void)state;
	assert_int_equal(mask_list_add(a, sizeof a, &a_n, S(SECRET), key), 0);
	assert_int_equal(mask_list_add(b, sizeof b, &b_n, S(SECRET), other), 0);
	assert_int_equal(a_n, b_n);
	for (size_t i = a_n - MASK_DIGEST; i < a_n; i++)
		same += a[i] == b[i];
	assert_true(same < MASK_DIGEST / 2);
}

static void a_malformed_list_is_refused(void **state)
{
	char list[MASK_LIST_BYTES], more[512];
	struct mask m = {.count = 1};
	size_t used = 0, n = 0;
	struct rk_slice item, rest;

	(void)state;
	assert_int_equal(mask_list_add(list, sizeof list, &used, S(SECRET), key), 0);
	rest = rk_slice(list, used);
	assert_true(record_list_next(&rest, &item));
	for (unsigned i = 0; i <= MASK_NEEDLES; i++)
		assert_int_equal(record_list_add(more, sizeof more, &n, item), 0);
	assert_int_equal(mask_init(&m, rk_slice(more, n)), RK_E_PROTOCOL);
	n = 0;
	assert_int_equal(record_list_add(more, sizeof more, &n, rk_slice(item.p, item.n - 1)),
	                 0);
	assert_int_equal(mask_init(&m, rk_slice(more, n)), RK_E_PROTOCOL);
	assert_int_equal(m.count, 1); /* untouched */
	/* length 0, length 7, over the limit; an anchor behind the end; a front of two */
	for (unsigned i = 0; i < 5; i++) {
		static const struct {
			unsigned at;
			uint8_t low, high;
		} bad[] = {
		    {4, 0, 0}, {4, 7, 0}, {4, 1, 0x20}, {8, sizeof SECRET - 1, 0}, {11, 2, 0}};
		char changed[MASK_LIST_BYTES];

		memcpy(changed, list, used);
		changed[bad[i].at] = (char)bad[i].low;
		if (i != 4)
			changed[bad[i].at + 1] = (char)bad[i].high;
		assert_int_equal(mask_init(&m, rk_slice(changed, used)), RK_E_PROTOCOL);
	}
	assert_int_equal(mask_init(&m, rk_slice(list, used)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_needle_is_masked_and_its_neighbours_are_not),
	    cmocka_unit_test(a_needle_is_found_wherever_it_is_cut),
	    cmocka_unit_test(byte_by_byte_it_is_the_same),
	    cmocka_unit_test(needles_that_overlap_are_masked_whole),
	    cmocka_unit_test(any_mixture_is_masked_like_the_reference_does_it),
	    cmocka_unit_test(the_end_of_the_body_lets_go_what_was_kept),
	    cmocka_unit_test(only_what_may_begin_a_needle_is_kept_back),
	    cmocka_unit_test(a_byte_that_no_needle_has_is_never_kept_back),
	    cmocka_unit_test(less_than_the_longest_needle_is_kept_back),
	    cmocka_unit_test(noise_passes_as_it_is),
	    cmocka_unit_test(the_lengths_that_are_masked_are_those_promised),
	    cmocka_unit_test(nothing_is_masked_without_fingerprints),
	    cmocka_unit_test(a_fingerprint_holds_no_more_of_the_needle_than_it_says),
	    cmocka_unit_test(another_key_gives_another_fingerprint),
	    cmocka_unit_test(a_malformed_list_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

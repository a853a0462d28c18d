/*
 * libcurl's memory: small pieces in the arena, all of them given back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <curl/curl.h>

#include "base/secret.h"
#include "base/curl_memory.h"

#define PASSWORD "smtp-pass-51c07e9ab3"

static int setup(void **state)
{
	struct rk_fault fault;

	(void)state;
	if (secret_arena_init(1 << 20, SECRET_BACKING_LOCKED, &fault))
		return -1;
	return curl_memory_init(CURL_MEMORY_SMALL, &fault);
}

static void test_what_libcurl_copies_of_a_password_is_in_secret_memory_and_comes_back(
    void **state)
{
	CURL *easy = curl_easy_init();
	size_t at_rest;

	(void)state;
	assert_non_null(easy);
	at_rest = secret_arena_in_use();
	assert_int_equal(curl_easy_setopt(easy, CURLOPT_PASSWORD, PASSWORD), CURLE_OK);
	assert_true(secret_arena_in_use() > at_rest);
	assert_int_equal(curl_easy_setopt(easy, CURLOPT_PASSWORD, NULL), CURLE_OK);
	assert_int_equal(secret_arena_in_use(), at_rest);
	curl_easy_cleanup(easy);
}

/* A string list is what libcurl allocates by itself: each item is a piece. */
static void test_pieces_are_where_their_size_says(void **state)
{
	static char longer[CURL_MEMORY_SMALL + 1];
	struct curl_slist *list;

	(void)state;
	memset(longer, 'x', sizeof longer - 1);
	list = curl_slist_append(NULL, PASSWORD);
	list = curl_slist_append(list, longer);
	assert_non_null(list);
	assert_true(secret_arena_holds(list->data));
	assert_string_equal(list->data, PASSWORD);
	assert_false(secret_arena_holds(list->next->data));
	assert_string_equal(list->next->data, longer);
	curl_slist_free_all(list);
}

/* Escaping grows a buffer from nothing to beyond the small pieces. */
static void test_a_piece_that_grows_keeps_what_is_in_it(void **state)
{
	static char text[CURL_MEMORY_SMALL * 2];
	CURL *easy = curl_easy_init();
	char *escaped;

	(void)state;
	memset(text, ' ', sizeof text - 1);
	escaped = curl_easy_escape(easy, text, 0);
	assert_non_null(escaped);
	assert_int_equal(strlen(escaped), 3 * (sizeof text - 1));
	for (size_t i = 0; escaped[i]; i += 3)
		assert_memory_equal(escaped + i, "%20", 3);
	curl_free(escaped);
	curl_easy_cleanup(easy);
}

static void test_without_secret_memory_libcurl_is_told_so(void **state)
{
	struct rk_secret all[32] = {{0}};
	unsigned n = 0;
	size_t size = SECRET_MAX_BYTES;

	(void)state;
	while (size >= 64) {
		while (n < 32 && rk_secret_alloc(&all[n], size) == 0)
			n++;
		size /= 4;
	}
	assert_null(curl_slist_append(NULL, PASSWORD));
	while (n)
		rk_secret_free(&all[--n]);
	{
		struct curl_slist *list = curl_slist_append(NULL, PASSWORD);

		assert_non_null(list);
		curl_slist_free_all(list);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
	        test_what_libcurl_copies_of_a_password_is_in_secret_memory_and_comes_back),
	    cmocka_unit_test(test_pieces_are_where_their_size_says),
	    cmocka_unit_test(test_a_piece_that_grows_keeps_what_is_in_it),
	    cmocka_unit_test(test_without_secret_memory_libcurl_is_told_so),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}

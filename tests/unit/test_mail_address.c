/* Which texts mail is sent to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "policy/mail_address.h"

enum { LABEL_MAX = 63 };

static bool is_address(struct rk_slice text)
{
	return mail_address_check(text, NULL) == 0;
}

static void ordinary_addresses_are_taken(void **state)
{
	static const char *const good[] = {
	    "ada@example.com",
	    "a@b",
	    "first.last+tag@mail.example.co.uk",
	    "o'brien_{x}~!@xn--bcher-kva.example",
	    "1@2.3",
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		if (!is_address(rk_str(good[i])))
			fail_msg("refused: %s", good[i]);
	}
}

static void what_could_end_a_header_or_name_a_second_person_is_not(void **state)
{
	static const char *const bad[] = {
	    "",
	    "ada",
	    "@example.com",
	    "ada@",
	    "a@b@c",
	    "ada@example..com",
	    "ada@.example.com",
	    "ada@example.com.",
	    ".a@b",
	    "a.@b",
	    "a..b@c",
	    "a b@c",
	    "a@b c",
	    "a@b\n",
	    "a@b\r\nBcc: x@y",
	    "a@b,c@d",
	    "<a@b>",
	    "\"a\"@b",
	    "a(x)@b",
	    "a@[192.0.2.1]",
	    "a@-b",
	    "a@b-",
	    "a@b_c",
	    "\xc3\xa4@b",
	    "a@\xc3\xa4",
	    "a\\@b",
	    "a:b@c",
	    "a;b@c",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		if (is_address(rk_str(bad[i])))
			fail_msg("taken: %s", bad[i]);
	}
	assert_false(is_address(rk_slice("a@b\0c", 5)));
	assert_false(is_address(rk_slice("a\0@b", 4)));
}

static void the_limits_are_exact(void **state)
{
	char text[MAIL_ADDRESS_MAX + 8];
	size_t n = 0;

	(void)state;
	memset(text, 'a', sizeof text);
	text[MAIL_LOCAL_MAX] = '@';
	assert_true(is_address(rk_slice(text, MAIL_LOCAL_MAX + 1 + LABEL_MAX)));
	assert_false(is_address(rk_slice(text, MAIL_LOCAL_MAX + 1 + LABEL_MAX + 1)));
	memset(text, 'a', sizeof text);
	text[MAIL_LOCAL_MAX + 1] = '@';
	assert_false(is_address(rk_slice(text, MAIL_LOCAL_MAX + 3)));
	memset(text, 'a', sizeof text);
	text[1] = '@';
	for (n = 3; n < sizeof text; n += 2)
		text[n] = '.';
	assert_true(is_address(rk_slice(text, MAIL_ADDRESS_MAX - 1)));
	assert_false(is_address(rk_slice(text, MAIL_ADDRESS_MAX + 1)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ordinary_addresses_are_taken),
	    cmocka_unit_test(what_could_end_a_header_or_name_a_second_person_is_not),
	    cmocka_unit_test(the_limits_are_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

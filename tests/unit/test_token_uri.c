/*
 * Which token is meant: labels and RFC 7512 URIs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "pkcs11/uri.h"

static struct rk_fault fault;

static int parse(const char *text, struct token_uri *uri)
{
	return token_uri_parse(rk_str(text), uri, &fault);
}

static void a_plain_label_is_taken_as_it_is(void **state)
{
	struct token_uri uri;

	(void)state;
	assert_int_equal(parse("My token; 100%", &uri), 0);
	assert_string_equal(uri.token, "My token; 100%");
	assert_false(uri.has_slot_id);
}

static void a_label_has_at_most_32_bytes(void **state)
{
	struct token_uri uri;

	(void)state;
	assert_int_equal(parse("01234567890123456789012345678901", &uri), 0);
	assert_int_equal(parse("012345678901234567890123456789012", &uri), RK_E_INVALID);
	assert_int_equal(parse("", &uri), RK_E_INVALID);
}

static void all_token_attributes_are_understood(void **state)
{
	struct token_uri uri;

	(void)state;
	assert_int_equal(
	    parse("pkcs11:token=The%20Token;manufacturer=Snake%20Oil%2C%20Inc.;model=1.0;"
	          "serial=DECC0401648;slot-id=327",
	          &uri),
	    0);
	assert_string_equal(uri.token, "The Token");
	assert_string_equal(uri.manufacturer, "Snake Oil, Inc.");
	assert_string_equal(uri.model, "1.0");
	assert_string_equal(uri.serial, "DECC0401648");
	assert_true(uri.has_slot_id);
	assert_int_equal(uri.slot_id, 327);
}

static void one_attribute_is_enough(void **state)
{
	struct token_uri uri;

	(void)state;
	assert_int_equal(parse("pkcs11:slot-id=0", &uri), 0);
	assert_true(uri.has_slot_id);
	assert_string_equal(uri.token, "");
	assert_int_equal(parse("pkcs11:serial=%41b", &uri), 0);
	assert_string_equal(uri.serial, "Ab");
}

static void a_uri_that_names_nothing_is_refused(void **state)
{
	struct token_uri uri;

	(void)state;
	assert_int_equal(parse("pkcs11:", &uri), RK_E_INVALID);
	assert_int_equal(parse("pkcs11:token=", &uri), RK_E_INVALID);
	assert_int_equal(parse("pkcs11:;token=a", &uri), RK_E_INVALID);
	assert_int_equal(parse("pkcs11:token=a;;serial=b", &uri), RK_E_INVALID);
}

static void a_pin_or_module_in_the_uri_is_refused(void **state)
{
	struct token_uri uri;

	(void)state;
	assert_int_equal(parse("pkcs11:token=a?pin-value=1234", &uri), RK_E_INVALID);
	assert_null(strstr(fault.text, "1234"));
	assert_int_equal(parse("pkcs11:token=a?module-path=/x.so", &uri), RK_E_INVALID);
	assert_int_equal(parse("pkcs11:token=a", &uri), 0);
}

static void unknown_and_repeated_attributes_are_refused(void **state)
{
	struct token_uri uri;

	(void)state;
	assert_int_equal(parse("pkcs11:token=a;object=key", &uri), RK_E_INVALID);
	assert_non_null(strstr(fault.text, "object"));
	assert_int_equal(parse("pkcs11:token=a;token=a", &uri), RK_E_INVALID);
	assert_int_equal(parse("pkcs11:slot-id=1;slot-id=1", &uri), RK_E_INVALID);
	assert_int_equal(parse("pkcs11:Token=a", &uri), RK_E_INVALID);
}

static void bad_escapes_are_refused(void **state)
{
	static const char *const bad[] = {
	    "pkcs11:token=%",
	    "pkcs11:token=a%4",
	    "pkcs11:token=%zz",
	    "pkcs11:token=a%00b",
	    "pkcs11:token=a b",
	    "pkcs11:token=a/b",
	    "pkcs11:slot-id=-1",
	    "pkcs11:slot-id=0x10",
	    "pkcs11:slot-id=99999999999999999999",
	    "pkcs11:serial=01234567890123456",
	};
	struct token_uri uri = {.token = "untouched"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(parse(bad[i], &uri), RK_E_INVALID);
	assert_string_equal(uri.token, "untouched");
	assert_int_equal(parse("pkcs11:token=a%2fb;serial=0123456789012345", &uri), 0);
	assert_string_equal(uri.token, "a/b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_plain_label_is_taken_as_it_is),
	    cmocka_unit_test(a_label_has_at_most_32_bytes),
	    cmocka_unit_test(all_token_attributes_are_understood),
	    cmocka_unit_test(one_attribute_is_enough),
	    cmocka_unit_test(a_uri_that_names_nothing_is_refused),
	    cmocka_unit_test(a_pin_or_module_in_the_uri_is_refused),
	    cmocka_unit_test(unknown_and_repeated_attributes_are_refused),
	    cmocka_unit_test(bad_escapes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

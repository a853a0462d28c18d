#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/mgmt_role.h"

static void test_a_role_is_read_as_it_is_written(void **state)
{
	(void)state;
	for (unsigned role = ROLE_ADMIN; role < ROLE_COUNT; role++) {
		enum mgmt_role back;

		assert_int_equal(mgmt_role_parse(rk_str(mgmt_role_name(role)), &back), 0);
		assert_int_equal(back, role);
	}
}

static void test_nobody_is_no_role_that_can_be_given(void **state)
{
	enum mgmt_role role = ROLE_AUDITOR;

	(void)state;
	assert_int_equal(mgmt_role_parse(rk_str("nobody"), &role), RK_E_INVALID);
	assert_int_equal(mgmt_role_parse(rk_str("Admin"), &role), RK_E_INVALID);
	assert_int_equal(mgmt_role_parse(rk_str(""), &role), RK_E_INVALID);
	assert_int_equal(role, ROLE_AUDITOR);
	assert_string_equal(mgmt_role_name(ROLE_COUNT), "unknown");
}

static void test_only_who_is_in_the_mask_may(void **state)
{
	(void)state;
	assert_true(mgmt_role_may(ROLE_ADMIN, MAY_ADMIN));
	assert_false(mgmt_role_may(ROLE_OPERATOR, MAY_ADMIN));
	assert_true(mgmt_role_may(ROLE_OPERATOR, MAY_OPERATE));
	assert_false(mgmt_role_may(ROLE_AUDITOR, MAY_OPERATE));
	assert_true(mgmt_role_may(ROLE_AUDITOR, MAY_READ));
	assert_false(mgmt_role_may(ROLE_PROVISIONER, MAY_READ));
	assert_true(mgmt_role_may(ROLE_PROVISIONER, MAY_MINT));
	assert_true(mgmt_role_may(ROLE_NOBODY, MAY_ANYONE));
	for (unsigned role = ROLE_ADMIN; role < ROLE_COUNT; role++)
		assert_true(mgmt_role_may(role, MAY_EVERY_ROLE));
	assert_false(mgmt_role_may(ROLE_NOBODY, MAY_EVERY_ROLE));
	assert_false(mgmt_role_may(ROLE_COUNT, UINT32_MAX));
	assert_false(mgmt_role_may(33, UINT32_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_role_is_read_as_it_is_written),
	    cmocka_unit_test(test_nobody_is_no_role_that_can_be_given),
	    cmocka_unit_test(test_only_who_is_in_the_mask_may),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The management key's format. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/base62.h"
#include "policy/mgmt_key.h"

struct text {
	char s[MGMT_KEY_MAX];
	size_t n;
};

static struct text generate(enum mgmt_role role, struct mgmt_key *key)
{
	struct text t;

	t.n = mgmt_key_generate(role, t.s, key);
	assert_in_range(t.n, 1, MGMT_KEY_MAX);
	return t;
}

static void test_a_key_of_every_role_is_read_back(void **state)
{
	(void)state;
	for (unsigned role = ROLE_ADMIN; role < ROLE_COUNT; role++) {
		struct mgmt_key made, read;
		struct text t = generate(role, &made);

		assert_int_equal(mgmt_key_parse(rk_slice(t.s, t.n), &read), 0);
		assert_int_equal(read.role, role);
		assert_memory_equal(read.id, made.id, RELAY_KEY_ID);
		assert_memory_equal(t.s, "rk_mgmt_", 8);
	}
}

static void test_any_changed_byte_is_noticed(void **state)
{
	struct mgmt_key made, read;
	struct text t = generate(ROLE_PROVISIONER, &made);

	(void)state;
	for (size_t i = 0; i < t.n; i++) {
		char was = t.s[i];

		t.s[i] = was == 'x' ? 'y' : 'x';
		assert_int_equal(mgmt_key_parse(rk_slice(t.s, t.n), &read), RK_E_INVALID);
		t.s[i] = was;
	}
	for (size_t n = 0; n < t.n; n++)
		assert_int_equal(mgmt_key_parse(rk_slice(t.s, n), &read), RK_E_INVALID);
	assert_int_equal(mgmt_key_parse(rk_slice(t.s, t.n), &read), 0);
}

/* With its checksum right, so that the role alone is what is wrong. */
static void test_a_role_that_no_key_has_is_refused(void **state)
{
	static const char *const roles[] = {"nobody", "root", "", "Admin", "admin_admin"};
	struct mgmt_key read;
	char text[64 + RELAY_KEY_TAIL];

	(void)state;
	for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
		size_t n = (size_t)snprintf(text, 64, "rk_mgmt_%s_", roles[i]);

		n = relay_key_add_tail(text, n);
		assert_int_equal(mgmt_key_parse(rk_slice(text, n), &read), RK_E_INVALID);
	}
	assert_int_equal(
	    mgmt_key_parse(
	        rk_slice(text, relay_key_add_tail(
	                           text, (size_t)snprintf(text, 64, "rk_mgmt_admin_"))),
	        &read),
	    0);
}

static void test_a_relay_key_is_no_management_key_and_the_other_way_round(void **state)
{
	char text[RELAY_KEY_MAX];
	struct relay_key relay;
	struct mgmt_key made;
	struct text t = generate(ROLE_ADMIN, &made);
	size_t n = relay_key_generate(HOLDER_APP, text, &relay);

	(void)state;
	assert_int_equal(mgmt_key_parse(rk_slice(text, n), &made), RK_E_INVALID);
	assert_int_equal(relay_key_parse(rk_slice(t.s, t.n), &relay), RK_E_INVALID);
}

static void test_the_masked_form_is_read_back_and_shows_three_characters(void **state)
{
	char hint[RELAY_KEY_HINT], masked[MGMT_KEY_MASKED];
	enum mgmt_role role;

	(void)state;
	mgmt_key_mask(ROLE_PROVISIONER, "91k", masked);
	assert_string_equal(masked, "rk_mgmt_provisioner...91k");
	assert_int_equal(mgmt_key_parse_masked(rk_str(masked), &role, hint), 0);
	assert_int_equal(role, ROLE_PROVISIONER);
	assert_memory_equal(hint, "91k", sizeof hint);
	assert_int_equal(mgmt_key_parse_masked(rk_str("rk_mgmt_admin...91"), &role, hint),
	                 RK_E_INVALID);
	assert_int_equal(mgmt_key_parse_masked(rk_str("rk_mgmt_admin..91k"), &role, hint),
	                 RK_E_INVALID);
	assert_int_equal(mgmt_key_parse_masked(rk_str("rk_mgmt_nobody...91k"), &role, hint),
	                 RK_E_INVALID);
	assert_int_equal(mgmt_key_parse_masked(rk_str("rk_vendor...91k"), &role, hint),
	                 RK_E_INVALID);
}

static void test_a_key_in_a_text_that_is_written_down_is_redacted(void **state)
{
	char text[MGMT_KEY_MAX + 16] = "pasted: ";
	struct mgmt_key made;
	struct text t = generate(ROLE_PROVISIONER, &made);

	(void)state;
	memcpy(text + 8, t.s, t.n);
	relay_key_redact(text, 8 + t.n);
	assert_null(memmem(text, 8 + t.n, t.s + t.n - RELAY_KEY_SECRET, RELAY_KEY_SECRET));
	assert_non_null(memmem(text, 8 + t.n, made.id, RELAY_KEY_ID));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_key_of_every_role_is_read_back),
	    cmocka_unit_test(test_any_changed_byte_is_noticed),
	    cmocka_unit_test(test_a_role_that_no_key_has_is_refused),
	    cmocka_unit_test(test_a_relay_key_is_no_management_key_and_the_other_way_round),
	    cmocka_unit_test(test_the_masked_form_is_read_back_and_shows_three_characters),
	    cmocka_unit_test(test_a_key_in_a_text_that_is_written_down_is_redacted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

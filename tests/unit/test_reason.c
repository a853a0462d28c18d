#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>

#include "policy/reason.h"

/* The codes are a promise to clients: a change here breaks somebody's script. */
static void test_each_reason_keeps_its_released_code_and_status(void **state)
{
	static const struct {
		const char *code;
		unsigned status;
	} table[REASON_COUNT] = {
	    [REASON_OK] = {"ok", 0},
	    [REASON_BAD_REQUEST] = {"bad_request", 400},
	    [REASON_AMBIGUOUS_PATH] = {"ambiguous_path", 400},
	    [REASON_INVALID_KEY] = {"invalid_api_key", 401},
	    [REASON_METHOD_DENIED] = {"method_not_allowed", 403},
	    [REASON_PATH_DENIED] = {"path_not_allowed", 403},
	    [REASON_QUERY_DENIED] = {"query_param_not_allowed", 403},
	    [REASON_IP_DENIED] = {"ip_not_allowed", 403},
	    [REASON_CONN_NOT_GRANTED] = {"connection_not_granted", 403},
	    [REASON_CONN_DISABLED] = {"connection_disabled", 403},
	    [REASON_NO_CONN] = {"connection_not_found", 404},
	    [REASON_BODY_TOO_LARGE] = {"body_too_large", 413},
	    [REASON_EXPECTATION] = {"expectation_failed", 417},
	    [REASON_HEAD_TOO_LARGE] = {"head_too_large", 431},
	    [REASON_UPSTREAM_FAILED] = {"upstream_unreachable", 502},
	    [REASON_UPSTREAM_REFUSED] = {"upstream_refused", 502},
	    [REASON_UPSTREAM_TIMEOUT] = {"upstream_timeout", 504},
	    [REASON_SEALED] = {"sealed", 503},
	    [REASON_AUDIT_UNAVAILABLE] = {"audit_unavailable", 503},
	    [REASON_OVERLOADED] = {"overloaded", 503},
	    [REASON_CLIENT_TIMEOUT] = {"request_timeout", 408},
	    [REASON_UPGRADE_DENIED] = {"upgrade_not_supported", 501},
	    [REASON_RATE_LIMITED] = {"rate_limited", 429},
	    [REASON_CONCURRENCY_LIMITED] = {"concurrency_limited", 429},
	    [REASON_IP_UNCONFIRMED] = {"ip_not_confirmed", 423},
	    [REASON_TRAFFIC_STOPPED] = {"traffic_stopped", 403},
	};

	(void)state;
	for (unsigned i = 0; i < REASON_COUNT; i++) {
		assert_string_equal(reason_info(i)->code, table[i].code);
		assert_int_equal(reason_info(i)->status, table[i].status);
	}
}

static void test_error_types_are_those_the_sdks_know(void **state)
{
	static const struct {
		unsigned status;
		const char *type;
	} table[] = {{400, "invalid_request_error"},
	             {401, "authentication_error"},
	             {403, "permission_error"},
	             {404, "not_found_error"},
	             {413, "request_too_large"},
	             {429, "rate_limit_error"},
	             {502, "api_error"},
	             {504, "api_error"}};

	(void)state;
	for (unsigned i = 1; i < REASON_COUNT; i++) {
		const struct reason_info *r = reason_info(i);

		for (size_t k = 0; k < sizeof table / sizeof table[0]; k++) {
			if (r->status == table[k].status)
				assert_string_equal(r->type, table[k].type);
		}
	}
	assert_string_equal(reason_info(REASON_OVERLOADED)->type, "overloaded_error");
	assert_string_equal(reason_info(REASON_SEALED)->type, "api_error");
}

static void test_what_may_pass_by_itself_is_not_called_lasting(void **state)
{
	(void)state;
	for (unsigned i = 1; i < REASON_COUNT; i++) {
		const struct reason_info *r = reason_info(i);
		bool limited = r->status == 429, locked = r->status == 423;
		bool failed = r->status == 408 || r->status == 502 || r->status == 503 ||
		              r->status == 504;

		assert_int_equal(r->lasting, !failed && !limited);
		assert_int_equal(r->decision, locked    ? DECISION_LOCKED
		                              : limited ? DECISION_LIMITED
		                              : failed  ? DECISION_FAILED
		                                        : DECISION_DENIED);
	}
	assert_false(reason_info(REASON_OK)->lasting);
	assert_int_equal(reason_info(REASON_OK)->decision, DECISION_ALLOWED);
}

static void test_only_a_429_and_a_503_say_when_to_come_back(void **state)
{
	(void)state;
	for (unsigned i = 0; i < REASON_COUNT; i++)
		assert_int_equal(reason_info(i)->retry_after_s > 0,
		                 reason_info(i)->status == 503 ||
		                     reason_info(i)->status == 429);
	assert_int_equal(reason_info(REASON_SEALED)->retry_after_s, 5);
	assert_int_equal(reason_info(REASON_AUDIT_UNAVAILABLE)->retry_after_s, 5);
	assert_int_equal(reason_info(REASON_OVERLOADED)->retry_after_s, 1);
}

/* They are stored in audit rows: a number keeps its meaning for ever. */
static void test_reasons_keep_their_numbers(void **state)
{
	(void)state;
	assert_int_equal(REASON_OK, 0);
	assert_int_equal(REASON_INVALID_KEY, 3);
	assert_int_equal(REASON_NO_CONN, 10);
	assert_int_equal(REASON_SEALED, 17);
	assert_int_equal(REASON_UPGRADE_DENIED, 21);
	assert_int_equal(REASON_RATE_LIMITED, 22);
	assert_int_equal(REASON_CONCURRENCY_LIMITED, 23);
	assert_int_equal(DECISION_LOCKED, 2);
	assert_int_equal(DECISION_LIMITED, 3);
}

static void test_each_text_is_one_sentence_that_needs_no_escaping_in_json(void **state)
{
	(void)state;
	for (unsigned i = 0; i < REASON_COUNT; i++) {
		const char *text = reason_info(i)->text;
		size_t n = strlen(text);

		assert_in_range(n, 20, 160);
		assert_true(isupper((unsigned char)text[0]));
		assert_int_equal(text[n - 1], '.');
		for (size_t k = 0; k < n; k++) {
			assert_in_range((unsigned char)text[k], ' ', '~');
			assert_true(text[k] != '"' && text[k] != '\\');
		}
		assert_null(strstr(text, ". "));
	}
}

static void test_an_unknown_reason_is_a_bad_request(void **state)
{
	(void)state;
	assert_ptr_equal(reason_info(REASON_COUNT), reason_info(REASON_BAD_REQUEST));
	assert_ptr_equal(reason_info(0xffffffff), reason_info(REASON_BAD_REQUEST));
}

static void test_decisions_have_names(void **state)
{
	(void)state;
	assert_string_equal(decision_name(DECISION_ALLOWED), "allowed");
	assert_string_equal(decision_name(DECISION_DENIED), "denied");
	assert_string_equal(decision_name(DECISION_LOCKED), "locked");
	assert_string_equal(decision_name(DECISION_LIMITED), "limited");
	assert_string_equal(decision_name(DECISION_FAILED), "failed");
	assert_string_equal(decision_name(99), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_reason_keeps_its_released_code_and_status),
	    cmocka_unit_test(test_error_types_are_those_the_sdks_know),
	    cmocka_unit_test(test_what_may_pass_by_itself_is_not_called_lasting),
	    cmocka_unit_test(test_only_a_429_and_a_503_say_when_to_come_back),
	    cmocka_unit_test(test_reasons_keep_their_numbers),
	    cmocka_unit_test(test_each_text_is_one_sentence_that_needs_no_escaping_in_json),
	    cmocka_unit_test(test_an_unknown_reason_is_a_bad_request),
	    cmocka_unit_test(test_decisions_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "ipc/catalogue.h"
#include "ipc/frame.h"
#include "tests/lib/full_record.h"

/*
 * The permit table once more, written from the design and not from the code: s supervisor,
 * k keeper, r relay, w console, c courier, t control socket. Every pair that is not here is
 * refused.
 */
struct permit {
	enum ipc_type type;
	const char *pairs; /* "sk" = supervisor to keeper */
	enum ipc_phase phase;
};

#define TO_ROLES   "sk sr sw sc"
#define FROM_ROLES "ks rs ws cs"

static const struct permit permits[] = {
    {MSG_SETUP, TO_ROLES, IPC_PHASE_SETUP},
    {MSG_LISTENER, "sk sr sw", IPC_PHASE_SETUP},
    {MSG_PEER, TO_ROLES, IPC_PHASE_ANY},
    {MSG_TLS, "sr sw", IPC_PHASE_ANY},
    {MSG_TRUST, "sr sc", IPC_PHASE_ANY},
    {MSG_START, TO_ROLES, IPC_PHASE_SETUP},
    {MSG_READY, FROM_ROLES, IPC_PHASE_ANY},
    {MSG_FAILED, FROM_ROLES, IPC_PHASE_ANY},
    {MSG_STOP, TO_ROLES, IPC_PHASE_ANY},
    {MSG_LOG_LEVEL, TO_ROLES, IPC_PHASE_SERVE},
    {MSG_GATE, "kr", IPC_PHASE_SERVE},
    {MSG_UPSTREAM, "kr", IPC_PHASE_SERVE},
    {MSG_UPSTREAM_DROP, "kr", IPC_PHASE_SERVE},
    {MSG_AUTHORIZE, "rk", IPC_PHASE_SERVE},
    {MSG_DECISION, "kr", IPC_PHASE_SERVE},
    {MSG_CUT, "kr", IPC_PHASE_SERVE},
    {MSG_COMPLETE, "rk", IPC_PHASE_SERVE},
    {MSG_REFUSED, "rk", IPC_PHASE_SERVE},
    {MSG_STATUS_GET, "tk wk", IPC_PHASE_SERVE},
    {MSG_STATUS, "kt kw", IPC_PHASE_SERVE},
    {MSG_CONN_ADD, "tk wk", IPC_PHASE_SERVE},
    {MSG_CONN_GET, "tk wk", IPC_PHASE_SERVE},
    {MSG_CONN_LIST, "tk wk", IPC_PHASE_SERVE},
    {MSG_CONN_ROTATE, "tk wk", IPC_PHASE_SERVE},
    {MSG_CONN_STATE, "tk wk", IPC_PHASE_SERVE},
    {MSG_CONN_REMOVE, "tk wk", IPC_PHASE_SERVE},
    {MSG_CONN_INFO, "kt kw", IPC_PHASE_SERVE},
    {MSG_KEY_ISSUE, "tk wk", IPC_PHASE_SERVE},
    {MSG_KEY_GET, "tk wk", IPC_PHASE_SERVE},
    {MSG_KEY_LIST, "tk wk", IPC_PHASE_SERVE},
    {MSG_KEY_REVOKE, "tk wk", IPC_PHASE_SERVE},
    {MSG_KEY_EXTEND, "tk wk", IPC_PHASE_SERVE},
    {MSG_KEY_INFO, "kt kw", IPC_PHASE_SERVE},
    {MSG_AUDIT_QUERY, "tk wk", IPC_PHASE_SERVE},
    {MSG_AUDIT_ENTRY, "kt kw", IPC_PHASE_SERVE},
    {MSG_AUDIT_VERIFY, "tk wk", IPC_PHASE_SERVE},
    {MSG_AUDIT_VERIFIED, "kt kw", IPC_PHASE_SERVE},
    {MSG_DONE, "kt kw", IPC_PHASE_SERVE},
    {MSG_AGAIN, "rk", IPC_PHASE_SERVE},
    {MSG_EXPIRY, "kr", IPC_PHASE_SERVE},
    {MSG_DISCOVER, "rk", IPC_PHASE_SERVE},
    {MSG_DISCOVERED, "kr", IPC_PHASE_SERVE},
    {MSG_CONN_IDENTITY, "tk wk", IPC_PHASE_SERVE},
    {MSG_CONN_PROXY, "tk wk", IPC_PHASE_SERVE},
    {MSG_CALLER, "wk", IPC_PHASE_SERVE},
    {MSG_FORGET, "wk", IPC_PHASE_SERVE},
    {MSG_DELIVER, "kc", IPC_PHASE_SERVE},
    {MSG_DELIVERED, "ck", IPC_PHASE_SERVE},
    {MSG_SETTINGS_GET, "tk wk", IPC_PHASE_SERVE},
    {MSG_SETTINGS_SET, "tk wk", IPC_PHASE_SERVE},
    {MSG_MAIL_TEST, "tk wk", IPC_PHASE_SERVE},
    {MSG_HOOK_ADD, "tk wk", IPC_PHASE_SERVE},
    {MSG_HOOK_GET, "tk wk", IPC_PHASE_SERVE},
    {MSG_HOOK_LIST, "tk wk", IPC_PHASE_SERVE},
    {MSG_HOOK_UPDATE, "tk wk", IPC_PHASE_SERVE},
    {MSG_HOOK_REMOVE, "tk wk", IPC_PHASE_SERVE},
    {MSG_HOOK_ROTATE, "tk wk", IPC_PHASE_SERVE},
    {MSG_HOOK_TEST, "tk wk", IPC_PHASE_SERVE},
    {MSG_DELIVERY_LIST, "tk wk", IPC_PHASE_SERVE},
    {MSG_DELIVERY_GET, "tk wk", IPC_PHASE_SERVE},
    {MSG_DELIVERY_REPLAY, "tk wk", IPC_PHASE_SERVE},
    {MSG_SETTINGS, "kt kw", IPC_PHASE_SERVE},
    {MSG_HOOK_INFO, "kt kw", IPC_PHASE_SERVE},
    {MSG_DELIVERY_INFO, "kt kw", IPC_PHASE_SERVE},
    {MSG_KEY_MINT, "tk wk", IPC_PHASE_SERVE},
    {MSG_KEY_UPDATE, "tk wk", IPC_PHASE_SERVE},
    {MSG_MGMT_ISSUE, "tk wk", IPC_PHASE_SERVE},
    {MSG_MGMT_GET, "tk wk", IPC_PHASE_SERVE},
    {MSG_MGMT_LIST, "tk wk", IPC_PHASE_SERVE},
    {MSG_MGMT_UPDATE, "tk wk", IPC_PHASE_SERVE},
    {MSG_MGMT_REVOKE, "tk wk", IPC_PHASE_SERVE},
    {MSG_MGMT_INFO, "kt kw", IPC_PHASE_SERVE},
    {MSG_USER_ADD, "tk wk", IPC_PHASE_SERVE},
    {MSG_USER_GET, "tk wk", IPC_PHASE_SERVE},
    {MSG_USER_LIST, "tk wk", IPC_PHASE_SERVE},
    {MSG_USER_UPDATE, "tk wk", IPC_PHASE_SERVE},
    {MSG_USER_REMOVE, "tk wk", IPC_PHASE_SERVE},
    {MSG_USER_INFO, "kt kw", IPC_PHASE_SERVE},
    {MSG_HOLDER_LIST, "tk wk", IPC_PHASE_SERVE},
    {MSG_HOLDER_GET, "tk wk", IPC_PHASE_SERVE},
    {MSG_HOLDER_SET, "tk wk", IPC_PHASE_SERVE},
    {MSG_HOLDER_REVOKE, "tk wk", IPC_PHASE_SERVE},
    {MSG_HOLDER_INFO, "kt kw", IPC_PHASE_SERVE},
    {MSG_TRUST_LIST, "tk wk", IPC_PHASE_SERVE},
    {MSG_TRUST_GET, "tk wk", IPC_PHASE_SERVE},
    {MSG_TRUST_ADD, "tk wk", IPC_PHASE_SERVE},
    {MSG_TRUST_APPROVE, "tk wk", IPC_PHASE_SERVE},
    {MSG_TRUST_REMOVE, "tk wk", IPC_PHASE_SERVE},
    {MSG_TRUST_INFO, "kt kw", IPC_PHASE_SERVE},
    {MSG_TRUST_CONFIRM_GET, "tk wk", IPC_PHASE_SERVE},
    {MSG_TRUST_CONFIRM, "tk wk", IPC_PHASE_SERVE},
    {MSG_PANIC_ON, "tk wk", IPC_PHASE_SERVE},
    {MSG_PANIC_OFF, "tk wk", IPC_PHASE_SERVE},
    {MSG_CREDENTIAL_LIST, "tk wk", IPC_PHASE_SERVE},
    {MSG_CREDENTIAL_INFO, "kt kw", IPC_PHASE_SERVE},
    {MSG_CONN_ROLLBACK, "tk wk", IPC_PHASE_SERVE},
    {MSG_CONN_PURGE, "tk wk", IPC_PHASE_SERVE},
    {MSG_CONN_UPDATE, "tk wk", IPC_PHASE_SERVE},
    {MSG_LEAK_REPORT, "tk wk", IPC_PHASE_SERVE},
    {MSG_LEAK_VERDICT, "kt kw", IPC_PHASE_SERVE},
    {MSG_CONN_PROBE, "tk wk", IPC_PHASE_SERVE},
    {MSG_PROBE_RESULT, "kt kw", IPC_PHASE_SERVE},
    {MSG_PROBE, "kr", IPC_PHASE_SERVE},
    {MSG_PROBED, "rk", IPC_PHASE_SERVE},
    {MSG_TAKEN, "wk", IPC_PHASE_SERVE},
};

static const char letters[IPC_ROLES] = {
    [IPC_SUPERVISOR] = 's', [IPC_KEEPER] = 'k',  [IPC_RELAY] = 'r',
    [IPC_CONSOLE] = 'w',    [IPC_COURIER] = 'c', [IPC_CONTROL] = 't'};

static struct full_record room;

static bool expected(unsigned type, enum ipc_role from, enum ipc_role to, enum ipc_phase phase)
{
	for (size_t i = 0; i < sizeof permits / sizeof permits[0]; i++) {
		if (permits[i].type != type || !(permits[i].phase & phase))
			continue;
		for (const char *p = permits[i].pairs; *p; p += p[2] ? 3 : 2) {
			if (p[0] == letters[from] && p[1] == letters[to])
				return true;
		}
	}
	return false;
}

static void test_a_message_is_legal_only_between_the_roles_and_in_the_phase_of_its_row(
    void **state)
{
	unsigned legal = 0, refused = 0;

	(void)state;
	for (unsigned type = 0; type <= MSG_TYPES + 1; type++) {
		for (unsigned from = 0; from < IPC_ROLES; from++) {
			for (unsigned to = 0; to < IPC_ROLES; to++) {
				for (unsigned phase = 1; phase <= 2; phase++) {
					bool want = expected(type, from, to, phase);

					if (ipc_permitted(type, from, to, phase) != want)
						fail_msg("type %u from %c to %c in phase %u",
						         type, letters[from], letters[to],
						         phase);
					if (want)
						legal++;
					else
						refused++;
				}
			}
		}
	}
	assert_true(legal > 70);
	assert_true(refused > 2000);
}

static void test_every_type_has_a_row_and_a_permit(void **state)
{
	(void)state;
	assert_int_equal(sizeof permits / sizeof permits[0], MSG_TYPES - 1);
	for (unsigned type = 1; type < MSG_TYPES; type++) {
		const struct ipc_row *row = ipc_row(type);

		assert_non_null(row);
		assert_non_null(row->body);
		assert_true(row->body->struct_size <= sizeof(union ipc_body));
	}
	assert_null(ipc_row(0));
	assert_null(ipc_row(MSG_TYPES));
	assert_null(ipc_row(UINT32_MAX));
}

static void test_descriptors_come_with_listeners_and_peers_only(void **state)
{
	(void)state;
	for (unsigned type = 1; type < MSG_TYPES; type++)
		assert_int_equal(ipc_row(type)->fd, type == MSG_LISTENER || type == MSG_PEER);
}

static void test_a_relay_can_say_six_things_to_the_keeper_none_of_them_unwrap(void **state)
{
	(void)state;
	for (unsigned type = 1; type < MSG_TYPES; type++) {
		bool may = type == MSG_AUTHORIZE || type == MSG_COMPLETE ||
		           type == MSG_REFUSED || type == MSG_AGAIN || type == MSG_DISCOVER ||
		           type == MSG_PROBED;

		assert_int_equal(ipc_permitted(type, IPC_RELAY, IPC_KEEPER, IPC_PHASE_ANY),
		                 may);
	}
}

static void test_channels_are_mutual_and_no_role_has_one_to_itself(void **state)
{
	unsigned channels = 0;

	(void)state;
	for (unsigned a = 0; a < IPC_ROLES; a++) {
		assert_false(ipc_roles_may_talk(a, a));
		for (unsigned b = 0; b < IPC_ROLES; b++) {
			assert_int_equal(ipc_roles_may_talk(a, b), ipc_roles_may_talk(b, a));
			channels += ipc_roles_may_talk(a, b);
		}
		assert_false(ipc_roles_may_talk(a, IPC_ROLES));
		assert_false(ipc_roles_may_talk(IPC_ROLES, a));
	}
	/* supervisor with four roles, keeper with relay, console, courier and control */
	assert_int_equal(channels, 2 * 8);
	assert_false(ipc_roles_may_talk(IPC_CONTROL, IPC_SUPERVISOR));
	assert_false(ipc_roles_may_talk(IPC_RELAY, IPC_CONSOLE));
}

static void test_the_largest_body_of_every_message_fits_one_datagram_and_returns(void **state)
{
	static unsigned char datagram[IPC_MAX_DATAGRAM];

	(void)state;
	for (size_t i = 0; i < sizeof permits / sizeof permits[0]; i++) {
		const struct permit *p = &permits[i];
		union ipc_body body;
		struct ipc_message m;
		struct rk_slice left;
		size_t used = 0;
		enum ipc_role from = 0, to = 0;

		while (letters[from] != p->pairs[0])
			from++;
		while (letters[to] != p->pairs[1])
			to++;
		full_record(ipc_row(p->type)->body, &body, &room);
		if (ipc_frame_add(datagram, sizeof datagram, &used, p->type, 7, &body))
			fail_msg("the largest %s does not fit", ipc_row(p->type)->name);
		left = rk_slice(datagram, used);
		assert_int_equal(ipc_frame_next(&left, from, to, IPC_PHASE_ANY, &m), 1);
		assert_int_equal(m.type, p->type);
		assert_int_equal(left.n, 0);
	}
}

static void test_one_byte_over_a_field_s_maximum_is_refused_by_sender_and_receiver(void **state)
{
	static unsigned char wire[2 * FULL_BYTES];
	unsigned tried = 0;

	(void)state;
	for (unsigned type = 1; type < MSG_TYPES; type++) {
		const struct record_desc *d = ipc_row(type)->body;

		for (size_t i = 0; i < d->field_count; i++) {
			struct record_field wider = d->fields[i];
			struct record_desc lax = *d;
			struct record_field fields[32];
			union ipc_body body, out;
			struct rk_slice *s;
			size_t used = 0;
			ssize_t n;

			if (wider.kind != RECORD_BYTES)
				continue;
			tried++;
			memset(&body, 0, sizeof body);
			s = (struct rk_slice *)(void *)((char *)&body + wider.offset);
			memset(room.bytes, 'x', sizeof room.bytes);
			*s = rk_slice(room.bytes, wider.max + 1);
			assert_int_equal(
			    ipc_frame_add(wire, sizeof wire, &used, type, 1, &body),
			    RK_E_INVALID);
			assert_int_equal(used, 0);

			/* a sender with a laxer table */
			memcpy(fields, d->fields, d->field_count * sizeof fields[0]);
			fields[i].max++;
			lax.fields = fields;
			n = record_encode(&lax, &body, wire, sizeof wire);
			assert_true(n > 0);
			assert_int_equal(record_decode(d, rk_slice(wire, (size_t)n), &out),
			                 RK_E_PROTOCOL);
			s->n--;
			n = record_encode(&lax, &body, wire, sizeof wire);
			assert_true(n > 0);
			assert_int_equal(record_decode(d, rk_slice(wire, (size_t)n), &out), 0);
		}
	}
	assert_true(tried > 60);
}

static void test_the_largest_audit_row_fits_its_limit(void **state)
{
	static unsigned char wire[AUDIT_MAX_ROW];
	struct audit_row row, back;
	ssize_t n;

	(void)state;
	full_record(&audit_row_desc, &row, &room);
	n = record_pack(&audit_row_desc, &row, wire, sizeof wire);
	assert_true(n > 0);
	assert_int_equal(record_unpack(&audit_row_desc, rk_slice(wire, (size_t)n), &back), 0);
	assert_true(rk_slice_eq(back.target, row.target));
}

static size_t row_bytes(const struct audit_row *row)
{
	unsigned char out[1024];
	ssize_t n = record_pack(&audit_row_desc, row, out, sizeof out);

	assert_true(n > 0);
	return (size_t)n;
}

/* Each byte is hashed, encrypted, written and synced, for ever. */
static void test_the_rows_of_a_request_are_small(void **state)
{
	const struct audit_row request = {
	    .type = AUDIT_REQUEST,
	    .time_ms = 1790000000000,
	    .request_id = "0123456789abcdef",
	    .key_id = rk_str("key_4f9Qm2LxTz"),
	    .holder = rk_str("billing"),
	    .conn_id = rk_str("conn_7Yw3Kd81pQ"),
	    .conn_name = rk_str("openai"),
	    .provider = rk_str("openai"),
	    .env = rk_str("production"),
	    .client_ip = {[10] = 0xff, 0xff, 10, 0, 0, 1},
	    .method = rk_str("POST"),
	    .path = rk_str("/v1/chat/completions"),
	    .policy_version = 1200,
	};
	const struct audit_row response = {
	    .type = AUDIT_RESPONSE,
	    .time_ms = 1790000000500,
	    .request_id = "0123456789abcdef",
	    .policy_version = 1200,
	    .status = 200,
	    .bytes_in = 900,
	    .bytes_out = 2400,
	    .unwrap_us = 180,
	    .upstream_us = 420000,
	    .total_us = 430000,
	    .outcome = OUTCOME_COMPLETE,
	};

	(void)state;
	assert_in_range(row_bytes(&request), 1, 150);
	assert_in_range(row_bytes(&response), 1, 60);
}

static void test_types_and_outcomes_of_audit_rows_have_names(void **state)
{
	(void)state;
	assert_string_equal(audit_type_name(AUDIT_REQUEST), "request");
	assert_string_equal(audit_type_name(AUDIT_STOP), "stop");
	assert_string_equal(audit_type_name(0), "unknown");
	assert_string_equal(audit_type_name(AUDIT_STOP + 1), "unknown");
	assert_string_equal(audit_outcome_name(OUTCOME_NONE), "");
	assert_string_equal(audit_outcome_name(OUTCOME_NOT_SENT), "not_sent");
	assert_string_equal(audit_outcome_name(OUTCOME_NOT_SENT + 1), "unknown");
}

static void test_roles_have_names(void **state)
{
	(void)state;
	assert_string_equal(ipc_role_name(IPC_SUPERVISOR), "supervisor");
	assert_string_equal(ipc_role_name(IPC_CONTROL), "control");
	assert_string_equal(ipc_role_name(IPC_ROLES), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
	        test_a_message_is_legal_only_between_the_roles_and_in_the_phase_of_its_row),
	    cmocka_unit_test(test_every_type_has_a_row_and_a_permit),
	    cmocka_unit_test(test_descriptors_come_with_listeners_and_peers_only),
	    cmocka_unit_test(test_a_relay_can_say_six_things_to_the_keeper_none_of_them_unwrap),
	    cmocka_unit_test(test_channels_are_mutual_and_no_role_has_one_to_itself),
	    cmocka_unit_test(
	        test_the_largest_body_of_every_message_fits_one_datagram_and_returns),
	    cmocka_unit_test(
	        test_one_byte_over_a_field_s_maximum_is_refused_by_sender_and_receiver),
	    cmocka_unit_test(test_the_largest_audit_row_fits_its_limit),
	    cmocka_unit_test(test_the_rows_of_a_request_are_small),
	    cmocka_unit_test(test_types_and_outcomes_of_audit_rows_have_names),
	    cmocka_unit_test(test_roles_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

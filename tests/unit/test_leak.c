/*
 * Leaked keys: whose report counts, what it does, and that it can neither invent a key nor be
 * sent once too often.
 */
#include "tests/lib/manage_world.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "console/leak_body.h"
#include "ipc/catalogue_contain.h"
#include "keeper/db_stmt.h"
#include "keeper/leak_verify.h"
#include "keeper/mgmt_auth.h"
#include "keeper/settings.h"
#include "keeper/store_schema.h"
#include "policy/key_scan.h"

/* ---- a secret scanner ---- */

struct scanner {
	EVP_PKEY *key;
	char listed[2048]; /* LIST of "id\nPEM" */
	size_t used;
	unsigned char signature[MSG_MAX_SIGNATURE];
	size_t signature_n;
};

static struct scanner github;

static void scanner_list(struct scanner *s, const char *id)
{
	char text[LEAK_PEM_MAX + 128];
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	long n;

	assert_int_equal(PEM_write_bio_PUBKEY(bio, s->key), 1);
	n = BIO_get_mem_data(bio, &pem);
	snprintf(text, sizeof text, "%s\n%.*s", id, (int)n, pem);
	BIO_free(bio);
	assert_int_equal(record_list_add(s->listed, sizeof s->listed, &s->used, rk_str(text)),
	                 0);
}

static void scanner_new(struct scanner *s, const char *id)
{
	*s = (struct scanner){.key = EVP_EC_gen("P-256")};
	assert_non_null(s->key);
	scanner_list(s, id);
}

static void scanner_sign(struct scanner *s, struct rk_slice payload)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	s->signature_n = sizeof s->signature;
	assert_int_equal(EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, s->key), 1);
	assert_int_equal(EVP_DigestSign(md, s->signature, &s->signature_n,
	                                (const unsigned char *)payload.p, payload.n),
	                 1);
	EVP_MD_CTX_free(md);
}

static struct rk_slice listed(const struct scanner *s)
{
	return rk_slice(s->listed, s->used);
}

static void test_a_signature_holds_for_its_key_and_its_bytes_alone(void **state)
{
	struct rk_slice payload = rk_str("[{\"token\":\"x\"}]"), pem;
	struct scanner s, other;
	struct rk_slice signature;

	(void)state;
	scanner_new(&s, "one");
	scanner_new(&other, "two");
	scanner_sign(&s, payload);
	signature = rk_slice(s.signature, s.signature_n);
	pem = leak_key_find(listed(&s), rk_str("one"));
	assert_true(pem.n > 0);
	assert_int_equal(leak_key_find(listed(&s), rk_str("on")).n, 0);
	assert_int_equal(leak_key_find(listed(&s), rk_str("")).n, 0);
	assert_int_equal(leak_verify(pem, payload, signature, &world_fault), 0);
	assert_int_equal(leak_verify(pem, rk_str("[{\"token\":\"y\"}]"), signature, NULL),
	                 RK_E_AUTH);
	assert_int_equal(
	    leak_verify(leak_key_find(listed(&other), rk_str("two")), payload, signature, NULL),
	    RK_E_AUTH);
	assert_int_equal(leak_verify(pem, payload, rk_str(""), NULL), RK_E_AUTH);
	for (size_t i = 0; i < s.signature_n; i++) {
		s.signature[i] ^= 1;
		assert_int_equal(leak_verify(pem, payload, signature, NULL), RK_E_AUTH);
		s.signature[i] ^= 1;
	}
	EVP_PKEY_free(s.key);
	EVP_PKEY_free(other.key);
}

static void test_only_keys_of_p_256_count(void **state)
{
	struct rk_slice payload = rk_str("x");
	EVP_PKEY *wrong[] = {EVP_EC_gen("P-384"), EVP_RSA_gen(2048),
	                     EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct scanner s = {.key = wrong[i]};

		assert_non_null(s.key);
		scanner_list(&s, "id");
		assert_int_equal(leak_verify(leak_key_find(listed(&s), rk_str("id")), payload,
		                             rk_str("0123"), NULL),
		                 RK_E_INVALID);
		EVP_PKEY_free(s.key);
	}
	assert_int_equal(leak_verify(rk_str("no key"), payload, rk_str("0"), NULL),
	                 RK_E_INVALID);
}

/* ---- the bodies ---- */

static struct leak_body body;

static int read_body(const char *text)
{
	return leak_body_read(rk_str(text), &body, &world_fault);
}

static bool has_token(unsigned i, const char *text)
{
	return rk_slice_is(rk_slice(body.payload.p + body.token[i].at, body.token[i].n), text);
}

static void test_a_scanner_s_body_is_read_with_where_each_was_found(void **state)
{
	static const char text[] =
	    "[{\"token\":\"abc\",\"type\":\"relaykey\",\"url\":\"https://x/"
	    "rk_app_4f9Qm2LxTz01234567890123456789abcdefghij01234567\",\"source\":\"commit\"},"
	    " {\"token\":\"def\",\"more\":1}]";
	struct rk_slice list, item;
	struct msg_leak_item i;
	uint8_t findings[] = {LEAK_REVOKED, LEAK_UNKNOWN};
	json_t *answer;

	(void)state;
	assert_int_equal(read_body(text), 0);
	assert_int_equal(body.count, 2);
	assert_true(has_token(0, "abc") && has_token(1, "def"));
	list = rk_slice(body.items, body.items_n);
	assert_true(record_list_next(&list, &item));
	assert_int_equal(record_decode(&msg_leak_item_desc, item, &i), 0);
	/* the key that stands in the URL does not get into the audit log */
	assert_true(
	    rk_slice_starts(i.source, rk_str("commit https://x/rk_app_4f9Qm2LxTz01***")));
	answer = leak_body_answer(&body, findings);
	assert_int_equal(json_array_size(answer), 2);
	assert_string_equal(
	    json_string_value(json_object_get(json_array_get(answer, 0), "token_raw")), "abc");
	assert_string_equal(
	    json_string_value(json_object_get(json_array_get(answer, 0), "token_type")),
	    "relaykey");
	assert_string_equal(
	    json_string_value(json_object_get(json_array_get(answer, 0), "label")),
	    "true_positive");
	assert_string_equal(
	    json_string_value(json_object_get(json_array_get(answer, 1), "label")),
	    "false_positive");
	json_decref(answer);
}

static void test_a_plain_list_is_lines_or_one_member(void **state)
{
	(void)state;
	assert_int_equal(read_body("abc\r\n\n  def\t\nghi"), 0);
	assert_int_equal(body.count, 3);
	assert_true(has_token(0, "abc") && has_token(1, "def") && has_token(2, "ghi"));
	assert_int_equal(read_body(" {\"tokens\":[\"abc\",\"def\"]}"), 0);
	assert_int_equal(body.count, 2);
	assert_true(has_token(1, "def"));
}

static void test_bodies_that_say_something_else_are_refused(void **state)
{
	static const char *const bad[] = {
	    "",
	    " \n",
	    "[]",
	    "{}",
	    "{\"tokens\":[]}",
	    "{\"tokens\":\"abc\"}",
	    "{\"tokens\":[1]}",
	    "{\"tokens\":[\"\"]}",
	    "{\"tokens\":[\"a\"],\"other\":1}",
	    "[\"abc\"]",
	    "[{\"type\":\"x\"}]",
	    "{\"tokens\":[\"\\u0061bc\"]}", /* not the bytes that are reported */
	};
	static char large[MSG_MAX_LEAK + 2], many[2 * LEAK_BODY_TOKENS + 8];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		if (read_body(bad[i]) != RK_E_INVALID)
			fail_msg("taken: %s", bad[i]);
	}
	assert_int_equal(read_body("[{\"token\":\"abc\"}"), RK_E_PROTOCOL);
	assert_int_equal(read_body("{\"tokens\":[\"a\"],\"tokens\":[\"b\"]}"), RK_E_PROTOCOL);
	memset(large, 'a', sizeof large - 1);
	assert_int_equal(read_body(large), RK_E_TOOBIG);
	large[MSG_MAX_LEAK] = '\0';
	assert_int_equal(read_body(large), 0);
	for (unsigned i = 0; i <= LEAK_BODY_TOKENS; i++)
		memcpy(many + (size_t)2 * i, "a\n", 2);
	assert_int_equal(read_body(many), RK_E_TOOBIG);
	many[2 * LEAK_BODY_TOKENS] = '\0';
	assert_int_equal(read_body(many), 0);
}

static void test_keys_are_found_in_any_text(void **state)
{
	char text[512], key[RELAY_KEY_MAX + 1];
	struct relay_key made;
	size_t n = relay_key_generate(HOLDER_VENDOR, key, &made), at = 0;

	(void)state;
	key[n] = '\0';
	snprintf(text, sizeof text, "export K=\\n%s; rk_ rk_app_no %s0 (%s)", key, key, key);
	assert_true(rk_slice_is(key_scan_next(rk_str(text), &at), key));
	/* not the one with something behind it */
	assert_true(rk_slice_is(key_scan_next(rk_str(text), &at), key));
	assert_int_equal(text[at], ')');
	assert_int_equal(key_scan_next(rk_str(text), &at).n, 0);
	assert_int_equal(at, strlen(text));
}

static void test_management_keys_are_found_too(void **state)
{
	char key[MGMT_KEY_MAX + 1], text[512];
	struct mgmt_key made;
	size_t at = 0;

	(void)state;
	for (enum mgmt_role role = ROLE_ADMIN; role <= ROLE_PROVISIONER; role++, at = 0) {
		key[mgmt_key_generate(role, key, &made)] = '\0';
		snprintf(text, sizeof text, "%s0 %.*s TOKEN=%s", key, (int)strlen(key) - 1, key,
		         key);
		assert_true(rk_slice_is(key_scan_next(rk_str(text), &at), key));
		assert_int_equal(text[at], '\0');
	}
}

/* ---- reports ---- */

static struct world_key keys[3];
static char payload[4096];
static char items[MSG_MAX_LEAK_ITEMS];
static size_t items_n;

static void set_leak_keys(struct world *w, struct rk_slice list)
{
	const struct settings now = {.leak_keys = list};

	settings_box_free(w->k.settings);
	w->k.settings = NULL;
	assert_int_equal(settings_box_new(&now, &w->k.settings), 0);
}

static int setup(void **state)
{
	struct world *w;
	int err = world_setup(state);

	if (err)
		return err;
	w = *state;
	world_listen(w);
	world_conn_add(w, "openai", "https://api.openai.com/v1");
	for (unsigned i = 0; i < 3; i++)
		world_key_issue(w, "openai", 0, &keys[i]);
	scanner_new(&github, "gh-1");
	set_leak_keys(w, listed(&github));
	return alarm_new(&w->k, &w->k.alarm);
}

static int teardown(void **state)
{
	struct world *w = *state;

	alarm_free(w->k.alarm);
	w->k.alarm = NULL;
	EVP_PKEY_free(github.key);
	return world_teardown(state);
}

/* Tokens in a payload, as a console would find them. */
static struct msg_leak_report report(const char *const *tokens, unsigned count)
{
	size_t n = 0;

	items_n = 0;
	for (unsigned i = 0; i < count; i++) {
		struct msg_leak_item item = {.source = rk_str("commit https://x")};
		char one[128];
		ssize_t len;

		n += (size_t)snprintf(payload + n, sizeof payload - n, "leaked: ");
		item.at = (uint32_t)n;
		item.n = (uint16_t)strlen(tokens[i]);
		n += (size_t)snprintf(payload + n, sizeof payload - n, "%s\n", tokens[i]);
		len = record_encode(&msg_leak_item_desc, &item, one, sizeof one);
		assert_true(len > 0);
		assert_int_equal(
		    record_list_add(items, sizeof items, &items_n, rk_slice(one, (size_t)len)),
		    0);
	}
	return (struct msg_leak_report){.payload = rk_slice(payload, n),
	                                .items = rk_slice(items, items_n)};
}

static void sign(struct msg_leak_report *r)
{
	scanner_sign(&github, r->payload);
	r->key_id = rk_str("gh-1");
	r->signature = rk_slice(github.signature, github.signature_n);
}

static void run(struct world *w, const struct msg_leak_report *r, unsigned verdicts)
{
	world_run(w, &w->a, MSG_LEAK_REPORT, r);
	world_answer(&w->a, w->a.answers - 1, MSG_DONE);
	if (w->a.answers == 1 && verdicts)
		fail_msg("%.*s", RK_FMT(w->a.body.done.text));
	assert_int_equal(w->a.answers, verdicts + 1);
}

static unsigned finding(struct world *w, unsigned i)
{
	return world_answer(&w->a, i, MSG_LEAK_VERDICT)->leak_verdict.finding;
}

static struct index_key *key(struct world *w, unsigned i)
{
	return index_key_by_id(w->k.index, rk_str(keys[i].id));
}

static int64_t count(struct world *w, const char *sql)
{
	int64_t n = -1;

	world_hold_store(w);
	world_set(w, &w->hold_store, false);
	WORLD_WAIT(w, !w->store_held);
	WORLD_OK(db_query_int(w->k.store->db, sql, &n, &world_fault));
	return n;
}

static const char revoked_rows[] = "SELECT count(*) FROM relay_key WHERE revoked_ms > 0";
static const char outbox_rows[] = "SELECT count(*) FROM outbox";
static const char mail_rows[] = "SELECT count(*) FROM outbox WHERE kind = 1";

static void test_a_signed_report_revokes_what_is_ours_and_says_so(void **state)
{
	struct world *w = *state;
	const char *tokens[] = {keys[0].text, "rk_app_nonsense", keys[1].text, keys[0].text};
	struct msg_leak_report r = report(tokens, 4);
	unsigned rows = w->rows;

	sign(&r);
	w->a.caller.role = ROLE_NOBODY;
	assert_int_equal(world_ask(w, "openai", keys[0].text), REASON_OK);
	run(w, &r, 4);
	assert_int_equal(finding(w, 0), LEAK_REVOKED);
	assert_int_equal(finding(w, 1), LEAK_UNKNOWN);
	assert_int_equal(finding(w, 2), LEAK_REVOKED);
	assert_int_equal(finding(w, 3), LEAK_OVER);
	assert_true(rk_slice_is(world_answer(&w->a, 2, MSG_LEAK_VERDICT)->leak_verdict.key_id,
	                        keys[1].id));
	assert_true(key(w, 0)->revoked_ms && key(w, 1)->revoked_ms && !key(w, 2)->revoked_ms);
	WORLD_WAIT(w, w->cuts == 1);
	world_complete(w);
	assert_int_equal(world_ask(w, "openai", keys[0].text), REASON_INVALID_KEY);
	assert_int_equal(world_ask(w, "openai", keys[2].text), REASON_OK);
	world_complete(w);
	assert_int_equal(count(w, revoked_rows), 2);
	assert_int_equal(count(w, outbox_rows), 2);
	/* a row for each, and one of the report */
	assert_int_equal(w->rows, rows + 3);
	for (unsigned i = rows; i < w->rows; i++)
		assert_string_equal(w->row[i].actor, "scanner:gh-1");
	assert_string_equal(w->row[rows].action, "key.leaked");
	assert_string_equal(w->row[rows].key_id, keys[0].id);
	assert_string_equal(w->row[rows].detail, "commit https://x");
	assert_string_equal(w->row[rows + 2].action, "leak.report");
	assert_string_equal(w->row[rows + 2].detail, "tokens=4 revoked=2 unknown=1");
}

static void test_the_same_report_again_changes_nothing_and_tells_nobody(void **state)
{
	struct world *w = *state;
	const char *tokens[] = {keys[0].text};
	struct msg_leak_report r = report(tokens, 1);
	int64_t when;
	unsigned rows;

	sign(&r);
	w->a.caller.role = ROLE_NOBODY;
	run(w, &r, 1);
	when = key(w, 0)->revoked_ms;
	rows = w->rows;
	run(w, &r, 1);
	assert_int_equal(finding(w, 0), LEAK_OVER);
	assert_int_equal(key(w, 0)->revoked_ms, when);
	assert_int_equal(count(w, outbox_rows), 1);
	assert_int_equal(w->rows, rows);
}

static void test_without_a_good_signature_nobody_is_heard(void **state)
{
	struct world *w = *state;
	const char *tokens[] = {keys[0].text};
	struct msg_leak_report good = report(tokens, 1), bad;
	char other[sizeof payload];

	sign(&good);
	w->a.caller.role = ROLE_NOBODY;
	bad = good;
	bad.signature = rk_str("");
	assert_int_equal(world_refusal(w, &w->a, MSG_LEAK_REPORT, &bad), RK_E_AUTH);
	bad = good;
	bad.key_id = rk_str("gh-2");
	assert_int_equal(world_refusal(w, &w->a, MSG_LEAK_REPORT, &bad), RK_E_AUTH);
	/* another payload under the same signature */
	memcpy(other, good.payload.p, good.payload.n);
	other[0] ^= 1;
	bad = good;
	bad.payload = rk_slice(other, good.payload.n);
	assert_int_equal(world_refusal(w, &w->a, MSG_LEAK_REPORT, &bad), RK_E_AUTH);
	/* no scanner is known */
	set_leak_keys(w, rk_str(NULL));
	assert_int_equal(world_refusal(w, &w->a, MSG_LEAK_REPORT, &good), RK_E_AUTH);
	set_leak_keys(w, listed(&github));
	assert_int_equal(key(w, 0)->revoked_ms, 0);
	run(w, &good, 1);
	assert_true(key(w, 0)->revoked_ms > 0);
}

static void test_who_sends_one_bad_report_after_the_other_is_turned_away(void **state)
{
	struct world *w = *state;
	const char *tokens[] = {keys[0].text};
	struct msg_leak_report good = report(tokens, 1), bad;
	unsigned rows = w->rows;

	sign(&good);
	bad = good;
	bad.signature.n--;
	w->a.caller.role = ROLE_NOBODY;
	w->a.caller.client_ip[15] = 1;
	for (int i = 0; i < AUTH_MAX_FAILED; i++)
		assert_int_equal(world_refusal(w, &w->a, MSG_LEAK_REPORT, &bad), RK_E_AUTH);
	assert_int_equal(world_refusal(w, &w->a, MSG_LEAK_REPORT, &bad), RK_E_AGAIN);
	assert_int_equal(world_refusal(w, &w->a, MSG_LEAK_REPORT, &good), RK_E_AGAIN);
	WORLD_WAIT(w, w->rows == rows + AUTH_MAX_FAILED);
	assert_string_equal(world_last_row(w)->action, "authentication.failed");
	assert_string_equal(world_last_row(w)->detail, "signature of a leak report");
	assert_int_equal(key(w, 0)->revoked_ms, 0);
	w->a.caller.client_ip[0] = 1; /* from elsewhere it is heard */
	run(w, &good, 1);
	assert_true(key(w, 0)->revoked_ms > 0);
}

static void test_a_token_that_does_not_stand_in_the_report_is_refused(void **state)
{
	struct world *w = *state;
	const char *tokens[] = {keys[0].text};
	struct msg_leak_report r = report(tokens, 1);

	sign(&r);
	r.payload.n -= 2; /* with a signature of what is left */
	scanner_sign(&github, r.payload);
	r.signature = rk_slice(github.signature, github.signature_n);
	w->a.caller.role = ROLE_NOBODY;
	assert_int_equal(world_refusal(w, &w->a, MSG_LEAK_REPORT, &r), RK_E_INVALID);
	assert_int_equal(key(w, 0)->revoked_ms, 0);
	r = report(tokens, 1);
	r.items = rk_slice("\3\0\0\0abc", 7);
	w->a.caller.role = ROLE_ADMIN;
	assert_int_equal(world_refusal(w, &w->a, MSG_LEAK_REPORT, &r), RK_E_INVALID);
	r.items = rk_str(NULL);
	assert_int_equal(world_refusal(w, &w->a, MSG_LEAK_REPORT, &r), RK_E_INVALID);
}

static void test_who_may_revoke_needs_no_signature_and_who_may_not_is_refused(void **state)
{
	struct world *w = *state;
	const char *tokens[] = {keys[0].text};
	struct msg_leak_report r = report(tokens, 1);

	w->a.caller.role = ROLE_AUDITOR;
	assert_int_equal(world_refusal(w, &w->a, MSG_LEAK_REPORT, &r), RK_E_DENIED);
	w->a.caller.role = ROLE_PROVISIONER;
	assert_int_equal(world_refusal(w, &w->a, MSG_LEAK_REPORT, &r), RK_E_DENIED);
	w->a.caller.role = ROLE_OPERATOR;
	run(w, &r, 1);
	assert_int_equal(finding(w, 0), LEAK_REVOKED);
	assert_string_equal(world_last_row(w)->actor, "uid:1000");
	assert_string_equal(world_last_row(w)->target, keys[0].id);
}

static void test_the_holder_gets_a_mail_when_its_address_is_known(void **state)
{
	struct world *w = *state;
	const char *tokens[] = {keys[0].text};
	struct msg_leak_report r = report(tokens, 1);

	WORLD_OK(db_exec(w->k.store->db, "UPDATE holder SET email = 'crew@example.com'",
	                 &world_fault, "test"));
	run(w, &r, 1);
	assert_int_equal(count(w, mail_rows), 1);
}

static void test_a_honey_key_stays_and_alarms_once_a_minute(void **state)
{
	struct world *w = *state;
	struct msg_key_issue m = {
	    .kind = HOLDER_APP, .holder = rk_str("decoy"), .flags = KEY_HONEY};
	char honey[RELAY_KEY_MAX + 1];
	const char *tokens[] = {honey};
	struct msg_leak_report r;
	unsigned rows;

	world_run(w, &w->a, MSG_KEY_ISSUE, &m);
	assert_true(rk_slice_cstr(world_answer(&w->a, 0, MSG_KEY_INFO)->key_info.key, honey,
	                          sizeof honey));
	rows = w->rows;
	r = report(tokens, 1);
	for (unsigned i = 0; i < 3; i++) {
		run(w, &r, 1);
		assert_int_equal(finding(w, 0), LEAK_HONEY);
	}
	assert_int_equal(count(w, revoked_rows), 0);
	assert_int_equal(count(w, outbox_rows), 1);
	WORLD_WAIT(w, w->rows == rows + 1);
	assert_string_equal(world_last_row(w)->detail, "honey commit https://x");
}

static void test_what_could_not_be_stored_holds_and_is_tried_again(void **state)
{
	struct world *w = *state;
	const char *tokens[] = {keys[0].text, keys[1].text};
	struct msg_leak_report r = report(tokens, 2);

	WORLD_OK(db_exec(w->k.store->db, "PRAGMA query_only = ON", &world_fault, "test"));
	assert_true(world_refusal(w, &w->a, MSG_LEAK_REPORT, &r) < 0);
	WORLD_OK(db_exec(w->k.store->db, "PRAGMA query_only = OFF", &world_fault, "test"));
	assert_true(key(w, 0)->revoked_ms && key(w, 1)->revoked_ms);
	assert_int_equal(count(w, revoked_rows), 0);
	run(w, &r, 2);
	assert_int_equal(finding(w, 0), LEAK_OVER);
	assert_int_equal(count(w, revoked_rows), 2);
	assert_int_equal(count(w, outbox_rows), 2);
	run(w, &r, 2);
	assert_int_equal(count(w, outbox_rows), 2);
}

static void test_it_is_in_force_though_the_journal_is_away(void **state)
{
	struct world *w = *state;
	const char *tokens[] = {keys[0].text};
	struct msg_leak_report r = report(tokens, 1);

	world_append_fails(w, RK_E_FULL);
	assert_true(world_refusal(w, &w->a, MSG_LEAK_REPORT, &r) < 0);
	assert_int_equal(count(w, revoked_rows), 1);
	world_append_fails(w, 0);
	WORLD_WAIT(w, pipeline_audit_ok(w->k.pipeline));
	WORLD_WAIT(w, world_last_action(w, "leak.report"));
	assert_string_equal(w->row[w->rows - 2].action, "key.leaked");
}

static void test_a_reporter_that_leaves_has_reported_all_the_same(void **state)
{
	struct world *w = *state;
	const char *tokens[] = {keys[0].text};
	struct msg_leak_report r = report(tokens, 1);

	sign(&r);
	w->a.caller.role = ROLE_NOBODY;
	world_start(w, &w->a, MSG_LEAK_REPORT, &r);
	manage_forget(&w->a.caller);
	WORLD_WAIT(w, key(w, 0)->revoked_ms > 0);
	WORLD_WAIT(w, world_last_action(w, "leak.report"));
	assert_int_equal(count(w, revoked_rows), 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_signature_holds_for_its_key_and_its_bytes_alone),
	    cmocka_unit_test(test_only_keys_of_p_256_count),
	    cmocka_unit_test(test_a_scanner_s_body_is_read_with_where_each_was_found),
	    cmocka_unit_test(test_a_plain_list_is_lines_or_one_member),
	    cmocka_unit_test(test_bodies_that_say_something_else_are_refused),
	    cmocka_unit_test(test_keys_are_found_in_any_text),
	    cmocka_unit_test(test_management_keys_are_found_too),
	    TEST(test_a_signed_report_revokes_what_is_ours_and_says_so),
	    TEST(test_the_same_report_again_changes_nothing_and_tells_nobody),
	    TEST(test_without_a_good_signature_nobody_is_heard),
	    TEST(test_who_sends_one_bad_report_after_the_other_is_turned_away),
	    TEST(test_a_token_that_does_not_stand_in_the_report_is_refused),
	    TEST(test_who_may_revoke_needs_no_signature_and_who_may_not_is_refused),
	    TEST(test_the_holder_gets_a_mail_when_its_address_is_known),
	    TEST(test_a_honey_key_stays_and_alarms_once_a_minute),
	    TEST(test_what_could_not_be_stored_holds_and_is_tried_again),
	    TEST(test_it_is_in_force_though_the_journal_is_away),
	    TEST(test_a_reporter_that_leaves_has_reported_all_the_same),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}

/*
 * What the courier writes: mails and the bodies of webhooks, whatever stands in a notice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "courier/mail.h"
#include "courier/notice_json.h"
#include "courier/outcome.h"
#include "courier/webhook.h"
#include "ipc/notice_kind.h"
#include "policy/mail_address.h"
#include "policy/relay_key.h"

#define EVIL "x\r\nBcc: victim@example.com\r\n\r\n<script>alert(1)</script>&\"' \xc3\xa9\x01"

static struct msg_notice notice(unsigned kind)
{
	return (struct msg_notice){
	    .kind = (uint8_t)kind,
	    .id = "0123456789abcdef",
	    .time_ms = 1777645338123,
	    .key_id = rk_str("key_4f9Qm2LxTz"),
	    .key_masked = rk_str("rk_person...91k"),
	    .holder_kind = HOLDER_PERSON,
	    .holder = rk_str("alice"),
	    .conn_id = rk_str("conn_7Yw3Kd81pQ"),
	    .conn_name = rk_str("hibob"),
	    .client_ip = {[10] = 0xff, 0xff, 203, 0, 113, 42},
	    .user_agent = rk_str("cursor/0.42"),
	    .code = rk_str("c0dec0dec0de"),
	    .until_ms = 1777731738123,
	};
}

static char *written(const struct msg_notice *n, const char *to, struct rk_buf *out)
{
	const struct mail_params p = {
	    .from = rk_str("relaykey@example.com"),
	    .to = rk_str(to),
	    .public_url = rk_str("https://console.example.com"),
	    .notice = n,
	};

	rk_buf_init(out, MAIL_MAX);
	assert_int_equal(mail_write(&p, out), 0);
	assert_int_equal(rk_buf_add(out, "", 1), 0);
	return rk_buf_data(out);
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (text = strstr(text, what); text; text = strstr(text + 1, what))
		n++;
	return n;
}

static void test_a_mail_about_a_new_ip_says_what_the_seed_says(void **state)
{
	static const char head[] = "From: RelayKey <relaykey@example.com>\r\n"
	                           "To: <alice@example.com>\r\n"
	                           "Subject: Confirm a new IP: rk_person...91k\r\n"
	                           "Date: Fri, 01 May 2026 14:22:18 +0000\r\n"
	                           "Message-ID: "
	                           "<30313233343536373839616263646566@example.com>\r\n";
	const struct msg_notice n = notice(NOTICE_NEW_IP);
	struct rk_buf buf;
	const char *mail = written(&n, "alice@example.com", &buf);

	(void)state;
	assert_int_equal(strncmp(mail, head, sizeof head - 1), 0);
	assert_non_null(strstr(mail,
	                       "\r\nIP: 203.0.113.42\r\nClient: cursor/0.42\r\nIntegration: "
	                       "hibob\r\n"));
	assert_int_equal(count(mail, "https://console.example.com/confirm/c0dec0dec0de"), 2);
	assert_non_null(strstr(mail,
	                       "<a href=\"https://console.example.com/confirm/c0dec0dec0de\">"
	                       "Confirm this IP</a>"));
	assert_non_null(strstr(mail, "Auto-Submitted: auto-generated\r\n"));
	rk_buf_free(&buf);
}

static void test_every_kind_has_a_text_of_its_own_and_only_a_new_ip_a_link(void **state)
{
	(void)state;
	for (unsigned kind = 1; kind < NOTICE_KINDS; kind++) {
		const struct msg_notice n = notice(kind);
		struct rk_buf buf;
		const char *mail = written(&n, "a@example.com", &buf);

		assert_string_not_equal(notice_kind_name(kind), "unknown");
		assert_int_equal(count(mail, "Subject: "), 1);
		assert_int_equal(count(mail, "c0dec0dec0de"), kind == NOTICE_NEW_IP ? 2 : 0);
		assert_int_equal(count(mail, "--rk-30313233343536373839616263646566"), 3);
		rk_buf_free(&buf);
	}
}

/* The head ends where it should, each line is short and ASCII, each CR has its LF. */
static void check_form(const char *mail)
{
	const char *line = mail;

	for (const char *c = mail; *c; c++) {
		assert_true((*c >= 0x20 && *c < 0x7f) || *c == '\r' || *c == '\n');
		if (*c == '\n')
			assert_true(c[-1] == '\r');
		if (*c == '\r')
			assert_true(c[1] == '\n');
		if (*c != '\n')
			continue;
		assert_true(c - line < 998);
		line = c + 1;
	}
}

static void test_nothing_that_comes_from_outside_makes_a_header_or_markup(void **state)
{
	struct msg_notice n = notice(NOTICE_NEW_IP);
	struct rk_buf buf;
	const char *mail, *body;

	(void)state;
	n.key_masked = n.key_id = n.holder = n.conn_name = n.user_agent = n.actor = n.detail =
	    rk_str(EVIL);
	n.code = rk_str("abc\r\n\r\n\"><script>");
	mail = written(&n, "alice@example.com", &buf);
	check_form(mail);
	body = strstr(mail, "\r\n\r\n");
	assert_non_null(body);
	assert_null(strstr(mail, "\r\nBcc:"));
	assert_int_equal(count(strstr(mail, "text/html"), "<script>"), 0);
	assert_true(count(strstr(mail, "text/html"), "&lt;script&gt;") > 0);
	rk_buf_free(&buf);
}

static void test_the_longest_notice_fits_a_mail_and_a_body(void **state)
{
	static char longest[512];
	struct msg_notice n = notice(NOTICE_NEW_IP);
	struct rk_buf buf;

	(void)state;
	memset(longest, '"', sizeof longest);
	n.key_masked = n.holder = n.conn_name = n.code = rk_slice(longest, MSG_MAX_NAME);
	n.user_agent = rk_slice(longest, AUDIT_MAX_USER_AGENT);
	n.detail = rk_slice(longest, AUDIT_MAX_DETAIL);
	check_form(written(&n, "alice@example.com", &buf));
	rk_buf_free(&buf);
	rk_buf_init(&buf, 16384);
	assert_int_equal(notice_json(&n, &buf), 0);
	rk_buf_free(&buf);
}

static void test_a_mail_goes_to_one_plain_address_only(void **state)
{
	static const char *const bad[] = {
	    "",          "nobody",        "@example.com", "a@",
	    "a b@c.d",   "a@b@c.d",       "<a@b.c>",      "a@b.c\r\nBcc: d@e.f",
	    "\"a\"@b.c", "a@[127.0.0.1]", "a..b@c.d",     ".a@b.c",
	    "a.@b.c",    "a@-b.c",        "a@b-.c",       "a@b..c",
	    "a@b.c.",    "a,b@c.d",       "a@b.c,d@e.f",  "\xc3\xa9@b.c",
	    "a@b_c.d",   "a@b.c\n",       "a@b.c ",
	};
	static const char *const good[] = {"a@b.c", "first.last+tag@sub.example.com",
	                                   "o'hara@x", "A_1@EXAMPLE.com", "root@localhost"};
	struct msg_notice n = notice(NOTICE_TEST);
	char longest[300];
	struct rk_buf buf;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		const struct mail_params p = {
		    .from = rk_str("relaykey@example.com"), .to = rk_str(bad[i]), .notice = &n};
		const struct mail_params q = {
		    .from = rk_str(bad[i]), .to = rk_str("a@example.com"), .notice = &n};

		rk_buf_init(&buf, MAIL_MAX);
		if (mail_write(&p, &buf) != RK_E_INVALID ||
		    mail_write(&q, &buf) != RK_E_INVALID)
			fail_msg("a mail to or from '%s'", bad[i]);
		assert_int_equal(buf.len, 0);
	}
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		written(&n, good[i], &buf);
		rk_buf_free(&buf);
	}
	memset(longest, 'a', sizeof longest);
	longest[64] = '@';
	assert_int_equal(mail_address_check(rk_slice(longest, 65 + 63), NULL), 0);
	assert_int_equal(mail_address_check(rk_slice(longest, 65 + 64), NULL), RK_E_INVALID);
	longest[64] = 'a';
	longest[65] = '@';
	assert_int_equal(mail_address_check(rk_slice(longest, 70), NULL), RK_E_INVALID);
}

static void test_the_body_of_a_webhook_is_json_without_what_is_not_there(void **state)
{
	struct msg_notice n = {
	    .kind = NOTICE_TOKEN_LOST, .id = "0123456789abcdef", .time_ms = 1};
	struct rk_buf buf;

	(void)state;
	rk_buf_init(&buf, 16384);
	n.detail = rk_str("a\"b\\c\n\xff");
	assert_int_equal(notice_json(&n, &buf), 0);
	assert_true(
	    rk_slice_is(rk_buf_slice(&buf),
	                "{\"id\":\"evt_30313233343536373839616263646566\",\"type\":\"token."
	                "lost\",\"created_at\":\"1970-01-01T00:00:00.001Z\",\"data\":{"
	                "\"detail\":\"a\\\"b\\\\c\\u000a?\"}}"));
	rk_buf_consume(&buf, buf.len);
	n = notice(NOTICE_NEW_IP);
	n.code = rk_str(NULL);
	assert_int_equal(notice_json(&n, &buf), 0);
	assert_int_equal(rk_buf_add(&buf, "", 1), 0);
	assert_non_null(strstr(rk_buf_data(&buf),
	                       "\"data\":{\"key_id\":\"key_4f9Qm2LxTz\",\"key\":"
	                       "\"rk_person...91k\",\"holder_kind\":\"person\","));
	rk_buf_free(&buf);
}

/* RFC 4231, test case 2, is of another text; the form is what is checked here. */
static void test_a_signature_covers_the_time_and_the_body(void **state)
{
	char one[WEBHOOK_SIGNATURE_TEXT], other[WEBHOOK_SIGNATURE_TEXT];
	const struct rk_slice secret = rk_str("whsec_test"), body = rk_str("{\"a\":1}");

	(void)state;
	assert_int_equal(webhook_signature(secret, 1700000000, body, one), 0);
	/* printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec_test */
	assert_string_equal(one,
	                    "RelayKey-Signature: t=1700000000,v1="
	                    "38877139021993b830af32feea6e18a8da83eb2f6e49ee50bd9e4cf4ca4d3789");
	assert_int_equal(webhook_signature(secret, 1700000001, body, other), 0);
	assert_string_not_equal(one + 40, other + 40);
	assert_int_equal(webhook_signature(secret, 1700000000, rk_str("{\"a\":2}"), other), 0);
	assert_string_not_equal(one + 40, other + 40);
	assert_int_equal(webhook_signature(rk_str("whsec_tesu"), 1700000000, body, other), 0);
	assert_string_not_equal(one + 40, other + 40);
}

static void test_what_an_answer_means(void **state)
{
	char text[OUTCOME_TEXT];

	(void)state;
	assert_int_equal(outcome_of_http(200), DELIVER_OK);
	assert_int_equal(outcome_of_http(204), DELIVER_OK);
	assert_int_equal(outcome_of_http(301), DELIVER_REFUSED);
	assert_int_equal(outcome_of_http(404), DELIVER_REFUSED);
	assert_int_equal(outcome_of_http(408), DELIVER_AGAIN);
	assert_int_equal(outcome_of_http(410), DELIVER_LASTING);
	assert_int_equal(outcome_of_http(429), DELIVER_AGAIN);
	assert_int_equal(outcome_of_http(503), DELIVER_AGAIN);
	assert_int_equal(outcome_of_smtp(250, true), DELIVER_OK);
	assert_int_equal(outcome_of_smtp(451, true), DELIVER_AGAIN);
	assert_int_equal(outcome_of_smtp(550, true), DELIVER_LASTING);
	assert_int_equal(outcome_of_smtp(554, false), DELIVER_AGAIN);
	assert_string_equal(outcome_text(rk_str("550 no\x07 such\r\n"), text), "550 no? such");
}

static void test_names_of_events_are_read_back(void **state)
{
	enum notice_kind kind;

	(void)state;
	for (unsigned i = 1; i < NOTICE_KINDS; i++) {
		assert_int_equal(notice_kind_parse(rk_str(notice_kind_name(i)), &kind), 0);
		assert_int_equal(kind, i);
		assert_true(NOTICE_EVERY & NOTICE_BIT(i));
	}
	assert_int_equal(notice_kind_parse(rk_str("unknown"), &kind), RK_E_INVALID);
	assert_string_equal(notice_kind_name(0), "unknown");
	assert_string_equal(notice_kind_name(NOTICE_KINDS), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_mail_about_a_new_ip_says_what_the_seed_says),
	    cmocka_unit_test(test_every_kind_has_a_text_of_its_own_and_only_a_new_ip_a_link),
	    cmocka_unit_test(test_nothing_that_comes_from_outside_makes_a_header_or_markup),
	    cmocka_unit_test(test_the_longest_notice_fits_a_mail_and_a_body),
	    cmocka_unit_test(test_a_mail_goes_to_one_plain_address_only),
	    cmocka_unit_test(test_the_body_of_a_webhook_is_json_without_what_is_not_there),
	    cmocka_unit_test(test_a_signature_covers_the_time_and_the_body),
	    cmocka_unit_test(test_what_an_answer_means),
	    cmocka_unit_test(test_names_of_events_are_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The pages behind the link in the mail: which requests they answer, and what stands in them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base62.h"
#include "console/page_confirm.h"
#include "http/credential.h"
#include "policy/relay_key.h"

#define CODE "00000hZk3T9qWm1xY7vB5nLc8dRfJgPs2a"

static struct h1_head head;

static int route(const char *request, struct page_ask *ask)
{
	static char text[2048];

	snprintf(text, sizeof text, "%s\r\nHost: relay.example:8444\r\n\r\n", request);
	assert_true(h1_parse_request(rk_str(text), sizeof text, &head) > 0);
	return page_confirm_route(&head, ask);
}

static void the_link_asks_and_the_button_confirms(void **state)
{
	struct page_ask ask;

	(void)state;
	assert_int_equal(route("GET /confirm/" CODE " HTTP/1.1", &ask), PAGE_ASK);
	assert_int_equal(ask.type, MSG_TRUST_CONFIRM_GET);
	assert_true(rk_slice_is(ask.body.code, CODE));
	assert_int_equal(route("HEAD /confirm/" CODE "?utm_source=mail HTTP/1.1", &ask),
	                 PAGE_ASK);
	assert_int_equal(ask.type, MSG_TRUST_CONFIRM_GET);
	assert_true(rk_slice_is(ask.body.code, CODE));
	assert_int_equal(route("POST /confirm/" CODE " HTTP/1.1", &ask), PAGE_ASK);
	assert_int_equal(ask.type, MSG_TRUST_CONFIRM);
}

static void other_paths_are_somebody_else_s(void **state)
{
	struct page_ask ask;

	(void)state;
	assert_int_equal(route("GET / HTTP/1.1", &ask), 0);
	assert_int_equal(route("GET /confirm HTTP/1.1", &ask), 0);
	assert_int_equal(route("GET /confirmed/" CODE " HTTP/1.1", &ask), 0);
	assert_int_equal(route("GET /x?/confirm/" CODE " HTTP/1.1", &ask), 0);
	assert_int_equal(route("GET /confirm/ HTTP/1.1", &ask), 404);
	assert_int_equal(route("GET /confirm/" CODE "/ HTTP/1.1", &ask), 404);
	assert_int_equal(route("GET /confirm/a%41 HTTP/1.1", &ask), 404);
	assert_int_equal(route("GET /confirm/" CODE CODE CODE " HTTP/1.1", &ask), 404);
	assert_int_equal(route("PUT /confirm/" CODE " HTTP/1.1", &ask), 405);
}

static void another_site_s_page_cannot_press_the_button(void **state)
{
	static const struct {
		const char *fields;
		int answer;
	} table[] = {
	    {"Sec-Fetch-Site: same-origin", PAGE_ASK},
	    {"Sec-Fetch-Site: none", PAGE_ASK},
	    {"Sec-Fetch-Site: same-site", 403},
	    {"Sec-Fetch-Site: cross-site", 403},
	    {"Sec-Fetch-Site: cross-site\r\nOrigin: https://relay.example:8444", 403},
	    {"Sec-Fetch-Site: same-origin\r\nOrigin: null", PAGE_ASK},
	    {"Origin: https://relay.example:8444", PAGE_ASK},
	    {"Origin: https://RELAY.example:8444", PAGE_ASK},
	    {"Origin: https://relay.example", 403},
	    {"Origin: http://relay.example:8444", 403},
	    {"Origin: https://evil.example", 403},
	    {"Origin: https://relay.example:8444.evil.example", 403},
	    {"Origin: null", PAGE_ASK},
	    {"Accept: */*", PAGE_ASK},
	};
	char request[512];
	struct page_ask ask;

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		snprintf(request, sizeof request, "POST /confirm/" CODE " HTTP/1.1\r\n%s",
		         table[i].fields);
		if (route(request, &ask) != table[i].answer)
			fail_msg("%s", table[i].fields);
	}
	/* to look is free: the link in a web mail comes from another site */
	assert_int_equal(
	    route("GET /confirm/" CODE " HTTP/1.1\r\nSec-Fetch-Site: cross-site", &ask),
	    PAGE_ASK);
}

/* ---- what they look like ---- */

static struct ipc_message answer(void)
{
	struct ipc_message m = {.type = MSG_TRUST_INFO};

	m.body.trust_info = (struct msg_trust_info){
	    .id = rk_str("ip_17"),
	    .holder_kind = HOLDER_AGENT,
	    .holder = rk_str("support-agent"),
	    .address = rk_str("203.0.113.42"),
	    .state = TRUST_PENDING,
	    .key_id = rk_str("key_4f9Qm2LxTz01"),
	    .key_masked = rk_str("rk_agent...91k"),
	    .conn_id = rk_str("conn_a"),
	    .conn_name = rk_str("HiBob"),
	    .user_agent = rk_str("cursor/0.42"),
	    .first_ms = 1777645338123,
	};
	return m;
}

static const char *text_of(struct rk_buf *b)
{
	assert_int_equal(rk_buf_add(b, "", 1), 0);
	return rk_buf_data(b);
}

static int show(const struct ipc_message *m, struct rk_buf *b)
{
	rk_buf_init(b, PAGE_CONFIRM_MAX);
	return page_confirm_answer(m, b);
}

static void the_page_says_what_is_asked_and_has_one_button(void **state)
{
	static const char *const parts[] = {
	    "203.0.113.42",
	    "cursor/0.42",
	    "HiBob",
	    "rk_agent...91k",
	    "support-agent (agent)",
	    "2026-05-01 14:22 UTC",
	    "<form method=\"post\">",
	    "<html lang=\"en\">",
	    "viewport",
	    "prefers-color-scheme:dark",
	};
	struct ipc_message m = answer();
	struct rk_buf b;
	const char *html;

	(void)state;
	assert_int_equal(show(&m, &b), 200);
	html = text_of(&b);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		if (!strstr(html, parts[i]))
			fail_msg("missing: %s", parts[i]);
	}
	assert_non_null(strstr(html, "<button"));
	assert_null(strstr(strstr(html, "<button") + 1, "<button"));
	assert_null(strstr(html, "<script"));
	assert_null(strstr(html, "http"));
	assert_null(strstr(html, "action="));
	rk_buf_free(&b);
}

static void a_confirmed_address_has_no_button(void **state)
{
	struct ipc_message m = answer();
	struct rk_buf b;
	const char *html;

	(void)state;
	m.body.trust_info.state = TRUST_TRUSTED;
	assert_int_equal(show(&m, &b), 200);
	html = text_of(&b);
	assert_non_null(strstr(html, "trusted now"));
	assert_null(strstr(html, "<form"));
	rk_buf_free(&b);
}

static void what_came_from_outside_stays_text(void **state)
{
	struct ipc_message m = answer();
	struct rk_buf b;
	const char *html;

	(void)state;
	m.body.trust_info.user_agent =
	    rk_str("</dd><script>alert('x')</script>\"&\x01\xc3\xa9\n<img src=x>");
	m.body.trust_info.conn_name = rk_str("<b>");
	assert_int_equal(show(&m, &b), 200);
	html = text_of(&b);
	assert_null(strstr(html, "<script"));
	assert_null(strstr(html, "<img"));
	assert_null(strstr(html, "<b>"));
	assert_non_null(strstr(html,
	                       "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;"
	                       "????&lt;img"));
	rk_buf_free(&b);
}

static void the_longest_answer_fits(void **state)
{
	static char agent[AUDIT_MAX_USER_AGENT], name[MSG_MAX_NAME];
	struct ipc_message m = answer();
	struct rk_buf b;

	(void)state;
	memset(agent, '"', sizeof agent);
	memset(name, 'x', sizeof name);
	m.body.trust_info.user_agent = rk_slice(agent, sizeof agent);
	m.body.trust_info.holder = rk_slice(name, sizeof name);
	m.body.trust_info.conn_name = rk_slice(name, sizeof name);
	m.body.trust_info.key_masked = rk_slice(name, sizeof name);
	m.body.trust_info.address = rk_slice(name, MSG_MAX_ADDRESS);
	assert_int_equal(show(&m, &b), 200);
	rk_buf_free(&b);
	/* without room it says so */
	rk_buf_init(&b, 1000);
	assert_true(page_confirm_answer(&m, &b) < 0);
	rk_buf_free(&b);
}

static void refusals_are_plain_pages_with_their_status(void **state)
{
	static const struct {
		int err, status;
	} table[] = {
	    {RK_E_NOTFOUND, 404}, {RK_E_AGAIN, 429}, {RK_E_STATE, 503}, {RK_E_FULL, 503}};
	struct ipc_message m = {.type = MSG_DONE};
	struct rk_buf b;

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		m.body.done = (struct msg_done){.err = table[i].err};
		assert_int_equal(show(&m, &b), table[i].status);
		assert_null(strstr(text_of(&b), "<form"));
		rk_buf_free(&b);
	}
	rk_buf_init(&b, PAGE_CONFIRM_MAX);
	assert_int_equal(page_confirm_refused(405, &b), 405);
	assert_int_equal(page_confirm_refused(403, &b), 403);
	/* one that nobody planned for */
	assert_int_equal(page_confirm_refused(418, &b), 503);
	rk_buf_free(&b);
}

static void the_policy_names_the_style_and_nothing_else(void **state)
{
	struct ipc_message m = answer();
	char csp[PAGE_CONFIRM_CSP], hash[64];
	const char *html, *from, *to;
	uint8_t digest[32];
	struct rk_buf b;

	(void)state;
	assert_int_equal(show(&m, &b), 200);
	html = text_of(&b);
	from = strstr(html, "<style>") + strlen("<style>");
	to = strstr(html, "</style>");
	rk_sha256(rk_slice(from, (size_t)(to - from)), digest);
	hash[credential_base64_encode(rk_slice(digest, sizeof digest), hash)] = '\0';
	page_confirm_csp(csp);
	assert_non_null(strstr(csp, "default-src 'none'; style-src 'sha256-"));
	assert_non_null(strstr(csp, hash));
	assert_non_null(strstr(csp, "form-action 'self'"));
	assert_non_null(strstr(csp, "frame-ancestors 'none'"));
	assert_null(strstr(csp, "unsafe"));
	rk_buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_link_asks_and_the_button_confirms),
	    cmocka_unit_test(other_paths_are_somebody_else_s),
	    cmocka_unit_test(another_site_s_page_cannot_press_the_button),
	    cmocka_unit_test(the_page_says_what_is_asked_and_has_one_button),
	    cmocka_unit_test(a_confirmed_address_has_no_button),
	    cmocka_unit_test(what_came_from_outside_stays_text),
	    cmocka_unit_test(the_longest_answer_fits),
	    cmocka_unit_test(refusals_are_plain_pages_with_their_status),
	    cmocka_unit_test(the_policy_names_the_style_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

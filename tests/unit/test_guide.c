/* The pages that the proxy serves about itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "http/accept.h"
#include "policy/reason.h"
#include "relay/guide.h"

static bool has(struct rk_slice text, const char *what)
{
	return text.n && memmem(text.p, text.n, what, strlen(what)) != NULL;
}

static void render(enum guide_page page, bool html, struct rk_buf *out)
{
	assert_int_equal(guide_render(page, rk_str("proxy.test:8443"), html, out), 0);
	assert_true(out->len > 500);
}

static void the_reference_names_every_code_and_status_that_a_refusal_can_have(void **state)
{
	struct rk_buf page;

	(void)state;
	render(GUIDE_REFERENCE, false, &page);
	for (unsigned r = REASON_OK + 1; r < REASON_COUNT; r++) {
		const struct reason_info *info = reason_info(r);
		char cell[96];

		snprintf(cell, sizeof cell, "| %u | `%s` |", info->status, info->code);
		if (!has(rk_buf_slice(&page), cell) || !has(rk_buf_slice(&page), info->text))
			fail_msg("the reference does not tell of %s", info->code);
	}
	rk_buf_free(&page);
}

static void pages_speak_of_the_host_they_were_asked_at(void **state)
{
	(void)state;
	for (unsigned i = 0; i < GUIDE_PAGES; i++) {
		for (int html = 0; html <= guide_has_html((enum guide_page)i); html++) {
			struct rk_buf page;

			render((enum guide_page)i, html, &page);
			assert_true(has(rk_buf_slice(&page), "https://proxy.test:8443/"));
			assert_false(has(rk_buf_slice(&page), "{base}"));
			assert_false(has(rk_buf_slice(&page), "{refusals}"));
			rk_buf_free(&page);
		}
	}
}

static void braces_that_are_no_placeholder_stay(void **state)
{
	struct rk_buf page;

	(void)state;
	render(GUIDE_REFERENCE, false, &page);
	assert_true(has(rk_buf_slice(&page), "{\"status\":\"ok\"}"));
	rk_buf_free(&page);
}

static void html_is_made_of_the_same_text_and_escaped(void **state)
{
	static const char text[] =
	    "# A `b` & c\n\none\ntwo <x>\n\n- [go](https://h/?a=1&b)\n- y\n"
	    "\n| H | I |\n|---|---|\n| `1` | 2 |\n\n```\n{\"<\"}\n\n# no\n"
	    "```\n";
	static const char want[] =
	    "<h1>A <code>b</code> &amp; c</h1>\n<p>one\ntwo &lt;x&gt;</p>\n<ul>\n<li><a "
	    "href=\"https://h/?a=1&amp;b\">go</a></li>\n<li>y</li>\n</ul>\n<table>\n<tr><th> H "
	    "</th><th> I </th></tr>\n<tr><td> <code>1</code> </td><td> 2 "
	    "</td></tr>\n</table>\n<pre><code>{&quot;&lt;&quot;}\n\n# "
	    "no\n</code></pre>\n</main>";
	struct rk_buf out;

	(void)state;
	rk_buf_init(&out, GUIDE_MAX_BYTES);
	assert_int_equal(guide_html(rk_str(text), &out), 0);
	if (!has(rk_buf_slice(&out), want))
		fail_msg("%.*s", RK_FMT(rk_buf_slice(&out)));
	rk_buf_free(&out);
}

static void no_page_is_cut_and_one_that_does_not_fit_is_an_error(void **state)
{
	struct rk_buf out;

	(void)state;
	rk_buf_init(&out, 100);
	assert_int_equal(guide_html(rk_str("text"), &out), RK_E_TOOBIG);
	rk_buf_free(&out);
}

static void paths_of_pages_are_exact(void **state)
{
	enum guide_page page;

	(void)state;
	assert_true(guide_find(rk_str("/llms.txt"), &page));
	assert_int_equal(page, GUIDE_LLMS);
	assert_true(guide_find(rk_str("/_agent"), &page));
	assert_true(guide_find(rk_str("/_reference"), &page));
	assert_int_equal(page, GUIDE_REFERENCE);
	assert_false(guide_find(rk_str("/_reference/"), &page));
	assert_false(guide_find(rk_str("/_Agent"), &page));
	assert_false(guide_find(rk_str("/"), &page));
}

static void html_goes_to_who_names_it_and_likes_it_no_less(void **state)
{
	static const struct {
		const char *accept;
		bool html;
	} cases[] = {
	    {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true},
	    {"*/*", false},
	    {"", false},
	    {"text/markdown", false},
	    {"text/markdown, text/html", true},
	    {"text/markdown, text/html;q=0.9", false},
	    {"text/html;q=0", false},
	    {"text/html;q=0.5, text/plain;q=0.4", true},
	    {"text/html;level=1;q=0.3,text/plain;q=0.31", false},
	    {"TEXT/HTML", true},
	    {"text/htmlx", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (accept_prefers_html(rk_str(cases[i].accept)) != cases[i].html)
			fail_msg("Accept: %s", cases[i].accept);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_reference_names_every_code_and_status_that_a_refusal_can_have),
	    cmocka_unit_test(pages_speak_of_the_host_they_were_asked_at),
	    cmocka_unit_test(braces_that_are_no_placeholder_stay),
	    cmocka_unit_test(html_is_made_of_the_same_text_and_escaped),
	    cmocka_unit_test(no_page_is_cut_and_one_that_does_not_fit_is_an_error),
	    cmocka_unit_test(paths_of_pages_are_exact),
	    cmocka_unit_test(html_goes_to_who_names_it_and_likes_it_no_less),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

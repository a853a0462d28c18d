/*
 * The shapes are the providers' own, shortened to what is read and what stands around it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "policy/usage.h"

static bool measure_in(enum usage_dialect dialect, const char *body, size_t piece,
                       struct usage *out)
{
	static struct usage_meter m;
	struct rk_slice left = rk_str(body);
	bool stream = body[0] != '{' && body[0] != '[';

	memset(out, 0, sizeof *out);
	usage_meter_init(&m, dialect, stream);
	while (left.n) {
		size_t n = left.n < piece ? left.n : piece;

		usage_meter_feed(&m, rk_slice(left.p, n));
		left = rk_slice_skip(left, n);
	}
	return usage_meter_end(&m, out);
}

/* Split at every byte position, the result is the same. */
static bool measure(enum usage_dialect dialect, const char *body, struct usage *out)
{
	struct usage again;
	bool got = measure_in(dialect, body, SIZE_MAX, out);

	for (size_t piece = 1; piece < 9; piece++) {
		assert_int_equal(measure_in(dialect, body, piece, &again), got);
		assert_memory_equal(&again, out, sizeof again);
	}
	return got;
}

/* "input=12 output=3": what is not named is 0. */
static void expect(const struct usage *u, const char *want)
{
	static const char *const names[USAGE_FIELDS] = {
	    "input",        "read",        "write",  "write1h",   "input_audio",
	    "read_audio",   "input_image", "output", "reasoning", "output_audio",
	    "output_image", "searches",    "ms"};
	char got[512] = "";

	for (unsigned i = 0; i < USAGE_FIELDS; i++) {
		size_t n = strlen(got);

		if (u->n[i])
			snprintf(got + n, sizeof got - n, "%s%s=%llu", n ? " " : "", names[i],
			         (unsigned long long)u->n[i]);
	}
	assert_string_equal(got, want);
}

static void test_openai_chat(void **state)
{
	struct usage u;

	(void)state;
	assert_true(measure(
	    USAGE_OPENAI,
	    "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"model\":\"gpt-5-mini-"
	    "2026\","
	    "\"choices\":[{\"message\":{\"content\":\"{\\\"usage\\\":{\\\"prompt_tokens\\\":9}}"
	    "\"}}],"
	    "\"usage\":{\"prompt_tokens\":1117,\"completion_tokens\":46,\"total_tokens\":1163,"
	    "\"prompt_tokens_details\":{\"cached_tokens\":1024,\"audio_tokens\":3},"
	    "\"completion_tokens_details\":{\"reasoning_tokens\":20,\"audio_tokens\":0,"
	    "\"accepted_prediction_tokens\":0}},\"service_tier\":\"flex\"}",
	    &u));
	expect(&u, "input=1117 read=1024 input_audio=3 output=46 reasoning=20");
	assert_string_equal(u.model, "gpt-5-mini-2026");
	assert_string_equal(u.tier, "flex");
}

static void test_openai_chat_stream_says_it_in_its_last_chunk(void **state)
{
	struct usage u;

	(void)state;
	assert_true(
	    measure(USAGE_OPENAI,
	            "data: "
	            "{\"model\":\"gpt-5\",\"choices\":[{\"delta\":{\"content\":\"Hi\"}}],"
	            "\"usage\":null}\n\n"
	            "data: {\"model\":\"gpt-5\",\"choices\":[],\"usage\":{\"prompt_tokens\":8,"
	            "\"completion_tokens\":2,\"total_tokens\":10}}\n\ndata: [DONE]\n\n",
	            &u));
	expect(&u, "input=8 output=2");
	assert_string_equal(u.model, "gpt-5");
	assert_false(
	    measure(USAGE_OPENAI,
	            "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}],\"usage\":null}\n\n"
	            "data: [DONE]\n\n",
	            &u));
}

static void test_of_accounts_that_follow_each_other_the_last_one_counts(void **state)
{
	struct usage u;

	(void)state;
	assert_true(
	    measure(USAGE_OPENAI,
	            "data: {\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":1,"
	            "\"prompt_tokens_details\":{\"cached_tokens\":8}}}\n\n"
	            "data: {\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":2}}\n\n",
	            &u));
	expect(&u, "input=8 output=2");
}

static void test_openai_responses(void **state)
{
	struct usage u;

	(void)state;
	assert_true(measure(
	    USAGE_OPENAI,
	    "{\"object\":\"response\",\"model\":\"gpt-5.1\",\"usage\":{\"input_tokens\":36,"
	    "\"input_tokens_details\":{\"cached_tokens\":4,\"cache_write_tokens\":2},"
	    "\"output_tokens\":87,\"output_tokens_details\":{\"reasoning_tokens\":64},"
	    "\"total_tokens\":123}}",
	    &u));
	expect(&u, "input=36 read=4 write=2 output=87 reasoning=64");
	assert_true(measure(USAGE_OPENAI,
	                    "event: response.created\ndata: "
	                    "{\"type\":\"response.created\",\"response\":{\"model\":"
	                    "\"gpt-5.1\",\"usage\":null}}\n\n"
	                    "event: response.completed\ndata: "
	                    "{\"type\":\"response.completed\",\"response\":{\"model\":"
	                    "\"gpt-5.1\",\"service_tier\":\"default\",\"usage\":{\"input_"
	                    "tokens\":36,\"output_tokens\":9}}}\n\n",
	                    &u));
	expect(&u, "input=36 output=9");
	assert_string_equal(u.tier, "default");
}

static void test_openai_embeddings_images_and_audio(void **state)
{
	struct usage u;

	(void)state;
	assert_true(measure(
	    USAGE_OPENAI,
	    "{\"data\":[{\"embedding\":[0.1,-2e-3]}],\"model\":\"text-embedding-3-small\","
	    "\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}",
	    &u));
	expect(&u, "input=8");
	assert_true(
	    measure(USAGE_OPENAI,
	            "{\"data\":[{\"b64_json\":\"AAAA\"}],\"usage\":{\"input_tokens\":50,"
	            "\"input_tokens_details\":{\"text_tokens\":10,\"image_tokens\":40},"
	            "\"output_tokens\":4160,\"total_tokens\":4210}}",
	            &u));
	expect(&u, "input=50 input_image=40 output=4160");
	assert_true(
	    measure(USAGE_OPENAI,
	            "{\"text\":\"hello\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,"
	            "\"input_token_details\":{\"text_tokens\":0,\"audio_tokens\":14},"
	            "\"output_tokens\":45,\"total_tokens\":59}}",
	            &u));
	expect(&u, "input=14 input_audio=14 output=45");
	assert_true(measure(
	    USAGE_OPENAI,
	    "{\"text\":\"hello\",\"usage\":{\"type\":\"duration\",\"seconds\":12.0301}}", &u));
	expect(&u, "ms=12031");
}

static void test_anthropic_adds_up_what_is_told_apart(void **state)
{
	struct usage u;

	(void)state;
	assert_true(
	    measure(USAGE_ANTHROPIC,
	            "{\"type\":\"message\",\"model\":\"claude-sonnet-4-5\",\"content\":[{"
	            "\"text\":\"x\"}],"
	            "\"usage\":{\"input_tokens\":12,\"cache_creation_input_tokens\":300,"
	            "\"cache_read_input_tokens\":1000,\"cache_creation\":{\"ephemeral_5m_input_"
	            "tokens\":100,"
	            "\"ephemeral_1h_input_tokens\":200},\"output_tokens\":503,\"service_tier\":"
	            "\"standard\","
	            "\"server_tool_use\":{\"web_search_requests\":2}}}",
	            &u));
	expect(&u, "input=1312 read=1000 write=100 write1h=200 output=503 searches=2");
	assert_string_equal(u.tier, "standard");
	assert_true(
	    measure(USAGE_ANTHROPIC,
	            "{\"usage\":{\"input_tokens\":12,\"cache_creation_input_tokens\":300,"
	            "\"cache_read_input_tokens\":null,\"output_tokens\":1}}",
	            &u));
	expect(&u, "input=312 write=300 output=1");
}

static void test_anthropic_s_stream_counts_up_to_its_end(void **state)
{
	static const char stream[] =
	    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":"
	    "\"claude-opus-4-1\",\"usage\":{\"input_tokens\":25,\"cache_read_input_tokens\":5,"
	    "\"output_tokens\":1}}}\n\n"
	    "event: ping\ndata: {\"type\": \"ping\"}\n\n"
	    "event: content_block_delta\ndata: "
	    "{\"type\":\"content_block_delta\",\"delta\":{\"text\":\"Hi\"}}\n\n"
	    "event: message_delta\ndata: "
	    "{\"type\":\"message_delta\",\"usage\":{\"output_tokens\":10}}\n\n"
	    "event: message_delta\ndata: "
	    "{\"type\":\"message_delta\",\"usage\":{\"output_tokens\":15}}\n\n"
	    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
	struct usage u;

	(void)state;
	assert_true(measure(USAGE_ANTHROPIC, stream, &u));
	expect(&u, "input=30 read=5 output=15");
	assert_string_equal(u.model, "claude-opus-4-1");
}

static void test_gemini_adds_thoughts_and_tools(void **state)
{
	static const char document[] =
	    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}],\"usageMetadata\":{"
	    "\"promptTokenCount\":100,\"candidatesTokenCount\":20,\"thoughtsTokenCount\":30,"
	    "\"cachedContentTokenCount\":40,\"toolUsePromptTokenCount\":5,\"totalTokenCount\":"
	    "155,"
	    "\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":60},"
	    "{\"tokenCount\":30,\"modality\":\"AUDIO\"},{\"modality\":\"IMAGE\",\"tokenCount\":"
	    "10}],"
	    "\"cacheTokensDetails\":[{\"modality\":\"AUDIO\",\"tokenCount\":7}],"
	    "\"candidatesTokensDetails\":[{\"modality\":\"IMAGE\",\"tokenCount\":9}]},"
	    "\"modelVersion\":\"gemini-2.5-flash\"}";
	static const char want[] =
	    "input=105 read=40 input_audio=30 read_audio=7 input_image=10 "
	    "output=50 reasoning=30 output_image=9";
	char text[2048];
	struct usage u;

	(void)state;
	assert_true(measure(USAGE_GEMINI, document, &u));
	expect(&u, want);
	assert_string_equal(u.model, "gemini-2.5-flash");
	/* as a stream in its two forms, the last one counts */
	snprintf(
	    text, sizeof text,
	    "data: "
	    "{\"usageMetadata\":{\"promptTokenCount\":100,\"thoughtsTokenCount\":9}}\r\n\r\n"
	    "data: %s\r\n\r\n",
	    document);
	assert_true(measure(USAGE_GEMINI, text, &u));
	expect(&u, want);
	snprintf(text, sizeof text,
	         "[{\"usageMetadata\":{\"promptTokenCount\":100,\"promptTokensDetails\":[{"
	         "\"modality\":"
	         "\"AUDIO\",\"tokenCount\":1}]}},\n%s]",
	         document);
	assert_true(measure(USAGE_GEMINI, text, &u));
	expect(&u, want);
}

static void test_half_a_document_counts_for_nothing(void **state)
{
	struct usage u;

	(void)state;
	assert_false(measure(USAGE_OPENAI,
	                     "{\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":12", &u));
	/* of a stream that broke off, what was whole before */
	assert_true(measure(
	    USAGE_ANTHROPIC,
	    "data: {\"message\":{\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n"
	    "data: {\"usage\":{\"output_tokens\":10",
	    &u));
	expect(&u, "input=25 output=1");
}

static void test_counts_that_make_no_sense_are_not_believed(void **state)
{
	static const char *const bad[] = {
	    "-1", "1.5", "1e3", "\"7\"", "true", "[1]", "9999999999999999"};
	struct usage u;
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(text, sizeof text,
		         "{\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":%s}}", bad[i]);
		if (measure(USAGE_OPENAI, text, &u))
			fail_msg("%s is no count", bad[i]);
	}
	assert_true(
	    measure(USAGE_OPENAI, "{\"usage\":{\"prompt_tokens\":999999999999999}}", &u));
	expect(&u, "input=999999999999999");
}

static void test_usage_in_the_wrong_place_is_none(void **state)
{
	struct usage u;

	(void)state;
	assert_false(measure(USAGE_OPENAI, "{\"x\":{\"usage\":{\"prompt_tokens\":1}}}", &u));
	assert_false(measure(USAGE_OPENAI, "[{\"usage\":{\"prompt_tokens\":1}}]", &u));
	assert_false(measure(USAGE_OPENAI, "{\"Usage\":{\"prompt_tokens\":1}}", &u));
	assert_false(measure(USAGE_OPENAI, "{\"usage\":null}", &u));
	assert_false(measure(USAGE_OPENAI, "{\"error\":{\"message\":\"no\"}}", &u));
	assert_false(
	    measure(USAGE_ANTHROPIC, "{\"usageMetadata\":{\"promptTokenCount\":1}}", &u));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_openai_chat),
	    cmocka_unit_test(test_openai_chat_stream_says_it_in_its_last_chunk),
	    cmocka_unit_test(test_of_accounts_that_follow_each_other_the_last_one_counts),
	    cmocka_unit_test(test_openai_responses),
	    cmocka_unit_test(test_openai_embeddings_images_and_audio),
	    cmocka_unit_test(test_anthropic_adds_up_what_is_told_apart),
	    cmocka_unit_test(test_anthropic_s_stream_counts_up_to_its_end),
	    cmocka_unit_test(test_gemini_adds_thoughts_and_tools),
	    cmocka_unit_test(test_half_a_document_counts_for_nothing),
	    cmocka_unit_test(test_counts_that_make_no_sense_are_not_believed),
	    cmocka_unit_test(test_usage_in_the_wrong_place_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

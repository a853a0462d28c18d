/*
 * Reports of leaked keys: whatever is read lies in the body, fits a message to the keeper, and
 * can be answered. And keys in any text.
 */
#include "tests/fuzz/fuzz.h"

#include "console/leak_body.h"
#include "ipc/catalogue_contain.h"
#include "policy/key_scan.h"

static void check_items(const struct leak_body *b)
{
	struct rk_slice list = rk_slice(b->items, b->items_n), item;
	unsigned count = 0;

	while (record_list_next(&list, &item)) {
		struct msg_leak_item i;

		REQUIRE(record_decode(&msg_leak_item_desc, item, &i) == 0);
		REQUIRE(count < b->count);
		REQUIRE(i.at == b->token[count].at && i.n == b->token[count].n);
		REQUIRE(i.n > 0 && i.at + i.n <= b->payload.n);
		for (size_t k = 0; k < i.source.n; k++)
			REQUIRE(i.source.p[k] >= ' ' && i.source.p[k] < 0x7f);
		count++;
	}
	REQUIRE(count == b->count && count > 0);
}

static void check_scan(struct rk_slice text)
{
	struct rk_slice key;
	size_t at = 0, before = 0;

	while ((key = key_scan_next(text, &at)).n) {
		struct relay_key parsed;
		struct mgmt_key mgmt;

		REQUIRE(at > before && at <= text.n);
		REQUIRE(key.p >= text.p && key.p + key.n <= text.p + text.n);
		REQUIRE(key.n <= KEY_SCAN_MAX);
		REQUIRE(relay_key_parse(key, &parsed) == 0 || mgmt_key_parse(key, &mgmt) == 0);
		before = at;
	}
	REQUIRE(at == text.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct leak_body b;
	unsigned char signature[MSG_MAX_SIGNATURE];
	struct rk_slice in = rk_slice(data, size);
	uint8_t findings[LEAK_BODY_TOKENS];
	ssize_t n = leak_signature_read(in, signature);
	json_t *answer;

	REQUIRE(n == RK_E_INVALID || (n > 0 && n <= MSG_MAX_SIGNATURE));
	check_scan(in);
	if (leak_body_read(in, &b, NULL))
		return 0;
	check_items(&b);
	memset(findings, LEAK_UNKNOWN, sizeof findings);
	/* NULL: bytes that JSON cannot carry */
	answer = leak_body_answer(&b, findings);
	REQUIRE(!answer || json_array_size(answer) == b.count);
	json_decref(answer);
	return 0;
}

/*
 * JSON in pieces. The first byte says how large these are. What jansson takes for JSON, the
 * scanner does too (but for nesting); pieces of any size give the same events; the last event
 * of a path is what jansson finds there.
 */
#include "tests/fuzz/fuzz.h"

#include <jansson.h>

#include "policy/json_scan.h"

enum { WANTS = 5, EVENTS = 4096 };

static const char *const wants[WANTS] = {"", "model", "usage.input", "a.[].b", "[].x"};

struct event {
	unsigned want;
	enum json_type type;
	bool cut, exact;
	size_t n;
	char text[JSON_TEXT_BYTES];
};

struct events {
	size_t count;
	struct event e[EVENTS];
};

static void value(unsigned want, const struct json_value *v, void *arg)
{
	struct events *all = arg;
	struct event *e;

	REQUIRE(want < WANTS);
	REQUIRE(v->text.n <= JSON_TEXT_BYTES);
	if (all->count == EVENTS)
		return;
	e = &all->e[all->count++];
	memset(e, 0, sizeof *e);
	e->want = want;
	e->type = v->type;
	e->cut = v->cut;
	e->exact = v->exact;
	e->n = v->text.n;
	if (v->text.n)
		memcpy(e->text, v->text.p, v->text.n);
}

static const struct json_scan_ops ops = {.wants = wants, .want_count = WANTS, .value = value};

static int scan(struct rk_slice text, size_t piece, struct events *out)
{
	struct json_scan s;
	int err = 0;

	out->count = 0;
	json_scan_init(&s, &ops, out);
	while (text.n && !err) {
		size_t n = text.n < piece ? text.n : piece;

		err = json_scan_feed(&s, rk_slice(text.p, n));
		text = rk_slice_skip(text, n);
	}
	return err ? err : json_scan_end(&s);
}

/* The last thing that was said of a path, in its own letters. */
static const struct event *last_of(const struct events *all, unsigned want)
{
	for (size_t i = all->count; i > 0; i--) {
		if (all->e[i - 1].want == want && all->e[i - 1].exact)
			return &all->e[i - 1];
	}
	return NULL;
}

static void check_string(const struct event *e, const json_t *found)
{
	if (!e || !json_is_string(found) || e->type != JSON_IS_STRING || e->cut)
		return;
	REQUIRE(e->n == json_string_length(found));
	REQUIRE(memcmp(e->text, json_string_value(found), e->n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct events whole, pieces;
	struct rk_slice text;
	json_t *root;
	int err;

	if (size == 0)
		return 0;
	text = rk_slice(data + 1, size - 1);
	err = scan(text, SIZE_MAX, &whole);
	REQUIRE(err == 0 || err == RK_E_INVALID || err == RK_E_TOOBIG);
	REQUIRE(scan(text, 1 + data[0] % 7, &pieces) == err);
	REQUIRE(whole.count == pieces.count);
	REQUIRE(memcmp(whole.e, pieces.e, whole.count * sizeof whole.e[0]) == 0);
	if (memchr(data, 0, size)) /* outside of strings it ends the text for jansson */
		return 0;
	root = json_loadb(text.n ? text.p : "", text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	if (!root)
		return 0;
	REQUIRE(err == 0 || err == RK_E_TOOBIG);
	if (err == 0 && json_is_object(root) && whole.count < EVENTS) {
		const json_t *model = json_object_get(root, "model");
		const struct event *e = last_of(&whole, 1);

		/* a key that is too long to be kept, or with NUL, cannot be this one */
		REQUIRE(!model == !e);
		check_string(e, model);
		check_string(last_of(&whole, 2),
		             json_object_get(json_object_get(root, "usage"), "input"));
	}
	json_decref(root);
	return 0;
}

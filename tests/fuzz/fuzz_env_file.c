/*
 * .env files: the lines are the text, byte for byte; and a value can be replaced by a plain one
 * without a change of anything else that is read.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "policy/env_file.h"

enum { MAX = 4096 };

static const struct rk_slice plain = {"rk_app_X", 8};

/* The text with the value of one line replaced. */
static struct rk_slice replaced(struct rk_slice text, const struct env_line *l, char *out)
{
	size_t before = (size_t)(l->value.p - text.p), after = before + l->value.n;

	memcpy(out, text.p, before);
	memcpy(out + before, plain.p, plain.n);
	memcpy(out + before + plain.n, text.p + after, text.n - after);
	return rk_slice(out, text.n - l->value.n + plain.n);
}

static void check_line(const struct env_line *l)
{
	const char *end = l->raw.p + l->raw.n;

	REQUIRE(l->raw.n > 0);
	REQUIRE(l->end.n <= 2 && l->end.p + l->end.n == end);
	if (!l->name.n) {
		REQUIRE(!l->value.n);
		return;
	}
	REQUIRE(l->name.p >= l->raw.p && l->name.p + l->name.n <= l->value.p);
	REQUIRE(l->value.p + l->value.n <= l->end.p);
	REQUIRE(!l->quote || l->value.p[-1] == l->quote);
	REQUIRE(!l->quote || l->value.p[l->value.n] == l->quote);
	REQUIRE(l->quote || !memchr(l->raw.p, '\n', (size_t)(l->end.p - l->raw.p)));
}

static void check_replaced(struct rk_slice text, size_t start, const struct env_line *l)
{
	char mem[MAX + 16];
	struct rk_slice other = replaced(text, l, mem);
	struct env_line again;
	size_t at = start;

	REQUIRE(env_file_next(other, &at, &again));
	REQUIRE(rk_slice_eq(again.name, l->name));
	REQUIRE(rk_slice_eq(again.value, plain));
	REQUIRE(again.quote == l->quote && again.exported == l->exported);
	REQUIRE(again.raw.n == l->raw.n - l->value.n + plain.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_slice text = rk_slice(data, size);
	struct env_line l;
	size_t at = 0, start = 0;

	if (size > MAX)
		return 0;
	while (env_file_next(text, &at, &l)) {
		REQUIRE(l.raw.p == text.p + start && start + l.raw.n == at);
		check_line(&l);
		/* an empty value before a comment has the comment's place */
		if (l.value.n)
			check_replaced(text, start, &l);
		start = at;
	}
	REQUIRE(at == size);
	return 0;
}

#include "policy/key_scan.h"

static bool is_word(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '_';
}

/* How far the word goes that begins at `from`: as long as a key, and one byte to see more. */
static size_t word_n(struct rk_slice text, size_t from)
{
	size_t n = 0;

	while (from + n < text.n && n <= KEY_SCAN_MAX &&
	       is_word((unsigned char)text.p[from + n]))
		n++;
	return n;
}

struct rk_slice key_scan_next(struct rk_slice text, size_t *at)
{
	while (*at < text.n) {
		const char *found = memmem(text.p + *at, text.n - *at, "rk_", 3);
		struct mgmt_key mgmt;
		struct relay_key key;
		struct rk_slice word;
		size_t from;

		if (!found)
			break;
		from = (size_t)(found - text.p);
		word = rk_slice(found, word_n(text, from));
		if (relay_key_parse(word, &key) == 0 || mgmt_key_parse(word, &mgmt) == 0) {
			*at = from + word.n;
			return word;
		}
		*at = from + 3;
	}
	*at = text.n;
	return rk_slice(NULL, 0);
}

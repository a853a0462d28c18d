#include "policy/email.h"

static bool is_alnum(char c)
{
	unsigned char low = rk_ascii_lower((unsigned char)c);

	return (c >= '0' && c <= '9') || (low >= 'a' && low <= 'z');
}

/* atext of RFC 5322 section 3.2.3 */
static bool is_atext(char c)
{
	return is_alnum(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool local_is(struct rk_slice s)
{
	bool dot = true; /* none at the start, none after another */

	if (!s.n || s.n > EMAIL_LOCAL_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '.' && !is_atext(s.p[i]))
			return false;
		if (s.p[i] == '.' && dot)
			return false;
		dot = s.p[i] == '.';
	}
	return !dot;
}

static bool label_is(struct rk_slice s)
{
	if (!s.n || s.n > EMAIL_LABEL_MAX || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!is_alnum(s.p[i]) && s.p[i] != '-')
			return false;
	}
	return true;
}

static bool domain_is(struct rk_slice s)
{
	for (;;) {
		const char *dot = s.n ? memchr(s.p, '.', s.n) : NULL;
		size_t n = dot ? (size_t)(dot - s.p) : s.n;

		if (!label_is(rk_slice(s.p, n)))
			return false;
		if (!dot)
			return true;
		s = rk_slice_skip(s, n + 1);
	}
}

bool email_is(struct rk_slice text)
{
	const char *at = text.n && text.n <= EMAIL_MAX ? memchr(text.p, '@', text.n) : NULL;
	size_t n = at ? (size_t)(at - text.p) : 0;

	return at && local_is(rk_slice(text.p, n)) && domain_is(rk_slice_skip(text, n + 1));
}

#include "policy/mail_address.h"

static bool is_alnum(char c)
{
	unsigned char low = rk_ascii_lower((unsigned char)c);

	return (c >= '0' && c <= '9') || (low >= 'a' && low <= 'z');
}

/* Dot-atom of RFC 5322 3.2.3. */
static bool local_is_valid(struct rk_slice s)
{
	static const char others[] = "!#$%&'*+-/=?^_`{|}~";

	if (s.n == 0 || s.n > MAIL_LOCAL_MAX || s.p[0] == '.' || s.p[s.n - 1] == '.')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.' && s.p[i - 1] == '.')
			return false;
		if (s.p[i] != '.' && !is_alnum(s.p[i]) &&
		    !memchr(others, s.p[i], sizeof others - 1))
			return false;
	}
	return true;
}

static bool domain_is_valid(struct rk_slice s)
{
	size_t label = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.') {
			if (!label || s.p[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!is_alnum(s.p[i]) && (s.p[i] != '-' || !label))
			return false;
		if (++label > 63)
			return false;
	}
	return label && s.p[s.n - 1] != '-';
}

struct rk_slice mail_address_domain(struct rk_slice address)
{
	const char *at = address.n ? memchr(address.p, '@', address.n) : NULL;

	return at ? rk_slice_skip(address, (size_t)(at - address.p) + 1) : rk_str(NULL);
}

int mail_address_check(struct rk_slice text, struct rk_fault *fault)
{
	struct rk_slice domain = mail_address_domain(text);

	if (domain.n && text.n <= MAIL_ADDRESS_MAX &&
	    local_is_valid(rk_slice(text.p, text.n - domain.n - 1)) && domain_is_valid(domain))
		return 0;
	return rk_fail(fault, RK_E_INVALID,
	               "a mail address looks like ops@example.com, in ASCII and without a name "
	               "or quotes");
}

#include "http/accept.h"

static struct rk_slice trim(struct rk_slice s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = rk_slice_skip(s, 1);
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* Up to the separator; *s is what stands behind it. */
static struct rk_slice take(struct rk_slice *s, char separator)
{
	const char *at = s->n ? memchr(s->p, separator, s->n) : NULL;
	struct rk_slice part = rk_slice(s->p, at ? (size_t)(at - s->p) : s->n);

	*s = rk_slice_skip(*s, part.n + 1);
	return trim(part);
}

/* "q=0.8" in thousandths; 1000 when there is none, 0 when it is not one. */
static unsigned quality(struct rk_slice parameters)
{
	while (parameters.n) {
		struct rk_slice p = take(&parameters, ';');
		unsigned q = 0, digit = 1000;

		if (p.n < 3 || rk_ascii_lower((unsigned char)p.p[0]) != 'q' || p.p[1] != '=')
			continue;
		for (size_t i = 2; i < p.n && digit; i++) {
			if (p.p[i] == '.' && i == 3)
				continue;
			if (p.p[i] < '0' || p.p[i] > '9')
				return 0;
			q += (unsigned)(p.p[i] - '0') * digit;
			digit /= 10;
		}
		return q > 1000 ? 1000 : q;
	}
	return 1000;
}

bool accept_prefers_html(struct rk_slice accept)
{
	unsigned html = 0, text = 0;

	while (accept.n) {
		struct rk_slice item = take(&accept, ',');
		struct rk_slice type = take(&item, ';');
		unsigned q = quality(item);

		if (rk_slice_ieq(type, rk_str("text/html"))) {
			html = q > html ? q : html;
		} else if (rk_slice_ieq(type, rk_str("text/markdown")) ||
		           rk_slice_ieq(type, rk_str("text/plain"))) {
			text = q > text ? q : text;
		}
	}
	return html && html >= text;
}

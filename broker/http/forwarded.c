#include "http/forwarded.h"

#include "http/h1_bytes.h"

static bool is_port(struct rk_slice s)
{
	uint64_t port;

	return s.n <= 5 && rk_slice_u64(s, &port) && port <= UINT16_MAX;
}

static bool element_ip(struct rk_slice e, struct rk_ip *ip)
{
	const char *end;

	if (e.n && e.p[0] == '[') {
		struct rk_slice rest;

		end = memchr(e.p, ']', e.n);
		if (!end)
			return false;
		rest = rk_slice_skip(e, (size_t)(end - e.p) + 1);
		if (rest.n && (rest.p[0] != ':' || !is_port(rk_slice_skip(rest, 1))))
			return false;
		e = rk_slice(e.p + 1, (size_t)(end - e.p) - 1);
		return e.n && memchr(e.p, ':', e.n) && rk_ip_parse(e, ip) == 0;
	}
	end = e.n ? memchr(e.p, ':', e.n) : NULL;
	/* one colon: an IPv4 address with its port */
	if (end && is_port(rk_slice_skip(e, (size_t)(end - e.p) + 1)))
		e.n = (size_t)(end - e.p);
	return rk_ip_parse(e, ip) == 0;
}

/* Takes the last element of a list off it. False when there is none. */
static bool take_last(struct rk_slice *list, struct rk_slice *element)
{
	const char *comma;

	if (!list->p)
		return false;
	comma = list->n ? memrchr(list->p, ',', list->n) : NULL;
	*element = comma ? rk_slice_skip(*list, (size_t)(comma - list->p) + 1) : *list;
	*list = comma ? rk_slice(list->p, (size_t)(comma - list->p)) : rk_slice(NULL, 0);
	while (element->n && h1_is(element->p[0], H1_B_BLANK))
		*element = rk_slice_skip(*element, 1);
	while (element->n && h1_is(element->p[element->n - 1], H1_B_BLANK))
		element->n--;
	return true;
}

struct rk_ip forwarded_client(const struct h1_head *h, const struct rk_ip *peer,
                              const struct rk_cidrs *trusted)
{
	static const struct rk_slice name = {"x-forwarded-for", 15};
	struct rk_ip client = *peer;

	/* several fields are one list, in their order */
	for (size_t i = h->field_count; i-- > 0;) {
		struct rk_slice list = h->fields[i].value, element;

		if (h->fields[i].id != H1_HDR_FORWARDED ||
		    !rk_slice_ieq(h->fields[i].name, name))
			continue;
		while (rk_cidrs_hold(trusted, &client) && take_last(&list, &element)) {
			if (element.n == 0)
				continue;
			if (!element_ip(element, &client))
				return client;
		}
	}
	return client;
}

#include "keeper/pipeline_int.h"

#include <stdlib.h>

void pl_asked_note(struct pl_asked *a, const struct msg_authorize *m, struct rk_slice path)
{
	size_t n = m->method.n + path.n + m->query_names.n;
	char *at = a->text;

	memcpy(a->client_ip, m->client_ip, sizeof a->client_ip);
	if (n > sizeof a->text) {
		a->more = at = malloc(n);
		a->lost = !at;
		if (!at)
			return;
	}
	a->method_n = (uint16_t)m->method.n;
	a->path_n = (uint16_t)path.n;
	a->names_n = (uint16_t)m->query_names.n;
	memcpy(at, m->method.p, m->method.n);
	memcpy(at + m->method.n, path.p, path.n);
	if (m->query_names.n)
		memcpy(at + m->method.n + path.n, m->query_names.p, m->query_names.n);
}

void pl_asked_free(struct pl_asked *a)
{
	free(a->more);
	a->more = NULL;
}

/* What cannot be judged any more is not let pass. */
static enum reason judge(const struct pl_request *r)
{
	const struct pl_asked *a = &r->asked;
	const char *at = a->more ? a->more : a->text;

	if (a->lost)
		return REASON_PATH_DENIED;
	return authorize_policy(r->p->params.index, r->flight.key, r->flight.conn, a->client_ip,
	                        rk_slice(at, a->method_n),
	                        rk_slice(at + a->method_n, a->path_n),
	                        rk_slice(at + a->method_n + a->path_n, a->names_n));
}

void pipeline_policy_changed(struct pipeline *p, struct index_key *key)
{
	(void)p;
	for (struct index_request *f = key->open; f; f = f->key_next) {
		struct pl_request *r =
		    (struct pl_request *)((char *)f - offsetof(struct pl_request, flight));
		enum reason now = judge(r);

		if (now != REASON_OK)
			pl_request_forbid(r, now);
	}
}

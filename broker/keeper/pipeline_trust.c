/*
 * Requests that wait for their holder's first address to be stored, and those in flight from
 * an address that is trusted no more.
 */
#include <stdlib.h>

#include "ipc/catalogue.h"
#include "keeper/index_holder.h"
#include "keeper/pipeline_int.h"

enum { MAX_PARKED = 64 }; /* their messages are in secret memory, which is not plenty */

struct pl_parked {
	struct pl_parked *next;
	struct pl_request *request;
	const struct index_holder *holder;
	struct rk_secret message; /* with the presented key */
};

static void parked_free(struct pl_parked *w)
{
	rk_secret_free(&w->message);
	free(w);
}

void pl_parked_free(struct pipeline *p)
{
	while (p->parked) {
		struct pl_parked *next = p->parked->next;

		parked_free(p->parked);
		p->parked = next;
	}
}

static int copy_message(const struct msg_authorize *m, struct rk_secret *out)
{
	const struct record_desc *d = ipc_row(MSG_AUTHORIZE)->body;
	ssize_t n;

	if (rk_secret_alloc(out, record_size(d, m)))
		return RK_E_NOMEM;
	n = record_encode(d, m, out->p, out->cap);
	if (n < 0)
		return (int)n;
	out->len = (size_t)n;
	return 0;
}

int pl_trust_park(struct pipeline *p, struct pl_request *r, const struct msg_authorize *m)
{
	const struct pipeline_trust *t = &p->params.trust;
	const struct authorized *d = &p->decision;
	struct pl_parked *w;
	int err;

	if (!t->first || p->parked_count == MAX_PARKED)
		return RK_E_FULL;
	w = calloc(1, sizeof *w);
	if (!w)
		return RK_E_NOMEM;
	w->request = r;
	w->holder = d->key->owner;
	err = copy_message(m, &w->message);
	if (!err)
		err = t->first(d->key, d->conn, m, t->arg);
	if (err) {
		parked_free(w);
		return err;
	}
	w->next = p->parked;
	p->parked = w;
	p->parked_count++;
	return 0;
}

void pipeline_trust_settled(struct pipeline *p, const struct index_holder *h)
{
	struct pl_parked **at = &p->parked, *ready = NULL, *w;

	while ((w = *at)) {
		if (w->holder != h) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->next = ready; /* the list has the newest first */
		ready = w;
		p->parked_count--;
	}
	while ((w = ready)) {
		union ipc_body body;

		ready = w->next;
		/* what was encoded here decodes */
		if (!record_decode(ipc_row(MSG_AUTHORIZE)->body, rk_secret_slice(&w->message),
		                   &body))
			pl_request_decide(p, w->request, &body.authorize, true);
		parked_free(w);
	}
}

bool pl_trusted(const struct pl_request *r)
{
	const struct index_key *k = r->flight.key;

	return !(k->flags & KEY_TRUSTED_ONLY) ||
	       index_trust_judge(r->p->params.index, k->owner, r->client_ip) == TRUST_YES;
}

void pipeline_cut_untrusted(struct pipeline *p)
{
	for (size_t i = 0; i <= p->flights.mask; i++) {
		for (struct flight *f = p->flights.bucket[i]; f; f = f->next) {
			struct pl_request *r =
			    (struct pl_request *)((char *)f -
			                          offsetof(struct pl_request, in_link));

			if (r->flight.key && !pl_trusted(r))
				pl_request_cut(r, REASON_IP_UNCONFIRMED);
		}
	}
}

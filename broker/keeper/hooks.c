#include "keeper/hooks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "pkcs11/token.h"

struct rk_slice hook_secret_place(struct rk_slice id, uint32_t version,
                                  char out[HOOK_PLACE_MAX])
{
	int n = snprintf(out, HOOK_PLACE_MAX, "hook|%.*s|%" PRIu32, RK_FMT(id), version);

	return rk_slice(out, n < 0 ? 0 : (size_t)n);
}

static int copy(struct rk_slice from, struct rk_slice *to)
{
	char *p;

	if (!from.n)
		return 0;
	p = malloc(from.n);
	if (!p)
		return RK_E_NOMEM;
	memcpy(p, from.p, from.n);
	*to = rk_slice(p, from.n);
	return 0;
}

/* The memory of a slice that hook_new() made. */
static void drop(struct rk_slice s)
{
	union {
		const char *given;
		char *owned;
	} p = {.given = s.p};

	free(p.owned);
}

int hook_new(const struct store_webhook *w, struct hook **out)
{
	struct hook *h = calloc(1, sizeof *h);

	if (!h)
		return RK_E_NOMEM;
	h->events = w->events;
	h->flags = w->flags;
	h->enabled = w->enabled;
	h->secret_version = w->secret_version;
	h->created_ms = w->created_ms;
	h->updated_ms = w->updated_ms;
	h->revision = w->revision;
	if (!rk_slice_cstr(w->id, h->id, sizeof h->id) ||
	    !rk_slice_cstr(w->name, h->name, sizeof h->name) ||
	    !rk_slice_cstr(w->url, h->url, sizeof h->url)) {
		hook_free(h);
		return RK_E_CORRUPT;
	}
	if (copy(w->ca_pem, &h->ca_pem) || copy(w->blob, &h->blob)) {
		hook_free(h);
		return RK_E_NOMEM;
	}
	*out = h;
	return 0;
}

void hook_free(struct hook *h)
{
	if (!h)
		return;
	drop(h->ca_pem);
	drop(h->blob);
	rk_secret_free(&h->secret);
	free(h);
}

int hook_set_blob(struct hook *h, struct rk_slice blob)
{
	struct rk_slice owned = {0};
	int err = copy(blob, &owned);

	if (err)
		return err;
	drop(h->blob);
	h->blob = owned;
	return 0;
}

struct store_webhook hook_stored(const struct hook *h)
{
	return (struct store_webhook){
	    .id = rk_str(h->id),
	    .name = rk_str(h->name),
	    .url = rk_str(h->url),
	    .events = h->events,
	    .flags = h->flags,
	    .ca_pem = h->ca_pem,
	    .blob = h->blob,
	    .secret_version = h->secret_version,
	    .enabled = h->enabled,
	    .created_ms = h->created_ms,
	    .updated_ms = h->updated_ms,
	    .revision = h->revision,
	};
}

struct hook *hooks_find(const struct hooks *all, struct rk_slice ref)
{
	for (struct hook *h = all ? all->first : NULL; h; h = h->next) {
		if (rk_slice_is(ref, h->id) || rk_slice_is(ref, h->name))
			return h;
	}
	return NULL;
}

void hooks_put(struct hooks *all, struct hook *h)
{
	struct hook **at = &all->first;

	while (*at && strcmp((*at)->id, h->id) != 0)
		at = &(*at)->next;
	h->next = NULL;
	if (*at) {
		struct hook *old = *at;

		h->next = old->next;
		hook_free(old);
	} else {
		all->count++;
	}
	*at = h;
}

void hooks_remove(struct hooks *all, struct rk_slice id)
{
	for (struct hook **at = &all->first; *at; at = &(*at)->next) {
		if (rk_slice_is(id, (*at)->id)) {
			struct hook *h = *at;

			*at = h->next;
			all->count--;
			hook_free(h);
			return;
		}
	}
}

struct loading {
	struct hooks *all;
	struct token *token;
	struct rk_fault *fault;
};

static int load_one(const struct store_webhook *w, void *arg)
{
	struct loading *l = arg;
	char mem[HOOK_PLACE_MAX];
	struct hook *h;
	int err = hook_new(w, &h);

	if (err)
		return rk_fail(l->fault, err, "cannot load a webhook: %s", rk_strerror(err));
	hooks_put(l->all, h);
	if (!l->token)
		return 0;
	err = token_unwrap(l->token, h->blob,
	                   hook_secret_place(rk_str(h->id), h->secret_version, mem), &h->secret,
	                   l->fault);
	/* one that does not open cannot sign; the broker serves without it */
	return err == RK_E_TOKEN ? err : 0;
}

int hooks_load(struct store *s, struct token *t, struct hooks **out, struct rk_fault *fault)
{
	struct loading l = {.token = t, .fault = fault};
	int err;

	l.all = calloc(1, sizeof *l.all);
	if (!l.all)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	err = store_webhook_load(s, load_one, &l, fault);
	if (err) {
		hooks_free(l.all);
		return err;
	}
	*out = l.all;
	return 0;
}

void hooks_free(struct hooks *all)
{
	struct hook *next;

	for (struct hook *h = all ? all->first : NULL; h; h = next) {
		next = h->next;
		hook_free(h);
	}
	free(all);
}

/*
 * Webhooks, as management sees and changes them. The signing secret is made here, shown once
 * and kept wrapped by the token.
 */
#include "keeper/manage_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base62.h"
#include "ipc/notice_kind.h"
#include "keeper/hooks.h"
#include "keeper/manage_check.h"
#include "keeper/notice.h"
#include "keeper/store_outbox.h"
#include "keeper/store_schema.h"

struct change_hook {
	struct hook *made;     /* what it becomes; its secret is set when it is new */
	struct rk_slice shown; /* the secret, in `made` or in the hook that it became */
	bool new_secret;
	unsigned char blob[HOOK_SECRET_TEXT + TOKEN_WRAP_OVERHEAD];
	size_t blob_n;
};

static void send_hook(struct manage_op *op, const struct hook *h, struct rk_slice secret)
{
	const struct msg_hook_info m = {
	    .id = rk_str(h->id),
	    .name = rk_str(h->name),
	    .url = rk_str(h->url),
	    .events = h->events,
	    .flags = h->flags,
	    .private_ca = h->ca_pem.n > 0,
	    .enabled = h->enabled,
	    .secret = secret,
	    .created_ms = h->created_ms,
	    .updated_ms = h->updated_ms,
	    .revision = h->revision,
	};

	manage_send(op, MSG_HOOK_INFO, &m);
}

static int find(struct manage_op *op, struct rk_slice ref, struct hook **out,
                struct rk_fault *fault)
{
	struct hook *h = hooks_find(op->k->hooks, ref);

	if (!h)
		return rk_fail(fault, RK_E_NOTFOUND, "there is no webhook %.*s", RK_FMT(ref));
	snprintf(op->target, sizeof op->target, "%s", h->id);
	*out = h;
	return 0;
}

void manage_hook_get(struct manage_op *op)
{
	struct rk_fault fault;
	struct hook *h;
	int err = find(op, op->body.ref.ref, &h, &fault);

	if (err) {
		manage_end(op, err, fault.text);
		return;
	}
	send_hook(op, h, rk_str(NULL));
	manage_finish(op);
}

/* They are few: no answer is so long that it would have to wait for its reader. */
void manage_hook_list(struct manage_op *op)
{
	const struct msg_hook_list *b = &op->body.hook_list;
	const struct hook *h = op->k->hooks ? op->k->hooks->first : NULL;
	struct msg_done done = {0};
	uint32_t sent = 0;

	if (b->after.n) {
		h = hooks_find(op->k->hooks, b->after);
		if (!h) {
			manage_end(op, RK_E_NOTFOUND,
			           "the webhook to go on after does not exist");
			return;
		}
		h = h->next;
	}
	for (; h && (!b->limit || sent < b->limit); h = h->next, sent++)
		send_hook(op, h, rk_str(NULL));
	done.more = h != NULL;
	manage_send(op, MSG_DONE, &done);
	manage_finish(op);
}

/* ---- what a webhook may be ---- */

static int check_url(struct rk_slice url, uint32_t flags, struct rk_fault *fault)
{
	struct base_url parsed;
	int err = base_url_parse(url, &parsed, fault);

	return err ? err
	           : check_upstream(&parsed,
	                            flags & HOOK_ALLOW_PRIVATE ? UPSTREAM_ALLOW_PRIVATE : 0,
	                            fault);
}

static int check(struct manage_op *op, const struct store_webhook *w, struct rk_fault *fault)
{
	const struct hook *same = hooks_find(op->k->hooks, w->name);
	int err = check_name("a webhook's name", w->name, fault);

	if (!err && rk_slice_starts(w->name, rk_str("hook_")))
		err = rk_fail(fault, RK_E_INVALID,
		              "a webhook's name does not begin with \"hook_\": that is how ids "
		              "look");
	if (!err && same && !rk_slice_is(w->id, same->id))
		err = rk_fail(fault, RK_E_EXISTS, "a webhook with the name %.*s exists",
		              RK_FMT(w->name));
	if (!err && w->flags & ~(uint32_t)HOOK_ALLOW_PRIVATE)
		err = rk_fail(fault, RK_E_INVALID, "there is no such flag of a webhook");
	if (!err && (!w->events || w->events & ~(uint32_t)NOTICE_EVERY))
		err = rk_fail(fault, RK_E_INVALID, "there is no such event");
	if (!err)
		err = check_url(w->url, w->flags, fault);
	return err ? err : check_ca_pem(w->ca_pem, fault);
}

/* Takes `w` as what the hook becomes. */
static int make(struct manage_op *op, const struct store_webhook *w, struct rk_fault *fault)
{
	int err = check(op, w, fault);

	if (err)
		return err;
	op->hook = calloc(1, sizeof *op->hook);
	err = op->hook ? hook_new(w, &op->hook->made) : RK_E_NOMEM;
	return err ? rk_fail(fault, err, "out of memory") : 0;
}

/* In secret memory from its first byte on. */
static int make_secret(struct manage_op *op, struct rk_fault *fault)
{
	static const char prefix[] = "whsec_";
	struct hook *h = op->hook->made;
	enum { PREFIX = sizeof prefix - 1 };

	if (rk_secret_alloc(&h->secret, HOOK_SECRET_TEXT))
		return rk_fail(fault, RK_E_NOMEM,
		               "there is no secret memory left for a secret");
	memcpy(h->secret.p, prefix, PREFIX);
	rk_base62_random((char *)h->secret.p + PREFIX, HOOK_SECRET_CHARS);
	h->secret.len = HOOK_SECRET_TEXT;
	h->secret_version++;
	op->hook->new_secret = true;
	return 0;
}

/* ---- the steps that they share ---- */

static int wrap(struct manage_op *op, struct rk_fault *fault)
{
	struct change_hook *c = op->hook;
	char mem[HOOK_PLACE_MAX];

	if (!c->new_secret)
		return 0;
	return token_wrap(op->k->token, &c->made->secret,
	                  hook_secret_place(rk_str(c->made->id), c->made->secret_version, mem),
	                  c->blob, sizeof c->blob, &c->blob_n, fault);
}

static struct store_webhook stored(const struct change_hook *c)
{
	struct store_webhook w = hook_stored(c->made);

	if (c->new_secret)
		w.blob = rk_slice(c->blob, c->blob_n);
	return w;
}

static int store(struct manage_op *op, bool add, struct rk_fault *fault)
{
	struct store_webhook w = stored(op->hook);
	struct store *s = op->k->store;
	int err = store_begin(s, fault);

	if (!err)
		err =
		    add ? store_webhook_add(s, &w, fault) : store_webhook_update(s, &w, fault);
	return store_end(s, err, fault);
}

static int add_store(struct manage_op *op, struct rk_fault *fault)
{
	return store(op, true, fault);
}

static int update_store(struct manage_op *op, struct rk_fault *fault)
{
	return store(op, false, fault);
}

static int apply(struct manage_op *op, struct rk_fault *fault)
{
	struct change_hook *c = op->hook;
	struct hook *former = hooks_find(op->k->hooks, rk_str(c->made->id));

	if (c->new_secret && hook_set_blob(c->made, rk_slice(c->blob, c->blob_n)))
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	if (!c->new_secret && former)
		rk_secret_move(&c->made->secret, &former->secret);
	c->shown = c->new_secret ? rk_secret_slice(&c->made->secret) : rk_str(NULL);
	hooks_put(op->k->hooks, c->made);
	c->made = NULL;
	dispatch_kick(op->k->dispatch);
	return 0;
}

static void answer(struct manage_op *op)
{
	struct hook *h = hooks_find(op->k->hooks, rk_str(op->target));

	send_hook(op, h, op->hook ? op->hook->shown : rk_str(NULL));
}

/* Sent again: as it is now. The secret was in the first answer only. */
static int recall(struct manage_op *op, struct rk_fault *fault)
{
	struct hook *h;

	return find(op, rk_str(op->target), &h, fault);
}

void manage_hook_release(struct manage_op *op)
{
	if (!op->hook)
		return;
	hook_free(op->hook->made);
	free(op->hook);
}

/* ---- webhook.add ---- */

static int add_begin(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_hook_add *b = &op->body.hook_add;
	char id[HOOK_ID_TEXT] = "hook_";
	struct store_webhook w;
	int err;

	rk_base62_random(id + strlen(id), HOOK_ID_TEXT - sizeof "hook_");
	w = (struct store_webhook){
	    .id = rk_str(id),
	    .name = b->name,
	    .url = b->url,
	    .events = b->events ? b->events : NOTICE_EVERY,
	    .flags = b->flags,
	    .ca_pem = b->ca_pem,
	    .enabled = true,
	    .created_ms = op->now_ms,
	    .updated_ms = op->now_ms,
	    .revision = 1,
	};
	if (op->k->hooks->count >= HOOKS_MAX)
		return rk_fail(fault, RK_E_TOOBIG, "there are %d webhooks, and no more can be",
		               HOOKS_MAX);
	err = make(op, &w, fault);
	if (!err)
		err = make_secret(op, fault);
	if (err)
		return err;
	snprintf(op->target, sizeof op->target, "%s", id);
	manage_detail(op, "url=%.*s events=0x%x", RK_FMT(w.url), w.events);
	return 0;
}

const struct mutation mutation_hook_add = {
    .action = "webhook.add",
    .begin = add_begin,
    .prepare = wrap,
    .store = add_store,
    .apply = apply,
    .answer = answer,
    .recall = recall,
};

/* ---- webhook.update ---- */

static void merge(struct store_webhook *w, const struct msg_hook_update *b)
{
	if (b->set & HOOK_NAME)
		w->name = b->name;
	if (b->set & HOOK_URL)
		w->url = b->url;
	if (b->set & HOOK_EVENTS)
		w->events = b->events ? b->events : NOTICE_EVERY;
	if (b->set & HOOK_FLAGS)
		w->flags = b->flags;
	if (b->set & HOOK_CA)
		w->ca_pem = b->ca_pem;
	if (b->set & HOOK_ENABLED)
		w->enabled = b->enabled != 0;
}

static int update_begin(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_hook_update *b = &op->body.hook_update;
	struct store_webhook w;
	struct hook *h;
	int err = find(op, b->ref, &h, fault);

	if (!err)
		err = manage_revision(op, h->revision, fault);
	if (err)
		return err;
	if (!b->set)
		return 1;
	w = hook_stored(h);
	merge(&w, b);
	w.updated_ms = op->now_ms;
	w.revision++;
	err = make(op, &w, fault);
	if (!err)
		manage_detail(op, "url=%.*s events=0x%x %s", RK_FMT(w.url), w.events,
		              w.enabled ? "enabled" : "disabled");
	return err;
}

const struct mutation mutation_hook_update = {
    .action = "webhook.update",
    .begin = update_begin,
    .store = update_store,
    .apply = apply,
    .answer = answer,
    .recall = recall,
};

/* ---- webhook.rotate ---- */

static int rotate_begin(struct manage_op *op, struct rk_fault *fault)
{
	struct store_webhook w;
	struct hook *h;
	int err = find(op, op->body.ref.ref, &h, fault);

	if (!err)
		err = manage_revision(op, h->revision, fault);
	if (err)
		return err;
	w = hook_stored(h);
	w.updated_ms = op->now_ms;
	w.revision++;
	err = make(op, &w, fault);
	if (!err)
		err = make_secret(op, fault);
	if (!err)
		manage_detail(op, "version=%u", op->hook->made->secret_version);
	return err;
}

const struct mutation mutation_hook_rotate = {
    .action = "webhook.rotate",
    .begin = rotate_begin,
    .prepare = wrap,
    .store = update_store,
    .apply = apply,
    .answer = answer,
    .recall = recall,
};

/* ---- webhook.remove, webhook.test ---- */

static void say_done(struct manage_op *op)
{
	const struct msg_done m = {0};

	manage_send(op, MSG_DONE, &m);
}

/* It is gone, or on its way, either way. */
static int done_before(struct manage_op *op, struct rk_fault *fault)
{
	(void)op;
	(void)fault;
	return 0;
}

static int remove_begin(struct manage_op *op, struct rk_fault *fault)
{
	struct hook *h;
	int err = find(op, op->body.ref.ref, &h, fault);

	if (!err)
		err = manage_revision(op, h->revision, fault);
	if (!err)
		manage_detail(op, "name=%s", h->name);
	return err;
}

static int remove_store(struct manage_op *op, struct rk_fault *fault)
{
	struct store *s = op->k->store;
	int err = store_begin(s, fault);

	if (!err)
		err = store_webhook_remove(s, rk_str(op->target), fault);
	if (!err)
		err = store_outbox_orphan(s, rk_str(op->target), op->now_ms, fault);
	return store_end(s, err, fault);
}

static int remove_apply(struct manage_op *op, struct rk_fault *fault)
{
	(void)fault;
	hooks_remove(op->k->hooks, rk_str(op->target));
	return 0;
}

const struct mutation mutation_hook_remove = {
    .action = "webhook.remove",
    .begin = remove_begin,
    .store = remove_store,
    .apply = remove_apply,
    .answer = say_done,
    .recall = done_before,
};

static int test_begin(struct manage_op *op, struct rk_fault *fault)
{
	struct hook *h;
	int err = find(op, op->body.ref.ref, &h, fault);

	if (!err && !h->enabled)
		err = rk_fail(fault, RK_E_STATE, "%s is disabled", h->name);
	return err;
}

static int test_store(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_notice n = {.kind = NOTICE_TEST, .actor = rk_str(op->actor)};
	struct store *s = op->k->store;
	int err = store_begin(s, fault);

	if (!err)
		err = notice_store_for(s, &n, rk_str(op->target), rk_str(NULL), fault);
	return store_end(s, err, fault);
}

static int test_apply(struct manage_op *op, struct rk_fault *fault)
{
	(void)op;
	(void)fault;
	return 0;
}

const struct mutation mutation_hook_test = {
    .action = "webhook.test",
    .begin = test_begin,
    .store = test_store,
    .apply = test_apply,
    .answer = say_done,
    .recall = done_before,
};

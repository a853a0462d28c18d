#include "keeper/index_holder.h"

#include <stdlib.h>

#include "keeper/index_int.h"

enum { DAY_MS = 86400000 };

/* ---- the table of names ---- */

struct holder_name {
	enum holder_kind kind;
	struct rk_slice name;
};

static uint64_t name_hash(const struct index *ix, enum holder_kind kind, struct rk_slice name)
{
	return slots_hash_bytes(ix->seed + kind, name.p, name.n);
}

static uint64_t number_hash(const void *owner, uint32_t number)
{
	const struct index *ix = owner;
	const struct index_holder *h = ix->holder[number];

	return name_hash(ix, (enum holder_kind)h->kind, rk_str(h->name));
}

static bool name_equal(const void *owner, uint32_t number, const void *key)
{
	const struct index_holder *h = ((const struct index *)owner)->holder[number];
	const struct holder_name *n = key;

	return h->kind == n->kind && rk_slice_is(n->name, h->name);
}

void index_holder_tables(struct index *ix)
{
	ix->holder_names =
	    (struct slots){.hash = number_hash, .equal = name_equal, .owner = ix};
}

static size_t trust_bytes(const struct index_trust *t)
{
	return sizeof *t + strlen(t->user_agent) + 1;
}

size_t index_holder_bytes(const struct index *ix)
{
	return ix->holder_cap * sizeof ix->holder[0] +
	       ix->holders * sizeof(struct index_holder) + slots_bytes(&ix->holder_names) +
	       ix->trust_cap * sizeof ix->trust[0] + ix->trust_bytes;
}

void index_holder_free_all(struct index *ix)
{
	for (size_t i = 0; i < ix->trusts; i++)
		free(ix->trust[i]);
	for (size_t i = 0; i < ix->holders; i++) {
		free(ix->holder[i]->email);
		free(ix->holder[i]->trust);
		free(ix->holder[i]);
	}
	free(ix->trust);
	free(ix->holder);
	slots_free(&ix->holder_names);
}

/* ---- holders ---- */

struct index_holder *index_holder_find(const struct index *ix, enum holder_kind kind,
                                       struct rk_slice name)
{
	const struct holder_name key = {kind, name};
	uint32_t number = slots_find(&ix->holder_names, name_hash(ix, kind, name), &key);

	return number == SLOTS_NONE ? NULL : ix->holder[number];
}

int index_holder_resolve(const struct index *ix, struct rk_slice ref, struct index_holder **out,
                         struct rk_fault *fault)
{
	const char *colon = ref.n ? memchr(ref.p, ':', ref.n) : NULL;
	size_t n = colon ? (size_t)(colon - ref.p) : 0;
	struct index_holder *h;
	enum holder_kind kind;

	if (!colon || holder_kind_parse(rk_slice(ref.p, n), &kind))
		return rk_fail(fault, RK_E_NOTFOUND,
		               "a holder is written KIND:NAME, with the kind app, agent, "
		               "person or vendor");
	h = index_holder_find(ix, kind, rk_slice_skip(ref, n + 1));
	if (!h)
		return rk_fail(fault, RK_E_NOTFOUND,
		               "no such holder: one is there from its "
		               "first key on");
	*out = h;
	return 0;
}

struct index_holder *index_holder_next(const struct index *ix, const struct index_holder *after)
{
	size_t i = after ? (size_t)after->number + 1 : 0;

	return i < ix->holders ? ix->holder[i] : NULL;
}

size_t index_holder_count(const struct index *ix)
{
	return ix->holders;
}

struct index_key *index_holder_key(const struct index *ix, const struct index_holder *h,
                                   const struct index_key *after)
{
	if (!after)
		return h->first;
	return after->owner_next == SLOTS_NONE ? NULL : index_key_at(ix, after->owner_next);
}

static int holder_room(struct index *ix)
{
	size_t cap = ix->holder_cap ? 2 * ix->holder_cap : 16;
	struct index_holder **holder;

	if (ix->holders < ix->holder_cap)
		return 0;
	if (cap > SLOTS_NONE / 2)
		return RK_E_FULL;
	holder = realloc(ix->holder, cap * sizeof(struct index_holder *));
	if (!holder)
		return RK_E_NOMEM;
	ix->holder = holder;
	ix->holder_cap = cap;
	return 0;
}

/* `name` is interned. */
int index_holder_get(struct index *ix, enum holder_kind kind, const char *name,
                     struct index_holder **out)
{
	struct index_holder *h = index_holder_find(ix, kind, rk_str(name));
	int err;

	if (h) {
		*out = h;
		return 0;
	}
	err = holder_room(ix);
	if (err)
		return err;
	h = calloc(1, sizeof *h);
	if (!h)
		return RK_E_NOMEM;
	h->number = (uint32_t)ix->holders;
	h->kind = (uint8_t)kind;
	h->revision = 1;
	h->name = name;
	ix->holder[h->number] = h;
	err = slots_add(&ix->holder_names, name_hash(ix, kind, rk_str(name)), h->number);
	if (err) {
		free(h);
		return err;
	}
	ix->holders++;
	*out = h;
	return 0;
}

int index_add_holder(struct index *ix, const struct store_holder *s, struct rk_fault *fault)
{
	struct index_holder *h;
	const char *name;
	int err;

	if (s->kind >= HOLDER_KINDS || s->name.n > MSG_MAX_NAME ||
	    (s->name.n && memchr(s->name.p, 0, s->name.n)) || s->email.n > MSG_MAX_EMAIL)
		return rk_fail(fault, RK_E_INVALID, "a holder is stored malformed");
	name = intern_text(ix->texts, s->name);
	err = name ? index_holder_get(ix, (enum holder_kind)s->kind, name, &h) : RK_E_NOMEM;
	if (!err)
		err = index_holder_set_email(ix, h, s->email);
	if (err)
		return rk_fail(fault, err, "no room for another holder");
	h->revision = s->revision ? s->revision : 1;
	h->settled = s->settled;
	return 0;
}

int index_holder_set_email(struct index *ix, struct index_holder *h, struct rk_slice email)
{
	char *copy = NULL;

	if (email.n) {
		copy = strndup(email.p, email.n);
		if (!copy)
			return RK_E_NOMEM;
	}
	ix->trust_bytes += email.n;
	ix->trust_bytes -= h->email ? strlen(h->email) : 0;
	free(h->email);
	h->email = copy;
	return 0;
}

/* ---- judging an address ---- */

struct rk_cidr index_trust_net(const uint8_t ip[16])
{
	struct rk_cidr net = {.bits = 128};

	memcpy(net.net.b, ip, sizeof net.net.b);
	if (!rk_ip_is_v4(&net.net)) {
		net.bits = 64;
		memset(net.net.b + 8, 0, 8);
	}
	return net;
}

static bool is_preset(const struct index *ix, const struct rk_ip *ip)
{
	for (unsigned i = 0; i < ix->presets; i++) {
		if (rk_cidr_contains(&ix->preset[i], ip))
			return true;
	}
	return false;
}

enum trust_verdict index_trust_judge(const struct index *ix, const struct index_holder *h,
                                     const uint8_t client_ip[16])
{
	struct rk_ip ip;

	memcpy(ip.b, client_ip, sizeof ip.b);
	for (unsigned i = 0; i < h->trusts; i++) {
		const struct index_trust *t = h->trust[i];

		if (t->state == TRUST_TRUSTED && rk_cidr_contains(&t->net, &ip))
			return TRUST_YES;
	}
	if (is_preset(ix, &ip))
		return TRUST_YES;
	if (!ix->trust_first || h->settled)
		return TRUST_NO;
	/* whoever comes while the first one is being stored waits with it, or is not it */
	if (h->claim)
		return rk_cidr_contains(&h->claim->net, &ip) ? TRUST_FIRST : TRUST_NO;
	return TRUST_FIRST;
}

void index_trust_rule(struct index *ix, bool first, struct rk_slice presets)
{
	struct rk_slice item;

	ix->trust_first = first;
	ix->presets = 0;
	while (record_list_next(&presets, &item) && ix->presets < INDEX_MAX_PRESETS)
		ix->presets += rk_cidr_parse(item, &ix->preset[ix->presets]) == 0;
}

/* ---- records ---- */

/* Where the number is or would be. */
static size_t place_of(struct index_trust *const *list, size_t n, uint32_t number)
{
	size_t low = 0;

	while (low < n) {
		size_t mid = low + (n - low) / 2;

		if (list[mid]->number < number)
			low = mid + 1;
		else
			n = mid;
	}
	return low;
}

static int trust_room(struct index *ix, struct index_holder *h)
{
	if (ix->trusts == ix->trust_cap) {
		size_t cap = ix->trust_cap ? 2 * ix->trust_cap : 16;
		struct index_trust **all =
		    realloc(ix->trust, cap * sizeof(struct index_trust *));

		if (!all)
			return RK_E_NOMEM;
		ix->trust = all;
		ix->trust_cap = cap;
	}
	if (h->trusts == h->trust_cap) {
		uint16_t cap = h->trust_cap ? (uint16_t)(2 * h->trust_cap) : 2;
		struct index_trust **own =
		    realloc(h->trust, cap * sizeof(struct index_trust *));

		if (!own)
			return RK_E_NOMEM;
		ix->trust_bytes += (size_t)(cap - h->trust_cap) * sizeof own[0];
		h->trust = own;
		h->trust_cap = cap;
	}
	return 0;
}

static int trust_enter(struct index *ix, struct index_holder *h, uint32_t number,
                       struct rk_slice user_agent, struct index_trust **out)
{
	struct index_trust *t;

	if (user_agent.n > AUDIT_MAX_USER_AGENT)
		user_agent.n = AUDIT_MAX_USER_AGENT;
	if (h->trusts > HOLDER_MAX_TRUSTED + HOLDER_MAX_PENDING || trust_room(ix, h))
		return RK_E_NOMEM;
	t = calloc(1, sizeof *t + user_agent.n + 1);
	if (!t)
		return RK_E_NOMEM;
	if (user_agent.n)
		memcpy(t->user_agent, user_agent.p, user_agent.n);
	t->holder = h;
	t->number = number;
	t->revision = 1;
	t->conn_id = "";
	ix->trust[ix->trusts++] = t;
	h->trust[h->trusts++] = t;
	ix->trust_bytes += trust_bytes(t);
	*out = t;
	return 0;
}

int index_add_trust(struct index *ix, const struct store_trust *s, struct rk_fault *fault)
{
	struct index_holder *h = index_holder_find(ix, (enum holder_kind)s->kind, s->holder);
	struct index_trust *t;

	if (!h)
		return rk_fail(fault, RK_E_NOTFOUND, "an address is stored without its holder");
	if (s->number <= ix->last_trust || s->net.bits > 128 ||
	    (s->state != TRUST_PENDING && s->state != TRUST_TRUSTED) ||
	    trust_enter(ix, h, s->number, s->user_agent, &t))
		return rk_fail(fault, RK_E_INVALID, "ip_%u is stored malformed", s->number);
	ix->last_trust = s->number;
	t->net = s->net;
	t->state = s->state;
	t->how = s->how;
	t->revision = s->revision;
	t->key = s->key_id.n ? index_key_by_id(ix, s->key_id) : NULL;
	t->conn_id = intern_text(ix->texts, s->conn_id);
	if (!t->conn_id)
		t->conn_id = "";
	t->first_ms = s->first_ms;
	t->decided_ms = s->decided_ms;
	t->mailed_ms = s->mailed_ms;
	memcpy(t->code_digest, s->code_digest, sizeof t->code_digest);
	t->code_expires_ms = s->code_expires_ms;
	if (t->key && t->mailed_ms)
		index_mail_count(ix, t->key, t->mailed_ms);
	return 0;
}

void index_trust_last(struct index *ix, uint32_t number)
{
	if (number > ix->last_trust)
		ix->last_trust = number;
}

int index_trust_new(struct index *ix, struct index_holder *h, const struct rk_cidr *net,
                    struct rk_slice user_agent, struct index_trust **out)
{
	struct index_trust *t;
	int err = ix->last_trust < UINT32_MAX
	              ? trust_enter(ix, h, ix->last_trust + 1, user_agent, &t)
	              : RK_E_FULL;

	if (err)
		return err;
	ix->last_trust++;
	t->net = *net;
	t->state = TRUST_PENDING;
	t->busy = t->fresh = true;
	*out = t;
	return 0;
}

static void take_out(struct index_trust **list, size_t n, size_t at)
{
	memmove(&list[at], &list[at + 1], (n - at - 1) * sizeof(struct index_trust *));
}

void index_trust_drop(struct index *ix, struct index_trust *t)
{
	struct index_holder *h = t->holder;

	take_out(ix->trust, ix->trusts, place_of(ix->trust, ix->trusts, t->number));
	ix->trusts--;
	take_out(h->trust, h->trusts, place_of(h->trust, h->trusts, t->number));
	h->trusts--;
	if (h->claim == t)
		h->claim = NULL;
	ix->trust_bytes -= trust_bytes(t);
	free(t);
}

struct index_trust *index_trust_at(const struct index_holder *h, const struct rk_cidr *net)
{
	for (unsigned i = 0; i < h->trusts; i++) {
		struct index_trust *t = h->trust[i];

		if (t->net.bits == net->bits &&
		    memcmp(t->net.net.b, net->net.b, sizeof net->net.b) == 0)
			return t;
	}
	return NULL;
}

struct index_trust *index_trust_by_number(const struct index *ix, uint32_t number)
{
	size_t at = place_of(ix->trust, ix->trusts, number);

	return at < ix->trusts && ix->trust[at]->number == number ? ix->trust[at] : NULL;
}

struct index_trust *index_trust_next(const struct index *ix, const struct index_holder *h,
                                     uint32_t after)
{
	struct index_trust *const *list = h ? h->trust : ix->trust;
	size_t n = h ? h->trusts : ix->trusts, at;

	if (after == UINT32_MAX)
		return NULL;
	at = place_of(list, n, after + 1);
	return at < n ? list[at] : NULL;
}

/* Of the newest day that there was any; that of an older one tells nothing any more. */
void index_mail_count(const struct index *ix, struct index_key *k, int64_t at_ms)
{
	struct index_holder *h = k->owner;
	uint16_t day = (uint16_t)(at_ms / DAY_MS);

	if (day < h->mail_day)
		return;
	if (day > h->mail_day) {
		struct index_key *each = NULL;

		while ((each = index_holder_key(ix, h, each)))
			each->mails = 0;
		h->mail_day = day;
	}
	k->mails += k->mails < HOLDER_MAX_MAILS;
}

uint32_t index_mails(const struct index_key *k, int64_t now_ms)
{
	return k->owner->mail_day == (uint16_t)(now_ms / DAY_MS) ? k->mails : 0;
}

unsigned index_trust_count(const struct index_holder *h, enum trust_state state)
{
	unsigned n = 0;

	for (unsigned i = 0; i < h->trusts; i++)
		n += h->trust[i]->state == state;
	return n;
}

const char *index_key_holder(const struct index_key *k)
{
	return k->owner->name;
}

/*
 * Management keys for tests on tests/lib/manage_world.h: issuing one, being its bearer.
 */
#ifndef TESTS_LIB_MGMT_SCENE_H
#define TESTS_LIB_MGMT_SCENE_H

#include "tests/lib/manage_world.h"

struct mgmt_held {
	char id[MGMT_KEY_ID_TEXT], text[MGMT_KEY_MAX + 1];
};

static inline void mgmt_issue_from(struct world *w, const struct msg_mgmt_issue *issue,
                                   struct mgmt_held *out)
{
	const struct msg_mgmt_info *info;

	world_run(w, &w->a, MSG_MGMT_ISSUE, issue);
	info = &world_answer(&w->a, 0, MSG_MGMT_INFO)->mgmt_info;
	assert_true(rk_slice_cstr(info->id, out->id, sizeof out->id));
	assert_true(rk_slice_cstr(info->key, out->text, sizeof out->text));
}

static inline void mgmt_issue(struct world *w, enum mgmt_role role, struct mgmt_held *out)
{
	const struct msg_mgmt_issue issue = {.role = (uint8_t)role, .name = rk_str("ci")};

	mgmt_issue_from(w, &issue, out);
}

/* The caller comes with that credential; what mgmt_authenticate() says. */
static inline int mgmt_come(struct world *w, struct world_caller *c, const char *credential)
{
	struct msg_caller m = {.credential = rk_str(credential)};

	assert_int_equal(rk_ip_parse(rk_str("192.0.2.7"), (struct rk_ip *)m.client_ip), 0);
	return mgmt_authenticate(&w->k, &m, &c->caller);
}

static inline void mgmt_be(struct world *w, struct world_caller *c, const struct mgmt_held *key)
{
	if (mgmt_come(w, c, key->text))
		fail_msg("%s is not let in", key->id);
}

static inline unsigned rows_with(struct world *w, const char *action)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->rows; i++)
		n += strcmp(w->row[i].action, action) == 0;
	return n;
}

/* A provisioner's bounds: GET below /v1/files on "openai", two minutes, without `expand`. */
struct mint_bounds {
	struct sample_grants grants;
	struct msg_mgmt_issue issue;
};

static inline void mint_bounds(struct mint_bounds *b)
{
	b->grants.used = 0;
	sample_grant(&b->grants, "openai", "GET HEAD", "/v1/files/* /v1/models", "expand");
	b->issue = (struct msg_mgmt_issue){
	    .role = ROLE_PROVISIONER,
	    .name = rk_str("pipeline"),
	    .grants = sample_grants_slice(&b->grants),
	    .max_ttl_ms = 120000,
	};
}

struct mint_request {
	struct sample_list methods, paths, deny;
	struct msg_key_mint mint;
};

/* One that is within them; tests spoil one thing at a time. */
static inline void mint_request(struct mint_request *r)
{
	r->mint = (struct msg_key_mint){
	    .conn = rk_str("openai"),
	    .name = rk_str("agent-run-2026-05-01"),
	    .methods = sample_words(&r->methods, "GET"),
	    .paths = sample_words(&r->paths, "/v1/files/*"),
	    .ttl_ms = 60000,
	};
}

#endif

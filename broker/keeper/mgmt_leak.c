#include "keeper/mgmt_leak.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base62.h"
#include "base/clock.h"
#include "base/log.h"
#include "keeper/manage_int.h"

/* ---- a caller that waits for nothing ---- */

static int send_nothing(struct manage_caller *c, enum ipc_type type, const void *body)
{
	(void)c;
	(void)type;
	(void)body;
	return 0;
}

static bool room_always(struct manage_caller *c)
{
	(void)c;
	return true;
}

static void done(struct manage_caller *c)
{
	free(c);
}

static const struct manage_caller_ops ops = {
    .send = send_nothing, .room = room_always, .done = done};

static void run_revocation(struct manage *m, const char *actor, struct mgmt_entry *e)
{
	union ipc_body body = {.mgmt_revoke = {.ref = rk_str(e->id)}};
	struct manage_caller *c = calloc(1, sizeof *c);

	if (!c) {
		/* in force at least; the log is all that outlives a restart */
		log_event(LOG_LEVEL_ERROR, "change-not-durable", "key", "%s: out of memory",
		          e->id);
		if (!e->revoked_ms)
			e->revoked_ms = rk_wall_ms();
		manage_forget_key(m, e->number, NULL);
		return;
	}
	snprintf(c->actor, sizeof c->actor, "%s", actor);
	c->role = ROLE_ADMIN;
	c->ops = &ops;
	manage_run(m, c, MSG_MGMT_REVOKE, &body);
}

/* ---- */

static void tell(struct manage *m, const char *actor, const char *id, struct rk_slice source)
{
	char detail[AUDIT_MAX_DETAIL];
	struct audit_row row = {
	    .type = AUDIT_MANAGE,
	    .actor = rk_str(actor),
	    .action = rk_str("key.leaked"),
	    .target = rk_str(id),
	};
	size_t n = source.n < sizeof detail ? source.n : sizeof detail;

	for (size_t i = 0; i < n; i++)
		detail[i] = source.p[i] >= ' ' && source.p[i] < 0x7f ? source.p[i] : '?';
	/* the place may quote what was found there */
	relay_key_redact(detail, n);
	row.detail = rk_slice(detail, n);
	pipeline_keep_row(m->k->pipeline, &row);
}

enum mgmt_leak mgmt_key_revoke_leaked(struct manage *m, const char *actor,
                                      struct rk_slice token, struct rk_slice source,
                                      char id[MGMT_KEY_ID_TEXT], char masked[MGMT_KEY_MASKED])
{
	struct mgmt_entry *e = NULL;
	struct mgmt_key shape;
	uint8_t digest[32];
	bool live;

	if (mgmt_key_parse(token, &shape) == 0) {
		rk_sha256(token, digest);
		e = mgmt_keys_by_digest(m->k->mgmt_keys, digest);
	}
	if (!e)
		return MGMT_LEAK_UNKNOWN;
	snprintf(id, MGMT_KEY_ID_TEXT, "%s", e->id);
	mgmt_key_mask((enum mgmt_role)e->role, e->hint, masked);
	live = mgmt_entry_live(e, rk_wall_ms());
	if (live)
		tell(m, actor, e->id, source);
	if (live || manage_is_undurable(m, e->id))
		run_revocation(m, actor, e);
	return live ? MGMT_LEAK_REVOKED : MGMT_LEAK_OVER;
}

#include "keeper/keeper_int.h"

#include "base/clock.h"
#include "base/version.h"

enum { COUNT_AGAIN_MS = 1000 };

static size_t live_keys(struct keeper *k)
{
	int64_t now_ms = rk_wall_ms();

	if (!k->live_keys_ms || now_ms < k->live_keys_ms ||
	    now_ms - k->live_keys_ms >= COUNT_AGAIN_MS) {
		k->live_keys = index_key_live(k->index, now_ms);
		k->live_keys_ms = now_ms;
	}
	return k->live_keys;
}

static void token_status(const struct keeper *k, struct msg_status *out)
{
	const struct token_details *d = &k->token_details;

	out->token_state = rk_str("unavailable");
	out->token_label = rk_str(d->label);
	out->token_model = rk_str(d->model);
	out->token_module = rk_str(k->env.token_module);
	out->mechanism = rk_str(d->kek_generation ? "aes-gcm" : "");
	out->kek_generation = d->kek_generation;
	if (k->token)
		out->token_state = rk_str(token_state_name(token_state(k->token)));
}

static void pipeline_status(struct keeper *k, struct msg_status *out)
{
	struct pipeline_counters c;
	struct journal_head head;

	pipeline_counters(k->pipeline, &c);
	journal_head(k->journal, &head);
	out->unsealed = pipeline_unsealed(k->pipeline);
	out->audit_ok = pipeline_audit_ok(k->pipeline);
	out->audit_error = rk_str(pipeline_audit_error(k->pipeline));
	out->audit_rows = head.rows;
	out->connections = (uint32_t)index_conn_count(k->index);
	out->keys = index_key_count(k->index);
	out->live_keys = live_keys(k);
	out->in_flight = c.in_flight;
	out->requests = c.requests;
	out->refused = c.refused;
	out->batches = c.batches;
	out->unwraps = c.unwraps;
	out->policy_version = k->policy_version;
	out->panic = k->panic.on;
	out->panic_ms = k->panic.since_ms;
	out->panic_by = rk_str(k->panic.by);
	out->panic_reason = rk_str(k->panic.reason);
}

void keeper_status(struct keeper *k, struct msg_status *out)
{
	*out = (struct msg_status){
	    .version = rk_str(RELAYKEY_VERSION),
	    .started_ms = k->started_ms,
	    .secret_memory = rk_str(secret_arena_backing()),
	    .audit_error = rk_str(k->seal_reason),
	    .relays = relay_links_count(k->relays),
	};
	token_status(k, out);
	if (k->pipeline)
		pipeline_status(k, out);
}

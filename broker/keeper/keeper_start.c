/*
 * On the loop, once everything is open: the pipeline and what hangs on it begin.
 */
#include <stdio.h>

#include "base/file.h"
#include "base/log.h"
#include "base/row_set.h"
#include "keeper/alarm.h"
#include "keeper/audit_indexer.h"
#include "keeper/dispatch.h"
#include "keeper/expiry.h"
#include "keeper/keeper_int.h"
#include "keeper/notice.h"
#include "keeper/settings.h"
#include "keeper/trust.h"

enum {
	QUICK_US = 100, /* an unwrap that costs no more than another thread's turn */
};

static int unwrap(void *arg, struct rk_slice blob, struct rk_slice place, struct rk_secret *out,
                  struct rk_fault *fault)
{
	return token_unwrap(((struct keeper *)arg)->token, blob, place, out, fault);
}

static int reconnect(void *arg, struct rk_fault *fault)
{
	return token_reconnect(((struct keeper *)arg)->token, fault);
}

static int ping(void *arg)
{
	return token_ping(((struct keeper *)arg)->token);
}

static int append(void *arg, struct journal_entry *entries, size_t count,
                  struct rk_fault *fault)
{
	return journal_append(((struct keeper *)arg)->journal, entries, count, fault);
}

static void maintain(void *arg)
{
	journal_maintain(((struct keeper *)arg)->journal);
}

/* What is not told now is told by the log and the status. */
static void tell_token(struct keeper *k, bool back, const char *detail)
{
	const struct msg_notice n = {.kind = back ? NOTICE_TOKEN_BACK : NOTICE_TOKEN_LOST,
	                             .detail = rk_str(detail)};
	int err = notice_raise(k, &n, rk_str(NULL));

	if (err)
		log_event(LOG_LEVEL_WARN, "notice-lost", "reason", "%s", rk_strerror(err));
	k->token_told = !back;
}

static void on_gate(bool unsealed, bool audit_ok, void *arg)
{
	struct keeper *k = arg;

	if (unsealed == k->token_told)
		tell_token(k, unsealed, NULL);
	log_event(LOG_LEVEL_WARN, "gate", "open", "%s",
	          !audit_ok   ? "no: the audit journal cannot be written"
	          : !unsealed ? "no: the token is not available"
	                      : "yes");
	relay_links_gate(k->relays, unsealed, audit_ok);
}

/* Without it a search takes longer, which is no reason not to start. */
static void start_index(struct keeper *k)
{
	char path[KEEPER_PATH_MAX];
	int err = file_join(k->env.state_dir, "search.db", path, sizeof path);

	if (!err)
		err = audit_index_new(path, &k->journal_key, ROW_SET_BITS, &k->audit_index);
	if (!err)
		err = audit_indexer_new(k->journal_path, &k->journal_key, k->audit_index,
		                        &k->audit_indexer);
	if (err)
		log_event(LOG_LEVEL_WARN, "search-index", "reason", "%s", rk_strerror(err));
}

static void trust_terms(struct keeper *k, struct trust_terms *out)
{
	const struct settings *s = keeper_settings(k);

	*out = (struct trust_terms){
	    .first = s->trust_first_ip,
	    .presets = s->trust_presets,
	    .mails_per_key_day = s->mails_per_key_day,
	    .confirm_ttl_ms = s->confirm_ttl_ms,
	};
}

static void on_honey(const struct index_key *key, const struct index_conn *conn,
                     const struct msg_authorize *m, void *arg)
{
	struct keeper *k = arg;

	alarm_honey(k->alarm, key, conn, m->client_ip, m->user_agent);
}

int keeper_start(struct keeper *k)
{
	struct pipeline_params params = {
	    .loop = k->loop,
	    .index = k->index,
	    .journal_pool = k->journal_pool,
	    .token_pool = k->token_pool,
	    .token_threads = KEEPER_TOKEN_THREADS,
	    .quick_us = QUICK_US,
	    .commit_alone = true,
	    .backend = {.append = append,
	                .maintain = maintain,
	                .unwrap = unwrap,
	                .reconnect = reconnect,
	                .ping = ping,
	                .arg = k},
	    .policy_version = &k->policy_version,
	    .trust = trust_hooks(k),
	    .gate = on_gate,
	    .gate_arg = k,
	    .honey = on_honey,
	    .honey_arg = k,
	};
	int err;

	journal_head(k->journal, &params.head);
	err = trust_new(k, trust_terms, &k->trust);
	if (!err)
		err = pipeline_new(&params, &k->pipeline);
	if (!err)
		err = alarm_new(k, &k->alarm);
	if (err)
		return err;
	pipeline_stop_traffic(k->pipeline, k->panic.on);
	k->state = KEEPER_OPEN;
	if (k->seal_reason[0])
		tell_token(k, true, k->seal_reason);
	k->seal_reason[0] = '\0';
	start_index(k);
	dispatch_open(k->dispatch);
	notices_flush(k->notices);
	expiry_open(k->expiry);
	relay_links_open(k->relays, k->index, k->pipeline);
	log_event(LOG_LEVEL_INFO, "open", "policy", "%zu connections, %zu relay keys",
	          index_conn_count(k->index), index_key_count(k->index));
	return 0;
}

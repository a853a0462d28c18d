/*
 * SIGHUP: what can change while serving, and a word about what cannot. Nothing that is wrong
 * with the new files changes anything.
 */
#include "supervisor/supervisor_int.h"

#include <stddef.h>
#include <string.h>

#include "base/log.h"
#include "supervisor/notify.h"

enum { TRUST_PIECE = 16000 };

/* ---- identity ---- */

/*
 * One role a hook: the peer's own hook, which flushes, runs between two of them, so the whole
 * round needs the secret memory of one message only.
 */
static void send_identity_to_one(void *arg)
{
	struct supervisor *sv = arg;
	struct msg_tls m = {.certificate = rk_secret_slice(&sv->identity.certificate),
	                    .key = rk_secret_slice(&sv->identity.key)};

	for (unsigned i = 0; i < sv->child_count; i++) {
		struct child *c = &sv->children[i];
		char name[CHILD_NAME_MAX];

		if (!c->identity_due)
			continue;
		c->identity_due = false;
		child_name(c, name);
		if (c->peer && child_alive(c) && ipc_peer_send(c->peer, MSG_TLS, 0, &m))
			log_event(LOG_LEVEL_ERROR, "reload-failed", "role_name", "%s", name);
		loop_at_turn_end(sv->loop, &sv->identity_hook);
		return;
	}
}

void reload_init(struct supervisor *sv)
{
	sv->identity_hook = (struct loop_hook){.run = send_identity_to_one, .arg = sv};
}

static void reload_identity(struct supervisor *sv, const struct rk_config *new)
{
	struct identity id = {{0}, {0}};
	struct rk_fault fault = {{0}};

	if (identity_load(new->tls_certificate, new->tls_key, &id, &fault)) {
		log_event(LOG_LEVEL_ERROR, "reload-refused", "reason", "%s", fault.text);
		return;
	}
	identity_move(&sv->identity, &id);
	memcpy(sv->config.tls_certificate, new->tls_certificate, CONFIG_PATH_MAX);
	memcpy(sv->config.tls_key, new->tls_key, CONFIG_PATH_MAX);
	for (unsigned i = 0; i < sv->child_count; i++)
		sv->children[i].identity_due =
		    sv->children[i].role == IPC_RELAY || sv->children[i].role == IPC_CONSOLE;
	loop_at_turn_end(sv->loop, &sv->identity_hook);
	log_event(LOG_LEVEL_INFO, "reloaded", "what", "tls-certificate");
}

/* ---- the rest ---- */

/* A piece goes when the one before has left, so a slow role costs one piece of memory. */
void reload_drained(struct child *c)
{
	const struct rk_buf *trust = &c->sv->trust;
	struct msg_trust m = {0};
	size_t left, n;

	if (!c->trust_due)
		return;
	left = trust->len - c->trust_sent;
	n = left < TRUST_PIECE ? left : TRUST_PIECE;
	m.pem = rk_slice(rk_buf_data(trust) + c->trust_sent, n);
	m.last = n == left;
	if (ipc_peer_send(c->peer, MSG_TRUST, 0, &m)) {
		/* half a bundle must not stay: a role that starts anew is sent the whole */
		child_kill(c);
		return;
	}
	c->trust_sent += n;
	c->trust_due = !m.last;
	if (c->trust_due)
		ipc_peer_want_drained(c->peer);
}

static bool takes_trust(const struct child *c)
{
	return (c->role == IPC_RELAY || c->role == IPC_COURIER) && c->peer && child_alive(c);
}

/* A second reload in the middle of a round would join two bundles: it waits. */
static bool trust_under_way(const struct supervisor *sv)
{
	for (unsigned i = 0; i < sv->child_count; i++) {
		if (sv->children[i].trust_due)
			return true;
	}
	return false;
}

static void reload_trust(struct supervisor *sv)
{
	struct rk_buf trust = {0};
	struct rk_fault fault = {{0}};

	if (trust_under_way(sv)) {
		log_event(LOG_LEVEL_WARN, "reload-refused", "reason",
		          "upstream-ca: the reload before is still under way");
		return;
	}
	if (trust_load(sv->config.upstream_ca, &trust, &fault)) {
		log_event(LOG_LEVEL_ERROR, "reload-refused", "reason", "%s", fault.text);
		return;
	}
	if (rk_slice_eq(rk_buf_slice(&trust), rk_buf_slice(&sv->trust))) {
		rk_buf_free(&trust);
		return;
	}
	rk_buf_free(&sv->trust);
	sv->trust = trust;
	for (unsigned i = 0; i < sv->child_count; i++) {
		struct child *c = &sv->children[i];

		c->trust_due = takes_trust(c);
		c->trust_sent = 0;
		if (c->trust_due)
			ipc_peer_want_drained(c->peer);
	}
	log_event(LOG_LEVEL_INFO, "reloaded", "what", "upstream-ca");
}

static void reload_log_level(struct supervisor *sv, int level)
{
	struct msg_log_level m = {.level = (uint8_t)level};

	if (level == sv->config.log_level)
		return;
	sv->config.log_level = level;
	log_set_level((enum log_level)level);
	for (unsigned i = 0; i < sv->child_count; i++) {
		struct child *c = &sv->children[i];

		if (c->peer && child_alive(c) && ipc_peer_send(c->peer, MSG_LOG_LEVEL, 0, &m))
			log_event(LOG_LEVEL_WARN, "reload-failed", "what", "log-level");
	}
	log_event(LOG_LEVEL_INFO, "reloaded", "what", "log-level");
}

#define TEXT(name, field)                                                                      \
	{                                                                                      \
		name, offsetof(struct rk_config, field), sizeof((struct rk_config *)0)->field  \
	}

static void warn_of_the_rest(const struct rk_config *old, const struct rk_config *new)
{
	static const struct {
		const char *name;
		size_t offset, size;
	} fixed[] = {
	    TEXT("state-dir", state_dir),
	    TEXT("control-socket", control_socket),
	    TEXT("proxy", proxy),
	    TEXT("console", console),
	    TEXT("proxy-protocol", proxy_protocol),
	    TEXT("trusted-proxy", trusted_proxies),
	    TEXT("max-connections", max_connections),
	    TEXT("max-connections-per-client", max_connections_per_client),
	    TEXT("upstream-ca", upstream_ca),
	    TEXT("egress-proxy", egress),
	    TEXT("relays", relays),
	    TEXT("user", user),
	    TEXT("token-module", token_module),
	    TEXT("token-init-args", token_init_args),
	    TEXT("token-env", token_env),
	    TEXT("token", token),
	    TEXT("token-pin-file", token_pin_file),
	    TEXT("journal-sync", journal_sync_normal),
	    TEXT("secret-memory", secret_memory_locked),
	};

	for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
		const char *a = (const char *)old + fixed[i].offset;
		const char *b = (const char *)new + fixed[i].offset;

		/* config_load() starts from zeroed memory, so bytes behind a text are equal */
		if (memcmp(a, b, fixed[i].size) != 0)
			log_event(LOG_LEVEL_WARN, "needs-restart", "key", "%s", fixed[i].name);
	}
}

void supervisor_reload(struct supervisor *sv)
{
	struct rk_config new;
	struct rk_fault fault = {{0}};

	if (sv->phase != PHASE_SERVING)
		return;
	notify_reloading();
	if (config_load(sv->config.path, &new, &fault)) {
		log_event(LOG_LEVEL_ERROR, "reload-refused", "reason", "%s", fault.text);
	} else {
		warn_of_the_rest(&sv->config, &new);
		reload_identity(sv, &new);
		reload_trust(sv);
		reload_log_level(sv, new.log_level);
	}
	notify_ready();
}

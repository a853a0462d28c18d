#include "supervisor/supervisor_int.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "supervisor/listeners.h"
#include "supervisor/notify.h"
#include "supervisor/privilege.h"

enum {
	DESCRIPTORS = 65536, /* that root gives its roles */
	/* a receive block for each role, send blocks, and one identity at a time */
	ARENA_PER_CHILD = 80 << 10,
	ARENA_BASE = 512 << 10,
	STOP_STAGES = 3,
};

/* ---- start and stop, in order ---- */

static unsigned start_stage(const struct child *c)
{
	switch (c->role) {
	case IPC_KEEPER:
		return 0;
	case IPC_RELAY:
		return 1;
	case IPC_CONSOLE:
		return 2;
	default:
		return 3;
	}
}

/* The keeper is last: what the others still have to say must reach the journal. */
static unsigned stop_stage(const struct child *c)
{
	switch (c->role) {
	case IPC_RELAY:
		return 0;
	case IPC_KEEPER:
		return 2;
	default:
		return 1;
	}
}

static void report_ready(struct supervisor *sv)
{
	char line[CONFIG_PATH_MAX];

	sv->phase = PHASE_SERVING;
	snprintf(line, sizeof line, "relaykeyd ready proxy=%s console=%s pid=%ld",
	         sv->config.proxy, sv->config.console, (long)getpid());
	log_event(LOG_LEVEL_INFO, "ready", "relays", "%u", sv->config.relays);
	notify_ready();
	sv->report->ready(line, sv->report->arg);
}

/* Starts the first group that is not all up; groups behind it wait. */
static void start_next(struct supervisor *sv)
{
	for (unsigned i = 0; i < sv->child_count; i++) {
		struct child *c = &sv->children[i];
		unsigned stage = start_stage(c);
		bool waiting = false;

		if (c->state == CHILD_UP)
			continue;
		for (; i < sv->child_count && start_stage(&sv->children[i]) == stage; i++) {
			c = &sv->children[i];
			waiting = true;
			/* a failure has stopped everything by itself */
			if (c->state == CHILD_DOWN && sv->phase == PHASE_STARTING)
				child_start(c);
		}
		if (waiting)
			return;
	}
	report_ready(sv);
}

static bool stage_empty(const struct supervisor *sv)
{
	for (unsigned i = 0; i < sv->child_count; i++) {
		const struct child *c = &sv->children[i];

		if (stop_stage(c) == sv->stop_stage && c->state != CHILD_DOWN)
			return false;
	}
	return true;
}

static void send_stop(struct supervisor *sv)
{
	const struct timeval limit = {.tv_sec = STOP_GRACE_MS / 1000 + 1};
	struct msg_stop m = {.grace_ms = STOP_GRACE_MS};

	for (unsigned i = 0; i < sv->child_count; i++) {
		struct child *c = &sv->children[i];

		if (stop_stage(c) != sv->stop_stage || !child_alive(c))
			continue;
		if (!c->peer || ipc_peer_send(c->peer, MSG_STOP, 0, &m))
			child_kill(c);
	}
	event_add(sv->stop_timer, &limit);
}

static void stop_next(struct supervisor *sv)
{
	while (stage_empty(sv)) {
		if (++sv->stop_stage == STOP_STAGES) {
			event_del(sv->stop_timer);
			loop_stop(sv->loop);
			return;
		}
		if (!stage_empty(sv))
			send_stop(sv);
	}
}

static void stop_all(struct supervisor *sv)
{
	sv->phase = PHASE_STOPPING;
	notify_stopping();
	/* a queue of connections that nobody takes any more is better refused */
	for (unsigned i = 0; i < sv->config.relays; i++)
		file_close(&sv->proxy[i]);
	file_close(&sv->console);
	sv->stop_stage = 0;
	send_stop(sv);
	stop_next(sv);
}

static void on_stop_timer(evutil_socket_t fd, short what, void *arg)
{
	struct supervisor *sv = arg;

	(void)fd;
	(void)what;
	for (unsigned i = 0; i < sv->child_count; i++) {
		struct child *c = &sv->children[i];
		char name[CHILD_NAME_MAX];

		if (stop_stage(c) != sv->stop_stage || c->state == CHILD_DOWN)
			continue;
		child_name(c, name);
		log_event(LOG_LEVEL_WARN, "role-slow-stop", "killed", "%s", name);
		child_kill(c);
	}
}

static void fail_start(struct supervisor *sv, const char *reason)
{
	sv->exit_status = EXIT_FAILURE;
	sv->report->failed(reason, sv->report->arg);
	stop_all(sv);
}

/* ---- what happens to roles ---- */

void supervisor_child_ready(struct child *c)
{
	struct supervisor *sv = c->sv;
	char name[CHILD_NAME_MAX];

	child_name(c, name);
	log_event(LOG_LEVEL_INFO, "role-ready", "role_name", "%s", name);
	if (sv->phase == PHASE_STARTING)
		start_next(sv);
}

static void start_later(struct child *c, const char *name, const char *why)
{
	int64_t delay = restart_delay_ms(&c->restart, rk_mono_us() / 1000);
	const struct timeval tv = {.tv_sec = delay / 1000, .tv_usec = delay % 1000 * 1000};

	log_event(LOG_LEVEL_ERROR, "role-died", "detail", "%s: %s; started again in %d ms",
	          name, why, (int)delay);
	event_add(c->timer, &tv);
}

void supervisor_child_died(struct child *c)
{
	struct supervisor *sv = c->sv;
	char name[CHILD_NAME_MAX], death[CHILD_DEATH_MAX];
	char why[sizeof name + sizeof death + sizeof c->reason + 8];

	event_del(c->timer);
	child_name(c, name);
	child_death(c->status, death);
	if (c->reason[0])
		snprintf(why, sizeof why, "%s (%s)", c->reason, death);
	else
		snprintf(why, sizeof why, "%s", death);
	switch (sv->phase) {
	case PHASE_STARTING:
		if (c->reason[0])
			snprintf(why, sizeof why, "%s: %s", name, c->reason);
		else
			snprintf(why, sizeof why, "%s did not start: %s", name, death);
		fail_start(sv, why);
		break;
	case PHASE_SERVING:
		start_later(c, name, why);
		break;
	case PHASE_STOPPING:
		if (c->status)
			log_event(LOG_LEVEL_WARN, "role-died", "detail", "%s: %s", name, why);
		stop_next(sv);
		break;
	}
}

/* ---- signals ---- */

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct supervisor *sv = arg;

	(void)what;
	switch (signo) {
	case SIGCHLD:
		children_reap(sv);
		break;
	case SIGHUP:
		supervisor_reload(sv);
		break;
	default:
		log_event(LOG_LEVEL_INFO, "stopping", "signal", "SIG%s",
		          sigabbrev_np((int)signo));
		if (sv->phase == PHASE_STOPPING)
			on_stop_timer(-1, 0, sv);
		else
			stop_all(sv);
	}
}

static int watch_signals(struct supervisor *sv)
{
	static const int watched[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};

	signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; i < 4; i++) {
		sv->signals[i] = evsignal_new(loop_base(sv->loop), watched[i], on_signal, sv);
		if (!sv->signals[i] || event_add(sv->signals[i], NULL))
			return RK_E_NOMEM;
	}
	sv->stop_timer = evtimer_new(loop_base(sv->loop), on_stop_timer, sv);
	return sv->stop_timer ? 0 : RK_E_NOMEM;
}

/* ---- making and freeing ---- */

static int open_state(struct supervisor *sv, struct rk_fault *fault)
{
	const struct rk_config *cfg = &sv->config;
	struct stat st;

	if (stat(cfg->state_dir, &st))
		return rk_fail_errno(fault, RK_E_IO, "state-dir %s", cfg->state_dir);
	if (!S_ISDIR(st.st_mode))
		return rk_fail(fault, RK_E_INVALID, "state-dir %s is not a directory",
		               cfg->state_dir);
	sv->owner_uid = st.st_uid;
	sv->owner_gid = st.st_gid;
	return listeners_lock(cfg->state_dir, st.st_uid, st.st_gid, &sv->lock, fault);
}

static int open_listeners(struct supervisor *sv, struct rk_fault *fault)
{
	const struct rk_config *cfg = &sv->config;
	int err = listeners_tcp(cfg->proxy, "proxy", cfg->relays, sv->proxy, fault);

	if (!err)
		err = listeners_tcp(cfg->console, "console", 1, &sv->console, fault);
	if (!err)
		err = listeners_control(cfg->control_socket, sv->owner_uid, sv->owner_gid,
		                        &sv->control, fault);
	sv->control_made = !err;
	return err;
}

static int prepare(struct supervisor *sv, struct rk_fault *fault)
{
	const struct rk_config *cfg = &sv->config;
	size_t arena = ARENA_BASE + (cfg->relays + 3) * (size_t)ARENA_PER_CHILD;
	int err;

	err = open_state(sv, fault);
	if (!err)
		err = privilege_lookup(cfg->user, &sv->drop_uid, &sv->drop_gid, fault);
	if (!err)
		err = secret_arena_init(arena,
		                        cfg->secret_memory_locked ? SECRET_BACKING_LOCKED
		                                                  : SECRET_BACKING_BEST,
		                        fault);
	if (!err)
		err = identity_load(cfg->tls_certificate, cfg->tls_key, &sv->identity, fault);
	if (!err)
		err = trust_load(cfg->upstream_ca, &sv->trust, fault);
	if (!err)
		err = open_listeners(sv, fault);
	if (!err)
		err = privilege_reduce(DESCRIPTORS, fault);
	if (err)
		return err;
	err = loop_new(&sv->loop);
	if (!err)
		err = watch_signals(sv);
	if (!err)
		err = children_make(sv);
	return err ? rk_fail(fault, err, "cannot start: %s", rk_strerror(err)) : 0;
}

static void supervisor_free(struct supervisor *sv)
{
	children_free(sv);
	for (unsigned i = 0; i < 4; i++) {
		if (sv->signals[i])
			event_free(sv->signals[i]);
	}
	if (sv->stop_timer)
		event_free(sv->stop_timer);
	loop_free(sv->loop);
	for (unsigned i = 0; i < CONFIG_MAX_RELAYS; i++)
		file_close(&sv->proxy[i]);
	file_close(&sv->console);
	file_close(&sv->control);
	if (sv->control_made)
		unlink(sv->config.control_socket);
	identity_free(&sv->identity);
	rk_buf_free(&sv->trust);
	file_close(&sv->lock);
	free(sv);
}

static struct supervisor *supervisor_new(const struct rk_config *config,
                                         const struct supervisor_report *report)
{
	struct supervisor *sv = calloc(1, sizeof *sv);

	if (!sv)
		return NULL;
	sv->config = *config;
	sv->report = report;
	sv->lock = sv->control = sv->console = -1;
	for (unsigned i = 0; i < CONFIG_MAX_RELAYS; i++)
		sv->proxy[i] = -1;
	reload_init(sv);
	return sv;
}

int supervisor_run(const struct rk_config *config, const struct supervisor_report *report)
{
	struct supervisor *sv = supervisor_new(config, report);
	struct rk_fault fault = {{0}};
	int status;

	if (!sv) {
		report->failed("out of memory", report->arg);
		return EXIT_FAILURE;
	}
	log_init("supervisor", (enum log_level)config->log_level);
	if (prepare(sv, &fault)) {
		report->failed(fault.text, report->arg);
		supervisor_free(sv);
		return EXIT_FAILURE;
	}
	log_event(LOG_LEVEL_INFO, "starting", "config", "%s", config->path);
	start_next(sv);
	loop_run(sv->loop);
	status = sv->exit_status;
	supervisor_free(sv);
	log_event(LOG_LEVEL_INFO, "stopped", NULL, NULL);
	return status;
}

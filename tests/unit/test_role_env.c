/*
 * How a role comes to life and hears its supervisor. Each test plays both: a process that acts
 * as the supervisor makes the channel and starts a second one that acts as the role; the role's
 * exit code is the result.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "ipc/role_channel.h"

enum { ARENA_BYTES = 512 << 10, OK = 0, WRONG = 80, BROKEN_TEST = 99 };

#define CHECK(cond)                                                                            \
	do {                                                                                   \
		if (!(cond)) {                                                                 \
			printf("role: %s, line %d\n", #cond, __LINE__);                        \
			fflush(stdout);                                                        \
			_exit(WRONG);                                                          \
		}                                                                              \
	} while (0)

typedef void supervisor_fn(int sock);
typedef int role_fn(struct role_env *env, int err);

static _Noreturn void be_role(int sock, enum ipc_role role, role_fn *fn)
{
	struct rk_fault fault = {{0}};
	struct role_env env;
	int err;

	if (sock != ROLE_CHANNEL_FD && dup2(sock, ROLE_CHANNEL_FD) < 0)
		_exit(BROKEN_TEST);
	err = role_env_receive(&env, role, 0, ARENA_BYTES, &fault);
	CHECK(!err == !fault.text[0]);
	exit(fn(&env, err));
}

static _Noreturn void be_supervisor(enum ipc_role role, supervisor_fn *script, role_fn *fn)
{
	struct rk_fault fault;
	int pair[2], status;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		_exit(BROKEN_TEST);
	pid = fork(); /* before this process has an arena: the role makes its own */
	if (pid == 0) {
		close(pair[0]);
		be_role(pair[1], role, fn);
	}
	close(pair[1]);
	if (secret_arena_init(ARENA_BYTES, SECRET_BACKING_BEST, &fault))
		_exit(BROKEN_TEST);
	script(pair[0]);
	close(pair[0]);
	if (waitpid(pid, &status, 0) != pid)
		_exit(BROKEN_TEST);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status));
}

static int played(enum ipc_role role, supervisor_fn *script, role_fn *fn)
{
	int status = -1;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		signal(SIGPIPE, SIG_IGN);
		log_init("test", LOG_LEVEL_ERROR + 1);
		be_supervisor(role, script, fn);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* ---- the supervisor's lines ---- */

/* A role that has ended is the test's business, not an error of the script. */
static void say(int sock, enum ipc_type type, const void *body, int fd)
{
	(void)!ipc_send_blocking(sock, type, 0, body, fd);
}

/* The role's end closes: it has ended. */
static void wait_until_gone(int sock)
{
	char byte;

	while (recv(sock, &byte, 1, 0) > 0)
		continue;
}

static void say_setup(int sock, enum ipc_role role)
{
	char env[64], proxies[64];
	size_t used = 0, proxies_used = 0;
	struct msg_setup m = {
	    .role = (uint8_t)role,
	    .relays = 3,
	    .state_dir = rk_str("/tmp"),
	    .token_module = rk_str("/lib/module.so"),
	    .token = rk_str("label"),
	    .owner_uid = 0,
	    .drop_uid = 65534,
	    .drop_gid = 65534,
	    .journal_normal = 1,
	    .log_level = LOG_LEVEL_ERROR,
	};

	if (record_list_add(env, sizeof env, &used, rk_str("A=1")))
		_exit(BROKEN_TEST);
	m.token_env = rk_slice(env, used);
	if (record_list_add(proxies, sizeof proxies, &proxies_used, rk_str("10.0.0.0/8")) ||
	    record_list_add(proxies, sizeof proxies, &proxies_used, rk_str("::1")))
		_exit(BROKEN_TEST);
	m.trusted_proxies = rk_slice(proxies, proxies_used);
	m.proxy_protocol = 1;
	m.max_connections = 4711;
	m.max_connections_per_client = 12;
	m.egress = rk_str("http://proxy:3128");
	say(sock, MSG_SETUP, &m, -1);
}

static void say_start(int sock)
{
	struct msg_empty m = {0};

	say(sock, MSG_START, &m, -1);
}

static void say_peer(int sock)
{
	struct msg_peer m = {.role = IPC_KEEPER, .instance = 0};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		_exit(BROKEN_TEST);
	say(sock, MSG_PEER, &m, pair[0]);
	if (write(pair[1], "ping", 4) != 4)
		_exit(BROKEN_TEST);
	close(pair[0]);
	close(pair[1]);
}

static void say_tls(int sock)
{
	struct msg_tls m = {.certificate = rk_str("CERT"), .key = rk_str("KEY")};

	say(sock, MSG_TLS, &m, -1);
}

static void say_trust(int sock)
{
	struct msg_trust a = {.pem = rk_str("one ")}, b = {.pem = rk_str("two"), .last = 1};

	say(sock, MSG_TRUST, &a, -1);
	say(sock, MSG_TRUST, &b, -1);
}

static void full_relay_setup(int sock)
{
	struct msg_listener listener = {.kind = LISTENER_PROXY};

	say_setup(sock, IPC_RELAY);
	say(sock, MSG_LISTENER, &listener, STDIN_FILENO);
	say_peer(sock);
	say_tls(sock);
	say_trust(sock);
	say_start(sock);
}

/* ---- receiving ---- */

static int expect_everything(struct role_env *env, int err)
{
	char ping[4];

	CHECK(err == 0);
	CHECK(env->role == IPC_RELAY && env->relays == 3 && env->journal_normal);
	CHECK(strcmp(env->token_module, "/lib/module.so") == 0);
	CHECK(record_list_count(rk_buf_slice(&env->token_env)) == 1);
	CHECK(env->drop_uid == 65534);
	CHECK(env->proxy_protocol && env->trusted_proxies.count == 2);
	CHECK(env->max_connections == 4711 && env->max_connections_per_client == 12);
	CHECK(env->trusted_proxies.at[0].bits == 104 && env->trusted_proxies.at[1].bits == 128);
	CHECK(env->egress.kind == EGRESS_PROXY && env->egress.port == 3128);
	CHECK(env->listener >= 0);
	CHECK(env->peer_count == 1 && env->peers[0].role == IPC_KEEPER);
	CHECK(read(env->peers[0].fd, ping, 4) == 4 && memcmp(ping, "ping", 4) == 0);
	CHECK(rk_slice_is(rk_secret_slice(&env->tls_certificate), "CERT"));
	CHECK(rk_slice_is(rk_secret_slice(&env->tls_key), "KEY"));
	CHECK(secret_arena_holds(env->tls_key.p));
	CHECK(rk_slice_is(rk_buf_slice(&env->trust), "one two"));
	role_env_free(env);
	CHECK(secret_arena_in_use() == 0);
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	return OK;
}

static void a_role_is_told_who_it_is_and_gets_its_material(void **state)
{
	(void)state;
	assert_int_equal(played(IPC_RELAY, full_relay_setup, expect_everything), OK);
}

static int expect_protocol_error(struct role_env *env, int err)
{
	CHECK(err == RK_E_PROTOCOL);
	role_env_free(env);
	return OK;
}

static int expect_closed(struct role_env *env, int err)
{
	CHECK(err == RK_E_CLOSED);
	role_env_free(env);
	return OK;
}

static int expect_success(struct role_env *env, int err)
{
	CHECK(err == 0);
	role_env_free(env);
	return OK;
}

static void set_up_of_relay(int sock)
{
	say_setup(sock, IPC_RELAY);
	say_start(sock);
}

static void the_set_up_of_another_role_is_refused(void **state)
{
	(void)state;
	assert_int_equal(played(IPC_COURIER, set_up_of_relay, expect_protocol_error), OK);
	assert_int_equal(played(IPC_RELAY, set_up_of_relay, expect_success), OK);
}

static void start_first(int sock)
{
	say_start(sock);
}

static void nothing_comes_before_the_set_up(void **state)
{
	(void)state;
	assert_int_equal(played(IPC_RELAY, start_first, expect_protocol_error), OK);
}

static void tls_to_keeper(int sock)
{
	say_setup(sock, IPC_KEEPER);
	say_tls(sock);
	say_start(sock);
}

static void tls_to_console(int sock)
{
	say_setup(sock, IPC_CONSOLE);
	say_tls(sock);
	say_start(sock);
}

static void a_role_takes_only_what_the_catalogue_gives_it(void **state)
{
	(void)state;
	assert_int_equal(played(IPC_KEEPER, tls_to_keeper, expect_protocol_error), OK);
	assert_int_equal(played(IPC_CONSOLE, tls_to_console, expect_success), OK);
}

static void listener_without_descriptor(int sock)
{
	struct msg_listener m = {.kind = LISTENER_PROXY};

	say_setup(sock, IPC_RELAY);
	say(sock, MSG_LISTENER, &m, -1);
	say_start(sock);
}

static void start_with_descriptor(int sock)
{
	struct msg_empty m = {0};

	say_setup(sock, IPC_RELAY);
	say(sock, MSG_START, &m, STDIN_FILENO);
}

static void descriptors_come_exactly_where_they_belong(void **state)
{
	(void)state;
	assert_int_equal(played(IPC_RELAY, listener_without_descriptor, expect_protocol_error),
	                 OK);
	assert_int_equal(played(IPC_RELAY, start_with_descriptor, expect_protocol_error), OK);
}

static void set_up_and_leave(int sock)
{
	say_setup(sock, IPC_RELAY);
}

static void a_supervisor_that_leaves_half_way_is_noticed(void **state)
{
	(void)state;
	assert_int_equal(played(IPC_RELAY, set_up_and_leave, expect_closed), OK);
}

static int started_by_hand(int fd)
{
	pid_t pid;
	int status = -1;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (fd >= 0)
			dup2(fd, ROLE_CHANNEL_FD);
		else
			close(ROLE_CHANNEL_FD);
		_exit(role_env_has_channel());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static void a_descriptor_that_is_no_channel_is_recognised(void **state)
{
	int fds[2], channel[2];

	(void)state;
	assert_int_equal(started_by_hand(-1), 0);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(started_by_hand(fds[0]), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, channel), 0);
	assert_int_equal(started_by_hand(channel[0]), 1);
	close(fds[0]);
	close(fds[1]);
	close(channel[0]);
	close(channel[1]);
}

/* ---- reports ---- */

static void expect_report(int sock, enum ipc_type type, const char *text)
{
	unsigned char buf[1024];
	struct ipc_message m;
	struct rk_slice in;
	int fd;
	ssize_t n = ipc_recv(sock, buf, sizeof buf, &fd);

	CHECK(n > 0);
	in = rk_slice(buf, (size_t)n);
	CHECK(ipc_frame_next(&in, IPC_RELAY, IPC_SUPERVISOR, IPC_PHASE_SERVE, &m) == 1);
	CHECK(m.type == type);
	CHECK(!text || rk_slice_is(m.body.text.text, text));
}

static void wait_for_ready(int sock)
{
	set_up_of_relay(sock);
	expect_report(sock, MSG_READY, NULL);
}

static void wait_for_failed(int sock)
{
	set_up_of_relay(sock);
	expect_report(sock, MSG_FAILED, "no token");
}

static int say_ready(struct role_env *env, int err)
{
	CHECK(err == 0 && role_env_ready(env) == 0);
	role_env_free(env);
	return OK;
}

static int say_failed(struct role_env *env, int err)
{
	CHECK(err == 0);
	role_env_failed(env, "no token");
	role_env_free(env);
	return OK;
}

static void ready_and_failed_reach_the_supervisor(void **state)
{
	(void)state;
	assert_int_equal(played(IPC_RELAY, wait_for_ready, say_ready), OK);
	assert_int_equal(played(IPC_RELAY, wait_for_failed, say_failed), OK);
}

/* ---- privileges ---- */

static int confine_as_relay(struct role_env *env, int err)
{
	struct rk_fault fault;

	CHECK(err == 0);
	CHECK(role_env_confine(env, &fault) == 0);
	CHECK(getuid() == 65534 && geteuid() == 65534 && getegid() == 65534);
	CHECK(setuid(0) != 0 && getgroups(0, NULL) == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK(prctl(PR_CAPBSET_READ, 0, 0, 0, 0) == 0);
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	role_env_free(env);
	return OK;
}

static int confine_without_user(struct role_env *env, int err)
{
	struct rk_fault fault;

	CHECK(err == 0);
	env->drop_uid = UINT32_MAX;
	CHECK(role_env_confine(env, &fault) == RK_E_DENIED);
	env->drop_uid = 0;
	CHECK(role_env_confine(env, &fault) == RK_E_DENIED);
	CHECK(geteuid() == 0);
	role_env_free(env);
	return OK;
}

static char owned_dir[] = "/tmp/rk-role-env-XXXXXX";

static int confine_as_keeper(struct role_env *env, int err)
{
	struct rk_fault fault;

	CHECK(err == 0);
	CHECK(chown(owned_dir, 1234, 4321) == 0);
	snprintf(env->state_dir, sizeof env->state_dir, "%s", owned_dir);
	env->owner_uid = 0;
	CHECK(role_env_confine(env, &fault) == RK_E_DENIED); /* not the owner it was told */
	env->owner_uid = 1234;
	CHECK(role_env_confine(env, &fault) == 0);
	CHECK(geteuid() == 1234 && getegid() == 4321);
	role_env_free(env);
	return OK;
}

static void set_up_of_keeper(int sock)
{
	say_setup(sock, IPC_KEEPER);
	say_start(sock);
}

static void need_root(void)
{
	if (geteuid() != 0)
		skip();
}

static void a_network_role_of_root_becomes_its_user_for_good(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(played(IPC_RELAY, set_up_of_relay, confine_as_relay), OK);
}

static void a_network_role_never_stays_root(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(played(IPC_RELAY, set_up_of_relay, confine_without_user), OK);
}

static void the_keeper_becomes_the_owner_of_its_directory(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(played(IPC_KEEPER, set_up_of_keeper, confine_as_keeper), OK);
}

/* ---- while serving ---- */

struct heard {
	struct loop *loop;
	unsigned peers, tls, trust;
};

static void hear_stop(uint32_t grace_ms, void *arg)
{
	struct heard *h = arg;

	CHECK(grace_ms == 1234);
	loop_stop(h->loop);
}

static void hear_peer(const struct role_peer *peer, void *arg)
{
	struct heard *h = arg;
	char ping[4];

	CHECK(peer->role == IPC_KEEPER);
	CHECK(read(peer->fd, ping, 4) == 4);
	close(peer->fd);
	h->peers++;
}

static void hear_tls(struct rk_slice certificate, struct rk_slice key, void *arg)
{
	struct heard *h = arg;

	CHECK(rk_slice_is(certificate, "CERT") && rk_slice_is(key, "KEY"));
	h->tls++;
}

static void hear_trust(struct rk_slice pem, void *arg)
{
	struct heard *h = arg;

	CHECK(rk_slice_is(pem, "one two"));
	h->trust++;
}

static const struct role_channel_ops hear_all = {hear_stop, hear_peer, hear_tls, hear_trust};
static const struct role_channel_ops hear_stop_only = {.stop = hear_stop};

static void serve(struct role_env *env, const struct role_channel_ops *ops, struct heard *h)
{
	struct role_channel *c;

	CHECK(loop_new(&h->loop) == 0);
	CHECK(role_channel_open(h->loop, env, ops, h, &c) == 0);
	loop_run(h->loop);
	role_channel_free(c);
	loop_free(h->loop);
	role_env_free(env);
	CHECK(secret_arena_in_use() == 0);
}

static int hear_everything(struct role_env *env, int err)
{
	struct heard h = {0};

	CHECK(err == 0);
	serve(env, &hear_all, &h);
	CHECK(h.peers == 1 && h.tls == 1 && h.trust == 2);
	return OK;
}

static int hear_nothing_but_stop(struct role_env *env, int err)
{
	struct heard h = {0};

	CHECK(err == 0);
	serve(env, &hear_stop_only, &h);
	return OK;
}

static void talk_and_stop(int sock)
{
	struct msg_stop stop = {.grace_ms = 1234};
	struct msg_log_level level = {.level = LOG_LEVEL_DEBUG};

	set_up_of_relay(sock);
	say_peer(sock);
	say_tls(sock);
	say_trust(sock);
	say(sock, MSG_LOG_LEVEL, &level, -1);
	say_trust(sock);
	say(sock, MSG_STOP, &stop, -1);
	wait_until_gone(sock);
}

static void a_role_hears_new_peers_material_and_stop(void **state)
{
	(void)state;
	assert_int_equal(played(IPC_RELAY, talk_and_stop, hear_everything), OK);
	assert_int_equal(played(IPC_RELAY, talk_and_stop, hear_nothing_but_stop), OK);
}

static void leave_while_serving(int sock)
{
	set_up_of_relay(sock);
}

static void talk_nonsense(int sock)
{
	char nonsense[16] = "nonsense";

	set_up_of_relay(sock);
	(void)!send(sock, nonsense, sizeof nonsense, MSG_NOSIGNAL);
	wait_until_gone(sock); /* the channel stays open: that is not why the role ends */
}

static void set_up_again(int sock)
{
	set_up_of_relay(sock);
	say_setup(sock, IPC_RELAY);
	wait_until_gone(sock);
}

static void a_role_ends_with_its_supervisor(void **state)
{
	(void)state;
	assert_int_equal(played(IPC_RELAY, leave_while_serving, hear_everything), EXIT_FAILURE);
}

static void a_role_ends_when_the_channel_is_broken(void **state)
{
	(void)state;
	assert_int_equal(played(IPC_RELAY, talk_nonsense, hear_everything), EXIT_FAILURE);
	assert_int_equal(played(IPC_RELAY, set_up_again, hear_everything), EXIT_FAILURE);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(owned_dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	rmdir(owned_dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_role_is_told_who_it_is_and_gets_its_material),
	    cmocka_unit_test(the_set_up_of_another_role_is_refused),
	    cmocka_unit_test(nothing_comes_before_the_set_up),
	    cmocka_unit_test(a_role_takes_only_what_the_catalogue_gives_it),
	    cmocka_unit_test(descriptors_come_exactly_where_they_belong),
	    cmocka_unit_test(a_supervisor_that_leaves_half_way_is_noticed),
	    cmocka_unit_test(a_descriptor_that_is_no_channel_is_recognised),
	    cmocka_unit_test(ready_and_failed_reach_the_supervisor),
	    cmocka_unit_test(a_network_role_of_root_becomes_its_user_for_good),
	    cmocka_unit_test(a_network_role_never_stays_root),
	    cmocka_unit_test(the_keeper_becomes_the_owner_of_its_directory),
	    cmocka_unit_test(a_role_hears_new_peers_material_and_stop),
	    cmocka_unit_test(a_role_ends_with_its_supervisor),
	    cmocka_unit_test(a_role_ends_when_the_channel_is_broken),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

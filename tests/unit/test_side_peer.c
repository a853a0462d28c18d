/*
 * The console's channel to the keeper: who is let in, what costs the console its channel, and
 * that callers do not stand in each other's way. The console here is a blocking socket.
 */
#include "tests/lib/manage_world.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/un.h>

#include "keeper/control.h"
#include "keeper/side_peer.h"

struct scene {
	struct world *w;
	struct side_peers *sides;
	struct rk_secret rx;
	struct rk_slice pending;
	int console;
};

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof *s);
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	void *world = NULL;
	int fd, pair[2];

	assert_non_null(s);
	assert_int_equal(world_setup(&world), 0);
	s->w = world;
	snprintf(at.sun_path, sizeof at.sun_path, "%s/control.sock", s->w->home.dir);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(control_new(&s->w->k, fd, &s->w->k.control), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	s->console = pair[0];
	assert_int_equal(side_peers_new(&s->w->k, &s->sides), 0);
	assert_int_equal(side_peers_attach(s->sides, IPC_CONSOLE, pair[1]), 0);
	assert_int_equal(rk_secret_alloc(&s->rx, IPC_MAX_DATAGRAM), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;
	void *world = s->w;

	control_free(s->w->k.control);
	s->w->k.control = NULL;
	side_peers_free(s->sides);
	rk_secret_free(&s->rx);
	close(s->console);
	free(s);
	return world_teardown(&world);
}

static void say(struct scene *s, enum ipc_type type, uint64_t id, const void *body)
{
	/* the socket holds a few datagrams only */
	while (ipc_send_blocking(s->console, type, id, body, -1))
		world_turn(s->w);
}

/* The next message, or its absence as the error of ipc_recv(). */
static int hear(struct scene *s, struct ipc_message *m)
{
	int64_t until = rk_mono_us() + WORLD_PATIENCE_MS * 1000;
	ssize_t n;
	int passed;

	if (s->pending.n == 0) {
		do {
			world_turn(s->w);
			n = ipc_recv(s->console, s->rx.p, s->rx.cap, &passed);
		} while (n == RK_E_AGAIN && rk_mono_us() < until);
		if (n < 0)
			return (int)n;
		s->pending = rk_slice(s->rx.p, (size_t)n);
	}
	assert_int_equal(
	    ipc_frame_next(&s->pending, IPC_KEEPER, IPC_CONSOLE, IPC_PHASE_SERVE, m), 1);
	return 0;
}

static void say_caller(struct scene *s, uint64_t id, const char *credential)
{
	struct msg_caller m = {.credential = rk_str(credential)};

	say(s, MSG_CALLER, id, &m);
}

static void expect_done(struct scene *s, uint64_t id, int err)
{
	struct ipc_message m;

	assert_int_equal(hear(s, &m), 0);
	assert_int_equal(m.type, MSG_DONE);
	assert_int_equal(m.id, id);
	assert_int_equal(m.body.done.err, err);
}

static void expect_lost(struct scene *s)
{
	struct ipc_message m;

	assert_int_equal(hear(s, &m), RK_E_CLOSED);
}

/* ---- who ---- */

static void whether_the_broker_is_well_is_nobody_s_secret(void **state)
{
	struct scene *s = *state;
	struct msg_empty empty = {0};
	struct ipc_message m;

	say(s, MSG_STATUS_GET, 3, &empty);
	assert_int_equal(hear(s, &m), 0);
	assert_int_equal(m.type, MSG_STATUS);
	assert_int_equal(m.id, 3);
}

static void nobody_and_a_wrong_key_are_refused(void **state)
{
	static const char *const credentials[] = {
	    "", "rk_mgmt_admin_",
	    "rk_mgmt_admin_0000000000000000000000000000000000000000000000"};
	struct scene *s = *state;
	struct msg_list list = {0};

	for (unsigned i = 0; i < 3; i++) {
		say_caller(s, 10 + i, credentials[i]);
		say(s, MSG_CONN_LIST, 10 + i, &list);
		expect_done(s, 10 + i, RK_E_AUTH);
	}
}

static void a_refused_caller_is_gone_and_its_id_free(void **state)
{
	struct scene *s = *state;
	struct msg_empty empty = {0};

	for (unsigned i = 0; i < 3; i++) {
		say_caller(s, 7, "");
		say(s, MSG_STATUS_GET, 7, &empty);
		expect_done(s, 7, RK_E_AUTH);
	}
}

static void callers_wait_side_by_side(void **state)
{
	struct scene *s = *state;
	struct msg_list list = {0};

	for (unsigned id = 1; id <= 600; id++)
		say_caller(s, id, "");
	world_turns(s->w);
	for (unsigned id = 3; id <= 600; id += 199) {
		say(s, MSG_KEY_LIST, id, &list);
		expect_done(s, id, RK_E_AUTH);
	}
}

/* ---- what ends ---- */

static void what_nobody_waits_for_is_forgotten(void **state)
{
	struct scene *s = *state;
	struct msg_empty empty = {0};
	struct msg_taken taken = {1000};

	say_caller(s, 1, "");
	say(s, MSG_FORGET, 1, &empty);
	say(s, MSG_FORGET, 1, &empty); /* crossed the end of its answer */
	say(s, MSG_TAKEN, 1, &taken);
	say_caller(s, 1, "");
	say(s, MSG_CONN_LIST, 1, &(struct msg_list){0});
	expect_done(s, 1, RK_E_AUTH);
}

static void a_command_without_a_caller_costs_the_channel(void **state)
{
	struct scene *s = *state;
	struct msg_list list = {0};

	say_caller(s, 1, "");
	say(s, MSG_CONN_LIST, 2, &list);
	expect_lost(s);
}

static void a_second_caller_under_the_same_id_costs_the_channel(void **state)
{
	struct scene *s = *state;

	say_caller(s, 1, "");
	say_caller(s, 1, "");
	expect_lost(s);
}

static void a_console_that_breaks_the_protocol_takes_its_callers_along(void **state)
{
	struct scene *s = *state;

	for (unsigned id = 1; id <= 20; id++)
		say_caller(s, id, "");
	say_caller(s, 20, "");
	expect_lost(s);
}

static void a_stopping_keeper_says_so(void **state)
{
	struct scene *s = *state;

	control_free(s->w->k.control);
	s->w->k.control = NULL;
	say_caller(s, 1, "");
	say(s, MSG_CONN_LIST, 1, &(struct msg_list){0});
	expect_done(s, 1, RK_E_CLOSED);
}

int main(void)
{
#define SCENE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    SCENE(whether_the_broker_is_well_is_nobody_s_secret),
	    SCENE(nobody_and_a_wrong_key_are_refused),
	    SCENE(a_refused_caller_is_gone_and_its_id_free),
	    SCENE(callers_wait_side_by_side),
	    SCENE(what_nobody_waits_for_is_forgotten),
	    SCENE(a_command_without_a_caller_costs_the_channel),
	    SCENE(a_second_caller_under_the_same_id_costs_the_channel),
	    SCENE(a_console_that_breaks_the_protocol_takes_its_callers_along),
	    SCENE(a_stopping_keeper_says_so),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}

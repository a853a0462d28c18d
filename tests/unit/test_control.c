/*
 * The control socket: who is let in, one request at a time, and what a client's end leaves
 * behind. The clients here are ordinary blocking sockets.
 */
#include "tests/lib/manage_world.h"

#include <errno.h>
#include <sys/un.h>

#include "keeper/control.h"

struct scene {
	struct world *w;
	struct sockaddr_un address;
	struct control *control;
	struct rk_secret rx;
};

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof *s);
	void *world;
	int fd;

	assert_non_null(s);
	assert_int_equal(world_setup(&world), 0);
	s->w = world;
	s->w->k.env.owner_uid = geteuid();
	s->address.sun_family = AF_UNIX;
	snprintf(s->address.sun_path, sizeof s->address.sun_path, "%s/control.sock",
	         s->w->home.dir);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&s->address, sizeof s->address), 0);
	assert_int_equal(listen(fd, 32), 0);
	assert_int_equal(control_new(&s->w->k, fd, &s->control), 0);
	assert_int_equal(rk_secret_alloc(&s->rx, IPC_MAX_DATAGRAM), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;
	void *world = s->w;

	control_free(s->control);
	rk_secret_free(&s->rx);
	free(s);
	return world_teardown(&world);
}

static int dial(struct scene *s)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&s->address, sizeof s->address), 0);
	return fd;
}

/* The next message, or its absence as the error of ipc_recv(). */
static int receive(struct scene *s, int fd, struct ipc_message *m)
{
	int64_t until = rk_mono_us() + WORLD_PATIENCE_MS * 1000;
	struct rk_slice datagram;
	ssize_t n;
	int passed;

	do {
		world_turn(s->w);
		n = ipc_recv(fd, s->rx.p, s->rx.cap, &passed);
	} while (n == RK_E_AGAIN && rk_mono_us() < until);
	if (n < 0)
		return (int)n;
	datagram = rk_slice(s->rx.p, (size_t)n);
	assert_int_equal(ipc_frame_next(&datagram, IPC_KEEPER, IPC_CONTROL, IPC_PHASE_SERVE, m),
	                 1);
	return 0;
}

static void ask(int fd, enum ipc_type type, uint64_t id, const void *body)
{
	assert_int_equal(ipc_send_blocking(fd, type, id, body, -1), 0);
}

static void test_the_owner_is_answered_under_the_request_s_id(void **state)
{
	struct scene *s = *state;
	struct msg_empty empty = {0};
	struct ipc_message m;
	int fd = dial(s);

	ask(fd, MSG_STATUS_GET, 77, &empty);
	assert_int_equal(receive(s, fd, &m), 0);
	assert_int_equal(m.type, MSG_STATUS);
	assert_int_equal(m.id, 77);
	/* and again on the same connection */
	ask(fd, MSG_STATUS_GET, 78, &empty);
	assert_int_equal(receive(s, fd, &m), 0);
	assert_int_equal(m.id, 78);
	close(fd);
}

static void test_the_actor_is_the_uid_of_the_client(void **state)
{
	struct scene *s = *state;
	struct msg_conn_add add = {
	    .name = rk_str("openai"),
	    .base_url = rk_str("https://api.openai.com/v1"),
	    .secret = rk_str(WORLD_SECRET),
	};
	struct ipc_message m;
	char want[32];
	int fd = dial(s);

	ask(fd, MSG_CONN_ADD, 1, &add);
	assert_int_equal(receive(s, fd, &m), 0);
	assert_int_equal(m.type, MSG_CONN_INFO);
	snprintf(want, sizeof want, "uid:%u", (unsigned)geteuid());
	WORLD_WAIT(s->w, s->w->rows == 1);
	assert_string_equal(world_last_row(s->w)->actor, want);
	close(fd);
}

static void test_anyone_else_is_told_and_closed(void **state)
{
	struct scene *s = *state;
	struct ipc_message m;
	int fd;

	if (getuid() == 0) {
		/* the kernel notes who calls connect(2) */
		assert_int_equal(chmod(s->w->home.dir, 0755), 0);
		assert_int_equal(chmod(s->address.sun_path, 0777), 0);
		assert_int_equal(seteuid(65534), 0);
		fd = dial(s);
		assert_int_equal(seteuid(0), 0);
	} else {
		s->w->k.env.owner_uid = getuid() + 1;
		fd = dial(s);
	}
	assert_int_equal(receive(s, fd, &m), 0);
	assert_int_equal(m.type, MSG_DONE);
	assert_int_equal(m.body.done.err, RK_E_DENIED);
	assert_int_equal(receive(s, fd, &m), RK_E_CLOSED);
	close(fd);
}

static void test_a_second_request_before_the_answer_costs_the_connection(void **state)
{
	struct scene *s = *state;
	struct msg_audit_query q = {.mode = AUDIT_MODE_TAIL};
	struct msg_empty empty = {0};
	struct ipc_message m;
	int fd = dial(s);

	ask(fd, MSG_AUDIT_QUERY, 1, &q);
	world_turns(s->w);
	ask(fd, MSG_STATUS_GET, 2, &empty);
	assert_int_equal(receive(s, fd, &m), RK_E_CLOSED);
	close(fd);
}

static void test_a_message_that_is_not_a_client_s_costs_the_connection(void **state)
{
	struct scene *s = *state;
	struct msg_gate gate = {0};
	struct ipc_message m;
	int fd = dial(s);

	ask(fd, MSG_GATE, 1, &gate);
	assert_int_equal(receive(s, fd, &m), RK_E_CLOSED);
	close(fd);
	fd = dial(s);
	assert_int_equal(send(fd, "junk", 4, MSG_NOSIGNAL), 4);
	assert_int_equal(receive(s, fd, &m), RK_E_CLOSED);
	close(fd);
}

static void test_one_client_more_than_allowed_is_told_and_the_place_comes_free(void **state)
{
	struct scene *s = *state;
	struct msg_empty empty = {0};
	struct ipc_message m;
	int fd[CONTROL_MAX_CLIENTS], extra;

	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++)
		fd[i] = dial(s);
	world_turns(s->w);
	extra = dial(s);
	assert_int_equal(receive(s, extra, &m), 0);
	assert_int_equal(m.body.done.err, RK_E_AGAIN);
	assert_int_equal(receive(s, extra, &m), RK_E_CLOSED);
	close(extra);
	close(fd[3]);
	world_turns(s->w);
	fd[3] = dial(s);
	ask(fd[3], MSG_STATUS_GET, 1, &empty);
	assert_int_equal(receive(s, fd[3], &m), 0);
	assert_int_equal(m.type, MSG_STATUS);
	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++)
		close(fd[i]);
}

static void test_a_long_answer_waits_in_the_keeper_only_a_little(void **state)
{
	enum { KEYS = 20000, PATIENT = 400 };
	struct scene *s = *state;
	struct sample_grants g = {.used = 0};
	struct sample_key key;
	struct msg_list list = {0};
	struct rk_slice datagram;
	struct ipc_message m;
	size_t before = secret_arena_in_use();
	unsigned got = 0;
	bool done = false;
	int fd = dial(s), passed;

	world_conn_add(s->w, "openai", "https://api.openai.com/v1");
	sample_grant(&g, "openai", "GET", "/**", "");
	for (int i = 0; i < KEYS; i++)
		sample_key(s->w->k.index, &g, "", 0, &key);
	ask(fd, MSG_KEY_LIST, 1, &list);
	for (int i = 0; i < PATIENT; i++)
		world_turn(s->w);
	/* the client has read nothing yet */
	assert_true(secret_arena_in_use() - before < 512 << 10);
	while (!done) {
		ssize_t n = ipc_recv(fd, s->rx.p, s->rx.cap, &passed);

		if (n == RK_E_AGAIN) {
			world_turn(s->w);
			continue;
		}
		assert_true(n > 0);
		datagram = rk_slice(s->rx.p, (size_t)n);
		while (ipc_frame_next(&datagram, IPC_KEEPER, IPC_CONTROL, IPC_PHASE_SERVE, &m) >
		       0) {
			done = m.type == MSG_DONE;
			got += m.type == MSG_KEY_INFO;
		}
	}
	assert_int_equal(got, KEYS);
	close(fd);
}

static void test_a_client_that_leaves_in_the_middle_leaves_nothing(void **state)
{
	struct scene *s = *state;
	struct msg_audit_query q = {.mode = AUDIT_MODE_TAIL};
	struct msg_list list = {0};
	size_t before;
	int fd;

	world_turns(s->w);
	before = secret_arena_in_use();
	fd = dial(s);
	ask(fd, MSG_AUDIT_QUERY, 1, &q);
	world_turns(s->w);
	close(fd);
	fd = dial(s);
	ask(fd, MSG_KEY_LIST, 1, &list);
	close(fd);
	world_turns(s->w);
	assert_int_equal(secret_arena_in_use(), before);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_the_owner_is_answered_under_the_request_s_id),
	    TEST(test_the_actor_is_the_uid_of_the_client),
	    TEST(test_anyone_else_is_told_and_closed),
	    TEST(test_a_second_request_before_the_answer_costs_the_connection),
	    TEST(test_a_message_that_is_not_a_client_s_costs_the_connection),
	    TEST(test_one_client_more_than_allowed_is_told_and_the_place_comes_free),
	    TEST(test_a_long_answer_waits_in_the_keeper_only_a_little),
	    TEST(test_a_client_that_leaves_in_the_middle_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/peer_scene.h"

static void test_messages_of_one_turn_arrive_in_order_as_one_batch(void **state)
{
	struct scene *s = scene_with(IPC_RELAY);

	(void)state;
	for (uint64_t i = 1; i <= 40; i++)
		send_cut(&s->keeper, i);
	s->other.stop_at = 40;
	run(s);
	assert_int_equal(s->other.messages, 40);
	assert_int_equal(s->other.batches, 1);
	for (uint64_t i = 0; i < 40; i++)
		assert_true(s->other.ids[i] == i + 1);
	assert_int_equal(ipc_peer_role(s->other.peer), IPC_KEEPER);
	scene_end(s);
}

static void test_messages_wait_for_the_end_of_the_turn(void **state)
{
	struct scene *s = scene_with(IPC_RELAY);

	(void)state;
	send_cut(&s->keeper, 1);
	assert_int_equal(ipc_peer_queued(s->keeper.peer), IPC_FRAME_HEADER + 2);
	s->other.stop_at = 1;
	run(s);
	assert_int_equal(ipc_peer_queued(s->keeper.peer), 0);
	scene_end(s);
}

static void test_what_is_not_permitted_is_not_queued(void **state)
{
	struct scene *s = scene_with(IPC_RELAY);
	struct msg_complete complete = {0};
	struct msg_peer peer = {0};

	(void)state;
	assert_int_equal(ipc_peer_send(s->keeper.peer, MSG_COMPLETE, 1, &complete),
	                 RK_E_INVALID);
	assert_int_equal(ipc_peer_send(s->keeper.peer, MSG_PEER, 1, &peer), RK_E_INVALID);
	assert_int_equal(ipc_peer_queued(s->keeper.peer), 0);
	assert_int_equal(ipc_peer_send(s->other.peer, MSG_COMPLETE, 1, &complete), 0);
	scene_end(s);
}

static void test_a_secret_is_received_in_secret_memory_only(void **state)
{
	struct scene *s = scene_with(IPC_CONTROL);
	struct msg_conn_rotate m = {.ref = rk_str("openai"), .secret = rk_str("sk-real-1")};

	(void)state;
	assert_int_equal(ipc_peer_send(s->other.peer, MSG_CONN_ROTATE, 3, &m), 0);
	s->keeper.stop_at = 3;
	run(s);
	assert_string_equal(s->keeper.text, "sk-real-1");
	scene_end(s);
}

static void test_a_message_that_does_not_encode_leaves_the_queue_as_it_was(void **state)
{
	struct scene *s = scene_with(IPC_CONTROL);
	struct msg_conn_add good = {.name = rk_str("a"), .secret = rk_str("one")};
	struct msg_conn_add bad = {.name = rk_str("b"), .auth = rk_str("no list")};
	size_t queued;

	(void)state;
	assert_int_equal(ipc_peer_send(s->other.peer, MSG_CONN_ADD, 1, &bad), RK_E_INVALID);
	assert_int_equal(ipc_peer_queued(s->other.peer), 0);
	assert_int_equal(ipc_peer_send(s->other.peer, MSG_CONN_ADD, 1, &good), 0);
	queued = ipc_peer_queued(s->other.peer);
	assert_int_equal(ipc_peer_send(s->other.peer, MSG_CONN_ADD, 2, &bad), RK_E_INVALID);
	assert_int_equal(ipc_peer_queued(s->other.peer), queued);
	assert_int_equal(ipc_peer_send(s->other.peer, MSG_CONN_ADD, 3, &good), 0);
	s->keeper.stop_at = 3;
	run(s);
	assert_int_equal(s->keeper.messages, 2);
	scene_end(s);
}

/* ---- descriptors ---- */

struct fd_scene {
	struct scene s;
	struct end supervisor, relay;
	int ends[2];
};

static void fd_scene_new(struct fd_scene *f)
{
	int pair[2];

	*f = (struct fd_scene){.s = {.arena = secret_arena_in_use(), .fds = fd_count()}};
	assert_int_equal(loop_new(&f->s.loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	f->supervisor = (struct end){.loop = f->s.loop, .fd = -1};
	f->relay = (struct end){.loop = f->s.loop, .fd = -1};
	assert_int_equal(ipc_peer_new(f->s.loop, pair[0], IPC_SUPERVISOR, IPC_RELAY, &ops,
	                              &f->supervisor, &f->supervisor.peer),
	                 0);
	assert_int_equal(ipc_peer_new(f->s.loop, pair[1], IPC_RELAY, IPC_SUPERVISOR, &ops,
	                              &f->relay, &f->relay.peer),
	                 0);
	assert_int_equal(pipe(f->ends), 0);
}

static void fd_scene_end(struct fd_scene *f)
{
	close(f->ends[0]);
	f->s.keeper.peer = f->supervisor.peer;
	f->s.other.peer = f->relay.peer;
	scene_end(&f->s);
}

static void test_a_descriptor_is_passed_with_its_message_and_taken_from_the_sender(void **state)
{
	struct fd_scene f;
	struct msg_peer m = {.role = IPC_KEEPER};
	struct msg_log_level level = {.level = 1};

	(void)state;
	fd_scene_new(&f);
	/* before and behind it messages without one, which may not share its datagram */
	assert_int_equal(ipc_peer_send(f.supervisor.peer, MSG_LOG_LEVEL, 1, &level), 0);
	assert_int_equal(ipc_peer_send_fd(f.supervisor.peer, MSG_PEER, 2, &m, f.ends[1]), 0);
	assert_int_equal(ipc_peer_send(f.supervisor.peer, MSG_LOG_LEVEL, 3, &level), 0);
	f.relay.stop_at = 3;
	run(&f.s);
	assert_int_equal(f.relay.messages, 3);
	assert_true(f.relay.fd >= 0);
	assert_int_equal(write(f.relay.fd, "x", 1), 1);
	close(f.relay.fd);
	fd_scene_end(&f);
}

static void test_a_descriptor_is_closed_when_its_message_cannot_be_sent(void **state)
{
	struct fd_scene f;
	struct msg_log_level level = {.level = 1};
	char byte;

	(void)state;
	fd_scene_new(&f);
	assert_int_equal(
	    ipc_peer_send_fd(f.supervisor.peer, MSG_LOG_LEVEL, 1, &level, f.ends[1]),
	    RK_E_INVALID);
	assert_int_equal(read(f.ends[0], &byte, 1), 0);
	fd_scene_end(&f);
}

static void test_a_descriptor_that_never_left_is_closed_with_the_peer(void **state)
{
	struct fd_scene f;
	struct msg_peer m = {.role = IPC_KEEPER};

	(void)state;
	fd_scene_new(&f);
	assert_int_equal(ipc_peer_send_fd(f.supervisor.peer, MSG_PEER, 2, &m, f.ends[1]), 0);
	fd_scene_end(&f);
}

static void test_a_message_that_needs_a_descriptor_and_has_none_ends_the_channel(void **state)
{
	static unsigned char wire[64];
	struct msg_peer m = {.role = IPC_RELAY};
	size_t n = 0;
	struct scene s;
	int sock = raw_channel(&s, IPC_SUPERVISOR);

	(void)state;
	assert_int_equal(ipc_frame_add(wire, sizeof wire, &n, MSG_PEER, 1, &m), 0);
	assert_int_equal(send(sock, wire, n, 0), n);
	run(&s);
	assert_int_equal(s.keeper.messages, 0);
	assert_int_equal(s.keeper.closed_with, RK_E_PROTOCOL);
	close(sock);
	scene_end(&s);
}

static void test_a_descriptor_nobody_asked_for_ends_the_channel_and_is_closed(void **state)
{
	struct msg_complete m = {.status = 200};
	struct scene s;
	int sock = raw_channel(&s, IPC_RELAY);

	(void)state;
	assert_int_equal(ipc_send_blocking(sock, MSG_COMPLETE, 1, &m, 0), 0);
	run(&s);
	assert_int_equal(s.keeper.messages, 0);
	assert_int_equal(s.keeper.closed_with, RK_E_PROTOCOL);
	close(sock);
	scene_end(&s);
}

/* ---- back-pressure ---- */

/* A reader that begins late. */
struct reader {
	struct scene s;
	struct event *start, *readable, *end;
	int sock;
	unsigned got, drained_before_all;
	unsigned expected;
};

/* `drained` may come in the turn after the last datagram was read. */
static void on_reader(evutil_socket_t sock, short what, void *arg)
{
	static unsigned char sink[IPC_MAX_DATAGRAM];
	const struct timeval soon = {.tv_usec = 20000};
	struct reader *r = arg;
	int fd;

	(void)what;
	assert_true(ipc_recv(sock, sink, sizeof sink, &fd) > 0);
	r->drained_before_all += r->s.keeper.drained && ipc_peer_queued(r->s.keeper.peer);
	if (++r->got == r->expected)
		event_add(r->end, &soon);
}

static void on_start(evutil_socket_t fd, short what, void *arg)
{
	struct reader *r = arg;

	(void)fd;
	(void)what;
	/* the kernel took a little, the rest waits */
	assert_true(ipc_peer_queued(r->s.keeper.peer) > IPC_MAX_QUEUE / 2);
	assert_int_equal(r->s.keeper.drained, 0);
	event_add(r->readable, NULL);
}

static struct msg_audit_entry large_entry(void)
{
	static char row[AUDIT_MAX_ROW];

	memset(row, 'r', sizeof row);
	return (struct msg_audit_entry){.row = rk_slice(row, sizeof row),
	                                .response = rk_slice(row, sizeof row)};
}

static void test_a_peer_that_does_not_read_gives_again_until_it_has_read(void **state)
{
	const struct timeval soon = {.tv_usec = 50000};
	struct msg_audit_entry entry = large_entry();
	struct reader r = {0};
	int err = 0;

	(void)state;
	r.sock = raw_channel(&r.s, IPC_CONTROL);
	r.start = evtimer_new(loop_base(r.s.loop), on_start, &r);
	r.end = evtimer_new(loop_base(r.s.loop), stop_loop, r.s.loop);
	r.readable =
	    event_new(loop_base(r.s.loop), r.sock, EV_READ | EV_PERSIST, on_reader, &r);
	while (err == 0) {
		err = ipc_peer_send(r.s.keeper.peer, MSG_AUDIT_ENTRY, r.expected + 1, &entry);
		r.expected += err == 0;
		assert_true(ipc_peer_queued(r.s.keeper.peer) <= IPC_MAX_QUEUE);
	}
	assert_int_equal(err, RK_E_AGAIN);
	assert_true(r.expected > 50);
	event_add(r.start, &soon);
	run(&r.s);
	assert_int_equal(r.got, r.expected);
	assert_int_equal(r.drained_before_all, 0);
	assert_int_equal(r.s.keeper.drained, 1);
	assert_int_equal(ipc_peer_queued(r.s.keeper.peer), 0);
	event_free(r.start);
	event_free(r.readable);
	event_free(r.end);
	close(r.sock);
	scene_end(&r.s);
}

static void test_a_message_that_can_never_fit_is_invalid_and_not_again(void **state)
{
	static char row[AUDIT_MAX_ROW + 1];
	struct scene *s = scene_with(IPC_CONTROL);
	struct msg_audit_entry entry = {.row = rk_slice(row, sizeof row)};

	(void)state;
	assert_int_equal(ipc_peer_send(s->keeper.peer, MSG_AUDIT_ENTRY, 1, &entry),
	                 RK_E_INVALID);
	entry.row.n--;
	assert_int_equal(ipc_peer_send(s->keeper.peer, MSG_AUDIT_ENTRY, 1, &entry), 0);
	scene_end(s);
}

static void test_a_producer_that_asks_again_each_time_leaves_the_loop_to_others(void **state)
{
	struct scene *s = scene_with(IPC_RELAY);

	(void)state;
	s->keeper.refill = 20;
	s->other.stop_at = 100;
	ipc_peer_want_drained(s->keeper.peer);
	run(s);
	assert_int_equal(s->other.messages, 20);
	/* the reader had its turn between them */
	assert_true(s->other.batches > 10);
	scene_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_messages_of_one_turn_arrive_in_order_as_one_batch),
	    cmocka_unit_test(test_messages_wait_for_the_end_of_the_turn),
	    cmocka_unit_test(test_what_is_not_permitted_is_not_queued),
	    cmocka_unit_test(test_a_secret_is_received_in_secret_memory_only),
	    cmocka_unit_test(test_a_message_that_does_not_encode_leaves_the_queue_as_it_was),
	    cmocka_unit_test(
	        test_a_descriptor_is_passed_with_its_message_and_taken_from_the_sender),
	    cmocka_unit_test(test_a_descriptor_is_closed_when_its_message_cannot_be_sent),
	    cmocka_unit_test(test_a_descriptor_that_never_left_is_closed_with_the_peer),
	    cmocka_unit_test(
	        test_a_message_that_needs_a_descriptor_and_has_none_ends_the_channel),
	    cmocka_unit_test(test_a_descriptor_nobody_asked_for_ends_the_channel_and_is_closed),
	    cmocka_unit_test(test_a_peer_that_does_not_read_gives_again_until_it_has_read),
	    cmocka_unit_test(test_a_message_that_can_never_fit_is_invalid_and_not_again),
	    cmocka_unit_test(
	        test_a_producer_that_asks_again_each_time_leaves_the_loop_to_others),
	};

	return cmocka_run_group_tests(tests, start_arena, NULL);
}

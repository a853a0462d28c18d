#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/peer_scene.h"

static size_t put_complete(unsigned char *dst, size_t cap, size_t used, uint64_t id)
{
	struct msg_complete m = {.status = 200};

	assert_int_equal(ipc_frame_add(dst, cap, &used, MSG_COMPLETE, id, &m), 0);
	return used;
}

/* ---- a peer that misbehaves ---- */

static void test_a_bad_message_ends_the_channel_and_hides_what_is_behind_it(void **state)
{
	static unsigned char wire[512];
	struct msg_cut not_permitted = {0};
	struct scene s;
	int sock = raw_channel(&s, IPC_RELAY);
	size_t n = put_complete(wire, sizeof wire, 0, 1);

	(void)state;
	assert_int_equal(ipc_frame_add(wire, sizeof wire, &n, MSG_CUT, 2, &not_permitted), 0);
	n = put_complete(wire, sizeof wire, n, 3);
	assert_int_equal(send(sock, wire, n, 0), n);
	n = put_complete(wire, sizeof wire, 0, 4);
	assert_int_equal(send(sock, wire, n, 0), n);
	run(&s);
	assert_int_equal(s.keeper.messages, 1);
	assert_true(s.keeper.ids[0] == 1);
	assert_int_equal(s.keeper.batches, 1);
	assert_int_equal(s.keeper.closed, 1);
	assert_int_equal(s.keeper.closed_with, RK_E_PROTOCOL);
	close(sock);
	scene_end(&s);
}

static void test_the_same_datagram_without_the_bad_message_is_delivered_whole(void **state)
{
	static unsigned char wire[512];
	struct scene s;
	int sock = raw_channel(&s, IPC_RELAY);
	size_t n = put_complete(wire, sizeof wire, 0, 1);

	(void)state;
	n = put_complete(wire, sizeof wire, n, 3);
	assert_int_equal(send(sock, wire, n, 0), n);
	s.keeper.stop_at = 3;
	run(&s);
	assert_int_equal(s.keeper.messages, 2);
	assert_int_equal(s.keeper.closed, 0);
	close(sock);
	scene_end(&s);
}

static void test_garbage_ends_the_channel(void **state)
{
	struct scene s;
	int sock = raw_channel(&s, IPC_CONTROL);

	(void)state;
	assert_int_equal(send(sock, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
	run(&s);
	assert_int_equal(s.keeper.closed_with, RK_E_PROTOCOL);
	close(sock);
	scene_end(&s);
}

static void test_a_message_of_the_setup_phase_is_refused_while_serving(void **state)
{
	struct msg_empty m = {0};
	struct scene s;
	int sock;

	(void)state;
	for (int setup = 0; setup <= 1; setup++) {
		sock = raw_channel(&s, IPC_SUPERVISOR);
		if (setup)
			ipc_peer_set_phase(s.keeper.peer, IPC_PHASE_SETUP);
		s.keeper.stop_at = 9;
		assert_int_equal(ipc_send_blocking(sock, MSG_START, 9, &m, -1), 0);
		run(&s);
		assert_int_equal(s.keeper.messages, setup);
		assert_int_equal(s.keeper.closed_with, setup ? 0 : RK_E_PROTOCOL);
		close(sock);
		scene_end(&s);
	}
}

/* ---- the end of a channel ---- */

static void test_the_other_side_s_end_is_reported_once(void **state)
{
	struct scene *s = scene_with(IPC_RELAY);

	(void)state;
	ipc_peer_free(s->other.peer);
	s->other.peer = NULL;
	s->keeper.keep_after_closed = true;
	run(s);
	assert_int_equal(s->keeper.closed, 1);
	assert_int_equal(s->keeper.closed_with, RK_E_CLOSED);
	assert_int_equal(ipc_peer_send(s->keeper.peer, MSG_CUT, 1, &(struct msg_cut){0}),
	                 RK_E_CLOSED);
	assert_int_equal(s->keeper.closed, 1);
	scene_end(s);
}

static void test_last_words_are_heard_although_sending_to_the_closed_peer_fails(void **state)
{
	static unsigned char wire[512];
	struct scene s;
	int sock = raw_channel(&s, IPC_RELAY);

	(void)state;
	for (uint64_t i = 1; i <= 3; i++) {
		size_t n = put_complete(wire, sizeof wire, 0, i);

		assert_int_equal(send(sock, wire, n, 0), n);
	}
	close(sock);
	/* flushed before anything is read */
	send_cut(&s.keeper, 7);
	run(&s);
	assert_int_equal(s.keeper.messages, 3);
	assert_int_equal(s.keeper.closed, 1);
	assert_int_equal(s.keeper.closed_with, RK_E_CLOSED);
	scene_end(&s);
}

static void test_a_peer_may_free_itself_in_its_message_callback(void **state)
{
	struct scene *s = scene_with(IPC_RELAY);

	(void)state;
	for (uint64_t i = 1; i <= 3; i++)
		send_complete(&s->other, i);
	s->keeper.free_at = 2;
	s->other.stop_at = 0;
	run(s);
	assert_int_equal(s->keeper.messages, 2);
	assert_int_equal(s->keeper.batches, 0);
	assert_int_equal(s->keeper.closed, 0);
	assert_int_equal(s->other.closed, 1);
	scene_end(s);
}

static void test_a_peer_may_free_itself_in_batch_end(void **state)
{
	struct scene *s = scene_with(IPC_RELAY);

	(void)state;
	send_complete(&s->other, 1);
	s->keeper.free_in_batch_end = true;
	run(s);
	assert_int_equal(s->keeper.batches, 1);
	assert_int_equal(s->other.closed, 1);
	scene_end(s);
}

static void test_a_peer_may_free_itself_in_drained(void **state)
{
	struct scene *s = scene_with(IPC_RELAY);

	(void)state;
	s->keeper.free_in_drained = true;
	ipc_peer_want_drained(s->keeper.peer);
	run(s);
	assert_int_equal(s->keeper.drained, 1);
	assert_int_equal(s->other.closed, 1);
	scene_end(s);
}

static void test_one_peer_may_free_another_that_has_something_to_read(void **state)
{
	struct scene *s = scene_with(IPC_RELAY);

	(void)state;
	send_complete(&s->other, 1);
	send_cut(&s->keeper, 2);
	/* whichever is called first frees the other one */
	s->keeper.free_other = &s->other;
	s->other.free_other = &s->keeper;
	run(s);
	assert_int_equal(s->keeper.messages + s->other.messages, 1);
	assert_int_equal(s->keeper.closed + s->other.closed, 1);
	scene_end(s);
}

static void test_queued_messages_of_a_freed_peer_are_wiped_and_forgotten(void **state)
{
	struct scene *s = scene_with(IPC_CONTROL);
	struct msg_conn_rotate m = {.ref = rk_str("openai"), .secret = rk_str("sk-real-1")};

	(void)state;
	assert_int_equal(ipc_peer_send(s->other.peer, MSG_CONN_ROTATE, 3, &m), 0);
	ipc_peer_free(s->other.peer);
	ipc_peer_free(s->other.peer);
	s->other.peer = NULL;
	run(s);
	assert_int_equal(s->keeper.messages, 0);
	assert_int_equal(s->keeper.closed, 1);
	scene_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_bad_message_ends_the_channel_and_hides_what_is_behind_it),
	    cmocka_unit_test(test_the_same_datagram_without_the_bad_message_is_delivered_whole),
	    cmocka_unit_test(test_garbage_ends_the_channel),
	    cmocka_unit_test(test_a_message_of_the_setup_phase_is_refused_while_serving),
	    cmocka_unit_test(test_the_other_side_s_end_is_reported_once),
	    cmocka_unit_test(
	        test_last_words_are_heard_although_sending_to_the_closed_peer_fails),
	    cmocka_unit_test(test_a_peer_may_free_itself_in_its_message_callback),
	    cmocka_unit_test(test_a_peer_may_free_itself_in_batch_end),
	    cmocka_unit_test(test_a_peer_may_free_itself_in_drained),
	    cmocka_unit_test(test_one_peer_may_free_another_that_has_something_to_read),
	    cmocka_unit_test(test_queued_messages_of_a_freed_peer_are_wiped_and_forgotten),
	};

	return cmocka_run_group_tests(tests, start_arena, NULL);
}

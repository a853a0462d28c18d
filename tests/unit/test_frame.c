#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/secret.h"
#include "ipc/frame.h"
#include "tests/lib/fd_count.h"

struct wire {
	unsigned char bytes[IPC_MAX_DATAGRAM];
	size_t n;
};

static struct wire w;

static void add_cut(uint64_t id, uint16_t reason)
{
	struct msg_cut m = {.reason = reason};

	assert_int_equal(ipc_frame_add(w.bytes, sizeof w.bytes, &w.n, MSG_CUT, id, &m), 0);
}

/* One CUT of keeper to relay: 16 bytes of header, 2 of body. */
static void one_cut(void)
{
	w.n = 0;
	add_cut(0x0807060504030201, 9);
}

static int next(struct rk_slice *left, struct ipc_message *m)
{
	return ipc_frame_next(left, IPC_KEEPER, IPC_RELAY, IPC_PHASE_SERVE, m);
}

static int take_one(void)
{
	struct rk_slice left = rk_slice(w.bytes, w.n);
	struct ipc_message m;

	return next(&left, &m);
}

static void test_a_frame_has_the_layout_that_its_header_states(void **state)
{
	static const unsigned char want[] = {2, 0, 0, 0, MSG_CUT, 0, 0, 0, 1,
	                                     2, 3, 4, 5, 6,       7, 8, 9, 0};

	(void)state;
	one_cut();
	assert_int_equal(w.n, sizeof want);
	assert_memory_equal(w.bytes, want, sizeof want);
}

static void test_several_messages_of_a_datagram_come_back_in_order(void **state)
{
	struct rk_slice left;
	struct ipc_message m;

	(void)state;
	w.n = 0;
	for (uint64_t i = 1; i <= 3; i++)
		add_cut(i << 40, (uint16_t)i);
	left = rk_slice(w.bytes, w.n);
	for (uint64_t i = 1; i <= 3; i++) {
		assert_int_equal(next(&left, &m), 1);
		assert_int_equal(m.type, MSG_CUT);
		assert_true(m.id == i << 40);
		assert_int_equal(m.body.cut.reason, i);
		assert_int_equal(m.fd, -1);
	}
	assert_int_equal(next(&left, &m), 0);
}

static void test_a_cut_off_header_or_body_is_refused_the_whole_is_taken(void **state)
{
	size_t whole;

	(void)state;
	one_cut();
	whole = w.n;
	for (w.n = 1; w.n < whole; w.n++)
		assert_int_equal(take_one(), RK_E_PROTOCOL);
	assert_int_equal(take_one(), 1);
}

static void test_a_body_length_that_is_not_the_record_s_is_refused(void **state)
{
	static const unsigned char lengths[] = {0, 1, 3, 255};

	(void)state;
	for (size_t i = 0; i < sizeof lengths; i++) {
		one_cut();
		memset(w.bytes + w.n, 0, 300);
		w.n += 300;
		w.bytes[0] = lengths[i];
		assert_int_equal(take_one(), RK_E_PROTOCOL);
	}
	w.bytes[0] = 2;
	assert_int_equal(take_one(), 1);
}

static void test_a_huge_length_is_refused(void **state)
{
	(void)state;
	one_cut();
	memset(w.bytes, 0xff, 4);
	assert_int_equal(take_one(), RK_E_PROTOCOL);
}

static void test_the_reserved_field_is_zero_or_the_message_is_refused(void **state)
{
	(void)state;
	one_cut();
	w.bytes[7] = 1;
	assert_int_equal(take_one(), RK_E_PROTOCOL);
	w.bytes[7] = 0;
	assert_int_equal(take_one(), 1);
}

static void test_types_that_do_not_exist_are_refused(void **state)
{
	(void)state;
	one_cut();
	w.bytes[4] = 0;
	assert_int_equal(take_one(), RK_E_PROTOCOL);
	w.bytes[4] = MSG_TYPES;
	assert_int_equal(take_one(), RK_E_PROTOCOL);
	w.bytes[4] = 0xff;
	w.bytes[5] = 0xff;
	assert_int_equal(take_one(), RK_E_PROTOCOL);
}

static void test_direction_and_phase_are_checked(void **state)
{
	struct rk_slice left;
	struct ipc_message m;

	(void)state;
	one_cut();
	left = rk_slice(w.bytes, w.n);
	assert_int_equal(ipc_frame_next(&left, IPC_RELAY, IPC_KEEPER, IPC_PHASE_SERVE, &m),
	                 RK_E_PROTOCOL);
	assert_int_equal(ipc_frame_next(&left, IPC_KEEPER, IPC_RELAY, IPC_PHASE_SETUP, &m),
	                 RK_E_PROTOCOL);
	assert_int_equal(ipc_frame_next(&left, IPC_KEEPER, IPC_CONTROL, IPC_PHASE_SERVE, &m),
	                 RK_E_PROTOCOL);
	assert_int_equal(left.n, w.n);
	assert_int_equal(next(&left, &m), 1);
}

static void test_what_does_not_fit_is_too_big_and_changes_nothing(void **state)
{
	struct msg_cut m = {.reason = 1};
	unsigned char small[2 * (IPC_FRAME_HEADER + 2)];
	size_t used = 0;

	(void)state;
	assert_int_equal(ipc_frame_add(small, sizeof small - 1, &used, MSG_CUT, 1, &m), 0);
	assert_int_equal(used, IPC_FRAME_HEADER + 2);
	assert_int_equal(ipc_frame_add(small, sizeof small - 1, &used, MSG_CUT, 2, &m),
	                 RK_E_TOOBIG);
	assert_int_equal(used, IPC_FRAME_HEADER + 2);
	assert_int_equal(ipc_frame_add(small, sizeof small, &used, MSG_CUT, 2, &m), 0);
}

static void test_a_body_that_its_table_does_not_allow_is_invalid(void **state)
{
	struct msg_list list = {.conn = rk_str("openai")};
	struct msg_conn_add add = {.auth = rk_str("no list")};
	char name[MSG_MAX_NAME + 1] = {0};

	(void)state;
	w.n = 0;
	assert_int_equal(ipc_frame_add(w.bytes, sizeof w.bytes, &w.n, MSG_KEY_LIST, 1, &list),
	                 0);
	w.n = 0;
	list.conn = rk_slice(name, sizeof name);
	assert_int_equal(ipc_frame_add(w.bytes, sizeof w.bytes, &w.n, MSG_KEY_LIST, 1, &list),
	                 RK_E_INVALID);
	assert_int_equal(ipc_frame_add(w.bytes, sizeof w.bytes, &w.n, MSG_CONN_ADD, 1, &add),
	                 RK_E_INVALID);
	assert_int_equal(ipc_frame_add(w.bytes, sizeof w.bytes, &w.n, MSG_TYPES, 1, &list),
	                 RK_E_INVALID);
	assert_int_equal(w.n, 0);
}

/* ---- over a socket ---- */

struct channel {
	int a, b;
};

static struct channel channel_new(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	return (struct channel){pair[0], pair[1]};
}

static void channel_end(struct channel *c)
{
	close(c->a);
	close(c->b);
}

/* `n` bytes of w with the given descriptors. */
static void send_with(int sock, size_t n, const int *fds, unsigned count)
{
	union {
		char bytes[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {w.bytes, n};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes};
	struct cmsghdr *c;

	mh.msg_controllen = CMSG_SPACE(count * sizeof(int));
	c = CMSG_FIRSTHDR(&mh);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	assert_int_equal(sendmsg(sock, &mh, 0), n);
}

static void test_a_descriptor_arrives_usable_and_closed_on_exec(void **state)
{
	struct channel c = channel_new();
	struct msg_peer m = {.role = IPC_KEEPER};
	struct wire got = {.n = 0};
	int ends[2], fd = -1;
	char byte = 0;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(ipc_send_blocking(c.a, MSG_PEER, 5, &m, ends[1]), 0);
	assert_true(ipc_recv(c.b, got.bytes, sizeof got.bytes, &fd) > 0);
	assert_true(fd >= 0 && fd != ends[1]);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	assert_int_equal(byte, 'x');
	close(fd);
	/* the sender kept its own */
	assert_int_equal(close(ends[1]), 0);
	close(ends[0]);
	channel_end(&c);
}

static void test_more_than_one_descriptor_is_refused_and_none_is_left_open(void **state)
{
	struct channel c = channel_new();
	unsigned char got[64];
	int fds[4] = {0, 1, 2, 0}, fd;
	unsigned before = fd_count();

	(void)state;
	one_cut();
	for (unsigned count = 2; count <= 4; count++) {
		send_with(c.a, w.n, fds, count);
		assert_int_equal(ipc_recv(c.b, got, sizeof got, &fd), RK_E_PROTOCOL);
		assert_int_equal(fd, -1);
		assert_int_equal(fd_count(), before);
	}
	send_with(c.a, w.n, fds, 1);
	assert_int_equal(ipc_recv(c.b, got, sizeof got, &fd), w.n);
	close(fd);
	channel_end(&c);
}

static void test_a_descriptor_with_an_empty_datagram_is_not_left_open(void **state)
{
	struct channel c = channel_new();
	unsigned char got[64];
	unsigned before = fd_count();
	int fds[1] = {0}, fd;

	(void)state;
	send_with(c.a, 0, fds, 1);
	assert_int_equal(ipc_recv(c.b, got, sizeof got, &fd), RK_E_CLOSED);
	assert_int_equal(fd, -1);
	assert_int_equal(fd_count(), before);
	channel_end(&c);
}

static void test_a_datagram_longer_than_the_buffer_is_refused_with_its_descriptor(void **state)
{
	struct channel c = channel_new();
	unsigned char got[17];
	unsigned before = fd_count();
	int fds[1] = {0}, fd;

	(void)state;
	one_cut();
	send_with(c.a, sizeof got + 1, fds, 1);
	assert_int_equal(ipc_recv(c.b, got, sizeof got, &fd), RK_E_PROTOCOL);
	assert_int_equal(fd, -1);
	assert_int_equal(fd_count(), before);
	assert_int_equal(send(c.a, w.bytes, sizeof got, 0), sizeof got);
	assert_int_equal(ipc_recv(c.b, got, sizeof got, &fd), sizeof got);
	channel_end(&c);
}

static void test_nothing_to_read_is_again_and_the_end_is_closed(void **state)
{
	struct channel c = channel_new();
	unsigned char got[64];
	int fd;

	(void)state;
	fcntl(c.b, F_SETFL, O_NONBLOCK);
	assert_int_equal(ipc_recv(c.b, got, sizeof got, &fd), RK_E_AGAIN);
	close(c.a);
	assert_int_equal(ipc_recv(c.b, got, sizeof got, &fd), RK_E_CLOSED);
	close(c.b);
}

static void test_what_a_peer_sent_before_it_closed_with_unread_data_is_still_read(void **state)
{
	struct channel c = channel_new();
	unsigned char got[64];
	int fd;

	(void)state;
	one_cut();
	assert_int_equal(send(c.a, w.bytes, w.n, 0), w.n);
	assert_int_equal(send(c.b, w.bytes, w.n, 0), w.n);
	close(c.a);
	assert_int_equal(ipc_recv(c.b, got, sizeof got, &fd), w.n);
	assert_int_equal(ipc_recv(c.b, got, sizeof got, &fd), RK_E_CLOSED);
	close(c.b);
}

static void test_a_blocking_send_leaves_no_secret_memory_and_reports_a_closed_peer(void **state)
{
	struct channel c = channel_new();
	struct msg_conn_rotate m = {.ref = rk_str("openai"), .secret = rk_str("sk-real")};
	size_t before = secret_arena_in_use();

	(void)state;
	assert_int_equal(ipc_send_blocking(c.a, MSG_CONN_ROTATE, 1, &m, -1), 0);
	assert_int_equal(secret_arena_in_use(), before);
	close(c.b);
	assert_int_equal(ipc_send_blocking(c.a, MSG_CONN_ROTATE, 1, &m, -1), RK_E_CLOSED);
	assert_int_equal(secret_arena_in_use(), before);
	close(c.a);
}

static int start_arena(void **state)
{
	struct rk_fault fault;

	(void)state;
	return secret_arena_init(1 << 20, SECRET_BACKING_BEST, &fault);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_frame_has_the_layout_that_its_header_states),
	    cmocka_unit_test(test_several_messages_of_a_datagram_come_back_in_order),
	    cmocka_unit_test(test_a_cut_off_header_or_body_is_refused_the_whole_is_taken),
	    cmocka_unit_test(test_a_body_length_that_is_not_the_record_s_is_refused),
	    cmocka_unit_test(test_a_huge_length_is_refused),
	    cmocka_unit_test(test_the_reserved_field_is_zero_or_the_message_is_refused),
	    cmocka_unit_test(test_types_that_do_not_exist_are_refused),
	    cmocka_unit_test(test_direction_and_phase_are_checked),
	    cmocka_unit_test(test_what_does_not_fit_is_too_big_and_changes_nothing),
	    cmocka_unit_test(test_a_body_that_its_table_does_not_allow_is_invalid),
	    cmocka_unit_test(test_a_descriptor_arrives_usable_and_closed_on_exec),
	    cmocka_unit_test(test_more_than_one_descriptor_is_refused_and_none_is_left_open),
	    cmocka_unit_test(test_a_descriptor_with_an_empty_datagram_is_not_left_open),
	    cmocka_unit_test(
	        test_a_datagram_longer_than_the_buffer_is_refused_with_its_descriptor),
	    cmocka_unit_test(test_nothing_to_read_is_again_and_the_end_is_closed),
	    cmocka_unit_test(
	        test_what_a_peer_sent_before_it_closed_with_unread_data_is_still_read),
	    cmocka_unit_test(
	        test_a_blocking_send_leaves_no_secret_memory_and_reports_a_closed_peer),
	};

	return cmocka_run_group_tests(tests, start_arena, NULL);
}

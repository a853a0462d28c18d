#include "ipc/frame.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/secret.h"

static void put_le(unsigned char *dst, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = (unsigned char)(v >> (8 * i));
}

static uint64_t get_le(const unsigned char *src, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)src[i] << (8 * i);
	return v;
}

int ipc_frame_add(void *dst, size_t cap, size_t *used, enum ipc_type type, uint64_t id,
                  const void *body)
{
	const struct ipc_row *row = ipc_row(type);
	unsigned char *at = (unsigned char *)dst + *used;
	ssize_t n;

	if (!row)
		return RK_E_INVALID;
	if (*used > cap || cap - *used < IPC_FRAME_HEADER)
		return RK_E_TOOBIG;
	n = record_encode(row->body, body, at + IPC_FRAME_HEADER,
	                  cap - *used - IPC_FRAME_HEADER);
	if (n < 0) {
		/* over a field's maximum is the caller's fault, not lack of room */
		if (n == RK_E_TOOBIG &&
		    record_size(row->body, body) <= cap - *used - IPC_FRAME_HEADER)
			return RK_E_INVALID;
		return (int)n;
	}
	put_le(at, (uint64_t)n, 4);
	put_le(at + 4, type, 2);
	put_le(at + 6, 0, 2);
	put_le(at + 8, id, 8);
	*used += IPC_FRAME_HEADER + (size_t)n;
	return 0;
}

int ipc_frame_next(struct rk_slice *datagram, enum ipc_role from, enum ipc_role to,
                   enum ipc_phase phase, struct ipc_message *out)
{
	const unsigned char *at = (const unsigned char *)datagram->p;
	const struct ipc_row *row;
	struct rk_slice body;
	uint64_t len;
	unsigned type;

	if (datagram->n == 0)
		return 0;
	if (datagram->n < IPC_FRAME_HEADER)
		return RK_E_PROTOCOL;
	len = get_le(at, 4);
	type = (unsigned)get_le(at + 4, 2);
	if (len > datagram->n - IPC_FRAME_HEADER || get_le(at + 6, 2) != 0 ||
	    !ipc_permitted(type, from, to, phase))
		return RK_E_PROTOCOL;
	row = ipc_row(type);
	body = rk_slice(datagram->p + IPC_FRAME_HEADER, (size_t)len);
	if (record_decode(row->body, body, &out->body) < 0)
		return RK_E_PROTOCOL;
	out->type = (enum ipc_type)type;
	out->id = get_le(at + 8, 8);
	out->fd = -1;
	*datagram = rk_slice_skip(*datagram, IPC_FRAME_HEADER + (size_t)len);
	return 1;
}

int ipc_send_blocking(int sock, enum ipc_type type, uint64_t id, const void *body, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	RK_SECRET_AUTO buf = {0};
	struct msghdr mh = {0};
	struct iovec iov;
	int err;

	err = rk_secret_alloc(&buf, IPC_MAX_DATAGRAM);
	if (err)
		return err;
	err = ipc_frame_add(buf.p, buf.cap, &buf.len, type, id, body);
	if (err)
		return err;
	iov = (struct iovec){buf.p, buf.len};
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	if (fd >= 0) {
		struct cmsghdr *c;

		mh.msg_control = control.bytes;
		mh.msg_controllen = sizeof control.bytes;
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	for (;;) {
		if (sendmsg(sock, &mh, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return errno == EPIPE || errno == ECONNRESET ? RK_E_CLOSED : RK_E_IO;
	}
}

/*
 * The one descriptor of a datagram into *fd, or -1. False when there were more: the smallest
 * control buffer holds two, and one that nobody closes would be the sender's to leak.
 */
static bool take_descriptor(struct msghdr *mh, int *fd)
{
	unsigned seen = 0;
	int got;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof got <= c->cmsg_len;
		     at += sizeof got) {
			memcpy(&got, (const unsigned char *)c + at, sizeof got);
			if (seen++ == 0)
				*fd = got;
			else
				close(got);
		}
	}
	return seen <= 1;
}

ssize_t ipc_recv(int sock, void *buf, size_t cap, int *fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {buf, cap};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	bool one, reset = false;
	ssize_t n;

	*fd = -1;
	for (;;) {
		mh.msg_control = control.bytes;
		mh.msg_controllen = sizeof control.bytes;
		n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
		if (n >= 0)
			break;
		/* a peer that closed with unread data: said once, ahead of what it had sent */
		if (errno == ECONNRESET && !reset)
			reset = true;
		else if (errno != EINTR)
			break;
	}
	if (n < 0) {
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return RK_E_AGAIN;
		return errno == ECONNRESET ? RK_E_CLOSED : RK_E_IO;
	}
	one = take_descriptor(&mh, fd);
	if (n > 0 && one && !(mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return n;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return n == 0 ? RK_E_CLOSED : RK_E_PROTOCOL;
}

#include "ipc/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/secret.h"

enum {
	READS_A_TURN = 16,   /* datagrams taken before others get their turn */
	BLOCK_BYTES = 16384, /* usual send block: a few dozen decisions */
};

/* One datagram waiting to be sent. */
struct block {
	struct block *next;
	struct rk_secret data;
	int fd; /* -1 or sent with it */
};

struct ipc_peer {
	struct loop *loop;
	struct event *readable;
	struct event *writable;
	struct loop_hook turn_end;
	int sock;
	enum ipc_role self, other;
	enum ipc_phase phase;
	const struct ipc_peer_ops *ops;
	void *arg;
	struct block *first, *last; /* the last block may still grow */
	struct rk_secret rx;
	struct block *spare;
	size_t queued;
	int failed; /* why the channel ended, reported at the turn's end */
	bool reported;
	bool want_drained;
	bool blocked; /* the kernel's buffer is full: `writable` is awaited */
	bool deaf;    /* the other end is closed: what it left is read, nothing is sent */
	bool dying;   /* ipc_peer_free() was called */
	bool busy;    /* inside a callback */
};

static void block_free(struct block *b)
{
	if (!b)
		return;
	if (b->fd >= 0)
		close(b->fd);
	rk_secret_free(&b->data);
	free(b);
}

static void drop_queue(struct ipc_peer *p)
{
	while (p->first) {
		struct block *b = p->first;

		p->first = b->next;
		block_free(b);
	}
	p->last = NULL;
	p->queued = 0;
}

static void peer_destroy(struct ipc_peer *p)
{
	loop_unhook(p->loop, &p->turn_end);
	if (p->readable)
		event_free(p->readable);
	if (p->writable)
		event_free(p->writable);
	if (p->sock >= 0)
		close(p->sock);
	drop_queue(p);
	block_free(p->spare);
	rk_secret_free(&p->rx);
	free(p);
}

static void peer_fail(struct ipc_peer *p, int err)
{
	if (p->failed)
		return;
	p->failed = err;
	event_del(p->readable);
	event_del(p->writable);
	loop_at_turn_end(p->loop, &p->turn_end);
}

/* ---- sending ---- */

static int block_send(struct ipc_peer *p, const struct block *b)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {b->data.p, b->data.len};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

	if (b->fd >= 0) {
		struct cmsghdr *c;

		mh.msg_control = control.bytes;
		mh.msg_controllen = sizeof control.bytes;
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof b->fd);
		memcpy(CMSG_DATA(c), &b->fd, sizeof b->fd);
	}
	for (;;) {
		if (sendmsg(p->sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
			return RK_E_AGAIN;
		return errno == EPIPE || errno == ECONNRESET ? RK_E_CLOSED : RK_E_IO;
	}
}

/*
 * A sent block of the usual size is kept, wiped, for the next turn. Nothing was written behind
 * its len: a message that did not encode leaves no bytes (peer_queue()).
 */
static void block_recycle(struct ipc_peer *p, struct block *b)
{
	if (p->spare || b->fd >= 0 || b->data.cap > BLOCK_BYTES) {
		block_free(b);
		return;
	}
	rk_secret_wipe(&b->data);
	b->next = NULL;
	p->spare = b;
}

static void peer_flush(struct ipc_peer *p)
{
	while (p->first && !p->failed) {
		struct block *b = p->first;
		int err = block_send(p, b);

		if (err == RK_E_AGAIN) {
			if (!p->blocked)
				event_add(p->writable, NULL);
			p->blocked = true;
			return;
		}
		if (err == RK_E_CLOSED) {
			/* its last words may still be unread: the end of file reports the end
			 */
			p->deaf = true;
			drop_queue(p);
			return;
		}
		if (err) {
			peer_fail(p, err);
			return;
		}
		p->first = b->next;
		if (!p->first)
			p->last = NULL;
		p->queued -= b->data.len;
		block_recycle(p, b);
	}
}

static struct block *block_new(struct ipc_peer *p, size_t bytes)
{
	struct block *b = p->spare;

	if (b && b->data.cap >= bytes) {
		p->spare = NULL;
		return b;
	}
	b = calloc(1, sizeof *b);
	if (!b)
		return NULL;
	b->fd = -1;
	if (rk_secret_alloc(&b->data, bytes > BLOCK_BYTES ? IPC_MAX_DATAGRAM : BLOCK_BYTES)) {
		free(b);
		return NULL;
	}
	return b;
}

static int peer_queue(struct ipc_peer *p, enum ipc_type type, uint64_t id, const void *body,
                      int fd)
{
	const struct ipc_row *row = ipc_row(type);
	struct block *b;
	size_t need, before;
	int err;

	if (p->failed || p->dying || p->deaf)
		return RK_E_CLOSED;
	if (!row || row->fd != (fd >= 0) ||
	    !ipc_permitted(type, p->self, p->other, IPC_PHASE_ANY))
		return RK_E_INVALID;
	need = IPC_FRAME_HEADER + record_size(row->body, body);
	if (need > IPC_MAX_DATAGRAM)
		return RK_E_INVALID;
	if (p->queued && p->queued + need > IPC_MAX_QUEUE) {
		p->want_drained = true;
		return RK_E_AGAIN;
	}
	/* a datagram is sent whole or not at all, so the last one may grow even while blocked
	 */
	b = fd < 0 ? p->last : NULL;
	if (!b || b->fd >= 0 || b->data.cap - b->data.len < need) {
		b = block_new(p, need);
		if (!b)
			return RK_E_NOMEM;
		b->fd = -1;
		err = ipc_frame_add(b->data.p, b->data.cap, &b->data.len, type, id, body);
		if (err) {
			block_free(b);
			return err;
		}
		b->fd = fd;
		if (p->last)
			p->last->next = b;
		else
			p->first = b;
		p->last = b;
		p->queued += b->data.len;
	} else {
		before = b->data.len;
		err = ipc_frame_add(b->data.p, b->data.cap, &b->data.len, type, id, body);
		if (err) {
			/* the fields before the bad one were written already */
			rk_wipe(b->data.p + before, b->data.cap - before);
			return err;
		}
		p->queued += b->data.len - before;
	}
	loop_at_turn_end(p->loop, &p->turn_end);
	return 0;
}

int ipc_peer_send(struct ipc_peer *p, enum ipc_type type, uint64_t id, const void *body)
{
	return peer_queue(p, type, id, body, -1);
}

int ipc_peer_send_fd(struct ipc_peer *p, enum ipc_type type, uint64_t id, const void *body,
                     int fd)
{
	int err = peer_queue(p, type, id, body, fd);

	if (err)
		close(fd);
	return err;
}

size_t ipc_peer_queued(const struct ipc_peer *p)
{
	return p->queued;
}

void ipc_peer_want_drained(struct ipc_peer *p)
{
	p->want_drained = true;
	loop_at_turn_end(p->loop, &p->turn_end);
}

/* ---- receiving ---- */

static int deliver(struct ipc_peer *p, struct rk_slice datagram, int fd)
{
	struct ipc_message m;
	int got;

	while ((got = ipc_frame_next(&datagram, p->other, p->self, p->phase, &m)) > 0) {
		if (ipc_row(m.type)->fd != (fd >= 0) || (fd >= 0 && datagram.n)) {
			got = RK_E_PROTOCOL;
			break;
		}
		m.fd = fd;
		fd = -1;
		p->ops->message(p, &m, p->arg);
		if (p->dying || p->failed)
			return 0;
	}
	if (fd >= 0)
		close(fd);
	return got;
}

static void on_readable(evutil_socket_t sock, short what, void *arg)
{
	struct ipc_peer *p = arg;
	int err = 0;

	(void)sock;
	(void)what;
	p->busy = true;
	for (int i = 0; i < READS_A_TURN && !err && !p->dying && !p->failed; i++) {
		int fd;
		ssize_t n = ipc_recv(p->sock, p->rx.p, p->rx.cap, &fd);

		if (n == RK_E_AGAIN)
			break;
		if (n < 0) {
			err = (int)n;
			break;
		}
		p->rx.len = (size_t)n;
		err = deliver(p, rk_secret_slice(&p->rx), fd);
		rk_secret_wipe(&p->rx);
	}
	if (!p->dying && p->ops->batch_end)
		p->ops->batch_end(p, p->arg);
	p->busy = false;
	if (p->dying)
		loop_at_turn_end(p->loop, &p->turn_end);
	else if (err)
		peer_fail(p, err);
}

static void on_writable(evutil_socket_t sock, short what, void *arg)
{
	struct ipc_peer *p = arg;

	(void)sock;
	(void)what;
	p->blocked = false;
	if (p->first || !p->want_drained) {
		loop_at_turn_end(p->loop, &p->turn_end);
		return;
	}
	p->want_drained = false;
	if (p->ops->drained)
		p->ops->drained(p, p->arg);
}

static void on_turn_end(void *arg)
{
	struct ipc_peer *p = arg;

	if (p->dying) {
		peer_destroy(p);
		return;
	}
	if (!p->failed && !p->blocked)
		peer_flush(p);
	if (p->failed && !p->reported) {
		p->reported = true;
		p->busy = true;
		p->ops->closed(p, p->failed, p->arg);
		p->busy = false;
		if (p->dying)
			peer_destroy(p);
		return;
	}
	/*
	 * From the next turn, never from here: a producer that sends and asks again each time
	 * would keep the hooks running for as long as its peer reads.
	 */
	if (p->want_drained && !p->first && !p->failed && !p->deaf)
		event_add(p->writable, NULL);
}

int ipc_peer_new(struct loop *l, int sock, enum ipc_role self, enum ipc_role other,
                 const struct ipc_peer_ops *ops, void *arg, struct ipc_peer **out)
{
	struct ipc_peer *p = calloc(1, sizeof *p);
	int flags = fcntl(sock, F_GETFL);
	int err;

	if (!p) {
		close(sock);
		return RK_E_NOMEM;
	}
	*p = (struct ipc_peer){
	    .loop = l,
	    .turn_end = {.run = on_turn_end, .arg = p},
	    .sock = sock,
	    .self = self,
	    .other = other,
	    .phase = IPC_PHASE_SERVE,
	    .ops = ops,
	    .arg = arg,
	};
	p->readable = event_new(loop_base(l), sock, EV_READ | EV_PERSIST, on_readable, p);
	p->writable = event_new(loop_base(l), sock, EV_WRITE, on_writable, p);
	err =
	    p->readable && p->writable ? rk_secret_alloc(&p->rx, IPC_MAX_DATAGRAM) : RK_E_NOMEM;
	if (!err && (flags < 0 || fcntl(sock, F_SETFL, flags | O_NONBLOCK) < 0 ||
	             event_add(p->readable, NULL) < 0))
		err = RK_E_IO;
	if (err) {
		peer_destroy(p);
		return err;
	}
	*out = p;
	return 0;
}

void ipc_peer_free(struct ipc_peer *p)
{
	if (!p || p->dying)
		return;
	p->dying = true;
	event_del(p->readable);
	event_del(p->writable);
	close(p->sock);
	p->sock = -1;
	if (!p->busy)
		loop_at_turn_end(p->loop, &p->turn_end);
}

enum ipc_role ipc_peer_role(const struct ipc_peer *p)
{
	return p->other;
}

void ipc_peer_set_phase(struct ipc_peer *p, enum ipc_phase phase)
{
	p->phase = phase;
}

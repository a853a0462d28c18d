/*
 * One end of a channel to another process, on a loop. Messages are queued and leave in as few
 * datagrams as they fit into at the end of the loop turn. Receive and send buffers are secret
 * memory and are wiped after use: relay keys and upstream secrets pass through them.
 *
 * A datagram that breaks the catalogue ends the channel (`closed` with RK_E_PROTOCOL); no
 * message of it behind the bad one is delivered.
 *
 * Limits: at most IPC_MAX_QUEUE bytes wait for a peer that does not read; past that,
 * ipc_peer_send() gives RK_E_AGAIN and the producer waits for `drained`.
 */
#ifndef IPC_PEER_H
#define IPC_PEER_H

#include "ipc/frame.h"
#include "ipc/loop.h"

enum { IPC_MAX_QUEUE = 4 << 20 };

struct ipc_peer;

struct ipc_peer_ops {
	/* One permitted message; slices in it borrow until the return. m->fd (if any) is the
	 * handler's. */
	void (*message)(struct ipc_peer *p, struct ipc_message *m, void *arg);
	/* All messages of one readable event were delivered (may be NULL). */
	void (*batch_end)(struct ipc_peer *p, void *arg);
	/* The channel is gone, err < 0; called once, never from inside ipc_peer_send(). Free it
	 * here or later. */
	void (*closed)(struct ipc_peer *p, int err, void *arg);
	/* The queue went empty after RK_E_AGAIN or with ipc_peer_want_drained() (may be NULL).
	 */
	void (*drained)(struct ipc_peer *p, void *arg);
};

/*
 * Takes sock (non-blocking from here on; closed on failure). `self` and `other` decide what is
 * permitted. Starts reading at once. RK_E_NOMEM, RK_E_IO.
 */
RK_MUST_CHECK int ipc_peer_new(struct loop *l, int sock, enum ipc_role self,
                               enum ipc_role other, const struct ipc_peer_ops *ops, void *arg,
                               struct ipc_peer **out);

/* Closes and frees, now. Safe inside the peer's own callbacks: memory is freed at the end of
 * the turn. */
void ipc_peer_free(struct ipc_peer *p);

enum ipc_role ipc_peer_role(const struct ipc_peer *p);

/* IPC_PHASE_SERVE from the start; a supervisor's channel begins in IPC_PHASE_SETUP. */
void ipc_peer_set_phase(struct ipc_peer *p, enum ipc_phase phase);

/* Queues a message. RK_E_AGAIN (queue full), RK_E_INVALID, RK_E_NOMEM, RK_E_CLOSED: nothing was
 * queued. */
RK_MUST_CHECK int ipc_peer_send(struct ipc_peer *p, enum ipc_type type, uint64_t id,
                                const void *body);

/* The same with a descriptor, which is taken: closed when sent, and also on failure. */
RK_MUST_CHECK int ipc_peer_send_fd(struct ipc_peer *p, enum ipc_type type, uint64_t id,
                                   const void *body, int fd);

/* Bytes queued and not yet with the kernel. */
size_t ipc_peer_queued(const struct ipc_peer *p);

/*
 * Has `drained` called in a later turn, once the queue is empty. Sending from it and asking
 * again is how a long answer is produced without keeping the loop from others.
 */
void ipc_peer_want_drained(struct ipc_peer *p);

#endif

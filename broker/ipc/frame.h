/*
 * Frames: one or more messages in one SOCK_SEQPACKET datagram, so that a burst costs
 * one system call on each side.
 *
 *   u32 body length, u16 type, u16 zero, u64 id, body (base/record.h)   little-endian
 *
 * The id is chosen by the requester; the answer carries it back. It is opaque to the other
 * side. A datagram with a descriptor holds exactly one message.
 */
#ifndef IPC_FRAME_H
#define IPC_FRAME_H

#include "ipc/catalogue.h"

enum { IPC_FRAME_HEADER = 16, IPC_MAX_DATAGRAM = 65536 };

/*
 * Appends a message to dst[cap], *used bytes long. RK_E_TOOBIG when it does not fit (dst
 * unchanged up to *used), RK_E_INVALID for a body that its table does not allow.
 */
RK_MUST_CHECK int ipc_frame_add(void *dst, size_t cap, size_t *used, enum ipc_type type,
                                uint64_t id, const void *body);

struct ipc_message {
	enum ipc_type type;
	uint64_t id;
	int fd; /* -1, or owned by the handler */
	union ipc_body body;
};

/*
 * Takes the next message off *datagram: 1 and *out, 0 at the end, RK_E_PROTOCOL when malformed
 * or not permitted from `from` to `to` in `phase`. out->fd is -1.
 */
RK_MUST_CHECK int ipc_frame_next(struct rk_slice *datagram, enum ipc_role from,
                                 enum ipc_role to, enum ipc_phase phase,
                                 struct ipc_message *out);

/*
 * Blocking exchange over a SEQPACKET socket, for a role before its loop runs and for the CLI.
 * Send one message (fd: -1 or the descriptor to pass, which stays the caller's).
 */
RK_MUST_CHECK int ipc_send_blocking(int sock, enum ipc_type type, uint64_t id, const void *body,
                                    int fd);

/*
 * One datagram into buf (secret memory where secrets may come); *fd gets the descriptor or -1
 * (always -1 on failure). RK_E_CLOSED at the end and for an empty datagram, RK_E_AGAIN when a
 * non-blocking socket has nothing, RK_E_PROTOCOL when it is longer than cap or brings more than
 * one descriptor.
 */
RK_MUST_CHECK ssize_t ipc_recv(int sock, void *buf, size_t cap, int *fd);

#endif

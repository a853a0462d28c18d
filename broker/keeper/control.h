/*
 * The control socket: where relaykey(1) talks to the keeper. SOCK_SEQPACKET, one request at a
 * time a client; the commands themselves are keeper/manage.h.
 *
 * Who may: root and the owner of the state directory (SO_PEERCRED). Everybody else, and the
 * client past CONTROL_MAX_CLIENTS, gets one MSG_DONE with the reason and id 0. A client that
 * breaks the protocol, or asks again before its answer is complete, loses its connection.
 */
#ifndef KEEPER_CONTROL_H
#define KEEPER_CONTROL_H

#include "base/err.h"

enum { CONTROL_MAX_CLIENTS = 16 };

struct control;
struct keeper;
struct manage;

/* Takes listen_fd, also on failure. Works in every state of the keeper. `k` is borrowed. */
RK_MUST_CHECK int control_new(struct keeper *k, int listen_fd, struct control **out);

/* Management: its callers may come another way too. */
struct manage *control_manage(struct control *c);

/*
 * Closes the socket and all clients and lets readers of the audit log end. Call it before the
 * worker pools, the pipeline and the index are freed: a change whose job is running ends with
 * that job. Accepts NULL.
 */
void control_free(struct control *c);

#endif

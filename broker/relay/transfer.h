/*
 * The bytes of an exchange once it has an upstream connection: head and body out, response
 * in, each with back-pressure.
 */
#ifndef RELAY_TRANSFER_H
#define RELAY_TRANSFER_H

#include "relay/exchange.h"

enum {
	TRANSFER_EARLY_BODY = 8192, /* most body bytes that join the head's record */
	TRANSFER_MAX_INTERIM = 16,  /* 1xx responses before the real one */
	/* least of a request's body in the time of DEADLINE_BODY, of a response in that of
	   DEADLINE_CLIENT_WRITE */
	TRANSFER_PACE_BYTES = 1024,
};

/* The connection is there: writes the head. */
void transfer_start(struct exchange *ex);

void transfer_on_client(struct exchange *ex, unsigned events);
void transfer_on_upstream(struct exchange *ex, unsigned events);

/* ---- with response.c: false when the exchange has ended ---- */

/* Bytes from the upstream while no whole response head has come. */
RK_MUST_CHECK bool response_read(struct exchange *ex);

/* The upstream is gone before its response began: a second try, or the end. */
void transfer_upstream_died(struct exchange *ex);

/* Goes on with the response's body. */
RK_MUST_CHECK bool transfer_download(struct exchange *ex);

#endif

/*
 * The opening handshake of WebSocket (RFC 6455 section 4) as a proxy between the two ends has
 * to see it: whether a request asks for it, and whether a 101 grants it. Sec-WebSocket-Accept
 * is the client's to check: key and answer pass through unchanged. Of frames only their lengths
 * are read. Pure.
 *
 * Of upgrades, only this one is known; HTTP/2 in the clear ("h2c") and others are not.
 */
#ifndef HTTP_WEBSOCKET_H
#define HTTP_WEBSOCKET_H

#include "http/h1.h"

/* A request whose upgrade is to "websocket" and nothing else beside it. */
bool websocket_asked(const struct h1_head *h);

/*
 * Of a request that asked: NULL when it may go on (GET without a body, one key of 16 bytes, one
 * version 13), else a stable short code for the audit log and the refusal.
 */
const char *websocket_request_fault(const struct h1_head *h);

/* Of a 101: NULL when it switches to WebSocket and frames no body, else a code as above. */
const char *websocket_response_fault(const struct h1_head *h);

/* Where frames end (RFC 6455 section 5.2), of one direction. Zeroed: a frame begins. */
struct websocket_frames {
	uint64_t left;    /* payload bytes of this frame still to come */
	uint64_t payload; /* its length, as far as it has been read */
	uint8_t header;   /* header bytes read: 0, 1, 2 for both */
	uint8_t length_left, mask_left;
};

/* Goes on by these bytes; whether they end where a frame does. */
bool websocket_frames_pass(struct websocket_frames *w, struct rk_slice bytes);

#endif

/*
 * A mail as it is sent (RFC 5322, RFC 2046): text and HTML, in 7-bit ASCII with CRLF line ends.
 * Its Message-ID is the notice's, so that one that comes twice is known as the same. Pure.
 *
 * Nothing that comes from outside is in the head but checked addresses and a subject of
 * printable ASCII.
 */
#ifndef COURIER_MAIL_H
#define COURIER_MAIL_H

#include "base/buf.h"
#include "ipc/messages.h"

enum { MAIL_MAX = 32768 };

struct mail_params {
	struct rk_slice from, to; /* checked again here: RK_E_INVALID */
	struct rk_slice public_url;
	const struct msg_notice *notice;
};

RK_MUST_CHECK int mail_write(const struct mail_params *p, struct rk_buf *out);

#endif

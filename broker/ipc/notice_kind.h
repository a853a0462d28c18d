/*
 * Names of what the broker tells the outside of (enum notice_kind): in webhooks, in their lists
 * of events, on the command line.
 */
#ifndef IPC_NOTICE_KIND_H
#define IPC_NOTICE_KIND_H

#include "ipc/messages.h"

/* "ip.new", "key.expiring", ...; "unknown" otherwise. */
const char *notice_kind_name(unsigned kind);

/* RK_E_INVALID when no kind has that name. */
RK_MUST_CHECK int notice_kind_parse(struct rk_slice name, enum notice_kind *out);

/* The bit of a kind in a mask of events. */
#define NOTICE_BIT(kind) (UINT32_C(1) << (kind))

enum { NOTICE_EVERY = (1 << NOTICE_KINDS) - 2 };

#endif

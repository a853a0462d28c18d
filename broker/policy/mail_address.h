/*
 * Mail addresses that the broker writes to: local@domain (RFC 5321 4.1.2) without quoted parts,
 * comments, address literals and anything beyond ASCII, so that an address can stand in a
 * mail's head and in an SMTP command as it is. Pure.
 */
#ifndef POLICY_MAIL_ADDRESS_H
#define POLICY_MAIL_ADDRESS_H

#include "base/err.h"
#include "base/slice.h"

enum { MAIL_ADDRESS_MAX = 254, MAIL_LOCAL_MAX = 64 };

/* RK_E_INVALID with what would be right. */
RK_MUST_CHECK int mail_address_check(struct rk_slice text, struct rk_fault *fault);

/* What stands behind the @ of a checked address; borrows. */
struct rk_slice mail_address_domain(struct rk_slice address);

#endif

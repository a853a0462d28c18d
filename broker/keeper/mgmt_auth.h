/*
 * Who brings a command over HTTP: a management key, found by its SHA-256, so that no comparison
 * takes longer the more of it is right. Unknown, malformed, revoked and expired keys get one
 * answer; which it was stands in the audit log.
 *
 * Guessing is hopeless (166 random bits), so a right key is always let in. What has a limit is
 * the noise: of one client address (IPv6: /64) AUTH_MAX_FAILED failed attempts a minute are
 * judged and audited, the others are turned away as too many, and the first one after that
 * minute says how many there were. Addresses are kept in a table of fixed size; when many take
 * part, AUTH_MAX_ROWS rows a minute are written in all. Loop thread only.
 */
#ifndef KEEPER_MGMT_AUTH_H
#define KEEPER_MGMT_AUTH_H

#include "ipc/messages.h"

struct keeper;
struct manage_caller;
struct mgmt_auth;

enum { AUTH_MAX_FAILED = 10, AUTH_MAX_ROWS = 120, AUTH_WINDOW_MS = 60000 };

RK_MUST_CHECK int mgmt_auth_new(struct mgmt_auth **out);
void mgmt_auth_free(struct mgmt_auth *a);

/*
 * Fills actor, role, number of the key and the terms of the next command; ops and op are left
 * alone. 0 also without a credential: then the caller is nobody, "ip:192.0.2.7". RK_E_AUTH: not
 * a key that is good now; RK_E_AGAIN: the same after too many of these; RK_E_INVALID: the terms
 * are malformed; RK_E_STATE: sealed. After an error the caller is nobody, and must not run a
 * command.
 */
RK_MUST_CHECK int mgmt_authenticate(struct keeper *k, const struct msg_caller *m,
                                    struct manage_caller *who);

/*
 * Another proof than a management key, a secret scanner's signature. `exhausted`: its address
 * has failed so often in this minute that looking at one more is not worth it. `refuse` counts
 * and audits a failure as those above: RK_E_AUTH, or RK_E_AGAIN.
 */
bool mgmt_auth_exhausted(struct keeper *k, const uint8_t client_ip[16]);
int mgmt_auth_refuse(struct keeper *k, const uint8_t client_ip[16], const char *why);

/* The one text for each of these errors. */
const char *mgmt_auth_text(int err);

#endif

/*
 * Relay keys and management keys in any text: a log, an export of a chat, a diff. Pure.
 */
#ifndef POLICY_KEY_SCAN_H
#define POLICY_KEY_SCAN_H

#include "policy/mgmt_key.h"

enum { KEY_SCAN_MAX = MGMT_KEY_MAX }; /* the longer ones */

/*
 * The next key of good shape and checksum at or behind *at; *at moves behind it. Empty: none.
 * What stands before it does not matter ("\\nrk_app_..." in a JSON text); a longer word is
 * none.
 */
struct rk_slice key_scan_next(struct rk_slice text, size_t *at);

#endif

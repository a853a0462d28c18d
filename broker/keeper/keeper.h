/*
 * The keeper role: the process that decides and remembers. It alone has the token session, the
 * policy, the stores and the audit journal; it has no network and parses no HTTP.
 *
 * One loop thread owns all state; worker threads wait for disk and token (keeper/worker.h).
 */
#ifndef KEEPER_KEEPER_H
#define KEEPER_KEEPER_H

#include <stdint.h>

/* Runs the role on ROLE_CHANNEL_FD; returns the exit status. */
int keeper_main(uint32_t instance);

#endif

/*
 * The courier role: everything that goes out on the broker's own account (mail, webhooks, later
 * syslog) leaves from here, taken from the keeper's outbox one attempt at a time. It has no
 * files and holds no store; it decides nothing: it says how an attempt ended (DELIVERED), and
 * the keeper knows what becomes of it.
 *
 * libcurl does the protocols, on the role's loop (courier/curl_loop.h), without its resolver
 * (courier/lookup.h) and with memory that is wiped (base/curl_memory.h).
 */
#ifndef COURIER_COURIER_H
#define COURIER_COURIER_H

#include <stdint.h>

/* Runs the role on ROLE_CHANNEL_FD; returns the exit status. */
int courier_main(uint32_t instance);

#endif

/*
 * The courier role: everything that goes out on the broker's own account (syslog, mail,
 * webhooks) leaves from here, taken from the keeper's outbox. It has no files and holds no
 * store.
 *
 * This version has no outbox yet: the courier is connected to the keeper, confined as it will
 * be, and sends nothing.
 */
#ifndef COURIER_COURIER_H
#define COURIER_COURIER_H

#include <stdint.h>

/* Runs the role on ROLE_CHANNEL_FD; returns the exit status. */
int courier_main(uint32_t instance);

#endif

/*
 * sd_notify(3) without libsystemd: one datagram to the socket named in NOTIFY_SOCKET. Without
 * that variable nothing happens; a failure to send is not an error of the broker.
 */
#ifndef SUPERVISOR_NOTIFY_H
#define SUPERVISOR_NOTIFY_H

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

#endif

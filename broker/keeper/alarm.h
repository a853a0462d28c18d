/*
 * What the keeper has to tell the outside of as it happens in traffic: a honey key was used.
 * Between the pipeline, which sees it, and the outbox. Loop thread.
 */
#ifndef KEEPER_ALARM_H
#define KEEPER_ALARM_H

#include "keeper/index.h"

struct alarm;
struct keeper;

/* Once the pipeline is there. */
RK_MUST_CHECK int alarm_new(struct keeper *k, struct alarm **out);
void alarm_free(struct alarm *a); /* accepts NULL */

/* Somebody presented it, or said that it had been found (then without an address). Whether
 * it is told of now: not more often than honey.h says. Accepts NULL. */
bool alarm_honey(struct alarm *a, const struct index_key *key, const struct index_conn *conn,
                 const uint8_t client_ip[16], struct rk_slice user_agent);

#endif

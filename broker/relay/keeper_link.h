/*
 * The relay's end of its channel to the keeper: gate, table, decisions, cuts, expiries. When it
 * is lost, all exchanges end and the gate is closed until there is a new one.
 */
#ifndef RELAY_KEEPER_LINK_H
#define RELAY_KEEPER_LINK_H

#include "relay/engine.h"

/* Closes the channel, ends all exchanges, forgets the table. */
void keeper_link_close(struct relay *r);

#endif

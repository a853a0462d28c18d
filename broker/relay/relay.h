/*
 * The relay: the evented TLS reverse proxy. One process a core, all on one port (SO_REUSEPORT).
 * It has no files, no token and no database, and holds an upstream secret only while it writes
 * the head of a request that presented a valid relay key.
 */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include "base/egress.h"
#include "base/err.h"
#include "base/ipaddr.h"
#include "base/slice.h"
#include "ipc/loop.h"
#include "relay/deadline.h"

/* The role: returns the exit status of the process. */
int relay_main(uint32_t instance);

/* What a relay needs to run, whoever provides it: the role, or a test. */
struct relay_params {
	struct loop *loop;
	struct rk_slice certificate, key; /* PEM; borrowed during relay_new() */
	struct rk_slice trust;            /* PEM bundle for upstreams; borrowed, may be empty */
	int listener;                     /* taken; non-blocking from here on */
	int keeper;                       /* taken: a channel to the keeper, or -1 */
	bool proxy_protocol;              /* trusted proxies send a PROXY header first */
	struct rk_cidrs trusted_proxies;  /* whose word on the client's address counts */
	struct egress egress;             /* how upstreams that say nothing else are reached */
	unsigned max_clients;             /* 0: as many as RLIMIT_NOFILE allows */
	unsigned max_per_client;          /* of one address; 0: half of all */
	uint32_t deadline_ms[DEADLINE_KINDS]; /* 0: the relay's own */
};

struct relay;

/* Opens what needs the file system (resolver configuration), too: before the sandbox. */
RK_MUST_CHECK int relay_new(const struct relay_params *params, struct relay **out,
                            struct rk_fault *fault);

/* Ends everything at once. Accepts NULL. */
void relay_free(struct relay *r);

/* A new channel to the keeper (taken), in place of one that was lost. */
void relay_set_keeper(struct relay *r, int sock);

/* New server identity for new connections; on failure the old one stays. */
RK_MUST_CHECK int relay_set_identity(struct relay *r, struct rk_slice certificate,
                                     struct rk_slice key, struct rk_fault *fault);

/* New trust bundle for new upstream connections; on failure the old one stays. */
RK_MUST_CHECK int relay_set_trust(struct relay *r, struct rk_slice pem, struct rk_fault *fault);

/* Accepts nothing new, lets what runs end within grace_ms, then stops the loop. */
void relay_stop(struct relay *r, uint32_t grace_ms);

/* For tests and status: clients connected, exchanges open. */
unsigned relay_client_count(const struct relay *r);
unsigned relay_exchange_count(const struct relay *r);

struct sandbox;
/* relay_sandbox.c: the system calls of a relay. */
const struct sandbox *relay_sandbox(void);

#endif

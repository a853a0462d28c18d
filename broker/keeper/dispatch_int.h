/*
 * Between dispatch.c (what is due, and when) and dispatch_attempt.c (one attempt: what goes to
 * the courier, and what its end means).
 */
#ifndef KEEPER_DISPATCH_INT_H
#define KEEPER_DISPATCH_INT_H

#include "keeper/dispatch.h"
#include "keeper/hooks.h"
#include "keeper/keeper_int.h"
#include "keeper/store_outbox.h"

enum {
	DISPATCH_LANES = HOOKS_MAX + 1,
	REST_FIRST_MS = 1000,
	REST_LONGEST_MS = 60 * 1000,
};

enum flight_state {
	FLIGHT_OUT,     /* the courier has it */
	FLIGHT_ENDED,   /* its end is not stored yet */
	FLIGHT_STORING, /* the job has it */
};

/* One attempt. */
struct flight {
	struct flight *next;
	uint64_t attempt;
	int64_t n; /* the row */
	uint8_t kind;
	enum flight_state st;
	struct outbox_result result;
	char error[OUTBOX_ERROR_MAX + 1];
	char target[MAIL_TARGET_MAX + 1];
	size_t notice_n;
	char notice[MSG_MAX_NOTICE];
	char kept[MSG_MAX_NOTICE]; /* of the notice, once it was sent */
};

struct lane {
	char id[HOOK_ID_TEXT];
	unsigned room;
};

struct dispatch {
	struct worker_job job; /* first: jobs are cast back */
	struct keeper *k;
	struct ipc_peer *courier; /* NULL: there is none */
	struct event *timer, *woken;
	int wake_fd;
	struct flight *flights;
	unsigned count;
	uint64_t last_attempt;
	struct lane_rest mail_rest;
	int64_t prune_at_ms;
	bool again;   /* something came while a job ran */
	bool failing; /* the store does: told once */

	/* the job's, while it runs */
	bool busy;
	bool prune;
	struct flight *storing[DISPATCH_MAX];
	unsigned storing_count;
	int64_t out[DISPATCH_MAX]; /* rows in flight that are not over */
	unsigned out_count;
	int64_t now_ms;
	struct lane lane[DISPATCH_LANES];
	unsigned lanes, at; /* `at`: the one that is read */
	struct flight *found;
	int64_t next_ms;
	int err;
	struct rk_fault fault;
};

/* Sends it to the courier, or notes why it cannot be. */
void dispatch_hand_out(struct dispatch *d, struct flight *f);

/* It is over; what becomes of the row is in f->result. */
void dispatch_ended(struct dispatch *d, struct flight *f, const struct msg_delivered *m);
/* The same without an answer. */
void dispatch_not_sent(struct dispatch *d, struct flight *f, const char *why);

#endif

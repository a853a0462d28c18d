/*
 * Between remote.c (which brings a command to the management interface) and remote_answer.c
 * (which makes the keeper's messages of what comes back).
 */
#ifndef CLI_REMOTE_INT_H
#define CLI_REMOTE_INT_H

#include "api/client.h"
#include "cli/cli.h"
#include "cli/https.h"

struct remote {
	struct https *https;
	struct rk_secret token;
	struct api_text body;    /* of the request that is under way */
	const struct api_op *op; /* of the command that is answered; NULL: none */
	struct rk_secret command;
	union ipc_body rec; /* what it was; borrows from `command` */
	bool reversed;      /* its list is asked for the other way round */
	uint32_t left;      /* of a list that was limited */
	bool limited;
	char cursor[API_CURSOR_MAX]; /* where the list goes on; empty: nowhere */
	json_t *objects;             /* of a list, not yet taken */
	size_t next;
	json_t *doc; /* that the last message borrows, as it does the following */
	struct api_room room;
	struct api_rows rows;
	char text[API_PROBLEM_TEXT];
};

/* Asks for what the command said, or for the next page of its list. An exit status. */
int remote_request(struct remote *r);

/* What the last message borrowed. */
void remote_forget(struct remote *r);

/* ---- remote_leak.c ---- */

extern const struct api_op remote_leak_op;
bool remote_leak_is_plain(const struct msg_leak_report *m);
int remote_leak_request(struct remote *r);

/* As the functions of struct cli_transport. */
int remote_receive(struct cli *c, struct ipc_message *m);
bool remote_ready(struct cli *c, int ms);

#endif

/*
 * Inside management: holders and their addresses. Shared by manage_holder.c, manage_trust.c and
 * manage_trust_list.c only; the rest of management sees the functions at the end.
 */
#ifndef KEEPER_MANAGE_TRUST_H
#define KEEPER_MANAGE_TRUST_H

#include "keeper/manage_int.h"
#include "keeper/trust.h"

struct manage_trust {
	/* the terms of the command: its caller may be gone when its turn comes */
	uint64_t if_revision;
	uint8_t client_ip[16];

	struct index_holder *holder;
	struct index_trust *rec;
	bool busy;    /* rec is this command's until it ends */
	bool made;    /* rec was made by it */
	bool decided; /* there is nothing to change any more */
	uint8_t how;
	struct store_trust row;
	char holder_name[MSG_MAX_NAME + 1];
	uint32_t number;
	/* of the answer to a removal, made before the record goes */
	struct msg_trust_info *gone;
	/* HOLDER_REVOKE */
	int64_t revoked_ms;
	uint32_t revoked;

	/* lists */
	uint32_t left;
	bool limited, any_kind;
	enum holder_kind kind;
	const struct index_holder *at; /* the last one that was sent */
	const struct index_key *key;   /* while its keys are counted; those that came with it */
	bool counting;
	uint32_t live;
	uint32_t after;
};

/* Takes memory and terms; ends the operation and returns false when there is none. */
bool manage_trust_open(struct manage_op *op);

void manage_send_trust(struct manage_op *op, const struct index_trust *t,
                       enum trust_state state);
/* live: counted here when UINT32_MAX. */
void manage_send_holder(struct manage_op *op, const struct index_holder *h, uint32_t live,
                        uint32_t revoked);
void manage_trust_note(struct manage_op *op, const struct index_holder *h);

/* ---- for the table of commands ---- */

void manage_trust_change(struct manage_op *op);
void manage_trust_release(struct manage_op *op);

void manage_holder_get(struct manage_op *op);
void manage_holder_list(struct manage_op *op);
void manage_holder_list_resume(struct manage_op *op);
void manage_trust_get(struct manage_op *op);
void manage_trust_list(struct manage_op *op);
void manage_trust_list_resume(struct manage_op *op);
void manage_confirm_get(struct manage_op *op);

extern const struct mutation mutation_holder_set, mutation_holder_revoke, mutation_trust_add,
    mutation_trust_approve, mutation_trust_remove, mutation_confirm;

#endif

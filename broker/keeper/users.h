/*
 * The people who may sign in, in memory: who they are and what their role is. How they prove it
 * is not kept here. Loop thread only.
 */
#ifndef KEEPER_USERS_H
#define KEEPER_USERS_H

#include "ipc/messages_manage.h"
#include "keeper/store_user.h"
#include "policy/mgmt_role.h"

enum { USERS_MAX = 1000, USER_ID_DIGITS = 12 };

struct users;

struct user_entry {
	uint32_t number;                 /* in the store; in order of creation */
	char id[5 + USER_ID_DIGITS + 1]; /* "user_..." */
	char name[MSG_MAX_NAME + 1];
	char email[MSG_MAX_USER_EMAIL + 1];
	uint8_t role; /* enum mgmt_role */
	bool enabled;
	uint32_t revision;
	int64_t created_ms, updated_ms;
};

RK_MUST_CHECK int users_new(struct users **out);
void users_free(struct users *u);
RK_MUST_CHECK int users_load(struct users *u, struct store *s, struct rk_fault *fault);

/* RK_E_FULL when there are USERS_MAX. */
RK_MUST_CHECK int users_room(const struct users *u);
RK_MUST_CHECK int users_add(struct users *u, const struct store_user *from,
                            struct rk_fault *fault);
void users_remove(struct users *u, struct user_entry *e);

/* By id or name; NULL. */
struct user_entry *users_find(struct users *u, struct rk_slice ref);
/* The first one with a higher number; NULL at the end. */
struct user_entry *users_after(struct users *u, uint32_t number);

/* Whether `e` is the last enabled administrator there is. */
bool users_is_last_admin(const struct users *u, const struct user_entry *e);

#endif

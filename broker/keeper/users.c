#include "keeper/users.h"

#include <stdlib.h>

struct users {
	struct user_entry **at; /* ascending numbers */
	size_t count, cap;
};

int users_new(struct users **out)
{
	struct users *u = calloc(1, sizeof *u);

	if (!u)
		return RK_E_NOMEM;
	*out = u;
	return 0;
}

void users_free(struct users *u)
{
	if (!u)
		return;
	for (size_t i = 0; i < u->count; i++)
		free(u->at[i]);
	free(u->at);
	free(u);
}

struct user_entry *users_find(struct users *u, struct rk_slice ref)
{
	for (size_t i = 0; i < u->count; i++) {
		if (rk_slice_is(ref, u->at[i]->id) || rk_slice_is(ref, u->at[i]->name))
			return u->at[i];
	}
	return NULL;
}

struct user_entry *users_after(struct users *u, uint32_t number)
{
	for (size_t i = 0; i < u->count; i++) {
		if (u->at[i]->number > number)
			return u->at[i];
	}
	return NULL;
}

int users_room(const struct users *u)
{
	return u->count < USERS_MAX ? 0 : RK_E_FULL;
}

static int entry_fill(struct user_entry *e, const struct store_user *from)
{
	*e = (struct user_entry){
	    .number = from->number,
	    .role = from->role,
	    .enabled = from->enabled,
	    .revision = from->revision ? from->revision : 1,
	    .created_ms = from->created_ms,
	    .updated_ms = from->updated_ms,
	};
	if (!rk_slice_cstr(from->id, e->id, sizeof e->id) ||
	    !rk_slice_cstr(from->name, e->name, sizeof e->name) ||
	    !rk_slice_cstr(from->email, e->email, sizeof e->email) ||
	    from->role <= ROLE_NOBODY || from->role >= ROLE_COUNT)
		return RK_E_CORRUPT;
	return 0;
}

static int enter(struct users *u, struct user_entry *e)
{
	if (u->count == u->cap) {
		size_t cap = u->cap ? 2 * u->cap : 16;
		struct user_entry **at = realloc(u->at, cap * sizeof(struct user_entry *));

		if (!at)
			return RK_E_NOMEM;
		u->at = at;
		u->cap = cap;
	}
	u->at[u->count++] = e;
	return 0;
}

int users_add(struct users *u, const struct store_user *from, struct rk_fault *fault)
{
	struct user_entry *e = calloc(1, sizeof *e);
	int err = e ? users_room(u) : RK_E_NOMEM;

	if (!err)
		err = entry_fill(e, from);
	if (!err)
		err = enter(u, e);
	if (err) {
		free(e);
		return rk_fail(fault, err, "user %.*s: %s", RK_FMT(from->id), rk_strerror(err));
	}
	return 0;
}

void users_remove(struct users *u, struct user_entry *e)
{
	size_t i = 0;

	while (i < u->count && u->at[i] != e)
		i++;
	if (i == u->count)
		return;
	memmove(u->at + i, u->at + i + 1, (u->count - i - 1) * sizeof u->at[0]);
	u->count--;
	free(e);
}

static bool is_admin(const struct user_entry *e)
{
	return e->enabled && e->role == ROLE_ADMIN;
}

bool users_is_last_admin(const struct users *u, const struct user_entry *e)
{
	unsigned admins = 0;

	for (size_t i = 0; i < u->count; i++)
		admins += is_admin(u->at[i]);
	return is_admin(e) && admins == 1;
}

static int load_one(const struct store_user *from, void *arg, struct rk_fault *fault)
{
	return users_add(arg, from, fault);
}

int users_load(struct users *u, struct store *s, struct rk_fault *fault)
{
	return store_user_load(s, load_one, u, fault);
}

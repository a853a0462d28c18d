#include <stdio.h>

#include "base/base62.h"
#include "keeper/manage_check.h"
#include "keeper/manage_int.h"
#include "policy/mail_address.h"

static int user_find(struct manage_op *op, struct rk_slice ref, struct user_entry **out,
                     struct rk_fault *fault)
{
	struct user_entry *e = ref.n ? users_find(op->k->users, ref) : NULL;

	if (!e)
		return rk_fail(fault, RK_E_NOTFOUND, "there is no such user");
	*out = e;
	return 0;
}

static int user_take(struct manage_op *op, struct rk_slice ref, struct user_entry **out,
                     struct rk_fault *fault)
{
	int err = user_find(op, ref, out, fault);

	if (err == 0)
		err = manage_check_revision(op, (*out)->revision, fault);
	if (err == 0)
		snprintf(op->target, sizeof op->target, "%s", (*out)->id);
	return err;
}

/* ---- showing ---- */

static void user_send(struct manage_op *op, const struct user_entry *e)
{
	const struct msg_user_info info = {
	    .id = rk_str(e->id),
	    .name = rk_str(e->name),
	    .email = rk_str(e->email),
	    .role = e->role,
	    .enabled = e->enabled,
	    .created_ms = e->created_ms,
	    .updated_ms = e->updated_ms,
	    .revision = e->revision,
	};

	manage_send(op, MSG_USER_INFO, &info);
}

void manage_user_get(struct manage_op *op)
{
	struct rk_fault fault;
	struct user_entry *e;
	int err = user_find(op, op->body.ref.ref, &e, &fault);

	if (err) {
		manage_end(op, err, fault.text);
		return;
	}
	user_send(op, e);
	manage_finish(op);
}

void manage_user_list(struct manage_op *op)
{
	struct rk_slice after = op->body.list.after;
	struct user_entry *e = after.n ? users_find(op->k->users, after) : NULL;

	if (after.n && !e) {
		manage_end(op, RK_E_NOTFOUND, "the user to go on after does not exist");
		return;
	}
	op->user.number = e ? e->number : 0;
	manage_user_list_resume(op);
}

void manage_user_list_resume(struct manage_op *op)
{
	struct user_entry *e;

	while (manage_room(op)) {
		e = users_after(op->k->users, op->user.number);
		while (e && op->body.list.live_only && !e->enabled)
			e = users_after(op->k->users, e->number);
		if (!e || (op->body.list.limit && op->user.sent == op->body.list.limit)) {
			manage_end_list(op, e != NULL);
			return;
		}
		op->user.number = e->number;
		op->user.sent++;
		user_send(op, e);
	}
}

static void user_answer(struct manage_op *op)
{
	user_send(op, users_find(op->k->users, rk_str(op->target)));
}

static int user_recall(struct manage_op *op, struct rk_fault *fault)
{
	struct user_entry *e;

	return user_find(op, rk_str(op->target), &e, fault);
}

/* ---- what is accepted ---- */

static int check_user(const struct store_user *u, struct rk_fault *fault)
{
	int err = check_name("a user's name", u->name, fault);

	if (!err && u->email.n)
		err = mail_address_check(u->email, fault);
	if (!err && (u->role <= ROLE_NOBODY || u->role >= ROLE_COUNT))
		err = rk_fail(fault, RK_E_INVALID,
		              "a role is admin, operator, auditor or provisioner");
	/* what looks like an id could stand for somebody else */
	if (!err && rk_slice_starts(u->name, rk_str("user_")))
		err = rk_fail(fault, RK_E_INVALID,
		              "a user's name does not begin with \"user_\": that is how ids "
		              "look");
	return err;
}

static int check_free(struct manage_op *op, struct rk_slice name, struct rk_fault *fault)
{
	if (!users_find(op->k->users, name))
		return 0;
	return rk_fail(fault, RK_E_EXISTS, "a user \"%.*s\" exists already", RK_FMT(name));
}

static int keep_an_admin(struct manage_op *op, const struct user_entry *e,
                         struct rk_fault *fault)
{
	if (!users_is_last_admin(op->k->users, e))
		return 0;
	return rk_fail(fault, RK_E_DENIED,
	               "%s is the last enabled administrator: make another one first", e->name);
}

/* ---- user.add ---- */

static struct store_user added(const struct manage_op *op)
{
	const struct msg_user_add *b = &op->body.user_add;

	return (struct store_user){
	    .number = op->user.number,
	    .id = rk_str(op->target),
	    .name = b->name,
	    .email = b->email,
	    .role = b->role,
	    .enabled = true,
	    .created_ms = op->now_ms,
	    .updated_ms = op->now_ms,
	};
}

static int add_begin(struct manage_op *op, struct rk_fault *fault)
{
	char id[5 + USER_ID_DIGITS + 1] = "user_";
	struct store_user u = added(op);
	int err = check_user(&u, fault);

	if (!err)
		err = check_free(op, u.name, fault);
	if (!err && users_room(op->k->users))
		err = rk_fail(fault, RK_E_FULL, "there are %d users already", USERS_MAX);
	if (err)
		return err;
	do {
		rk_base62_random(id + 5, USER_ID_DIGITS);
	} while (users_find(op->k->users, rk_str(id)));
	snprintf(op->target, sizeof op->target, "%s", id);
	manage_detail(op, "name=%.*s role=%s", RK_FMT(u.name), mgmt_role_name(u.role));
	return 0;
}

static int add_store(struct manage_op *op, struct rk_fault *fault)
{
	struct store_user u = added(op);

	return store_user_add(op->k->store, &u, &op->user.number, fault);
}

static int add_apply(struct manage_op *op, struct rk_fault *fault)
{
	struct store_user u = added(op);

	return users_add(op->k->users, &u, fault);
}

const struct mutation mutation_user_add = {
    .action = "user.add",
    .begin = add_begin,
    .store = add_store,
    .apply = add_apply,
    .answer = user_answer,
    .recall = user_recall,
};

/* ---- user.update ---- */

/* As it will be, of copies: the entry belongs to the loop. */
static struct store_user updated(const struct manage_op *op)
{
	const struct user_entry *e = &op->user.next;

	return (struct store_user){
	    .id = rk_str(e->id),
	    .name = rk_str(e->name),
	    .email = rk_str(e->email),
	    .role = e->role,
	    .enabled = e->enabled,
	    .updated_ms = op->now_ms,
	};
}

static int update_check(struct manage_op *op, const struct user_entry *e,
                        struct rk_fault *fault)
{
	const struct msg_user_update *b = &op->body.user_update;
	struct store_user u = updated(op);
	int err = 0;

	if (!b->set || b->set & ~(uint32_t)(USER_SET_NAME | USER_SET_EMAIL | USER_SET_ROLE |
	                                    USER_SET_ENABLED))
		return rk_fail(fault, RK_E_INVALID,
		               "say what to change: name, e-mail, role or enabled");
	if (b->set & USER_SET_NAME)
		u.name = b->name;
	if (b->set & USER_SET_EMAIL)
		u.email = b->email;
	err = check_user(&u, fault);
	if (!err && b->set & USER_SET_NAME && !rk_slice_is(b->name, e->name))
		err = check_free(op, b->name, fault);
	if (!err && (u.role != ROLE_ADMIN || !u.enabled))
		err = keep_an_admin(op, e, fault);
	return err;
}

static int update_begin(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_user_update *b = &op->body.user_update;
	struct user_entry *e, *next = &op->user.next;
	int err = user_take(op, b->ref, &e, fault);

	if (err)
		return err;
	*next = *e;
	if (b->set & USER_SET_ROLE)
		next->role = b->role;
	if (b->set & USER_SET_ENABLED)
		next->enabled = b->enabled;
	err = update_check(op, e, fault);
	if (err)
		return err;
	if (b->set & USER_SET_NAME)
		snprintf(next->name, sizeof next->name, "%.*s", RK_FMT(b->name));
	if (b->set & USER_SET_EMAIL)
		snprintf(next->email, sizeof next->email, "%.*s", RK_FMT(b->email));
	manage_detail(op, "name=%s role=%s%s%s", next->name, mgmt_role_name(next->role),
	              next->enabled ? "" : " disabled",
	              b->set & USER_SET_EMAIL ? " email" : "");
	return 0;
}

static int update_store(struct manage_op *op, struct rk_fault *fault)
{
	struct store_user u = updated(op);

	return store_user_update(op->k->store, &u, fault);
}

static int update_apply(struct manage_op *op, struct rk_fault *fault)
{
	struct user_entry *e = users_find(op->k->users, rk_str(op->target));

	(void)fault;
	op->user.next.updated_ms = op->now_ms;
	op->user.next.revision = e->revision + 1;
	*e = op->user.next;
	return 0;
}

const struct mutation mutation_user_update = {
    .action = "user.update",
    .begin = update_begin,
    .store = update_store,
    .apply = update_apply,
    .answer = user_answer,
    .recall = user_recall,
};

/* ---- user.remove ---- */

static int remove_begin(struct manage_op *op, struct rk_fault *fault)
{
	struct user_entry *e;
	int err = user_take(op, op->body.ref.ref, &e, fault);

	if (!err)
		err = keep_an_admin(op, e, fault);
	if (!err)
		manage_detail(op, "name=%s", e->name);
	return err;
}

static int remove_store(struct manage_op *op, struct rk_fault *fault)
{
	return store_user_remove(op->k->store, rk_str(op->target), fault);
}

static int remove_apply(struct manage_op *op, struct rk_fault *fault)
{
	(void)fault;
	users_remove(op->k->users, users_find(op->k->users, rk_str(op->target)));
	return 0;
}

static void remove_answer(struct manage_op *op)
{
	const struct msg_done done = {0};

	manage_send(op, MSG_DONE, &done);
}

static int remove_recall(struct manage_op *op, struct rk_fault *fault)
{
	(void)op;
	(void)fault;
	return 0;
}

const struct mutation mutation_user_remove = {
    .action = "user.remove",
    .begin = remove_begin,
    .store = remove_store,
    .apply = remove_apply,
    .answer = remove_answer,
    .recall = remove_recall,
};

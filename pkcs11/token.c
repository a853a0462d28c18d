#include "pkcs11/token_int.h"

#include <stdio.h>
#include <stdlib.h>

const char *token_state_name(enum token_state s)
{
	switch (s) {
	case TOKEN_SEALED:
		return "sealed";
	case TOKEN_READY:
		return "ready";
	case TOKEN_LOST:
		return "lost";
	case TOKEN_PIN_BAD:
		return "PIN refused";
	}
	return "unknown";
}

enum token_state token_state(const struct token *t)
{
	return (enum token_state)atomic_load(&t->state);
}

int token_enter(struct token *t, struct rk_fault *fault)
{
	pthread_rwlock_rdlock(&t->gate);
	if (token_state(t) == TOKEN_READY)
		return 0;
	pthread_rwlock_unlock(&t->gate);
	return rk_fail(fault, RK_E_TOKEN, "the token is %s", token_state_name(token_state(t)));
}

void token_leave(struct token *t)
{
	pthread_rwlock_unlock(&t->gate);
}

void token_mark_lost(struct token *t)
{
	int ready = TOKEN_READY;

	if (!atomic_compare_exchange_strong(&t->state, &ready, TOKEN_LOST))
		return;
	pthread_mutex_lock(&t->pool_lock);
	pthread_cond_broadcast(&t->pool_changed);
	pthread_mutex_unlock(&t->pool_lock);
}

/* Unloads the module; the gate is held for writing. */
static void detach(struct token *t)
{
	if (t->slot)
		sessions_close_all(t);
	t->slot = NULL;
	module_unload(&t->module);
}

/* Loads the module and finds the slot; the gate is held for writing, or nobody else knows t. */
static int attach(struct token *t, struct rk_fault *fault)
{
	int err = module_load(t->module_path, t->init_args, &t->module, fault);

	if (err)
		return err;
	err = module_find_token(&t->module, t->spec, &t->slot, fault);
	if (err) {
		detach(t);
		return err;
	}
	t->slot_id = PKCS11_get_slotid_from_slot(t->slot);
	t->aes_gcm = gcm_supported(t);
	return 0;
}

static int copy_params(struct token *t, const struct token_params *p, struct rk_fault *fault)
{
	const char *label = p->kek_label ? p->kek_label : "relaykey-kek";

	if (!p->module || !p->token)
		return rk_fail(fault, RK_E_INVALID, "no PKCS#11 module or no token is named");
	if (!label[0] || !rk_slice_cstr(rk_str(label), t->kek_label, sizeof t->kek_label))
		return rk_fail(fault, RK_E_INVALID, "the KEK label has 1 to %d bytes",
		               KEK_LABEL_MAX - 1);
	if (p->max_sessions > TOKEN_MAX_SESSIONS)
		return rk_fail(fault, RK_E_INVALID, "at most %d token sessions",
		               TOKEN_MAX_SESSIONS);
	t->pool_size = p->max_sessions ? p->max_sessions : TOKEN_DEFAULT_SESSIONS;
	t->pool = calloc(t->pool_size, sizeof *t->pool);
	t->module_path = strdup(p->module);
	t->spec = strdup(p->token);
	t->init_args = p->init_args && p->init_args[0] ? strdup(p->init_args) : NULL;
	if (!t->pool || !t->module_path || !t->spec ||
	    (p->init_args && p->init_args[0] && !t->init_args))
		return rk_fail(fault, RK_E_NOMEM, "no memory for the token");
	return 0;
}

int token_open(const struct token_params *p, struct token **out, struct rk_fault *fault)
{
	struct token *t = calloc(1, sizeof *t);
	pthread_rwlockattr_t attr;
	int err;

	if (!t)
		return rk_fail(fault, RK_E_NOMEM, "no memory for the token");
	/* a reconnect must get its turn although requests keep coming */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&t->gate, &attr);
	pthread_rwlockattr_destroy(&attr);
	pthread_mutex_init(&t->pool_lock, NULL);
	pthread_cond_init(&t->pool_changed, NULL);
	atomic_init(&t->state, TOKEN_SEALED);

	err = copy_params(t, p, fault);
	if (!err)
		err = attach(t, fault);
	if (err) {
		token_close(t);
		return err;
	}
	*out = t;
	return 0;
}

void token_close(struct token *t)
{
	if (!t)
		return;
	detach(t);
	rk_secret_free(&t->pin);
	pthread_rwlock_destroy(&t->gate);
	pthread_mutex_destroy(&t->pool_lock);
	pthread_cond_destroy(&t->pool_changed);
	free(t->pool);
	free(t->module_path);
	free(t->spec);
	free(t->init_args);
	free(t);
}

int token_details(struct token *t, struct token_details *out)
{
	struct token_details d = {0};
	const struct kek *newest;
	const PKCS11_TOKEN *token;
	int err = RK_E_TOKEN;

	pthread_rwlock_rdlock(&t->gate);
	if (t->slot) {
		token = t->slot->token;
		newest = kek_newest(&t->keks);
		snprintf(d.label, sizeof d.label, "%s", token->label);
		snprintf(d.manufacturer, sizeof d.manufacturer, "%s", token->manufacturer);
		snprintf(d.model, sizeof d.model, "%s", token->model);
		snprintf(d.serial, sizeof d.serial, "%s", token->serialnr);
		snprintf(d.module_description, sizeof d.module_description, "%s",
		         t->module.ctx->description);
		d.slot_id = t->slot_id;
		d.kek_generation = newest ? newest->generation : 0;
		d.aes_gcm = t->aes_gcm;
		*out = d;
		err = 0;
	}
	pthread_rwlock_unlock(&t->gate);
	return err;
}

static int check_pin(const struct rk_secret *pin, struct rk_fault *fault)
{
	return pin->len ? 0 : rk_fail(fault, RK_E_PIN, "the PIN is empty");
}

static int log_in(struct token *t, const struct rk_secret *pin, struct rk_fault *fault)
{
	/* explicit length and no copy: the PIN is read out of secret memory by the module
	 * itself */
	CK_RV rv = t->module.f->C_Login(t->anchor, CKU_USER, pin->p, pin->len);

	if (rv == CKR_USER_ALREADY_LOGGED_IN)
		return 0;
	if (rv == CKR_USER_PIN_NOT_INITIALIZED)
		return rk_fail(fault, RK_E_TOKEN, "the token has no user PIN yet");
	return ckr_fail(fault, rv, "login to the token");
}

/* After a loss the token must hold every KEK that it held before: it may have been reset or
 * swapped. */
static int adopt_keks(struct token *t, struct rk_fault *fault)
{
	struct kek_set found;
	int err = kek_find(t, &found, fault);

	if (err)
		return err;
	for (unsigned i = 0; i < t->keks.count; i++) {
		uint32_t generation = t->keks.kek[i].generation;

		if (!kek_of_generation(&found, generation))
			return rk_fail(fault, RK_E_TOKEN,
			               "the token came back without KEK generation %u",
			               generation);
	}
	t->keks = found;
	return 0;
}

/* Sessions, login and KEKs on the module as it is loaded now. */
static int resume(struct token *t, const struct rk_secret *pin, struct rk_fault *fault)
{
	int err;

	sessions_close_all(t);
	err = anchor_open(t, fault);
	if (!err)
		err = log_in(t, pin, fault);
	if (!err)
		err = adopt_keks(t, fault);
	if (!err && !session_alive(t, t->anchor, kek_newest(&t->keks)))
		err = rk_fail(fault, RK_E_TOKEN, "the token does not answer for its KEK");
	if (err)
		sessions_close_all(t);
	return err;
}

/*
 * The gentle way first, then with the module started afresh: SoftHSM, for one, keeps its own
 * view of a token that has gone and come back. A PIN that was refused is not tried a second
 * time.
 */
static int connect_token(struct token *t, const struct rk_secret *pin, struct rk_fault *fault)
{
	int err = t->slot ? resume(t, pin, fault) : RK_E_TOKEN;

	if (err == 0 || err == RK_E_PIN)
		return err;
	detach(t);
	err = attach(t, fault);
	if (!err)
		err = resume(t, pin, fault);
	return err;
}

int token_login(struct token *t, const struct rk_secret *pin, struct rk_fault *fault)
{
	struct rk_secret kept = {0};
	int err = check_pin(pin, fault);

	if (err)
		return err;
	err = rk_secret_alloc(&kept, pin->len);
	if (!err)
		err = rk_secret_add(&kept, pin->p, pin->len);
	if (err)
		return rk_fail(fault, err, "no secret memory for the PIN");

	pthread_rwlock_wrlock(&t->gate);
	if (token_state(t) != TOKEN_READY) {
		err = connect_token(t, &kept, fault);
		if (err == 0) {
			rk_secret_free(&t->pin);
			rk_secret_move(&t->pin, &kept);
			atomic_store(&t->state, TOKEN_READY);
		} else if (err == RK_E_PIN) {
			rk_secret_free(&t->pin);
			atomic_store(&t->state, TOKEN_PIN_BAD);
		}
	}
	pthread_rwlock_unlock(&t->gate);
	rk_secret_free(&kept);
	return err;
}

int token_reconnect(struct token *t, struct rk_fault *fault)
{
	int err = 0;

	pthread_rwlock_wrlock(&t->gate);
	switch (token_state(t)) {
	case TOKEN_READY:
		break;
	case TOKEN_SEALED:
		err = rk_fail(fault, RK_E_STATE, "the token is sealed: it needs a login");
		break;
	case TOKEN_PIN_BAD:
		err = rk_fail(fault, RK_E_PIN, "the PIN was refused and is not tried again");
		break;
	case TOKEN_LOST:
		err = connect_token(t, &t->pin, fault);
		if (err == 0) {
			atomic_store(&t->state, TOKEN_READY);
		} else if (err == RK_E_PIN) {
			rk_secret_free(&t->pin);
			atomic_store(&t->state, TOKEN_PIN_BAD);
		} else {
			err = RK_E_TOKEN;
		}
		break;
	}
	pthread_rwlock_unlock(&t->gate);
	return err;
}

void token_logout(struct token *t)
{
	pthread_rwlock_wrlock(&t->gate);
	if (t->slot) {
		if (t->anchor_open)
			t->module.f->C_Logout(t->anchor);
		sessions_close_all(t);
	}
	rk_secret_free(&t->pin);
	t->keks = (struct kek_set){0};
	atomic_store(&t->state, TOKEN_SEALED);
	pthread_rwlock_unlock(&t->gate);
}

int token_ping(struct token *t)
{
	struct session *s;
	int err = token_enter(t, NULL);

	if (err)
		return err;
	err = session_take(t, &s, NULL);
	if (!err) {
		if (session_alive(t, s->handle, kek_newest(&t->keks))) {
			session_give(t, s);
		} else {
			session_drop(t, s);
			token_mark_lost(t);
			err = RK_E_TOKEN;
		}
	}
	token_leave(t);
	return err;
}

int token_random(struct token *t, void *out, size_t n)
{
	enum { CHUNK = 1024 };
	struct session *s;
	CK_RV rv = CKR_OK;
	int err = token_enter(t, NULL);

	if (err)
		return err;
	err = session_take(t, &s, NULL);
	if (!err) {
		for (size_t done = 0; done < n && rv == CKR_OK; done += CHUNK) {
			size_t k = n - done < CHUNK ? n - done : CHUNK;

			rv = t->module.f->C_GenerateRandom(s->handle, (CK_BYTE_PTR)out + done,
			                                   k);
		}
		if (rv == CKR_OK) {
			session_give(t, s);
		} else {
			if (ckr_class(rv) == CKR_CLASS_LOST)
				token_mark_lost(t);
			session_drop(t, s);
			err = RK_E_TOKEN;
		}
	}
	token_leave(t);
	return err;
}

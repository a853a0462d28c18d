#include "pkcs11/token_int.h"

static int open_session(struct token *t, CK_SESSION_HANDLE *h, struct rk_fault *fault)
{
	CK_RV rv = t->module.f->C_OpenSession(t->slot_id, CKF_SERIAL_SESSION, NULL, NULL, h);

	return ckr_fail(fault, rv, "opening a token session");
}

int anchor_open(struct token *t, struct rk_fault *fault)
{
	int err = open_session(t, &t->anchor, fault);

	t->anchor_open = err == 0;
	return err;
}

void sessions_close_all(struct token *t)
{
	t->module.f->C_CloseAllSessions(t->slot_id);
	t->anchor_open = false;
	for (unsigned i = 0; i < t->pool_size; i++)
		t->pool[i] = (struct session){0};
}

/* An idle session, an open one before one that must be opened; pool_lock is held. */
static struct session *pick_idle(struct token *t, bool *any_open)
{
	struct session *unopened = NULL;

	*any_open = false;
	for (unsigned i = 0; i < t->pool_size; i++) {
		struct session *s = &t->pool[i];

		*any_open |= s->open;
		if (s->open && !s->busy)
			return s;
		if (!s->open && !s->busy && !unopened)
			unopened = s;
	}
	return unopened;
}

int session_take(struct token *t, struct session **out, struct rk_fault *fault)
{
	struct session *s = NULL;
	bool any_open;
	int err = 0;

	pthread_mutex_lock(&t->pool_lock);
	for (;;) {
		CK_RV rv;

		if (token_state(t) != TOKEN_READY) {
			err = rk_fail(fault, RK_E_TOKEN, "the token is %s",
			              token_state_name(token_state(t)));
			break;
		}
		s = pick_idle(t, &any_open);
		if (s && s->open)
			break;
		if (s) {
			rv = t->module.f->C_OpenSession(t->slot_id, CKF_SERIAL_SESSION, NULL,
			                                NULL, &s->handle);
			if (rv == CKR_OK) {
				s->open = true;
				break;
			}
			/* a token with fewer sessions than we may use: share those that there
			 * are */
			if (rv != CKR_SESSION_COUNT || !any_open) {
				err = ckr_fail(fault, rv, "opening a token session");
				break;
			}
		}
		pthread_cond_wait(&t->pool_changed, &t->pool_lock);
	}
	if (!err && s)
		s->busy = true;
	pthread_mutex_unlock(&t->pool_lock);
	if (err) {
		/* a session that cannot be opened is no better than one that was lost */
		token_mark_lost(t);
		return err;
	}
	*out = s;
	return 0;
}

void session_give(struct token *t, struct session *s)
{
	pthread_mutex_lock(&t->pool_lock);
	s->busy = false;
	pthread_cond_signal(&t->pool_changed);
	pthread_mutex_unlock(&t->pool_lock);
}

void session_drop(struct token *t, struct session *s)
{
	t->module.f->C_CloseSession(s->handle);
	pthread_mutex_lock(&t->pool_lock);
	*s = (struct session){0};
	pthread_cond_signal(&t->pool_changed);
	pthread_mutex_unlock(&t->pool_lock);
}

bool session_alive(struct token *t, CK_SESSION_HANDLE h, const struct kek *kek)
{
	CK_SESSION_INFO info = {0};
	CK_BYTE id[64];
	CK_ATTRIBUTE attr = {CKA_ID, id, sizeof id};

	if (t->module.f->C_GetSessionInfo(h, &info) != CKR_OK)
		return false;
	if (info.state != CKS_RO_USER_FUNCTIONS && info.state != CKS_RW_USER_FUNCTIONS)
		return false;
	return !kek || t->module.f->C_GetAttributeValue(h, kek->handle, &attr, 1) == CKR_OK;
}

/* A copy outside the token's storage that is as well guarded as the key itself, or the key
 * itself. */
static CK_OBJECT_HANDLE copy_kek(struct token *t, CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key)
{
	CK_BBOOL no = CK_FALSE;
	CK_ATTRIBUTE in_session = {CKA_TOKEN, &no, sizeof no};
	CK_OBJECT_HANDLE copy;

	if (t->module.f->C_CopyObject(h, key, &in_session, 1, &copy) != CKR_OK)
		return key;
	if (!kek_is_guarded(t, h, copy, false)) {
		t->module.f->C_DestroyObject(h, copy);
		return key;
	}
	return copy;
}

CK_OBJECT_HANDLE session_kek(struct token *t, struct session *s, const struct kek *kek)
{
	const struct kek *known = kek_of_generation(&s->usable, kek->generation);
	struct kek fresh;

	if (known)
		return known->handle;
	fresh = (struct kek){kek->generation, copy_kek(t, s->handle, kek->handle)};
	if (s->usable.count < TOKEN_MAX_KEKS)
		s->usable.kek[s->usable.count++] = fresh;
	return fresh.handle;
}

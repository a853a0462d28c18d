/*
 * Inside of the token: shared by the files of this folder only.
 *
 * Locks, in this order: `gate`, held for reading by everyone who is inside the module and for
 * writing by whoever logs in, out or re-initialises it; `pool_lock` for the sessions' busy
 * flags. `state` may be read without a lock. What is written under the gate (module, slot,
 * keks, pin) is constant for its readers.
 */
#ifndef PKCS11_TOKEN_INT_H
#define PKCS11_TOKEN_INT_H

#include "pkcs11/errors.h"
#include "pkcs11/module.h"
#include "pkcs11/token.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
	TOKEN_MAX_KEKS = 32,
	TOKEN_MAX_SESSIONS = 64,
	TOKEN_DEFAULT_SESSIONS = 8,
	KEK_LABEL_MAX = 64,
};

struct kek {
	uint32_t generation;
	CK_OBJECT_HANDLE handle;
};

/* The generations that exist, in ascending order. */
struct kek_set {
	struct kek kek[TOKEN_MAX_KEKS];
	unsigned count;
};

struct session {
	CK_SESSION_HANDLE handle;
	bool open;
	bool busy;
	struct kek_set
	    usable; /* session copies of KEKs, or the KEK itself where it cannot be copied */
};

struct token {
	/* as the caller gave them; constant */
	char *module_path;
	char *init_args;
	char *spec;
	char kek_label[KEK_LABEL_MAX];

	pthread_rwlock_t gate;
	_Atomic int state; /* enum token_state */
	struct module module;
	PKCS11_SLOT *slot; /* NULL while the token is not there */
	CK_SLOT_ID slot_id;
	bool aes_gcm;
	CK_SESSION_HANDLE anchor; /* keeps the login alive; not in the pool */
	bool anchor_open;
	struct rk_secret pin;
	struct kek_set keks;

	pthread_mutex_t pool_lock;
	pthread_cond_t pool_changed;
	struct session *pool;
	unsigned pool_size;
};

/* --- token.c */

/*
 * Passes the gate for one operation; RK_E_TOKEN unless READY. token_leave() on success only.
 */
RK_MUST_CHECK int token_enter(struct token *t, struct rk_fault *fault);
void token_leave(struct token *t);

/* READY becomes LOST, and those who wait for a session go away empty-handed. */
void token_mark_lost(struct token *t);

/* Cryptoki takes its inputs through pointers that are not const, and leaves them alone. */
static inline CK_BYTE_PTR ck_bytes(const void *p)
{
	return (CK_BYTE_PTR)(uintptr_t)p;
}

/* --- session.c; callers of take/give/drop hold the gate for reading, of the rest for writing
 */

/* Waits for an idle session, or opens one. Not READY any more: RK_E_TOKEN. */
RK_MUST_CHECK int session_take(struct token *t, struct session **out, struct rk_fault *fault);
void session_give(struct token *t, struct session *s);

/* Gives back a session that failed: closed, so that no half-done operation stays behind. */
void session_drop(struct token *t, struct session *s);

/*
 * Whether session, login and token all still stand: the session says that the user is logged
 * in, and the KEK can be found in the token itself. `kek` may be NULL.
 */
bool session_alive(struct token *t, CK_SESSION_HANDLE h, const struct kek *kek);

/* The session's own copy of a KEK, made on first use: the fast path of SoftHSM. */
CK_OBJECT_HANDLE session_kek(struct token *t, struct session *s, const struct kek *kek);

int anchor_open(struct token *t, struct rk_fault *fault);

/* Closes every session of this process with the token, which logs it out too. */
void sessions_close_all(struct token *t);

/* --- kek.c; callers hold the gate */

/* The KEK of a generation, or NULL. */
const struct kek *kek_of_generation(const struct kek_set *set, uint32_t generation);

/* NULL when there is none. */
const struct kek *kek_newest(const struct kek_set *set);

/* Reads the generations that exist into *out; an empty set is no error. */
RK_MUST_CHECK int kek_find(struct token *t, struct kek_set *out, struct rk_fault *fault);

/* Whether the attributes say: AES-256, sensitive, not extractable, and in the token or not as
 * asked. */
bool kek_is_guarded(struct token *t, CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key, bool in_token);

/* --- wrap_gcm.c */

enum { GCM_IV_BYTES = 12, GCM_TAG_BYTES = 16 };

struct wrap_input {
	const struct kek *kek;
	struct rk_slice aad;
	struct rk_slice data; /* plaintext to wrap, or ciphertext || tag to unwrap */
};

/* Whether the slot has the mechanism for both directions. */
bool gcm_supported(struct token *t);

/* Encrypts into out[data.n + GCM_TAG_BYTES]; iv is filled with fresh randomness first. */
CK_RV gcm_encrypt(struct token *t, struct session *s, const struct wrap_input *in,
                  unsigned char iv[GCM_IV_BYTES], unsigned char *out, size_t *out_len);

/* Decrypts straight into the secret, which has room for data.n bytes. */
CK_RV gcm_decrypt(struct token *t, struct session *s, const struct wrap_input *in,
                  const unsigned char iv[GCM_IV_BYTES], struct rk_secret *out);

#endif

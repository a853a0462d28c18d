/*
 * The PKCS#11 token: module, slot, login, and the key-encryption key (KEK) that never leaves it.
 * Loaded and logged in through libp11; the Cryptoki functions that libp11 does not wrap (secret keys,
 * AES-GCM, mechanism information) are called on the same module and login (PKCS #11 v2.40).
 *
 * Wrap and unwrap happen in the token (CKM_AES_GCM). The additional data binds a blob to its
 * place, so a ciphertext moved to another row does not open. What a blob was wrapped with is recorded in it;
 * callers never choose a mechanism.
 *
 * Threads: token_wrap(), token_unwrap() and token_random() may be called from any thread; each takes a
 * session from a pool that grows to `max_sessions`. A lost session or token (CKR_SESSION_HANDLE_INVALID,
 * CKR_DEVICE_REMOVED, CKR_USER_NOT_LOGGED_IN ...) makes the token `lost`: calls give RK_E_TOKEN until
 * token_reconnect() succeeds. A wrong PIN is remembered and never tried again by itself.
 */
#ifndef PKCS11_TOKEN_H
#define PKCS11_TOKEN_H

#include "base/err.h"
#include "base/secret.h"
#include "base/slice.h"

struct token;

enum token_state {
	TOKEN_SEALED,	/* module loaded, not logged in */
	TOKEN_READY,
	TOKEN_LOST,	/* was ready; session or token is gone */
	TOKEN_PIN_BAD,	/* the PIN was refused; only token_login() with a new one goes on */
};

const char *token_state_name(enum token_state s);

struct token_params {
	const char *module;	/* path of the shared object */
	const char *init_args;	/* CK_C_INITIALIZE_ARGS.pReserved, or NULL */
	const char *token;	/* token label, or RFC 7512 URI ("pkcs11:token=...;serial=...;slot-id=...") */
	const char *kek_label;	/* "relaykey-kek"; generation g is the object with CKA_ID "kek:<g>" */
	unsigned max_sessions;	/* 0: 8 */
};

enum wrap_mechanism {
	WRAP_NONE = 0,
	WRAP_AES_GCM_TOKEN = 1, /* CKM_AES_GCM with the KEK, 96-bit random IV, 128-bit tag */
	WRAP_RSA_OAEP = 2,	/* RSA key in the token opens a per-blob AES-256 key (reserved for tokens without AES-GCM) */
};

enum { TOKEN_WRAP_OVERHEAD = 64, TOKEN_MAX_PLAIN = 16384, TOKEN_AAD_MAX = 256 };

/* A wrapped secret as stored: bytes are a header (version, mechanism, generation, IV) and the ciphertext with tag. */
struct token_blob_info {
	enum wrap_mechanism mechanism;
	uint32_t kek_generation;
};
RK_MUST_CHECK int token_blob_info(struct rk_slice blob, struct token_blob_info *out);

/* Loads the module and finds the slot. Not logged in yet. *out is returned owned. */
RK_MUST_CHECK int token_open(const struct token_params *p, struct token **out,
    struct rk_fault *fault);
void token_close(struct token *t);

/* Logs in; RK_E_PIN for a refused or locked PIN. The PIN is kept (in secret memory) for token_reconnect(). */
RK_MUST_CHECK int token_login(struct token *t, const struct rk_secret *pin,
    struct rk_fault *fault);

/* Drops login and PIN. */
void token_logout(struct token *t);

enum token_state token_state(const struct token *t);

/* Opens sessions again and logs in after a loss (also when the module itself must be re-initialised). RK_E_TOKEN while it is still away. */
RK_MUST_CHECK int token_reconnect(struct token *t, struct rk_fault *fault);

/* Cheap liveness check (C_GetSessionInfo on a pooled session); moves READY to LOST when it fails. */
RK_MUST_CHECK int token_ping(struct token *t);

struct token_details {
	char label[33];
	char manufacturer[33];
	char model[17];
	char serial[17];
	char module_description[33];
	unsigned long slot_id;
	uint32_t kek_generation; /* newest; 0 when there is no KEK yet */
	bool aes_gcm;
};
RK_MUST_CHECK int token_details(struct token *t, struct token_details *out);

/* Generates the AES-256 KEK of the next generation: CKA_TOKEN, CKA_PRIVATE, CKA_SENSITIVE, not CKA_EXTRACTABLE, verified by reading the attributes back. */
RK_MUST_CHECK int token_kek_generate(struct token *t, uint32_t *generation,
    struct rk_fault *fault);

/* Finds the KEK generations that exist; called by token_login() too. RK_E_NOTFOUND when there is none. */
RK_MUST_CHECK int token_kek_load(struct token *t, struct rk_fault *fault);

/*
 * Wraps `plain` under the newest KEK. `place` is the caller's additional data, e.g.
 * "cred|conn_x|3"; the KEK generation is added to it here. blob[cap] gets the result, cap >= plain->len + TOKEN_WRAP_OVERHEAD.
 */
RK_MUST_CHECK int token_wrap(struct token *t, const struct rk_secret *plain,
    struct rk_slice place, unsigned char *blob, size_t cap, size_t *blob_len,
    struct rk_fault *fault);

/* Unwraps into *out (allocated here, owned by the caller). RK_E_CORRUPT when blob or place do not verify; RK_E_TOKEN when the token is away. */
RK_MUST_CHECK int token_unwrap(struct token *t, struct rk_slice blob, struct rk_slice place,
    struct rk_secret *out, struct rk_fault *fault);

/* Random bytes from the token (C_GenerateRandom). */
RK_MUST_CHECK int token_random(struct token *t, void *out, size_t n);

/*
 * Administration before any session exists (relaykey setup): C_InitToken on the first uninitialised slot (or the slot of the URI), then the user PIN.
 * RK_E_EXISTS when a token with that label is there already.
 */
RK_MUST_CHECK int token_init(const struct token_params *p, const struct rk_secret *so_pin,
    const struct rk_secret *user_pin, struct rk_fault *fault);

#endif

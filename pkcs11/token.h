/*
 * The PKCS#11 token: module, slot, login, and the key-encryption key (KEK) that never
 * leaves it. Module and slots go through libp11; the Cryptoki functions that libp11 does not
 * wrap (secret keys, AES-GCM, mechanism information), and the login, so that the PIN is read
 * out of secret memory, are called on the same module (PKCS #11 v2.40).
 *
 * Wrap and unwrap happen in the token (CKM_AES_GCM). The additional data binds a blob to its
 * place, so a ciphertext moved to another row does not open. What a blob was wrapped with is
 * recorded in it; callers never choose a mechanism.
 *
 * Threads: token_wrap(), token_unwrap() and token_random() may be called from any thread;
 * each takes a session from a pool that grows to `max_sessions`. A lost session or token
 * (CKR_SESSION_HANDLE_INVALID, CKR_DEVICE_REMOVED, CKR_USER_NOT_LOGGED_IN ...) makes the token
 * `lost`: calls give RK_E_TOKEN until token_reconnect() succeeds. A wrong PIN is remembered
 * and never tried again by itself.
 *
 * One open token per module and process: a reconnect may finalise the module.
 */
#ifndef PKCS11_TOKEN_H
#define PKCS11_TOKEN_H

#include "base/err.h"
#include "base/secret.h"
#include "base/slice.h"

struct token;

enum token_state {
	TOKEN_SEALED, /* module loaded, not logged in */
	TOKEN_READY,
	TOKEN_LOST,    /* was ready; session or token is gone */
	TOKEN_PIN_BAD, /* the PIN was refused; only token_login() with a new one goes on */
};

const char *token_state_name(enum token_state s);

struct token_params {
	const char *module;    /* path of the shared object */
	const char *init_args; /* CK_C_INITIALIZE_ARGS.pReserved, or NULL */
	/* label, or RFC 7512 URI ("pkcs11:token=...;serial=...;slot-id=...", see pkcs11/uri.h)
	 */
	const char *token;
	/* NULL: "relaykey-kek"; generation g is the object with this label and CKA_ID "kek:<g>"
	 */
	const char *kek_label;
	unsigned max_sessions; /* 0: 8; at most 64 */
};

enum wrap_mechanism {
	WRAP_NONE = 0,
	WRAP_AES_GCM_TOKEN = 1, /* CKM_AES_GCM with the KEK, 96-bit random IV, 128-bit tag */
	/* reserved: an RSA key in the token opens a per-blob AES-256 key (tokens without
	   AES-GCM) */
	WRAP_RSA_OAEP = 2,
};

/* TOKEN_AAD_MAX: bytes of `place`. */
enum { TOKEN_WRAP_OVERHEAD = 64, TOKEN_MAX_PLAIN = 16384, TOKEN_AAD_MAX = 256 };

/*
 * A wrapped secret as stored is a header (version, mechanism, KEK generation, IV) and the
 * ciphertext with its tag. RK_E_CORRUPT when it is malformed, RK_E_UNSUPPORTED for a version or
 * mechanism that this program does not have.
 */
struct token_blob_info {
	enum wrap_mechanism mechanism;
	uint32_t kek_generation;
};
RK_MUST_CHECK int token_blob_info(struct rk_slice blob, struct token_blob_info *out);

/*
 * Loads the module and finds the slot. Not logged in yet. *out is returned owned. RK_E_NOTFOUND
 * for a missing module or token, RK_E_AMBIGUOUS when several tokens match, RK_E_INVALID for bad
 * parameters.
 */
RK_MUST_CHECK int token_open(const struct token_params *p, struct token **out,
                             struct rk_fault *fault);

/* Logs out, unloads the module; accepts NULL. No other call may be going on. */
void token_close(struct token *t);

/*
 * Logs in; RK_E_PIN for a refused or locked PIN. The PIN is kept (in secret memory) for
 * token_reconnect(). A token without any KEK is READY too: token_kek_generate() is next. When
 * it is READY already this does nothing, and the PIN is not looked at.
 */
RK_MUST_CHECK int token_login(struct token *t, const struct rk_secret *pin,
                              struct rk_fault *fault);

/* Drops login and PIN. */
void token_logout(struct token *t);

enum token_state token_state(const struct token *t);

/*
 * Opens sessions again and logs in after a loss (also when the module itself must be
 * re-initialised). RK_E_TOKEN while it is still away, or came back without a KEK that it had;
 * RK_E_PIN (and PIN_BAD) when it refuses the PIN; RK_E_STATE when SEALED. Waits for calls that
 * are under way.
 */
RK_MUST_CHECK int token_reconnect(struct token *t, struct rk_fault *fault);

/*
 * Cheap liveness check (a pooled session is logged in, the KEK is found in the token); moves
 * READY to LOST when it fails. Unwrapping alone need not notice that a token has gone: SoftHSM
 * goes on serving session copies of a key whose file was removed.
 */
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
/* RK_E_TOKEN while the token is away. */
RK_MUST_CHECK int token_details(struct token *t, struct token_details *out);

/*
 * Generates the AES-256 KEK of the next generation: CKA_TOKEN, CKA_PRIVATE, CKA_SENSITIVE, not
 * CKA_EXTRACTABLE, verified by reading the attributes back.
 */
RK_MUST_CHECK int token_kek_generate(struct token *t, uint32_t *generation,
                                     struct rk_fault *fault);

/*
 * Finds the KEK generations that exist; token_login() does it too. RK_E_NOTFOUND when there is
 * none, RK_E_DENIED for one that could be read out, RK_E_AMBIGUOUS for two of one generation.
 */
RK_MUST_CHECK int token_kek_load(struct token *t, struct rk_fault *fault);

/*
 * Wraps `plain` under the newest KEK. `place` (1 to TOKEN_AAD_MAX bytes) is the caller's
 * additional data, e.g. "cred|conn_x|3"; the KEK generation is added to it here. blob[cap] gets
 * the result, cap >= plain->len + TOKEN_WRAP_OVERHEAD. RK_E_NOTFOUND when there is no KEK.
 */
RK_MUST_CHECK int token_wrap(struct token *t, const struct rk_secret *plain,
                             struct rk_slice place, unsigned char *blob, size_t cap,
                             size_t *blob_len, struct rk_fault *fault);

/*
 * Unwraps into *out (allocated here, owned by the caller), whatever KEK generation it was
 * wrapped under. RK_E_CORRUPT when blob or place do not verify; RK_E_NOTFOUND when the token
 * lacks that generation; RK_E_UNSUPPORTED as token_blob_info(); RK_E_TOKEN when the token is
 * away.
 */
RK_MUST_CHECK int token_unwrap(struct token *t, struct rk_slice blob, struct rk_slice place,
                               struct rk_secret *out, struct rk_fault *fault);

/* Random bytes from the token (C_GenerateRandom). */
RK_MUST_CHECK int token_random(struct token *t, void *out, size_t n);

/*
 * Administration before any session exists (relaykey setup): C_InitToken on the first
 * uninitialised slot (or the slot of the URI), then the user PIN. RK_E_EXISTS when a token with
 * that label is there already, RK_E_PIN when the token would not take one of the PINs. Not
 * while a struct token of the same module is open.
 */
RK_MUST_CHECK int token_init(const struct token_params *p, const struct rk_secret *so_pin,
                             const struct rk_secret *user_pin, struct rk_fault *fault);

#endif

#include "pkcs11/token_int.h"

#include <stdio.h>

/*
 * A blob: 'R' 'W', version, mechanism, KEK generation (32 bits, little-endian), then what the
 * mechanism needs. For AES-GCM: length of the IV, IV, ciphertext, tag.
 */
enum {
	BLOB_VERSION = 1,
	BLOB_HEAD = 8,
	GCM_HEAD = BLOB_HEAD + 1 + GCM_IV_BYTES,
	AAD_MAX = TOKEN_AAD_MAX + 24,
};

_Static_assert(GCM_HEAD + GCM_TAG_BYTES <= TOKEN_WRAP_OVERHEAD, "callers' room is too small");

/* One step of wrapping or unwrapping in a session; a CKR tells how it went. */
struct wrapper {
	enum wrap_mechanism mechanism;
	bool (*well_formed)(struct rk_slice blob);
	CK_RV(*wrap)
	(struct token *t, struct session *s, const struct wrap_input *in, unsigned char *body,
	 size_t *body_len);
	CK_RV(*unwrap)
	(struct token *t, struct session *s, const struct wrap_input *in,
	 struct rk_secret *out);
};

static bool gcm_well_formed(struct rk_slice blob)
{
	return blob.n > GCM_HEAD + GCM_TAG_BYTES &&
	       blob.n <= GCM_HEAD + TOKEN_MAX_PLAIN + GCM_TAG_BYTES &&
	       (unsigned char)blob.p[BLOB_HEAD] == GCM_IV_BYTES;
}

static CK_RV gcm_wrap(struct token *t, struct session *s, const struct wrap_input *in,
                      unsigned char *body, size_t *body_len)
{
	size_t head = 1 + GCM_IV_BYTES;
	size_t len;
	CK_RV rv;

	body[0] = GCM_IV_BYTES;
	rv = gcm_encrypt(t, s, in, body + 1, body + head, &len);
	if (rv == CKR_OK)
		*body_len = head + len;
	return rv;
}

static CK_RV gcm_unwrap(struct token *t, struct session *s, const struct wrap_input *in,
                        struct rk_secret *out)
{
	struct wrap_input sealed = *in;
	const unsigned char *body = (const unsigned char *)in->data.p;

	sealed.data = rk_slice_skip(in->data, 1 + GCM_IV_BYTES);
	return gcm_decrypt(t, s, &sealed, body + 1, out);
}

/* RSA-OAEP, for tokens without AES-GCM, is one more row. */
static const struct wrapper wrappers[] = {
    {WRAP_AES_GCM_TOKEN, gcm_well_formed, gcm_wrap, gcm_unwrap},
};

static const struct wrapper *find_wrapper(unsigned mechanism)
{
	for (size_t i = 0; i < sizeof wrappers / sizeof wrappers[0]; i++) {
		if (wrappers[i].mechanism == mechanism)
			return &wrappers[i];
	}
	return NULL;
}

static void put_head(unsigned char *blob, enum wrap_mechanism mechanism, uint32_t generation)
{
	blob[0] = 'R';
	blob[1] = 'W';
	blob[2] = BLOB_VERSION;
	blob[3] = (unsigned char)mechanism;
	for (int i = 0; i < 4; i++)
		blob[4 + i] = (unsigned char)(generation >> (8 * i));
}

int token_blob_info(struct rk_slice blob, struct token_blob_info *out)
{
	const unsigned char *b = (const unsigned char *)blob.p;
	const struct wrapper *w;
	uint32_t generation = 0;

	if (blob.n < BLOB_HEAD || b[0] != 'R' || b[1] != 'W')
		return RK_E_CORRUPT;
	if (b[2] != BLOB_VERSION)
		return RK_E_UNSUPPORTED;
	w = find_wrapper(b[3]);
	if (!w)
		return RK_E_UNSUPPORTED;
	for (int i = 0; i < 4; i++)
		generation |= (uint32_t)b[4 + i] << (8 * i);
	if (generation == 0 || !w->well_formed(blob))
		return RK_E_CORRUPT;
	*out = (struct token_blob_info){w->mechanism, generation};
	return 0;
}

/* place || "|kek:" || generation: a blob opens in its own place and under its own KEK only. */
static int make_aad(struct rk_slice place, uint32_t generation, char aad[AAD_MAX],
                    struct rk_slice *out, struct rk_fault *fault)
{
	int tail;

	if (place.n == 0 || place.n > TOKEN_AAD_MAX)
		return rk_fail(fault, RK_E_INVALID,
		               "the place of a wrapped secret has 1 to %d bytes",
		               TOKEN_AAD_MAX);
	memcpy(aad, place.p, place.n);
	tail = snprintf(aad + place.n, AAD_MAX - place.n, "|kek:%u", generation);
	*out = rk_slice(aad, place.n + (size_t)tail);
	return 0;
}

/*
 * What a failed call means. Modules differ in how they report a tag that does not verify
 * (SoftHSM says CKR_GENERAL_ERROR), so on unwrapping a failure that leaves session, login and
 * KEK alive is the blob's.
 */
static int settle_failure(struct token *t, struct session *s, const struct kek *kek, CK_RV rv,
                          bool unwrapping, struct rk_fault *fault)
{
	const char *what = unwrapping ? "unwrapping in the token" : "wrapping in the token";
	enum ckr_class class = ckr_class(rv);
	char text[CKR_TEXT];

	if (class != CKR_CLASS_LOST && !session_alive(t, s->handle, kek))
		class = CKR_CLASS_LOST;
	session_drop(t, s);
	if (class == CKR_CLASS_LOST) {
		token_mark_lost(t);
		return rk_fail(fault, RK_E_TOKEN, "%s: %s", what, ckr_text(rv, text));
	}
	if (unwrapping && class != CKR_CLASS_MEMORY)
		return rk_fail(fault, RK_E_CORRUPT,
		               "a wrapped secret does not verify in its place (%s)",
		               ckr_text(rv, text));
	return ckr_fail(fault, rv, what);
}

/* The newest KEK and its wrapper; the gate is held. */
static int choose(struct token *t, const struct kek **kek, const struct wrapper **w,
                  struct rk_fault *fault)
{
	*kek = kek_newest(&t->keks);
	if (!*kek)
		return rk_fail(fault, RK_E_NOTFOUND, "the token has no KEK yet");
	*w = t->aes_gcm ? find_wrapper(WRAP_AES_GCM_TOKEN) : NULL;
	if (!*w)
		return rk_fail(fault, RK_E_UNSUPPORTED, "the token has no CKM_AES_GCM");
	return 0;
}

int token_wrap(struct token *t, const struct rk_secret *plain, struct rk_slice place,
               unsigned char *blob, size_t cap, size_t *blob_len, struct rk_fault *fault)
{
	struct wrap_input in = {.data = rk_secret_slice(plain)};
	const struct wrapper *w = NULL;
	char aad[AAD_MAX];
	struct session *s;
	size_t body_len = 0;
	CK_RV rv;
	int err;

	if (plain->len == 0)
		return rk_fail(fault, RK_E_INVALID, "an empty secret");
	if (plain->len > TOKEN_MAX_PLAIN)
		return rk_fail(fault, RK_E_TOOBIG, "a secret has at most %d bytes",
		               TOKEN_MAX_PLAIN);
	if (cap < plain->len + TOKEN_WRAP_OVERHEAD)
		return rk_fail(fault, RK_E_TOOBIG, "no room for the wrapped secret");

	err = token_enter(t, fault);
	if (err)
		return err;
	err = choose(t, &in.kek, &w, fault);
	if (!err)
		err = make_aad(place, in.kek->generation, aad, &in.aad, fault);
	if (!err)
		err = session_take(t, &s, fault);
	if (!err) {
		put_head(blob, w->mechanism, in.kek->generation);
		rv = w->wrap(t, s, &in, blob + BLOB_HEAD, &body_len);
		if (rv == CKR_OK)
			session_give(t, s);
		else
			err = settle_failure(t, s, in.kek, rv, false, fault);
	}
	token_leave(t);
	if (!err)
		*blob_len = BLOB_HEAD + body_len;
	return err;
}

/* The part of token_unwrap() that happens inside the gate. */
static int unwrap_in_token(struct token *t, struct rk_slice blob,
                           const struct token_blob_info *info, struct rk_slice place,
                           struct rk_secret *out, struct rk_fault *fault)
{
	const struct wrapper *w = find_wrapper(info->mechanism);
	struct wrap_input in = {.data = rk_slice_skip(blob, BLOB_HEAD)};
	char aad[AAD_MAX];
	struct session *s;
	CK_RV rv;
	int err;

	if (!w)
		return rk_fail(fault, RK_E_UNSUPPORTED, "unknown wrapping mechanism");
	in.kek = kek_of_generation(&t->keks, info->kek_generation);
	if (!in.kek)
		return rk_fail(fault, RK_E_NOTFOUND, "the token has no KEK generation %u",
		               info->kek_generation);
	err = make_aad(place, info->kek_generation, aad, &in.aad, fault);
	if (!err)
		err = session_take(t, &s, fault);
	if (err)
		return err;
	rv = w->unwrap(t, s, &in, out);
	if (rv != CKR_OK)
		return settle_failure(t, s, in.kek, rv, true, fault);
	session_give(t, s);
	return 0;
}

int token_unwrap(struct token *t, struct rk_slice blob, struct rk_slice place,
                 struct rk_secret *out, struct rk_fault *fault)
{
	RK_SECRET_AUTO plain = {0};
	struct token_blob_info info;
	int err = token_blob_info(blob, &info);

	if (err)
		return rk_fail(fault, err, "not a wrapped secret that this version can read");
	/* room for the tag too: modules ask for as much as the input has */
	err = rk_secret_alloc(&plain, blob.n);
	if (err)
		return rk_fail(fault, err, "no secret memory for an unwrapped secret");
	err = token_enter(t, fault);
	if (err)
		return err;
	err = unwrap_in_token(t, blob, &info, place, &plain, fault);
	token_leave(t);
	if (!err)
		rk_secret_move(out, &plain);
	return err;
}

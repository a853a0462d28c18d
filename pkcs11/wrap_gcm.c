#include "pkcs11/token_int.h"

#include <openssl/rand.h>

bool gcm_supported(struct token *t)
{
	CK_MECHANISM_INFO info = {0};

	return t->module.f->C_GetMechanismInfo(t->slot_id, CKM_AES_GCM, &info) == CKR_OK &&
	       (info.flags & CKF_ENCRYPT) && (info.flags & CKF_DECRYPT);
}

static CK_GCM_PARAMS gcm_params(unsigned char *iv, struct rk_slice aad)
{
	return (CK_GCM_PARAMS){
	    .pIv = iv,
	    .ulIvLen = GCM_IV_BYTES,
	    .ulIvBits = GCM_IV_BYTES * 8,
	    .pAAD = ck_bytes(aad.p),
	    .ulAADLen = aad.n,
	    .ulTagBits = GCM_TAG_BYTES * 8,
	};
}

CK_RV gcm_encrypt(struct token *t, struct session *s, const struct wrap_input *in,
                  unsigned char iv[GCM_IV_BYTES], unsigned char *out, size_t *out_len)
{
	/* the IV stands in the blob itself: a token that insists on its own writes it back
	 * there */
	CK_GCM_PARAMS params = gcm_params(iv, in->aad);
	CK_MECHANISM mech = {CKM_AES_GCM, &params, sizeof params};
	CK_ULONG len = in->data.n + GCM_TAG_BYTES;
	CK_RV rv;

	if (RAND_bytes(iv, GCM_IV_BYTES) != 1)
		return CKR_FUNCTION_FAILED;
	rv = t->module.f->C_EncryptInit(s->handle, &mech, session_kek(t, s, in->kek));
	if (rv == CKR_OK)
		rv = t->module.f->C_Encrypt(s->handle, ck_bytes(in->data.p), in->data.n, out,
		                            &len);
	if (rv == CKR_OK && len != in->data.n + GCM_TAG_BYTES)
		rv = CKR_FUNCTION_FAILED;
	if (rv == CKR_OK)
		*out_len = len;
	return rv;
}

CK_RV gcm_decrypt(struct token *t, struct session *s, const struct wrap_input *in,
                  const unsigned char iv[GCM_IV_BYTES], struct rk_secret *out)
{
	CK_GCM_PARAMS params = gcm_params(ck_bytes(iv), in->aad);
	CK_MECHANISM mech = {CKM_AES_GCM, &params, sizeof params};
	CK_ULONG len = out->cap;
	CK_RV rv = t->module.f->C_DecryptInit(s->handle, &mech, session_kek(t, s, in->kek));

	if (rv == CKR_OK)
		rv = t->module.f->C_Decrypt(s->handle, ck_bytes(in->data.p), in->data.n, out->p,
		                            &len);
	if (rv == CKR_OK && len != in->data.n - GCM_TAG_BYTES)
		rv = CKR_ENCRYPTED_DATA_INVALID;
	if (rv == CKR_OK)
		out->len = len;
	return rv;
}

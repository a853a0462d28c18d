#include "pkcs11/token_int.h"

#include <stdio.h>
#include <stdlib.h>

/* CKA_ID of generation g is the text "kek:<g>" in decimal without leading zeros. */
enum { KEK_ID_MAX = 16, KEK_BYTES = 32 };

static size_t kek_id(uint32_t generation, char id[KEK_ID_MAX])
{
	return (size_t)snprintf(id, KEK_ID_MAX, "kek:%u", generation);
}

/* 0 when the text is no such id. */
static uint32_t generation_of_id(struct rk_slice id)
{
	struct rk_slice digits = rk_slice_skip(id, 4);
	uint64_t g;

	if (!rk_slice_starts(id, rk_str("kek:")) || !rk_slice_u64(digits, &g) ||
	    digits.p[0] == '0' || g > UINT32_MAX)
		return 0;
	return (uint32_t)g;
}

const struct kek *kek_of_generation(const struct kek_set *set, uint32_t generation)
{
	for (unsigned i = 0; i < set->count; i++) {
		if (set->kek[i].generation == generation)
			return &set->kek[i];
	}
	return NULL;
}

const struct kek *kek_newest(const struct kek_set *set)
{
	return set->count ? &set->kek[set->count - 1] : NULL;
}

bool kek_is_guarded(struct token *t, CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key, bool in_token)
{
	CK_BBOOL stored = CK_TRUE;
	CK_BBOOL private = CK_FALSE;
	CK_BBOOL sensitive = CK_FALSE;
	CK_BBOOL extractable = CK_TRUE;
	CK_ULONG bytes = 0;
	CK_ATTRIBUTE attrs[] = {
	    {CKA_TOKEN, &stored, sizeof stored},
	    {CKA_PRIVATE, &private, sizeof private},
	    {CKA_SENSITIVE, &sensitive, sizeof sensitive},
	    {CKA_EXTRACTABLE, &extractable, sizeof extractable},
	    {CKA_VALUE_LEN, &bytes, sizeof bytes},
	};

	if (t->module.f->C_GetAttributeValue(h, key, attrs, sizeof attrs / sizeof attrs[0]) !=
	    CKR_OK)
		return false;
	return !!stored == in_token && private && sensitive && !extractable &&
	       bytes == KEK_BYTES;
}

/* Objects that bear our label: at most `cap`, *count tells how many. */
static CK_RV find_objects(struct token *t, CK_OBJECT_HANDLE *handles, size_t cap, size_t *count)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_AES;
	CK_BBOOL yes = CK_TRUE; /* session copies are not meant */
	CK_ATTRIBUTE wanted[] = {
	    {CKA_CLASS, &class, sizeof class},
	    {CKA_KEY_TYPE, &type, sizeof type},
	    {CKA_TOKEN, &yes, sizeof yes},
	    {CKA_LABEL, t->kek_label, strlen(t->kek_label)},
	};
	CK_FUNCTION_LIST_PTR f = t->module.f;
	CK_ULONG got = 1;
	size_t n = 0;
	CK_RV rv = f->C_FindObjectsInit(t->anchor, wanted, sizeof wanted / sizeof wanted[0]);

	if (rv != CKR_OK)
		return rv;
	while (n < cap && got && rv == CKR_OK) {
		rv = f->C_FindObjects(t->anchor, handles + n, cap - n, &got);
		if (rv == CKR_OK)
			n += got;
	}
	f->C_FindObjectsFinal(t->anchor);
	*count = n;
	return rv;
}

static int by_generation(const void *a, const void *b)
{
	const struct kek *x = a;
	const struct kek *y = b;

	return (x->generation > y->generation) - (x->generation < y->generation);
}

int kek_find(struct token *t, struct kek_set *out, struct rk_fault *fault)
{
	CK_OBJECT_HANDLE handles[TOKEN_MAX_KEKS + 1];
	struct kek_set set = {0};
	size_t n = 0;
	int err = ckr_fail(fault, find_objects(t, handles, TOKEN_MAX_KEKS + 1, &n),
	                   "looking for the KEK");

	if (err)
		return err;
	if (n > TOKEN_MAX_KEKS)
		return rk_fail(fault, RK_E_TOOBIG, "more than %d keys are called \"%s\"",
		               TOKEN_MAX_KEKS, t->kek_label);
	for (size_t i = 0; i < n; i++) {
		CK_BYTE id[KEK_ID_MAX];
		CK_ATTRIBUTE attr = {CKA_ID, id, sizeof id};
		CK_RV rv = t->module.f->C_GetAttributeValue(t->anchor, handles[i], &attr, 1);
		uint32_t g;

		if (ckr_class(rv) == CKR_CLASS_LOST)
			return ckr_fail(fault, rv, "reading a KEK's id");
		g = rv == CKR_OK ? generation_of_id(rk_slice(id, attr.ulValueLen)) : 0;
		if (g == 0)
			continue; /* somebody else's key under the same label */
		if (kek_of_generation(&set, g))
			return rk_fail(fault, RK_E_AMBIGUOUS,
			               "two keys are called \"%s\" generation %u", t->kek_label,
			               g);
		if (!kek_is_guarded(t, t->anchor, handles[i], true))
			return rk_fail(
			    fault, RK_E_DENIED,
			    "KEK generation %u is not a sensitive, unextractable AES-256 key",
			    g);
		set.kek[set.count++] = (struct kek){g, handles[i]};
	}
	qsort(set.kek, set.count, sizeof set.kek[0], by_generation);
	*out = set;
	return 0;
}

int token_kek_load(struct token *t, struct rk_fault *fault)
{
	struct kek_set found = {0};
	int err;

	pthread_rwlock_wrlock(&t->gate);
	if (token_state(t) != TOKEN_READY)
		err = rk_fail(fault, RK_E_TOKEN, "the token is %s",
		              token_state_name(token_state(t)));
	else
		err = kek_find(t, &found, fault);
	if (!err)
		t->keks = found;
	if (!err && found.count == 0)
		err = rk_fail(fault, RK_E_NOTFOUND, "no key is called \"%s\" in the token",
		              t->kek_label);
	pthread_rwlock_unlock(&t->gate);
	return err;
}

static CK_RV generate(struct token *t, CK_SESSION_HANDLE h, uint32_t generation,
                      CK_OBJECT_HANDLE *key)
{
	CK_MECHANISM mech = {CKM_AES_KEY_GEN, NULL, 0};
	CK_ULONG bytes = KEK_BYTES;
	CK_BBOOL yes = CK_TRUE;
	CK_BBOOL no = CK_FALSE;
	char id[KEK_ID_MAX];
	CK_ATTRIBUTE attrs[] = {
	    {CKA_VALUE_LEN, &bytes, sizeof bytes},
	    {CKA_LABEL, t->kek_label, strlen(t->kek_label)},
	    {CKA_ID, id, kek_id(generation, id)},
	    {CKA_TOKEN, &yes, sizeof yes},
	    {CKA_PRIVATE, &yes, sizeof yes},
	    {CKA_SENSITIVE, &yes, sizeof yes},
	    {CKA_EXTRACTABLE, &no, sizeof no},
	    {CKA_ENCRYPT, &yes, sizeof yes},
	    {CKA_DECRYPT, &yes, sizeof yes},
	    {CKA_WRAP, &no, sizeof no},
	    {CKA_UNWRAP, &no, sizeof no},
	};

	return t->module.f->C_GenerateKey(h, &mech, attrs, sizeof attrs / sizeof attrs[0], key);
}

/* Makes the key in a session of its own that may write; the gate is held for writing. */
static int make_kek(struct token *t, uint32_t generation, struct rk_fault *fault)
{
	CK_FUNCTION_LIST_PTR f = t->module.f;
	CK_SESSION_HANDLE h;
	CK_OBJECT_HANDLE key;
	int err = ckr_fail(
	    fault,
	    f->C_OpenSession(t->slot_id, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h),
	    "opening a token session for writing");

	if (err)
		return err;
	err = ckr_fail(fault, generate(t, h, generation, &key), "generating the KEK");
	if (!err && !kek_is_guarded(t, h, key, true)) {
		f->C_DestroyObject(h, key);
		err = rk_fail(fault, RK_E_TOKEN,
		              "the token made a KEK that is not sensitive and unextractable; "
		              "it was removed");
	}
	f->C_CloseSession(h);
	return err;
}

static int next_generation(struct token *t, uint32_t *generation, struct rk_fault *fault)
{
	const struct kek *newest;
	struct kek_set found = {0};
	int err = kek_find(t, &found, fault);

	if (err)
		return err;
	newest = kek_newest(&found);
	if (found.count == TOKEN_MAX_KEKS || (newest && newest->generation == UINT32_MAX))
		return rk_fail(fault, RK_E_FULL, "the token holds %u KEK generations already",
		               found.count);
	*generation = newest ? newest->generation + 1 : 1;
	return 0;
}

int token_kek_generate(struct token *t, uint32_t *generation, struct rk_fault *fault)
{
	uint32_t g = 0;
	int err = 0;

	pthread_rwlock_wrlock(&t->gate);
	if (token_state(t) != TOKEN_READY)
		err = rk_fail(fault, RK_E_TOKEN, "the token is %s",
		              token_state_name(token_state(t)));
	else if (!t->aes_gcm)
		err = rk_fail(fault, RK_E_UNSUPPORTED, "the token has no CKM_AES_GCM");
	if (!err)
		err = next_generation(t, &g, fault);
	if (!err)
		err = make_kek(t, g, fault);
	if (!err)
		err = kek_find(t, &t->keks, fault);
	if (!err)
		*generation = g;
	pthread_rwlock_unlock(&t->gate);
	return err;
}

/*
 * The PKCS#11 token against SoftHSM, with a token directory of its own that is removed at the
 * end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pkcs11/token_int.h"

static const char user_pin[] = "user-7392";
static const char so_pin[] = "so-1122334455";
static const char place[] = "cred|conn_x|3";

struct world {
	char dir[64];
	char tokens[96];
	char away[96];
	const char *module;
	struct token_params params;
	struct token *token;
	size_t in_use; /* of the arena, when the test started */
};

static struct rk_fault fault;

static void make_secret(struct rk_secret *s, const void *p, size_t n)
{
	assert_int_equal(rk_secret_alloc(s, n), 0);
	assert_int_equal(rk_secret_add(s, p, n), 0);
}

static void make_filled(struct rk_secret *s, size_t n)
{
	assert_int_equal(rk_secret_alloc(s, n), 0);
	for (size_t i = 0; i < n; i++)
		s->p[i] = (unsigned char)(i * 7 + n);
	s->len = n;
}

static int login_with(struct token *t, const char *pin)
{
	RK_SECRET_AUTO s = {0};

	make_secret(&s, pin, strlen(pin));
	return token_login(t, &s, &fault);
}

static int init_token(const struct world *w, const char *label)
{
	struct token_params p = w->params;
	RK_SECRET_AUTO so = {0};
	RK_SECRET_AUTO user = {0};

	p.token = label;
	make_secret(&so, so_pin, strlen(so_pin));
	make_secret(&user, user_pin, strlen(user_pin));
	return token_init(&p, &so, &user, &fault);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static const char *softhsm_module(void)
{
	static const char *const paths[] = {
	    "/usr/lib/softhsm/libsofthsm2.so",
	    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
	    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
	};

	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		if (access(paths[i], R_OK) == 0)
			return paths[i];
	}
	return NULL;
}

static int make_world(void **state)
{
	static struct world w;
	char conf[128];
	FILE *f;

	if (secret_arena_init(1 << 20, SECRET_BACKING_BEST, &fault) != 0)
		return -1;
	w.module = softhsm_module();
	snprintf(w.dir, sizeof w.dir, "/tmp/relaykey-token-XXXXXX");
	if (!w.module || !mkdtemp(w.dir))
		return -1;
	snprintf(w.tokens, sizeof w.tokens, "%s/tokens", w.dir);
	snprintf(w.away, sizeof w.away, "%s/away", w.dir);
	snprintf(conf, sizeof conf, "%s/softhsm2.conf", w.dir);
	if (mkdir(w.tokens, 0700) != 0)
		return -1;
	f = fopen(conf, "w");
	if (!f)
		return -1;
	/* its complaints about damaged input are expected here */
	fprintf(f, "directories.tokendir = %s\nlog.level = ERROR\n", w.tokens);
	fclose(f);
	setenv("SOFTHSM2_CONF", conf, 1);
	w.params =
	    (struct token_params){.module = w.module, .token = "relaykey", .max_sessions = 4};
	*state = &w;
	return init_token(&w, "relaykey");
}

static int remove_world(void **state)
{
	struct world *w = *state;

	return nftw(w->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* A logged-in token with at least one KEK. */
static int open_ready(void **state)
{
	struct world *w = *state;
	uint32_t g;

	w->in_use = secret_arena_in_use();
	if (token_open(&w->params, &w->token, &fault) != 0 ||
	    login_with(w->token, user_pin) != 0)
		return -1;
	if (kek_newest(&w->token->keks))
		return 0;
	return token_kek_generate(w->token, &g, &fault);
}

static int open_sealed(void **state)
{
	struct world *w = *state;

	w->in_use = secret_arena_in_use();
	return token_open(&w->params, &w->token, &fault);
}

static int close_token(void **state)
{
	struct world *w = *state;

	token_close(w->token);
	w->token = NULL;
	return secret_arena_in_use() == w->in_use ? 0 : -1;
}

enum { BLOB_CAP = TOKEN_MAX_PLAIN + TOKEN_WRAP_OVERHEAD };

static size_t wrap(struct token *t, size_t plain_len, unsigned char blob[BLOB_CAP])
{
	RK_SECRET_AUTO plain = {0};
	size_t len = 0;

	make_filled(&plain, plain_len);
	assert_int_equal(token_wrap(t, &plain, rk_str(place), blob, BLOB_CAP, &len, &fault), 0);
	return len;
}

static void assert_unwraps(struct token *t, const unsigned char *blob, size_t len,
                           size_t plain_len)
{
	RK_SECRET_AUTO plain = {0};
	RK_SECRET_AUTO back = {0};

	make_filled(&plain, plain_len);
	assert_int_equal(token_unwrap(t, rk_slice(blob, len), rk_str(place), &back, &fault), 0);
	assert_true(secret_arena_holds(back.p));
	assert_int_equal(back.len, plain_len);
	assert_memory_equal(back.p, plain.p, plain_len);
}

static int unwrap_fails(struct token *t, const unsigned char *blob, size_t len,
                        struct rk_slice where)
{
	RK_SECRET_AUTO back = {0};
	int err = token_unwrap(t, rk_slice(blob, len), where, &back, &fault);

	assert_null(back.p);
	return err;
}

/* The module's functions, to be replaced one by one; outlives the test, for the teardown. */
static CK_FUNCTION_LIST *shim_functions(struct token *t)
{
	static CK_FUNCTION_LIST shim;

	shim = *t->module.f;
	t->module.f = &shim;
	return &shim;
}

/* --- opening */

static void a_missing_module_is_named(void **state)
{
	struct world *w = *state;
	struct token_params p = w->params;
	struct token *t = NULL;

	p.module = "/nonexistent/module.so";
	assert_int_equal(token_open(&p, &t, &fault), RK_E_NOTFOUND);
	assert_non_null(strstr(fault.text, "/nonexistent/module.so"));
	assert_null(t);
}

static void a_file_that_is_no_module_is_refused_with_the_loaders_reason(void **state)
{
	struct world *w = *state;
	struct token_params p = w->params;
	struct token *t = NULL;

	p.module = "/etc/passwd";
	assert_int_equal(token_open(&p, &t, &fault), RK_E_NOTFOUND);
	assert_non_null(strstr(fault.text, "ELF"));
}

static void a_missing_token_is_reported_with_the_labels_that_are_there(void **state)
{
	struct world *w = *state;
	struct token_params p = w->params;
	struct token *t = NULL;

	p.token = "nosuch";
	assert_int_equal(token_open(&p, &t, &fault), RK_E_NOTFOUND);
	assert_non_null(strstr(fault.text, "\"relaykey\""));
	assert_non_null(strstr(fault.text, "not initialised"));
}

static void a_token_is_found_by_uri(void **state)
{
	struct world *w = *state;
	struct token_params p = w->params;
	struct token_details d;
	struct token *t = NULL;
	char uri[160];

	assert_int_equal(token_open(&p, &t, &fault), 0);
	assert_int_equal(token_details(t, &d), 0);
	token_close(t);
	assert_string_equal(d.label, "relaykey");
	assert_true(d.aes_gcm);

	snprintf(uri, sizeof uri,
	         "pkcs11:token=relay%%6bey;serial=%s;model=SoftHSM%%20v2;slot-id=%lu", d.serial,
	         d.slot_id);
	p.token = uri;
	assert_int_equal(token_open(&p, &t, &fault), 0);
	token_close(t);

	snprintf(uri, sizeof uri, "pkcs11:token=relaykey;slot-id=%lu", d.slot_id + 1);
	assert_int_equal(token_open(&p, &t, &fault), RK_E_NOTFOUND);
}

static void a_token_that_is_not_initialised_is_said_to_be(void **state)
{
	struct world *w = *state;
	struct token_params p = w->params;
	struct token *t = NULL;

	p.token = "pkcs11:slot-id=1";
	assert_int_equal(token_open(&p, &t, &fault), RK_E_NOTFOUND);
	assert_non_null(strstr(fault.text, "not initialised"));
}

static void an_ambiguous_label_is_refused_and_a_serial_decides(void **state)
{
	struct world *w = *state;
	struct token_params p = w->params;
	struct token_details d;
	struct token *t = NULL;
	char uri[64];
	RK_SECRET_AUTO so = {0};
	struct module m;
	CK_UTF8CHAR label[32];

	/* token_init() refuses a second one of the name; some other tool would not */
	make_secret(&so, so_pin, strlen(so_pin));
	assert_int_equal(init_token(w, "other"), 0);
	assert_int_equal(module_load(w->module, NULL, &m, &fault), 0);
	{
		struct token_uri any = {0};
		PKCS11_SLOT *blank = module_find_blank(&m, &any);

		assert_non_null(blank);
		memset(label, ' ', sizeof label);
		memcpy(label, "other", 5);
		assert_int_equal(
		    m.f->C_InitToken(PKCS11_get_slotid_from_slot(blank), so.p, so.len, label),
		    CKR_OK);
	}
	module_unload(&m);

	p.token = "other";
	assert_int_equal(token_open(&p, &t, &fault), RK_E_AMBIGUOUS);
	assert_non_null(strstr(fault.text, "serial"));

	p.token = "relaykey";
	assert_int_equal(token_open(&p, &t, &fault), 0);
	assert_int_equal(token_details(t, &d), 0);
	token_close(t);
	snprintf(uri, sizeof uri, "pkcs11:serial=%s", d.serial);
	p.token = uri;
	assert_int_equal(token_open(&p, &t, &fault), 0);
	token_close(t);
}

static void initialising_a_label_twice_is_refused(void **state)
{
	assert_int_equal(init_token(*state, "relaykey"), RK_E_EXISTS);
}

static void a_pin_too_short_is_refused_before_the_token_is_touched(void **state)
{
	struct world *w = *state;
	struct token_params p = w->params;
	struct token *t = NULL;
	RK_SECRET_AUTO so = {0};
	RK_SECRET_AUTO user = {0};

	p.token = "tooshort";
	make_secret(&so, so_pin, strlen(so_pin));
	make_secret(&user, "1", 1);
	assert_int_equal(token_init(&p, &so, &user, &fault), RK_E_PIN);
	assert_int_equal(token_open(&p, &t, &fault), RK_E_NOTFOUND);
}

/* --- login */

static void a_sealed_token_does_nothing(void **state)
{
	struct world *w = *state;
	RK_SECRET_AUTO plain = {0};
	unsigned char blob[256];
	uint32_t g;
	size_t n;

	make_filled(&plain, 51);
	assert_int_equal(token_state(w->token), TOKEN_SEALED);
	assert_int_equal(
	    token_wrap(w->token, &plain, rk_str(place), blob, sizeof blob, &n, &fault),
	    RK_E_TOKEN);
	assert_int_equal(token_kek_generate(w->token, &g, &fault), RK_E_TOKEN);
	assert_int_equal(token_random(w->token, blob, sizeof blob), RK_E_TOKEN);
	assert_int_equal(token_ping(w->token), RK_E_TOKEN);
	assert_int_equal(token_reconnect(w->token, &fault), RK_E_STATE);
}

static void a_token_without_a_kek_logs_in_but_does_not_wrap(void **state)
{
	struct world *w = *state;
	RK_SECRET_AUTO plain = {0};
	unsigned char blob[256];
	size_t n;

	make_filled(&plain, 51);
	assert_int_equal(login_with(w->token, user_pin), 0);
	assert_int_equal(token_state(w->token), TOKEN_READY);
	assert_int_equal(token_kek_load(w->token, &fault), RK_E_NOTFOUND);
	assert_int_equal(
	    token_wrap(w->token, &plain, rk_str(place), blob, sizeof blob, &n, &fault),
	    RK_E_NOTFOUND);
	assert_int_equal(token_ping(w->token), 0);
}

static unsigned logins;
static CK_C_Login real_login;

static CK_RV counting_login(CK_SESSION_HANDLE h, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin,
                            CK_ULONG len)
{
	logins++;
	return real_login(h, user, pin, len);
}

static void a_wrong_pin_is_tried_once_and_never_again_by_itself(void **state)
{
	struct world *w = *state;
	CK_FUNCTION_LIST *shim = shim_functions(w->token);

	real_login = shim->C_Login;
	shim->C_Login = counting_login;
	logins = 0;
	assert_int_equal(login_with(w->token, "wrong-pin"), RK_E_PIN);
	assert_non_null(strstr(fault.text, "CKR_PIN_INCORRECT"));
	assert_null(strstr(fault.text, "wrong-pin"));
	assert_int_equal(token_state(w->token), TOKEN_PIN_BAD);
	assert_int_equal(logins, 1);

	assert_int_equal(token_reconnect(w->token, &fault), RK_E_PIN);
	assert_int_equal(token_ping(w->token), RK_E_TOKEN);
	assert_int_equal(logins, 1);

	assert_int_equal(login_with(w->token, user_pin), 0);
	assert_int_equal(token_state(w->token), TOKEN_READY);
	assert_int_equal(logins, 2);
}

static void an_empty_pin_never_reaches_the_token(void **state)
{
	struct world *w = *state;
	RK_SECRET_AUTO none = {0};

	assert_int_equal(rk_secret_alloc(&none, 8), 0);
	assert_int_equal(token_login(w->token, &none, &fault), RK_E_PIN);
	assert_int_equal(token_state(w->token), TOKEN_SEALED);
}

static void logging_out_seals_and_forgets_the_pin(void **state)
{
	struct world *w = *state;
	unsigned char blob[BLOB_CAP];
	size_t len = wrap(w->token, 51, blob);

	token_logout(w->token);
	assert_int_equal(token_state(w->token), TOKEN_SEALED);
	assert_int_equal(secret_arena_in_use(), w->in_use);
	assert_int_equal(unwrap_fails(w->token, blob, len, rk_str(place)), RK_E_TOKEN);
	assert_int_equal(token_reconnect(w->token, &fault), RK_E_STATE);
	assert_int_equal(login_with(w->token, user_pin), 0);
	assert_unwraps(w->token, blob, len, 51);
}

/* --- the KEK */

static void the_kek_is_sensitive_and_cannot_be_extracted(void **state)
{
	struct world *w = *state;
	struct token *t = w->token;
	const struct kek *kek = kek_newest(&t->keks);
	unsigned char value[32];
	CK_ATTRIBUTE attr = {CKA_VALUE, value, sizeof value};
	CK_BBOOL sensitive = CK_FALSE;
	CK_BBOOL extractable = CK_TRUE;
	CK_BBOOL never = CK_FALSE;
	CK_ATTRIBUTE flags[] = {
	    {CKA_SENSITIVE, &sensitive, 1},
	    {CKA_EXTRACTABLE, &extractable, 1},
	    {CKA_NEVER_EXTRACTABLE, &never, 1},
	};

	assert_non_null(kek);
	assert_int_equal(t->module.f->C_GetAttributeValue(t->anchor, kek->handle, flags, 3),
	                 CKR_OK);
	assert_true(sensitive);
	assert_false(extractable);
	assert_true(never);
	assert_int_equal(t->module.f->C_GetAttributeValue(t->anchor, kek->handle, &attr, 1),
	                 CKR_ATTRIBUTE_SENSITIVE);
}

static void a_session_works_with_a_copy_that_is_guarded_as_well(void **state)
{
	struct world *w = *state;
	struct token *t = w->token;
	unsigned char value[32];
	CK_ATTRIBUTE attr = {CKA_VALUE, value, sizeof value};
	const struct kek *kek = kek_newest(&t->keks);
	struct session *s;
	CK_OBJECT_HANDLE copy;

	assert_int_equal(session_take(t, &s, &fault), 0);
	copy = session_kek(t, s, kek);
	assert_true(copy != kek->handle);
	assert_true(session_kek(t, s, kek) == copy);
	assert_true(kek_is_guarded(t, s->handle, copy, false));
	assert_false(kek_is_guarded(t, s->handle, copy, true));
	assert_int_equal(t->module.f->C_GetAttributeValue(s->handle, copy, &attr, 1),
	                 CKR_ATTRIBUTE_SENSITIVE);
	session_give(t, s);
}

static CK_RV refuse_copy(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key, CK_ATTRIBUTE_PTR attrs,
                         CK_ULONG n, CK_OBJECT_HANDLE_PTR copy)
{
	(void)h;
	(void)key;
	(void)attrs;
	(void)n;
	(void)copy;
	return CKR_FUNCTION_NOT_SUPPORTED;
}

static void a_module_that_copies_no_keys_works_with_the_key_itself(void **state)
{
	struct world *w = *state;
	unsigned char blob[BLOB_CAP];

	shim_functions(w->token)->C_CopyObject = refuse_copy;
	assert_unwraps(w->token, blob, wrap(w->token, 51, blob), 51);
}

static void an_extractable_key_is_not_taken_for_a_kek(void **state)
{
	struct world *w = *state;
	struct token *t = w->token;
	CK_MECHANISM mech = {CKM_AES_KEY_GEN, NULL, 0};
	CK_ULONG bytes = 32;
	CK_BBOOL yes = CK_TRUE;
	char id[] = "kek:4000000000";
	CK_ATTRIBUTE attrs[] = {
	    {CKA_VALUE_LEN, &bytes, sizeof bytes},
	    {CKA_LABEL, t->kek_label, strlen(t->kek_label)},
	    {CKA_ID, id, strlen(id)},
	    {CKA_TOKEN, &yes, 1},
	    {CKA_PRIVATE, &yes, 1},
	    {CKA_EXTRACTABLE, &yes, 1},
	};
	CK_SESSION_HANDLE h;
	CK_OBJECT_HANDLE key;

	assert_int_equal(t->module.f->C_OpenSession(
	                     t->slot_id, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h),
	                 CKR_OK);
	assert_int_equal(t->module.f->C_GenerateKey(h, &mech, attrs, 6, &key), CKR_OK);
	assert_int_equal(token_kek_load(t, &fault), RK_E_DENIED);
	assert_int_equal(t->module.f->C_DestroyObject(h, key), CKR_OK);
	assert_int_equal(t->module.f->C_CloseSession(h), CKR_OK);
	assert_int_equal(token_kek_load(t, &fault), 0);
}

static void blobs_of_every_generation_open_and_new_ones_use_the_newest(void **state)
{
	struct world *w = *state;
	unsigned char old_blob[BLOB_CAP];
	unsigned char new_blob[BLOB_CAP];
	size_t old_len = wrap(w->token, 51, old_blob);
	uint32_t before = kek_newest(&w->token->keks)->generation;
	struct token_blob_info info;
	struct token_details d;
	uint32_t g;
	size_t new_len;

	assert_int_equal(token_kek_generate(w->token, &g, &fault), 0);
	assert_int_equal(g, before + 1);
	assert_int_equal(token_details(w->token, &d), 0);
	assert_int_equal(d.kek_generation, g);
	new_len = wrap(w->token, 51, new_blob);
	assert_int_equal(token_blob_info(rk_slice(old_blob, old_len), &info), 0);
	assert_int_equal(info.kek_generation, before);
	assert_int_equal(token_blob_info(rk_slice(new_blob, new_len), &info), 0);
	assert_int_equal(info.kek_generation, g);
	assert_int_equal(info.mechanism, WRAP_AES_GCM_TOKEN);
	assert_unwraps(w->token, old_blob, old_len, 51);
	assert_unwraps(w->token, new_blob, new_len, 51);

	/* the generation is part of what is authenticated */
	old_blob[4] = (unsigned char)g;
	assert_int_equal(unwrap_fails(w->token, old_blob, old_len, rk_str(place)),
	                 RK_E_CORRUPT);
	old_blob[4] = 200;
	assert_int_equal(unwrap_fails(w->token, old_blob, old_len, rk_str(place)),
	                 RK_E_NOTFOUND);
}

/* --- wrap and unwrap */

static void secrets_of_all_sizes_come_back(void **state)
{
	static const size_t sizes[] = {1, 51, 4096, TOKEN_MAX_PLAIN};
	struct world *w = *state;
	unsigned char blob[BLOB_CAP];

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		size_t len = wrap(w->token, sizes[i], blob);

		assert_true(len <= sizes[i] + TOKEN_WRAP_OVERHEAD);
		assert_unwraps(w->token, blob, len, sizes[i]);
	}
}

static void empty_and_oversized_secrets_are_refused(void **state)
{
	struct world *w = *state;
	unsigned char blob[BLOB_CAP];
	RK_SECRET_AUTO none = {0};
	RK_SECRET_AUTO big = {0};
	size_t n;

	assert_int_equal(rk_secret_alloc(&none, 1), 0);
	make_filled(&big, TOKEN_MAX_PLAIN + 1);
	assert_int_equal(
	    token_wrap(w->token, &none, rk_str(place), blob, sizeof blob, &n, &fault),
	    RK_E_INVALID);
	assert_int_equal(
	    token_wrap(w->token, &big, rk_str(place), blob, sizeof blob, &n, &fault),
	    RK_E_TOOBIG);
	big.len = 100;
	assert_int_equal(token_wrap(w->token, &big, rk_str(place), blob, 163, &n, &fault),
	                 RK_E_TOOBIG);
	assert_int_equal(token_wrap(w->token, &big, rk_str(place), blob, 164, &n, &fault), 0);
	assert_int_equal(token_wrap(w->token, &big, rk_str(""), blob, sizeof blob, &n, &fault),
	                 RK_E_INVALID);
}

static void the_same_secret_wraps_differently_each_time(void **state)
{
	struct world *w = *state;
	unsigned char a[BLOB_CAP];
	unsigned char b[BLOB_CAP];
	size_t len = wrap(w->token, 51, a);

	assert_int_equal(wrap(w->token, 51, b), len);
	/* IV, ciphertext and tag */
	assert_memory_not_equal(a + 9, b + 9, 12);
	assert_memory_not_equal(a + 21, b + 21, 51);
	assert_memory_not_equal(a + 72, b + 72, 16);
}

static void a_blob_opens_in_its_own_place_only(void **state)
{
	struct world *w = *state;
	unsigned char blob[BLOB_CAP];
	size_t len = wrap(w->token, 51, blob);

	assert_int_equal(unwrap_fails(w->token, blob, len, rk_str("cred|conn_x|4")),
	                 RK_E_CORRUPT);
	assert_int_equal(unwrap_fails(w->token, blob, len, rk_str("cred|conn_y|3")),
	                 RK_E_CORRUPT);
	assert_int_equal(unwrap_fails(w->token, blob, len, rk_str("cred|conn_x|3|")),
	                 RK_E_CORRUPT);
	assert_int_equal(token_state(w->token), TOKEN_READY);
	assert_unwraps(w->token, blob, len, 51);
}

static void swapped_blobs_do_not_open(void **state)
{
	struct world *w = *state;
	RK_SECRET_AUTO plain = {0};
	unsigned char a[256];
	unsigned char b[256];
	size_t a_len;
	size_t b_len;

	make_filled(&plain, 51);
	assert_int_equal(
	    token_wrap(w->token, &plain, rk_str("cred|a|1"), a, sizeof a, &a_len, &fault), 0);
	assert_int_equal(
	    token_wrap(w->token, &plain, rk_str("cred|b|1"), b, sizeof b, &b_len, &fault), 0);
	assert_int_equal(unwrap_fails(w->token, b, b_len, rk_str("cred|a|1")), RK_E_CORRUPT);
	assert_int_equal(unwrap_fails(w->token, a, a_len, rk_str("cred|b|1")), RK_E_CORRUPT);
}

static void a_flipped_bit_anywhere_is_refused(void **state)
{
	struct world *w = *state;
	unsigned char blob[BLOB_CAP];
	size_t len = wrap(w->token, 51, blob);

	for (size_t i = 0; i < len; i++) {
		int err;

		blob[i] ^= (unsigned char)(1 << (i % 8));
		err = unwrap_fails(w->token, blob, len, rk_str(place));
		/* version, mechanism and generation say more than "damaged" */
		if (i == 2 || i == 3)
			assert_int_equal(err, RK_E_UNSUPPORTED);
		else if (i >= 4 && i < 8)
			assert_int_equal(err, RK_E_NOTFOUND);
		else
			assert_int_equal(err, RK_E_CORRUPT);
		blob[i] ^= (unsigned char)(1 << (i % 8));
	}
	assert_int_equal(token_state(w->token), TOKEN_READY);
	assert_unwraps(w->token, blob, len, 51);
}

static void a_blob_cut_or_lengthened_is_refused(void **state)
{
	struct world *w = *state;
	unsigned char blob[BLOB_CAP];
	size_t len = wrap(w->token, 51, blob);

	for (size_t n = 0; n < len; n++)
		assert_int_equal(unwrap_fails(w->token, blob, n, rk_str(place)), RK_E_CORRUPT);
	blob[len] = 0;
	assert_int_equal(unwrap_fails(w->token, blob, len + 1, rk_str(place)), RK_E_CORRUPT);
	assert_unwraps(w->token, blob, len, 51);
}

static void random_bytes_come_from_the_token(void **state)
{
	struct world *w = *state;
	unsigned char a[3000] = {0};
	unsigned char b[3000] = {0};

	assert_int_equal(token_random(w->token, a, sizeof a), 0);
	assert_int_equal(token_random(w->token, b, sizeof b), 0);
	assert_memory_not_equal(a, b, sizeof a);
	assert_memory_not_equal(a + 2984, b + 2984, 16);
}

static void *wrap_many(void *arg)
{
	struct token *t = arg;
	struct rk_fault why;

	for (unsigned i = 0; i < 50; i++) {
		RK_SECRET_AUTO plain = {0};
		RK_SECRET_AUTO back = {0};
		unsigned char blob[256];
		size_t len;

		if (rk_secret_alloc(&plain, 64) != 0 || token_random(t, plain.p, 51) != 0)
			return NULL;
		plain.len = 51;
		if (token_wrap(t, &plain, rk_str(place), blob, sizeof blob, &len, &why) != 0 ||
		    token_unwrap(t, rk_slice(blob, len), rk_str(place), &back, &why) != 0 ||
		    !rk_equal_ct(rk_secret_slice(&plain), rk_secret_slice(&back)))
			return NULL;
	}
	return arg;
}

static void run_threads(struct token *t, unsigned n)
{
	pthread_t thread[8];

	for (unsigned i = 0; i < n; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, wrap_many, t), 0);
	for (unsigned i = 0; i < n; i++) {
		void *done = NULL;

		pthread_join(thread[i], &done);
		assert_ptr_equal(done, t);
	}
}

static void four_threads_wrap_at_once(void **state)
{
	struct world *w = *state;
	size_t before = secret_arena_in_use();

	run_threads(w->token, 4);
	assert_int_equal(secret_arena_in_use(), before);
}

static void more_threads_than_sessions_take_turns(void **state)
{
	struct world *w = *state;

	run_threads(w->token, 8);
	for (unsigned i = 0; i < w->token->pool_size; i++)
		assert_false(w->token->pool[i].busy);
}

static unsigned sessions_left;
static CK_C_OpenSession real_open;

static CK_RV open_few(CK_SLOT_ID id, CK_FLAGS flags, void *app, CK_NOTIFY notify,
                      CK_SESSION_HANDLE_PTR h)
{
	if (sessions_left == 0)
		return CKR_SESSION_COUNT;
	sessions_left--;
	return real_open(id, flags, app, notify, h);
}

static void a_token_with_few_sessions_is_shared(void **state)
{
	struct world *w = *state;
	CK_FUNCTION_LIST *shim = shim_functions(w->token);

	real_open = shim->C_OpenSession;
	shim->C_OpenSession = open_few;
	sessions_left = 1;
	run_threads(w->token, 4);
	assert_int_equal(token_state(w->token), TOKEN_READY);
}

/* --- loss and return */

static void a_closed_session_is_a_loss_and_reconnecting_heals_it(void **state)
{
	struct world *w = *state;
	struct token *t = w->token;
	unsigned char blob[BLOB_CAP];
	size_t len = wrap(t, 51, blob);

	assert_int_equal(t->module.f->C_CloseAllSessions(t->slot_id), CKR_OK);
	assert_int_equal(unwrap_fails(t, blob, len, rk_str(place)), RK_E_TOKEN);
	assert_int_equal(token_state(t), TOKEN_LOST);
	assert_int_equal(token_reconnect(t, &fault), 0);
	assert_int_equal(token_state(t), TOKEN_READY);
	assert_unwraps(t, blob, len, 51);
}

static void a_logout_by_somebody_else_is_a_loss_and_not_corruption(void **state)
{
	struct world *w = *state;
	struct token *t = w->token;
	unsigned char blob[BLOB_CAP];
	size_t len = wrap(t, 51, blob);

	assert_int_equal(t->module.f->C_Logout(t->anchor), CKR_OK);
	assert_int_equal(unwrap_fails(t, blob, len, rk_str(place)), RK_E_TOKEN);
	assert_int_equal(token_state(t), TOKEN_LOST);
	assert_int_equal(token_reconnect(t, &fault), 0);
	assert_unwraps(t, blob, len, 51);
}

static void a_module_that_was_finalised_is_started_again(void **state)
{
	struct world *w = *state;
	struct token *t = w->token;
	unsigned char blob[BLOB_CAP];
	size_t len = wrap(t, 51, blob);

	assert_int_equal(t->module.f->C_Finalize(NULL), CKR_OK);
	assert_int_equal(token_ping(t), RK_E_TOKEN);
	assert_int_equal(token_state(t), TOKEN_LOST);
	assert_int_equal(token_reconnect(t, &fault), 0);
	assert_unwraps(t, blob, len, 51);
}

static void a_token_that_goes_away_is_lost_and_comes_back(void **state)
{
	struct world *w = *state;
	struct token *t = w->token;
	unsigned char blob[BLOB_CAP];
	size_t len = wrap(t, 51, blob);
	struct token_details d;

	assert_int_equal(token_ping(t), 0);
	assert_int_equal(rename(w->tokens, w->away), 0);
	assert_int_equal(token_ping(t), RK_E_TOKEN);
	assert_int_equal(token_state(t), TOKEN_LOST);
	assert_int_equal(unwrap_fails(t, blob, len, rk_str(place)), RK_E_TOKEN);
	/* it may be tried for as long as the token is away */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(token_reconnect(t, &fault), RK_E_TOKEN);
		assert_int_equal(token_state(t), TOKEN_LOST);
	}
	assert_int_equal(token_details(t, &d), RK_E_TOKEN);
	assert_int_equal(rename(w->away, w->tokens), 0);
	assert_int_equal(token_reconnect(t, &fault), 0);
	assert_int_equal(token_state(t), TOKEN_READY);
	assert_int_equal(token_ping(t), 0);
	assert_unwraps(t, blob, len, 51);
}

static void an_empty_token_store_in_its_place_is_no_return(void **state)
{
	struct world *w = *state;
	struct token *t = w->token;

	assert_int_equal(rename(w->tokens, w->away), 0);
	assert_int_equal(mkdir(w->tokens, 0700), 0);
	assert_int_equal(token_ping(t), RK_E_TOKEN);
	assert_int_equal(token_reconnect(t, &fault), RK_E_TOKEN);
	assert_int_equal(token_reconnect(t, &fault), RK_E_TOKEN);
	assert_int_equal(rmdir(w->tokens), 0);
	assert_int_equal(rename(w->away, w->tokens), 0);
	assert_int_equal(token_reconnect(t, &fault), 0);
}

static void a_token_that_was_reset_is_not_taken_for_the_one_that_was_lost(void **state)
{
	struct world *w = *state;
	struct token *t = w->token;
	struct token *other;

	assert_int_equal(rename(w->tokens, w->away), 0);
	assert_int_equal(mkdir(w->tokens, 0700), 0);
	assert_int_equal(token_ping(t), RK_E_TOKEN);
	assert_int_equal(token_reconnect(t, &fault), RK_E_TOKEN);
	/* same label, same PIN, but without the KEK */
	assert_int_equal(init_token(w, "relaykey"), 0);
	assert_int_equal(token_open(&w->params, &other, &fault), 0);
	token_close(other);
	assert_int_equal(token_reconnect(t, &fault), RK_E_TOKEN);
	assert_non_null(strstr(fault.text, "without KEK"));
	assert_int_equal(nftw(w->tokens, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
	assert_int_equal(rename(w->away, w->tokens), 0);
	assert_int_equal(token_reconnect(t, &fault), 0);
}

struct churn {
	struct token *token;
	atomic_bool stop;
	atomic_uint done;
};

static void *unwrap_until_told(void *arg)
{
	struct churn *c = arg;

	while (!atomic_load(&c->stop)) {
		RK_SECRET_AUTO plain = {0};
		unsigned char blob[256];
		struct rk_fault why;
		size_t len;

		if (rk_secret_alloc(&plain, 64) != 0)
			return NULL;
		plain.len = 51;
		if (token_wrap(c->token, &plain, rk_str(place), blob, sizeof blob, &len,
		               &why) == 0)
			atomic_fetch_add(&c->done, 1);
	}
	return arg;
}

static void a_reconnect_gets_its_turn_under_load(void **state)
{
	struct world *w = *state;
	struct churn c = {.token = w->token};
	pthread_t thread[3];

	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, unwrap_until_told, &c), 0);
	for (int i = 0; i < 5; i++) {
		unsigned seen = atomic_load(&c.done);

		token_mark_lost(w->token);
		assert_int_equal(token_reconnect(w->token, &fault), 0);
		while (atomic_load(&c.done) < seen + 5)
			usleep(1000);
	}
	atomic_store(&c.stop, true);
	for (int i = 0; i < 3; i++) {
		void *done = NULL;

		pthread_join(thread[i], &done);
		assert_ptr_equal(done, &c);
	}
}

#define READY(f)  cmocka_unit_test_setup_teardown(f, open_ready, close_token)
#define SEALED(f) cmocka_unit_test_setup_teardown(f, open_sealed, close_token)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_missing_module_is_named),
	    cmocka_unit_test(a_file_that_is_no_module_is_refused_with_the_loaders_reason),
	    cmocka_unit_test(a_missing_token_is_reported_with_the_labels_that_are_there),
	    cmocka_unit_test(a_token_is_found_by_uri),
	    cmocka_unit_test(a_token_that_is_not_initialised_is_said_to_be),
	    cmocka_unit_test(initialising_a_label_twice_is_refused),
	    cmocka_unit_test(a_pin_too_short_is_refused_before_the_token_is_touched),
	    SEALED(a_token_without_a_kek_logs_in_but_does_not_wrap),
	    SEALED(a_sealed_token_does_nothing),
	    SEALED(a_wrong_pin_is_tried_once_and_never_again_by_itself),
	    SEALED(an_empty_pin_never_reaches_the_token),
	    READY(logging_out_seals_and_forgets_the_pin),
	    READY(the_kek_is_sensitive_and_cannot_be_extracted),
	    READY(a_session_works_with_a_copy_that_is_guarded_as_well),
	    READY(a_module_that_copies_no_keys_works_with_the_key_itself),
	    READY(an_extractable_key_is_not_taken_for_a_kek),
	    READY(secrets_of_all_sizes_come_back),
	    READY(empty_and_oversized_secrets_are_refused),
	    READY(the_same_secret_wraps_differently_each_time),
	    READY(a_blob_opens_in_its_own_place_only),
	    READY(swapped_blobs_do_not_open),
	    READY(a_flipped_bit_anywhere_is_refused),
	    READY(a_blob_cut_or_lengthened_is_refused),
	    READY(blobs_of_every_generation_open_and_new_ones_use_the_newest),
	    READY(random_bytes_come_from_the_token),
	    READY(four_threads_wrap_at_once),
	    READY(more_threads_than_sessions_take_turns),
	    READY(a_token_with_few_sessions_is_shared),
	    READY(a_closed_session_is_a_loss_and_reconnecting_heals_it),
	    READY(a_logout_by_somebody_else_is_a_loss_and_not_corruption),
	    READY(a_module_that_was_finalised_is_started_again),
	    READY(a_token_that_goes_away_is_lost_and_comes_back),
	    READY(an_empty_token_store_in_its_place_is_no_return),
	    READY(a_reconnect_gets_its_turn_under_load),
	    READY(a_token_that_was_reset_is_not_taken_for_the_one_that_was_lost),
	    cmocka_unit_test(an_ambiguous_label_is_refused_and_a_serial_decides),
	};

	return cmocka_run_group_tests(tests, make_world, remove_world);
}

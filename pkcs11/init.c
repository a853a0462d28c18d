#include "pkcs11/token_int.h"

/* CK_TOKEN_INFO.label: 32 bytes padded with blanks, no terminator. */
enum { LABEL_BYTES = 32 };

static int init_user_pin(CK_FUNCTION_LIST_PTR f, CK_SLOT_ID id, const struct rk_secret *so_pin,
                         const struct rk_secret *user_pin, struct rk_fault *fault)
{
	CK_SESSION_HANDLE h;
	int err = ckr_fail(
	    fault, f->C_OpenSession(id, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h),
	    "opening a session with the new token");

	if (err)
		return err;
	err = ckr_fail(fault, f->C_Login(h, CKU_SO, so_pin->p, so_pin->len),
	               "login of the security officer");
	if (!err)
		err = ckr_fail(fault, f->C_InitPIN(h, user_pin->p, user_pin->len),
		               "setting the user PIN");
	f->C_Logout(h);
	f->C_CloseSession(h);
	return err;
}

/* Refuses a PIN that the token would refuse only after it has been wiped. */
static int check_pin_length(CK_FUNCTION_LIST_PTR f, CK_SLOT_ID id, const struct rk_secret *pin,
                            const char *whose, struct rk_fault *fault)
{
	CK_TOKEN_INFO info = {0};
	int err = ckr_fail(fault, f->C_GetTokenInfo(id, &info), "reading the token's limits");

	if (err)
		return err;
	if (pin->len == 0 || pin->len < info.ulMinPinLen ||
	    (info.ulMaxPinLen && pin->len > info.ulMaxPinLen))
		return rk_fail(fault, RK_E_PIN, "the %s PIN must have %lu to %lu bytes", whose,
		               info.ulMinPinLen, info.ulMaxPinLen);
	return 0;
}

static int init_in_module(const struct module *m, const struct token_uri *uri,
                          const struct rk_secret *so_pin, const struct rk_secret *user_pin,
                          struct rk_fault *fault)
{
	struct token_uri same_label = {0};
	PKCS11_SLOT *slot;
	CK_SLOT_ID id;
	CK_UTF8CHAR label[LABEL_BYTES];
	int err;

	memcpy(same_label.token, uri->token, sizeof same_label.token);
	for (unsigned i = 0; i < m->slot_count; i++) {
		if (module_slot_matches(&m->slots[i], &same_label))
			return rk_fail(fault, RK_E_EXISTS, "a token \"%s\" is there already",
			               uri->token);
	}
	slot = module_find_blank(m, uri);
	if (!slot && uri->has_slot_id)
		return rk_fail(fault, RK_E_EXISTS, "slot %lu holds no token to initialise",
		               uri->slot_id);
	if (!slot)
		return rk_fail(fault, RK_E_NOTFOUND, "no slot holds a token to initialise");
	id = PKCS11_get_slotid_from_slot(slot);

	err = check_pin_length(m->f, id, so_pin, "security officer's", fault);
	if (!err)
		err = check_pin_length(m->f, id, user_pin, "user", fault);
	if (err)
		return err;
	memset(label, ' ', sizeof label);
	memcpy(label, uri->token, strlen(uri->token));
	err = ckr_fail(fault, m->f->C_InitToken(id, so_pin->p, so_pin->len, label),
	               "initialising the token");
	if (!err)
		err = init_user_pin(m->f, id, so_pin, user_pin, fault);
	return err;
}

int token_init(const struct token_params *p, const struct rk_secret *so_pin,
               const struct rk_secret *user_pin, struct rk_fault *fault)
{
	const char *args = p->init_args && p->init_args[0] ? p->init_args : NULL;
	struct module m = {0};
	struct token_uri uri;
	int err = token_uri_parse(rk_str(p->token), &uri, fault);

	if (err)
		return err;
	if (!uri.token[0])
		return rk_fail(fault, RK_E_INVALID, "the new token needs a label");
	err = module_load(p->module, args, &m, fault);
	if (err)
		return err;
	err = init_in_module(&m, &uri, so_pin, user_pin, fault);
	module_unload(&m);
	return err;
}

#include "pkcs11/module.h"

#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

#include "pkcs11/errors.h"

static int find_functions(const char *path, struct module *m, struct rk_fault *fault)
{
	CK_C_GetFunctionList get;
	void *sym;

	if (access(path, F_OK) != 0)
		return rk_fail_errno(fault, RK_E_NOTFOUND, "PKCS#11 module %s", path);
	m->dl = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!m->dl)
		return rk_fail(fault, RK_E_NOTFOUND, "cannot load PKCS#11 module %s: %s", path,
		               dlerror());
	sym = dlsym(m->dl, "C_GetFunctionList");
	if (!sym)
		return rk_fail(fault, RK_E_NOTFOUND,
		               "%s is no PKCS#11 module: it has no C_GetFunctionList", path);
	memcpy(&get, &sym, sizeof get);
	if (get(&m->f) != CKR_OK || !m->f) {
		m->f = NULL;
		return rk_fail(fault, RK_E_TOKEN, "C_GetFunctionList of %s failed", path);
	}
	return 0;
}

int module_load(const char *path, const char *init_args, struct module *m,
                struct rk_fault *fault)
{
	struct module loading = {0};
	int err = find_functions(path, &loading, fault);

	if (err)
		goto fail;
	loading.ctx = PKCS11_CTX_new();
	if (!loading.ctx) {
		err = rk_fail(fault, RK_E_NOMEM, "no memory for PKCS#11 module %s", path);
		goto fail;
	}
	if (init_args)
		PKCS11_CTX_init_args(loading.ctx, init_args);
	if (PKCS11_CTX_load(loading.ctx, path) != 0) {
		err =
		    p11_fail(fault, RK_E_TOKEN, "PKCS#11 module %s does not initialise", path);
		/* libp11 has unloaded it already */
		PKCS11_CTX_free(loading.ctx);
		loading.ctx = NULL;
		goto fail;
	}
	if (PKCS11_enumerate_slots(loading.ctx, &loading.slots, &loading.slot_count) != 0) {
		loading.slots = NULL;
		err = p11_fail(fault, RK_E_TOKEN, "cannot list the slots of %s", path);
		goto fail;
	}
	*m = loading;
	return 0;

fail:
	module_unload(&loading);
	*m = (struct module){0};
	return err;
}

void module_unload(struct module *m)
{
	if (m->ctx) {
		if (m->slots)
			PKCS11_release_all_slots(m->ctx, m->slots, m->slot_count);
		PKCS11_CTX_unload(m->ctx);
		PKCS11_CTX_free(m->ctx);
	}
	if (m->dl)
		dlclose(m->dl);
	*m = (struct module){0};
}

static bool text_matches(const char *wanted, const char *is)
{
	return !wanted[0] || (is && strcmp(wanted, is) == 0);
}

bool module_slot_matches(PKCS11_SLOT *slot, const struct token_uri *uri)
{
	const PKCS11_TOKEN *token = slot->token;

	if (!token || !token->initialized)
		return false;
	if (uri->has_slot_id && PKCS11_get_slotid_from_slot(slot) != uri->slot_id)
		return false;
	return text_matches(uri->token, token->label) &&
	       text_matches(uri->manufacturer, token->manufacturer) &&
	       text_matches(uri->model, token->model) &&
	       text_matches(uri->serial, token->serialnr);
}

PKCS11_SLOT *module_find_blank(const struct module *m, const struct token_uri *uri)
{
	for (unsigned i = 0; i < m->slot_count; i++) {
		PKCS11_SLOT *slot = &m->slots[i];

		if (!slot->token || slot->token->initialized)
			continue;
		if (!uri->has_slot_id || PKCS11_get_slotid_from_slot(slot) == uri->slot_id)
			return slot;
	}
	return NULL;
}

/* Lists tokens, those that match `uri` or (NULL) all, as far as the text reaches. */
static const char *list_tokens(const struct module *m, const struct token_uri *uri, char *text,
                               size_t cap)
{
	size_t n = 0;
	unsigned blank = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < m->slot_count; i++) {
		PKCS11_SLOT *slot = &m->slots[i];

		if (slot->token && !slot->token->initialized)
			blank++;
		if (!slot->token || !slot->token->initialized ||
		    (uri && !module_slot_matches(slot, uri)))
			continue;
		if (n < cap)
			n += (size_t)snprintf(
			    text + n, cap - n, "%s\"%s\" (serial %s, slot-id %lu)",
			    n ? ", " : "", slot->token->label, slot->token->serialnr,
			    PKCS11_get_slotid_from_slot(slot));
	}
	if (!uri && blank && n < cap)
		n += (size_t)snprintf(text + n, cap - n, "%s%u not initialised", n ? ", " : "",
		                      blank);
	return n ? text : "none";
}

int module_find_token(const struct module *m, const char *spec, PKCS11_SLOT **out,
                      struct rk_fault *fault)
{
	struct token_uri uri;
	PKCS11_SLOT *found = NULL;
	char there[384];
	int err = token_uri_parse(rk_str(spec), &uri, fault);

	if (err)
		return err;
	for (unsigned i = 0; i < m->slot_count; i++) {
		if (!module_slot_matches(&m->slots[i], &uri))
			continue;
		if (found)
			return rk_fail(fault, RK_E_AMBIGUOUS,
			               "more than one token is \"%s\": %s", spec,
			               list_tokens(m, &uri, there, sizeof there));
		found = &m->slots[i];
	}
	if (!found && uri.has_slot_id && module_find_blank(m, &uri))
		return rk_fail(fault, RK_E_NOTFOUND, "the token in slot %lu is not initialised",
		               uri.slot_id);
	if (!found)
		return rk_fail(fault, RK_E_NOTFOUND, "no token is \"%s\"; tokens there: %s",
		               spec, list_tokens(m, NULL, there, sizeof there));
	*out = found;
	return 0;
}

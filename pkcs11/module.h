/*
 * A PKCS#11 module: loaded, initialised and enumerated through libp11, and its function list
 * for the calls that libp11 does not wrap. Module and slot belong together: the slots are
 * libp11's and die with the module.
 *
 * libp11 keeps a copy of a PIN that is given to PKCS11_login() in ordinary memory and closes
 * every session of a slot when its slot list is released. So the PIN goes to C_Login out of
 * secret memory, and the slot list lives as long as the module is loaded.
 *
 * Not thread-safe; one process loads a given module once (C_Finalize is for the whole process).
 */
#ifndef PKCS11_MODULE_H
#define PKCS11_MODULE_H

#include "base/err.h"
#include "pkcs11/uri.h"

#include <libp11.h>
#include <p11-kit/pkcs11.h>

struct module {
	void *dl;               /* keeps the code mapped across a re-initialisation */
	CK_FUNCTION_LIST_PTR f; /* NULL: not loaded */
	PKCS11_CTX *ctx;
	PKCS11_SLOT *slots;
	unsigned slot_count;
};

/*
 * Loads, initialises (CKF_OS_LOCKING_OK) and lists the slots. RK_E_NOTFOUND for a file that is
 * not there or is no module, RK_E_TOKEN when it refuses to start. *m is zeroed on failure.
 */
RK_MUST_CHECK int module_load(const char *path, const char *init_args, struct module *m,
                              struct rk_fault *fault);

/* Finalises and unloads; accepts a zeroed struct. */
void module_unload(struct module *m);

/*
 * The one initialised token that `spec` (label or URI) means. RK_E_NOTFOUND with the labels
 * that are there, RK_E_AMBIGUOUS with those that match, RK_E_INVALID for a bad spec.
 */
RK_MUST_CHECK int module_find_token(const struct module *m, const char *spec, PKCS11_SLOT **out,
                                    struct rk_fault *fault);

/* The first slot without an initialised token that `uri` allows, or NULL. */
PKCS11_SLOT *module_find_blank(const struct module *m, const struct token_uri *uri);

/* Whether the slot holds an initialised token that `uri` means. */
bool module_slot_matches(PKCS11_SLOT *slot, const struct token_uri *uri);

#endif

/*
 * Which token is meant: a plain label, or an RFC 7512 URI with the path attributes token,
 * manufacturer, model, serial and slot-id. Object attributes, vendor attributes and the whole
 * query part are refused: the module and the PIN come from the configuration alone. Pure; owns
 * nothing.
 */
#ifndef PKCS11_URI_H
#define PKCS11_URI_H

#include "base/err.h"
#include "base/slice.h"

/* An empty text means "any"; sizes are those of CK_TOKEN_INFO and a NUL. */
struct token_uri {
	char token[33];
	char manufacturer[33];
	char model[17];
	char serial[17];
	bool has_slot_id;
	unsigned long slot_id;
};

/* RK_E_INVALID with a fault text that says what is wrong; *out is untouched then. */
RK_MUST_CHECK int token_uri_parse(struct rk_slice text, struct token_uri *out,
                                  struct rk_fault *fault);

#endif

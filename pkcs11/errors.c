#include "pkcs11/errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <libp11.h>
#include <openssl/err.h>

/* Of Cryptoki 3.0; the header that we build with may be older. */
#ifndef CKR_AEAD_DECRYPT_FAILED
#define CKR_AEAD_DECRYPT_FAILED 0x42UL
#endif

#define ROW(name, class)                                                                       \
	{                                                                                      \
		name, #name, class                                                             \
	}

static const struct {
	CK_RV rv;
	const char *name;
	enum ckr_class class;
} rows[] = {
    ROW(CKR_OK, CKR_CLASS_OK),
    ROW(CKR_HOST_MEMORY, CKR_CLASS_MEMORY),
    ROW(CKR_SLOT_ID_INVALID, CKR_CLASS_LOST),
    ROW(CKR_GENERAL_ERROR, CKR_CLASS_OTHER),
    ROW(CKR_FUNCTION_FAILED, CKR_CLASS_OTHER),
    ROW(CKR_ARGUMENTS_BAD, CKR_CLASS_OTHER),
    ROW(CKR_ACTION_PROHIBITED, CKR_CLASS_OTHER),
    ROW(CKR_CANT_LOCK, CKR_CLASS_OTHER),
    ROW(CKR_ATTRIBUTE_READ_ONLY, CKR_CLASS_OTHER),
    ROW(CKR_ATTRIBUTE_SENSITIVE, CKR_CLASS_OTHER),
    ROW(CKR_ATTRIBUTE_TYPE_INVALID, CKR_CLASS_OTHER),
    ROW(CKR_ATTRIBUTE_VALUE_INVALID, CKR_CLASS_OTHER),
    ROW(CKR_DATA_INVALID, CKR_CLASS_OTHER),
    ROW(CKR_DATA_LEN_RANGE, CKR_CLASS_OTHER),
    ROW(CKR_DEVICE_ERROR, CKR_CLASS_LOST),
    ROW(CKR_DEVICE_MEMORY, CKR_CLASS_OTHER),
    ROW(CKR_DEVICE_REMOVED, CKR_CLASS_LOST),
    ROW(CKR_ENCRYPTED_DATA_INVALID, CKR_CLASS_CORRUPT),
    ROW(CKR_ENCRYPTED_DATA_LEN_RANGE, CKR_CLASS_CORRUPT),
    ROW(CKR_AEAD_DECRYPT_FAILED, CKR_CLASS_CORRUPT),
    ROW(CKR_FUNCTION_CANCELED, CKR_CLASS_OTHER),
    ROW(CKR_FUNCTION_NOT_SUPPORTED, CKR_CLASS_OTHER),
    ROW(CKR_KEY_HANDLE_INVALID, CKR_CLASS_LOST),
    ROW(CKR_KEY_SIZE_RANGE, CKR_CLASS_OTHER),
    ROW(CKR_KEY_TYPE_INCONSISTENT, CKR_CLASS_OTHER),
    ROW(CKR_KEY_FUNCTION_NOT_PERMITTED, CKR_CLASS_OTHER),
    ROW(CKR_MECHANISM_INVALID, CKR_CLASS_OTHER),
    ROW(CKR_MECHANISM_PARAM_INVALID, CKR_CLASS_OTHER),
    ROW(CKR_OBJECT_HANDLE_INVALID, CKR_CLASS_LOST),
    ROW(CKR_OPERATION_ACTIVE, CKR_CLASS_OTHER),
    ROW(CKR_OPERATION_NOT_INITIALIZED, CKR_CLASS_OTHER),
    ROW(CKR_PIN_INCORRECT, CKR_CLASS_PIN),
    ROW(CKR_PIN_INVALID, CKR_CLASS_PIN),
    ROW(CKR_PIN_LEN_RANGE, CKR_CLASS_PIN),
    ROW(CKR_PIN_EXPIRED, CKR_CLASS_PIN),
    ROW(CKR_PIN_LOCKED, CKR_CLASS_PIN),
    ROW(CKR_SESSION_CLOSED, CKR_CLASS_LOST),
    ROW(CKR_SESSION_COUNT, CKR_CLASS_OTHER),
    ROW(CKR_SESSION_HANDLE_INVALID, CKR_CLASS_LOST),
    ROW(CKR_SESSION_PARALLEL_NOT_SUPPORTED, CKR_CLASS_OTHER),
    ROW(CKR_SESSION_READ_ONLY, CKR_CLASS_OTHER),
    ROW(CKR_SESSION_EXISTS, CKR_CLASS_OTHER),
    ROW(CKR_TEMPLATE_INCOMPLETE, CKR_CLASS_OTHER),
    ROW(CKR_TEMPLATE_INCONSISTENT, CKR_CLASS_OTHER),
    ROW(CKR_TOKEN_NOT_PRESENT, CKR_CLASS_LOST),
    ROW(CKR_TOKEN_NOT_RECOGNIZED, CKR_CLASS_LOST),
    ROW(CKR_TOKEN_WRITE_PROTECTED, CKR_CLASS_OTHER),
    ROW(CKR_USER_ALREADY_LOGGED_IN, CKR_CLASS_OTHER),
    ROW(CKR_USER_NOT_LOGGED_IN, CKR_CLASS_LOST),
    ROW(CKR_USER_PIN_NOT_INITIALIZED, CKR_CLASS_OTHER),
    ROW(CKR_USER_TYPE_INVALID, CKR_CLASS_OTHER),
    ROW(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, CKR_CLASS_OTHER),
    ROW(CKR_USER_TOO_MANY_TYPES, CKR_CLASS_OTHER),
    ROW(CKR_RANDOM_NO_RNG, CKR_CLASS_OTHER),
    ROW(CKR_BUFFER_TOO_SMALL, CKR_CLASS_OTHER),
    ROW(CKR_CRYPTOKI_NOT_INITIALIZED, CKR_CLASS_LOST),
    ROW(CKR_CRYPTOKI_ALREADY_INITIALIZED, CKR_CLASS_OTHER),
};

enum ckr_class ckr_class(CK_RV rv)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (rows[i].rv == rv)
			return rows[i].class;
	}
	return CKR_CLASS_OTHER;
}

const char *ckr_text(CK_RV rv, char text[CKR_TEXT])
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (rows[i].rv == rv) {
			snprintf(text, CKR_TEXT, "%s", rows[i].name);
			return text;
		}
	}
	snprintf(text, CKR_TEXT, "CKR 0x%08lx", rv);
	return text;
}

int ckr_fail(struct rk_fault *fault, CK_RV rv, const char *what)
{
	static const int err[] = {
	    [CKR_CLASS_OK] = 0,
	    [CKR_CLASS_LOST] = RK_E_TOKEN,
	    [CKR_CLASS_PIN] = RK_E_PIN,
	    [CKR_CLASS_CORRUPT] = RK_E_CORRUPT,
	    [CKR_CLASS_MEMORY] = RK_E_NOMEM,
	    [CKR_CLASS_OTHER] = RK_E_TOKEN,
	};
	enum ckr_class class = ckr_class(rv);
	char text[CKR_TEXT];

	if (class == CKR_CLASS_OK)
		return 0;
	return rk_fail(fault, err[class], "%s: %s", what, ckr_text(rv, text));
}

int p11_fail(struct rk_fault *fault, int err, const char *fmt, ...)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	char what[384];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	ERR_clear_error();
	return rk_fail(fault, err, "%s: %s", what, reason ? reason : "no reason given");
}

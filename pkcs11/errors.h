/*
 * Cryptoki return values: their names, and what they mean for us.
 */
#ifndef PKCS11_ERRORS_H
#define PKCS11_ERRORS_H

#include "base/err.h"

#include <p11-kit/pkcs11.h>

enum ckr_class {
	CKR_CLASS_OK,
	CKR_CLASS_LOST,    /* session, login or token is gone: reconnect */
	CKR_CLASS_PIN,     /* the PIN was refused: never again by itself */
	CKR_CLASS_CORRUPT, /* the input does not verify */
	CKR_CLASS_MEMORY,
	CKR_CLASS_OTHER,
};

enum ckr_class ckr_class(CK_RV rv);

enum { CKR_TEXT = 40 };

/* "CKR_PIN_LOCKED", or the number of an unknown one; returns text. */
const char *ckr_text(CK_RV rv, char text[CKR_TEXT]);

/* 0, or the rk_err of the class (RK_E_TOKEN for the last), with "what: CKR_..." in fault. */
int ckr_fail(struct rk_fault *fault, CK_RV rv, const char *what);

/* As rk_fail, with the reason that libp11 left in OpenSSL's error queue, which is emptied. */
int p11_fail(struct rk_fault *fault, int err, const char *fmt, ...) RK_PRINTF(3, 4);

#endif

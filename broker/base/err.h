/*
 * Errors shared by all modules.
 *
 * A function that can fail returns 0 or a negative enum rk_err; parsers return
 * > 0 (consumed), 0 (more input needed) or < 0. errno never leaves the wrapper
 * that met it; where its text matters, the wrapper puts it into a struct
 * rk_fault that the caller passes.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stddef.h>

#define RK_MUST_CHECK        __attribute__((warn_unused_result))
#define RK_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

enum rk_err {
	RK_OK = 0,
	RK_E_NOMEM = -1,   /* allocation failed, heap or secret arena */
	RK_E_IO = -2,      /* system call failed */
	RK_E_INVALID = -3, /* malformed or out-of-range input */
	RK_E_TOOBIG = -4,  /* over a stated limit */
	RK_E_NOTFOUND = -5,
	RK_E_EXISTS = -6,
	RK_E_DENIED = -7,    /* permission or policy */
	RK_E_AGAIN = -8,     /* would block, or try later */
	RK_E_CLOSED = -9,    /* the other side is gone */
	RK_E_PROTOCOL = -10, /* the peer broke the protocol */
	RK_E_CRYPTO = -11,   /* a cryptographic operation failed or did not verify */
	RK_E_TOKEN = -12,    /* PKCS#11 token unavailable or refused */
	RK_E_PIN = -13,      /* wrong, locked or missing PIN: never retried by itself */
	RK_E_STORE = -14,    /* database failed */
	RK_E_FULL = -15,     /* no space on disk, or a table is full */
	RK_E_CORRUPT = -16,  /* stored data does not verify */
	RK_E_UNSUPPORTED = -17,
	RK_E_STATE = -18,     /* not possible in this state */
	RK_E_AMBIGUOUS = -19, /* more than one object matches */
	RK_E_AUTH = -20,      /* nobody, or not who they say they are */
	RK_E_STALE = -21,     /* the object is not of the revision that was meant */
};

/* A short English text for any rk_err, including unknown values. Static storage. */
const char *rk_strerror(int err);

/* A readable account of one failure, for the person at the edge. Never holds a secret. */
struct rk_fault {
	char text[512];
};

/* Writes a formatted text into `fault` (may be NULL) and returns `err`. */
int rk_fail(struct rk_fault *fault, int err, const char *fmt, ...) RK_PRINTF(3, 4);

/* As rk_fail, with ": " and the text of the current errno at the end. */
int rk_fail_errno(struct rk_fault *fault, int err, const char *fmt, ...) RK_PRINTF(3, 4);

/* Both return err: `make analyze` looks at one file at a time and would not know. */
#if defined(RK_ANALYZE) && !defined(RK_ERR_DEFINES)
#define rk_fail(fault, err, ...)       (rk_fail(fault, err, __VA_ARGS__), (err))
#define rk_fail_errno(fault, err, ...) (rk_fail_errno(fault, err, __VA_ARGS__), (err))
#endif

#endif

#define RK_ERR_DEFINES
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *rk_strerror(int err)
{
	static const char *const text[] = {
	    [0] = "no error",
	    [-RK_E_NOMEM] = "out of memory",
	    [-RK_E_IO] = "input/output error",
	    [-RK_E_INVALID] = "invalid input",
	    [-RK_E_TOOBIG] = "over the limit",
	    [-RK_E_NOTFOUND] = "not found",
	    [-RK_E_EXISTS] = "exists already",
	    [-RK_E_DENIED] = "not allowed",
	    [-RK_E_AGAIN] = "not possible right now",
	    [-RK_E_CLOSED] = "connection closed",
	    [-RK_E_PROTOCOL] = "protocol violation",
	    [-RK_E_CRYPTO] = "cryptographic check failed",
	    [-RK_E_TOKEN] = "token unavailable",
	    [-RK_E_PIN] = "PIN missing, wrong or locked",
	    [-RK_E_STORE] = "store failed",
	    [-RK_E_FULL] = "no space left",
	    [-RK_E_CORRUPT] = "stored data does not verify",
	    [-RK_E_UNSUPPORTED] = "not supported",
	    [-RK_E_STATE] = "not possible in this state",
	    [-RK_E_AMBIGUOUS] = "more than one object matches",
	    [-RK_E_AUTH] = "not authenticated",
	    [-RK_E_STALE] = "the object has changed meanwhile",
	};
	size_t i = (size_t)(-(long)err);

	if (err > 0 || i >= sizeof text / sizeof text[0] || !text[i])
		return "unknown error";
	return text[i];
}

static void fault_format(struct rk_fault *fault, const char *fmt, va_list ap, const char *tail)
    RK_PRINTF(2, 0);

static void fault_format(struct rk_fault *fault, const char *fmt, va_list ap, const char *tail)
{
	int n = vsnprintf(fault->text, sizeof fault->text, fmt, ap);

	if (n < 0)
		n = 0;
	if (tail && (size_t)n < sizeof fault->text)
		snprintf(fault->text + n, sizeof fault->text - (size_t)n, ": %s", tail);
}

int rk_fail(struct rk_fault *fault, int err, const char *fmt, ...)
{
	if (fault) {
		va_list ap;

		va_start(ap, fmt);
		fault_format(fault, fmt, ap, NULL);
		va_end(ap);
	}
	return err;
}

int rk_fail_errno(struct rk_fault *fault, int err, const char *fmt, ...)
{
	char why[128];
	const char *msg = strerror_r(errno, why, sizeof why);

	if (fault) {
		va_list ap;

		va_start(ap, fmt);
		fault_format(fault, fmt, ap, msg);
		va_end(ap);
	}
	return err;
}

/*
 * A PKCS#11 module in front of another one, whose cryptographic operations take longer: the
 * module named by SLOW_TOKEN_MODULE (loaded with this one), SLOW_TOKEN_MS milliseconds more an
 * operation (read in C_Initialize). Each call waits for itself, so sessions are slow side by
 * side, as with a token that works on several requests at once. All else goes straight through.
 *
 * In relaykeyd.conf: token-module .../slow_token.so, token-env SLOW_TOKEN_MODULE=...,
 * token-env SLOW_TOKEN_MS=10, beside what the other module needs.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <p11-kit/pkcs11.h>

static CK_FUNCTION_LIST_PTR real;
static CK_FUNCTION_LIST slow;
static struct timespec extra;

static void wait_extra(void)
{
	struct timespec until;

	if (!extra.tv_sec && !extra.tv_nsec)
		return;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += extra.tv_sec;
	until.tv_nsec += extra.tv_nsec;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

static CK_RV slow_initialize(void *args)
{
	const char *ms = getenv("SLOW_TOKEN_MS");
	double us = ms ? strtod(ms, NULL) * 1000 : 0;

	if (us < 0)
		us = 0;
	extra.tv_sec = (time_t)(us / 1e6);
	extra.tv_nsec = (long)((us - (double)extra.tv_sec * 1e6) * 1000);
	return real->C_Initialize(args);
}

/* Asking for the length of a result costs a token nothing. */
#define SLOW_FOUR(name)                                                                        \
	static CK_RV slow_##name(CK_SESSION_HANDLE h, unsigned char *in, unsigned long in_len, \
	                         unsigned char *out, unsigned long *out_len)                   \
	{                                                                                      \
		if (out)                                                                       \
			wait_extra();                                                          \
		return real->C_##name(h, in, in_len, out, out_len);                            \
	}

SLOW_FOUR(Encrypt)
SLOW_FOUR(Decrypt)
SLOW_FOUR(Sign)

static CK_RV slow_WrapKey(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE wrapping,
                          CK_OBJECT_HANDLE key, unsigned char *out, unsigned long *out_len)
{
	if (out)
		wait_extra();
	return real->C_WrapKey(h, m, wrapping, key, out, out_len);
}

static CK_RV slow_UnwrapKey(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE unwrapping,
                            unsigned char *in, unsigned long in_len, CK_ATTRIBUTE *template,
                            unsigned long count, CK_OBJECT_HANDLE *key)
{
	wait_extra();
	return real->C_UnwrapKey(h, m, unwrapping, in, in_len, template, count, key);
}

static int load(void)
{
	const char *path = getenv("SLOW_TOKEN_MODULE");
	void *dl = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) : NULL;
	void *symbol = dl ? dlsym(dl, "C_GetFunctionList") : NULL;
	CK_C_GetFunctionList get;

	if (!symbol) {
		fprintf(stderr, "slow_token: SLOW_TOKEN_MODULE: %s\n",
		        path ? dlerror() : "not set");
		return -1;
	}
	memcpy(&get, &symbol, sizeof get);
	if (get(&real) != CKR_OK || !real)
		return -1;
	slow = *real;
	slow.C_Initialize = slow_initialize;
	slow.C_Encrypt = slow_Encrypt;
	slow.C_Decrypt = slow_Decrypt;
	slow.C_Sign = slow_Sign;
	slow.C_WrapKey = slow_WrapKey;
	slow.C_UnwrapKey = slow_UnwrapKey;
	return 0;
}

/* The first call comes from whoever loads the module, before there are threads or a sandbox. */
CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list)
{
	if (!real && load() != 0)
		return CKR_GENERAL_ERROR;
	*list = &slow;
	return CKR_OK;
}

/*
 * The parts of `relaykey setup`.
 */
#ifndef CLI_SETUP_H
#define CLI_SETUP_H

#include "base/err.h"

enum { SETUP_MAX_FILES = 24, SETUP_PATH = 1024 };

/* What was made so far, so that a set-up that fails leaves nothing behind. */
struct setup_trail {
	char made[SETUP_MAX_FILES][SETUP_PATH];
	unsigned count;
};

/* Writes DIR/name with `mode`, exclusively, and notes it. */
RK_MUST_CHECK int setup_write(struct setup_trail *t, const char *dir, const char *name,
                              const void *data, size_t len, unsigned mode,
                              struct rk_fault *fault);

/* Makes DIR/name (or DIR itself when name is NULL) with mode 0700 and notes it. */
RK_MUST_CHECK int setup_mkdir(struct setup_trail *t, const char *dir, const char *name,
                              struct rk_fault *fault);

/* Notes a file that somebody else is about to make. */
RK_MUST_CHECK int setup_note(struct setup_trail *t, const char *dir, const char *name,
                             struct rk_fault *fault);

/* Removes all that was noted, newest first, directories with their contents. */
void setup_undo(struct setup_trail *t);

/*
 * Makes a private CA and a server certificate for `listen` ("addr:port"), localhost and this
 * host's name: ca.pem, ca.key, server.pem, server.key. EC P-256; the CA for 10 years, the
 * certificate for 825 days (the most that clients accept).
 */
RK_MUST_CHECK int setup_certificates(struct setup_trail *t, const char *dir, const char *listen,
                                     struct rk_fault *fault);

#endif

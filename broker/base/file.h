/*
 * Whole small files: configuration, certificates, PINs, wrapped keys.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"

/* Reads a regular file of at most `limit` bytes into buf (initialised by this call). */
RK_MUST_CHECK int file_read(const char *path, size_t limit, struct rk_buf *buf,
                            struct rk_fault *fault);

/*
 * Reads a secret from a file ("-" is standard input) straight into the arena, without stdio;
 * one trailing newline (LF or CRLF) is dropped. Refuses an empty secret, NUL bytes, more than
 * `limit` bytes, and a regular file with any permission for group or others (RK_E_DENIED) when
 * `private_only`.
 */
RK_MUST_CHECK int file_read_secret(const char *path, size_t limit, bool private_only,
                                   struct rk_secret *out, struct rk_fault *fault);

/*
 * Writes atomically and durably: temporary file in the same directory with `mode`,
 * fsync, rename, fsync of the directory. With `exclusive`, an existing file is RK_E_EXISTS.
 */
RK_MUST_CHECK int file_write(const char *path, struct rk_slice data, unsigned mode,
                             bool exclusive, struct rk_fault *fault);

/* dir + "/" + name into out[cap], or name alone when it is absolute. RK_E_TOOBIG when it does
 * not fit. */
RK_MUST_CHECK int file_join(const char *dir, const char *name, char *out, size_t cap);

/* Close-on-scope-exit for descriptors. */
void file_close(int *fd);
#define RK_FD_AUTO __attribute__((cleanup(file_close))) int

#endif

/*
 * For the tests of the keeper's stores: an arena, a fixed key, a directory of its own.
 */
#ifndef TESTS_LIB_STORE_FIXTURE_H
#define TESTS_LIB_STORE_FIXTURE_H

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/secret.h"
#include "ipc/audit_row.h"
#include "keeper/db.h"
#include "policy/reason.h"

enum { FIXTURE_DIRS = 256 };

struct store_dir {
	char dir[64];
	char path[96]; /* of the store */
};

static inline int fixture_arena(void **state)
{
	struct rk_fault fault;

	(void)state;
	return secret_arena_init(4 * SECRET_MAX_BYTES, SECRET_BACKING_LOCKED, &fault);
}

/* A key of 32 times `fill`; the committed fixtures use 'k'. */
static inline struct rk_secret fixture_key(unsigned char fill)
{
	struct rk_secret key = {0};

	assert_int_equal(rk_secret_alloc(&key, DB_KEY_BYTES), 0);
	memset(key.p, fill, DB_KEY_BYTES);
	key.len = DB_KEY_BYTES;
	return key;
}

static inline int fixture_unlink(const char *path, const struct stat *st, int type,
                                 struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void fixture_remove(const struct store_dir *d)
{
	nftw(d->dir, fixture_unlink, 8, FTW_DEPTH | FTW_PHYS);
}

/* The directories of this process; those of tests that failed are still there at its end. */
struct fixture_made {
	struct store_dir d[FIXTURE_DIRS];
	unsigned count;
	pid_t pid;
};

static inline struct fixture_made *fixture_made(void)
{
	static struct fixture_made made;

	return &made;
}

static inline void fixture_remove_all(void)
{
	struct fixture_made *made = fixture_made();

	if (made->pid != getpid()) /* a fork of the test */
		return;
	for (unsigned i = 0; i < made->count; i++)
		fixture_remove(&made->d[i]);
}

static inline struct store_dir fixture_dir(const char *name)
{
	struct fixture_made *made = fixture_made();
	struct store_dir d;

	snprintf(d.dir, sizeof d.dir, "/tmp/relaykey-store-XXXXXX");
	assert_non_null(mkdtemp(d.dir));
	snprintf(d.path, sizeof d.path, "%s/%s", d.dir, name);
	if (made->count == 0) {
		made->pid = getpid();
		atexit(fixture_remove_all);
	}
	assert_true(made->count < FIXTURE_DIRS);
	made->d[made->count++] = d;
	return d;
}

static inline struct rk_buf fixture_read(const char *path)
{
	struct rk_buf buf;
	struct rk_fault fault;

	assert_int_equal(file_read(path, 64u << 20, &buf, &fault), 0);
	return buf;
}

static inline void fixture_write(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), (ssize_t)n);
	close(fd);
}

/* Packs into mem; the slice borrows it. */
static inline struct rk_slice fixture_row(const struct audit_row *row, unsigned char *mem,
                                          size_t cap)
{
	ssize_t n = record_pack(&audit_row_desc, row, mem, cap);

	assert_true(n > 0);
	return rk_slice(mem, (size_t)n);
}

#endif

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/setup.h"

int setup_note(struct setup_trail *t, const char *dir, const char *name, struct rk_fault *fault)
{
	if (t->count == SETUP_MAX_FILES)
		return rk_fail(fault, RK_E_TOOBIG, "too many files in a set-up");
	if (name ? file_join(dir, name, t->made[t->count], SETUP_PATH)
	         : !rk_slice_cstr(rk_str(dir), t->made[t->count], SETUP_PATH))
		return rk_fail(fault, RK_E_TOOBIG, "the path is too long: %s", dir);
	t->count++;
	return 0;
}

int setup_write(struct setup_trail *t, const char *dir, const char *name, const void *data,
                size_t len, unsigned mode, struct rk_fault *fault)
{
	int err = setup_note(t, dir, name, fault);

	if (err)
		return err;
	err = file_write(t->made[t->count - 1], rk_slice(data, len), mode, true, fault);
	if (err)
		t->count--; /* not made by this set-up: not removed by it either */
	return err;
}

int setup_mkdir(struct setup_trail *t, const char *dir, const char *name,
                struct rk_fault *fault)
{
	int err = setup_note(t, dir, name, fault);

	if (err)
		return err;
	if (mkdir(t->made[t->count - 1], 0700) == 0)
		return 0;
	t->count--;
	if (errno == EEXIST && !name)
		return 0;
	return rk_fail_errno(fault, errno == EEXIST ? RK_E_EXISTS : RK_E_IO, "cannot make %s",
	                     t->made[t->count]);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void setup_undo(struct setup_trail *t)
{
	while (t->count > 0) {
		const char *path = t->made[--t->count];

		/* depth first, and never through a link */
		nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	}
}

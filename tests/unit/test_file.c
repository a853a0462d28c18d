#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum { PATH_BYTES = 4096 };

struct room {
	char dir[64];
	char path[PATH_BYTES]; /* of "file" in dir */
};

static int set_up(void **state)
{
	struct room *r = calloc(1, sizeof *r);

	if (!r)
		return -1;
	snprintf(r->dir, sizeof r->dir, "/tmp/test_file.XXXXXX");
	if (!mkdtemp(r->dir))
		return -1;
	*state = r;
	return file_join(r->dir, "file", r->path, sizeof r->path);
}

static int tear_down(void **state)
{
	struct room *r = *state;

	unlink(r->path);
	rmdir(r->path);
	rmdir(r->dir);
	free(r);
	return 0;
}

static void put(const struct room *r, const void *p, size_t n, unsigned mode)
{
	assert_int_equal(file_write(r->path, rk_slice(p, n), mode, false, NULL), 0);
}

static size_t count_entries(const char *dir)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static int read_secret(const struct room *r, size_t limit, bool private_only,
                       struct rk_secret *out)
{
	struct rk_fault fault = {.text = ""};
	int rc = file_read_secret(r->path, limit, private_only, out, &fault);

	assert_int_equal(rc != 0, fault.text[0] != '\0');
	return rc;
}

static void test_what_was_written_is_read_back(void **state)
{
	struct room *r = *state;
	struct rk_buf b;

	put(r, "a\0b\n", 4, 0600);
	assert_int_equal(file_read(r->path, 100, &b, NULL), 0);
	assert_true(rk_slice_eq(rk_buf_slice(&b), rk_slice("a\0b\n", 4)));
	rk_buf_free(&b);
}

static void test_a_file_may_be_as_big_as_the_limit_and_no_bigger(void **state)
{
	struct room *r = *state;
	struct rk_buf b;

	put(r, "12345", 5, 0600);
	assert_int_equal(file_read(r->path, 5, &b, NULL), 0);
	assert_int_equal(b.len, 5);
	rk_buf_free(&b);
	assert_int_equal(file_read(r->path, 4, &b, NULL), RK_E_TOOBIG);
	assert_null(b.mem);
}

static void test_a_missing_file_a_directory_and_a_fifo_are_told_apart(void **state)
{
	struct room *r = *state;
	struct rk_fault fault;
	struct rk_buf b;

	assert_int_equal(file_read(r->path, 5, &b, &fault), RK_E_NOTFOUND);
	assert_non_null(strstr(fault.text, r->path));
	assert_int_equal(file_read(r->dir, 5, &b, &fault), RK_E_INVALID);
	assert_int_equal(mkfifo(r->path, 0600), 0);
	assert_int_equal(file_read(r->path, 5, &b, &fault), RK_E_INVALID);
}

static void test_the_mode_is_as_asked_whatever_the_umask(void **state)
{
	struct room *r = *state;
	mode_t before = umask(077);
	struct stat st;

	put(r, "x", 1, 0644);
	umask(before);
	assert_int_equal(stat(r->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
}

static void test_writing_replaces_the_whole_and_leaves_nothing_beside_it(void **state)
{
	struct room *r = *state;
	struct rk_buf b;

	put(r, "a longer text", 13, 0600);
	put(r, "new", 3, 0600);
	assert_int_equal(file_read(r->path, 100, &b, NULL), 0);
	assert_true(rk_slice_is(rk_buf_slice(&b), "new"));
	rk_buf_free(&b);
	assert_int_equal(count_entries(r->dir), 1);
}

static void test_an_exclusive_write_never_replaces(void **state)
{
	struct room *r = *state;
	struct rk_fault fault;
	struct rk_buf b;

	assert_int_equal(file_write(r->path, rk_str("one"), 0600, true, &fault), 0);
	assert_int_equal(file_write(r->path, rk_str("two"), 0600, true, &fault), RK_E_EXISTS);
	assert_int_equal(file_read(r->path, 100, &b, NULL), 0);
	assert_true(rk_slice_is(rk_buf_slice(&b), "one"));
	rk_buf_free(&b);
	assert_int_equal(count_entries(r->dir), 1);
}

static void test_writing_into_a_missing_directory_says_so(void **state)
{
	struct room *r = *state;
	struct rk_fault fault;
	char path[PATH_BYTES];

	assert_int_equal(file_join(r->dir, "none/file", path, sizeof path), 0);
	assert_int_equal(file_write(path, rk_str("x"), 0600, false, &fault), RK_E_NOTFOUND);
	assert_non_null(strstr(fault.text, path));
}

static void test_an_endless_secret_is_refused(void **state)
{
	RK_SECRET_AUTO s = {0};

	(void)state;
	assert_int_equal(file_read_secret("/dev/zero", 16, false, &s, NULL), RK_E_TOOBIG);
	assert_int_equal(secret_arena_in_use(), 0);
}

static void test_one_trailing_newline_of_a_secret_is_dropped(void **state)
{
	static const char *const pairs[][2] = {{"1234", "1234"},     {"1234\n", "1234"},
	                                       {"1234\r\n", "1234"}, {"1234\n\n", "1234\n"},
	                                       {"12\n34", "12\n34"}, {" 1234 \n", " 1234 "},
	                                       {"1234\r", "1234\r"}};

	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		RK_SECRET_AUTO s = {0};

		put(*state, pairs[i][0], strlen(pairs[i][0]), 0600);
		assert_int_equal(read_secret(*state, 16, true, &s), 0);
		assert_true(rk_slice_is(rk_secret_slice(&s), pairs[i][1]));
		assert_true(secret_arena_holds(s.p));
	}
	assert_int_equal(secret_arena_in_use(), 0);
}

static void test_the_limit_of_a_secret_does_not_count_its_newline(void **state)
{
	RK_SECRET_AUTO s = {0};

	put(*state, "12345678\r\n", 10, 0600);
	assert_int_equal(read_secret(*state, 8, true, &s), 0);
	assert_int_equal(s.len, 8);
	assert_int_equal(read_secret(*state, 7, true, &s), RK_E_TOOBIG);
	put(*state, "123456789", 9, 0600);
	assert_int_equal(read_secret(*state, 8, true, &s), RK_E_TOOBIG);
	put(*state, "12345678901", 11, 0600);
	assert_int_equal(read_secret(*state, 8, true, &s), RK_E_TOOBIG);
}

static void test_empty_secrets_and_nul_bytes_are_refused(void **state)
{
	RK_SECRET_AUTO s = {0};

	put(*state, "", 0, 0600);
	assert_int_equal(read_secret(*state, 8, true, &s), RK_E_INVALID);
	put(*state, "\r\n", 2, 0600);
	assert_int_equal(read_secret(*state, 8, true, &s), RK_E_INVALID);
	put(*state, "ab\0c", 4, 0600);
	assert_int_equal(read_secret(*state, 8, true, &s), RK_E_INVALID);
	assert_int_equal(secret_arena_in_use(), 0);
}

static void test_a_secret_file_open_to_others_is_refused_when_it_must_be_private(void **state)
{
	static const unsigned open_modes[] = {0640, 0604, 0620, 0602};
	RK_SECRET_AUTO s = {0};

	for (size_t i = 0; i < sizeof open_modes / sizeof open_modes[0]; i++) {
		put(*state, "1234", 4, open_modes[i]);
		assert_int_equal(read_secret(*state, 8, true, &s), RK_E_DENIED);
	}
	assert_int_equal(read_secret(*state, 8, false, &s), 0);
	rk_secret_free(&s);
	put(*state, "1234", 4, 0400);
	assert_int_equal(read_secret(*state, 8, true, &s), 0);
}

static void test_a_secret_comes_from_standard_input_too(void **state)
{
	RK_SECRET_AUTO s = {0};
	int saved = dup(STDIN_FILENO), pair[2];

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(write(pair[1], "sk-", 3), 3);
	assert_int_equal(write(pair[1], "live\n", 5), 5);
	close(pair[1]);
	dup2(pair[0], STDIN_FILENO);
	close(pair[0]);
	assert_int_equal(file_read_secret("-", 16, true, &s, NULL), 0);
	if (saved >= 0) {
		dup2(saved, STDIN_FILENO);
		close(saved);
	}
	assert_true(rk_slice_is(rk_secret_slice(&s), "sk-live"));
}

static void test_names_are_joined_and_absolute_ones_stand_alone(void **state)
{
	char out[12];

	(void)state;
	assert_int_equal(file_join("/etc", "x", out, sizeof out), 0);
	assert_string_equal(out, "/etc/x");
	assert_int_equal(file_join("/etc", "/run/x", out, sizeof out), 0);
	assert_string_equal(out, "/run/x");
	assert_int_equal(file_join("/", "x", out, sizeof out), 0);
	assert_string_equal(out, "/x");
	assert_int_equal(file_join("/etc", "123456", out, sizeof out), 0);
	assert_int_equal(file_join("/etc", "1234567", out, sizeof out), RK_E_TOOBIG);
}

static void test_closing_twice_is_harmless(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	file_close(&fd);
	assert_int_equal(fd, -1);
	file_close(&fd);
}

#define WITH_DIR(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_DIR(test_what_was_written_is_read_back),
	    WITH_DIR(test_a_file_may_be_as_big_as_the_limit_and_no_bigger),
	    WITH_DIR(test_a_missing_file_a_directory_and_a_fifo_are_told_apart),
	    WITH_DIR(test_the_mode_is_as_asked_whatever_the_umask),
	    WITH_DIR(test_writing_replaces_the_whole_and_leaves_nothing_beside_it),
	    WITH_DIR(test_an_exclusive_write_never_replaces),
	    WITH_DIR(test_writing_into_a_missing_directory_says_so),
	    cmocka_unit_test(test_an_endless_secret_is_refused),
	    WITH_DIR(test_one_trailing_newline_of_a_secret_is_dropped),
	    WITH_DIR(test_the_limit_of_a_secret_does_not_count_its_newline),
	    WITH_DIR(test_empty_secrets_and_nul_bytes_are_refused),
	    WITH_DIR(test_a_secret_file_open_to_others_is_refused_when_it_must_be_private),
	    cmocka_unit_test(test_a_secret_comes_from_standard_input_too),
	    cmocka_unit_test(test_names_are_joined_and_absolute_ones_stand_alone),
	    cmocka_unit_test(test_closing_twice_is_harmless),
	};

	if (secret_arena_init(4 * (size_t)SECRET_MAX_BYTES, SECRET_BACKING_BEST, NULL))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

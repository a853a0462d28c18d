/*
 * The secret arena. Each test that needs an arena of its own kind runs in a child process,
 * because there is one arena a process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/secret.h"

enum { ARENA_BYTES = 2 * SECRET_MAX_BYTES };

static const char marker[] = "sk-live-planted-secret-0123456789";

/* Runs fn in a child; returns its wait status. */
static int in_child(int (*fn)(void))
{
	pid_t pid;
	int status = -1;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* what a dying child says is expected; keep it out of the report */
		if (!freopen("/dev/null", "w", stderr))
			_exit(99);
		_exit(fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void assert_child_passes(int (*fn)(void))
{
	int status = in_child(fn);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void assert_child_aborts(int (*fn)(void))
{
	int status = in_child(fn);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

#define CHECK(cond)                                                                            \
	do {                                                                                   \
		if (!(cond))                                                                   \
			return __LINE__ % 250 + 1;                                             \
	} while (0)

static void a_block_has_at_least_the_room_asked_for_and_is_empty(void **state)
{
	static const size_t caps[] = {0, 1, 64, 65, 256, 257, 4096, 5000, SECRET_MAX_BYTES};

	(void)state;
	for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++) {
		RK_SECRET_AUTO s = {0};

		assert_int_equal(rk_secret_alloc(&s, caps[i]), 0);
		assert_true(s.cap >= caps[i]);
		assert_int_equal(s.len, 0);
		assert_true(secret_arena_holds(s.p));
		assert_true(secret_arena_holds(s.p + s.cap - 1));
		memset(s.p, 0xa5, s.cap);
	}
	assert_int_equal(secret_arena_in_use(), 0);
}

static void more_than_the_largest_block_is_refused(void **state)
{
	struct rk_secret s = {0};

	(void)state;
	assert_int_equal(rk_secret_alloc(&s, SECRET_MAX_BYTES + 1), RK_E_TOOBIG);
	assert_null(s.p);
}

static void a_full_arena_gives_nomem_and_recovers_when_a_block_comes_back(void **state)
{
	struct rk_secret all[ARENA_BYTES / 4096] = {0};
	struct rk_secret more = {0};

	(void)state;
	for (size_t i = 0; i < ARENA_BYTES / 4096; i++)
		assert_int_equal(rk_secret_alloc(&all[i], 4096), 0);
	assert_int_equal(secret_arena_in_use(), ARENA_BYTES);
	assert_int_equal(rk_secret_alloc(&more, 1), RK_E_NOMEM);
	assert_null(more.p);
	rk_secret_free(&all[7]);
	assert_int_equal(rk_secret_alloc(&more, 1), 0);
	rk_secret_free(&more);
	for (size_t i = 0; i < ARENA_BYTES / 4096; i++)
		rk_secret_free(&all[i]);
	assert_int_equal(secret_arena_in_use(), 0);
}

static void small_blocks_join_again_into_the_largest(void **state)
{
	struct rk_secret small[ARENA_BYTES / 64] = {0};
	struct rk_secret big[2] = {0};

	(void)state;
	for (size_t i = 0; i < ARENA_BYTES / 64; i++)
		assert_int_equal(rk_secret_alloc(&small[i], 64), 0);
	/* an order unlike that of the allocation */
	for (size_t i = 0; i < ARENA_BYTES / 64; i += 2)
		rk_secret_free(&small[i]);
	for (size_t i = ARENA_BYTES / 64; i > 0; i--)
		rk_secret_free(&small[i - 1]);
	assert_int_equal(rk_secret_alloc(&big[0], SECRET_MAX_BYTES), 0);
	assert_int_equal(rk_secret_alloc(&big[1], SECRET_MAX_BYTES), 0);
	rk_secret_free(&big[0]);
	rk_secret_free(&big[1]);
}

static void blocks_do_not_overlap(void **state)
{
	struct rk_secret s[64] = {0};

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		assert_int_equal(rk_secret_alloc(&s[i], (size_t)64 << (i % 4)), 0);
		memset(s[i].p, (int)i + 1, s[i].cap);
	}
	for (unsigned i = 0; i < 64; i++) {
		for (size_t k = 0; k < s[i].cap; k++)
			assert_int_equal(s[i].p[k], i + 1);
		rk_secret_free(&s[i]);
	}
}

static void adding_beyond_the_block_is_refused_and_changes_nothing(void **state)
{
	RK_SECRET_AUTO s = {0};
	char many[64] = {0};

	(void)state;
	assert_int_equal(rk_secret_alloc(&s, 64), 0);
	assert_int_equal(rk_secret_add(&s, "abc", 3), 0);
	assert_int_equal(rk_secret_add(&s, many, 62), RK_E_TOOBIG);
	assert_int_equal(s.len, 3);
	assert_int_equal(rk_secret_add(&s, many, 61), 0);
	assert_int_equal(s.len, 64);
	assert_memory_equal(s.p, "abc", 3);
}

static void moving_leaves_the_source_empty(void **state)
{
	RK_SECRET_AUTO a = {0};
	RK_SECRET_AUTO b = {0};

	(void)state;
	assert_int_equal(rk_secret_alloc(&a, 10), 0);
	assert_int_equal(rk_secret_add(&a, "x", 1), 0);
	rk_secret_move(&b, &a);
	assert_null(a.p);
	assert_int_equal(a.cap, 0);
	assert_int_equal(b.len, 1);
	assert_int_equal(b.p[0], 'x');
}

#ifndef RK_WITHOUT_WIPE
static void wiping_clears_the_bytes_in_use_and_keeps_the_block(void **state)
{
	RK_SECRET_AUTO s = {0};
	unsigned char *block;

	(void)state;
	assert_int_equal(rk_secret_alloc(&s, 256), 0);
	block = s.p;
	memset(s.p, 1, s.cap);
	s.len = 7;
	rk_secret_wipe(&s);
	assert_ptr_equal(s.p, block);
	assert_int_equal(s.cap, 256);
	assert_int_equal(s.len, 0);
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(s.p[i], 0);
	/* a short datagram in a block of 64 KiB does not pay for 64 KiB */
	assert_int_equal(s.p[7], 1);
}

static void freeing_clears_what_was_written_behind_the_bytes_in_use(void **state)
{
	RK_SECRET_AUTO s = {0};
	unsigned char *block;

	(void)state;
	assert_int_equal(rk_secret_alloc(&s, 256), 0);
	block = s.p;
	memset(s.p, 1, s.cap);
	s.len = 7;
	rk_secret_free(&s);
	for (size_t i = 0; i < 256; i++)
		assert_int_equal(block[i], 0);
}
#endif

static void a_library_s_blocks_are_blocks_of_the_arena(void **state)
{
	size_t before = secret_arena_in_use();
	char *one = secret_arena_take(100), *none = secret_arena_take(0);

	(void)state;
	assert_non_null(one);
	assert_non_null(none);
	assert_true(secret_arena_holds(one) && secret_arena_holds(none));
	assert_int_equal(secret_arena_in_use(), before + 256 + 64);
	assert_int_equal(secret_arena_size(one), 256);
	memset(one, 'x', 256);
	secret_arena_give(one);
	secret_arena_give(none);
	secret_arena_give(NULL);
	assert_int_equal(secret_arena_in_use(), before);
	assert_null(secret_arena_take(SECRET_MAX_BYTES + 1));
}

static void freeing_nothing_is_harmless(void **state)
{
	struct rk_secret s = {0};

	(void)state;
	rk_secret_free(NULL);
	rk_secret_free(&s);
	rk_secret_wipe(&s);
}

static void equality_needs_equal_length_and_bytes(void **state)
{
	(void)state;
	assert_true(rk_equal_ct(rk_str("abc"), rk_str("abc")));
	assert_true(rk_equal_ct(rk_str(""), rk_slice(NULL, 0)));
	assert_false(rk_equal_ct(rk_str("abc"), rk_str("abd")));
	assert_false(rk_equal_ct(rk_str("abc"), rk_str("ab")));
}

static void a_second_arena_is_refused(void **state)
{
	struct rk_fault fault;

	(void)state;
	assert_int_equal(secret_arena_init(4096, SECRET_BACKING_LOCKED, &fault), RK_E_STATE);
}

static void core_dumps_are_forbidden(void **state)
{
	struct rlimit lim;

	(void)state;
	assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
	assert_int_equal(getrlimit(RLIMIT_CORE, &lim), 0);
	assert_int_equal(lim.rlim_cur, 0);
	assert_int_equal(lim.rlim_max, 0);
}

static void *churn(void *arg)
{
	unsigned seed = *(unsigned *)arg;

	for (unsigned i = 0; i < 2000; i++) {
		struct rk_secret s = {0};

		seed = seed * 1103515245 + 12345;
		if (rk_secret_alloc(&s, (seed >> 16) % 5000) != 0)
			return NULL;
		memset(s.p, (int)seed | 1, s.cap);
		rk_secret_free(&s);
	}
	return arg;
}

static void threads_may_share_the_arena(void **state)
{
	pthread_t t[4];
	unsigned seed[4] = {1, 2, 3, 4};

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, churn, &seed[i]), 0);
	for (int i = 0; i < 4; i++) {
		void *done = NULL;

		pthread_join(t[i], &done);
		assert_ptr_equal(done, &seed[i]);
	}
	assert_int_equal(secret_arena_in_use(), 0);
}

/* What the outside sees at p: 1 the marker, 0 zeroes, -1 anything else. */
static int seen_from_outside(const void *p)
{
	char got[sizeof marker] = {0};
	char zero[sizeof marker] = {0};
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -2;
	n = pread(fd, got, sizeof got, (off_t)(uintptr_t)p);
	close(fd);
	if (n != (ssize_t)sizeof got)
		return -3;
	if (memcmp(got, marker, sizeof got) == 0)
		return 1;
	return memcmp(got, zero, sizeof got) == 0 ? 0 : -1;
}

static int locked_arena_is_zero_after_free(void)
{
	struct rk_fault fault;
	struct rk_secret s = {0};
	const void *at;

	CHECK(secret_arena_init(ARENA_BYTES, SECRET_BACKING_LOCKED, &fault) == 0);
	CHECK(strcmp(secret_arena_backing(), "locked pages") == 0);
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	CHECK(rk_secret_alloc(&s, 200) == 0);
	CHECK(rk_secret_add(&s, marker, sizeof marker) == 0);
	at = s.p;
	CHECK(seen_from_outside(at) == 1);
	rk_secret_free(&s);
	CHECK(seen_from_outside(at) == 0);
	return 0;
}

static void a_freed_block_is_zero_in_proc_mem_and_was_not_before(void **state)
{
	(void)state;
#ifdef RK_WITHOUT_WIPE
	/* the self-test of the canary's build: the very same check must fail there */
	assert_int_not_equal(in_child(locked_arena_is_zero_after_free), 0);
#else
	assert_child_passes(locked_arena_is_zero_after_free);
#endif
}

static int memfd_secret_hides_from_proc_mem(void)
{
	struct rk_fault fault;
	struct rk_secret s = {0};

	CHECK(secret_arena_init(ARENA_BYTES, SECRET_BACKING_BEST, &fault) == 0);
	if (strcmp(secret_arena_backing(), "memfd_secret") != 0)
		return 0; /* a kernel without it: the locked pages are tested above */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	CHECK(rk_secret_alloc(&s, 200) == 0);
	CHECK(rk_secret_add(&s, marker, sizeof marker) == 0);
	CHECK(seen_from_outside(s.p) == -3);
	rk_secret_free(&s);
	return 0;
}

static void memfd_secret_pages_are_not_readable_from_outside(void **state)
{
	(void)state;
	assert_child_passes(memfd_secret_hides_from_proc_mem);
}

static int child_of_locked_arena_sees_zero(void)
{
	struct rk_fault fault;
	struct rk_secret s = {0};
	int status = -1;
	pid_t pid;

	CHECK(secret_arena_init(ARENA_BYTES, SECRET_BACKING_LOCKED, &fault) == 0);
	CHECK(rk_secret_alloc(&s, 200) == 0);
	CHECK(rk_secret_add(&s, marker, sizeof marker) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		_exit(s.p[0] == 0 && memcmp(s.p, s.p + 1, s.cap - 1) == 0 ? 0 : 1);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(memcmp(s.p, marker, sizeof marker) == 0);
	rk_secret_free(&s);
	return 0;
}

static void a_forked_child_does_not_inherit_locked_secrets(void **state)
{
	(void)state;
	assert_child_passes(child_of_locked_arena_sees_zero);
}

static int write_after_free(void)
{
	struct rk_fault fault;
	struct rk_secret s = {0};
	struct rk_secret again = {0};
	unsigned char *stale;

	CHECK(secret_arena_init(ARENA_BYTES, SECRET_BACKING_LOCKED, &fault) == 0);
	CHECK(rk_secret_alloc(&s, 64) == 0);
	stale = s.p;
	rk_secret_free(&s);
	stale[40] = 1;
	CHECK(rk_secret_alloc(&again, 64) == 0);
	return 0;
}

static void a_write_after_free_aborts_at_the_next_allocation(void **state)
{
	(void)state;
#ifndef RK_WITHOUT_WIPE
	assert_child_aborts(write_after_free);
#else
	assert_child_passes(write_after_free);
#endif
}

static int double_free(void)
{
	struct rk_fault fault;
	struct rk_secret s = {0};
	struct rk_secret copy;

	CHECK(secret_arena_init(ARENA_BYTES, SECRET_BACKING_LOCKED, &fault) == 0);
	CHECK(rk_secret_alloc(&s, 64) == 0);
	copy = s;
	rk_secret_free(&s);
	rk_secret_free(&copy);
	return 0;
}

static void freeing_a_block_twice_aborts(void **state)
{
	(void)state;
	assert_child_aborts(double_free);
}

static int free_of_heap(void)
{
	struct rk_fault fault;
	unsigned char *p = malloc(64);
	struct rk_secret s = {.p = p, .len = 0, .cap = 64};

	CHECK(secret_arena_init(ARENA_BYTES, SECRET_BACKING_LOCKED, &fault) == 0);
	rk_secret_free(&s);
	free(p);
	return 0;
}

static void freeing_memory_of_the_heap_aborts(void **state)
{
	(void)state;
	assert_child_aborts(free_of_heap);
}

static int alloc_without_arena(void)
{
	struct rk_secret s = {0};

	CHECK(strcmp(secret_arena_backing(), "none") == 0);
	CHECK(rk_secret_alloc(&s, 1) == RK_E_NOMEM);
	CHECK(!secret_arena_holds(&s));
	return 0;
}

/* AddressSanitizer turns mlock() into nothing, so there is no limit to meet under it. */
#ifndef __SANITIZE_ADDRESS__
static int over_the_lock_limit(void)
{
	struct rk_fault fault = {0};
	struct rlimit small = {65536, 65536};

	CHECK(setrlimit(RLIMIT_MEMLOCK, &small) == 0);
	/* an unprivileged user, for whom the limit counts */
	if (geteuid() == 0)
		CHECK(setresuid(65534, 65534, 65534) == 0);
	CHECK(secret_arena_init(1 << 20, SECRET_BACKING_BEST, &fault) == RK_E_NOMEM);
	CHECK(strstr(fault.text, "RLIMIT_MEMLOCK") != NULL);
	CHECK(secret_arena_init(65536, SECRET_BACKING_BEST, &fault) == 0);
	return 0;
}

static void a_lock_limit_too_small_is_named_and_one_that_suffices_is_not(void **state)
{
	(void)state;
	assert_child_passes(over_the_lock_limit);
}
#endif

static int start_arena(void **state)
{
	struct rk_fault fault;

	(void)state;
	return secret_arena_init(ARENA_BYTES, SECRET_BACKING_BEST, &fault);
}

static void without_an_arena_there_is_no_memory(void **state)
{
	(void)state;
	assert_child_passes(alloc_without_arena);
}

int main(void)
{
	const struct CMUnitTest alone[] = {
	    cmocka_unit_test(without_an_arena_there_is_no_memory),
	    cmocka_unit_test(a_freed_block_is_zero_in_proc_mem_and_was_not_before),
	    cmocka_unit_test(memfd_secret_pages_are_not_readable_from_outside),
	    cmocka_unit_test(a_forked_child_does_not_inherit_locked_secrets),
	    cmocka_unit_test(a_write_after_free_aborts_at_the_next_allocation),
	    cmocka_unit_test(freeing_a_block_twice_aborts),
	    cmocka_unit_test(freeing_memory_of_the_heap_aborts),
#ifndef __SANITIZE_ADDRESS__
	    cmocka_unit_test(a_lock_limit_too_small_is_named_and_one_that_suffices_is_not),
#endif
	};
	const struct CMUnitTest shared[] = {
	    cmocka_unit_test(a_block_has_at_least_the_room_asked_for_and_is_empty),
	    cmocka_unit_test(more_than_the_largest_block_is_refused),
	    cmocka_unit_test(a_full_arena_gives_nomem_and_recovers_when_a_block_comes_back),
	    cmocka_unit_test(small_blocks_join_again_into_the_largest),
	    cmocka_unit_test(blocks_do_not_overlap),
	    cmocka_unit_test(adding_beyond_the_block_is_refused_and_changes_nothing),
	    cmocka_unit_test(moving_leaves_the_source_empty),
#ifndef RK_WITHOUT_WIPE
	    cmocka_unit_test(wiping_clears_the_bytes_in_use_and_keeps_the_block),
	    cmocka_unit_test(freeing_clears_what_was_written_behind_the_bytes_in_use),
#endif
	    cmocka_unit_test(a_library_s_blocks_are_blocks_of_the_arena),
	    cmocka_unit_test(freeing_nothing_is_harmless),
	    cmocka_unit_test(equality_needs_equal_length_and_bytes),
	    cmocka_unit_test(a_second_arena_is_refused),
	    cmocka_unit_test(core_dumps_are_forbidden),
	    cmocka_unit_test(threads_may_share_the_arena),
	};
	int failed = cmocka_run_group_tests(alone, NULL, NULL);

	return failed + cmocka_run_group_tests(shared, start_arena, NULL);
}

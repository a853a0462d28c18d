/*
 * How fast the journal commits: journal_bench DIR. For batches of several sizes, with and
 * without fsync, rows of a typical length; prints one line each. Deletes what it made.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "keeper/journal.h"

enum { BODY = 400, BATCH_MAX = 128, SPAN_US = 1000000 };

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int run(struct journal *j, size_t batch, const char *mode)
{
	static char bodies[BATCH_MAX][BODY];
	static int64_t took[1 << 20];
	struct journal_entry e[BATCH_MAX] = {0};
	struct rk_fault fault;
	int64_t start = rk_mono_us(), now = start, in_maintain = 0, longest = 0;
	size_t n = 0;

	for (size_t i = 0; i < batch; i++) {
		memset(bodies[i], (int)i + 1, BODY);
		e[i].body = rk_slice(bodies[i], BODY);
	}
	while (now - start < SPAN_US && n < sizeof took / sizeof took[0]) {
		int64_t done, kept;

		if (journal_append(j, e, batch, &fault) != 0) {
			fprintf(stderr, "%s\n", fault.text);
			return -1;
		}
		done = rk_mono_us();
		took[n++] = done - now;
		journal_maintain(j);
		kept = rk_mono_us();
		in_maintain += kept - done;
		if (kept - done > longest)
			longest = kept - done;
		now = kept;
	}
	qsort(took, n, sizeof took[0], compare);
	printf("%s batch %3zu: %7.0f rows/s, commit median %4lld us, p99 %5lld us; "
	       "maintenance %4.1f %%, longest %lld us\n",
	       mode, batch, (double)(n * batch) * 1e6 / (double)(now - start),
	       (long long)took[n / 2], (long long)took[n * 99 / 100],
	       100.0 * (double)in_maintain / (double)(now - start), (long long)longest);
	return 0;
}

int main(int argc, char **argv)
{
	static const size_t batches[] = {1, 8, 32, BATCH_MAX};
	static const char *const tails[] = {"", "-wal", "-shm"};
	struct rk_secret key = {0};
	struct rk_fault fault = {0};
	char path[1024];
	int err = 0;

	if (argc != 2 || secret_arena_init(SECRET_MAX_BYTES, SECRET_BACKING_LOCKED, &fault) ||
	    rk_secret_alloc(&key, 32) != 0) {
		fprintf(stderr, "usage: journal_bench DIR\n%s\n", fault.text);
		return 2;
	}
	memset(key.p, 'k', 32);
	key.len = 32;
	snprintf(path, sizeof path, "%s/journal-bench.db", argv[1]);
	for (int full = 1; full >= 0 && !err; full--) {
		struct journal *j = NULL;

		err = journal_open(path, &key, full, true, &j, &fault);
		if (err)
			fprintf(stderr, "%s\n", fault.text);
		for (size_t i = 0; i < sizeof batches / sizeof batches[0] && !err; i++)
			err = run(j, batches[i], full ? "FULL  " : "NORMAL");
		journal_close(j);
		for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
			char name[1040];

			snprintf(name, sizeof name, "%s%s", path, tails[i]);
			unlink(name);
		}
	}
	rk_secret_free(&key);
	return err ? 1 : 0;
}

/*
 * How fast the journal commits: journal_bench DIR. For batches of several sizes, with and
 * without fsync, REQUEST and RESPONSE rows in turn as a proxied request makes them; prints one
 * line each. Deletes what it made.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "keeper/journal.h"
#include "policy/reason.h"

enum { ROW_CAP = 1024, BATCH_MAX = 512, SPAN_US = 1000000 };

static const struct audit_row typical[2] = {
    {.type = AUDIT_REQUEST,
     .time_ms = 1790000000000,
     .request_id = "0123456789abcdef",
     .key_id = {"key_4f9Qm2LxTz", 14},
     .holder = {"billing", 7},
     .conn_id = {"conn_7Yw3Kd81pQ", 15},
     .conn_name = {"openai", 6},
     .provider = {"openai", 6},
     .env = {"production", 10},
     .client_ip = "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x01\x02",
     .user_agent = {"OpenAI/JS 4.77.0 (linux x64) node/22.11.0 undici keep-alive.", 60},
     .method = {"POST", 4},
     .path = {"/v1/chat/completions", 20},
     .decision = DECISION_ALLOWED,
     .policy_version = 1200},
    {.type = AUDIT_RESPONSE,
     .time_ms = 1790000000500,
     .request_id = "0123456789abcdef",
     .decision = DECISION_ALLOWED,
     .policy_version = 1200,
     .status = 200,
     .bytes_in = 900,
     .bytes_out = 2400,
     .unwrap_us = 180,
     .upstream_us = 420000,
     .total_us = 430000,
     .outcome = OUTCOME_COMPLETE},
};

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int64_t cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * INT64_C(1000000) + u.ru_utime.tv_usec +
	       u.ru_stime.tv_usec;
}

/* The row's bytes in dst; `id` makes it another one. */
static struct rk_slice pack(struct audit_row row, size_t id, char *dst)
{
	ssize_t n;

	memcpy(row.request_id, &id, sizeof id);
	n = record_pack(&audit_row_desc, &row, dst, ROW_CAP);
	return rk_slice(dst, n > 0 ? (size_t)n : 0);
}

static int run(struct journal *j, size_t batch, const char *mode)
{
	static char bodies[BATCH_MAX][ROW_CAP];
	static int64_t took[1 << 20];
	struct journal_entry e[BATCH_MAX] = {0};
	struct rk_fault fault;
	int64_t start = rk_mono_us(), now = start, in_maintain = 0, longest = 0;
	int64_t cpu = cpu_us();
	size_t n = 0;

	while (now - start < SPAN_US && n < sizeof took / sizeof took[0]) {
		int64_t done, kept;

		for (size_t i = 0; i < batch; i++)
			e[i].body = pack(typical[(n + i) % 2], n * batch + i, bodies[i]);
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
	cpu = cpu_us() - cpu;
	qsort(took, n, sizeof took[0], compare);
	printf("%s batch %3zu: %7.0f rows/s, commit median %4lld us, p99 %5lld us; "
	       "%5.1f us CPU a row; maintenance %4.1f %%, longest %lld us\n",
	       mode, batch, (double)(n * batch) * 1e6 / (double)(now - start),
	       (long long)took[n / 2], (long long)took[n * 99 / 100],
	       (double)cpu / (double)(n * batch),
	       100.0 * (double)in_maintain / (double)(now - start), (long long)longest);
	return 0;
}

int main(int argc, char **argv)
{
	static const size_t batches[] = {1, 8, 32, 128, BATCH_MAX};
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
	for (size_t i = 0; i < 2; i++) {
		char row[ROW_CAP];

		printf("%s row: %zu bytes\n", audit_type_name(typical[i].type),
		       pack(typical[i], 0, row).n);
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

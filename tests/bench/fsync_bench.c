/*
 * What durability costs on this disk: fsync_bench DIR. Overwrites 8 KiB pieces of a
 * preallocated file, as a small commit to a write-ahead log does, each followed by fdatasync,
 * for about a second; prints {"writes":N,"p10":µs,"p50":µs,"p99":µs}. Deletes what it made.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/wire/samples.h"
#include "tests/bench/wire/tls.h"

enum { PIECE = 8192, FILE_BYTES = 4 << 20, SPAN_US = 1000000 };

static char piece[PIECE];

static char path[4096];

static int make_file(const char *dir)
{
	int fd;

	snprintf(path, sizeof path, "%s/fsync-bench-XXXXXX", dir);
	fd = mkstemp(path);
	if (fd < 0)
		wire_die("cannot make a file in %s: %m", dir);
	for (int at = 0; at < FILE_BYTES; at += PIECE) {
		if (write(fd, piece, PIECE) != PIECE)
			wire_die("cannot write: %m");
	}
	if (fsync(fd))
		wire_die("fsync: %m");
	return fd;
}

int main(int argc, char **argv)
{
	struct samples took = {0};
	int64_t start = wire_now_us(), before = start, after;
	off_t at = 0;
	int fd;

	if (argc != 2)
		wire_die("usage: fsync_bench DIR");
	fd = make_file(argv[1]);
	for (start = before = wire_now_us(); before - start < SPAN_US; before = after) {
		piece[0]++;
		if (pwrite(fd, piece, PIECE, at) != PIECE || fdatasync(fd))
			wire_die("cannot write: %m");
		after = wire_now_us();
		samples_add(&took, after - before);
		at = (at + PIECE) % FILE_BYTES;
	}
	printf("{\"writes\":%zu,\"p10\":%u,\"p50\":%u,\"p99\":%u}\n", took.n,
	       samples_at(&took, 10), samples_at(&took, 50), samples_at(&took, 99));
	samples_free(&took);
	unlink(path);
	close(fd);
	return 0;
}

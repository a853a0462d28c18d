/*
 * replay FILE|DIR...: runs every file through the fuzz target that this program is linked with,
 * so that the corpus is a test. Prints "<target>: N inputs". Exit 1 when there were none or one
 * could not be read: an empty corpus must not pass for a tested one.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

enum { PATH_BYTES = 4096 };

static bool replay_file(const char *path, size_t size)
{
	/* A block of exactly the input's size: reading past its end is seen. */
	uint8_t *data = malloc(size ? size : 1);
	FILE *f = fopen(path, "rb");
	bool ok = data && f && fread(data, 1, size, f) == size;

	if (f)
		fclose(f);
	if (ok)
		LLVMFuzzerTestOneInput(data, size);
	else
		fprintf(stderr, "replay: %s: cannot be read\n", path);
	free(data);
	return ok;
}

static bool replay(const char *path, size_t *count);

static bool replay_directory(const char *path, size_t *count)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool ok = true;

	if (!dir) {
		fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
		return false;
	}
	while ((entry = readdir(dir)) != NULL) {
		char inner[PATH_BYTES];
		int n;

		if (entry->d_name[0] == '.')
			continue;
		n = snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		if (n < 0 || (size_t)n >= sizeof(inner)) {
			fprintf(stderr, "replay: %s: path too long\n", entry->d_name);
			ok = false;
		} else if (!replay(inner, count)) {
			ok = false;
		}
	}
	closedir(dir);
	return ok;
}

static bool replay(const char *path, size_t *count)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
		return false;
	}
	if (S_ISDIR(st.st_mode))
		return replay_directory(path, count);
	if (!S_ISREG(st.st_mode)) {
		fprintf(stderr, "replay: %s: neither a file nor a directory\n", path);
		return false;
	}
	++*count;
	return replay_file(path, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
	size_t count = 0;
	bool ok = true;

	for (int i = 1; i < argc; i++)
		ok = replay(argv[i], &count) && ok;
	printf("%s: %zu inputs\n", program_invocation_short_name, count);
	return ok && count ? 0 : 1;
}

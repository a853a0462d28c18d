#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"

enum { STEP_US = 200000 };

static int64_t shown_us;
static bool shown;

/* Only where somebody looks at it. */
static bool is_due(void)
{
	int64_t now_us = rk_mono_us();

	if (!isatty(STDERR_FILENO) || (shown_us && now_us - shown_us < STEP_US))
		return false;
	shown_us = now_us;
	shown = true;
	return true;
}

void cli_progress(const char *what, uint64_t done, uint64_t total)
{
	if (!is_due())
		return;
	if (total)
		fprintf(stderr, "\r\033[K%s: %llu of %llu", what, (unsigned long long)done,
		        (unsigned long long)total);
	else
		fprintf(stderr, "\r\033[K%s: %llu", what, (unsigned long long)done);
	fflush(stderr);
}

void cli_progress_end(void)
{
	if (shown)
		fputs("\r\033[K", stderr);
	shown = false;
}

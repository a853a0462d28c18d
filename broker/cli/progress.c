#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"

enum { STEP_US = 200000, STEP_MS = STEP_US / 1000 };

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

int cli_call_long(struct cli *c, const char *what, enum ipc_type type, const void *body,
                  enum ipc_type answer, struct ipc_message *m)
{
	int64_t start_us = rk_mono_us();
	int status = cli_send(c, type, body);

	while (!status && !cli_ready(c, STEP_MS)) {
		if (!is_due())
			continue;
		fprintf(stderr, "\r\033[K%s: %lld s", what,
		        (long long)((rk_mono_us() - start_us) / 1000000));
		fflush(stderr);
	}
	cli_progress_end();
	if (!status)
		status = cli_receive(c, m);
	if (!status && m->type != answer)
		status = cli_fail(CLI_FAILED, "the broker gave an answer to another question");
	return status;
}

#include "supervisor/restart.h"

void restart_started(struct restart *r, int64_t now_ms)
{
	r->started_ms = now_ms;
}

int64_t restart_delay_ms(struct restart *r, int64_t now_ms)
{
	int64_t delay = RESTART_FIRST_MS;

	if (now_ms - r->started_ms >= RESTART_STEADY_MS)
		r->deaths = 0;
	r->deaths++;
	if (r->deaths == 1)
		return 0;
	for (unsigned i = 2; i < r->deaths && delay < RESTART_MAX_MS; i++)
		delay *= 2;
	return delay < RESTART_MAX_MS ? delay : RESTART_MAX_MS;
}

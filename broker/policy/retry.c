#include "policy/retry.h"

int64_t retry_delay_ms(uint32_t attempts, uint32_t random, uint32_t retry_after_s)
{
	int64_t ms = RETRY_FIRST_MS, asked_ms = (int64_t)retry_after_s * 1000;

	while (attempts > 1 && ms < RETRY_LONGEST_MS) {
		ms *= 2;
		attempts--;
	}
	if (ms > RETRY_LONGEST_MS)
		ms = RETRY_LONGEST_MS;
	ms += ms / 5 * ((int64_t)(random % 2001) - 1000) / 1000;
	if (asked_ms > RETRY_LONGEST_MS)
		asked_ms = RETRY_LONGEST_MS;
	return ms < asked_ms ? asked_ms : ms;
}

bool retry_is_over(uint32_t attempts, bool refused)
{
	return attempts >=
	       (refused ? (uint32_t)RETRY_REFUSED_ATTEMPTS : (uint32_t)RETRY_ATTEMPTS);
}

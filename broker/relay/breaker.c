#include "relay/breaker.h"

enum breaker_word breaker_ask(struct breaker *b, int64_t now_us, uint32_t *retry_s)
{
	if (!b->shut_until_us)
		return BREAKER_DIAL;
	if (now_us >= b->shut_until_us && !b->probing) {
		b->probing = true;
		return BREAKER_PROBE;
	}
	*retry_s = 1;
	if (now_us < b->shut_until_us)
		*retry_s = (uint32_t)((b->shut_until_us - now_us + 999999) / 1000000);
	return BREAKER_OPEN;
}

static void open_for(struct breaker *b, uint32_t ms, int64_t now_us)
{
	b->wait_ms = ms < BREAKER_MAX_MS ? ms : BREAKER_MAX_MS;
	b->shut_until_us = now_us + 1000LL * b->wait_ms;
	b->probing = false;
	b->failures = 0;
}

bool breaker_failed(struct breaker *b, bool probe, int64_t now_us)
{
	if (b->shut_until_us) {
		/* one that was dialled before it opened: known already */
		if (!probe)
			return false;
		open_for(b, b->wait_ms * 2, now_us);
		return true;
	}
	if (++b->failures < BREAKER_FAILURES)
		return false;
	open_for(b, BREAKER_FIRST_MS, now_us);
	return true;
}

bool breaker_succeeded(struct breaker *b)
{
	bool was_open = b->shut_until_us != 0;

	*b = (struct breaker){0};
	return was_open;
}

void breaker_abandoned(struct breaker *b, bool probe)
{
	if (probe)
		b->probing = false;
}

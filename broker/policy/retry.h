/*
 * When something that could not be delivered is tried again, and when it is given up. Pure: the
 * caller brings the random number and the count.
 */
#ifndef POLICY_RETRY_H
#define POLICY_RETRY_H

#include <stdbool.h>
#include <stdint.h>

enum {
	RETRY_FIRST_MS = 5 * 1000,
	RETRY_LONGEST_MS = 6 * 3600 * 1000,
	RETRY_ATTEMPTS = 25,        /* about three days */
	RETRY_REFUSED_ATTEMPTS = 5, /* of somebody who does not want it: about two minutes */
};

/*
 * Milliseconds until the next attempt after `attempts` (>= 1) that failed: doubles from
 * RETRY_FIRST_MS to RETRY_LONGEST_MS, spread by a fifth to either side so that what failed
 * together does not come back together. Not before `retry_after_s`, which the other side asked
 * for, as far as that is not longer than the longest pause.
 */
int64_t retry_delay_ms(uint32_t attempts, uint32_t random, uint32_t retry_after_s);

/* Whether there is no attempt after these. */
bool retry_is_over(uint32_t attempts, bool refused);

#endif

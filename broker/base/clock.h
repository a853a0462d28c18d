/*
 * Time. Two clocks, never mixed: wall time in milliseconds since 1970 (UTC) for
 * everything that is stored or compared with an expiry, monotonic microseconds
 * for durations and deadlines. Pure modules take `now_ms` as an argument.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/err.h"
#include "base/slice.h"

int64_t rk_wall_ms(void);
int64_t rk_mono_us(void);

enum { RK_TIME_TEXT = 25 }; /* "2026-05-01T14:22:18.123Z" and NUL */

/* RFC 3339 in UTC with milliseconds; out has RK_TIME_TEXT bytes. */
void rk_time_format(int64_t wall_ms, char out[RK_TIME_TEXT]);

/*
 * RFC 3339 date-time ("2026-05-01T14:22:18Z", fraction and numeric offset allowed)
 * or a bare date ("2026-05-01", midnight UTC) to wall ms. RK_E_INVALID otherwise.
 */
RK_MUST_CHECK int rk_time_parse(struct rk_slice text, int64_t *wall_ms);

/*
 * A span such as "90s", "15m", "12h", "7d", "2w" to milliseconds; a bare number is
 * seconds. Greater than zero, at most 100 years. RK_E_INVALID otherwise.
 */
RK_MUST_CHECK int rk_span_parse(struct rk_slice text, int64_t *ms);

#endif

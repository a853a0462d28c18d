#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static const int64_t day_ms = 86400000;

int64_t rk_wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t rk_mono_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Days since 1970-01-01 of a proleptic Gregorian date (month 1..12). */
static int64_t days_from_civil(int64_t y, int m, int d)
{
	int64_t era, yoe, doy;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

void rk_time_format(int64_t wall_ms, char out[RK_TIME_TEXT])
{
	int64_t s = wall_ms / 1000, ms = wall_ms % 1000;
	struct tm tm;
	time_t t;

	if (ms < 0) {
		ms += 1000;
		s--;
	}
	t = (time_t)s;
	/* outside year 0..9999 the fixed width would not hold */
	if (s < -62167219200 || s > 253402300799 || !gmtime_r(&t, &tm)) {
		snprintf(out, RK_TIME_TEXT, "invalid-time");
		return;
	}
	snprintf(out, RK_TIME_TEXT, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
	         (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
	         (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100,
	         (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100, (unsigned)ms % 1000);
}

/* Reads exactly `digits` decimal digits at *at. */
static bool take_number(struct rk_slice s, size_t *at, int digits, int *out)
{
	int v = 0;

	if (s.n - *at < (size_t)digits)
		return false;
	for (int i = 0; i < digits; i++) {
		char c = s.p[(*at)++];

		if (c < '0' || c > '9')
			return false;
		v = v * 10 + (c - '0');
	}
	*out = v;
	return true;
}

static bool take_char(struct rk_slice s, size_t *at, char want)
{
	if (*at >= s.n || s.p[*at] != want)
		return false;
	(*at)++;
	return true;
}

static int month_days(int y, int m)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	if (m == 2 && ((y % 4 == 0 && y % 100 != 0) || y % 400 == 0))
		return 29;
	return days[m - 1];
}

/* The ".123" part: milliseconds, further digits dropped. */
static bool take_fraction(struct rk_slice s, size_t *at, int *ms)
{
	int scale = 100;
	size_t start;

	*ms = 0;
	if (!take_char(s, at, '.'))
		return true;
	start = *at;
	for (; *at < s.n && s.p[*at] >= '0' && s.p[*at] <= '9'; (*at)++) {
		*ms += (s.p[*at] - '0') * scale;
		scale /= 10;
	}
	return *at > start;
}

int rk_time_parse(struct rk_slice s, int64_t *wall_ms)
{
	int y, mo, d, h = 0, mi = 0, sec = 0, ms = 0, oh, om, sign;
	int64_t offset_s = 0;
	size_t at = 0;

	if (!take_number(s, &at, 4, &y) || !take_char(s, &at, '-') ||
	    !take_number(s, &at, 2, &mo) || !take_char(s, &at, '-') ||
	    !take_number(s, &at, 2, &d))
		return RK_E_INVALID;
	if (mo < 1 || mo > 12 || d < 1 || d > month_days(y, mo))
		return RK_E_INVALID;
	if (at < s.n) {
		if (s.p[at] != 'T' && s.p[at] != 't' && s.p[at] != ' ')
			return RK_E_INVALID;
		at++;
		if (!take_number(s, &at, 2, &h) || !take_char(s, &at, ':') ||
		    !take_number(s, &at, 2, &mi) || !take_char(s, &at, ':') ||
		    !take_number(s, &at, 2, &sec) || !take_fraction(s, &at, &ms))
			return RK_E_INVALID;
		if (h > 23 || mi > 59 || sec > 59 || at >= s.n)
			return RK_E_INVALID;
		if (s.p[at] == 'Z' || s.p[at] == 'z') {
			at++;
		} else {
			sign = s.p[at] == '-' ? -1 : 1;
			if (s.p[at] != '+' && s.p[at] != '-')
				return RK_E_INVALID;
			at++;
			if (!take_number(s, &at, 2, &oh) || !take_char(s, &at, ':') ||
			    !take_number(s, &at, 2, &om) || oh > 23 || om > 59)
				return RK_E_INVALID;
			offset_s = sign * (oh * 3600 + om * 60);
		}
		if (at != s.n)
			return RK_E_INVALID;
	}
	*wall_ms = days_from_civil(y, mo, d) * day_ms +
	           ((int64_t)h * 3600 + mi * 60 + sec - offset_s) * 1000 + ms;
	return 0;
}

int rk_span_parse(struct rk_slice text, int64_t *ms)
{
	static const struct {
		char unit;
		int64_t ms;
	} units[] = {
	    {'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}, {'w', 604800000},
	};
	int64_t scale = 1000;
	uint64_t v;

	if (text.n == 0)
		return RK_E_INVALID;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (text.p[text.n - 1] == units[i].unit) {
			scale = units[i].ms;
			text.n--;
			break;
		}
	}
	if (!rk_slice_u64(text, &v) || v == 0 || v > (uint64_t)(36525 * day_ms / scale))
		return RK_E_INVALID;
	*ms = (int64_t)v * scale;
	return 0;
}

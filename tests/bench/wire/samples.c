#include "tests/bench/wire/samples.h"

#include <stdlib.h>

#include "tests/bench/wire/tls.h"

enum { FIRST_CAP = 1 << 14 };

void samples_add(struct samples *s, int64_t us)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : FIRST_CAP;
		s->us = realloc(s->us, s->cap * sizeof *s->us);
		if (!s->us)
			wire_die("out of memory");
	}
	s->us[s->n++] = us > 0 ? (uint32_t)us : 0;
	s->sorted = false;
}

void samples_free(struct samples *s)
{
	free(s->us);
	*s = (struct samples){0};
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

uint32_t samples_at(struct samples *s, double p)
{
	size_t i = (size_t)((double)s->n * p / 100);

	if (s->n == 0)
		return 0;
	if (!s->sorted)
		qsort(s->us, s->n, sizeof *s->us, compare);
	s->sorted = true;
	return s->us[i < s->n ? i : s->n - 1];
}

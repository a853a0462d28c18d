/* Times in µs, as many as come, and their percentiles. */
#ifndef BENCH_WIRE_SAMPLES_H
#define BENCH_WIRE_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct samples {
	uint32_t *us;
	size_t n, cap;
	bool sorted;
};

void samples_add(struct samples *s, int64_t us);
void samples_free(struct samples *s);

/* 0 without any; p in percent. */
uint32_t samples_at(struct samples *s, double p);

#endif

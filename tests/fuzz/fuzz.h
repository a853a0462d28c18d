/*
 * What every fuzz target includes. A target checks its invariants itself: REQUIRE says which
 * one broke and aborts, under libFuzzer and in the corpus runner alike.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                     \
	do {                                                                                   \
		if (!(condition)) {                                                            \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__,             \
			        #condition);                                                   \
			abort();                                                               \
		}                                                                              \
	} while (0)

#endif

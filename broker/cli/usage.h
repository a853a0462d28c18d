/*
 * What a usage text says, for completion: which options there are, and what stands behind them.
 * The texts are the commands' own tables, so that a command is completed as it is described.
 * Pure.
 */
#ifndef CLI_USAGE_H
#define CLI_USAGE_H

#include "base/slice.h"

/*
 * The next option ("--name") in the text that was not there before, from *at on. `value` is
 * what the text puts behind it ("FILE", "jsonl|csv", "bearer | basic[:USER]"), empty when
 * nothing.
 */
bool usage_next_option(const char *usage, size_t *at, struct rk_slice *option,
                       struct rk_slice *value);

/* What stands behind the command itself: "NAME", "KEY|ID|rk_vendor...91k", or empty. `words`:
 * "conn show". */
struct rk_slice usage_argument(const char *usage, const char *words);

/* The next of several alternatives in lower case, up to what differs: "header:" of
 * "header:NAME". False at the end, and for what is no such thing. */
bool usage_next_choice(struct rk_slice *value, struct rk_slice *choice);

#endif

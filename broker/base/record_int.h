/*
 * What the two forms of a record share (record.c, record_pack.c); nobody else includes this.
 */
#ifndef BASE_RECORD_INT_H
#define BASE_RECORD_INT_H

#include "base/record.h"

bool record_is_slice(const struct record_field *f);

/* Whether the elements fill the list exactly. */
bool record_list_valid(struct rk_slice list);

/* An integer field at `at`, in the host's order, zero-extended; not for slices and FIXED. */
uint64_t record_load(const struct record_field *f, const char *at);
/* Stores the low bytes of v. */
void record_store(const struct record_field *f, char *at, uint64_t v);

#endif

/*
 * Looks now and then for keys that end soon (keeper/store_expiry.h). Loop thread.
 */
#ifndef KEEPER_EXPIRY_H
#define KEEPER_EXPIRY_H

#include "base/err.h"

struct expiry;
struct keeper;

RK_MUST_CHECK int expiry_new(struct keeper *k, struct expiry **out);
/* The stores are open: looks at once, and from now on. */
void expiry_open(struct expiry *e);
/* After the store pool. Accepts NULL. */
void expiry_free(struct expiry *e);

#endif

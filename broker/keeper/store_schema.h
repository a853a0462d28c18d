/*
 * The policy store's schema, and what store.c and store_load.c share.
 */
#ifndef KEEPER_STORE_SCHEMA_H
#define KEEPER_STORE_SCHEMA_H

#include "keeper/db.h"
#include "keeper/store.h"

enum { STORE_APPLICATION_ID = 0x524b5031 }; /* "RKP1" */

extern const struct db_migration store_migrations[];
extern const unsigned store_schema_version;

struct store_idem;

struct store {
	sqlite3 *db;
	int wake_fd; /* eventfd that is told of a new row in the outbox; -1: none */
	const struct store_idem *idem; /* goes into the next transaction; NULL: nothing */
	unsigned idem_adds;
};

RK_MUST_CHECK int store_begin(struct store *s, struct rk_fault *fault);
/* Commits with the next policy version, or, when `err` or the commit says that something
 * failed, leaves no trace. */
RK_MUST_CHECK int store_end(struct store *s, int err, struct rk_fault *fault);

/* In an open transaction: the row number of an equal set of grants, made when there is none. */
RK_MUST_CHECK int store_intern_grants(struct store *s, struct rk_slice grants, int64_t *out,
                                      struct rk_fault *fault);

#endif

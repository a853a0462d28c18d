/*
 * What an audit entry can be searched by, as terms: 40-bit keyed hashes of a field and its
 * value. Equal values have equal terms; two values may share one by chance, so whatever the
 * search index (keeper/audit_index.h) finds is looked at once more. Pure.
 *
 * Entries are REQUEST, MANAGE and STATE rows and the like; a RESPONSE row belongs to its
 * request's entry and adds its terms to that.
 */
#ifndef KEEPER_AUDIT_TERMS_H
#define KEEPER_AUDIT_TERMS_H

#include "base/ipaddr.h"
#include "base/siphash.h"
#include "ipc/audit_row.h"

enum audit_term_field {
	TERM_ENTRY = 1, /* every entry has it, with the empty value */
	TERM_TYPE,      /* one byte: enum audit_type */
	TERM_REQUEST,   /* request id */
	TERM_KEY,       /* key id; of a management action its target, too */
	TERM_HOLDER,
	TERM_KIND, /* one byte: enum holder_kind */
	TERM_CONN, /* id, name, and the target of a management action */
	TERM_PROVIDER,
	TERM_ENV,
	TERM_MODEL,
	TERM_CLIENT, /* prefix length in the mapped form, and the prefix */
	TERM_PATH,   /* its first one, two and three segments: "/v1", "/v1/files" ... */
	TERM_DECISION,
	TERM_REASON, /* of the request, and of its response */
	TERM_STATUS, /* likewise */
	TERM_ACTOR,
	TERM_ACTION,
	TERM_TARGET,
};

enum {
	AUDIT_TERMS_MAX = 32, /* of one row */
	AUDIT_TERM_BITS = 40,
	AUDIT_TERM_CLIENTS = 4, /* prefixes of an address */
};

struct audit_terms {
	uint64_t at[AUDIT_TERMS_MAX];
	unsigned n;
};

/* `salt` is the index's own: who chooses paths and names cannot make terms meet. */
uint64_t audit_term(const uint8_t salt[RK_SIPHASH_KEY], enum audit_term_field field,
                    struct rk_slice value);
uint64_t audit_term_number(const uint8_t salt[RK_SIPHASH_KEY], enum audit_term_field field,
                           uint16_t value);

/* Those of an entry's row; none for a RESPONSE row. */
void audit_terms_of(const uint8_t salt[RK_SIPHASH_KEY], const struct audit_row *row,
                    struct audit_terms *out);

/* Those that a RESPONSE row adds to its request's entry. */
void audit_terms_of_response(const uint8_t salt[RK_SIPHASH_KEY], const struct audit_row *row,
                             struct audit_terms *out);

/* The longest prefix with a term that holds all of `c`; false: there is none, it is too wide.
 */
bool audit_term_client(const uint8_t salt[RK_SIPHASH_KEY], const struct rk_cidr *c,
                       uint64_t *term);

/* The longest beginning of a path with a term that every path beginning with `prefix` has;
 * false: there is none. */
bool audit_term_path(const uint8_t salt[RK_SIPHASH_KEY], struct rk_slice prefix,
                     uint64_t *term);

#endif

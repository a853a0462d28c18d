/*
 * Audit entries as JSON: a row, with the row of its response merged into it where there is one.
 * And as lines of CSV.
 */
#ifndef API_AUDIT_H
#define API_AUDIT_H

#include <jansson.h>

#include "api/decode.h"
#include "ipc/messages_manage.h"

/* What an entry is: which members it has. */
enum api_audit_tag {
	API_AUDIT_REQUEST = 1,  /* without a response: refused, or not ended yet */
	API_AUDIT_ANSWERED = 2, /* a request and its response */
	API_AUDIT_RESPONSE = 4, /* a response by itself, in an export */
	API_AUDIT_OTHER = 8,    /* management and state */
	API_AUDIT_HASHES = 16,  /* beside one of these */
	API_AUDIT_MADE = 32,    /* beside a request: the broker made it, for who manages it */
};

struct api_audit {
	uint32_t tag;
	uint64_t seq;
	uint8_t prev_hash[32], hash[32];
	struct audit_row row;
	struct audit_row response; /* the row itself when it is one; empty without */
	/* the response's where it says something, else the request's */
	uint16_t status, reason;
	struct rk_slice detail;
};

/* Borrows from the entry. RK_E_CORRUPT when a row does not decode. */
RK_MUST_CHECK int api_audit_take(const struct msg_audit_entry *e, bool with_hashes,
                                 struct api_audit *out);

/* api_audit_take() as a document, returned owned. RK_E_CORRUPT, RK_E_NOMEM. */
RK_MUST_CHECK int api_audit_encode(const struct msg_audit_entry *e, bool with_hashes,
                                   json_t **out);

/* Where the rows of an entry stand. */
struct api_rows {
	char row[AUDIT_MAX_ROW], response[AUDIT_MAX_ROW];
};

/*
 * The way back, as far as a document tells: encoded again, the entry looks the same. Borrows
 * from `rows` alone. RK_E_INVALID: it is no such document. RK_E_NOMEM.
 */
RK_MUST_CHECK int api_audit_decode(json_t *doc, struct api_rows *rows,
                                   struct msg_audit_entry *out, struct api_room *room);

/* Where lines go; a negative result ends the line and is returned. */
typedef int api_audit_write(const char *text, size_t n, void *arg);

/* RFC 4180. A value that a spreadsheet would run as a formula gets a quote in front. */
RK_MUST_CHECK int api_audit_csv_header(api_audit_write *write, void *arg);
RK_MUST_CHECK int api_audit_csv_line(const json_t *doc, api_audit_write *write, void *arg);

#endif

/*
 * A search in the audit journal's index (keeper/audit_index.h): the numbers of the entries that
 * have all of some terms, rising or falling, and the response of each. A view is of the moment
 * in which it was opened and belongs to one thread; it holds a read transaction of the index.
 * Numbers that it gives are candidates: whoever asks looks at the rows.
 */
#ifndef KEEPER_AUDIT_VIEW_H
#define KEEPER_AUDIT_VIEW_H

#include "keeper/audit_filter.h"
#include "keeper/audit_index.h"

struct audit_view;

/* RK_E_STATE: the index is not open or busy: read the journal instead. RK_E_CORRUPT: likewise,
 * and it will be made anew. The filter is borrowed until audit_view_close(). */
RK_MUST_CHECK int audit_view_open(struct audit_index *ix, const struct audit_filter *f,
                                  struct audit_view **out, struct rk_fault *fault);
void audit_view_close(struct audit_view *v);

/* The last row that it covers. */
uint64_t audit_view_upto(const struct audit_view *v);

/*
 * A request that has no response among the covered rows: *seq is its number. Removed when
 * found. Together with audit_view_pair() this is for whoever reads the rows behind `upto`.
 */
bool audit_view_take_open(struct audit_view *v, const uint8_t request_id[16], uint64_t *seq);

/* That request's response is this row behind `upto`: makes it a candidate of every search that
 * depends on responses. */
RK_MUST_CHECK int audit_view_pair(struct audit_view *v, uint64_t request, uint64_t response);

/* Looks for the responses of requests that have none in up to `limit` rows behind `upto`, and
 * pairs them. */
RK_MUST_CHECK int audit_view_bridge(struct audit_view *v, struct audit_rows *rows, size_t limit,
                                    struct rk_fault *fault);

/* The next candidate with a number below *seq, or above it; it is put there. 0: there is none,
 * 1: there is one, < 0: as audit_view_open(). */
RK_MUST_CHECK int audit_view_below(struct audit_view *v, uint64_t *seq, struct rk_fault *fault);
RK_MUST_CHECK int audit_view_above(struct audit_view *v, uint64_t *seq, struct rk_fault *fault);

/* The response of a request; *response is 0 when there is none. */
RK_MUST_CHECK int audit_view_response(struct audit_view *v, uint64_t request,
                                      uint64_t *response, struct rk_fault *fault);

#endif

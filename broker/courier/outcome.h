/*
 * What the end of a transfer means for a delivery. Pure.
 */
#ifndef COURIER_OUTCOME_H
#define COURIER_OUTCOME_H

#include "base/slice.h"
#include "ipc/messages.h"

enum { OUTCOME_TEXT = 256 };

/* A webhook answered with this HTTP status. */
enum deliver_result outcome_of_http(unsigned status);

/*
 * A mail server's last reply was this one. `sent` is whether the mail itself was under way:
 * what it says of the greeting or of a login is about the settings, which somebody may put
 * right.
 */
enum deliver_result outcome_of_smtp(unsigned status, bool sent);

/* Printable ASCII on one line, shortened; returns out[]. */
const char *outcome_text(struct rk_slice from, char out[OUTCOME_TEXT]);

#endif

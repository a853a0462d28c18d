/*
 * Whether a text is an e-mail address that mail can be sent to: the plain form of RFC 5321
 * section 4.1.2, dot-string at host name, ASCII. No quotes, comments, address literals or
 * display names: what cannot stand here cannot end up in a mail's header either. Pure.
 */
#ifndef POLICY_EMAIL_H
#define POLICY_EMAIL_H

#include <stdbool.h>

#include "base/slice.h"

enum { EMAIL_MAX = 254, EMAIL_LOCAL_MAX = 64, EMAIL_LABEL_MAX = 63 };

bool email_is(struct rk_slice text);

#endif

/*
 * What a client would rather read (RFC 9110 12.5.1), as far as a server with two forms of one
 * page has to know. Pure.
 */
#ifndef HTTP_ACCEPT_H
#define HTTP_ACCEPT_H

#include "base/slice.h"

/*
 * Whether an Accept field asks for HTML rather than for plain text or Markdown: by the higher
 * quality. HTML must be named: a client that takes anything is a program.
 */
bool accept_prefers_html(struct rk_slice accept);

#endif

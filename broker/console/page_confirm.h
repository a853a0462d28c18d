/*
 * The pages behind the link in the mail about a new address: GET /confirm/<code> shows what is
 * asked, POST confirms it. GET changes nothing, because mail scanners follow links. Pure: what
 * a request asks of the keeper, and what the keeper's answer looks like; how both travel is the
 * console's business.
 *
 * The pages need no script and nothing from elsewhere: one style, named by its hash in the
 * policy. They are not kept by anybody and name their address to nobody (the code is in it).
 * Everything that came from outside is escaped.
 */
#ifndef CONSOLE_PAGE_CONFIRM_H
#define CONSOLE_PAGE_CONFIRM_H

#include "base/buf.h"
#include "http/h1.h"
#include "ipc/frame.h"

enum { PAGE_CONFIRM_MAX = 12288, PAGE_CONFIRM_CSP = 256 };

struct page_ask {
	enum ipc_type type; /* MSG_TRUST_CONFIRM_GET or MSG_TRUST_CONFIRM */
	struct msg_confirm body;
};

/*
 * 0: not one of these pages. PAGE_ASK: *ask is for the keeper, and borrows from head. Otherwise
 * the status of a refusal, for page_confirm_refused(): 403 (sent by another site's page), 404
 * (no code), 405 (not GET, HEAD or POST).
 */
enum { PAGE_ASK = 1 };
int page_confirm_route(const struct h1_head *head, struct page_ask *ask);

/* The page for an answer of the keeper (TRUST_INFO, or DONE with an error); adds it to out and
 * returns its status. Negative: out is full or out of memory. */
int page_confirm_answer(const struct ipc_message *m, struct rk_buf *out);

/* The page for a refusal, 503 among them: no keeper. The same returns. */
int page_confirm_refused(int status, struct rk_buf *out);

/* The policy of all these pages: the value of Content-Security-Policy. They come with
 * "Referrer-Policy: no-referrer" and "Cache-Control: no-store" as well. */
void page_confirm_csp(char out[PAGE_CONFIRM_CSP]);

#endif

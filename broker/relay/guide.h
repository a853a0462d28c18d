/*
 * The pages that the proxy itself serves to whoever wants to call it: /llms.txt, /_agent,
 * /_reference. Written in a small Markdown; for browsers also as HTML. The refusals in them
 * come from the table in policy/reason.h. Pure.
 */
#ifndef RELAY_GUIDE_H
#define RELAY_GUIDE_H

#include "base/buf.h"

enum guide_page { GUIDE_LLMS, GUIDE_AGENT, GUIDE_REFERENCE, GUIDE_PAGES };

enum { GUIDE_MAX_BYTES = 64 << 10 };

/* False: no page has this path (without a query). */
bool guide_find(struct rk_slice path, enum guide_page *page);

/* Whether the page comes as HTML to one who asks for that; the others are text always. */
bool guide_has_html(enum guide_page page);

/*
 * Renders into *out, which this initialises (at most GUIDE_MAX_BYTES). `authority` is the host
 * as the client knows it, of h1_host_is_valid(). RK_E_NOMEM, RK_E_TOOBIG: *out is empty.
 */
RK_MUST_CHECK int guide_render(enum guide_page page, struct rk_slice authority, bool html,
                               struct rk_buf *out);

/* ---- guide_html.c ---- */

/* What guide_render() makes of Markdown: headings, paragraphs, lists, tables, fenced text,
 * `code`, [links](url). */
RK_MUST_CHECK int guide_html(struct rk_slice markdown, struct rk_buf *out);

/* ---- guide_text.c ---- */

/* Markdown, in which {base} stands for "https://<authority>" and {refusals} for the table. */
extern const char guide_llms[], guide_agent[], guide_reference[];

#endif

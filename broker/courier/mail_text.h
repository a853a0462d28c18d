/*
 * What a mail says of each kind of notice: a subject, a few sentences, the facts, maybe a link.
 * Pure. Everything that comes from outside is printable ASCII when it leaves here.
 */
#ifndef COURIER_MAIL_TEXT_H
#define COURIER_MAIL_TEXT_H

#include "base/buf.h"
#include "ipc/messages.h"

enum { MAIL_SUBJECT_MAX = 160, MAIL_FACTS = 10, MAIL_FACT_MAX = 600, MAIL_LINK_MAX = 900 };

struct mail_text {
	char subject[MAIL_SUBJECT_MAX];
	const char *lead;         /* what happened, and what it means */
	const char *tail;         /* what to do, or that nothing has to be done */
	char link[MAIL_LINK_MAX]; /* empty: none */
	const char *link_label;
	unsigned facts;
	struct {
		const char *name;
		char value[MAIL_FACT_MAX];
	} fact[MAIL_FACTS];
};

/* `public_url` (may be empty) is where the console is. */
void mail_text_fill(const struct msg_notice *n, struct rk_slice public_url,
                    struct mail_text *out);

#endif

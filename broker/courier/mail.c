#include "courier/mail.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/base62.h"
#include "base/secret.h"
#include "courier/mail_text.h"
#include "ipc/notice_kind.h"
#include "policy/mail_address.h"

enum { LINE_MAX_TEXT = 76, LONGEST_RUN = 800 };

/* One mail under construction; the first error stays. */
struct writer {
	struct rk_buf *out;
	int err;
};

static void put(struct writer *w, const char *fmt, ...) RK_PRINTF(2, 3);

static void put(struct writer *w, const char *fmt, ...)
{
	char line[MAIL_LINK_MAX + 512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof line)
		w->err = w->err ? w->err : RK_E_TOOBIG;
	if (!w->err)
		w->err = rk_buf_add(w->out, line, (size_t)n);
}

/* Written out: strftime() would follow the locale. */
static void put_date(struct writer *w, int64_t wall_ms)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm = {0};

	gmtime_r(&t, &tm);
	put(w, "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d +0000\r\n", days + 3 * tm.tm_wday,
	    tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
	    tm.tm_sec);
}

static void put_head(struct writer *w, const struct mail_params *p, const struct mail_text *t,
                     const char *id)
{
	struct rk_slice domain = mail_address_domain(p->from);

	put(w, "From: RelayKey <%.*s>\r\n", RK_FMT(p->from));
	put(w, "To: <%.*s>\r\n", RK_FMT(p->to));
	put(w, "Subject: %s\r\n", t->subject);
	put_date(w, p->notice->time_ms);
	put(w, "Message-ID: <%s@%.*s>\r\n", id, RK_FMT(domain));
	put(w, "X-RelayKey-Event: %s\r\n", notice_kind_name(p->notice->kind));
	put(w, "Auto-Submitted: auto-generated\r\n");
	put(w, "MIME-Version: 1.0\r\n");
	put(w, "Content-Type: multipart/alternative; boundary=\"rk-%s\"\r\n\r\n", id);
}

static void begin_part(struct writer *w, const char *id, const char *type)
{
	put(w, "--rk-%s\r\n", id);
	put(w, "Content-Type: %s; charset=us-ascii\r\n", type);
	put(w, "Content-Transfer-Encoding: 7bit\r\n\r\n");
}

/* Words in lines of a length that people read. */
static void put_wrapped(struct writer *w, const char *text)
{
	while (*text) {
		size_t n = strlen(text);

		if (n > LINE_MAX_TEXT) {
			n = LINE_MAX_TEXT;
			while (n && text[n] != ' ')
				n--;
			if (!n)
				n = LINE_MAX_TEXT;
		}
		put(w, "%.*s\r\n", (int)n, text);
		text += n;
		while (*text == ' ')
			text++;
	}
}

static void put_plain(struct writer *w, const struct mail_text *t)
{
	put_wrapped(w, t->lead);
	put(w, "\r\n");
	for (unsigned i = 0; i < t->facts; i++)
		put(w, "%s: %s\r\n", t->fact[i].name, t->fact[i].value);
	put(w, "\r\n");
	if (t->link[0])
		put(w, "%s:\r\n%s\r\n\r\n", t->link_label, t->link);
	put_wrapped(w, t->tail);
}

static const char *escaped(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

/* A line may have 998 bytes, and an escaped byte has six. */
static void put_escaped(struct writer *w, const char *text)
{
	size_t column = 0;

	for (; *text; text++) {
		const char *e = escaped(*text);

		if (column >= LONGEST_RUN)
			put(w, "\r\n");
		column = column >= LONGEST_RUN ? 0 : column + (e ? strlen(e) : 1);
		if (e)
			put(w, "%s", e);
		else
			put(w, "%c", *text);
	}
}

/* An address cannot be broken into lines: one that is too long stands in the plain text only.
 */
static bool link_fits(const char *link)
{
	size_t n = 0;

	for (; *link; link++)
		n += escaped(*link) ? strlen(escaped(*link)) : 1;
	return n && n < LONGEST_RUN;
}

static void put_html(struct writer *w, const struct mail_text *t)
{
	put(w,
	    "<!DOCTYPE html>\r\n<html lang=\"en\"><body style=\"font-family:sans-serif\">\r\n"
	    "<p>");
	put_escaped(w, t->lead);
	put(w, "</p>\r\n<table>\r\n");
	for (unsigned i = 0; i < t->facts; i++) {
		put(w, "<tr><th align=\"left\">%s</th>\r\n<td>", t->fact[i].name);
		put_escaped(w, t->fact[i].value);
		put(w, "</td></tr>\r\n");
	}
	put(w, "</table>\r\n");
	if (link_fits(t->link)) {
		put(w, "<p><a href=\"");
		put_escaped(w, t->link);
		put(w, "\">%s</a></p>\r\n", t->link_label);
	}
	put(w, "<p>");
	put_escaped(w, t->tail);
	put(w, "</p>\r\n</body></html>\r\n");
}

int mail_write(const struct mail_params *p, struct rk_buf *out)
{
	struct writer w = {.out = out};
	struct mail_text *t;
	char id[33];
	int err = mail_address_check(p->from, NULL);

	if (!err)
		err = mail_address_check(p->to, NULL);
	if (err)
		return err;
	t = malloc(sizeof *t);
	if (!t)
		return RK_E_NOMEM;
	mail_text_fill(p->notice, p->public_url, t);
	rk_hex(p->notice->id, sizeof p->notice->id, id);
	put_head(&w, p, t, id);
	begin_part(&w, id, "text/plain");
	put_plain(&w, t);
	begin_part(&w, id, "text/html");
	put_html(&w, t);
	put(&w, "--rk-%s--\r\n", id);
	rk_wipe(t, sizeof *t); /* the link confirms */
	free(t);
	return w.err;
}

#include "keeper/audit_read.h"

#include <stdarg.h>
#include <stdio.h>

#include "keeper/audit_chain.h"
#include "keeper/audit_rows.h"
#include "keeper/journal.h"

struct verification {
	struct audit_chain *chain;
	const struct journal_head *expect; /* NULL: the end is taken as it is */
	struct msg_audit_verified *out;
	char *text;
	size_t text_cap;
};

/* > 0: the chain is broken, out says where. */
RK_PRINTF(3, 4)
static int broken(struct verification *v, uint64_t seq, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(v->text, v->text_cap, fmt, ap);
	va_end(ap);
	v->out->ok = 0;
	v->out->bad_seq = seq;
	return 1;
}

static int check_row(struct verification *v, const struct stored_row *row,
                     struct rk_fault *fault)
{
	struct msg_audit_verified *o = v->out;
	uint64_t due = o->last_seq + 1;
	uint8_t hash[AUDIT_HASH];

	if (row->seq != due)
		return broken(v, due, "row %llu is missing: after %llu comes %llu",
		              (unsigned long long)due, (unsigned long long)o->last_seq,
		              (unsigned long long)row->seq);
	if (audit_chain_hash(v->chain, o->head, row->seq, row->body, hash) != 0)
		return rk_fail(fault, RK_E_CRYPTO, "SHA-256 failed");
	if (memcmp(hash, row->hash, sizeof hash) != 0)
		return broken(v, row->seq,
		              "row %llu was changed, or is not in its place: its hash does not "
		              "follow from it and the row before",
		              (unsigned long long)row->seq);
	if (v->expect && row->seq == v->expect->seq &&
	    memcmp(hash, v->expect->hash, sizeof hash) != 0)
		return broken(v, row->seq,
		              "row %llu is not the one that the broker wrote: the chain up to "
		              "it was made anew",
		              (unsigned long long)row->seq);
	if (o->rows == 0)
		o->first_seq = row->seq;
	o->rows++;
	o->last_seq = row->seq;
	memcpy(o->head, hash, sizeof o->head);
	return 0;
}

static int check_end(struct verification *v)
{
	const struct journal_head *expect = v->expect;
	uint64_t last = v->out->last_seq;

	if (expect && last < expect->seq)
		return broken(
		    v, last + 1,
		    "rows were removed at the end: it ends with %llu, the broker wrote "
		    "up to %llu",
		    (unsigned long long)last, (unsigned long long)expect->seq);
	v->out->ok = 1;
	return 0;
}

static int check_all(struct verification *v, struct audit_rows *rows, struct rk_fault *fault)
{
	const struct stored_row *slice;
	struct rk_fault why = {0};
	size_t n = 1;
	int err = 0;

	while (!err && n > 0) {
		err = audit_rows_after(rows, v->out->last_seq, &slice, &n, &why);
		/* a page that does not verify is a finding, not a failure to look */
		if (err == RK_E_CORRUPT)
			return broken(v, v->out->last_seq + 1,
			              "the rows after %llu cannot be read: %s",
			              (unsigned long long)v->out->last_seq, why.text);
		if (err)
			return rk_fail(fault, err, "%s", why.text);
		for (size_t i = 0; i < n && !err; i++)
			err = check_row(v, &slice[i], fault);
	}
	return err ? err : check_end(v);
}

int audit_verify(struct audit_reader *r, const struct journal_head *expect,
                 struct msg_audit_verified *out, char *text, size_t text_cap,
                 struct rk_fault *fault)
{
	struct msg_audit_verified found = {0};
	struct verification v = {
	    .expect = expect, .out = &found, .text = text, .text_cap = text_cap};
	int err = audit_chain_new(&v.chain);

	if (err)
		return rk_fail(fault, err, "SHA-256 is not available");
	snprintf(text, text_cap, "every row follows from the one before");
	err = check_all(&v, audit_reader_rows(r), fault);
	audit_chain_free(v.chain);
	if (err < 0)
		return err;
	found.text = rk_str(text);
	*out = found;
	return 0;
}

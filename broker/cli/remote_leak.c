#include "api/fields.h"
#include "cli/remote_int.h"
#include "ipc/catalogue_contain.h"

/*
 * The one command whose request is no record: the tokens as they were found, one a line. The
 * answer has a verdict on each, and looks like a page that is the last one.
 */
const struct api_op remote_leak_op = {
    .id = "reportLeaks",
    .method = "POST",
    .path = "/api/v1/leaks",
    .command = MSG_LEAK_REPORT,
    .answer = MSG_LEAK_VERDICT,
    .shape = API_LIST,
    .success = 200,
    .shows = &api_leak_verdict,
};

/* Where they were found, or whose signature says so, such a list does not tell. */
bool remote_leak_is_plain(const struct msg_leak_report *m)
{
	struct rk_slice items = m->items, item;
	struct msg_leak_item one;

	while (record_list_next(&items, &item)) {
		if (record_decode(&msg_leak_item_desc, item, &one) || one.source.n)
			return false;
	}
	return m->key_id.n == 0 && m->signature.n == 0;
}

int remote_leak_request(struct remote *r)
{
	const struct msg_leak_report *m = &r->rec.leak_report;
	const struct https_ask ask = {
	    .method = remote_leak_op.method,
	    .target = rk_str(remote_leak_op.path),
	    .body = &r->body,
	    .type = "text/plain",
	    .accept = "application/json",
	    .sink = HTTPS_PAGE,
	    .patience_s = 60,
	};
	int err;

	api_text_free(&r->body);
	err = api_text_add(&r->body, m->payload.p, m->payload.n);
	if (!err)
		err = https_begin(r->https, &ask);
	return err ? cli_fail(CLI_FAILED, "out of memory") : CLI_DONE;
}

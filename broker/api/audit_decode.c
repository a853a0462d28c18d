#include "api/audit.h"
#include "api/fields.h"

static bool is_type(const json_t *doc, enum audit_type type)
{
	const char *name = json_string_value(json_object_get(doc, "type"));

	return name && strcmp(name, audit_type_name(type)) == 0;
}

/* What is shown merged goes to the row that it is of; what a response says nothing of was the
 * request's, and looks the same from either. */
static void take_apart(const json_t *doc, struct api_audit *a)
{
	struct audit_row *end = &a->row;

	if (is_type(doc, AUDIT_RESPONSE)) {
		const struct audit_row shown = a->response;

		a->row.outcome = shown.outcome;
		a->row.bytes_in = shown.bytes_in;
		a->row.bytes_out = shown.bytes_out;
		a->row.upstream_us = shown.upstream_us;
		a->row.total_us = shown.total_us;
	} else if (is_type(doc, AUDIT_REQUEST) && json_object_get(doc, "outcome")) {
		a->response.type = AUDIT_RESPONSE;
		end = &a->response;
	}
	end->status = a->status;
	end->reason = a->reason;
	end->detail = a->detail;
}

static int pack(const struct audit_row *row, char *to, struct rk_slice *out)
{
	ssize_t n = record_pack(&audit_row_desc, row, to, AUDIT_MAX_ROW);

	if (n < 0)
		return RK_E_INVALID;
	*out = rk_slice(to, (size_t)n);
	return 0;
}

int api_audit_decode(json_t *doc, struct api_rows *rows, struct msg_audit_entry *out,
                     struct api_room *room)
{
	struct api_audit a;
	struct api_errors errors;
	struct msg_audit_entry e = {0};
	int err;

	memset(&a, 0, sizeof a);
	err = api_decode(&api_audit_entry, API_ANSWER, doc, &a, room, &errors);
	if (err)
		return err;
	take_apart(doc, &a);
	e.seq = a.seq;
	memcpy(e.prev_hash, a.prev_hash, sizeof e.prev_hash);
	memcpy(e.hash, a.hash, sizeof e.hash);
	err = pack(&a.row, rows->row, &e.row);
	if (!err && a.response.type == AUDIT_RESPONSE)
		err = pack(&a.response, rows->response, &e.response);
	if (!err)
		*out = e;
	return err;
}

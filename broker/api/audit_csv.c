#include <stdio.h>

#include "api/audit.h"
#include "base/slice.h"

/* "a.b" is member b of member a. */
static const char *const columns[] = {
    "seq",          "time",        "type",          "request_id",      "key_id",
    "holder.kind",  "holder.name", "connection.id", "connection.name", "provider",
    "environment",  "client_ip",   "user_agent",    "method",          "path",
    "query_params", "model",       "decision",      "reason",          "policy_version",
    "status",       "outcome",     "bytes_in",      "bytes_out",       "upstream_us",
    "total_us",     "detail",      "actor",         "action",          "target",
    "prev_hash",    "hash",
};

enum { COLUMNS = sizeof columns / sizeof columns[0] };

static const json_t *member(const json_t *doc, const char *column)
{
	const char *dot = strchr(column, '.');
	char outer[32];

	if (!dot)
		return json_object_get(doc, column);
	if (!rk_slice_cstr(rk_slice(column, (size_t)(dot - column)), outer, sizeof outer))
		return NULL;
	return json_object_get(json_object_get(doc, outer), dot + 1);
}

static int put_text(const char *text, api_audit_write *write, void *arg)
{
	bool formula = *text && strchr("=+-@\t\r", *text);
	int err = write(formula ? "\"'" : "\"", formula ? 2 : 1, arg);

	while (err >= 0 && *text) {
		size_t n = strcspn(text, "\"");

		err = write(text, n, arg);
		text += n;
		if (err >= 0 && *text) {
			err = write("\"\"", 2, arg);
			text++;
		}
	}
	return err < 0 ? err : write("\"", 1, arg);
}

static int put_value(const json_t *v, api_audit_write *write, void *arg)
{
	json_malloc_t take;
	json_free_t give;
	char number[32], *text;
	int err = 0;

	if (json_is_integer(v)) {
		snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		err = write(number, strlen(number), arg);
	} else if (json_is_string(v)) {
		err = put_text(json_string_value(v), write, arg);
	} else if (json_is_array(v)) {
		text = json_dumps(v, JSON_COMPACT);
		err = text ? put_text(text, write, arg) : RK_E_NOMEM;
		json_get_alloc_funcs(&take, &give);
		give(text);
	}
	return err;
}

int api_audit_csv_header(api_audit_write *write, void *arg)
{
	int err = 0;

	for (size_t i = 0; err >= 0 && i < COLUMNS; i++) {
		err = i ? write(",", 1, arg) : 0;
		if (err >= 0)
			err = write(columns[i], strlen(columns[i]), arg);
	}
	return err < 0 ? err : write("\r\n", 2, arg);
}

int api_audit_csv_line(const json_t *doc, api_audit_write *write, void *arg)
{
	int err = 0;

	for (size_t i = 0; err >= 0 && i < COLUMNS; i++) {
		err = i ? write(",", 1, arg) : 0;
		if (err >= 0)
			err = put_value(member(doc, columns[i]), write, arg);
	}
	return err < 0 ? err : write("\r\n", 2, arg);
}

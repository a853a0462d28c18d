#include "cli/render.h"

#include "api/audit.h"
#include "api/encode.h"
#include "api/fields.h"
#include "base/clock.h"
#include "cli/cli.h"

json_t *render_text(struct rk_slice s)
{
	return api_encode_text(s);
}

json_t *render_list(struct rk_slice list)
{
	json_t *array = json_array();
	struct rk_slice item;

	while (record_list_next(&list, &item))
		json_array_append_new(array, render_text(item));
	return array;
}

json_t *render_time(int64_t ms)
{
	char text[RK_TIME_TEXT];

	if (!ms)
		return json_null();
	rk_time_format(ms, text);
	return json_string(text);
}

json_t *render_conn(const struct msg_conn_info *c)
{
	return api_encode(&api_connection, c);
}

json_t *render_key(const struct msg_key_info *k)
{
	struct msg_key_info shown = *k;

	shown.key = rk_slice(NULL, 0);
	return api_encode(&api_relay_key, &shown);
}

json_t *render_mgmt(const struct msg_mgmt_info *k)
{
	struct msg_mgmt_info shown = *k;

	shown.key = rk_slice(NULL, 0);
	return api_encode(&api_mgmt_key, &shown);
}

json_t *render_user(const struct msg_user_info *u)
{
	return api_encode(&api_user, u);
}

json_t *render_status(const struct msg_status *s)
{
	return api_encode(&api_status, s);
}

int render_audit(const struct msg_audit_entry *e, bool with_hashes, json_t **out)
{
	return api_audit_encode(e, with_hashes, out);
}

int render_json_line(json_t *doc)
{
	int bad = !doc || json_dumpf(doc, stdout, JSON_COMPACT) != 0;

	json_decref(doc);
	if (bad)
		return cli_fail(CLI_FAILED, "writing the output failed");
	putchar('\n');
	return CLI_DONE;
}

const char *render_string(const json_t *doc, const char *key)
{
	const char *text = json_string_value(json_object_get(doc, key));

	return text ? text : "";
}

void render_print(FILE *out, const char *text, int width)
{
	int column = 0;

	for (; *text && (!width || column < width); text++) {
		unsigned char b = (unsigned char)*text;

		fputc(b < 0x20 || b == 0x7f ? '?' : b, out);
		/* continuation bytes of UTF-8 take no column */
		column += (b & 0xc0) != 0x80;
	}
	for (; column < width; column++)
		fputc(' ', out);
}

/*
 * The tables of the management interface: that they fit the messages, that what is written as
 * JSON reads back as it was, and what a request must not be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "api/audit.h"
#include "api/cursor.h"
#include "api/decode.h"
#include "api/encode.h"
#include "api/fields.h"
#include "api/openapi.h"
#include "api/request.h"
#include "base/buf.h"
#include "ipc/catalogue_manage.h"
#include "policy/reason.h"
#include "tests/lib/full_record.h"

/* ---- the tables ---- */

/* The record field that a member is, or NULL. */
static const struct record_field *field_at(const struct record_desc *d, uint16_t offset)
{
	for (unsigned i = 0; i < d->field_count; i++) {
		if (d->fields[i].offset == offset)
			return &d->fields[i];
	}
	return NULL;
}

static void kind_fits(const struct api_field *f, const struct record_field *r)
{
	switch ((enum api_type)f->type) {
	case API_STRING:
		assert_int_equal(r->kind, RECORD_BYTES);
		assert_in_range(f->max, 1, r->max);
		break;
	case API_STRINGS:
	case API_OBJECTS:
		assert_int_equal(r->kind, RECORD_LIST);
		assert_in_range(f->max, 1, r->max);
		break;
	case API_TIME:
	case API_SECONDS:
		assert_int_equal(r->kind, RECORD_I64);
		break;
	case API_INTEGER:
		assert_true(r->kind <= RECORD_U64);
		break;
	case API_BOOL:
		assert_int_equal(r->kind, RECORD_U8);
		break;
	case API_NAMES:
		assert_true(r->kind <= RECORD_U32 && f->value && f->first <= f->last);
		assert_true(f->last < 8u * f->size);
		break;
	case API_FLAG:
		assert_int_not_equal(f->bits, 0);
		break;
	case API_ENUM:
		assert_true(r->kind <= RECORD_U16 && f->value && f->first <= f->last);
		break;
	case API_HEX:
	case API_REQUEST_ID:
	case API_ADDRESS:
	case API_EVENT_ID:
		assert_int_equal(r->kind, RECORD_FIXED);
		assert_int_equal(r->max, f->size);
		break;
	case API_GROUP:
		break;
	}
}

static void fields_fit(const struct api_field *fields, unsigned count,
                       const struct record_desc *d)
{
	for (unsigned i = 0; i < count; i++) {
		const struct api_field *f = &fields[i];
		const struct record_field *r;

		assert_true(f->name && *f->name && f->about && *f->about);
		if (f->type == API_GROUP) {
			assert_null(f->object->desc);
			fields_fit(f->object->fields, f->object->count, d);
			continue;
		}
		if (f->size == 0)
			continue; /* no member */
		r = field_at(d, f->offset);
		if (!r)
			fail_msg("%s: %s is no field", d->name, f->name);
		kind_fits(f, r);
		if (f->type == API_OBJECTS)
			fields_fit(f->object->fields, f->object->count, f->object->desc);
	}
}

static void every_operation_fits_its_messages(void **state)
{
	(void)state;
	for (const struct api_op *op = api_op_next(NULL); op; op = api_op_next(op)) {
		const struct record_desc *command = ipc_row(op->command)->body;
		const struct record_desc *answer = ipc_row(op->answer)->body;

		assert_true(
		    ipc_permitted(op->command, IPC_CONSOLE, IPC_KEEPER, IPC_PHASE_SERVE));
		assert_true(
		    ipc_permitted(op->answer, IPC_KEEPER, IPC_CONSOLE, IPC_PHASE_SERVE));
		fields_fit(op->path_values, op->path_count, command);
		fields_fit(op->query, op->query_count, command);
		if (op->body) {
			assert_string_equal(op->body->desc->name, command->name);
			fields_fit(op->body->fields, op->body->count, command);
		}
		if (op->shows && op->shows != &api_audit_entry) {
			assert_string_equal(op->shows->desc->name, answer->name);
			fields_fit(op->shows->fields, op->shows->count, answer);
		}
		assert_true((op->shape == API_NOTHING) == (op->shows == NULL));
		if (op->shape == API_LIST) {
			assert_non_null(field_at(command, op->after.offset));
			assert_non_null(field_at(command, op->limit.offset));
			assert_non_null(field_at(answer, op->last.offset));
		}
		assert_ptr_equal(api_op_named(op->id), op);
	}
}

static void every_operation_is_found_by_its_path_and_no_other(void **state)
{
	struct api_path_values v;
	char allow[API_ALLOW_MAX];

	(void)state;
	for (const struct api_op *op = api_op_next(NULL); op; op = api_op_next(op)) {
		assert_ptr_equal(api_op_match(rk_str(op->method), rk_str(op->path), &v), op);
		assert_null(api_op_match(rk_str("BREW"), rk_str(op->path), &v));
		api_op_methods(rk_str(op->path), allow);
		assert_non_null(strstr(allow, op->method));
	}
	assert_non_null(api_op_match(rk_str("GET"), rk_str("/api/v1/relay-keys/a%2Fb"), &v));
	assert_true(rk_slice_is(v.at[0], "a%2Fb"));
	assert_non_null(api_op_match(rk_str("HEAD"), rk_str("/api/v1/status"), &v));
	for (unsigned i = 0; i < 6; i++) {
		static const char *const none[] = {
		    "",
		    "/",
		    "/api/v1/relay-keys/",
		    "/api/v1/relay-keys/a/",
		    "//api/v1/status",
		    "/api/v1/status/",
		};

		assert_null(api_op_match(rk_str("GET"), rk_str(none[i]), &v));
		api_op_methods(rk_str(none[i]), allow);
		assert_string_equal(allow, "");
	}
}

static void the_statuses_follow_from_what_an_operation_takes(void **state)
{
	static const uint16_t want[] = {201, 400, 401, 403, 409, 413, 415, 422, 429, 503, 0};
	uint16_t got[API_STATUSES_MAX];

	(void)state;
	api_op_statuses(api_op_named("createConnection"), got);
	assert_memory_equal(got, want, sizeof want);
}

/* ---- there and back ---- */

struct scene {
	struct full_record full;
	struct api_room room;
	struct api_errors errors;
	char grants[MSG_MAX_GRANTS];
	unsigned char encoded[2][1 << 17];
	union {
		union ipc_body body;
		struct api_audit audit;
	} in, out;
	unsigned seed;
};

static uint64_t any(struct scene *s, uint64_t min, uint64_t max)
{
	s->seed = s->seed * 1103515245u + 12345u;
	return max > min ? min + (s->seed >> 8) % (max - min + 1) : min;
}

static void fill_field(struct scene *s, const struct api_field *f, void *rec, bool full);

static void fill_objects(struct scene *s, const struct api_field *f, void *rec)
{
	static char one[MSG_MAX_GRANT];
	struct msg_grant g = {.conn = rk_str("conn_1"), .conn_name = rk_str("name")};
	size_t used = 0, methods = 0;
	char list[64];
	ssize_t n;

	assert_string_equal(f->object->desc->name, "struct msg_grant");
	if (record_list_add(list, sizeof list, &methods, rk_str("GET")) ||
	    record_list_add(list, sizeof list, &methods, rk_str("\"\\/\n")))
		fail();
	g.methods = rk_slice(list, methods);
	n = record_encode(f->object->desc, &g, one, sizeof one);
	for (unsigned i = 0; i < 3; i++) {
		if (n < 0 || record_list_add(s->grants, sizeof s->grants, &used,
		                             rk_slice(one, (size_t)n)))
			fail();
	}
	/* shown with the name, sent without */
	if (f->object == &api_grant)
		api_put_slice(f, rec, rk_slice(s->grants, used));
}

static void fill_schema(struct scene *s, const struct api_schema *schema, void *rec, bool full)
{
	uint32_t set;

	for (unsigned i = 0; i < schema->count; i++) {
		fill_field(s, &schema->fields[i], rec, full);
		if (!schema->partial)
			continue;
		/* a group has put its own ones there */
		memcpy(&set, (char *)rec + schema->set_offset, sizeof set);
		set |= schema->fields[i].set;
		memcpy((char *)rec + schema->set_offset, &set, sizeof set);
	}
}

/* A value that the member can have; strings and lists are as full_record() made them. */
static void fill_field(struct scene *s, const struct api_field *f, void *rec, bool full)
{
	switch ((enum api_type)f->type) {
	case API_STRING:
	case API_STRINGS:
		if (!full)
			api_put_slice(f, rec, rk_slice(NULL, 0));
		break;
	case API_INTEGER:
		api_put(f, rec, full ? api_field_max(f) : f->traits & API_NULL ? 0 : f->min);
		break;
	case API_SECONDS:
		api_put(f, rec, full ? api_field_max(f) * 1000 : 0);
		break;
	case API_BOOL:
		api_put(f, rec, full);
		break;
	case API_NAMES:
		api_put(f, rec, 0);
		for (unsigned v = f->first; full && v <= f->last; v++)
			api_put(f, rec, api_get(f, rec) | UINT64_C(1) << v);
		break;
	case API_FLAG:
		api_put(f, rec, full ? api_get(f, rec) | f->bits : 0);
		break;
	case API_ENUM:
		api_put(f, rec, any(s, f->first, f->last));
		break;
	case API_TIME:
		api_put(f, rec, full ? any(s, 1, INT64_C(4000000000000)) : 0);
		break;
	case API_GROUP:
		fill_schema(s, f->object, rec, full);
		break;
	case API_OBJECTS:
		api_put_slice(f, rec, rk_slice(NULL, 0));
		if (full)
			fill_objects(s, f, rec);
		break;
	case API_HEX:
	case API_REQUEST_ID:
	case API_ADDRESS:
	case API_EVENT_ID:
		memset((char *)rec + f->offset, full ? 0x5a : 0, f->size);
		break;
	}
}

/* Only what the schema shows: the rest of the record is zero. */
static void keep_shown(const struct api_schema *schema, const void *from, void *to)
{
	for (unsigned i = 0; i < schema->count; i++) {
		const struct api_field *f = &schema->fields[i];

		if (f->type == API_GROUP)
			keep_shown(f->object, from, to);
		else
			memcpy((char *)to + f->offset, (const char *)from + f->offset, f->size);
	}
}

static void there_and_back(struct scene *s, const struct api_schema *schema, bool full)
{
	static union ipc_body made;
	ssize_t n, m;
	json_t *doc;

	full_record(schema->desc, &made, &s->full);
	memset(&s->in, 0, sizeof s->in);
	keep_shown(schema, &made, &s->in);
	for (unsigned i = 0; i < schema->count; i++) {
		if (schema->fields[i].type == API_FLAG)
			api_put(&schema->fields[i], &s->in, 0);
	}
	fill_schema(s, schema, &s->in, full);
	doc = api_encode(schema, &s->in);
	assert_non_null(doc);
	if (api_decode(schema, API_ANSWER, doc, &s->out, &s->room, &s->errors))
		fail_msg("%s%s: %s", schema->name, s->errors.at[0].pointer,
		         s->errors.at[0].detail);
	n = record_encode(schema->desc, &s->in, s->encoded[0], sizeof s->encoded[0]);
	m = record_encode(schema->desc, &s->out, s->encoded[1], sizeof s->encoded[1]);
	assert_true(n > 0);
	assert_int_equal(n, m);
	assert_memory_equal(s->encoded[0], s->encoded[1], (size_t)n);
	json_decref(doc);
	api_room_free(&s->room);
}

static void every_record_reads_back_as_it_was_written(void **state)
{
	struct scene *s = *state;

	for (const struct api_op *op = api_op_next(NULL); op; op = api_op_next(op)) {
		for (unsigned full = 0; full < 2; full++) {
			if (op->shows && op->shows != &api_audit_entry)
				there_and_back(s, op->shows, full);
			if (op->body)
				there_and_back(s, op->body, full);
		}
	}
}

static void bytes_that_are_no_text_are_shown_as_question_marks(void **state)
{
	json_t *text = api_encode_text(rk_slice("a\xff\0b", 4)), *all;
	char bytes[600];

	(void)state;
	assert_string_equal(json_string_value(text), "a??b");
	json_decref(text);
	memset(bytes, 0xfe, sizeof bytes);
	all = api_encode_text(rk_slice(bytes, sizeof bytes));
	assert_int_equal(json_string_length(all), sizeof bytes);
	json_decref(all);
}

static void a_response_is_merged_into_its_request(void **state)
{
	static char row[AUDIT_MAX_ROW], response[AUDIT_MAX_ROW];
	struct audit_row r = {.type = AUDIT_REQUEST,
	                      .time_ms = 1000,
	                      .key_id = rk_str("key_1"),
	                      .holder = rk_str("acme"),
	                      .method = rk_str("GET"),
	                      .path = rk_str("/v1/x"),
	                      .detail = rk_str("before")};
	struct audit_row a = {.type = AUDIT_RESPONSE,
	                      .status = 200,
	                      .outcome = OUTCOME_CUT,
	                      .reason = REASON_INVALID_KEY,
	                      .bytes_out = 7};
	struct msg_audit_entry e = {.seq = 5};
	ssize_t n = record_pack(&audit_row_desc, &r, row, sizeof row);
	ssize_t m = record_pack(&audit_row_desc, &a, response, sizeof response);
	json_t *doc;

	(void)state;
	assert_true(n > 0 && m > 0);
	e.row = rk_slice(row, (size_t)n);
	assert_int_equal(api_audit_encode(&e, false, &doc), 0);
	assert_true(json_is_null(json_object_get(doc, "status")));
	assert_null(json_object_get(doc, "outcome"));
	assert_null(json_object_get(doc, "hash"));
	json_decref(doc);
	e.response = rk_slice(response, (size_t)m);
	assert_int_equal(api_audit_encode(&e, true, &doc), 0);
	assert_int_equal(json_integer_value(json_object_get(doc, "status")), 200);
	assert_string_equal(json_string_value(json_object_get(doc, "outcome")), "cut");
	assert_string_equal(json_string_value(json_object_get(doc, "detail")), "before");
	assert_string_equal(json_string_value(json_object_get(doc, "reason")),
	                    reason_info(REASON_INVALID_KEY)->code);
	assert_non_null(json_object_get(doc, "hash"));
	json_decref(doc);
	e.row.n--;
	assert_int_equal(api_audit_encode(&e, true, &doc), RK_E_CORRUPT);
}

/* ---- CSV ---- */

static int collect(const char *text, size_t n, void *arg)
{
	return rk_buf_add(arg, text, n);
}

static bool holds(const struct rk_buf *b, const char *text)
{
	return memmem(rk_buf_data(b), b->len, text, strlen(text)) != NULL;
}

static void a_value_of_csv_is_quoted_and_is_no_formula(void **state)
{
	json_t *doc = json_pack("{s:i, s:s, s:s, s:[s, s]}", "seq", 1, "type", "=1+\"x\"",
	                        "user_agent", "a,\r\nb", "query_params", "p", "q");
	struct rk_buf out;

	(void)state;
	rk_buf_init(&out, 4096);
	assert_int_equal(api_audit_csv_line(doc, collect, &out), 0);
	assert_true(holds(&out, "1,,\"'=1+\"\"x\"\"\","));
	assert_true(holds(&out, ",\"a,\r\nb\","));
	assert_true(holds(&out, ",\"[\"\"p\"\",\"\"q\"\"]\","));
	rk_buf_free(&out);
	json_decref(doc);
}

/* ---- requests ---- */

static int ask(struct scene *s, const char *id, const char *path, const char *query,
               const char *body, int *status)
{
	const struct api_op *op = api_op_named(id);
	struct api_path_values v = {{rk_str(path)}};
	json_t *doc = body ? json_loads(body, JSON_REJECT_DUPLICATES, NULL) : NULL;
	struct api_ask page;
	int err = api_request(op, &v, rk_str(query), doc, &s->out.body, &page, &s->room,
	                      &s->errors, status);

	api_room_free(&s->room);
	json_decref(doc);
	return err;
}

static void parameters_are_checked_one_by_one(void **state)
{
	static const struct {
		const char *query;
		int err, status;
	} each[] = {
	    {"", 0, 0},
	    {"limit=200", 0, 0},
	    {"live=true&holder=app%3Aweb", 0, 0},
	    {"limit=201", RK_E_INVALID, 422},
	    {"limit=0", RK_E_INVALID, 422},
	    {"live=1", RK_E_INVALID, 422},
	    {"live", RK_E_INVALID, 400},
	    {"live=true&live=true", RK_E_INVALID, 400},
	    {"holder=%zz", RK_E_INVALID, 400},
	    {"holder=%4", RK_E_INVALID, 400},
	    {"holder=a%0d", RK_E_INVALID, 400},
	    {"unknown=1", RK_E_INVALID, 400},
	    {"&", RK_E_INVALID, 400},
	};
	int status;

	for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
		assert_int_equal(ask(*state, "listRelayKeys", "", each[i].query, NULL, &status),
		                 each[i].err);
		if (each[i].err)
			assert_int_equal(status, each[i].status);
	}
}

static void the_operation_itself_fills_what_it_stands_for(void **state)
{
	static char longer[MSG_MAX_KEY + 2];
	struct scene *s = *state;
	int status;

	assert_int_equal(ask(s, "unfreezeConnection", "a%2Db", "", NULL, &status), 0);
	assert_int_equal(s->out.body.conn_state.enabled, 1);
	assert_int_equal(ask(s, "freezeConnection", "x", "", NULL, &status), 0);
	assert_int_equal(s->out.body.conn_state.enabled, 0);
	assert_int_equal(ask(s, "freezeConnection", "%", "", NULL, &status), RK_E_INVALID);
	assert_int_equal(status, 400);
	memset(longer, 'x', MSG_MAX_KEY + 1);
	assert_int_equal(ask(s, "freezeConnection", longer, "", NULL, &status), RK_E_INVALID);
	assert_int_equal(status, 404);
	assert_int_equal(ask(s, "freezeConnection", longer + 1, "", NULL, &status), 0);
}

static void a_change_says_what_is_meant_and_null_takes_away(void **state)
{
	struct scene *s = *state;
	const struct msg_key_update *k = &s->out.body.key_update;
	const struct msg_conn_update *c = &s->out.body.conn_update;
	int status;

	assert_int_equal(ask(s, "updateRelayKey", "key_1", "", "{}", &status), 0);
	assert_int_equal(k->set, 0);
	assert_int_equal(ask(s, "updateRelayKey", "key_1", "",
	                     "{\"limits\":{\"per_day\":7,\"concurrent\":null}}", &status),
	                 0);
	assert_int_equal(k->set, KEY_SET_RATE_PER_DAY | KEY_SET_MAX_CONCURRENT);
	assert_int_equal(k->rate_per_day, 7);
	assert_int_equal(k->max_concurrent, 0);
	assert_int_equal(
	    ask(s, "updateRelayKey", "key_1", "", "{\"expires_at\":null}", &status), 0);
	assert_int_equal(k->set, KEY_SET_EXPIRY);
	assert_int_equal(k->expires_ms, 0);
	assert_int_equal(ask(s, "updateRelayKey", "key_1", "", "{\"limits\":null}", &status),
	                 RK_E_INVALID);
	assert_int_equal(ask(s, "updateConnection", "x", "",
	                     "{\"allow_private\":false,\"allow_set_cookie\":true}", &status),
	                 0);
	assert_int_equal(c->set, CONN_SET_PRIVATE | CONN_SET_COOKIE);
	assert_int_equal(c->flags, UPSTREAM_ALLOW_SET_COOKIE);
	assert_int_equal(ask(s, "updateConnection", "x", "", "{\"name\":null}", &status),
	                 RK_E_INVALID);
}

static void a_delegated_credential_reads_as_it_is_documented(void **state)
{
	static const char seed[] = "{\"connection_id\":\"conn_a1b2c3\","
	                           "\"name\":\"agent-run-2026-05-01\","
	                           "\"allowed_methods\":[\"GET\"],"
	                           "\"allowed_paths\":[\"/crm/v3/objects/contacts/*\"],"
	                           "\"ttl_seconds\":900}";
	struct scene *s = *state;
	const struct msg_key_mint *m = &s->out.body.key_mint;
	int status;

	assert_int_equal(ask(s, "createDelegatedCredential", "", "", seed, &status), 0);
	assert_int_equal(m->ttl_ms, 900000);
	assert_int_equal(m->set, 0);
	assert_int_equal(m->flags, 0);
	assert_int_equal(ask(s, "createDelegatedCredential", "", "",
	                     "{\"connection_id\":\"a\",\"allowed_methods\":[],"
	                     "\"allowed_paths\":[],\"kind\":\"app\"}",
	                     &status),
	                 0);
	assert_int_equal(m->set, MINT_SET_KIND);
	assert_int_equal(
	    ask(s, "createDelegatedCredential", "", "", "{\"connection_id\":\"a\"}", &status),
	    RK_E_INVALID);
	assert_int_equal(s->errors.count, 2);
}

static void a_name_that_may_be_a_secret_is_not_shown(void **state)
{
	struct scene *s = *state;
	int status;

	assert_int_equal(
	    ask(s, "rotateConnection", "x", "", "{\"secret\":\"s\",\"sk-AbC123\":1}", &status),
	    RK_E_INVALID);
	assert_string_equal(s->errors.at[0].pointer, "");
	assert_int_equal(
	    ask(s, "rotateConnection", "x", "", "{\"secret\":\"s\",\"secrets\":1}", &status),
	    RK_E_INVALID);
	assert_string_equal(s->errors.at[0].pointer, "/secrets");
}

static void more_errors_than_can_be_noted_are_told_of(void **state)
{
	static char body[4096];
	struct scene *s = *state;
	size_t n = (size_t)snprintf(body, sizeof body, "{\"secret\":\"s\"");
	int status;

	for (unsigned i = 0; i < 40; i++)
		n += (size_t)snprintf(body + n, sizeof body - n, ",\"a%.*s\":1", (int)i,
		                      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	snprintf(body + n, sizeof body - n, "}");
	assert_int_equal(ask(s, "rotateConnection", "x", "", body, &status), RK_E_INVALID);
	assert_int_equal(s->errors.count, API_ERRORS_MAX);
	assert_true(s->errors.more);
}

/* ---- masks ---- */

static void a_mask_is_an_array_of_names(void **state)
{
	static const struct api_field fields[] = {
	    {"kinds", "Kinds.", API_NAMES, 0, API_AT(struct msg_conn_add, flags),
	     .value = api_holder_kind, .last = 3},
	};
	static const struct api_schema masked = {.name = "Masked",
	                                         .about = "For this test.",
	                                         .desc = &msg_conn_add_desc,
	                                         API_FIELDS(fields)};
	struct msg_conn_add in = {.flags = 1 << 1 | 1 << 3}, out;
	struct scene *s = *state;
	json_t *doc = api_encode(&masked, &in);
	char *text = json_dumps(doc, JSON_COMPACT);

	assert_string_equal(text, "{\"kinds\":[\"agent\",\"vendor\"]}");
	assert_int_equal(api_decode(&masked, API_REQUEST, doc, &out, &s->room, &s->errors), 0);
	assert_int_equal(out.flags, in.flags);
	json_decref(doc);
	free(text);
	doc = json_pack("{s:[s, s, i]}", "kinds", "app", "robot", 7);
	assert_int_equal(api_decode(&masked, API_REQUEST, doc, &out, &s->room, &s->errors),
	                 RK_E_INVALID);
	assert_int_equal(s->errors.count, 2);
	assert_string_equal(s->errors.at[0].pointer, "/kinds/1");
	json_decref(doc);
}

/* ---- cursors ---- */

static void a_cursor_reads_back_and_is_good_for_its_list_only(void **state)
{
	const struct api_op *keys = api_op_named("listRelayKeys");
	char text[API_CURSOR_MAX], last[API_CURSOR_LAST], place[API_CURSOR_LAST];

	(void)state;
	memset(place, 'x', sizeof place);
	for (size_t n = 1; n <= sizeof place; n++) {
		api_cursor_write(keys, rk_slice(place, n), text);
		assert_int_equal(api_cursor_read(keys, rk_str(text), last), n);
		assert_memory_equal(last, place, n);
		assert_int_equal(
		    api_cursor_read(api_op_named("listConnections"), rk_str(text), last),
		    RK_E_INVALID);
		text[strlen(text) - 1] = '=';
		assert_int_equal(api_cursor_read(keys, rk_str(text), last), RK_E_INVALID);
	}
	for (unsigned i = 0; i < 4; i++) {
		static const char *const bad[] = {"", "A", "AAAA", "\xff"};

		assert_int_equal(api_cursor_read(keys, rk_str(bad[i]), last), RK_E_INVALID);
	}
}

/* ---- the document ---- */

static void refers_to_what_there_is(const json_t *doc, json_t *at)
{
	const char *name;
	json_t *v;
	size_t i;

	if (json_is_array(at)) {
		json_array_foreach(at, i, v) refers_to_what_there_is(doc, v);
	} else if (json_is_object(at)) {
		json_object_foreach(at, name, v)
		{
			assert_non_null(v);
			if (strcmp(name, "$ref") == 0)
				assert_non_null(json_object_get(
				    json_object_get(json_object_get(doc, "components"),
				                    "schemas"),
				    json_string_value(v) + strlen("#/components/schemas/")));
			else
				refers_to_what_there_is(doc, v);
		}
	}
}

static void the_document_is_whole(void **state)
{
	json_t *doc = api_openapi(), *paths;

	(void)state;
	assert_non_null(doc);
	refers_to_what_there_is(doc, doc);
	paths = json_object_get(doc, "paths");
	for (const struct api_op *op = api_op_next(NULL); op; op = api_op_next(op))
		assert_non_null(json_object_get(paths, op->path));
	json_decref(doc);
}

static int setup(void **state)
{
	static struct scene s;

	s.seed = 1;
	*state = &s;
	return secret_arena_init(1 << 20, SECRET_BACKING_BEST, NULL);
}

static int nothing_left(void **state)
{
	(void)state;
	return secret_arena_in_use() != 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_operation_fits_its_messages),
	    cmocka_unit_test(every_operation_is_found_by_its_path_and_no_other),
	    cmocka_unit_test(the_statuses_follow_from_what_an_operation_takes),
	    cmocka_unit_test(every_record_reads_back_as_it_was_written),
	    cmocka_unit_test(bytes_that_are_no_text_are_shown_as_question_marks),
	    cmocka_unit_test(a_response_is_merged_into_its_request),
	    cmocka_unit_test(a_value_of_csv_is_quoted_and_is_no_formula),
	    cmocka_unit_test(parameters_are_checked_one_by_one),
	    cmocka_unit_test(the_operation_itself_fills_what_it_stands_for),
	    cmocka_unit_test(a_change_says_what_is_meant_and_null_takes_away),
	    cmocka_unit_test(a_delegated_credential_reads_as_it_is_documented),
	    cmocka_unit_test(a_name_that_may_be_a_secret_is_not_shown),
	    cmocka_unit_test(more_errors_than_can_be_noted_are_told_of),
	    cmocka_unit_test(a_mask_is_an_array_of_names),
	    cmocka_unit_test(a_cursor_reads_back_and_is_good_for_its_list_only),
	    cmocka_unit_test(the_document_is_whole),
	};

	return cmocka_run_group_tests(tests, setup, nothing_left);
}

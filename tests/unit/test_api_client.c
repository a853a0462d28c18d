/*
 * The client of the management interface: what it sends is what the command said, and what it
 * reads is what the keeper answered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "api/client.h"
#include "api/fields.h"
#include "api/json_memory.h"
#include "api/request.h"
#include "ipc/catalogue_manage.h"
#include "policy/reason.h"

/* ---- any command ---- */

struct scene {
	union ipc_body rec, back;
	char grants[MSG_MAX_GRANTS], lists[16][64];
	unsigned used;
	struct api_room room;
	struct api_errors errors;
	unsigned char encoded[2][1 << 17];
};

static struct rk_slice list_of(struct scene *s, const char *a, const char *b)
{
	char *list = s->lists[s->used++ % 16];
	size_t used = 0;

	if (record_list_add(list, sizeof s->lists[0], &used, rk_str(a)) ||
	    (b && record_list_add(list, sizeof s->lists[0], &used, rk_str(b))))
		fail();
	return rk_slice(list, used);
}

static struct rk_slice objects_of(struct scene *s, const struct api_field *f)
{
	static char one[MSG_MAX_GRANT];
	const struct msg_grant g = {.conn = rk_str("conn_1"),
	                            .methods = list_of(s, "GET", "PUT"),
	                            .paths = list_of(s, "GET", "PUT")};
	size_t used = 0;
	ssize_t n;

	if (f->object->desc != &msg_grant_desc)
		return rk_slice(NULL, 0);
	n = record_encode(&msg_grant_desc, &g, one, sizeof one);
	if (n < 0 ||
	    record_list_add(s->grants, sizeof s->grants, &used, rk_slice(one, (size_t)n)))
		fail();
	return rk_slice(s->grants, used);
}

static void fill(struct scene *s, const struct api_field *fields, unsigned count, bool all,
                 bool parameter)
{
	/* what is escaped takes a block of the room each, and there are more filters */
	static const char plain[] = "A-z_0.9~", text[] = "a\xc3\xa4/%2F?&=#+ \"\\.z";

	for (unsigned i = 0; i < count; i++) {
		const struct api_field *f = &fields[i];
		uint64_t least = f->min ? f->min : 1;

		if (!all && !(f->traits & API_REQUIRED))
			continue;
		switch ((enum api_type)f->type) {
		case API_STRING:
			if (f->size)
				api_put_slice(f, &s->rec,
				              parameter && i % 2
				                  ? rk_str(plain)
				                  : rk_slice(text, f->max < 16
				                                       ? f->max
				                                       : sizeof text - 1));
			break;
		case API_STRINGS:
			api_put_slice(f, &s->rec,
			              list_of(s, "one,two", parameter ? NULL : "three"));
			break;
		case API_INTEGER:
			api_put(f, &s->rec, least);
			break;
		case API_SECONDS:
			api_put(f, &s->rec, least * 1000);
			break;
		case API_BOOL:
			api_put(f, &s->rec, 1);
			break;
		case API_FLAG:
			api_put(f, &s->rec, api_get(f, &s->rec) | f->bits);
			break;
		case API_ENUM:
			api_put(f, &s->rec, f->last);
			break;
		case API_NAMES:
			api_put(f, &s->rec, UINT64_C(1) << f->last);
			break;
		case API_TIME:
			api_put(f, &s->rec, 1700000000123);
			break;
		case API_GROUP:
			fill(s, f->object->fields, f->object->count, all, parameter);
			break;
		case API_OBJECTS:
			api_put_slice(f, &s->rec, objects_of(s, f));
			break;
		default: /* FIXED */
			memset((char *)&s->rec + f->offset, 0x5a, f->size);
			break;
		}
	}
}

static void mark_all(struct scene *s, const struct api_schema *schema, uint16_t offset)
{
	const struct api_field set = {.offset = offset, .size = sizeof(uint32_t)};

	for (unsigned i = 0; i < schema->count; i++) {
		api_put(&set, &s->rec, api_get(&set, &s->rec) | schema->fields[i].set);
		if (schema->fields[i].type == API_GROUP)
			mark_all(s, schema->fields[i].object, offset);
	}
}

static void make_command(struct scene *s, const struct api_op *op, bool all)
{
	memset(&s->rec, 0, sizeof s->rec);
	for (unsigned i = 0; i < API_PRESETS && op->preset[i].at.size; i++) {
		const struct api_field at = {.offset = op->preset[i].at.offset,
		                             .size = op->preset[i].at.size};

		api_put(&at, &s->rec, op->preset[i].value);
	}
	fill(s, op->path_values, op->path_count, true, true);
	fill(s, op->query, op->query_count, all, true);
	if (!op->body)
		return;
	fill(s, op->body->fields, op->body->count, all, false);
	if (op->body->partial && all)
		mark_all(s, op->body, op->body->set_offset);
}

/* What the server makes of it. */
static void serve(struct scene *s, const struct api_op *op, struct rk_slice target,
                  const struct api_text *body)
{
	const char *mark = memchr(target.p, '?', target.n);
	struct rk_slice path = target, query = {0};
	struct api_path_values values;
	struct api_ask ask;
	json_t *doc;
	int status;

	if (mark) {
		path.n = (size_t)(mark - target.p);
		query = rk_slice_skip(target, path.n + 1);
	}
	assert_ptr_equal(api_op_match(rk_str(op->method), path, &values), op);
	doc = op->body ? api_text_parse(body) : NULL;
	assert_true(!op->body || doc);
	if (api_request(op, &values, query, doc, &s->back, &ask, &s->room, &s->errors, &status))
		fail_msg("%s: %s %s", op->id, s->errors.at[0].pointer, s->errors.at[0].detail);
	if (op->shape == API_LIST) {
		assert_int_equal(ask.limit, 17);
		assert_true(rk_slice_is(ask.cursor, "abc-_"));
	}
	{
		const struct record_desc *d = ipc_row(op->command)->body;
		ssize_t n = record_encode(d, &s->rec, s->encoded[0], sizeof s->encoded[0]);
		ssize_t m = record_encode(d, &s->back, s->encoded[1], sizeof s->encoded[1]);

		if (n < 0 || n != m || memcmp(s->encoded[0], s->encoded[1], (size_t)n) != 0)
			fail_msg("%s is another command on the other side", op->id);
	}
	json_decref(doc);
	api_room_free(&s->room);
}

static void there(struct scene *s, const struct api_op *made, bool all)
{
	const struct api_page page = {.limit = 17, .cursor = "abc-_"};
	struct api_text body = {0};
	struct rk_secret target = {0};
	const struct api_op *op;

	make_command(s, made, all);
	op = api_client_op(made->command, &s->rec);
	if (!op)
		fail_msg("nothing does what %s does", made->id);
	if (op->body)
		assert_int_equal(api_client_body(op, &s->rec, &body), 0);
	assert_int_equal(
	    api_client_target(op, &s->rec, op->shape == API_LIST ? &page : NULL, &target), 0);
	serve(s, op, rk_secret_slice(&target), &body);
	rk_secret_free(&target);
	api_text_free(&body);
}

static void every_command_arrives_as_it_was(void **state)
{
	struct scene *s = *state;

	for (const struct api_op *op = api_op_next(NULL); op; op = api_op_next(op)) {
		there(s, op, false);
		there(s, op, true);
	}
	assert_int_equal(json_memory_in_use(), 0);
	assert_int_equal(secret_arena_in_use(), 0);
}

/* ---- which operation ---- */

static const char *op_id(enum ipc_type command, const void *rec)
{
	const struct api_op *op = api_client_op(command, rec);

	return op ? op->id : "none";
}

static void the_operation_is_the_one_that_says_all(void **state)
{
	const struct msg_conn_state on = {.ref = rk_str("a"), .enabled = 1},
	                            off = {rk_str("a"), 0};
	const struct msg_conn_identity none = {.ref = rk_str("a")},
	                               some = {.ref = rk_str("a"),
	                                       .client_chain = rk_str("c"),
	                                       .client_key = rk_str("k")};
	struct msg_audit_query q = {.mode = AUDIT_MODE_LIST, .order = AUDIT_FALLING};
	struct msg_ref ref = {.ref = rk_str("a"), .force = 1};

	(void)state;
	assert_string_equal(op_id(MSG_CONN_STATE, &on), "unfreezeConnection");
	assert_string_equal(op_id(MSG_CONN_STATE, &off), "freezeConnection");
	assert_string_equal(op_id(MSG_CONN_IDENTITY, &none), "removeClientCertificate");
	assert_string_equal(op_id(MSG_CONN_IDENTITY, &some), "setClientCertificate");
	assert_string_equal(op_id(MSG_AUDIT_QUERY, &q), "listAudit");
	q.order = AUDIT_RISING;
	assert_string_equal(op_id(MSG_AUDIT_QUERY, &q), "listAudit");
	q.order = AUDIT_NEWEST;
	assert_string_equal(op_id(MSG_AUDIT_QUERY, &q), "none");
	q.mode = AUDIT_MODE_EXPORT;
	assert_string_equal(op_id(MSG_AUDIT_QUERY, &q), "exportAudit");
	assert_string_equal(op_id(MSG_CONN_REMOVE, &ref), "deleteConnection");
	/* a member that the operation would leave out is no small thing */
	assert_string_equal(op_id(MSG_KEY_GET, &ref), "none");
	ref.force = 0;
	assert_string_equal(op_id(MSG_KEY_GET, &ref), "getRelayKey");
	assert_string_equal(op_id(MSG_FORGET, &ref), "none");
}

static void a_list_begins_where_the_command_says(void **state)
{
	const struct msg_list none = {0}, after = {.after = rk_str("conn_7")};
	const struct msg_audit_query rows = {.cursor = 4711};
	char cursor[API_CURSOR_MAX], last[API_CURSOR_LAST];
	const struct api_op *op = api_op_named("listConnections");
	ssize_t n;

	(void)state;
	api_client_cursor(op, &none, cursor);
	assert_string_equal(cursor, "");
	api_client_cursor(op, &after, cursor);
	n = api_cursor_read(op, rk_str(cursor), last);
	assert_true(n == 6 && memcmp(last, "conn_7", 6) == 0);
	op = api_op_named("listAudit");
	api_client_cursor(op, &rows, cursor);
	n = api_cursor_read(op, rk_str(cursor), last);
	assert_true(n == 4 && memcmp(last, "4711", 4) == 0);
}

static void a_secret_that_is_no_text_is_refused_and_not_changed(void **state)
{
	struct msg_conn_rotate r = {.ref = rk_str("a"), .secret = rk_slice("s\xff\xfe", 3)};
	const struct api_op *op = api_op_named("rotateConnection");
	struct api_text body = {0};

	(void)state;
	assert_int_equal(api_client_body(op, &r, &body), RK_E_INVALID);
	r.secret.n = 1;
	assert_int_equal(api_client_body(op, &r, &body), 0);
	api_text_free(&body);
	assert_int_equal(secret_arena_in_use(), 0);
}

/* ---- the answer ---- */

static void same_entry(struct audit_row *row, struct audit_row *response, bool hashes)
{
	static char packed[2][AUDIT_MAX_ROW];
	static struct api_rows rows;
	struct msg_audit_entry e = {.seq = 77, .hash = {1, 2}, .prev_hash = {3}}, back;
	struct api_room room = {0};
	json_t *doc, *again;
	ssize_t n = record_pack(&audit_row_desc, row, packed[0], AUDIT_MAX_ROW);

	assert_true(n > 0);
	e.row = rk_slice(packed[0], (size_t)n);
	if (response) {
		n = record_pack(&audit_row_desc, response, packed[1], AUDIT_MAX_ROW);
		assert_true(n > 0);
		e.response = rk_slice(packed[1], (size_t)n);
	}
	assert_int_equal(api_audit_encode(&e, hashes, &doc), 0);
	assert_int_equal(api_audit_decode(doc, &rows, &back, &room), 0);
	api_room_free(&room);
	assert_int_equal(api_audit_encode(&back, hashes, &again), 0);
	assert_true(json_equal(doc, again));
	json_decref(doc);
	json_decref(again);
}

static void an_audit_entry_looks_the_same_on_the_other_side(void **state)
{
	char names[64];
	size_t used = 0;
	struct audit_row r = {.type = AUDIT_REQUEST,
	                      .time_ms = 1700000000123,
	                      .key_id = rk_str("key_1"),
	                      .holder_kind = 3,
	                      .holder = rk_str("acme"),
	                      .conn_name = rk_str("openai"),
	                      .method = rk_str("GET"),
	                      .path = rk_str("/v1/x"),
	                      .user_agent = rk_str("a\"b"),
	                      .client_ip = {[10] = 0xff, 0xff, 127, 0, 0, 1},
	                      .policy_version = 9,
	                      .detail = rk_str("before")};
	struct audit_row a = {.type = AUDIT_RESPONSE,
	                      .time_ms = 1700000000200,
	                      .request_id = {1, 2, 3},
	                      .status = 200,
	                      .outcome = OUTCOME_CUT,
	                      .bytes_in = 5,
	                      .bytes_out = 7,
	                      .total_us = 11};
	struct audit_row m = {.type = AUDIT_MANAGE,
	                      .time_ms = 1,
	                      .actor = rk_str("uid:0"),
	                      .action = rk_str("connection.add"),
	                      .target = rk_str("conn_1"),
	                      .detail = rk_str("why")};

	(void)state;
	if (record_list_add(names, sizeof names, &used, rk_str("q")))
		fail();
	r.query_names = rk_slice(names, used);
	same_entry(&r, NULL, false);
	same_entry(&r, &a, false);
	same_entry(&a, NULL, true);
	same_entry(&m, NULL, true);
	r.reason = a.reason = REASON_INVALID_KEY;
	r.status = 401;
	same_entry(&r, NULL, true);
	a.detail = rk_str("after");
	same_entry(&r, &a, false);
}

static void a_problem_is_an_error_with_its_text(void **state)
{
	json_t *doc = json_pack("{s:s, s:[{s:s, s:s}, {s:s, s:s}]}", "detail", "It is not so.",
	                        "errors", "pointer", "/name", "detail", "is missing", "pointer",
	                        "/auth/0", "detail", "must be a string");
	char text[API_PROBLEM_TEXT];
	struct msg_done done;

	(void)state;
	api_client_problem(422, doc, &done, text);
	assert_int_equal(done.err, RK_E_INVALID);
	assert_true(
	    rk_slice_is(done.text, "It is not so. /name is missing; /auth/0 must be a string"));
	api_client_problem(404, NULL, &done, text);
	assert_int_equal(done.err, RK_E_NOTFOUND);
	api_client_problem(299, json_null(), &done, text);
	assert_int_not_equal(done.err, 0);
	json_decref(doc);
}

/* ---- texts ---- */

static void a_text_goes_over_several_blocks(void **state)
{
	static char piece[50000], back[50000];
	struct api_text t = {0};

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		memset(piece, 'a' + (int)i, sizeof piece);
		assert_int_equal(api_text_add(&t, piece, sizeof piece), 0);
	}
	assert_int_equal(api_text_size(&t), 5 * sizeof piece);
	assert_int_equal(api_text_read(&t, 125000, back, sizeof back), sizeof back);
	assert_true(back[0] == 'c' && back[24999] == 'c' && back[25000] == 'd');
	assert_int_equal(api_text_read(&t, 240000, back, sizeof back), 10000);
	assert_int_equal(api_text_read(&t, 250000, back, sizeof back), 0);
	assert_int_equal(api_text_add(&t, piece, sizeof piece), RK_E_TOOBIG);
	api_text_free(&t);
	assert_int_equal(secret_arena_in_use(), 0);
}

/* ---- */

static int set_up(void **state)
{
	*state = calloc(1, sizeof(struct scene));
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

static int make_arena(void **state)
{
	(void)state;
	json_memory_init();
	return secret_arena_init(2 * 1024 * 1024, SECRET_BACKING_BEST, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(every_command_arrives_as_it_was, set_up, tear_down),
	    cmocka_unit_test(the_operation_is_the_one_that_says_all),
	    cmocka_unit_test(a_list_begins_where_the_command_says),
	    cmocka_unit_test(a_secret_that_is_no_text_is_refused_and_not_changed),
	    cmocka_unit_test(an_audit_entry_looks_the_same_on_the_other_side),
	    cmocka_unit_test(a_problem_is_an_error_with_its_text),
	    cmocka_unit_test(a_text_goes_over_several_blocks),
	};

	return cmocka_run_group_tests(tests, make_arena, NULL);
}

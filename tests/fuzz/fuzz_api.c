/*
 * A request of the management interface: the name of an operation, a line feed, the value in
 * its path, a line feed, its query, a line feed, and the body. What is accepted is a record
 * that the channel carries, and written as JSON it reads back as the same record. Nothing of
 * the arena is left behind.
 */
#include "api/cursor.h"
#include "api/encode.h"
#include "api/request.h"
#include "tests/fuzz/fuzz.h"

static struct rk_slice line(struct rk_slice *rest)
{
	const char *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
	struct rk_slice one = rk_slice(rest->p, end ? (size_t)(end - rest->p) : rest->n);

	*rest = rk_slice_skip(*rest, one.n + 1);
	return one;
}

static const struct api_op *op_of(struct rk_slice name)
{
	const struct api_op *op = api_op_next(NULL);

	while (op && !rk_slice_is(name, op->id))
		op = api_op_next(op);
	return op;
}

/* Members that came from elsewhere than the body are not in the document: they are not looked
 * at. */
static void same_again(const struct api_op *op, const union ipc_body *rec)
{
	static unsigned char mem[2][1 << 17];
	struct api_room room = {0};
	struct api_errors errors;
	union ipc_body again;
	json_t *doc = api_encode(op->body, rec), *twice;
	ssize_t n, m;

	REQUIRE(doc);
	REQUIRE(api_decode(op->body, API_ANSWER, doc, &again, &room, &errors) == 0);
	twice = api_encode(op->body, &again);
	REQUIRE(twice && json_equal(doc, twice));
	n = record_encode(op->body->desc, rec, mem[0], sizeof mem[0]);
	m = record_encode(op->body->desc, &again, mem[1], sizeof mem[1]);
	REQUIRE(n > 0 && m > 0);
	json_decref(doc);
	json_decref(twice);
	api_room_free(&room);
}

static void try_cursor(const struct api_op *op, struct rk_slice text)
{
	char last[API_CURSOR_LAST], again[API_CURSOR_MAX];
	ssize_t n = api_cursor_read(op, text, last);

	if (n < 0)
		return;
	api_cursor_write(op, rk_slice(last, (size_t)n), again);
	REQUIRE(rk_slice_is(text, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	struct rk_slice rest = rk_slice(data, size);
	const struct api_op *op = op_of(line(&rest));
	struct api_path_values values = {{line(&rest)}};
	struct rk_slice query = line(&rest);
	struct api_room room = {0};
	struct api_errors errors;
	struct api_ask ask;
	union ipc_body rec;
	json_t *body = NULL;
	int err, status;

	if (!ready && secret_arena_init(1 << 20, SECRET_BACKING_LOCKED, NULL))
		abort();
	ready = true;
	if (!op || values.at[0].n == 0)
		return 0;
	try_cursor(op, query);
	if (op->body)
		body = json_loadb(rest.p, rest.n, JSON_REJECT_DUPLICATES, NULL);
	if (op->body && !body)
		return 0;
	err = api_request(op, &values, query, body, &rec, &ask, &room, &errors, &status);
	REQUIRE(err == 0 || err == RK_E_INVALID || err == RK_E_NOMEM);
	REQUIRE(err != RK_E_INVALID || errors.count > 0);
	if (err == 0) {
		static unsigned char mem[1 << 17];

		REQUIRE(record_encode(ipc_row(op->command)->body, &rec, mem, sizeof mem) > 0);
		REQUIRE(ask.limit >= 1 && ask.limit <= API_LIMIT_MAX);
		if (op->body)
			same_again(op, &rec);
	}
	api_room_free(&room);
	json_decref(body);
	REQUIRE(secret_arena_in_use() == 0);
	return 0;
}

/*
 * An answer of the management interface, as the command line reads it from a server that may be
 * any: the name of an operation, a line feed, and the document. What is accepted is a message
 * that looks the same when it is written again; whatever it is, it has a text as a problem.
 * Nothing of the arena is left behind.
 */
#include "api/client.h"
#include "api/encode.h"
#include "api/fields.h"
#include "tests/fuzz/fuzz.h"

static bool encode(const struct api_op *op, const union ipc_body *m, json_t **out)
{
	if (op->shows == &api_audit_entry)
		return api_audit_encode(&m->audit_entry, true, out) == 0;
	*out = api_encode(op->shows, m);
	return *out != NULL;
}

static void same_again(const struct api_op *op, const union ipc_body *m)
{
	static struct api_rows rows;
	struct api_room room = {0};
	union ipc_body again;
	json_t *doc = NULL, *twice = NULL;

	/* an audit row may be one that no keeper writes: a response in a request's place */
	if (!encode(op, m, &doc))
		return;
	if (api_client_object(op, doc, &again, &room, &rows) == 0) {
		REQUIRE(encode(op, &again, &twice));
		REQUIRE(json_equal(doc, twice));
	}
	json_decref(doc);
	json_decref(twice);
	api_room_free(&room);
}

static void try_problem(const json_t *doc)
{
	char text[API_PROBLEM_TEXT];
	struct msg_done done;

	api_client_problem(422, doc, &done, text);
	REQUIRE(done.err < 0 && done.text.n < sizeof text && done.text.p[done.text.n] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct api_rows rows;
	static bool ready;
	struct rk_slice name = rk_slice(data, size), rest;
	const char *end = size ? memchr(data, '\n', size) : NULL;
	const struct api_op *op = api_op_next(NULL);
	struct api_room room = {0};
	union ipc_body m = {0};
	json_t *doc;
	int err;

	if (!ready && secret_arena_init(1 << 20, SECRET_BACKING_LOCKED, NULL))
		abort();
	ready = true;
	if (!end)
		return 0;
	name.n = (size_t)(end - name.p);
	rest = rk_slice_skip(rk_slice(data, size), name.n + 1);
	while (op && !rk_slice_is(name, op->id))
		op = api_op_next(op);
	doc = json_loadb(rest.p, rest.n, 0, NULL);
	if (!op || !op->shows || !doc) {
		json_decref(doc);
		return 0;
	}
	try_problem(doc);
	err = api_client_object(op, doc, &m, &room, &rows);
	REQUIRE(err == 0 || err == RK_E_INVALID || err == RK_E_NOMEM);
	if (err == 0)
		same_again(op, &m);
	json_decref(doc);
	api_room_free(&room);
	REQUIRE(secret_arena_in_use() == 0);
	return 0;
}

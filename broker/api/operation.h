/*
 * The operations of the REST interface: one table, and from it the console's router, the
 * document and a client. An operation is a command of ipc/messages_manage.h with a method and a
 * path: where each member of the record comes from, and what the answer looks like.
 *
 * Whether a caller may do it is the keeper's to say; `may` is here for the document only, and a
 * test compares the two.
 */
#ifndef API_OPERATION_H
#define API_OPERATION_H

#include "api/schema.h"
#include "ipc/catalogue.h"
#include "policy/mgmt_role.h"

enum api_shape {
	API_ONE,  /* one message `answer`: an object */
	API_LIST, /* messages `answer` and DONE: a page, {"data": [...], "next_cursor": ...} */
	API_NOTHING, /* DONE */
	API_EVENTS,  /* messages `answer` without end: server-sent events */
	API_LINES,   /* messages `answer` and DONE: JSON Lines or CSV */
};

enum api_op_trait {
	/* takes Idempotency-Key; containment does not: it is done at once, and twice is as good
	 * as once */
	API_KEYED = 1,
	API_MATCH = 2,  /* takes If-Match */
	API_SLOW = 4,   /* may take minutes */
	API_SEALED = 8, /* works without a token */
	API_BARE = 16,  /* its body may be left out */
};

enum { API_LIMIT_DEFAULT = 50, API_LIMIT_MAX = 200, API_PATH_VALUES = 2, API_PRESETS = 2 };

/* A member of a record. */
struct api_place {
	uint16_t offset, size;
};
#define API_PLACE(T, m)                                                                        \
	{                                                                                      \
		offsetof(T, m), sizeof(((T *)0)->m)                                            \
	}

/* A member that the operation itself stands for; where a query parameter is the same member,
 * its value without that. */
struct api_preset {
	struct api_place at;
	uint64_t value;
};

struct api_op {
	const char *id;            /* operationId */
	const char *method, *path; /* "{name}" stands for a whole segment */
	const char *tag, *summary;
	enum ipc_type command, answer;
	uint8_t shape;                  /* enum api_shape */
	uint8_t traits;                 /* mask of enum api_op_trait */
	uint16_t success;               /* status */
	unsigned may;                   /* roles */
	const struct api_schema *body;  /* of the request; NULL: it has none */
	const struct api_schema *shows; /* of `answer` */
	/* Parameters, by name: members of the command's record. */
	const struct api_field *path_values, *query;
	uint8_t path_count, query_count;
	struct api_preset preset[API_PRESETS];
	/* LIST: the member that goes on behind the last object seen, which object's member that
	 * is, and the one that says how many. A slice or a U64. */
	struct api_place after, last, limit;
	uint16_t also[4];    /* statuses beside those that follow from the above */
	const char *made_at; /* 201: path of the object without its id; NULL: `path` */
};

/* One subject's operations. */
struct api_ops {
	const struct api_op *op;
	unsigned count;
};
#define API_OPS(table)                                                                         \
	{                                                                                      \
		(table), sizeof(table) / sizeof((table)[0])                                    \
	}

extern const struct api_ops api_ops_status, api_ops_conn, api_ops_key, api_ops_audit,
    api_ops_trust, api_ops_care, api_ops_access, api_ops_settings, api_ops_hook,
    api_ops_contain;

/* Each operation in turn: NULL in, the first one out; NULL after the last. */
const struct api_op *api_op_next(const struct api_op *op);

/* The one with that operationId, or NULL. */
const struct api_op *api_op_named(const char *id);

/* What the path's "{name}" stood for, as sent. */
struct api_path_values {
	struct rk_slice at[API_PATH_VALUES];
};

/* The operation of a method and a path (without query), or NULL. */
const struct api_op *api_op_match(struct rk_slice method, struct rk_slice path,
                                  struct api_path_values *out);

enum { API_ALLOW_MAX = 64 };

/* "GET, HEAD, POST": what the path can be asked for; "" when there is no such path. */
void api_op_methods(struct rk_slice path, char out[API_ALLOW_MAX]);

/* The statuses of an operation's answers in ascending order, 0 ends them. */
enum { API_STATUSES_MAX = 16 };
void api_op_statuses(const struct api_op *op, uint16_t out[API_STATUSES_MAX]);

#endif

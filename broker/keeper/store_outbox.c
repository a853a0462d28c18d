#include "keeper/store_outbox.h"

#include "keeper/db_stmt.h"
#include "keeper/store_schema.h"

int store_outbox_add(struct store *s, const struct store_outbox *item, struct rk_fault *fault)
{
	return db_run(s->db,
	              "INSERT INTO outbox(kind, target, notice, state, attempts, created_ms, "
	              "next_ms, done_ms, error) VALUES (?, ?, ?, ?, 0, ?, ?, 0, '')",
	              DB_VALUES(DB_INT(item->kind), DB_TEXT(item->target),
	                        DB_BLOB(item->notice), DB_INT(OUTBOX_WAITING),
	                        DB_INT(item->created_ms), DB_INT(item->created_ms)),
	              NULL, fault, "cannot store what is to be sent");
}

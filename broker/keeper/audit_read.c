#include "keeper/audit_read.h"

#include <stdlib.h>

#include "keeper/audit_rows.h"

struct audit_reader {
	sqlite3 *db;
	struct audit_rows *rows;
};

int audit_reader_open(const char *journal_path, const struct rk_secret *key,
                      struct audit_reader **out, struct rk_fault *fault)
{
	struct audit_reader *r = calloc(1, sizeof *r);
	int err;

	if (!r)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	err = db_open(journal_path, key, DB_READ_ONLY, true, &r->db, fault);
	if (!err)
		err = db_check_schema(r->db, JOURNAL_APPLICATION_ID, journal_schema_version,
		                      fault);
	if (!err)
		err = audit_rows_new(r->db, &r->rows, fault);
	if (err) {
		audit_reader_close(r);
		return err;
	}
	*out = r;
	return 0;
}

void audit_reader_close(struct audit_reader *r)
{
	if (!r)
		return;
	audit_rows_free(r->rows);
	db_close(r->db);
	free(r);
}

struct audit_rows *audit_reader_rows(struct audit_reader *r)
{
	return r->rows;
}

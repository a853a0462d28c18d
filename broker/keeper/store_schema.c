#include "keeper/store_schema.h"

/*
 * Version 1. Rowids count upwards, so that reading a table in their order gives its objects in
 * the order of creation. Equal sets of grants and equal holders are stored once: a million keys
 * with the same grants cost a number each.
 */
static const char version_1[] =
    "CREATE TABLE setting("
    " name TEXT PRIMARY KEY NOT NULL,"
    " value INTEGER NOT NULL"
    ") WITHOUT ROWID;"
    "INSERT INTO setting VALUES ('policy_version', 0);"

    "CREATE TABLE conn("
    " n INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE,"
    " name TEXT NOT NULL UNIQUE,"
    " provider TEXT NOT NULL,"
    " base_url TEXT NOT NULL,"
    " auth BLOB NOT NULL,"
    " flags INTEGER NOT NULL,"
    " enabled INTEGER NOT NULL,"
    " ca_pem BLOB NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " updated_ms INTEGER NOT NULL);"

    "CREATE TABLE credential("
    " conn INTEGER NOT NULL REFERENCES conn(n) ON DELETE CASCADE,"
    " version INTEGER NOT NULL CHECK(version > 0),"
    " blob BLOB NOT NULL,"
    " hint TEXT NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " PRIMARY KEY(conn, version)"
    ") WITHOUT ROWID;"

    "CREATE TABLE holder("
    " n INTEGER PRIMARY KEY,"
    " kind INTEGER NOT NULL,"
    " name TEXT NOT NULL,"
    " UNIQUE(kind, name));"

    "CREATE TABLE grant_set("
    " n INTEGER PRIMARY KEY,"
    " digest BLOB NOT NULL UNIQUE," /* SHA-256 of grants */
    " grants BLOB NOT NULL);"

    "CREATE TABLE relay_key("
    " n INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE,"
    " digest BLOB NOT NULL," /* SHA-256 of the key; the key is nowhere */
    " hint TEXT NOT NULL,"
    " holder INTEGER NOT NULL REFERENCES holder(n),"
    " name TEXT NOT NULL,"
    " env TEXT NOT NULL,"
    " cidrs BLOB NOT NULL,"
    " grant_set INTEGER NOT NULL REFERENCES grant_set(n),"
    " created_ms INTEGER NOT NULL,"
    " expires_ms INTEGER NOT NULL,"
    " revoked_ms INTEGER NOT NULL);";

/* Version 2: limits of a relay key, 0 for none. */
static const char version_2[] =
    "ALTER TABLE relay_key ADD COLUMN rate_per_minute INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE relay_key ADD COLUMN rate_per_day INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE relay_key ADD COLUMN max_concurrent INTEGER NOT NULL DEFAULT 0;";

/*
 * Version 3: how a connection's upstream is reached. `kind` is enum store_egress_kind; the
 * newest version of a kind counts. `public` is the certificate chain or the proxy's text,
 * `blob` the wrapped private key or the proxy's wrapped credential; both empty: taken back.
 */
static const char version_3[] = "CREATE TABLE egress("
                                " conn INTEGER NOT NULL REFERENCES conn(n) ON DELETE CASCADE,"
                                " kind INTEGER NOT NULL,"
                                " version INTEGER NOT NULL CHECK(version > 0),"
                                " public BLOB NOT NULL,"
                                " blob BLOB NOT NULL,"
                                " created_ms INTEGER NOT NULL,"
                                " PRIMARY KEY(conn, kind, version)"
                                ") WITHOUT ROWID;";

const struct db_migration store_migrations[] = {{version_1}, {version_2}, {version_3}};
const unsigned store_schema_version = sizeof store_migrations / sizeof store_migrations[0];

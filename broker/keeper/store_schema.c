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

/*
 * Version 4: the control plane. `revision` counts the changes of an object (ETag). `target`
 * counts how often a connection was pointed elsewhere, and says for which of these a credential
 * was given (store_credential.h). Flags of a relay key: enum key_flags; minted_by is
 * management_key.n, 0 for none. Addresses are 16 bytes, with so many bits that count. A holder
 * is settled once it has had a trusted address: then no other one is its first. What is sent
 * out waits in the outbox until the other side has it. An idempotency row says which object a
 * change made, not what it answered.
 */
static const char version_4[] =
    "ALTER TABLE conn ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;"
    "ALTER TABLE conn ADD COLUMN target INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE credential ADD COLUMN target INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE relay_key ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;"
    "ALTER TABLE relay_key ADD COLUMN flags INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE relay_key ADD COLUMN minted_by INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE holder ADD COLUMN email TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE holder ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;"
    "ALTER TABLE holder ADD COLUMN settled INTEGER NOT NULL DEFAULT 0;"

    "CREATE TABLE management_key("
    " n INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE,"
    " digest BLOB NOT NULL UNIQUE,"
    " hint TEXT NOT NULL,"
    " role INTEGER NOT NULL,"
    " name TEXT NOT NULL,"
    " bounds BLOB NOT NULL," /* record: what it may mint; empty: not a provisioner's */
    " created_ms INTEGER NOT NULL,"
    " expires_ms INTEGER NOT NULL,"
    " revoked_ms INTEGER NOT NULL,"
    " revision INTEGER NOT NULL);"

    "CREATE INDEX relay_key_minted ON relay_key(minted_by) WHERE minted_by > 0;"

    "CREATE TABLE user("
    " n INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE,"
    " name TEXT NOT NULL UNIQUE,"
    " email TEXT NOT NULL,"
    " role INTEGER NOT NULL,"
    " enabled INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " updated_ms INTEGER NOT NULL,"
    " revision INTEGER NOT NULL);"

    "CREATE TABLE trusted_ip("
    " n INTEGER PRIMARY KEY AUTOINCREMENT,"
    " holder INTEGER NOT NULL REFERENCES holder(n),"
    " address BLOB NOT NULL,"
    " bits INTEGER NOT NULL,"
    " state INTEGER NOT NULL,"
    " how INTEGER NOT NULL,"    /* who decided */
    " relay_key TEXT NOT NULL," /* with which it came, and so on: for the page and the list */
    " conn TEXT NOT NULL,"
    " user_agent TEXT NOT NULL,"
    " first_ms INTEGER NOT NULL,"
    " decided_ms INTEGER NOT NULL,"
    " mailed_ms INTEGER NOT NULL,"
    " code_digest BLOB NOT NULL," /* SHA-256 of the link's code; empty: none is open */
    " code_expires_ms INTEGER NOT NULL,"
    " revision INTEGER NOT NULL,"
    " UNIQUE(holder, address, bits));"

    "CREATE TABLE webhook("
    " n INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE,"
    " name TEXT NOT NULL UNIQUE,"
    " url TEXT NOT NULL,"
    " events INTEGER NOT NULL,"
    " flags INTEGER NOT NULL,"
    " ca_pem BLOB NOT NULL,"
    " blob BLOB NOT NULL," /* signing secret, as token_wrap() made it */
    " secret_version INTEGER NOT NULL,"
    " enabled INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " updated_ms INTEGER NOT NULL,"
    " revision INTEGER NOT NULL);"

    "CREATE TABLE outbox("
    " n INTEGER PRIMARY KEY AUTOINCREMENT,"
    " kind INTEGER NOT NULL,"  /* enum outbox_kind */
    " target TEXT NOT NULL,"   /* mail address; id of the webhook */
    " lane TEXT NOT NULL,"     /* what waits for the same target; all mail has one */
    " notice BLOB NOT NULL,"   /* record */
    " state INTEGER NOT NULL," /* enum outbox_state */
    " attempts INTEGER NOT NULL,"
    " status INTEGER NOT NULL," /* of the last answer */
    " created_ms INTEGER NOT NULL,"
    " next_ms INTEGER NOT NULL,"
    " done_ms INTEGER NOT NULL,"
    " error TEXT NOT NULL);"
    "CREATE INDEX outbox_due ON outbox(state, lane, next_ms);"

    /* for those who are told before a key ends */
    "CREATE INDEX relay_key_ends ON relay_key(expires_ms) WHERE expires_ms > 0;"

    "CREATE TABLE idempotency("
    " caller TEXT NOT NULL,"
    " key TEXT NOT NULL,"
    " digest BLOB NOT NULL," /* of the command */
    " target TEXT NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " PRIMARY KEY(caller, key)"
    ") WITHOUT ROWID;"
    "CREATE INDEX idempotency_age ON idempotency(created_ms);"

    "CREATE TABLE option("
    " name TEXT PRIMARY KEY NOT NULL,"
    " value BLOB NOT NULL"
    ") WITHOUT ROWID;";

const struct db_migration store_migrations[] = {
    {version_1}, {version_2}, {version_3}, {version_4}};
const unsigned store_schema_version = sizeof store_migrations / sizeof store_migrations[0];

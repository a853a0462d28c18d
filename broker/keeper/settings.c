#include "keeper/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "keeper/db_stmt.h"
#include "keeper/keeper_int.h"
#include "keeper/store_schema.h"

/* Stored: fields are only ever appended. */
static const struct record_field fields[] = {
    RF_BYTES(struct settings, public_url, MSG_MAX_URL),
    RF_BYTES(struct settings, smtp_host, MSG_MAX_HOST),
    RF_U16(struct settings, smtp_port),
    RF_U8(struct settings, smtp_tls),
    RF_BYTES(struct settings, smtp_user, MSG_MAX_SMTP_USER),
    RF_BYTES(struct settings, smtp_ca, MSG_MAX_PEM),
    RF_BYTES(struct settings, mail_from, MSG_MAX_MAIL),
    RF_LIST(struct settings, alert_mail, MSG_MAX_MAILS),
    RF_U8(struct settings, trust_first_ip),
    RF_LIST(struct settings, trust_presets, MSG_MAX_LIST),
    RF_U32(struct settings, mails_per_key_day),
    RF_I64(struct settings, confirm_ttl_ms),
    RF_LIST(struct settings, leak_keys, MSG_MAX_LIST),
    RF_U32(struct settings, password_version),
    RF_BYTES(struct settings, password_blob, SETTINGS_MAX_PASSWORD + TOKEN_WRAP_OVERHEAD),
    RF_I64(struct settings, updated_ms),
    RF_U32(struct settings, revision),
};

static const struct record_desc desc = RECORD_DESC(struct settings, fields);

static const struct settings defaults = {
    .smtp_port = 587,
    .smtp_tls = SMTP_TLS_STARTTLS,
    .trust_first_ip = 1,
    .mails_per_key_day = 20,
    .confirm_ttl_ms = 24 * 3600 * INT64_C(1000),
    .revision = 1,
};

struct settings_box {
	struct settings now;
	struct rk_secret password;
	struct rk_slice encoded; /* in mem; what is stored */
	char mem[];
};

/* ---- a copy that owns what it says ---- */

static int box_decode(struct rk_slice encoded, struct settings_box **out)
{
	struct settings_box *b = calloc(1, sizeof *b + encoded.n);
	int err;

	if (!b)
		return RK_E_NOMEM;
	memcpy(b->mem, encoded.p, encoded.n);
	b->encoded = rk_slice(b->mem, encoded.n);
	err = record_decode_stored(&desc, b->encoded, &b->now);
	if (err) {
		settings_box_free(b);
		return err;
	}
	*out = b;
	return 0;
}

int settings_box_new(const struct settings *from, struct settings_box **out)
{
	size_t cap = record_size(&desc, from);
	char *mem = malloc(cap);
	ssize_t n;
	int err;

	if (!mem)
		return RK_E_NOMEM;
	n = record_encode(&desc, from, mem, cap);
	err = n < 0 ? (int)n : box_decode(rk_slice(mem, (size_t)n), out);
	free(mem);
	return err;
}

void settings_box_free(struct settings_box *b)
{
	if (!b)
		return;
	rk_secret_free(&b->password);
	free(b);
}

const struct settings *settings_box_get(const struct settings_box *b)
{
	return b ? &b->now : &defaults;
}

void settings_box_set_password(struct settings_box *b, struct rk_secret *password)
{
	rk_secret_free(&b->password);
	rk_secret_move(&b->password, password);
}

void settings_box_take_password(struct settings_box *b, struct settings_box *from)
{
	settings_box_set_password(b, &from->password);
}

struct rk_slice settings_box_password(const struct settings_box *b)
{
	return b ? rk_secret_slice(&b->password) : rk_str(NULL);
}

const struct settings *keeper_settings(struct keeper *k)
{
	return settings_box_get(k->settings);
}

struct rk_slice keeper_smtp_password(struct keeper *k)
{
	return settings_box_password(k->settings);
}

struct rk_slice settings_password_place(uint32_t version, char out[SETTINGS_PLACE_MAX])
{
	int n = snprintf(out, SETTINGS_PLACE_MAX, "smtp|password|%" PRIu32, version);

	return rk_slice(out, n < 0 ? 0 : (size_t)n);
}

/* ---- in the store ---- */

static int open_password(struct settings_box *b, struct token *t, struct rk_fault *fault)
{
	char mem[SETTINGS_PLACE_MAX];
	int err;

	if (!t || !b->now.password_blob.n)
		return 0;
	err = token_unwrap(t, b->now.password_blob,
	                   settings_password_place(b->now.password_version, mem), &b->password,
	                   fault);
	return err == RK_E_TOKEN ? err : 0;
}

int settings_load(struct store *s, struct token *t, struct settings_box **out,
                  struct rk_fault *fault)
{
	struct settings_box *b = NULL;
	sqlite3_stmt *st = NULL;
	int err =
	    db_prepare(s->db, "SELECT value FROM option WHERE name = 'settings'", &st, fault);
	int rc;

	if (err)
		return err;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		err = box_decode(db_column(st, 0), &b);
	else if (rc == SQLITE_DONE)
		err = settings_box_new(&defaults, &b);
	else
		err = db_error(s->db, rc, fault, "cannot read the settings");
	if (err && (rc == SQLITE_ROW || rc == SQLITE_DONE))
		rk_fail(fault, err, "the settings in the policy store do not decode: %s",
		        rk_strerror(err));
	sqlite3_finalize(st);
	if (!err)
		err = open_password(b, t, fault);
	if (err) {
		settings_box_free(b);
		return err;
	}
	*out = b;
	return 0;
}

int settings_store(struct store *s, const struct settings_box *b, struct rk_fault *fault)
{
	return db_run(s->db,
	              "INSERT OR REPLACE INTO option(name, value) VALUES ('settings', ?)",
	              DB_VALUES(DB_BLOB(b->encoded)), NULL, fault, "cannot store the settings");
}

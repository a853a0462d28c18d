/*
 * The settings that people change while the broker runs: where its console is, how it sends
 * mail, how new addresses are trusted. Kept as one record in the policy store; the mail
 * server's password is wrapped in it, for its own place.
 *
 * The password is opened when the stores are and stays in secret memory: a lost token is one of
 * the things that mail has to tell of.
 */
#ifndef KEEPER_SETTINGS_H
#define KEEPER_SETTINGS_H

#include "base/secret.h"
#include "base/slice.h"
#include "ipc/messages_manage.h"

struct keeper;
struct store;
struct token;
struct settings_box;

enum { SETTINGS_MAX_PASSWORD = 512, SETTINGS_PLACE_MAX = 32 };

/* As struct msg_settings says. Texts are empty where nothing was set. */
struct settings {
	struct rk_slice public_url; /* no slash at its end */
	struct rk_slice smtp_host;
	uint16_t smtp_port;
	uint8_t smtp_tls;
	struct rk_slice smtp_user;
	struct rk_slice smtp_ca;
	struct rk_slice mail_from;
	struct rk_slice alert_mail; /* LIST */
	uint8_t trust_first_ip;
	struct rk_slice trust_presets; /* LIST */
	uint32_t mails_per_key_day;
	int64_t confirm_ttl_ms;
	struct rk_slice leak_keys;     /* LIST */
	uint32_t password_version;     /* counts them; 0: there never was one */
	struct rk_slice password_blob; /* as token_wrap() made it; empty: none */
	int64_t updated_ms;
	uint32_t revision; /* 1, 2, ... */
};

/* Loop. Never NULL: until the store is open, and where nothing was set, the defaults. Borrows
 * until the next change. */
const struct settings *keeper_settings(struct keeper *k);

/* Of the mail server; empty: none. */
struct rk_slice keeper_smtp_password(struct keeper *k);

/* The password's place, as the token's additional data. */
struct rk_slice settings_password_place(uint32_t version, char out[SETTINGS_PLACE_MAX]);

/* A copy that owns what it says. */
RK_MUST_CHECK int settings_box_new(const struct settings *from, struct settings_box **out);
void settings_box_free(struct settings_box *b); /* accepts NULL */
const struct settings *settings_box_get(const struct settings_box *b);
/* Takes the password. */
void settings_box_set_password(struct settings_box *b, struct rk_secret *password);
void settings_box_take_password(struct settings_box *b, struct settings_box *from);
struct rk_slice settings_box_password(const struct settings_box *b);

/* From the store; defaults when nothing is in it. `t` opens the password (NULL: it stays
 * closed): RK_E_TOKEN when the token is away. A password that does not open is none. */
RK_MUST_CHECK int settings_load(struct store *s, struct token *t, struct settings_box **out,
                                struct rk_fault *fault);

/* Store worker, within a transaction. */
RK_MUST_CHECK int settings_store(struct store *s, const struct settings_box *b,
                                 struct rk_fault *fault);

#endif

/*
 * The settings, as management shows and changes them. A change is checked as a whole: what is
 * in force is always a set of settings that fit together.
 */
#include "keeper/manage_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "keeper/manage_check.h"
#include "keeper/notice.h"
#include "keeper/settings_check.h"
#include "keeper/store_schema.h"
#include "policy/mail_address.h"

struct change_settings {
	struct settings next;
	struct rk_secret password;
	bool password_kept; /* the one that is in force stays */
	unsigned char blob[SETTINGS_MAX_PASSWORD + TOKEN_WRAP_OVERHEAD];
	struct settings_box *box;
	char url[MSG_MAX_URL + 1];
	char presets[MSG_MAX_LIST];
};

static void show(struct manage_op *op)
{
	const struct settings *s = keeper_settings(op->k);
	const struct msg_settings m = {
	    .public_url = s->public_url,
	    .smtp_host = s->smtp_host,
	    .smtp_port = s->smtp_port,
	    .smtp_tls = s->smtp_tls,
	    .smtp_user = s->smtp_user,
	    .smtp_password = s->password_blob.n > 0,
	    .smtp_ca = s->smtp_ca,
	    .mail_from = s->mail_from,
	    .alert_mail = s->alert_mail,
	    .trust_first_ip = s->trust_first_ip,
	    .trust_presets = s->trust_presets,
	    .mails_per_key_day = s->mails_per_key_day,
	    .confirm_ttl_ms = s->confirm_ttl_ms,
	    .leak_keys = s->leak_keys,
	    .updated_ms = s->updated_ms,
	    .revision = s->revision,
	};

	manage_send(op, MSG_SETTINGS, &m);
}

void manage_settings_get(struct manage_op *op)
{
	show(op);
	manage_finish(op);
}

int manage_revision(const struct manage_op *op, uint32_t revision, struct rk_fault *fault)
{
	uint64_t meant = op->caller ? op->caller->if_revision : 0;

	if (!meant || meant == revision)
		return 0;
	return rk_fail(fault, RK_E_STALE, "it was changed meanwhile: it is at revision %u now",
	               revision);
}

/* ---- settings.change ---- */

static void merge(struct settings *s, const struct msg_settings_set *b)
{
	if (b->set & SETTINGS_PUBLIC_URL)
		s->public_url = b->public_url;
	if (b->set & SETTINGS_SMTP_HOST)
		s->smtp_host = b->smtp_host;
	if (b->set & SETTINGS_SMTP_PORT)
		s->smtp_port = b->smtp_port;
	if (b->set & SETTINGS_SMTP_TLS)
		s->smtp_tls = b->smtp_tls;
	if (b->set & SETTINGS_SMTP_USER)
		s->smtp_user = b->smtp_user;
	if (b->set & SETTINGS_SMTP_CA)
		s->smtp_ca = b->smtp_ca;
	if (b->set & SETTINGS_MAIL_FROM)
		s->mail_from = b->mail_from;
	if (b->set & SETTINGS_ALERT_MAIL)
		s->alert_mail = b->alert_mail;
	if (b->set & SETTINGS_TRUST_FIRST_IP)
		s->trust_first_ip = b->trust_first_ip != 0;
	if (b->set & SETTINGS_TRUST_PRESETS)
		s->trust_presets = b->trust_presets;
	if (b->set & SETTINGS_MAILS_PER_KEY_DAY)
		s->mails_per_key_day = b->mails_per_key_day;
	if (b->set & SETTINGS_CONFIRM_TTL)
		s->confirm_ttl_ms = b->confirm_ttl_ms;
	if (b->set & SETTINGS_LEAK_KEYS)
		s->leak_keys = b->leak_keys;
}

/* Which members: never what is in them. */
static void note(struct manage_op *op, uint32_t set)
{
	static const char *const names[] = {
	    "public_url",    "smtp_host",         "smtp_port",   "smtp_tls",   "smtp_user",
	    "smtp_password", "smtp_ca",           "mail_from",   "alert_mail", "trust_first_ip",
	    "trust_presets", "mails_per_key_day", "confirm_ttl", "leak_keys",
	};
	char text[sizeof op->detail] = "";
	size_t used = 0;

	for (unsigned i = 0; i < sizeof names / sizeof names[0] && used < sizeof text; i++) {
		if (set & 1u << i)
			used += (size_t)snprintf(text + used, sizeof text - used, "%s%s",
			                         used ? " " : "", names[i]);
	}
	manage_detail(op, "%s", text);
}

/* The request lies in this operation's own secret memory. */
static int take_password(struct manage_op *op, struct change_settings *c,
                         struct rk_slice password, struct rk_fault *fault)
{
	int err = settings_check_password(password, fault);

	if (!err && (rk_secret_alloc(&c->password, password.n) ||
	             rk_secret_add(&c->password, password.p, password.n)))
		err = rk_fail(fault, RK_E_NOMEM,
		              "there is no secret memory left for the password");
	rk_wipe(op->request.p + (password.p - (const char *)op->request.p), password.n);
	return err;
}

/* A password stays with the server that it was given for: who may change where mail goes must
 * not thereby learn it. */
static int settle_password(struct manage_op *op, struct change_settings *c,
                           const struct settings *before, struct rk_fault *fault)
{
	const struct msg_settings_set *b = &op->body.settings_set;
	struct settings *s = &c->next;

	if (b->set & SETTINGS_SMTP_PASSWORD) {
		s->password_blob = rk_str(NULL);
		if (!b->smtp_password.n)
			return 0;
		s->password_version++;
		return take_password(op, c, b->smtp_password, fault);
	}
	if (before->password_blob.n && settings_moves_password(before, s))
		return rk_fail(
		    fault, RK_E_INVALID,
		    "give smtp_password again (or an empty one to remove it): it was "
		    "given for another server, user or way to it");
	c->password_kept = before->password_blob.n > 0;
	return 0;
}

/* The forms in which they are kept. */
static int canonical(struct change_settings *c, struct rk_fault *fault)
{
	struct settings *s = &c->next;
	size_t used = 0;
	int err;

	while (s->public_url.n && s->public_url.p[s->public_url.n - 1] == '/')
		s->public_url.n--;
	err = check_cidrs(s->trust_presets, c->presets, &used, fault);
	s->trust_presets = rk_slice(c->presets, used);
	return err;
}

static int begin(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_settings_set *b = &op->body.settings_set;
	const struct settings *before = keeper_settings(op->k);
	struct change_settings *c = calloc(1, sizeof *c);
	int err;

	if (!c)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	op->settings = c;
	snprintf(op->target, sizeof op->target, "settings");
	if (b->set & ~(uint32_t)SETTINGS_MEMBERS)
		return rk_fail(fault, RK_E_INVALID, "there is no such setting");
	err = manage_revision(op, before->revision, fault);
	if (err)
		return err;
	if (!b->set)
		return 1;
	c->next = *before;
	merge(&c->next, b);
	err = settle_password(op, c, before, fault);
	if (!err)
		err = canonical(c, fault);
	if (!err)
		err = settings_check(&c->next, c->password.len || c->password_kept, fault);
	if (err)
		return err;
	c->next.revision++;
	c->next.updated_ms = op->now_ms;
	note(op, b->set);
	return 0;
}

static int prepare(struct manage_op *op, struct rk_fault *fault)
{
	struct change_settings *c = op->settings;
	char mem[SETTINGS_PLACE_MAX];
	size_t n = 0;
	int err;

	if (!c->password.len)
		return 0;
	err = token_wrap(op->k->token, &c->password,
	                 settings_password_place(c->next.password_version, mem), c->blob,
	                 sizeof c->blob, &n, fault);
	c->next.password_blob = rk_slice(c->blob, n);
	return err;
}

static int store(struct manage_op *op, struct rk_fault *fault)
{
	struct change_settings *c = op->settings;
	struct store *s = op->k->store;
	int err = settings_box_new(&c->next, &c->box);

	if (err)
		return rk_fail(fault, err, "the settings are too long, or memory is out");
	err = store_begin(s, fault);
	if (!err)
		err = settings_store(s, c->box, fault);
	return store_end(s, err, fault);
}

static int apply(struct manage_op *op, struct rk_fault *fault)
{
	struct change_settings *c = op->settings;
	struct settings_box *former = op->k->settings;

	(void)fault;
	if (c->password_kept)
		settings_box_take_password(c->box, former);
	else
		settings_box_set_password(c->box, &c->password);
	op->k->settings = c->box;
	c->box = NULL;
	settings_box_free(former);
	dispatch_mail_changed(op->k->dispatch);
	return 0;
}

void manage_settings_release(struct manage_op *op)
{
	struct change_settings *c = op->settings;

	if (!c)
		return;
	rk_secret_free(&c->password);
	settings_box_free(c->box);
	free(c);
}

/* Sent again: the answer is the settings as they are now, or that a mail is on its way. */
static int recall(struct manage_op *op, struct rk_fault *fault)
{
	(void)op;
	(void)fault;
	return 0;
}

const struct mutation mutation_settings_set = {
    .action = "settings.change",
    .begin = begin,
    .prepare = prepare,
    .store = store,
    .apply = apply,
    .answer = show,
    .recall = recall,
};

/* ---- mail.test ---- */

static int test_begin(struct manage_op *op, struct rk_fault *fault)
{
	const struct settings *s = keeper_settings(op->k);
	struct rk_slice address = op->body.mail_test.address;
	int err = address.n ? mail_address_check(address, fault) : 0;

	if (!err && !s->smtp_host.n)
		err = rk_fail(fault, RK_E_STATE, "no mail server is set: set smtp_host first");
	if (!err && !address.n && !s->alert_mail.n)
		err = rk_fail(fault, RK_E_INVALID, "to which address? alert_mail holds none");
	if (err)
		return err;
	snprintf(op->target, sizeof op->target, "settings");
	manage_detail(op, "%.*s", RK_FMT(address));
	return 0;
}

static int test_store(struct manage_op *op, struct rk_fault *fault)
{
	const struct msg_notice n = {.kind = NOTICE_TEST, .actor = rk_str(op->actor)};
	struct rk_slice list = rk_str(NULL), item = op->body.mail_test.address;
	struct settings_box *b = NULL;
	struct store *s = op->k->store;
	int err = store_begin(s, fault);

	if (!err && item.n)
		err = notice_store_for(s, &n, rk_str(NULL), item, fault);
	if (!err && !item.n)
		err = settings_load(s, NULL, &b, fault);
	if (b)
		list = settings_box_get(b)->alert_mail;
	while (!err && record_list_next(&list, &item))
		err = notice_store_for(s, &n, rk_str(NULL), item, fault);
	settings_box_free(b);
	return store_end(s, err, fault);
}

static int test_apply(struct manage_op *op, struct rk_fault *fault)
{
	(void)op;
	(void)fault;
	return 0;
}

static void test_answer(struct manage_op *op)
{
	const struct msg_done m = {0};

	manage_send(op, MSG_DONE, &m);
}

const struct mutation mutation_mail_test = {
    .action = "mail.test",
    .begin = test_begin,
    .store = test_store,
    .apply = test_apply,
    .answer = test_answer,
    .recall = recall,
};

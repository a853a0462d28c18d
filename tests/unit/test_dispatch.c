/*
 * Settings, webhooks and what goes to the courier, with a real token and store. The courier's
 * end of the channel is the test's.
 */
#include "tests/lib/manage_world.h"

#include "ipc/notice_kind.h"
#include "keeper/store_outbox.h"
#include "keeper/store_schema.h"

#define PASSWORD "smtp-pass-51c07e9ab3"

static struct ipc_peer *courier;
static struct desk {
	unsigned count;
	uint64_t id[128];
	struct {
		uint8_t kind;
		uint64_t delivery;
		char target[128], user[64], secret[128], to[128], from[128], url[128];
		uint16_t port;
		uint8_t private;
		struct msg_notice notice; /* without its texts */
	} got[128];
} desk;

static void on_deliver(struct ipc_peer *p, struct ipc_message *m, void *arg)
{
	const struct msg_deliver *d = &m->body.deliver;
	unsigned i = desk.count++;

	(void)p;
	(void)arg;
	assert_int_equal(m->type, MSG_DELIVER);
	assert_true(i < 128);
	desk.id[i] = m->id;
	desk.got[i].kind = d->kind;
	desk.got[i].delivery = d->delivery;
	desk.got[i].port = d->port;
	desk.got[i].private = d->allow_private;
	assert_true(rk_slice_cstr(d->target, desk.got[i].target, sizeof desk.got[i].target));
	assert_true(rk_slice_cstr(d->user, desk.got[i].user, sizeof desk.got[i].user));
	assert_true(rk_slice_cstr(d->secret, desk.got[i].secret, sizeof desk.got[i].secret));
	assert_true(rk_slice_cstr(d->mail_to, desk.got[i].to, sizeof desk.got[i].to));
	assert_true(rk_slice_cstr(d->mail_from, desk.got[i].from, sizeof desk.got[i].from));
	assert_true(rk_slice_cstr(d->public_url, desk.got[i].url, sizeof desk.got[i].url));
	assert_int_equal(record_decode(&msg_notice_desc, d->notice, &desk.got[i].notice), 0);
}

static void on_closed(struct ipc_peer *p, int err, void *arg)
{
	(void)p;
	(void)err;
	(void)arg;
}

static const struct ipc_peer_ops courier_ops = {.message = on_deliver, .closed = on_closed};

static struct ipc_peer *keeper_end;

static void keeper_hears(struct ipc_peer *p, struct ipc_message *m, void *arg)
{
	struct world *w = arg;

	(void)p;
	assert_int_equal(dispatch_delivered(w->k.dispatch, m->id, &m->body.delivered), 0);
}

static const struct ipc_peer_ops keeper_ops = {.message = keeper_hears, .closed = on_closed};

static void attach(struct world *w)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(ipc_peer_new(w->k.loop, pair[0], IPC_KEEPER, IPC_COURIER, &keeper_ops,
	                              w, &keeper_end),
	                 0);
	assert_int_equal(ipc_peer_new(w->k.loop, pair[1], IPC_COURIER, IPC_KEEPER, &courier_ops,
	                              w, &courier),
	                 0);
	dispatch_attach(w->k.dispatch, keeper_end);
}

static void detach(struct world *w)
{
	dispatch_detach(w->k.dispatch, keeper_end);
	ipc_peer_free(keeper_end);
	ipc_peer_free(courier);
	keeper_end = courier = NULL;
}

static int setup(void **state)
{
	int rc = world_setup(state);
	struct world *w = *state;

	memset(&desk, 0, sizeof desk);
	dispatch_open(w->k.dispatch);
	attach(w);
	return rc;
}

static int teardown(void **state)
{
	struct world *w = *state;

	if (keeper_end)
		detach(w);
	return world_teardown(state);
}

/* ---- commands ---- */

static const struct msg_settings *set(struct world *w, const struct msg_settings_set *m)
{
	world_run(w, &w->a, MSG_SETTINGS_SET, m);
	return &world_answer(&w->a, 0, MSG_SETTINGS)->settings;
}

static void use_mail(struct world *w)
{
	const struct msg_settings_set m = {
	    .set = SETTINGS_SMTP_HOST | SETTINGS_SMTP_USER | SETTINGS_SMTP_PASSWORD |
	           SETTINGS_MAIL_FROM | SETTINGS_PUBLIC_URL,
	    .smtp_host = rk_str("mail.example.com"),
	    .smtp_user = rk_str("relay"),
	    .smtp_password = rk_str(PASSWORD),
	    .mail_from = rk_str("relaykey@example.com"),
	    .public_url = rk_str("https://console.example.com/"),
	};

	set(w, &m);
}

static void add_hook(struct world *w, const char *name, char secret[64])
{
	struct msg_hook_add m = {.name = rk_str(name),
	                         .url = rk_str("https://hooks.example.com/x")};
	const struct msg_hook_info *info;

	world_run(w, &w->a, MSG_HOOK_ADD, &m);
	info = &world_answer(&w->a, 0, MSG_HOOK_INFO)->hook_info;
	assert_true(rk_slice_cstr(info->secret, secret, 64));
}

static void test_hook(struct world *w, const char *name)
{
	struct msg_ref m = {.ref = rk_str(name)};

	world_run(w, &w->a, MSG_HOOK_TEST, &m);
	assert_int_equal(world_answer(&w->a, 0, MSG_DONE)->done.err, 0);
}

static void answer(unsigned i, enum deliver_result result, unsigned status, const char *text)
{
	const struct msg_delivered m = {
	    .result = (uint8_t)result, .status = (uint16_t)status, .text = rk_str(text)};

	assert_int_equal(ipc_peer_send(courier, MSG_DELIVERED, desk.id[i], &m), 0);
}

static const struct msg_delivery_info *show(struct world *w, const char *id)
{
	struct msg_ref m = {.ref = rk_str(id)};

	world_run(w, &w->b, MSG_DELIVERY_GET, &m);
	return &world_answer(&w->b, 0, MSG_DELIVERY_INFO)->delivery_info;
}

/* ---- settings ---- */

static void test_settings_have_defaults_and_survive_a_restart_with_the_password(void **state)
{
	struct world *w = *state;
	struct msg_empty ask = {0};
	const struct msg_settings *m;

	world_run(w, &w->a, MSG_SETTINGS_GET, &ask);
	m = &world_answer(&w->a, 0, MSG_SETTINGS)->settings;
	assert_int_equal(m->trust_first_ip, 1);
	assert_int_equal(m->confirm_ttl_ms, 86400000);
	assert_int_equal(m->revision, 1);
	use_mail(w);
	m = &world_answer(&w->a, 0, MSG_SETTINGS)->settings;
	assert_int_equal(m->revision, 2);
	assert_int_equal(m->smtp_password, 1);
	assert_true(rk_slice_is(m->public_url, "https://console.example.com"));
	assert_null(memmem(w->a.bytes, w->a.used, PASSWORD, strlen(PASSWORD)));
	assert_true(world_last_action(w, "settings.change"));
	assert_string_equal(world_last_row(w)->detail,
	                    "public_url smtp_host smtp_user smtp_password mail_from");
	settings_box_free(w->k.settings);
	WORLD_OK(settings_load(w->k.store, w->k.token, &w->k.settings, &world_fault));
	assert_true(rk_slice_is(keeper_smtp_password(&w->k), PASSWORD));
	assert_true(secret_arena_holds(keeper_smtp_password(&w->k).p));
	assert_int_equal(keeper_settings(&w->k)->revision, 2);
	/* in the store it is wrapped, and opens nowhere else */
	assert_null(memmem(keeper_settings(&w->k)->password_blob.p,
	                   keeper_settings(&w->k)->password_blob.n, PASSWORD,
	                   strlen(PASSWORD)));
}

static void test_a_password_stays_with_its_server_and_may_be_taken_back(void **state)
{
	struct world *w = *state;
	struct msg_settings_set m = {.set = SETTINGS_SMTP_HOST,
	                             .smtp_host = rk_str("mail.attacker.example")};

	use_mail(w);
	assert_int_equal(world_refusal(w, &w->a, MSG_SETTINGS_SET, &m), RK_E_INVALID);
	assert_true(rk_slice_is(keeper_settings(&w->k)->smtp_host, "mail.example.com"));
	m = (struct msg_settings_set){.set = SETTINGS_MAILS_PER_KEY_DAY,
	                              .mails_per_key_day = 7};
	set(w, &m);
	assert_true(rk_slice_is(keeper_smtp_password(&w->k), PASSWORD));
	m = (struct msg_settings_set){.set = SETTINGS_SMTP_PASSWORD | SETTINGS_SMTP_USER};
	assert_int_equal(set(w, &m)->smtp_password, 0);
	assert_int_equal(keeper_smtp_password(&w->k).n, 0);
}

static void test_a_stale_change_is_refused_and_a_fresh_one_is_not(void **state)
{
	struct world *w = *state;
	const struct msg_settings_set m = {.set = SETTINGS_MAILS_PER_KEY_DAY,
	                                   .mails_per_key_day = 7};

	w->a.caller.if_revision = 5;
	assert_int_equal(world_refusal(w, &w->a, MSG_SETTINGS_SET, &m), RK_E_STALE);
	w->a.caller.if_revision = 1;
	assert_int_equal(set(w, &m)->revision, 2);
}

static void test_a_change_that_cannot_be_audited_or_stored_changes_nothing(void **state)
{
	struct world *w = *state;
	const struct msg_settings_set m = {.set = SETTINGS_MAILS_PER_KEY_DAY,
	                                   .mails_per_key_day = 7};

	world_append_fails(w, RK_E_FULL);
	assert_true(world_refusal(w, &w->a, MSG_SETTINGS_SET, &m) < 0);
	assert_int_equal(keeper_settings(&w->k)->mails_per_key_day, 20);
	assert_int_equal(keeper_settings(&w->k)->revision, 1);
}

static void test_keys_of_those_who_report_leaks_must_be_keys(void **state)
{
	static const char key[] =
	    "github\n-----BEGIN PUBLIC KEY-----\n"
	    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9MJJHnMfn2+H4xL4YaPDA4RpJqUq\n"
	    "kCmRCBnYERxZanmcpzQSXs1X/AljlKkbJ8qpVIW4clayyef9gWhFbNHWAA==\n"
	    "-----END PUBLIC KEY-----\n";
	struct world *w = *state;
	struct sample_list list;
	struct msg_settings_set m = {.set = SETTINGS_LEAK_KEYS,
	                             .leak_keys = sample_words(&list, "github")};

	assert_int_equal(world_refusal(w, &w->a, MSG_SETTINGS_SET, &m), RK_E_INVALID);
	{
		char one[512];
		size_t used = 0;

		assert_int_equal(record_list_add(one, sizeof one, &used, rk_str(key)), 0);
		m.leak_keys = rk_slice(one, used);
		set(w, &m);
	}
	assert_int_equal(record_list_count(keeper_settings(&w->k)->leak_keys), 1);
}

/* ---- webhooks ---- */

static void test_a_webhook_s_secret_is_shown_once_and_goes_with_each_delivery(void **state)
{
	struct world *w = *state;
	struct msg_ref ref = {.ref = rk_str("siem")};
	char secret[64];

	add_hook(w, "siem", secret);
	assert_int_equal(strlen(secret), HOOK_SECRET_TEXT);
	world_run(w, &w->a, MSG_HOOK_GET, &ref);
	assert_int_equal(world_answer(&w->a, 0, MSG_HOOK_INFO)->hook_info.secret.n, 0);
	test_hook(w, "siem");
	WORLD_WAIT(w, desk.count == 1);
	assert_int_equal(desk.got[0].kind, DELIVERY_WEBHOOK);
	assert_string_equal(desk.got[0].target, "https://hooks.example.com/x");
	assert_string_equal(desk.got[0].secret, secret);
	assert_int_equal(desk.got[0].private, 0);
	assert_int_equal(desk.got[0].notice.kind, NOTICE_TEST);
	answer(0, DELIVER_OK, 200, "");
	WORLD_WAIT(w, show(w, "dlv_1")->state == DELIVERY_SENT);
	assert_int_equal(show(w, "dlv_1")->status, 200);
	/* after a restart it is the same one */
	hooks_free(w->k.hooks);
	WORLD_OK(hooks_load(w->k.store, w->k.token, &w->k.hooks, &world_fault));
	assert_true(rk_slice_is(
	    rk_secret_slice(&hooks_find(w->k.hooks, rk_str("siem"))->secret), secret));
	assert_true(world_last_action(w, "webhook.test"));
}

static void test_webhooks_are_checked_and_changed_one_member_at_a_time(void **state)
{
	struct world *w = *state;
	struct msg_hook_add add = {.name = rk_str("siem"), .url = rk_str("https://10.0.0.1/x")};
	struct msg_hook_update up = {.ref = rk_str("siem")};
	const struct msg_hook_info *info;
	char secret[64];

	assert_int_equal(world_refusal(w, &w->a, MSG_HOOK_ADD, &add), RK_E_DENIED);
	add.flags = HOOK_ALLOW_PRIVATE;
	add.events = 1u << 31;
	assert_int_equal(world_refusal(w, &w->a, MSG_HOOK_ADD, &add), RK_E_INVALID);
	add.events = NOTICE_BIT(NOTICE_PANIC);
	world_run(w, &w->a, MSG_HOOK_ADD, &add);
	world_answer(&w->a, 0, MSG_HOOK_INFO);
	assert_int_equal(world_refusal(w, &w->a, MSG_HOOK_ADD, &add), RK_E_EXISTS);
	add_hook(w, "other", secret);
	up.set = HOOK_NAME;
	up.name = rk_str("other");
	assert_int_equal(world_refusal(w, &w->a, MSG_HOOK_UPDATE, &up), RK_E_EXISTS);
	up.set = HOOK_FLAGS; /* then its address is not allowed any more */
	assert_int_equal(world_refusal(w, &w->a, MSG_HOOK_UPDATE, &up), RK_E_DENIED);
	up.set = HOOK_FLAGS | HOOK_URL;
	up.url = rk_str("https://hooks.example.com/y");
	world_run(w, &w->a, MSG_HOOK_UPDATE, &up);
	info = &world_answer(&w->a, 0, MSG_HOOK_INFO)->hook_info;
	assert_int_equal(info->events, NOTICE_BIT(NOTICE_PANIC));
	assert_int_equal(info->revision, 2);
	assert_int_equal(info->secret.n, 0);
	/* its secret is still there */
	assert_int_equal(hooks_find(w->k.hooks, rk_str("siem"))->secret.len, HOOK_SECRET_TEXT);
}

static void test_what_is_sent_again_under_its_idempotency_key_is_done_once(void **state)
{
	struct world *w = *state;
	struct msg_hook_add add = {.name = rk_str("siem"),
	                           .url = rk_str("https://hooks.example.com/x")};
	struct msg_panic off = {.reason = rk_str("over")};
	struct msg_ref ref = {.ref = rk_str("siem")};
	const struct msg_hook_info *info;
	struct world_caller *c = &w->a;
	char id[MSG_MAX_NAME + 1];

	snprintf(c->caller.idempotency_key, sizeof c->caller.idempotency_key, "order-1");
	world_run(w, c, MSG_HOOK_ADD, &add);
	assert_true(
	    rk_slice_cstr(world_answer(c, 0, MSG_HOOK_INFO)->hook_info.id, id, sizeof id));
	world_run(w, c, MSG_HOOK_ADD, &add);
	info = &world_answer(c, 0, MSG_HOOK_INFO)->hook_info;
	assert_true(rk_slice_is(info->id, id));
	assert_int_equal(info->secret.n, 0);
	assert_int_equal(world_refusal(w, c, MSG_HOOK_TEST, &ref), RK_E_EXISTS);
	snprintf(c->caller.idempotency_key, sizeof c->caller.idempotency_key, "order-2");
	test_hook(w, "siem");
	test_hook(w, "siem");
	WORLD_WAIT(w, desk.count == 1);
	assert_int_equal(desk.got[0].notice.kind, NOTICE_TEST);
	snprintf(c->caller.idempotency_key, sizeof c->caller.idempotency_key, "order-3");
	for (int i = 0; i < 2; i++) {
		world_run(w, c, MSG_HOOK_REMOVE, &ref);
		assert_int_equal(world_answer(c, 0, MSG_DONE)->done.err, 0);
	}
	world_run(w, c, MSG_PANIC_ON, &off); /* at once, whatever was done before */
	assert_int_equal(world_answer(c, 0, MSG_STATUS)->status.panic, 1);
	snprintf(c->caller.idempotency_key, sizeof c->caller.idempotency_key, "order-4");
	for (int i = 0; i < 2; i++) {
		world_run(w, c, MSG_PANIC_OFF, &off);
		assert_int_equal(world_answer(c, 0, MSG_STATUS)->status.panic, 0);
	}
}

static void test_there_are_so_many_webhooks(void **state)
{
	struct world *w = *state;
	struct msg_hook_add add = {.url = rk_str("https://hooks.example.com/x")};
	struct msg_hook_list list = {.limit = 5};
	char name[16], secret[64];

	for (int i = 0; i < HOOKS_MAX; i++) {
		snprintf(name, sizeof name, "h%d", i);
		add_hook(w, name, secret);
	}
	add.name = rk_str("more");
	assert_int_equal(world_refusal(w, &w->a, MSG_HOOK_ADD, &add), RK_E_TOOBIG);
	world_run(w, &w->a, MSG_HOOK_LIST, &list);
	assert_int_equal(w->a.answers, 6);
	assert_int_equal(world_answer(&w->a, 5, MSG_DONE)->done.more, 1);
	list = (struct msg_hook_list){.after = rk_str("h29")};
	world_run(w, &w->a, MSG_HOOK_LIST, &list);
	assert_int_equal(w->a.answers, 3);
	assert_int_equal(world_answer(&w->a, 2, MSG_DONE)->done.more, 0);
}

/* ---- handing out ---- */

static void test_mail_comes_with_what_it_takes_and_without_a_server_it_waits(void **state)
{
	struct world *w = *state;
	const struct msg_notice n = {.kind = NOTICE_NEW_IP, .code = rk_str("the-code")};

	assert_int_equal(notice_raise(&w->k, &n, rk_str("alice@example.com")), 0);
	WORLD_WAIT(w, show(w, "dlv_1")->attempts == 1);
	assert_true(rk_slice_is(show(w, "dlv_1")->error, "no mail server is set (smtp_host)"));
	assert_int_equal(desk.count, 0);
	use_mail(w);
	assert_int_equal(notice_raise(&w->k, &n, rk_str("bob@example.com")), 0);
	WORLD_WAIT(w, desk.count == 1);
	assert_int_equal(desk.got[0].kind, DELIVERY_MAIL);
	assert_string_equal(desk.got[0].target, "mail.example.com");
	assert_int_equal(desk.got[0].port, 587);
	assert_string_equal(desk.got[0].user, "relay");
	assert_string_equal(desk.got[0].secret, PASSWORD);
	assert_string_equal(desk.got[0].to, "bob@example.com");
	assert_string_equal(desk.got[0].from, "relaykey@example.com");
	assert_string_equal(desk.got[0].url, "https://console.example.com");
	assert_int_equal(desk.got[0].notice.code.n, 8);
	answer(0, DELIVER_OK, 250, "");
	WORLD_WAIT(w, show(w, "dlv_2")->state == DELIVERY_SENT);
	/* the code is not kept */
	{
		int64_t left;

		WORLD_OK(db_query_int(w->k.store->db,
		                      "SELECT count(*) FROM outbox WHERE n = 2 AND "
		                      "instr(notice, CAST('the-code' AS BLOB)) > 0",
		                      &left, &world_fault));
		assert_int_equal(left, 0);
	}
}

static void test_a_target_has_few_attempts_at_once_and_holds_nobody_else(void **state)
{
	struct world *w = *state;
	char secret[64];

	add_hook(w, "slow", secret);
	add_hook(w, "quick", secret);
	for (int i = 0; i < 6; i++)
		test_hook(w, "slow");
	WORLD_WAIT(w, desk.count == DISPATCH_LANE_MAX);
	test_hook(w, "quick");
	WORLD_WAIT(w, desk.count == DISPATCH_LANE_MAX + 1);
	world_turns(w);
	assert_int_equal(desk.count, DISPATCH_LANE_MAX + 1);
	for (int i = 0; i < 3; i++)
		answer((unsigned)i, DELIVER_OK, 200, "");
	WORLD_WAIT(w, desk.count == 7);
}

static void test_what_fails_waits_and_what_fails_for_good_is_over(void **state)
{
	struct world *w = *state;
	struct msg_ref ref = {.ref = rk_str("dlv_2")};
	char secret[64];

	add_hook(w, "siem", secret);
	test_hook(w, "siem");
	WORLD_WAIT(w, desk.count == 1);
	answer(0, DELIVER_REFUSED, 404, "it answered\r\nwith status 404");
	WORLD_WAIT(w, show(w, "dlv_1")->attempts == 1);
	assert_int_equal(show(w, "dlv_1")->state, DELIVERY_WAITING);
	assert_true(rk_slice_is(show(w, "dlv_1")->error, "it answered??with status 404"));
	assert_in_range(show(w, "dlv_1")->next_ms - rk_wall_ms(), 3000, 6000);
	test_hook(w, "siem");
	WORLD_WAIT(w, desk.count == 2);
	answer(1, DELIVER_LASTING, 410, "gone");
	WORLD_WAIT(w, show(w, "dlv_2")->state == DELIVERY_FAILED);
	world_run(w, &w->a, MSG_DELIVERY_REPLAY, &ref);
	assert_int_equal(world_answer(&w->a, 0, MSG_DELIVERY_INFO)->delivery_info.state,
	                 DELIVERY_WAITING);
	WORLD_WAIT(w, desk.count == 3);
	assert_int_equal(desk.got[2].delivery, 2);
	assert_memory_equal(desk.got[2].notice.id, desk.got[1].notice.id, 16);
	assert_true(world_last_action(w, "delivery.replay"));
	answer(2, DELIVER_OK, 204, "");
	WORLD_WAIT(w, show(w, "dlv_2")->state == DELIVERY_SENT);
}

static void test_a_courier_that_dies_costs_an_attempt_and_nothing_else(void **state)
{
	struct world *w = *state;
	char secret[64];

	add_hook(w, "siem", secret);
	test_hook(w, "siem");
	WORLD_WAIT(w, desk.count == 1);
	detach(w);
	WORLD_WAIT(w, show(w, "dlv_1")->attempts == 1);
	assert_int_equal(show(w, "dlv_1")->state, DELIVERY_WAITING);
	test_hook(w, "siem"); /* nobody is there */
	world_turns(w);
	assert_int_equal(show(w, "dlv_2")->attempts, 0);
	attach(w);
	WORLD_WAIT(w, desk.count == 2);
	assert_int_equal(desk.got[1].delivery, 2);
}

static void test_an_answer_to_nothing_is_a_broken_protocol(void **state)
{
	struct world *w = *state;
	const struct msg_delivered good = {.result = DELIVER_OK}, bad = {.result = 9};
	char secret[64];

	assert_int_equal(dispatch_delivered(w->k.dispatch, 77, &good), RK_E_PROTOCOL);
	add_hook(w, "siem", secret);
	test_hook(w, "siem");
	WORLD_WAIT(w, desk.count == 1);
	assert_int_equal(dispatch_delivered(w->k.dispatch, desk.id[0], &bad), RK_E_PROTOCOL);
	assert_int_equal(dispatch_delivered(w->k.dispatch, desk.id[0], &good), 0);
	assert_int_equal(dispatch_delivered(w->k.dispatch, desk.id[0], &good), RK_E_PROTOCOL);
}

static void test_deliveries_are_listed_in_pieces_to_a_reader_who_is_slow(void **state)
{
	struct world *w = *state;
	struct msg_delivery_list list = {.limit = 3};
	char secret[64];

	add_hook(w, "siem", secret);
	for (int i = 0; i < 250; i++) {
		const struct msg_notice n = {.kind = NOTICE_TEST};

		if (i == 0)
			WORLD_OK(store_outbox_begin(w->k.store, &world_fault));
		WORLD_OK(notice_store_for(w->k.store, &n, rk_str("hook_gone"), rk_str(NULL),
		                          &world_fault));
	}
	WORLD_OK(store_outbox_end(w->k.store, 0, &world_fault));
	world_run(w, &w->a, MSG_DELIVERY_LIST, &list);
	assert_int_equal(w->a.answers, 4);
	assert_true(rk_slice_is(world_answer(&w->a, 0, MSG_DELIVERY_INFO)->delivery_info.id,
	                        "dlv_250"));
	assert_int_equal(world_answer(&w->a, 3, MSG_DONE)->done.more, 1);
	list = (struct msg_delivery_list){.after = rk_str("dlv_248"), .limit = 2};
	world_run(w, &w->a, MSG_DELIVERY_LIST, &list);
	assert_true(rk_slice_is(world_answer(&w->a, 0, MSG_DELIVERY_INFO)->delivery_info.id,
	                        "dlv_247"));
	list = (struct msg_delivery_list){0};
	w->a.room = 10;
	world_start(w, &w->a, MSG_DELIVERY_LIST, &list);
	WORLD_WAIT(w, w->a.answers == 10);
	world_turns(w);
	assert_int_equal(w->a.answers, 10);
	w->a.room = UINT32_MAX;
	manage_drained(&w->a.caller);
	WORLD_WAIT(w, w->a.done);
	assert_int_equal(w->a.answers, 251);
	list.kind = 9;
	assert_int_equal(world_refusal(w, &w->a, MSG_DELIVERY_LIST, &list), RK_E_INVALID);
	/* one who leaves in the middle */
	list.kind = 0;
	world_start(w, &w->a, MSG_DELIVERY_LIST, &list);
	manage_forget(&w->a.caller);
	world_turns(w);
}

static void test_a_mail_whose_link_is_over_is_given_up(void **state)
{
	struct world *w = *state;
	struct msg_notice n = {.kind = NOTICE_NEW_IP,
	                       .code = rk_str("the-code"),
	                       .until_ms = rk_wall_ms() + 3600000};

	use_mail(w);
	assert_int_equal(notice_raise(&w->k, &n, rk_str("alice@example.com")), 0);
	WORLD_WAIT(w, desk.count == 1);
	answer(0, DELIVER_AGAIN, 451, "busy");
	WORLD_WAIT(w, show(w, "dlv_1")->attempts == 1);
	assert_int_equal(show(w, "dlv_1")->state, DELIVERY_WAITING);
	n.until_ms = 1;
	assert_int_equal(notice_raise(&w->k, &n, rk_str("alice@example.com")), 0);
	WORLD_WAIT(w, desk.count == 2);
	answer(1, DELIVER_AGAIN, 451, "busy");
	WORLD_WAIT(w, show(w, "dlv_2")->state == DELIVERY_FAILED);
}

/* Whether the store's file may grow. */
static void fill_disk(struct world *w, bool full)
{
	char sql[64];
	int64_t pages = 1 << 20;

	if (full)
		WORLD_OK(
		    db_query_int(w->k.store->db, "PRAGMA page_count", &pages, &world_fault));
	snprintf(sql, sizeof sql, "PRAGMA max_page_count = %lld", (long long)pages);
	WORLD_OK(db_query_int(w->k.store->db, sql, &pages, &world_fault));
}

static int64_t rows_stored(struct world *w)
{
	int64_t rows;

	WORLD_OK(
	    db_query_int(w->k.store->db, "SELECT count(*) FROM outbox", &rows, &world_fault));
	return rows;
}

static void test_a_full_disk_costs_neither_a_notice_nor_what_became_of_one(void **state)
{
	static char detail[AUDIT_MAX_DETAIL];
	struct world *w = *state;
	struct msg_notice n = {.kind = NOTICE_TEST};

	memset(detail, 'x', sizeof detail);
	n.detail = rk_slice(detail, sizeof detail);
	use_mail(w);
	assert_int_equal(notice_raise(&w->k, &n, rk_str("first@example.com")), 0);
	WORLD_WAIT(w, desk.count == 1);
	fill_disk(w, true);
	for (int i = 0; i < 40; i++)
		assert_int_equal(notice_raise(&w->k, &n, rk_str("later@example.com")), 0);
	world_turns(w);
	assert_true(rows_stored(w) < 41);
	fill_disk(w, false);
	answer(0, DELIVER_OK, 250, "");
	WORLD_WAIT(w, show(w, "dlv_1")->state == DELIVERY_SENT);
	WORLD_WAIT(w, rows_stored(w) == 41 && desk.count > 1); /* they waited for room */
}

static int refusal_of(struct world *w, enum mgmt_role role, enum ipc_type type,
                      const void *body)
{
	int err;

	w->b.caller.role = role;
	world_run(w, &w->b, type, body);
	if (w->b.answer[w->b.answers - 1].type != MSG_DONE)
		return 0;
	err = (int)world_answer(&w->b, w->b.answers - 1, MSG_DONE)->done.err;
	return err;
}

static void test_who_may_do_what(void **state)
{
	static const struct {
		enum ipc_type type;
		unsigned may;
	} table[] = {
	    {MSG_SETTINGS_GET, MAY_READ},       {MSG_SETTINGS_SET, MAY_ADMIN},
	    {MSG_MAIL_TEST, MAY_ADMIN},         {MSG_HOOK_ADD, MAY_ADMIN},
	    {MSG_HOOK_GET, MAY_READ},           {MSG_HOOK_LIST, MAY_READ},
	    {MSG_HOOK_UPDATE, MAY_ADMIN},       {MSG_HOOK_REMOVE, MAY_ADMIN},
	    {MSG_HOOK_ROTATE, MAY_ADMIN},       {MSG_HOOK_TEST, MAY_ADMIN},
	    {MSG_DELIVERY_LIST, MAY_READ},      {MSG_DELIVERY_GET, MAY_READ},
	    {MSG_DELIVERY_REPLAY, MAY_OPERATE},
	};
	struct world *w = *state;
	union ipc_body nothing = {0};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		for (unsigned role = 0; role < ROLE_COUNT; role++) {
			int err = refusal_of(w, role, table[i].type, &nothing);
			bool refused = err == RK_E_DENIED || err == RK_E_AUTH;

			if (refused == mgmt_role_may(role, table[i].may))
				fail_msg("message %u as %s: %d", table[i].type,
				         mgmt_role_name(role), err);
		}
	}
}

static void test_notices_wait_in_memory_while_the_store_cannot(void **state)
{
	struct world *w = *state;
	const struct msg_notice n = {.kind = NOTICE_TEST};
	int err = 0;

	w->k.state = KEEPER_SEALED;
	for (int i = 0; i < NOTICES_MAX; i++)
		assert_int_equal(notice_raise(&w->k, &n, rk_str("a@example.com")), 0);
	err = notice_raise(&w->k, &n, rk_str("a@example.com"));
	assert_int_equal(err, RK_E_FULL);
	w->k.state = KEEPER_OPEN;
	notices_flush(w->k.notices);
	WORLD_WAIT(w, notice_raise(&w->k, &n, rk_str("a@example.com")) == 0);
	world_turns(w);
	{
		int64_t count;

		WORLD_OK(db_query_int(w->k.store->db, "SELECT count(*) FROM outbox", &count,
		                      &world_fault));
		assert_true(count >= NOTICES_MAX);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_settings_have_defaults_and_survive_a_restart_with_the_password),
	    TEST(test_a_password_stays_with_its_server_and_may_be_taken_back),
	    TEST(test_a_stale_change_is_refused_and_a_fresh_one_is_not),
	    TEST(test_a_change_that_cannot_be_audited_or_stored_changes_nothing),
	    TEST(test_keys_of_those_who_report_leaks_must_be_keys),
	    TEST(test_a_webhook_s_secret_is_shown_once_and_goes_with_each_delivery),
	    TEST(test_webhooks_are_checked_and_changed_one_member_at_a_time),
	    TEST(test_what_is_sent_again_under_its_idempotency_key_is_done_once),
	    TEST(test_there_are_so_many_webhooks),
	    TEST(test_mail_comes_with_what_it_takes_and_without_a_server_it_waits),
	    TEST(test_a_target_has_few_attempts_at_once_and_holds_nobody_else),
	    TEST(test_what_fails_waits_and_what_fails_for_good_is_over),
	    TEST(test_a_courier_that_dies_costs_an_attempt_and_nothing_else),
	    TEST(test_an_answer_to_nothing_is_a_broken_protocol),
	    TEST(test_deliveries_are_listed_in_pieces_to_a_reader_who_is_slow),
	    TEST(test_a_mail_whose_link_is_over_is_given_up),
	    TEST(test_a_full_disk_costs_neither_a_notice_nor_what_became_of_one),
	    TEST(test_who_may_do_what),
	    TEST(test_notices_wait_in_memory_while_the_store_cannot),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}

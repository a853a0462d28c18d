/*
 * The outbox in the policy store: who is told of what, what is due, what becomes of it, and
 * which keys that end soon are told of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base62.h"
#include "ipc/catalogue.h"
#include "ipc/notice_kind.h"
#include "keeper/db_stmt.h"
#include "keeper/notice.h"
#include "keeper/settings.h"
#include "keeper/store_expiry.h"
#include "keeper/store_outbox.h"
#include "keeper/store_schema.h"
#include "keeper/store_webhook.h"
#include "tests/lib/store_fixture.h"

#define DAY INT64_C(86400000)
#define NOW (20000 * DAY)

static struct rk_fault fault;
static struct store_dir home;
static struct store *s;

#define OK(call)                                                                               \
	do {                                                                                   \
		if ((call) != 0)                                                               \
			fail_msg("%s: %s", #call, fault.text);                                 \
	} while (0)

static void open_store(bool create)
{
	struct rk_secret key = fixture_key('k');

	OK(store_open(home.path, &key, create, &s, &fault));
	rk_secret_free(&key);
}

static int setup(void **state)
{
	(void)state;
	home = fixture_dir("policy.db");
	open_store(true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_close(s);
	fixture_remove(&home);
	return 0;
}

static void again(void)
{
	store_close(s);
	open_store(false);
}

/* ---- what is in it ---- */

enum { ROWS = 512 };

static struct seen {
	int64_t n, next_ms;
	uint8_t kind, state, event;
	uint8_t id[16];
	uint16_t status;
	uint32_t attempts;
	char target[64], key[32], code[32], error[64], masked[32];
} rows[ROWS];
static unsigned count;

static int keep(const struct outbox_row *r, void *arg)
{
	struct msg_notice n;
	struct seen *to = &rows[count++];

	(void)arg;
	assert_true(count <= ROWS);
	assert_int_equal(record_decode(&msg_notice_desc, r->notice, &n), 0);
	*to = (struct seen){.n = r->n,
	                    .next_ms = r->next_ms,
	                    .kind = r->kind,
	                    .state = r->state,
	                    .event = n.kind,
	                    .status = r->status,
	                    .attempts = r->attempts};
	memcpy(to->id, n.id, sizeof to->id);
	assert_true(rk_slice_cstr(r->target, to->target, sizeof to->target));
	assert_true(rk_slice_cstr(r->error, to->error, sizeof to->error));
	assert_true(rk_slice_cstr(n.key_id, to->key, sizeof to->key));
	assert_true(rk_slice_cstr(n.key_masked, to->masked, sizeof to->masked));
	assert_true(rk_slice_cstr(n.code, to->code, sizeof to->code));
	return 0;
}

/* Everything, the oldest first; how many there are. */
static unsigned all(void)
{
	const struct outbox_filter f = {.limit = ROWS};

	count = 0;
	OK(store_outbox_list(s, &f, keep, NULL, &fault));
	for (unsigned i = 0; i < count / 2; i++) {
		struct seen swap = rows[i];

		rows[i] = rows[count - 1 - i];
		rows[count - 1 - i] = swap;
	}
	return count;
}

static unsigned due(const char *lane, int64_t now_ms)
{
	count = 0;
	OK(store_outbox_due(s, rk_str(lane), now_ms, ROWS, keep, NULL, &fault));
	return count;
}

static void add_hook(const char *id, uint32_t events, bool enabled)
{
	const struct store_webhook w = {
	    .id = rk_str(id),
	    .name = rk_str(id),
	    .url = rk_str("https://hooks.example.com/x"),
	    .events = events,
	    .blob = rk_str("wrapped"),
	    .secret_version = 1,
	    .enabled = enabled,
	    .revision = 1,
	};

	OK(store_begin(s, &fault));
	OK(store_end(s, store_webhook_add(s, &w, &fault), &fault));
}

static void set_alerts(const char *one)
{
	char list[128];
	size_t used = 0;
	struct settings_box *b, *changed;
	struct settings next;

	OK(settings_load(s, NULL, &b, &fault));
	next = *settings_box_get(b);
	assert_int_equal(record_list_add(list, sizeof list, &used, rk_str(one)), 0);
	next.alert_mail = rk_slice(list, used);
	OK(settings_box_new(&next, &changed));
	OK(store_begin(s, &fault));
	OK(store_end(s, settings_store(s, changed, &fault), &fault));
	settings_box_free(b);
	settings_box_free(changed);
}

static void tell(unsigned kind, const char *mail_to)
{
	const struct msg_notice n = {.kind = (uint8_t)kind,
	                             .time_ms = NOW,
	                             .key_id = rk_str("key_1"),
	                             .code = rk_str("the-code")};

	OK(store_begin(s, &fault));
	OK(store_end(s, notice_store(s, &n, rk_str(mail_to), &fault), &fault));
}

/* ---- who is told ---- */

static void test_a_notice_goes_to_the_webhooks_that_want_its_kind(void **state)
{
	(void)state;
	add_hook("hook_all", NOTICE_EVERY, true);
	add_hook("hook_panic", NOTICE_BIT(NOTICE_PANIC), true);
	add_hook("hook_off", NOTICE_EVERY, false);
	tell(NOTICE_NEW_IP, NULL);
	assert_int_equal(all(), 1);
	assert_string_equal(rows[0].target, "hook_all");
	tell(NOTICE_PANIC, NULL);
	assert_int_equal(all(), 3);
	assert_string_equal(rows[2].target, "hook_panic");
	/* one event, one id */
	assert_memory_equal(rows[1].id, rows[2].id, 16);
	assert_memory_not_equal(rows[0].id, rows[1].id, 16);
}

static void test_the_code_of_a_link_is_in_the_mail_to_its_holder_and_nowhere_else(void **state)
{
	(void)state;
	add_hook("hook_all", NOTICE_EVERY, true);
	set_alerts("ops@example.com");
	tell(NOTICE_NEW_IP, "alice@example.com");
	assert_int_equal(all(), 2);
	assert_string_equal(rows[0].target, "hook_all");
	assert_string_equal(rows[0].code, "");
	assert_string_equal(rows[1].target, "alice@example.com");
	assert_string_equal(rows[1].code, "the-code");
	assert_int_equal(rows[1].kind, OUTBOX_MAIL);
}

static void test_alerts_go_to_those_who_watch(void **state)
{
	(void)state;
	set_alerts("ops@example.com");
	tell(NOTICE_NEW_IP, NULL);
	tell(NOTICE_TEST, NULL);
	assert_int_equal(all(), 0);
	tell(NOTICE_HONEY_KEY, NULL);
	tell(NOTICE_TOKEN_LOST, "holder@example.com");
	assert_int_equal(all(), 3);
	assert_string_equal(rows[0].target, "ops@example.com");
	assert_string_equal(rows[1].target, "holder@example.com");
	assert_string_equal(rows[2].target, "ops@example.com");
}

static void test_a_change_that_fails_takes_its_notice_with_it(void **state)
{
	const struct msg_notice n = {.kind = NOTICE_PANIC};

	(void)state;
	add_hook("hook_all", NOTICE_EVERY, true);
	OK(store_begin(s, &fault));
	OK(notice_store(s, &n, rk_str("a@example.com"), &fault));
	assert_int_equal(store_end(s, RK_E_DENIED, &fault), RK_E_DENIED);
	assert_int_equal(all(), 0);
}

/* ---- due, and over ---- */

static void test_what_waits_is_due_in_its_lane_also_after_a_restart(void **state)
{
	const struct outbox_result later = {.state = OUTBOX_WAITING,
	                                    .attempts = 1,
	                                    .next_ms = NOW + 5000,
	                                    .error = rk_str("busy")};
	const struct outbox_result sent = {
	    .state = OUTBOX_SENT, .attempts = 2, .status = 200, .done_ms = NOW + 9};
	int64_t next;

	(void)state;
	add_hook("hook_a", NOTICE_EVERY, true);
	add_hook("hook_b", NOTICE_EVERY, true);
	tell(NOTICE_NEW_IP, "alice@example.com");
	tell(NOTICE_NEW_IP, "bob@example.com");
	again();
	assert_int_equal(due("hook_a", NOW - 1), 0);
	assert_int_equal(due("hook_a", NOW), 2);
	assert_int_equal(due("hook_b", NOW), 2);
	assert_int_equal(due("", NOW), 2); /* all mail is one lane */
	assert_string_equal(rows[0].target, "alice@example.com");
	OK(store_outbox_result(s, rows[0].n, &later, &fault));
	assert_int_equal(due("", NOW), 1);
	OK(store_outbox_next(s, rk_str(""), NOW, &next, &fault));
	assert_int_equal(next, NOW + 5000);
	again();
	assert_int_equal(due("", NOW + 5000), 2);
	assert_string_equal(rows[0].target, "bob@example.com"); /* the longest due first */
	assert_string_equal(rows[1].error, "busy");
	OK(store_outbox_result(s, rows[1].n, &sent, &fault));
	assert_int_equal(due("", NOW + DAY), 1);
	OK(store_outbox_next(s, rk_str("hook_a"), NOW, &next, &fault));
	assert_int_equal(next, INT64_MAX);
}

static void test_what_is_over_can_be_sent_again_what_waits_cannot(void **state)
{
	const struct outbox_result failed = {
	    .state = OUTBOX_FAILED, .attempts = 25, .status = 500, .done_ms = NOW};

	(void)state;
	add_hook("hook_a", NOTICE_EVERY, true);
	tell(NOTICE_PANIC, NULL);
	all();
	assert_int_equal(store_outbox_replay(s, rows[0].n, NOW, &fault), RK_E_STATE);
	assert_int_equal(store_outbox_replay(s, 99, NOW, &fault), RK_E_NOTFOUND);
	OK(store_outbox_result(s, rows[0].n, &failed, &fault));
	assert_int_equal(due("hook_a", NOW + DAY), 0);
	OK(store_outbox_replay(s, 1, NOW + DAY, &fault));
	assert_int_equal(due("hook_a", NOW + DAY), 1);
	assert_int_equal(rows[0].attempts, 0);
	OK(store_outbox_result(s, 1, &failed, &fault));
	OK(store_webhook_remove(s, rk_str("hook_a"), &fault));
	assert_int_equal(store_outbox_replay(s, 1, NOW, &fault), RK_E_STATE);
}

static void test_what_waits_for_a_webhook_that_is_removed_is_given_up(void **state)
{
	(void)state;
	add_hook("hook_a", NOTICE_EVERY, true);
	add_hook("hook_b", NOTICE_EVERY, true);
	tell(NOTICE_PANIC, NULL);
	OK(store_outbox_orphan(s, rk_str("hook_a"), NOW, &fault));
	assert_int_equal(due("hook_a", NOW + DAY), 0);
	assert_int_equal(due("hook_b", NOW + DAY), 1);
	all();
	assert_int_equal(rows[0].state, OUTBOX_FAILED);
	assert_string_equal(rows[0].error, "the webhook was removed");
}

static void test_what_was_sent_is_kept_for_a_week(void **state)
{
	const struct outbox_result sent = {.state = OUTBOX_SENT, .attempts = 1, .done_ms = NOW};
	const struct outbox_result failed = {
	    .state = OUTBOX_FAILED, .attempts = 1, .done_ms = NOW};

	(void)state;
	for (int i = 0; i < 3; i++)
		tell(NOTICE_NEW_IP, "a@example.com");
	OK(store_outbox_result(s, 1, &sent, &fault));
	OK(store_outbox_result(s, 2, &failed, &fault));
	OK(store_outbox_prune(s, NOW + 7 * DAY, &fault));
	assert_int_equal(all(), 3);
	OK(store_outbox_prune(s, NOW + 7 * DAY + 1, &fault));
	assert_int_equal(all(), 2);
	assert_int_equal(rows[0].n, 2);
	OK(store_outbox_prune(s, NOW + 31 * DAY, &fault));
	assert_int_equal(all(), 1);
	assert_int_equal(rows[0].state, OUTBOX_WAITING); /* never removed unsent */
}

static void test_a_lane_holds_so_much_and_the_oldest_are_given_up(void **state)
{
	const struct store_outbox item = {.kind = OUTBOX_MAIL,
	                                  .target = rk_str("a@example.com"),
	                                  .notice = rk_str("x"),
	                                  .created_ms = NOW};
	const struct store_outbox other = {.kind = OUTBOX_WEBHOOK,
	                                   .target = rk_str("hook_b"),
	                                   .notice = rk_str("x"),
	                                   .created_ms = NOW};
	int64_t n;

	(void)state;
	OK(store_outbox_begin(s, &fault));
	OK(store_outbox_add(s, &other, &fault));
	for (int i = 0; i < OUTBOX_LANE_MAX + 3; i++)
		OK(store_outbox_add(s, &item, &fault));
	OK(store_outbox_end(s, 0, &fault));
	OK(store_outbox_prune(s, NOW, &fault));
	OK(db_query_int(s->db, "SELECT count(*) FROM outbox WHERE state = 1", &n, &fault));
	assert_int_equal(n, OUTBOX_LANE_MAX + 1);
	OK(db_query_int(s->db, "SELECT max(n) FROM outbox WHERE state = 3", &n, &fault));
	assert_int_equal(n, 4); /* 1 is the other lane's */
}

static void test_the_outbox_is_no_change_of_the_policy(void **state)
{
	int64_t before, after;

	(void)state;
	OK(db_query_int(s->db, "SELECT value FROM setting WHERE name = 'policy_version'",
	                &before, &fault));
	OK(store_outbox_begin(s, &fault));
	OK(store_outbox_end(s, 0, &fault));
	OK(db_query_int(s->db, "SELECT value FROM setting WHERE name = 'policy_version'",
	                &after, &fault));
	assert_int_equal(before, after);
}

/* ---- keys that end ---- */

static void add_key(const char *id, int64_t created_ms, int64_t expires_ms)
{
	struct store_key k = {
	    .id = rk_str(id),
	    .hint = {'9', '1', 'k'},
	    .kind = 2,
	    .holder = rk_str("alice"),
	    .grants = rk_str(""),
	    .created_ms = created_ms,
	    .expires_ms = expires_ms,
	};

	rk_sha256(rk_str(id), k.digest);
	OK(store_key_add(s, &k, &fault));
}

static unsigned scan(int64_t now_ms)
{
	bool more = true;
	unsigned before = all();

	while (more)
		OK(store_expiry_scan(s, now_ms, &more, &fault));
	return all() - before;
}

static void test_a_key_is_told_of_seven_days_and_one_day_before_its_end_once(void **state)
{
	(void)state;
	add_hook("hook_all", NOTICE_EVERY, true);
	add_key("key_a", NOW - 60 * DAY, NOW + 10 * DAY);
	assert_int_equal(scan(NOW), 0);
	assert_int_equal(scan(NOW + 3 * DAY - 1), 0);
	assert_int_equal(scan(NOW + 3 * DAY), 1);
	assert_string_equal(rows[0].key, "key_a");
	assert_string_equal(rows[0].masked, "rk_person...91k");
	assert_int_equal(rows[0].event, NOTICE_KEY_EXPIRING);
	assert_int_equal(scan(NOW + 3 * DAY), 0);
	again();
	assert_int_equal(scan(NOW + 4 * DAY), 0);
	assert_int_equal(scan(NOW + 9 * DAY), 1);
	again();
	assert_int_equal(scan(NOW + 9 * DAY + 1), 0);
	assert_int_equal(scan(NOW + 20 * DAY), 0);
}

static void test_short_lived_revoked_and_endless_keys_are_not_told_of(void **state)
{
	(void)state;
	add_hook("hook_all", NOTICE_EVERY, true);
	add_key("key_short", NOW, NOW + DAY);
	add_key("key_endless", NOW - 60 * DAY, 0);
	add_key("key_revoked", NOW - 60 * DAY, NOW + DAY / 2);
	OK(store_key_set_revoked(s, rk_str("key_revoked"), NOW, &fault));
	assert_int_equal(scan(NOW), 0);
	assert_int_equal(scan(NOW + DAY / 2), 0);
	/* one that is extended is told of again, before its new end */
	add_key("key_b", NOW - 60 * DAY, NOW + 8 * DAY);
	assert_int_equal(scan(NOW + 2 * DAY), 1);
	OK(store_key_set_expires(s, rk_str("key_b"), NOW + 30 * DAY, &fault));
	assert_int_equal(scan(NOW + 7 * DAY), 0);
	assert_int_equal(scan(NOW + 23 * DAY), 1);
}

static void test_many_keys_with_one_end_are_all_told_of(void **state)
{
	char id[32];

	(void)state;
	add_hook("hook_all", NOTICE_EVERY, true);
	for (int i = 0; i < 2 * EXPIRY_PIECE + 7; i++) {
		snprintf(id, sizeof id, "key_%d", i);
		add_key(id, NOW - 60 * DAY, NOW + 6 * DAY);
	}
	assert_int_equal(scan(NOW), 2 * EXPIRY_PIECE + 7);
	assert_int_equal(scan(NOW + 1), 0);
	/* off for so long that both notices are due: only the one that still helps */
	assert_int_equal(scan(NOW + 5 * DAY + 1), 2 * EXPIRY_PIECE + 7);
}

static void test_a_management_key_is_told_of_by_its_name(void **state)
{
	(void)state;
	add_hook("hook_all", NOTICE_EVERY, true);
	OK(db_run(
	    s->db,
	    "INSERT INTO management_key(id, digest, hint, role, name, bounds, created_ms, "
	    "expires_ms, revoked_ms, revision) VALUES ('mkey_1', x'00', 'abc', 2, 'ci', x'', "
	    "?, ?, 0, 1)",
	    DB_VALUES(DB_INT(NOW - 60 * DAY), DB_INT(NOW + DAY)), NULL, &fault, "add"));
	assert_int_equal(scan(NOW), 1);
	assert_string_equal(rows[0].key, "mkey_1");
	assert_string_equal(rows[0].masked, "rk_mgmt_operator...abc");
}

static void test_a_search_that_finds_nothing_reads_an_index_and_not_the_keys(void **state)
{
	sqlite3_stmt *st = NULL;
	char plan[1024] = "";

	(void)state;
	OK(db_prepare(
	    s->db,
	    "EXPLAIN QUERY PLAN SELECT k.n FROM relay_key k JOIN holder h ON h.n = "
	    "k.holder WHERE k.expires_ms > 0 AND k.expires_ms >= 5 AND (k.expires_ms > 5 OR "
	    "k.n > 1) AND "
	    "k.expires_ms <= 9 AND k.revoked_ms = 0 ORDER BY k.expires_ms, k.n LIMIT 9",
	    &st, &fault));
	while (sqlite3_step(st) == SQLITE_ROW) {
		struct rk_slice text = db_column(st, 3);

		strncat(plan, text.p, text.n < 400 ? text.n : 400);
	}
	sqlite3_finalize(st);
	if (!strstr(plan, "relay_key_ends") || strstr(plan, "SCAN TABLE relay_key"))
		fail_msg("%s", plan);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_a_notice_goes_to_the_webhooks_that_want_its_kind),
	    TEST(test_the_code_of_a_link_is_in_the_mail_to_its_holder_and_nowhere_else),
	    TEST(test_alerts_go_to_those_who_watch),
	    TEST(test_a_change_that_fails_takes_its_notice_with_it),
	    TEST(test_what_waits_is_due_in_its_lane_also_after_a_restart),
	    TEST(test_what_is_over_can_be_sent_again_what_waits_cannot),
	    TEST(test_what_waits_for_a_webhook_that_is_removed_is_given_up),
	    TEST(test_what_was_sent_is_kept_for_a_week),
	    TEST(test_a_lane_holds_so_much_and_the_oldest_are_given_up),
	    TEST(test_the_outbox_is_no_change_of_the_policy),
	    TEST(test_a_key_is_told_of_seven_days_and_one_day_before_its_end_once),
	    TEST(test_short_lived_revoked_and_endless_keys_are_not_told_of),
	    TEST(test_many_keys_with_one_end_are_all_told_of),
	    TEST(test_a_management_key_is_told_of_by_its_name),
	    TEST(test_a_search_that_finds_nothing_reads_an_index_and_not_the_keys),
	};

	return cmocka_run_group_tests(tests, fixture_arena, NULL);
}

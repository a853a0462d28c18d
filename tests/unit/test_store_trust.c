/* Holders and their addresses in the policy store: whole changes or none, across a reopening.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ipc/messages_trust.h"
#include "keeper/store_schema.h"
#include "keeper/store_trust.h"
#include "tests/lib/store_fixture.h"

struct world {
	struct store_dir home;
	struct rk_secret key;
	struct store *s;
	/* as loaded */
	char text[2048];
	uint32_t last;
};

static struct rk_fault fault;

#define OK(call)                                                                               \
	do {                                                                                   \
		if ((call) != 0)                                                               \
			fail_msg("%s: %s", #call, fault.text);                                 \
	} while (0)

static void add_key(struct world *w, const char *id, const char *holder, char fill)
{
	struct store_key k = {.id = rk_str(id), .kind = 2, .holder = rk_str(holder)};

	memset(k.digest, fill, sizeof k.digest);
	memcpy(k.hint, "abc", 3);
	OK(store_key_add(w->s, &k, &fault));
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	w->home = fixture_dir("policy.db");
	w->key = fixture_key('k');
	OK(store_open(w->home.path, &w->key, true, &w->s, &fault));
	add_key(w, "key_a", "ada", 'a');
	add_key(w, "key_b", "ada", 'b');
	add_key(w, "key_c", "bob", 'c');
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	store_close(w->s);
	rk_secret_free(&w->key);
	fixture_remove(&w->home);
	free(w);
	return 0;
}

static void say(struct world *w, const char *fmt, ...) RK_PRINTF(2, 3);

static void say(struct world *w, const char *fmt, ...)
{
	size_t n = strlen(w->text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->text + n, sizeof w->text - n, fmt, ap);
	va_end(ap);
}

static int see_conn(const struct store_conn *c, void *arg)
{
	(void)c;
	(void)arg;
	return 0;
}

static int see_key(const struct store_key *k, void *arg)
{
	say(arg, "%.*s%s@%u ", RK_FMT(k->id), k->revoked_ms ? "-" : "", k->revision);
	return 0;
}

static int see_holder(const struct store_holder *h, void *arg)
{
	say(arg, "%.*s<%.*s>@%u%s ", RK_FMT(h->name), RK_FMT(h->email), h->revision,
	    h->settled ? "!" : "");
	return 0;
}

static int see_trust(const struct store_trust *t, void *arg)
{
	char net[RK_CIDR_TEXT];

	rk_cidr_format(&t->net, net);
	say(arg, "ip_%u:%.*s:%s:%u/%u:%.*s:%02x/%lld@%u ", t->number, RK_FMT(t->holder), net,
	    t->state, t->how, RK_FMT(t->key_id), t->code_digest[0],
	    (long long)t->code_expires_ms, t->revision);
	return 0;
}

static void see_last(uint32_t number, void *arg)
{
	((struct world *)arg)->last = number;
}

/* As a start of the keeper would find it. */
static const char *reload(struct world *w)
{
	const struct store_loader l = {.conn = see_conn,
	                               .key = see_key,
	                               .arg = w,
	                               .holder = see_holder,
	                               .trust = see_trust,
	                               .trust_last = see_last};
	uint64_t version;

	store_close(w->s);
	OK(store_open(w->home.path, &w->key, false, &w->s, &fault));
	w->text[0] = '\0';
	OK(store_load(w->s, &l, &version, &fault));
	return w->text;
}

static struct store_trust pending(uint32_t number, const char *address)
{
	struct store_trust t = {
	    .number = number,
	    .kind = 2,
	    .holder = rk_str("ada"),
	    .state = TRUST_PENDING,
	    .key_id = rk_str("key_a"),
	    .conn_id = rk_str("conn_x"),
	    .user_agent = rk_str("curl/8"),
	    .first_ms = 1000,
	    .mailed_ms = 1000,
	    .code_digest = {0xab},
	    .code_expires_ms = 5000,
	    .revision = 1,
	};

	OK(rk_cidr_parse(rk_str(address), &t.net));
	return t;
}

static int64_t mails(struct world *w)
{
	int64_t n = -1;

	OK(db_query_int(w->s->db, "SELECT count(*) FROM outbox WHERE kind = 1", &n, &fault));
	return n;
}

static const struct msg_notice notice = {.kind = NOTICE_NEW_IP, .time_ms = 1000};
static const struct store_mail mail = {.notice = &notice, .to = {"ada@example.com", 15}};
static const struct store_mail none;

static void a_holder_keeps_its_address_for_mail(void **state)
{
	struct world *w = *state;

	OK(store_holder_set_email(w->s, 2, rk_str("ada"), rk_str("ada@example.com"), &fault));
	assert_string_equal(reload(w),
	                    "ada<ada@example.com>@2 bob<>@1 key_a@1 key_b@1 key_c@1 ");
	OK(store_holder_set_email(w->s, 2, rk_str("ada"), rk_str(""), &fault));
	assert_int_equal(store_holder_set_email(w->s, 1, rk_str("ada"), rk_str("x@y"), &fault),
	                 RK_E_NOTFOUND);
	assert_string_equal(reload(w), "ada<>@3 bob<>@1 key_a@1 key_b@1 key_c@1 ");
}

static void revoking_a_holder_takes_all_its_keys_and_no_other(void **state)
{
	struct world *w = *state;

	OK(store_key_set_revoked(w->s, rk_str("key_b"), 50, &fault));
	OK(store_holder_revoke(w->s, 2, rk_str("ada"), 99, &fault));
	assert_string_equal(reload(w), "ada<>@1 bob<>@1 key_a-@2 key_b-@2 key_c@1 ");
	assert_int_equal(store_holder_revoke(w->s, 2, rk_str("eve"), 99, &fault),
	                 RK_E_NOTFOUND);
}

static void a_pending_address_and_its_mail_are_one_change(void **state)
{
	struct world *w = *state;
	struct store_trust t = pending(1, "203.0.113.7");

	OK(store_trust_add(w->s, &t, 0, &mail, &fault));
	assert_int_equal(mails(w), 1);
	assert_string_equal(reload(w), "ada<>@1 bob<>@1 key_a@1 key_b@1 key_c@1 "
	                               "ip_1:ada:203.0.113.7/32:1/0:key_a:ab/5000@1 ");
	/* the same address again: neither it nor a mail */
	t.number = 2;
	assert_int_equal(store_trust_add(w->s, &t, 0, &mail, &fault), RK_E_EXISTS);
	assert_int_equal(mails(w), 1);
	/* its prefix is another one */
	t = pending(2, "203.0.113.0/24");
	OK(store_trust_add(w->s, &t, 0, &none, &fault));
	assert_int_equal(mails(w), 1);
}

static void a_new_code_replaces_the_old_one(void **state)
{
	struct world *w = *state;
	struct store_trust t = pending(1, "203.0.113.7");

	OK(store_trust_add(w->s, &t, 0, &mail, &fault));
	t.code_digest[0] = 0xcd;
	t.code_expires_ms = 9000;
	OK(store_trust_code(w->s, &t, &mail, &fault));
	assert_int_equal(mails(w), 2);
	assert_non_null(strstr(reload(w), "ip_1:ada:203.0.113.7/32:1/0:key_a:cd/9000@2 "));
	t.number = 9;
	assert_int_equal(store_trust_code(w->s, &t, &mail, &fault), RK_E_NOTFOUND);
	assert_int_equal(mails(w), 2);
}

static void another_address_for_mail_closes_the_links_to_the_old_one(void **state)
{
	struct world *w = *state;
	struct store_trust t = pending(1, "203.0.113.7");

	OK(store_trust_add(w->s, &t, 0, &mail, &fault));
	OK(store_holder_set_email(w->s, 2, rk_str("bob"), rk_str("bob@example.com"), &fault));
	assert_non_null(strstr(reload(w), "ip_1:ada:203.0.113.7/32:1/0:key_a:ab/5000@1 "));
	OK(store_holder_set_email(w->s, 2, rk_str("ada"), rk_str("new@example.com"), &fault));
	assert_non_null(strstr(reload(w), "ip_1:ada:203.0.113.7/32:1/0:key_a:00/0@1 "));
}

static void deciding_uses_the_code_up_and_settles_the_holder(void **state)
{
	struct world *w = *state;
	struct store_trust t = pending(1, "203.0.113.7");

	OK(store_trust_add(w->s, &t, 0, &none, &fault));
	OK(store_trust_decide(w->s, 1, TRUST_BY_LINK, 2000, &fault));
	assert_string_equal(reload(w), "ada<>@1! bob<>@1 key_a@1 key_b@1 key_c@1 "
	                               "ip_1:ada:203.0.113.7/32:2/3:key_a:00/0@2 ");
	assert_int_equal(store_trust_decide(w->s, 2, TRUST_BY_LINK, 2000, &fault),
	                 RK_E_NOTFOUND);
}

static void one_that_is_trusted_from_the_start_settles_it_too(void **state)
{
	struct world *w = *state;
	struct store_trust t = pending(1, "2001:db8:1:2::/64");

	t.state = TRUST_TRUSTED;
	t.how = TRUST_BY_FIRST;
	t.code_expires_ms = 0;
	OK(store_trust_add(w->s, &t, 0, &none, &fault));
	assert_string_equal(reload(w), "ada<>@1! bob<>@1 key_a@1 key_b@1 key_c@1 "
	                               "ip_1:ada:2001:db8:1:2::/64:2/1:key_a:00/0@1 ");
}

static void a_number_is_never_given_twice_and_removal_leaves_the_holder_settled(void **state)
{
	struct world *w = *state;
	struct store_trust t = pending(7, "203.0.113.7");

	t.state = TRUST_TRUSTED;
	OK(store_trust_add(w->s, &t, 0, &none, &fault));
	OK(store_trust_remove(w->s, 7, &fault));
	assert_string_equal(reload(w), "ada<>@1! bob<>@1 key_a@1 key_b@1 key_c@1 ");
	assert_int_equal(w->last, 7);
	assert_int_equal(store_trust_remove(w->s, 7, &fault), RK_E_NOTFOUND);
}

static void one_makes_room_for_another_or_both_stay_as_they_are(void **state)
{
	struct world *w = *state;
	struct store_trust t = pending(1, "203.0.113.7"), next = pending(2, "203.0.113.8");

	OK(store_trust_add(w->s, &t, 0, &none, &fault));
	OK(store_trust_add(w->s, &next, 1, &mail, &fault));
	assert_null(strstr(reload(w), "ip_1"));
	assert_non_null(strstr(w->text, "ip_2"));
	next = pending(3, "203.0.113.9");
	assert_int_equal(store_trust_add(w->s, &next, 1, &mail, &fault), RK_E_NOTFOUND);
	next = pending(3, "203.0.113.8");
	next.holder = rk_str("nobody");
	assert_int_equal(store_trust_add(w->s, &next, 2, &mail, &fault), RK_E_NOTFOUND);
	assert_non_null(strstr(reload(w), "ip_2"));
	assert_null(strstr(w->text, "ip_3"));
	assert_int_equal(mails(w), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_holder_keeps_its_address_for_mail),
	    TEST(revoking_a_holder_takes_all_its_keys_and_no_other),
	    TEST(a_pending_address_and_its_mail_are_one_change),
	    TEST(a_new_code_replaces_the_old_one),
	    TEST(another_address_for_mail_closes_the_links_to_the_old_one),
	    TEST(deciding_uses_the_code_up_and_settles_the_holder),
	    TEST(one_that_is_trusted_from_the_start_settles_it_too),
	    TEST(a_number_is_never_given_twice_and_removal_leaves_the_holder_settled),
	    TEST(one_makes_room_for_another_or_both_stay_as_they_are),
	};

	return cmocka_run_group_tests(tests, fixture_arena, NULL);
}

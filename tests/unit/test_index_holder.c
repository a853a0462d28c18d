/* Holders in the index, and which addresses they are trusted at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keeper/index_holder.h"
#include "tests/lib/policy_sample.h"

struct world {
	struct index *ix;
	struct sample_key key;
	struct index_holder *acme;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct sample_grants g = {.used = 0};

	if (!w || index_new(&w->ix))
		return -1;
	sample_conn(w->ix, "conn_a", "openai", "https://api.openai.com/v1", 0);
	sample_grant(&g, "conn_a", "GET", "/**", "");
	sample_key(w->ix, &g, "", 0, &w->key);
	w->acme = index_holder_find(w->ix, HOLDER_VENDOR, rk_str("acme"));
	*state = w;
	return w->acme ? 0 : -1;
}

static int teardown(void **state)
{
	struct world *w = *state;

	index_free(w->ix);
	free(w);
	return 0;
}

static struct rk_ip ip(const char *text)
{
	struct rk_ip out;

	assert_int_equal(rk_ip_parse(rk_str(text), &out), 0);
	return out;
}

static enum trust_verdict judge(struct world *w, const char *text)
{
	return index_trust_judge(w->ix, w->acme, ip(text).b);
}

static struct index_trust *add(struct world *w, const char *text, enum trust_state state)
{
	struct rk_cidr net = index_trust_net(ip(text).b);
	struct index_trust *t;

	assert_int_equal(index_trust_new(w->ix, w->acme, &net, rk_str("curl/8"), &t), 0);
	t->busy = false;
	t->state = (uint8_t)state;
	return t;
}

static void a_holder_has_all_its_keys_and_nobody_else_s(void **state)
{
	struct world *w = *state;
	struct sample_grants g = {.used = 0};
	struct sample_key second;
	struct store_key other = {.kind = HOLDER_APP, .holder = rk_str("acme")};
	struct index_key *app;
	struct rk_fault fault;

	sample_grant(&g, "conn_a", "GET", "/x", "");
	sample_key(w->ix, &g, "", 0, &second);
	other.id = rk_str("key_aaaaaaaaaaaa");
	memcpy(other.hint, "abc", 3);
	assert_int_equal(index_add_key(w->ix, &other, &app, &fault), 0);
	assert_int_equal(w->acme->keys, 2);
	assert_ptr_equal(index_holder_key(w->ix, w->acme, NULL), second.key);
	assert_ptr_equal(index_holder_key(w->ix, w->acme, second.key), w->key.key);
	assert_null(index_holder_key(w->ix, w->acme, w->key.key));
	/* the same name of another kind is somebody else */
	assert_ptr_not_equal(app->owner, w->acme);
	assert_int_equal(index_holder_count(w->ix), 2);
	assert_ptr_equal(index_holder_next(w->ix, NULL), w->acme);
	assert_ptr_equal(index_holder_next(w->ix, w->acme), app->owner);
	assert_null(index_holder_next(w->ix, app->owner));
}

static void a_holder_is_found_by_kind_and_name(void **state)
{
	struct world *w = *state;
	struct index_holder *h = NULL;
	struct rk_fault fault;

	assert_int_equal(index_holder_resolve(w->ix, rk_str("vendor:acme"), &h, &fault), 0);
	assert_ptr_equal(h, w->acme);
	assert_int_equal(index_holder_resolve(w->ix, rk_str("vendor:acm"), &h, &fault),
	                 RK_E_NOTFOUND);
	assert_int_equal(index_holder_resolve(w->ix, rk_str("app:acme"), &h, &fault),
	                 RK_E_NOTFOUND);
	assert_int_equal(index_holder_resolve(w->ix, rk_str("acme"), &h, &fault),
	                 RK_E_NOTFOUND);
	assert_int_equal(index_holder_resolve(w->ix, rk_str(""), &h, &fault), RK_E_NOTFOUND);
	assert_ptr_equal(h, w->acme);
}

static void nobody_is_trusted_until_the_rule_says_so(void **state)
{
	struct world *w = *state;

	assert_int_equal(judge(w, "203.0.113.1"), TRUST_NO);
	index_trust_rule(w->ix, true, rk_str(""));
	assert_int_equal(judge(w, "203.0.113.1"), TRUST_FIRST);
}

static void the_first_one_is_one_and_only_once(void **state)
{
	struct world *w = *state;
	struct index_trust *t;

	index_trust_rule(w->ix, true, rk_str(""));
	t = add(w, "203.0.113.1", TRUST_PENDING);
	w->acme->claim = t;
	/* while it is being stored: it waits, the other one has lost */
	assert_int_equal(judge(w, "203.0.113.1"), TRUST_FIRST);
	assert_int_equal(judge(w, "203.0.113.2"), TRUST_NO);
	t->state = TRUST_TRUSTED;
	w->acme->settled = true;
	w->acme->claim = NULL;
	assert_int_equal(judge(w, "203.0.113.1"), TRUST_YES);
	assert_int_equal(judge(w, "203.0.113.2"), TRUST_NO);
	/* taking it away does not make the next one the first */
	index_trust_drop(w->ix, t);
	assert_int_equal(judge(w, "203.0.113.1"), TRUST_NO);
	assert_int_equal(judge(w, "203.0.113.2"), TRUST_NO);
}

static void a_claim_that_fails_leaves_room_for_another(void **state)
{
	struct world *w = *state;
	struct index_trust *t;

	index_trust_rule(w->ix, true, rk_str(""));
	t = add(w, "203.0.113.1", TRUST_PENDING);
	w->acme->claim = t;
	index_trust_drop(w->ix, t);
	assert_null(w->acme->claim);
	assert_int_equal(judge(w, "203.0.113.2"), TRUST_FIRST);
}

static void ipv6_counts_by_its_64(void **state)
{
	struct world *w = *state;
	struct rk_cidr net;

	add(w, "2001:db8:1:2:3:4:5:6", TRUST_TRUSTED);
	assert_int_equal(judge(w, "2001:db8:1:2::9"), TRUST_YES);
	assert_int_equal(judge(w, "2001:db8:1:3:3:4:5:6"), TRUST_NO);
	/* of IPv4 all of it: an address in the same /64 of the mapped form is another one */
	add(w, "198.51.100.7", TRUST_TRUSTED);
	assert_int_equal(judge(w, "198.51.100.7"), TRUST_YES);
	assert_int_equal(judge(w, "198.51.100.8"), TRUST_NO);
	net = index_trust_net(ip("198.51.100.7").b);
	assert_int_equal(net.bits, 128);
	assert_non_null(index_trust_at(w->acme, &net));
	net.bits = 120;
	assert_null(index_trust_at(w->acme, &net));
}

static void only_what_is_trusted_lets_in(void **state)
{
	struct world *w = *state;
	struct index_trust *t = add(w, "203.0.113.1", TRUST_PENDING);

	assert_int_equal(judge(w, "203.0.113.1"), TRUST_NO);
	t->state = TRUST_TRUSTED;
	assert_int_equal(judge(w, "203.0.113.1"), TRUST_YES);
	t->state = TRUST_REMOVED;
	assert_int_equal(judge(w, "203.0.113.1"), TRUST_NO);
}

static void presets_are_trusted_by_themselves_and_only_they(void **state)
{
	struct world *w = *state;
	struct sample_list list;

	index_trust_rule(w->ix, false,
	                 sample_words(&list, "10.0.0.0/8 nonsense 2001:db8::/32"));
	assert_int_equal(judge(w, "10.9.9.9"), TRUST_YES);
	assert_int_equal(judge(w, "2001:db8:ffff::1"), TRUST_YES);
	assert_int_equal(judge(w, "11.0.0.1"), TRUST_NO);
	assert_int_equal(w->acme->trusts, 0);
	index_trust_rule(w->ix, false, rk_str(""));
	assert_int_equal(judge(w, "10.9.9.9"), TRUST_NO);
}

static void records_are_walked_in_the_order_of_their_numbers(void **state)
{
	struct world *w = *state;
	struct index_trust *t[5];

	for (unsigned i = 0; i < 5; i++) {
		char text[32];

		snprintf(text, sizeof text, "203.0.113.%u", i + 1);
		t[i] = add(w, text, i % 2 ? TRUST_PENDING : TRUST_TRUSTED);
	}
	assert_int_equal(index_trust_count(w->acme, TRUST_PENDING), 2);
	assert_int_equal(index_trust_count(w->acme, TRUST_TRUSTED), 3);
	assert_ptr_equal(index_trust_next(w->ix, NULL, 0), t[0]);
	assert_ptr_equal(index_trust_next(w->ix, w->acme, t[0]->number), t[1]);
	index_trust_drop(w->ix, t[1]);
	/* from where it was, the walk goes on */
	assert_ptr_equal(index_trust_next(w->ix, NULL, t[0]->number), t[2]);
	assert_null(index_trust_next(w->ix, NULL, t[4]->number));
	assert_null(index_trust_next(w->ix, NULL, UINT32_MAX));
	assert_ptr_equal(index_trust_by_number(w->ix, t[3]->number), t[3]);
	assert_null(index_trust_by_number(w->ix, 2));
	/* a number is never given twice */
	index_trust_drop(w->ix, t[4]);
	assert_int_equal(add(w, "203.0.113.9", TRUST_PENDING)->number, 6);
}

static void mails_are_counted_by_the_day(void **state)
{
	struct world *w = *state;
	struct index_key *k = w->key.key;
	const int64_t day = 86400000;

	assert_int_equal(index_mails(k, 20000 * day), 0);
	index_mail_count(w->ix, k, 20000 * day);
	index_mail_count(w->ix, k, 20001 * day - 1);
	assert_int_equal(index_mails(k, 20000 * day + 5), 2);
	assert_int_equal(index_mails(k, 20001 * day), 0);
	index_mail_count(w->ix, k, 20001 * day);
	assert_int_equal(index_mails(k, 20001 * day), 1);
	/* a record of an older day does not turn the count back */
	index_mail_count(w->ix, k, 20000 * day);
	assert_int_equal(index_mails(k, 20001 * day), 1);
}

static void what_was_stored_comes_back(void **state)
{
	struct world *w = *state;
	const struct store_holder h = {.kind = HOLDER_PERSON,
	                               .name = rk_str("ada"),
	                               .email = rk_str("ada@example.com"),
	                               .revision = 7,
	                               .settled = true};
	struct store_trust t = {
	    .number = 12,
	    .kind = HOLDER_PERSON,
	    .holder = rk_str("ada"),
	    .net = index_trust_net(ip("203.0.113.1").b),
	    .state = TRUST_TRUSTED,
	    .how = TRUST_BY_LINK,
	    .key_id = rk_str(w->key.id),
	    .user_agent = rk_str("curl/8"),
	    .revision = 2,
	};
	struct index_holder *ada;
	struct rk_fault fault;

	assert_int_equal(index_add_holder(w->ix, &h, &fault), 0);
	ada = index_holder_find(w->ix, HOLDER_PERSON, rk_str("ada"));
	assert_non_null(ada);
	assert_string_equal(ada->email, "ada@example.com");
	assert_int_equal(ada->revision, 7);
	assert_true(ada->settled);
	assert_int_equal(index_add_trust(w->ix, &t, &fault), 0);
	assert_int_equal(index_trust_judge(w->ix, ada, ip("203.0.113.1").b), TRUST_YES);
	assert_ptr_equal(ada->trust[0]->key, w->key.key);
	/* twice, out of order, damaged, of nobody */
	assert_int_equal(index_add_trust(w->ix, &t, &fault), RK_E_INVALID);
	t.number = 13;
	t.state = TRUST_REMOVED;
	assert_int_equal(index_add_trust(w->ix, &t, &fault), RK_E_INVALID);
	t.state = TRUST_PENDING;
	t.holder = rk_str("bob");
	assert_int_equal(index_add_trust(w->ix, &t, &fault), RK_E_NOTFOUND);
	index_trust_last(w->ix, 40);
	assert_int_equal(add(w, "203.0.113.9", TRUST_PENDING)->number, 41);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_holder_has_all_its_keys_and_nobody_else_s),
	    TEST(a_holder_is_found_by_kind_and_name),
	    TEST(nobody_is_trusted_until_the_rule_says_so),
	    TEST(the_first_one_is_one_and_only_once),
	    TEST(a_claim_that_fails_leaves_room_for_another),
	    TEST(ipv6_counts_by_its_64),
	    TEST(only_what_is_trusted_lets_in),
	    TEST(presets_are_trusted_by_themselves_and_only_they),
	    TEST(records_are_walked_in_the_order_of_their_numbers),
	    TEST(mails_are_counted_by_the_day),
	    TEST(what_was_stored_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

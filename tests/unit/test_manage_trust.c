/* Commands about holders and their addresses. */
#include "tests/lib/trust_world.h"

/* ---- holders ---- */

static const struct msg_holder_info *holder(struct world *w, enum ipc_type type,
                                            const char *ref)
{
	const struct msg_ref m = {.ref = rk_str(ref)};

	world_run(w, &w->a, type, &m);
	return &world_answer(&w->a, 0, MSG_HOLDER_INFO)->holder_info;
}

static void a_holder_is_shown_with_its_keys_and_addresses(void **state)
{
	struct world *w = *state;
	const struct msg_holder_info *h;
	struct world_key one, two;
	struct msg_ref ref;

	trust_key(w, "ada", &one);
	trust_key(w, "ada", &two);
	ref = (struct msg_ref){.ref = rk_str(two.id)};
	world_run(w, &w->a, MSG_KEY_REVOKE, &ref);
	assert_int_equal(trust_ask(w, "203.0.113.1", one.text), REASON_OK);
	world_complete(w);
	assert_int_equal(trust_ask(w, "203.0.113.2", one.text), REASON_IP_UNCONFIRMED);
	WORLD_WAIT(w, trust_quiet(trust_holder(w, "ada")));
	h = holder(w, MSG_HOLDER_GET, "person:ada");
	assert_true(rk_slice_is(h->ref, "person:ada"));
	assert_int_equal(h->keys, 2);
	assert_int_equal(h->live_keys, 1);
	assert_int_equal(h->trusted_ips, 1);
	assert_int_equal(h->pending_ips, 1);
	assert_int_equal(h->revision, 1);
	assert_int_equal(h->email.n, 0);
	ref.ref = rk_str("person:bob");
	assert_int_equal(world_refusal(w, &w->a, MSG_HOLDER_GET, &ref), RK_E_NOTFOUND);
	ref.ref = rk_str("ada");
	assert_int_equal(world_refusal(w, &w->a, MSG_HOLDER_GET, &ref), RK_E_NOTFOUND);
}

static void an_email_is_checked_stored_and_taken_back(void **state)
{
	struct world *w = *state;
	struct msg_holder_set set = {.ref = rk_str("person:ada"),
	                             .set = HOLDER_SET_EMAIL,
	                             .email =
	                                 rk_str("ada@example.com\r\nBcc: eve@example.com")};
	struct world_key key;

	trust_key(w, "ada", &key);
	assert_int_equal(world_refusal(w, &w->a, MSG_HOLDER_SET, &set), RK_E_INVALID);
	set.email = rk_str("ada@example.com");
	world_run(w, &w->a, MSG_HOLDER_SET, &set);
	assert_int_equal(world_answer(&w->a, 0, MSG_HOLDER_INFO)->holder_info.revision, 2);
	assert_true(world_last_action(w, "holder.set"));
	assert_string_equal(world_last_row(w)->target, "person:ada");
	assert_string_equal(world_last_row(w)->detail, "email=ada@example.com was=");
	assert_int_equal(
	    trust_count_sql(w, "SELECT count(*) FROM holder WHERE email = 'ada@example.com'"),
	    1);
	/* the same once more changes nothing, an older revision neither */
	world_run(w, &w->a, MSG_HOLDER_SET, &set);
	assert_int_equal(world_answer(&w->a, 0, MSG_HOLDER_INFO)->holder_info.revision, 2);
	set.email = rk_str("");
	w->a.caller.if_revision = 1;
	assert_int_equal(world_refusal(w, &w->a, MSG_HOLDER_SET, &set), RK_E_STALE);
	w->a.caller.if_revision = 2;
	world_run(w, &w->a, MSG_HOLDER_SET, &set);
	assert_int_equal(world_answer(&w->a, 0, MSG_HOLDER_INFO)->holder_info.email.n, 0);
	assert_null(trust_holder(w, "ada")->email);
}

static void revoking_a_holder_is_in_force_at_once_for_all_its_keys(void **state)
{
	struct world *w = *state;
	struct world_key one, two, other;
	struct msg_ref ref = {.ref = rk_str("person:ada")};

	trust_key(w, "ada", &one);
	trust_key(w, "ada", &two);
	trust_key(w, "bob", &other);
	assert_int_equal(trust_ask(w, "203.0.113.1", one.text), REASON_OK);
	world_hold_store(w);
	world_start(w, &w->a, MSG_HOLDER_REVOKE, &ref);
	/* the stream is cut and both keys are dead while the store has yet to hear of it */
	WORLD_WAIT(w, w->cuts == 1);
	assert_int_equal(w->cut_reason, REASON_INVALID_KEY);
	assert_int_equal(trust_ask(w, "203.0.113.1", two.text), REASON_INVALID_KEY);
	assert_int_equal(w->a.done, 0);
	world_set(w, &w->hold_store, false);
	WORLD_WAIT(w, w->a.done);
	assert_int_equal(world_answer(&w->a, 0, MSG_HOLDER_INFO)->holder_info.revoked, 2);
	assert_int_equal(world_answer(&w->a, 0, MSG_HOLDER_INFO)->holder_info.live_keys, 0);
	assert_string_equal(world_last_row(w)->action, "holder.revoke");
	assert_string_equal(world_last_row(w)->detail, "keys=2");
	assert_int_equal(
	    trust_count_sql(w, "SELECT count(*) FROM relay_key WHERE revoked_ms > 0"), 2);
	assert_int_equal(trust_ask(w, "203.0.113.1", other.text), REASON_OK);
	world_complete(w);
	/* once more: nothing left to do */
	world_run(w, &w->a, MSG_HOLDER_REVOKE, &ref);
	assert_int_equal(world_answer(&w->a, 0, MSG_HOLDER_INFO)->holder_info.revoked, 0);
}

static void a_key_that_is_being_issued_goes_with_its_holder(void **state)
{
	struct world *w = *state;
	struct sample_grants g = {.used = 0};
	struct msg_key_issue issue = {.kind = HOLDER_PERSON, .holder = rk_str("ada")};
	struct msg_ref ref = {.ref = rk_str("person:ada")};
	struct world_key one;
	char text[RELAY_KEY_MAX + 1];

	trust_key(w, "ada", &one);
	sample_grant(&g, "openai", "GET", "/v1/**", "");
	issue.grants = sample_grants_slice(&g);
	world_hold_store(w);
	world_start(w, &w->a, MSG_KEY_ISSUE, &issue);
	world_start(w, &w->b, MSG_HOLDER_REVOKE, &ref);
	world_set(w, &w->hold_store, false);
	WORLD_WAIT(w, w->a.done && w->b.done);
	assert_true(rk_slice_cstr(world_answer(&w->a, 0, MSG_KEY_INFO)->key_info.key, text,
	                          sizeof text));
	assert_int_equal(world_answer(&w->b, 0, MSG_HOLDER_INFO)->holder_info.revoked, 2);
	assert_int_equal(trust_ask(w, "203.0.113.1", text), REASON_INVALID_KEY);
	assert_int_equal(
	    trust_count_sql(w, "SELECT count(*) FROM relay_key WHERE revoked_ms = 0"), 0);
}

static void a_revocation_that_cannot_be_stored_says_so_and_is_tried_again(void **state)
{
	struct world *w = *state;
	struct msg_ref ref = {.ref = rk_str("person:ada")};
	struct world_key one;

	trust_key(w, "ada", &one);
	WORLD_OK(db_exec(w->k.store->db, "PRAGMA query_only = 1", &world_fault, "test"));
	assert_true(world_refusal(w, &w->a, MSG_HOLDER_REVOKE, &ref) < 0);
	assert_non_null(strstr(world_fault.text, "in force now, but not stored"));
	assert_int_equal(trust_ask(w, "203.0.113.1", one.text), REASON_INVALID_KEY);
	WORLD_OK(db_exec(w->k.store->db, "PRAGMA query_only = 0", &world_fault, "test"));
	world_run(w, &w->a, MSG_HOLDER_REVOKE, &ref);
	world_answer(&w->a, 0, MSG_HOLDER_INFO);
	assert_int_equal(
	    trust_count_sql(w, "SELECT count(*) FROM relay_key WHERE revoked_ms > 0"), 1);
}

static void holders_are_listed_by_kind_and_by_pages(void **state)
{
	struct world *w = *state;
	struct msg_holder_list list = {.limit = 2};
	struct world_key key;

	trust_key(w, "ada", &key);
	world_key_issue(w, "openai", 0, &key);
	trust_key(w, "bob", &key);
	world_run(w, &w->b, MSG_HOLDER_LIST, &list);
	assert_int_equal(w->b.answers, 3);
	assert_int_equal(world_answer(&w->b, 2, MSG_DONE)->done.more, 1);
	list.after = rk_str("agent:crawler");
	world_run(w, &w->b, MSG_HOLDER_LIST, &list);
	assert_int_equal(w->b.answers, 2);
	assert_true(
	    rk_slice_is(world_answer(&w->b, 0, MSG_HOLDER_INFO)->holder_info.name, "bob"));
	assert_int_equal(world_answer(&w->b, 0, MSG_HOLDER_INFO)->holder_info.live_keys, 1);
	assert_int_equal(world_answer(&w->b, 1, MSG_DONE)->done.more, 0);
	list = (struct msg_holder_list){.kind = rk_str("person")};
	world_run(w, &w->b, MSG_HOLDER_LIST, &list);
	assert_int_equal(w->b.answers, 3);
	list.kind = rk_str("robot");
	assert_int_equal(world_refusal(w, &w->b, MSG_HOLDER_LIST, &list), RK_E_INVALID);
	/* a reader that stops reading gets the rest later */
	list = (struct msg_holder_list){.limit = 0};
	w->b.room = 1;
	world_start(w, &w->b, MSG_HOLDER_LIST, &list);
	world_turns(w);
	assert_int_equal(w->b.answers, 1);
	w->b.room = UINT32_MAX;
	manage_drained(&w->b.caller);
	WORLD_WAIT(w, w->b.done);
	assert_int_equal(w->b.answers, 4);
}

/* ---- addresses ---- */

static void an_address_is_added_for_a_holder_and_lets_in(void **state)
{
	struct world *w = *state;
	struct msg_trust_add add = {.holder = rk_str("person:ada"),
	                            .address = rk_str("198.51.100.0/24")};
	const struct msg_trust_info *t;
	struct world_key key;

	trust_key(w, "ada", &key);
	world_run(w, &w->a, MSG_TRUST_ADD, &add);
	t = &world_answer(&w->a, 0, MSG_TRUST_INFO)->trust_info;
	assert_true(rk_slice_is(t->id, "ip_1"));
	assert_true(rk_slice_is(t->address, "198.51.100.0/24"));
	assert_int_equal(t->state, TRUST_TRUSTED);
	assert_int_equal(t->how, TRUST_BY_MANAGER);
	assert_true(world_last_action(w, "ip.add"));
	assert_string_equal(world_last_row(w)->detail, "address=198.51.100.0/24");
	assert_int_equal(trust_ask(w, "198.51.100.77", key.text), REASON_OK);
	world_complete(w);
	/* who was given an address has had the first one */
	assert_int_equal(trust_ask(w, "203.0.113.1", key.text), REASON_IP_UNCONFIRMED);
	/* the same again is the same; of one IPv6 address its /64 is meant */
	world_run(w, &w->a, MSG_TRUST_ADD, &add);
	assert_true(rk_slice_is(world_answer(&w->a, 0, MSG_TRUST_INFO)->trust_info.id, "ip_1"));
	add.address = rk_str("2001:db8:1:2::77");
	world_run(w, &w->a, MSG_TRUST_ADD, &add);
	assert_true(rk_slice_is(world_answer(&w->a, 0, MSG_TRUST_INFO)->trust_info.address,
	                        "2001:db8:1:2::/64"));
}

static void not_every_text_is_an_address(void **state)
{
	static const char *const bad[] = {"",          "home", "203.0.113.1/24",
	                                  "0.0.0.0/0", "::/0", "203.0.113.256"};
	struct world *w = *state;
	struct msg_trust_add add = {.holder = rk_str("person:ada")};
	struct world_key key;

	trust_key(w, "ada", &key);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		add.address = rk_str(bad[i]);
		assert_int_equal(world_refusal(w, &w->a, MSG_TRUST_ADD, &add), RK_E_INVALID);
	}
	add.address = rk_str("0.0.0.0/1");
	world_run(w, &w->a, MSG_TRUST_ADD, &add);
	world_answer(&w->a, 0, MSG_TRUST_INFO);
	add.holder = rk_str("person:bob");
	assert_int_equal(world_refusal(w, &w->a, MSG_TRUST_ADD, &add), RK_E_NOTFOUND);
}

static void a_holder_has_so_many_addresses_and_not_one_more(void **state)
{
	struct world *w = *state;
	struct msg_trust_add add = {.holder = rk_str("person:ada")};
	struct world_key key;
	char address[32];

	trust_key(w, "ada", &key);
	for (unsigned i = 0; i < HOLDER_MAX_TRUSTED; i++) {
		snprintf(address, sizeof address, "10.0.0.%u", i);
		add.address = rk_str(address);
		world_run(w, &w->a, MSG_TRUST_ADD, &add);
		world_answer(&w->a, 0, MSG_TRUST_INFO);
	}
	add.address = rk_str("10.0.1.0");
	assert_int_equal(world_refusal(w, &w->a, MSG_TRUST_ADD, &add), RK_E_TOOBIG);
	assert_int_equal(trust_holder(w, "ada")->trusts, HOLDER_MAX_TRUSTED);
}

/* A pending address of ada's, 203.0.113.9; ip_1. */
static void make_pending(struct world *w, struct world_key *key)
{
	trust_key(w, "ada", key);
	trust_email(w, "person:ada", "ada@example.com");
	w->terms.first = false;
	assert_int_equal(trust_ask(w, "203.0.113.9", key->text), REASON_IP_UNCONFIRMED);
	WORLD_WAIT(w, trust_quiet(trust_holder(w, "ada")));
}

static void an_administrator_approves_what_is_pending(void **state)
{
	struct world *w = *state;
	struct msg_ref ref = {.ref = rk_str("ip_1")};
	char code[TRUST_CODE + 1];
	struct msg_confirm m = {.code = rk_slice(code, TRUST_CODE)};
	struct world_key key;

	make_pending(w, &key);
	trust_code(w, code);
	world_run(w, &w->a, MSG_TRUST_APPROVE, &ref);
	assert_int_equal(world_answer(&w->a, 0, MSG_TRUST_INFO)->trust_info.state,
	                 TRUST_TRUSTED);
	assert_int_equal(world_answer(&w->a, 0, MSG_TRUST_INFO)->trust_info.revision, 2);
	assert_true(world_last_action(w, "ip.approve"));
	assert_int_equal(trust_ask(w, "203.0.113.9", key.text), REASON_OK);
	world_complete(w);
	world_run(w, &w->a, MSG_TRUST_GET, &ref);
	assert_true(rk_slice_is(world_answer(&w->a, 0, MSG_TRUST_INFO)->trust_info.id, "ip_1"));
	/* the link in the mail opens nothing any more */
	assert_int_equal(world_refusal(w, &w->a, MSG_TRUST_CONFIRM, &m), RK_E_NOTFOUND);
	ref.ref = rk_str("ip_2");
	assert_int_equal(world_refusal(w, &w->a, MSG_TRUST_APPROVE, &ref), RK_E_NOTFOUND);
	ref.ref = rk_str("2");
	assert_int_equal(world_refusal(w, &w->a, MSG_TRUST_APPROVE, &ref), RK_E_NOTFOUND);
}

static void removing_an_address_cuts_what_is_in_flight_from_it(void **state)
{
	struct world *w = *state;
	struct msg_ref ref = {.ref = rk_str("ip_1")};
	struct world_key key;
	unsigned count;

	trust_key(w, "ada", &key);
	assert_int_equal(trust_ask(w, "203.0.113.1", key.text), REASON_OK);
	world_hold_store(w);
	world_start(w, &w->a, MSG_TRUST_REMOVE, &ref);
	WORLD_WAIT(w, w->cuts == 1);
	assert_int_equal(w->cut_reason, REASON_IP_UNCONFIRMED);
	assert_int_equal(trust_ask(w, "203.0.113.1", key.text), REASON_IP_UNCONFIRMED);
	world_set(w, &w->hold_store, false);
	WORLD_WAIT(w, w->a.done);
	assert_int_equal(world_answer(&w->a, 0, MSG_TRUST_INFO)->trust_info.state,
	                 TRUST_REMOVED);
	assert_true(world_last_action(w, "ip.remove"));
	assert_null(trust_list(w, "", 0, &count));
	assert_int_equal(trust_count_sql(w, "SELECT count(*) FROM trusted_ip"), 0);
	/* the next one from there, or from elsewhere, is not the first */
	assert_int_equal(trust_ask(w, "203.0.113.1", key.text), REASON_IP_UNCONFIRMED);
	assert_int_equal(trust_ask(w, "203.0.113.2", key.text), REASON_IP_UNCONFIRMED);
	WORLD_WAIT(w, trust_quiet(trust_holder(w, "ada")));
	assert_int_equal(world_refusal(w, &w->a, MSG_TRUST_REMOVE, &ref), RK_E_NOTFOUND);
}

static void a_removal_that_cannot_be_stored_holds_and_is_tried_again(void **state)
{
	struct world *w = *state;
	struct msg_ref ref = {.ref = rk_str("ip_1")};
	struct world_key key;

	trust_key(w, "ada", &key);
	assert_int_equal(trust_ask(w, "203.0.113.1", key.text), REASON_OK);
	world_complete(w);
	WORLD_OK(db_exec(w->k.store->db, "PRAGMA query_only = 1", &world_fault, "test"));
	assert_true(world_refusal(w, &w->a, MSG_TRUST_REMOVE, &ref) < 0);
	assert_non_null(strstr(world_fault.text, "in force now, but not stored"));
	assert_int_equal(trust_ask(w, "203.0.113.1", key.text), REASON_IP_UNCONFIRMED);
	WORLD_OK(db_exec(w->k.store->db, "PRAGMA query_only = 0", &world_fault, "test"));
	world_run(w, &w->a, MSG_TRUST_REMOVE, &ref);
	world_answer(&w->a, 0, MSG_TRUST_INFO);
	assert_int_equal(trust_count_sql(w, "SELECT count(*) FROM trusted_ip"), 0);
}

static void an_addition_that_cannot_be_stored_leaves_nothing(void **state)
{
	struct world *w = *state;
	struct msg_trust_add add = {.holder = rk_str("person:ada"),
	                            .address = rk_str("198.51.100.7")};
	struct world_key key;

	trust_key(w, "ada", &key);
	WORLD_OK(db_exec(w->k.store->db, "PRAGMA query_only = 1", &world_fault, "test"));
	assert_true(world_refusal(w, &w->a, MSG_TRUST_ADD, &add) < 0);
	assert_int_equal(trust_holder(w, "ada")->trusts, 0);
	assert_false(trust_holder(w, "ada")->settled);
	WORLD_OK(db_exec(w->k.store->db, "PRAGMA query_only = 0", &world_fault, "test"));
	world_run(w, &w->a, MSG_TRUST_ADD, &add);
	world_answer(&w->a, 0, MSG_TRUST_INFO);
}

static void addresses_are_listed_by_holder_key_state_and_pages(void **state)
{
	struct world *w = *state;
	struct msg_trust_list list = {.limit = 2};
	struct world_key ada, bob;

	trust_key(w, "ada", &ada);
	trust_key(w, "bob", &bob);
	assert_int_equal(trust_ask(w, "203.0.113.1", ada.text), REASON_OK);
	world_complete(w);
	assert_int_equal(trust_ask(w, "203.0.113.1", bob.text), REASON_OK);
	world_complete(w);
	assert_int_equal(trust_ask(w, "203.0.113.2", ada.text), REASON_IP_UNCONFIRMED);
	assert_int_equal(trust_ask(w, "203.0.113.3", ada.text), REASON_IP_UNCONFIRMED);
	WORLD_WAIT(w, trust_quiet(trust_holder(w, "ada")));
	world_run(w, &w->b, MSG_TRUST_LIST, &list);
	assert_int_equal(w->b.answers, 3);
	assert_int_equal(world_answer(&w->b, 2, MSG_DONE)->done.more, 1);
	list.after = rk_str("ip_2");
	world_run(w, &w->b, MSG_TRUST_LIST, &list);
	assert_int_equal(w->b.answers, 3);
	assert_int_equal(world_answer(&w->b, 2, MSG_DONE)->done.more, 0);
	list = (struct msg_trust_list){.holder = rk_str("person:ada"), .state = TRUST_PENDING};
	world_run(w, &w->b, MSG_TRUST_LIST, &list);
	assert_int_equal(w->b.answers, 3);
	list = (struct msg_trust_list){.key = rk_str(bob.id)};
	world_run(w, &w->b, MSG_TRUST_LIST, &list);
	assert_int_equal(w->b.answers, 2);
	list = (struct msg_trust_list){.state = TRUST_REMOVED};
	assert_int_equal(world_refusal(w, &w->b, MSG_TRUST_LIST, &list), RK_E_INVALID);
	list = (struct msg_trust_list){.after = rk_str("ip_99")};
	assert_int_equal(world_refusal(w, &w->b, MSG_TRUST_LIST, &list), RK_E_NOTFOUND);
}

/* ---- the link ---- */

/* Whoever has the link: no management key. */
static void become_nobody(struct world *w, const char *from)
{
	world_caller_init(&w->b, "nobody");
	w->b.caller.role = ROLE_NOBODY;
	assert_int_equal(rk_ip_parse(rk_str(from), (struct rk_ip *)w->b.caller.client_ip), 0);
}

static void the_link_shows_what_it_is_about_and_changes_nothing(void **state)
{
	struct world *w = *state;
	char code[TRUST_CODE + 1];
	struct msg_confirm m = {.code = rk_slice(code, TRUST_CODE)};
	const struct msg_trust_info *t;
	struct world_key key;

	make_pending(w, &key);
	trust_code(w, code);
	become_nobody(w, "192.0.2.50");
	for (int i = 0; i < 3; i++) {
		world_run(w, &w->b, MSG_TRUST_CONFIRM_GET, &m);
		t = &world_answer(&w->b, 0, MSG_TRUST_INFO)->trust_info;
		assert_int_equal(t->state, TRUST_PENDING);
		assert_true(rk_slice_is(t->address, "203.0.113.9"));
		assert_true(rk_slice_is(t->key_masked, key.masked));
		assert_true(rk_slice_is(t->holder, "ada"));
		assert_true(rk_slice_is(t->conn_name, "openai"));
	}
	assert_int_equal(trust_ask(w, "203.0.113.9", key.text), REASON_IP_UNCONFIRMED);
}

static void the_link_confirms_once(void **state)
{
	struct world *w = *state;
	char code[TRUST_CODE + 1];
	struct msg_confirm m = {.code = rk_slice(code, TRUST_CODE)};
	struct world_key key;

	make_pending(w, &key);
	trust_code(w, code);
	become_nobody(w, "192.0.2.50");
	world_run(w, &w->b, MSG_TRUST_CONFIRM, &m);
	assert_int_equal(world_answer(&w->b, 0, MSG_TRUST_INFO)->trust_info.state,
	                 TRUST_TRUSTED);
	assert_int_equal(world_answer(&w->b, 0, MSG_TRUST_INFO)->trust_info.how, TRUST_BY_LINK);
	assert_true(world_last_action(w, "ip.confirm"));
	assert_string_equal(world_last_row(w)->actor, "confirmation-link");
	assert_int_equal(trust_ask(w, "203.0.113.9", key.text), REASON_OK);
	world_complete(w);
	assert_int_equal(world_refusal(w, &w->b, MSG_TRUST_CONFIRM, &m), RK_E_NOTFOUND);
	assert_int_equal(world_refusal(w, &w->b, MSG_TRUST_CONFIRM_GET, &m), RK_E_NOTFOUND);
	assert_int_equal(
	    trust_count_sql(w, "SELECT count(*) FROM trusted_ip WHERE code_digest <> ''"), 0);
}

static void the_link_goes_with_the_address_that_it_was_mailed_to(void **state)
{
	struct world *w = *state;
	char code[TRUST_CODE + 1], next[TRUST_CODE + 1];
	struct msg_confirm m = {.code = rk_slice(code, TRUST_CODE)};
	struct world_key key;

	make_pending(w, &key);
	trust_code(w, code);
	trust_email(w, "person:ada", "ada@elsewhere.example");
	assert_int_equal(world_refusal(w, &w->a, MSG_TRUST_CONFIRM, &m), RK_E_NOTFOUND);
	/* the next attempt mails a new one to the new address */
	assert_int_equal(trust_ask(w, "203.0.113.9", key.text), REASON_IP_UNCONFIRMED);
	WORLD_WAIT(w, trust_quiet(trust_holder(w, "ada")));
	assert_int_equal(trust_mails(w), 2);
	trust_code(w, next);
	m.code = rk_slice(next, TRUST_CODE);
	world_run(w, &w->a, MSG_TRUST_CONFIRM, &m);
	world_answer(&w->a, 0, MSG_TRUST_INFO);
}

static void two_clicks_at_once_confirm_once(void **state)
{
	struct world *w = *state;
	char code[TRUST_CODE + 1];
	struct msg_confirm m = {.code = rk_slice(code, TRUST_CODE)};
	struct world_key key;
	unsigned rows = 0;

	make_pending(w, &key);
	trust_code(w, code);
	become_nobody(w, "192.0.2.50");
	world_hold_store(w);
	world_start(w, &w->a, MSG_TRUST_CONFIRM, &m);
	world_start(w, &w->b, MSG_TRUST_CONFIRM, &m);
	world_set(w, &w->hold_store, false);
	WORLD_WAIT(w, w->a.done && w->b.done);
	world_answer(&w->a, 0, MSG_TRUST_INFO);
	assert_int_equal(world_answer(&w->b, 0, MSG_DONE)->done.err, RK_E_NOTFOUND);
	for (unsigned i = 0; i < w->rows; i++)
		rows += strcmp(w->row[i].action, "ip.confirm") == 0;
	assert_int_equal(rows, 1);
}

static void wrong_codes_get_one_answer_and_are_counted_by_address(void **state)
{
	struct world *w = *state;
	char code[TRUST_CODE + 1], wrong[TRUST_CODE + 1], text[sizeof world_fault.text];
	struct msg_confirm m = {.code = rk_str("")};
	struct world_key key;

	make_pending(w, &key);
	trust_code(w, code);
	become_nobody(w, "192.0.2.50");
	assert_int_equal(world_refusal(w, &w->b, MSG_TRUST_CONFIRM, &m), RK_E_NOTFOUND);
	memcpy(text, world_fault.text, sizeof text);
	memcpy(wrong, code, sizeof wrong);
	wrong[TRUST_CODE - 1] = wrong[TRUST_CODE - 1] == 'a' ? 'b' : 'a';
	for (int i = 1; i < TRUST_WRONG_CODES; i++) {
		m.code = i % 2 ? rk_str(wrong) : rk_slice(code, TRUST_CODE - 1);
		assert_int_equal(
		    world_refusal(w, &w->b, i % 3 ? MSG_TRUST_CONFIRM : MSG_TRUST_CONFIRM_GET,
		                  &m),
		    RK_E_NOTFOUND);
		assert_string_equal(world_fault.text, text);
	}
	/* from there not even the right one is looked at now; from elsewhere it is */
	m.code = rk_str(code);
	assert_int_equal(world_refusal(w, &w->b, MSG_TRUST_CONFIRM, &m), RK_E_AGAIN);
	become_nobody(w, "192.0.2.51");
	world_run(w, &w->b, MSG_TRUST_CONFIRM, &m);
	world_answer(&w->b, 0, MSG_TRUST_INFO);
	world_turns(w);
	assert_int_equal(trust_ask(w, "203.0.113.9", key.text), REASON_OK);
	world_complete(w);
}

/* ---- who may ---- */

static void each_role_may_do_what_it_is_for(void **state)
{
	static const struct {
		enum ipc_type type;
		enum mgmt_role least;
		bool read;
	} table[] = {
	    {MSG_HOLDER_LIST, ROLE_AUDITOR, true},    {MSG_HOLDER_GET, ROLE_AUDITOR, true},
	    {MSG_TRUST_GET, ROLE_AUDITOR, true},      {MSG_TRUST_LIST, ROLE_AUDITOR, true},
	    {MSG_HOLDER_SET, ROLE_OPERATOR, false},   {MSG_HOLDER_REVOKE, ROLE_OPERATOR, false},
	    {MSG_TRUST_ADD, ROLE_OPERATOR, false},    {MSG_TRUST_APPROVE, ROLE_OPERATOR, false},
	    {MSG_TRUST_REMOVE, ROLE_OPERATOR, false},
	};
	static const enum mgmt_role refused[] = {ROLE_NOBODY, ROLE_PROVISIONER, ROLE_AUDITOR};
	struct world *w = *state;
	union ipc_body empty = {0};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		for (size_t r = 0; r < sizeof refused / sizeof refused[0]; r++) {
			if (refused[r] == ROLE_AUDITOR && table[i].read)
				continue;
			w->b.caller.role = refused[r];
			assert_int_equal(world_refusal(w, &w->b, table[i].type, &empty),
			                 refused[r] == ROLE_NOBODY ? RK_E_AUTH : RK_E_DENIED);
		}
		w->b.caller.role = table[i].least;
		world_run(w, &w->b, table[i].type, &empty);
		if (w->b.answer[0].type == MSG_DONE) {
			int64_t err = world_answer(&w->b, 0, MSG_DONE)->done.err;

			assert_true(err != RK_E_AUTH && err != RK_E_DENIED);
		}
	}
	w->b.caller.role = ROLE_NOBODY;
	assert_int_equal(world_refusal(w, &w->b, MSG_TRUST_CONFIRM, &empty), RK_E_NOTFOUND);
}

/* ---- keys ---- */

static uint32_t issued_flags(struct world *w, enum holder_kind kind, uint32_t flags,
                             const char *cidrs)
{
	struct sample_grants g = {.used = 0};
	struct sample_list prefixes;
	struct msg_key_issue issue = {.kind = (uint8_t)kind,
	                              .holder = rk_str("ada"),
	                              .flags = flags,
	                              .cidrs = sample_words(&prefixes, cidrs)};

	sample_grant(&g, "openai", "GET", "/**", "");
	issue.grants = sample_grants_slice(&g);
	world_run(w, &w->a, MSG_KEY_ISSUE, &issue);
	if (w->a.answer[0].type == MSG_DONE)
		return UINT32_MAX;
	return world_answer(&w->a, 0, MSG_KEY_INFO)->key_info.flags;
}

static void keys_of_people_are_for_trusted_addresses_unless_said_otherwise(void **state)
{
	struct world *w = *state;

	assert_int_equal(issued_flags(w, HOLDER_PERSON, 0, ""), KEY_TRUSTED_ONLY);
	assert_int_equal(issued_flags(w, HOLDER_VENDOR, 0, ""), KEY_TRUSTED_ONLY);
	assert_int_equal(issued_flags(w, HOLDER_APP, 0, ""), 0);
	assert_int_equal(issued_flags(w, HOLDER_AGENT, 0, ""), 0);
	assert_int_equal(issued_flags(w, HOLDER_AGENT, KEY_TRUSTED_ONLY, ""), KEY_TRUSTED_ONLY);
	assert_int_equal(issued_flags(w, HOLDER_PERSON, KEY_ANY_IP, ""), 0);
	assert_int_equal(issued_flags(w, HOLDER_PERSON, 0, "10.0.0.0/8"), 0);
	assert_int_equal(issued_flags(w, HOLDER_PERSON, KEY_TRUSTED_ONLY, "10.0.0.0/8"),
	                 KEY_TRUSTED_ONLY);
	assert_int_equal(issued_flags(w, HOLDER_PERSON, KEY_ANY_IP | KEY_TRUSTED_ONLY, ""),
	                 UINT32_MAX);
	assert_int_equal(issued_flags(w, HOLDER_PERSON, KEY_ANY_IP, "10.0.0.0/8"), UINT32_MAX);
	assert_int_equal(issued_flags(w, HOLDER_PERSON, 64, ""), UINT32_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, trust_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_holder_is_shown_with_its_keys_and_addresses),
	    TEST(an_email_is_checked_stored_and_taken_back),
	    TEST(revoking_a_holder_is_in_force_at_once_for_all_its_keys),
	    TEST(a_key_that_is_being_issued_goes_with_its_holder),
	    TEST(a_revocation_that_cannot_be_stored_says_so_and_is_tried_again),
	    TEST(holders_are_listed_by_kind_and_by_pages),
	    TEST(an_address_is_added_for_a_holder_and_lets_in),
	    TEST(not_every_text_is_an_address),
	    TEST(a_holder_has_so_many_addresses_and_not_one_more),
	    TEST(an_administrator_approves_what_is_pending),
	    TEST(removing_an_address_cuts_what_is_in_flight_from_it),
	    TEST(a_removal_that_cannot_be_stored_holds_and_is_tried_again),
	    TEST(an_addition_that_cannot_be_stored_leaves_nothing),
	    TEST(addresses_are_listed_by_holder_key_state_and_pages),
	    TEST(the_link_shows_what_it_is_about_and_changes_nothing),
	    TEST(the_link_confirms_once),
	    TEST(the_link_goes_with_the_address_that_it_was_mailed_to),
	    TEST(two_clicks_at_once_confirm_once),
	    TEST(wrong_codes_get_one_answer_and_are_counted_by_address),
	    TEST(each_role_may_do_what_it_is_for),
	    TEST(keys_of_people_are_for_trusted_addresses_unless_said_otherwise),
	};

	return cmocka_run_group_tests(tests, world_arena, NULL);
}

#include "keeper/alarm.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base62.h"
#include "base/clock.h"
#include "base/log.h"
#include "keeper/honey.h"
#include "keeper/keeper_int.h"
#include "keeper/notice.h"

enum { LOOK_AGAIN_S = 5 };

struct alarm {
	struct keeper *k;
	struct honey honey;
	struct event *timer;
};

static void raise(struct alarm *a, const struct index_key *key, const struct index_conn *conn,
                  const struct rk_ip *ip, struct rk_slice user_agent, uint32_t uses)
{
	char id[RELAY_KEY_ID + 5], masked[RELAY_KEY_MASKED], text[64];
	struct msg_notice n = {
	    .kind = NOTICE_HONEY_KEY,
	    .time_ms = rk_wall_ms(),
	    .key_id = rk_str(id),
	    .key_masked = rk_str(masked),
	    .holder_kind = key->kind,
	    .holder = rk_str(index_key_holder(key)),
	    .conn_id = rk_str(conn ? conn->id : NULL),
	    .conn_name = rk_str(conn ? conn->name : NULL),
	    .user_agent = user_agent,
	    .detail = rk_str(text),
	};
	int err;

	snprintf(id, sizeof id, "key_%.*s", RELAY_KEY_ID, key->id);
	relay_key_mask(key->kind, key->hint, masked);
	snprintf(text, sizeof text, "uses=%u", uses);
	memcpy(n.client_ip, ip->b, sizeof n.client_ip);
	rk_random(n.id, sizeof n.id);
	log_event(LOG_LEVEL_WARN, "honey-key-used", "key", "%s, %u times", id, uses);
	err = notice_raise(a->k, &n, rk_str(NULL));
	if (err)
		log_event(LOG_LEVEL_ERROR, "notice-lost", "kind", "honey key %s: %s", id,
		          rk_strerror(err));
}

static void arm(struct alarm *a)
{
	static const struct timeval wait = {LOOK_AGAIN_S, 0};

	if (honey_waits(&a->honey) && !evtimer_pending(a->timer, NULL))
		evtimer_add(a->timer, &wait);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct alarm *a = arg;
	struct rk_ip ip;
	const void *key;
	uint32_t uses;

	(void)fd;
	(void)what;
	while ((uses = honey_due(&a->honey, rk_wall_ms(), &key, &ip)))
		raise(a, key, NULL, &ip, rk_str(NULL), uses);
	arm(a);
}

bool alarm_honey(struct alarm *a, const struct index_key *key, const struct index_conn *conn,
                 const uint8_t client_ip[16], struct rk_slice user_agent)
{
	struct rk_ip ip;
	uint32_t uses;

	if (!a)
		return false;
	memcpy(ip.b, client_ip, sizeof ip.b);
	uses = honey_used(&a->honey, key, &ip, rk_wall_ms());
	if (uses)
		raise(a, key, conn, &ip, user_agent, uses);
	arm(a);
	return uses > 0;
}

int alarm_new(struct keeper *k, struct alarm **out)
{
	struct alarm *a = calloc(1, sizeof *a);

	if (!a)
		return RK_E_NOMEM;
	a->k = k;
	a->timer = evtimer_new(loop_base(k->loop), on_timer, a);
	if (!a->timer) {
		free(a);
		return RK_E_NOMEM;
	}
	*out = a;
	return 0;
}

void alarm_free(struct alarm *a)
{
	if (!a)
		return;
	event_free(a->timer);
	free(a);
}

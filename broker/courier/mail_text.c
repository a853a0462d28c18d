#include "courier/mail_text.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/ipaddr.h"
#include "ipc/notice_kind.h"
#include "policy/relay_key.h"

struct template
{
	const char *subject, *lead, *tail;
};

static const struct template templates[NOTICE_KINDS] = {
    [NOTICE_TEST] = {"RelayKey: test message",
                     "This is a test. Somebody who manages RelayKey asked for it, to see "
                     "whether mail arrives.",
                     "There is nothing to do."},
    [NOTICE_NEW_IP] = {"Confirm a new IP",
                       "RelayKey saw a request from a new IP for one of your keys. The call "
                       "was blocked until you confirm.",
                       "If this wasn't you, ignore this mail: the request was blocked."},
    [NOTICE_KEY_EXPIRING] = {"RelayKey: a key expires soon",
                             "A key ends at the time below. Requests with it are refused from "
                             "then on.",
                             "If it is still needed, have it extended or replaced before."},
    [NOTICE_HONEY_KEY] = {"RelayKey: a honey key was used",
                          "A key that nobody has a reason to use was presented. It was "
                          "refused, as it always is; whoever holds it found it where it was "
                          "planted.",
                          "Find out who can read the place where this key was planted."},
    [NOTICE_KEY_LEAKED] = {"RelayKey: a key was reported as leaked",
                           "A key was found where it does not belong, and reported. If it was "
                           "a live one it is revoked now; the real credential behind it was "
                           "not touched.",
                           "Issue a new key to its holder, and see in the audit log what the "
                           "leaked one was used for."},
    [NOTICE_TOKEN_LOST] = {"RelayKey: the token is not available",
                           "The PKCS#11 token does not answer. Requests are refused with 503 "
                           "until it is back; the broker keeps trying by itself.",
                           "See whether the token or HSM is reachable and logged in."},
    [NOTICE_TOKEN_BACK] = {"RelayKey: the token is back",
                           "The PKCS#11 token answers again, and requests are served.",
                           "There is nothing to do."},
    [NOTICE_PANIC] = {"RelayKey: the panic switch was used",
                      "Somebody stopped all traffic through the broker, or let it go on. The "
                      "facts below say which.",
                      "The audit log has the rest."},
    [NOTICE_BUDGET] = {"RelayKey: a budget is running out",
                       "A budget has reached the mark below.",
                       "Requests over the budget are refused."},
    [NOTICE_COLLECTOR] = {"RelayKey: a log collector is away or back",
                          "The state of a syslog target has changed. Nothing is lost "
                          "meanwhile: what it missed is sent when it is back.",
                          "See whether the collector is reachable."},
};

static void clean(char *text)
{
	for (; *text; text++) {
		if (*text < 0x20 || *text > 0x7e)
			*text = '?';
	}
}

static void fact(struct mail_text *t, const char *name, struct rk_slice value)
{
	if (!value.n || t->facts == MAIL_FACTS)
		return;
	t->fact[t->facts].name = name;
	snprintf(t->fact[t->facts].value, MAIL_FACT_MAX, "%.*s", RK_FMT(value));
	clean(t->fact[t->facts].value);
	t->facts++;
}

static void fact_time(struct mail_text *t, const char *name, int64_t ms)
{
	char text[RK_TIME_TEXT];

	if (!ms)
		return;
	rk_time_format(ms, text);
	fact(t, name, rk_str(text));
}

static void fact_ip(struct mail_text *t, const uint8_t b[16])
{
	static const uint8_t none[16];
	char text[RK_IP_TEXT];
	struct rk_ip ip;

	if (memcmp(b, none, sizeof none) == 0)
		return;
	memcpy(ip.b, b, sizeof ip.b);
	rk_ip_format(&ip, text);
	fact(t, "IP", rk_str(text));
}

static void fact_holder(struct mail_text *t, const struct msg_notice *n)
{
	char text[2 * MSG_MAX_NAME];

	if (!n->holder.n)
		return;
	if (rk_slice_starts(n->key_id, rk_str("mkey_"))) {
		fact(t, "Name", n->holder);
		return;
	}
	snprintf(text, sizeof text, "%s:%.*s",
	         holder_kind_name((enum holder_kind)n->holder_kind), RK_FMT(n->holder));
	fact(t, "Holder", rk_str(text));
}

/* The link's code is of the caller's making, so it is not taken on trust either. */
static void link_to(struct mail_text *t, const struct msg_notice *n, struct rk_slice public_url)
{
	if (n->kind != NOTICE_NEW_IP || !n->code.n || !public_url.n)
		return;
	if (public_url.n + n->code.n + sizeof "/confirm/" > sizeof t->link)
		return;
	snprintf(t->link, sizeof t->link, "%.*s/confirm/%.*s", RK_FMT(public_url),
	         RK_FMT(n->code));
	clean(t->link);
	t->link_label = "Confirm this IP";
}

void mail_text_fill(const struct msg_notice *n, struct rk_slice public_url,
                    struct mail_text *out)
{
	const struct template *t =
	    &templates[n->kind < NOTICE_KINDS && n->kind ? n->kind : NOTICE_TEST];
	struct rk_slice key = n->key_masked.n ? n->key_masked : n->key_id;

	*out = (struct mail_text){.lead = t->lead, .tail = t->tail};
	if (key.n)
		snprintf(out->subject, sizeof out->subject, "%s: %.*s", t->subject,
		         RK_FMT(key));
	else
		snprintf(out->subject, sizeof out->subject, "%s", t->subject);
	clean(out->subject);
	fact_ip(out, n->client_ip);
	fact(out, "Client", n->user_agent);
	fact(out, "Integration", n->conn_name.n ? n->conn_name : n->conn_id);
	fact(out, "Key", key);
	fact_holder(out, n);
	fact(out, "By", n->actor);
	fact(out, "Detail", n->detail);
	fact_time(out, "Time", n->time_ms);
	fact_time(out, n->kind == NOTICE_NEW_IP ? "Link valid until" : "Ends", n->until_ms);
	link_to(out, n, public_url);
}

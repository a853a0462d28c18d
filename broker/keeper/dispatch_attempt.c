#include "keeper/dispatch_int.h"

#include <stdio.h>

#include "base/base62.h"
#include "base/clock.h"
#include "base/log.h"
#include "keeper/settings.h"
#include "policy/retry.h"

static struct lane_rest *rest_of(struct dispatch *d, const struct flight *f)
{
	struct hook *h;

	if (f->kind == OUTBOX_MAIL)
		return &d->mail_rest;
	h = hooks_find(d->k->hooks, rk_str(f->target));
	return h ? &h->rest : NULL;
}

/* The lane's target fails: nobody else needs to find that out by itself right now. */
static void rest(struct lane_rest *r, bool failed, int64_t now_ms)
{
	int64_t ms = REST_FIRST_MS;

	if (!r)
		return;
	if (!failed) {
		*r = (struct lane_rest){0};
		return;
	}
	for (unsigned i = 0; i < r->failures && ms < REST_LONGEST_MS; i++)
		ms *= 2;
	r->failures++;
	r->until_ms = now_ms + (ms < REST_LONGEST_MS ? ms : REST_LONGEST_MS);
}

/* What must not outlive the mail: the code of a confirmation link. */
static void forget_code(struct flight *f)
{
	struct msg_notice n;
	ssize_t size;

	if (record_decode(&msg_notice_desc, rk_slice(f->notice, f->notice_n), &n) || !n.code.n)
		return;
	n.code = rk_str(NULL);
	size = record_encode(&msg_notice_desc, &n, f->kept, sizeof f->kept);
	if (size > 0)
		f->result.notice = rk_slice(f->kept, (size_t)size);
}

static void set_error(struct flight *f, struct rk_slice text)
{
	snprintf(f->error, sizeof f->error, "%.*s", RK_FMT(text));
	for (char *c = f->error; *c; c++) {
		if (*c < 0x20 || *c > 0x7e)
			*c = '?';
	}
	f->result.error = rk_str(f->error);
}

/* A mail whose link is over helps nobody. */
static bool is_too_late(const struct flight *f, int64_t now_ms)
{
	struct msg_notice n;

	return f->kind == OUTBOX_MAIL &&
	       record_decode(&msg_notice_desc, rk_slice(f->notice, f->notice_n), &n) == 0 &&
	       n.kind == NOTICE_NEW_IP && n.until_ms && n.until_ms <= now_ms;
}

void dispatch_ended(struct dispatch *d, struct flight *f, const struct msg_delivered *m)
{
	struct outbox_result *r = &f->result;
	int64_t now_ms = rk_wall_ms();
	uint32_t random;

	rk_random(&random, sizeof random);
	f->st = FLIGHT_ENDED;
	r->attempts++;
	r->status = m->status;
	r->next_ms = 0;
	r->done_ms = now_ms;
	set_error(f, m->text);
	if (m->result == DELIVER_OK) {
		r->state = OUTBOX_SENT;
		forget_code(f);
	} else if (m->result == DELIVER_LASTING || is_too_late(f, now_ms) ||
	           retry_is_over(r->attempts, m->result == DELIVER_REFUSED)) {
		r->state = OUTBOX_FAILED;
		log_event(LOG_LEVEL_WARN, "delivery-failed", "why", "%s %s: %s",
		          f->kind == OUTBOX_MAIL ? "mail" : "webhook", f->target, f->error);
	} else {
		r->state = OUTBOX_WAITING;
		r->done_ms = 0;
		r->next_ms = now_ms + retry_delay_ms(r->attempts, random, m->retry_after_s);
	}
	/* who answers is there; of a mail server that has no time for one mail the next may
	 * have more luck, a webhook's next one has the same receiver */
	if (m->result == DELIVER_OK || m->result == DELIVER_AGAIN)
		rest(rest_of(d, f),
		     m->result == DELIVER_AGAIN && (f->kind == OUTBOX_WEBHOOK || !m->status),
		     now_ms);
}

void dispatch_not_sent(struct dispatch *d, struct flight *f, const char *why)
{
	const struct msg_delivered m = {.result = DELIVER_AGAIN, .text = rk_str(why)};

	dispatch_ended(d, f, &m);
}

/* NULL, or why it cannot be sent as things are. */
static const char *fill_mail(struct dispatch *d, const struct flight *f, struct msg_deliver *m)
{
	const struct settings *s = keeper_settings(d->k);

	if (!s->smtp_host.n)
		return "no mail server is set (smtp_host)";
	m->target = s->smtp_host;
	m->port = s->smtp_port;
	m->tls = s->smtp_tls;
	m->allow_private = 1;
	m->ca_pem = s->smtp_ca;
	m->user = s->smtp_user;
	m->secret = keeper_smtp_password(d->k);
	m->mail_from = s->mail_from;
	m->mail_to = rk_str(f->target);
	m->public_url = s->public_url;
	return m->user.n && !m->secret.n ? "the token does not open the mail server's password"
	                                 : NULL;
}

static const char *fill_hook(struct dispatch *d, const struct flight *f, struct msg_deliver *m)
{
	const struct hook *h = hooks_find(d->k->hooks, rk_str(f->target));

	if (!h)
		return "the webhook was removed";
	if (!h->secret.len)
		return "the token does not open the webhook's signing secret";
	m->target = rk_str(h->url);
	m->allow_private = (h->flags & HOOK_ALLOW_PRIVATE) != 0;
	m->ca_pem = h->ca_pem;
	m->secret = rk_secret_slice(&h->secret);
	return NULL;
}

void dispatch_hand_out(struct dispatch *d, struct flight *f)
{
	struct msg_deliver m = {
	    .kind = f->kind,
	    .delivery = (uint64_t)f->n,
	    .notice = rk_slice(f->notice, f->notice_n),
	};
	const char *why = f->kind == OUTBOX_MAIL ? fill_mail(d, f, &m) : fill_hook(d, f, &m);

	f->attempt = ++d->last_attempt;
	f->st = FLIGHT_OUT;
	if (why)
		dispatch_not_sent(d, f, why);
	else if (!d->courier || ipc_peer_send(d->courier, MSG_DELIVER, f->attempt, &m))
		dispatch_not_sent(d, f, "the courier is not there");
}

#include "cli/render_courier.h"

#include "base/base62.h"
#include "ipc/notice_kind.h"

static json_t *optional(struct rk_slice s)
{
	return s.n ? render_text(s) : json_null();
}

const char *render_smtp_tls(unsigned tls)
{
	switch ((enum smtp_tls)tls) {
	case SMTP_TLS_NONE:
		return "none";
	case SMTP_TLS_STARTTLS:
		return "starttls";
	case SMTP_TLS_FULL:
		return "tls";
	}
	return "unknown";
}

/* The identifiers: the keys themselves are long and public. */
static json_t *leak_key_ids(struct rk_slice list)
{
	json_t *array = json_array();
	struct rk_slice item;

	while (record_list_next(&list, &item)) {
		const char *end = item.n ? memchr(item.p, '\n', item.n) : NULL;

		json_array_append_new(
		    array, render_text(rk_slice(item.p, end ? (size_t)(end - item.p) : 0)));
	}
	return array;
}

json_t *render_settings(const struct msg_settings *s)
{
	return json_pack(
	    "{s:o, s:o, s:i, s:s, s:o, s:b, s:b, s:o, s:o, s:b, s:o, s:i, s:I, s:o, s:o, s:i}",
	    "public_url", optional(s->public_url), "smtp_host", optional(s->smtp_host),
	    "smtp_port", (int)s->smtp_port, "smtp_tls", render_smtp_tls(s->smtp_tls),
	    "smtp_user", optional(s->smtp_user), "smtp_password", s->smtp_password, "smtp_ca",
	    s->smtp_ca.n > 0, "mail_from", optional(s->mail_from), "alert_mail",
	    render_list(s->alert_mail), "trust_first_ip", s->trust_first_ip, "trust_presets",
	    render_list(s->trust_presets), "mails_per_key_day", (int)s->mails_per_key_day,
	    "confirm_ttl_seconds", (json_int_t)(s->confirm_ttl_ms / 1000), "leak_keys",
	    leak_key_ids(s->leak_keys), "updated_at", render_time(s->updated_ms), "revision",
	    (int)s->revision);
}

static json_t *events(uint32_t mask)
{
	json_t *array = json_array();

	for (unsigned i = 1; i < NOTICE_KINDS; i++) {
		if (mask & NOTICE_BIT(i))
			json_array_append_new(array, json_string(notice_kind_name(i)));
	}
	return array;
}

json_t *render_hook(const struct msg_hook_info *h)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:b, s:b, s:b, s:o, s:o, s:i}", "id",
	                 render_text(h->id), "name", render_text(h->name), "url",
	                 render_text(h->url), "events", events(h->events), "allow_private",
	                 (h->flags & HOOK_ALLOW_PRIVATE) != 0, "private_ca", h->private_ca,
	                 "enabled", h->enabled, "created_at", render_time(h->created_ms),
	                 "updated_at", render_time(h->updated_ms), "revision",
	                 (int)h->revision);
}

static const char *state_name(unsigned state)
{
	switch ((enum delivery_state)state) {
	case DELIVERY_WAITING:
		return "waiting";
	case DELIVERY_SENT:
		return "sent";
	case DELIVERY_FAILED:
		return "failed";
	}
	return "unknown";
}

json_t *render_delivery(const struct msg_delivery_info *d)
{
	char id[4 + 33] = "evt_";

	rk_hex(d->notice_id, sizeof d->notice_id, id + 4);
	return json_pack(
	    "{s:o, s:s, s:o, s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:o}", "id",
	    render_text(d->id), "kind", d->kind == DELIVERY_MAIL ? "mail" : "webhook", "target",
	    render_text(d->target), "event", notice_kind_name(d->event), "event_id", id,
	    "state", state_name(d->state), "attempts", (int)d->attempts, "status",
	    d->status ? json_integer(d->status) : json_null(), "error", optional(d->error),
	    "created_at", render_time(d->created_ms), "next_attempt_at",
	    render_time(d->next_ms), "done_at", render_time(d->done_ms));
}

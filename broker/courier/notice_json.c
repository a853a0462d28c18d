#include "courier/notice_json.h"

#include "base/base62.h"
#include "base/clock.h"
#include "base/ipaddr.h"
#include "ipc/notice_kind.h"
#include "policy/relay_key.h"

/* One document under construction; the first error stays. */
struct json {
	struct rk_buf *out;
	bool some; /* a member came before */
	int err;
};

static void put(struct json *j, struct rk_slice s)
{
	if (!j->err)
		j->err = rk_buf_add_slice(j->out, s);
}

/* Texts come from all over the world (a client's user agent): what is not ASCII is a '?'. */
static void put_text(struct json *j, struct rk_slice s)
{
	put(j, rk_str("\""));
	for (size_t i = 0; i < s.n && !j->err; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c == '\\')
			j->err = rk_buf_printf(j->out, "\\%c", c);
		else if (c < 0x20)
			j->err = rk_buf_printf(j->out, "\\u%04x", c);
		else
			j->err = rk_buf_printf(j->out, "%c", c < 0x7f ? c : '?');
	}
	put(j, rk_str("\""));
}

static void member(struct json *j, const char *name, struct rk_slice value)
{
	if (!value.n)
		return;
	if (j->some)
		put(j, rk_str(","));
	j->some = true;
	put_text(j, rk_str(name));
	put(j, rk_str(":"));
	put_text(j, value);
}

static void member_time(struct json *j, const char *name, int64_t ms)
{
	char text[RK_TIME_TEXT];

	if (!ms)
		return;
	rk_time_format(ms, text);
	member(j, name, rk_str(text));
}

static void member_ip(struct json *j, const char *name, const uint8_t b[16])
{
	static const uint8_t none[16];
	char text[RK_IP_TEXT];
	struct rk_ip ip;

	if (memcmp(b, none, sizeof none) == 0)
		return;
	memcpy(ip.b, b, sizeof ip.b);
	rk_ip_format(&ip, text);
	member(j, name, rk_str(text));
}

static void data(struct json *j, const struct msg_notice *n)
{
	member(j, "key_id", n->key_id);
	member(j, "key", n->key_masked);
	if (n->holder.n) {
		/* of a management key it is its name */
		if (rk_slice_starts(n->key_id, rk_str("mkey_")))
			member(j, "name", n->holder);
		else {
			member(j, "holder_kind",
			       rk_str(holder_kind_name((enum holder_kind)n->holder_kind)));
			member(j, "holder", n->holder);
		}
	}
	member(j, "connection_id", n->conn_id);
	member(j, "connection", n->conn_name);
	member_ip(j, "client_ip", n->client_ip);
	member(j, "user_agent", n->user_agent);
	member(j, "actor", n->actor);
	member_time(j, "expires_at", n->until_ms);
	member(j, "detail", n->detail);
}

const char *notice_id_text(const struct msg_notice *n, char out[NOTICE_ID_TEXT])
{
	memcpy(out, "evt_", 4);
	rk_hex(n->id, sizeof n->id, out + 4);
	return out;
}

int notice_json(const struct msg_notice *n, struct rk_buf *out)
{
	struct json j = {.out = out};
	char id[NOTICE_ID_TEXT];

	put(&j, rk_str("{"));
	member(&j, "id", rk_str(notice_id_text(n, id)));
	member(&j, "type", rk_str(notice_kind_name(n->kind)));
	member_time(&j, "created_at", n->time_ms ? n->time_ms : 1);
	put(&j, rk_str(",\"data\":{"));
	j.some = false;
	data(&j, n);
	put(&j, rk_str("}}"));
	return j.err;
}

/*
 * Mails and the bodies of webhooks, of any notice that decodes: a mail's head ends where it
 * should, no line is too long, each CR has its LF, all is ASCII; a body is one JSON text
 * without a control byte.
 */
#include "tests/fuzz/fuzz.h"

#include "courier/mail.h"
#include "courier/notice_json.h"
#include "ipc/catalogue.h"

enum { HEAD_FIELDS = 9, BODY_MAX = 16384 };

static void check_mail(struct rk_slice mail)
{
	unsigned fields = 0, column = 0;
	bool in_head = true;

	for (size_t i = 0; i < mail.n; i++) {
		unsigned char c = (unsigned char)mail.p[i];

		REQUIRE((c >= 0x20 && c < 0x7f) || c == '\r' || c == '\n');
		REQUIRE(c != '\r' || (i + 1 < mail.n && mail.p[i + 1] == '\n'));
		REQUIRE(c != '\n' || (i && mail.p[i - 1] == '\r'));
		if (c != '\n') {
			REQUIRE(++column <= 999);
			continue;
		}
		if (in_head && column == 1)
			in_head = false;
		fields += in_head;
		column = 0;
	}
	REQUIRE(!in_head && fields == HEAD_FIELDS);
}

/* Braces and quotes close; nothing else is known of it here. */
static void check_json(struct rk_slice text)
{
	int depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		REQUIRE(c >= 0x20 && c < 0x7f);
		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted)
			depth += (c == '{') - (c == '}');
		REQUIRE(depth > 0 || i + 1 == text.n);
	}
	REQUIRE(!quoted && depth == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msg_notice n;
	struct mail_params p = {
	    .from = rk_str("relaykey@example.com"),
	    .to = rk_str("alice@example.com"),
	    .public_url = rk_str("https://console.example.com"),
	    .notice = &n,
	};
	struct rk_buf out;

	if (record_decode(&msg_notice_desc, rk_slice(data, size), &n))
		return 0;
	/* years of four digits, as all that the broker stores */
	n.time_ms = (int64_t)((uint64_t)n.time_ms % 4102444800000u);
	n.until_ms = (int64_t)((uint64_t)n.until_ms % 4102444800000u);
	rk_buf_init(&out, MAIL_MAX);
	REQUIRE(mail_write(&p, &out) == 0);
	check_mail(rk_buf_slice(&out));
	rk_buf_free(&out);
	rk_buf_init(&out, BODY_MAX);
	REQUIRE(notice_json(&n, &out) == 0);
	check_json(rk_buf_slice(&out));
	rk_buf_free(&out);
	return 0;
}

/*
 * An e-mail address: nothing that is taken can stand for more than one mailbox, or for anything
 * but itself in a mail's header or an SMTP command.
 */
#include "tests/fuzz/fuzz.h"

#include "policy/email.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_slice in = rk_slice(data, size);
	unsigned at = 0;

	if (!email_is(in))
		return 0;
	REQUIRE(in.n >= 3 && in.n <= EMAIL_MAX);
	for (size_t i = 0; i < in.n; i++) {
		REQUIRE(in.p[i] > ' ' && in.p[i] < 0x7f);
		REQUIRE(!strchr("<>()[]\\,;:\"", in.p[i]));
		at += in.p[i] == '@';
	}
	REQUIRE(at == 1);
	REQUIRE(in.p[0] != '.' && in.p[in.n - 1] != '.');
	return 0;
}

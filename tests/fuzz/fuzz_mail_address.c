/*
 * Mail addresses: what passes can stand in a mail's head and in an SMTP command as it is, and
 * its domain greets a mail server.
 */
#include "tests/fuzz/fuzz.h"

#include "policy/mail_address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_slice text = rk_slice(data, size), domain;
	struct rk_fault fault = {""};
	unsigned at = 0;

	if (mail_address_check(text, &fault)) {
		REQUIRE(fault.text[0]);
		return 0;
	}
	REQUIRE(size <= MAIL_ADDRESS_MAX);
	for (size_t i = 0; i < size; i++) {
		REQUIRE(data[i] > 0x20 && data[i] < 0x7f);
		REQUIRE(!memchr("<>()[],;:\\\"", data[i], 11));
		at += data[i] == '@';
	}
	REQUIRE(at == 1);
	domain = mail_address_domain(text);
	REQUIRE(domain.n && domain.n < size && domain.p + domain.n == text.p + text.n);
	REQUIRE(!memmem(text.p, text.n, "..", 2));
	return 0;
}

/*
 * The text of an egress proxy: its canonical form parses to the same again, nothing but a host
 * and a port is taken from it, and a refusal does not repeat it.
 */
#include "tests/fuzz/fuzz.h"

#include "base/egress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[EGRESS_TEXT], again_text[EGRESS_TEXT];
	struct egress e = {.port = 7}, again;
	struct rk_fault fault = {""};
	struct rk_slice in = rk_slice(data, size);
	int err = egress_parse(in, &e, &fault);

	if (err) {
		REQUIRE(err == RK_E_INVALID && e.port == 7 && fault.text[0]);
		return 0;
	}
	egress_format(&e, text);
	REQUIRE(strlen(text) < sizeof text);
	REQUIRE(egress_parse(rk_str(text), &again, &fault) == 0);
	REQUIRE(again.kind == e.kind && again.port == e.port);
	REQUIRE(strcmp(again.host, e.host) == 0);
	REQUIRE(strcmp(egress_format(&again, again_text), text) == 0);
	REQUIRE((e.kind == EGRESS_PROXY) == (e.host[0] && e.port));
	for (const char *c = e.host; *c; c++)
		REQUIRE(*c > ' ' && *c < 0x7f && !strchr("/@?#[]%\\", *c));
	return 0;
}

#include "http/proxy_v2.h"

enum {
	SIGNATURE_BYTES = 12,
	COMMAND_LOCAL = 0,
	COMMAND_PROXY = 1,
	FAMILY_TCP4 = 0x11,
	FAMILY_TCP6 = 0x21,
	FAMILY_LAST = 0x3,   /* AF_UNIX */
	PROTOCOL_LAST = 0x2, /* DGRAM */
	TLV_START = 3,
};

static const unsigned char signature[SIGNATURE_BYTES] = "\r\n\r\n\0\r\nQUIT\n";

static size_t u16_at(const unsigned char *p)
{
	return (size_t)p[0] << 8 | p[1];
}

/* The fixed part, as far as it is here: what is wrong already is not waited for. */
static int check_start(const unsigned char *p, size_t n)
{
	size_t same = n < SIGNATURE_BYTES ? n : SIGNATURE_BYTES;

	if (n && memcmp(p, signature, same) != 0)
		return PROXY_V2_E_SIGNATURE;
	if (n > SIGNATURE_BYTES && p[12] >> 4 != 2)
		return PROXY_V2_E_VERSION;
	if (n > SIGNATURE_BYTES && (p[12] & 15) > COMMAND_PROXY)
		return PROXY_V2_E_COMMAND;
	if (n > 13 && (p[13] >> 4 > FAMILY_LAST || (p[13] & 15) > PROTOCOL_LAST))
		return PROXY_V2_E_FAMILY;
	if (n > 13 && (p[12] & 15) == COMMAND_PROXY && p[13] != FAMILY_TCP4 &&
	    p[13] != FAMILY_TCP6)
		return PROXY_V2_E_FAMILY;
	if (n >= PROXY_V2_START && u16_at(p + 14) > PROXY_V2_MAX - PROXY_V2_START)
		return PROXY_V2_E_LENGTH;
	return 0;
}

static bool tlvs_fit(const unsigned char *p, size_t n)
{
	while (n) {
		size_t value;

		if (n < TLV_START)
			return false;
		value = u16_at(p + 1);
		if (value > n - TLV_START)
			return false;
		p += TLV_START + value;
		n -= TLV_START + value;
	}
	return true;
}

/* Source address, destination address, source port, destination port, TLVs. */
static int read_addresses(const unsigned char *p, size_t n, size_t addr, struct proxy_v2 *out)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct proxy_v2 got = {.local = false};

	if (n < 2 * addr + 4)
		return PROXY_V2_E_LENGTH;
	if (!tlvs_fit(p + 2 * addr + 4, n - 2 * addr - 4))
		return PROXY_V2_E_TLV;
	if (addr == 4)
		memcpy(got.ip.b, mapped, sizeof mapped);
	memcpy(got.ip.b + sizeof got.ip.b - addr, p, addr);
	got.port = (uint16_t)u16_at(p + 2 * addr);
	*out = got;
	return 0;
}

int proxy_v2_parse(struct rk_slice in, struct proxy_v2 *out)
{
	const unsigned char *p = (const unsigned char *)in.p;
	int err = check_start(p, in.n);
	size_t n;

	if (err)
		return err;
	if (in.n < PROXY_V2_START)
		return 0;
	n = u16_at(p + 14);
	if (in.n - PROXY_V2_START < n)
		return 0;
	if ((p[12] & 15) == COMMAND_LOCAL)
		*out = (struct proxy_v2){.local = true};
	else
		err = read_addresses(p + PROXY_V2_START, n, p[13] == FAMILY_TCP4 ? 4 : 16, out);
	return err ? err : (int)(PROXY_V2_START + n);
}

size_t proxy_v2_missing(struct rk_slice in)
{
	size_t whole;

	if (in.n < PROXY_V2_START)
		return PROXY_V2_START - in.n;
	whole = PROXY_V2_START + u16_at((const unsigned char *)in.p + 14);
	return in.n < whole ? whole - in.n : 0;
}

const char *proxy_v2_err_code(int err)
{
	static const char *const codes[] = {
	    [-PROXY_V2_E_SIGNATURE] = "no_proxy_header",
	    [-PROXY_V2_E_VERSION] = "bad_proxy_version",
	    [-PROXY_V2_E_COMMAND] = "bad_proxy_command",
	    [-PROXY_V2_E_FAMILY] = "bad_proxy_family",
	    [-PROXY_V2_E_LENGTH] = "bad_proxy_length",
	    [-PROXY_V2_E_TLV] = "bad_proxy_tlv",
	};

	return err < 0 && err >= PROXY_V2_E_TLV ? codes[-err] : "bad_proxy_header";
}

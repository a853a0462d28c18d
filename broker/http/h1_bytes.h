/*
 * What the files of the HTTP/1.1 parser share: byte classes and the few checks that heads,
 * trailers and targets have in common. Private to broker/http.
 */
#ifndef HTTP_H1_BYTES_H
#define HTTP_H1_BYTES_H

#include "http/h1.h"

enum h1_byte {
	H1_B_VISIBLE = 1, /* 0x21..0x7e */
	H1_B_BLANK = 2,   /* space, tab */
	H1_B_HIGH = 4,    /* 0x80..0xff */
	H1_B_DIGIT = 8,
	H1_B_HOST = 16, /* letter, digit, '-', '_', '.': what a host name is made of here */
	H1_B_TEXT = H1_B_VISIBLE | H1_B_BLANK,
};

extern const uint8_t h1_byte_class[256];

/* A byte of a token in lower case with '_' as '-'; 0 for a byte that no token holds. */
extern const uint8_t h1_name_byte[256];

/* The value of a hexadecimal digit, or -1. */
extern const int8_t h1_hex_value[256];

static inline bool h1_is(char c, unsigned classes)
{
	return (h1_byte_class[(unsigned char)c] & classes) != 0;
}

static inline uint8_t h1_name_at(const char *p)
{
	return h1_name_byte[(unsigned char)*p];
}

static inline int h1_hex(char c)
{
	return h1_hex_value[(unsigned char)c];
}

/*
 * As h1_hdr_id(); *twin tells that the name is a known one but for an underscore in the place
 * of a hyphen, which some servers read as the hyphen. *spelt is what it would then be.
 */
enum h1_hdr h1_hdr_lookup(struct rk_slice name, enum h1_hdr *spelt);

/* host, IPv4 or [IPv6], with an optional port 1..65535; no user, no path, nothing escaped. */
bool h1_host_is_valid(struct rk_slice host);

/* Begins like a relay or management key ("rk_app_..."): see policy/relay_key.h. */
bool h1_value_is_relay_key(struct rk_slice value);

#endif

/*
 * HTTP/1.1 message heads and chunked framing (RFC 9110, RFC 9112). Pure: no
 * descriptor, no loop, no clock, no allocation, no log. One strict implementation
 * serves the relay (client side and upstream side) and the console.
 *
 * Stricter than the RFC on purpose: whatever two implementations could read in two
 * ways is an error here (see enum h1_err). Framing is never copied from what was
 * parsed: who writes a message makes its own Content-Length or Transfer-Encoding.
 *
 * Parser contract: > 0 bytes consumed, 0 more input needed (call again with the same
 * bytes and more behind them), < 0 enum h1_err. Slices borrow the input buffer.
 */
#ifndef HTTP_H1_H
#define HTTP_H1_H

#include "base/slice.h"

enum h1_err {
	H1_E_METHOD = -1,       /* not a token, too long, or CONNECT / TRACE */
	H1_E_TARGET = -2,       /* not origin-form (or absolute-form); bad bytes */
	H1_E_VERSION = -3,      /* not HTTP/1.0 or HTTP/1.1 */
	H1_E_LINE_END = -4,     /* bare CR or LF, or obs-fold */
	H1_E_HEADER_NAME = -5,  /* empty, not a token, space before colon; "content_length" */
	H1_E_HEADER_VALUE = -6, /* control byte, DEL or byte >= 0x80 in a value */
	H1_E_TOO_MANY = -7,     /* more fields than the limit (431) */
	H1_E_TOO_LARGE = -8,    /* head over the limit (431) */
	H1_E_HOST = -9, /* missing (1.1), repeated, malformed, or not the target's authority */
	H1_E_LENGTH = -10,  /* Content-Length not one plain number to INT64_MAX */
	H1_E_FRAMING = -11, /* Transfer-Encoding not one "chunked", with a length, or on 1.0 */
	H1_E_STATUS = -12,  /* status line malformed, code outside 100..599 */
	H1_E_CONNECTION = -13, /* names Host, framing or a credential; too long */
	H1_E_EXPECT = -14,     /* Expect other than 100-continue (417) */
	H1_E_CHUNK = -15,      /* chunk size, extension or terminator malformed */
	H1_E_TRAILER = -16,    /* trailer malformed or over the limit */
};

/* Stable short code for the audit log and the refusal body, e.g. "bad_header_name". */
const char *h1_err_code(int err);

/* Headers the proxy itself has to know; everything else is H1_HDR_OTHER. */
enum h1_hdr {
	H1_HDR_OTHER,
	H1_HDR_HOST,
	H1_HDR_CONNECTION,
	H1_HDR_CONTENT_LENGTH,
	H1_HDR_TRANSFER_ENCODING,
	H1_HDR_TE,
	H1_HDR_TRAILER,
	H1_HDR_UPGRADE,
	H1_HDR_KEEP_ALIVE,
	H1_HDR_PROXY_CONNECTION,
	H1_HDR_EXPECT,
	H1_HDR_AUTHORIZATION,
	H1_HDR_PROXY_AUTHORIZATION,
	H1_HDR_COOKIE,
	H1_HDR_SET_COOKIE,
	H1_HDR_USER_AGENT,
	H1_HDR_CONTENT_TYPE,
	H1_HDR_DATE,
	H1_HDR_SERVER,
	H1_HDR_FORWARDED, /* Forwarded, X-Forwarded-*, X-Real-IP, Via */
	/*
	 * Every other header an SDK puts its key in: see http/credential.h. In a request also
	 * any unknown header whose value begins like a relay key, so that no copy of one
	 * travels on.
	 */
	H1_HDR_CREDENTIAL,
	H1_HDR_RELAYKEY, /* X-RelayKey and any other x-relaykey-* */
	/*
	 * X-HTTP-Method-Override, X-Original-URL and their like: an upstream that obeys them
	 * acts on another method or path than the one policy saw.
	 */
	H1_HDR_OVERRIDE,
	/* Sec-WebSocket-Protocol: browsers put a key among its items. */
	H1_HDR_WS_PROTOCOL,
};

/*
 * The id of a field name, case-insensitively. Underscores count as hyphens for the fields that
 * the proxy removes (credentials, forwarding, overrides); an underscore spelling of any other
 * known name is H1_HDR_OTHER.
 */
enum h1_hdr h1_hdr_id(struct rk_slice name);

/* True for the hop-by-hop fields of RFC 9110 7.6.1 (by id). */
bool h1_hdr_is_hop(enum h1_hdr id);

struct h1_field {
	struct rk_slice name;
	struct rk_slice value; /* without surrounding white space */
	enum h1_hdr id;
	bool hop; /* hop-by-hop: by id, or named in Connection */
};

enum { H1_MAX_FIELDS = 100, H1_MAX_HEAD = 32768, H1_MAX_METHOD = 24 };

enum h1_body {
	H1_BODY_NONE,
	H1_BODY_LENGTH,
	H1_BODY_CHUNKED,
	H1_BODY_CLOSE, /* responses only: until the connection ends */
};

struct h1_head {
	/* request */
	struct rk_slice method;
	struct rk_slice target; /* "/path?query"; of an absolute-form, behind the authority */
	struct rk_slice host;   /* value of Host; may be empty on HTTP/1.0 only */
	/* response */
	int status;
	/* both */
	int minor; /* HTTP/1.<minor>: 0 or 1 */
	enum h1_body body;
	uint64_t content_length; /* for H1_BODY_LENGTH */
	bool keep_alive;         /* what version and Connection say */
	bool expect_continue;
	bool upgrade; /* Upgrade present and named in Connection */
	size_t field_count;
	struct h1_field fields[H1_MAX_FIELDS];
};

/*
 * Parses a request head, at most `limit` bytes long (and H1_MAX_HEAD in any case) including the
 * empty line. *out is meaningful only after a result > 0. An error is final: more bytes never
 * turn it into anything else.
 */
int h1_parse_request(struct rk_slice in, size_t limit, struct h1_head *out);

/*
 * Parses a response head. `head_request` says that the request was HEAD, whose response has no
 * body (RFC 9112 6.3); 1xx, 204 and 304 have none either. Unlike requests, values may hold
 * bytes >= 0x80 (obs-text), because upstreams send them; they are passed on unchanged. A 1xx or
 * 204 that announces a body all the same has keep_alive false. Limits and *out as above.
 */
int h1_parse_response(struct rk_slice in, size_t limit, bool head_request, struct h1_head *out);

/* The first field with that id after *pos (start with 0), or NULL; *pos moves on. */
const struct h1_field *h1_next_field(const struct h1_head *h, enum h1_hdr id, size_t *pos);

/*
 * Chunked body decoder (RFC 9112 7.1). Sizes are 1 to 16 hexadecimal digits without sign or
 * "0x"; extensions are skipped, at most H1_MAX_CHUNK_EXT bytes a chunk; trailer fields are
 * checked like header fields and dropped, at most H1_MAX_TRAILER bytes in all.
 */
enum { H1_MAX_CHUNK_EXT = 256, H1_MAX_TRAILER = 8192 };

struct h1_chunked {
	uint8_t state;
	bool done;    /* the final CRLF has been read */
	bool dropped; /* there were extensions or trailers */
	uint8_t digits;
	uint16_t skipped; /* extension bytes of this chunk */
	uint16_t trailer; /* trailer bytes so far */
	uint64_t left;    /* data bytes left in this chunk */
};

void h1_chunked_init(struct h1_chunked *c);

/*
 * Consumes from `in` up to the end of one run of data: returns bytes consumed (> 0), with *data
 * the run of body bytes among them (empty when only framing was read); 0 when `in` is too short
 * to go on; < 0 on error. Once c->done, nothing more is consumed. Any split of the input gives
 * the same bytes.
 */
int h1_chunked_next(struct h1_chunked *c, struct rk_slice in, struct rk_slice *data);

#endif

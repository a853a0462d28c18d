/*
 * How a connection's secret goes into the upstream request: which headers or which query
 * parameter. Pure; the rendered form is written into secret memory only.
 *
 *   bearer                  Authorization: Bearer SECRET
 *   basic                   Authorization: Basic base64(SECRET)          SECRET is
 * user:password basic:USER              Authorization: Basic base64(USER:SECRET)
 *   header:NAME[:PREFIX]    NAME: PREFIX SECRET (PREFIX is put before the secret as it stands,
 * e.g. "header:X-Auth:Token ") query:NAME              NAME=SECRET, percent-encoded Several
 * header styles may be given together; the others stand alone.
 */
#ifndef POLICY_AUTH_STYLE_H
#define POLICY_AUTH_STYLE_H

#include "base/err.h"
#include "base/secret.h"

enum {
	AUTH_MAX_PARTS = 4,
	AUTH_MAX_NAME = 128,
	AUTH_MAX_PREFIX = 64,
	AUTH_MAX_INJECT = 24576,
	AUTH_MAX_FORMS = 2,
};

enum auth_kind { AUTH_BEARER, AUTH_BASIC, AUTH_HEADER, AUTH_QUERY };

struct auth_part {
	enum auth_kind kind;
	char name[AUTH_MAX_NAME +
	          1]; /* header or parameter name; basic: the user, may be empty */
	char prefix[AUTH_MAX_PREFIX + 1];
};

struct auth_style {
	unsigned count;
	struct auth_part part[AUTH_MAX_PARTS];
};

/* From a LIST of the texts above; an empty list is bearer. Names must be tokens and not
 * framing, Host or hop-by-hop headers. */
RK_MUST_CHECK int auth_style_parse(struct rk_slice list, struct auth_style *out,
                                   struct rk_fault *fault);

bool auth_style_is_query(const struct auth_style *a);

/* Name of the header that part i sets, or the empty slice for query. */
struct rk_slice auth_style_header(const struct auth_style *a, unsigned i);

/*
 * A secret that cannot be put where the style wants it (CR, LF, NUL, other control bytes or, in
 * headers, bytes >= 0x80) is refused when it is pasted, not at request time.
 */
RK_MUST_CHECK int auth_style_check_secret(const struct auth_style *a,
                                          const struct rk_secret *secret,
                                          struct rk_fault *fault);

/* Renders complete header lines ("Name: value\r\n") and the query part; both are allocated
 * here, owned by the caller, empty when not used. */
RK_MUST_CHECK int auth_style_render(const struct auth_style *a, const struct rk_secret *secret,
                                    struct rk_secret *headers, struct rk_secret *query);

/*
 * The forms in which an upstream could send the secret back: as it is (of user:password the
 * password, or the user where that must be the key), and as it stands in `rendered`, which
 * auth_style_render() made of it, where that is another one. Without the padding of base64.
 * out borrows from both. Returns how many.
 */
unsigned auth_style_forms(const struct auth_style *a, const struct rk_secret *secret,
                          const struct rk_secret *rendered,
                          struct rk_slice out[AUTH_MAX_FORMS]);

/* "sk_••••5f81": what may be shown of a secret. Never more than 4 characters at the end and 3
 * at the front, nothing of one shorter than 20. */
void auth_secret_hint(const struct rk_secret *secret, char *out, size_t cap);

#endif

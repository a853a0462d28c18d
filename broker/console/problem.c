#include "console/problem.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/encode.h"

static json_t *errors_of(const struct api_errors *e)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < e->count; i++)
		json_array_append_new(array,
		                      json_pack("{s:s, s:s}", "pointer", e->at[i].pointer,
		                                "detail", e->at[i].detail));
	return array;
}

static char *text_of(const struct problem *p)
{
	json_t *doc = json_pack("{s:s, s:s, s:i, s:s, s:o}", "type", "about:blank", "title",
	                        reply_phrase(p->status), "status", p->status, "code", p->code,
	                        "detail", api_encode_text(p->detail));
	char *text;

	if (doc && p->errors)
		json_object_set_new(doc, "errors", errors_of(p->errors));
	text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	json_decref(doc);
	return text;
}

static const char *headers_of(const struct problem *p)
{
	if (p->headers)
		return p->headers;
	switch (p->status) {
	case 401:
		return "WWW-Authenticate: Bearer realm=\"relaykey\"\r\n";
	case 429:
	case 503:
		return "Retry-After: 5\r\n";
	default:
		return NULL;
	}
}

void problem_send(struct server *s, uint64_t id, const struct problem *p)
{
	char *text = text_of(p);
	struct reply r = {
	    .status = p->status,
	    .type = "application/problem+json",
	    .body = rk_str(text ? text : "{}"),
	    .headers = headers_of(p),
	};

	server_answer(s, id, &r);
	free(text);
}

void problem_simple(struct server *s, uint64_t id, int status, const char *code,
                    const char *detail)
{
	const struct problem p = {.status = status, .code = code, .detail = rk_str(detail)};

	problem_send(s, id, &p);
}

struct problem problem_of(int err, struct rk_slice text)
{
	static const struct {
		int err, status;
		const char *code;
	} table[] = {
	    {RK_E_INVALID, 422, "invalid"},
	    {RK_E_TOOBIG, 422, "too_big"},
	    {RK_E_NOTFOUND, 404, "not_found"},
	    {RK_E_EXISTS, 409, "exists"},
	    {RK_E_AMBIGUOUS, 409, "ambiguous"},
	    {RK_E_STATE, 409, "not_now"},
	    {RK_E_STALE, 412, "stale"},
	    {RK_E_AUTH, 401, "unauthorized"},
	    {RK_E_DENIED, 403, "forbidden"},
	    {RK_E_AGAIN, 429, "try_again"},
	    {RK_E_TOKEN, 503, "token_unavailable"},
	    {RK_E_PIN, 503, "token_unavailable"},
	    {RK_E_STORE, 503, "store_unavailable"},
	    {RK_E_FULL, 503, "full"},
	    {RK_E_NOMEM, 503, "overloaded"},
	    {RK_E_CLOSED, 503, "stopping"},
	    {RK_E_IO, 503, "store_unavailable"},
	};
	struct problem p = {.status = 500, .code = "internal", .detail = text};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (table[i].err != err)
			continue;
		p.status = table[i].status;
		p.code = table[i].code;
	}
	if (!text.n)
		p.detail = rk_str(rk_strerror(err));
	return p;
}

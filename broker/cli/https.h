/*
 * HTTPS to one server, one request at a time, over libcurl: TLS 1.2 or later, the certificate
 * always verified, no redirect followed. What may hold a secret (the token, a request, a single
 * answer) stands in the arena; libcurl's own copies are wiped (base/curl_memory.h).
 */
#ifndef CLI_HTTPS_H
#define CLI_HTTPS_H

#include "api/text.h"
#include "base/buf.h"

struct https;

struct https_params {
	const char *url;       /* "https://host:8444", borrowed; maybe with a path */
	const char *ca_file;   /* PEM; NULL: the system's */
	struct rk_slice token; /* borrowed until https_free() */
};

/* Where the answer goes. */
enum https_sink {
	HTTPS_TEXT,   /* as a whole into secret memory */
	HTTPS_PAGE,   /* as a whole; holds no secret */
	HTTPS_STREAM, /* piece by piece, no faster than it is taken */
};

struct https_ask {
	const char *method;
	struct rk_slice target;      /* behind the URL, ends with a NUL; copied */
	const struct api_text *body; /* borrowed; NULL: none */
	const char *type;            /* of the body; NULL: JSON */
	bool keyed;                  /* said twice it is done once: with an Idempotency-Key */
	uint64_t last_event;         /* 0: none */
	const char *accept;
	enum https_sink sink;
	long patience_s; /* without a byte of the answer */
};

/* RK_E_INVALID: the URL is none. RK_E_NOMEM. */
RK_MUST_CHECK int https_new(const struct https_params *params, struct https **out,
                            struct rk_fault *fault);
void https_free(struct https *h);

/* Begins; what was still under way is given up. RK_E_NOMEM. */
RK_MUST_CHECK int https_begin(struct https *h, const struct https_ask *ask);

/*
 * Goes on for at most `ms`, or until something has come. 1: the answer is there as a whole, 0:
 * not yet, RK_E_CLOSED: there is no answer, or it broke off, and the fault says why.
 */
RK_MUST_CHECK int https_wait(struct https *h, int ms, struct rk_fault *fault);

/* Of the answer; 0 until its head is there. */
int https_status(const struct https *h);

/* What came. Of another status than 2xx all is in the text. */
const struct api_text *https_text(const struct https *h);
/* Of HTTPS_PAGE and HTTPS_STREAM; whoever takes from the latter consumes it. */
struct rk_buf *https_data(struct https *h);

#endif

/*
 * What a call to a model has used, read from its response as that passes by: OpenAI (chat,
 * responses, completions, embeddings, images, audio) and those who speak like it, Anthropic,
 * Gemini; JSON and event streams alike. Field lists: the providers' API references.
 *
 * Totals contain their parts: `input` counts cached, written and audio tokens too, `output` the
 * reasoning. Anthropic, who counts them apart, is added up.
 *
 * A meter keeps nothing of the response but these numbers and the model's name. What it cannot
 * read, it does not count: usage_meter_end() says whether there was anything.
 */
#ifndef POLICY_USAGE_H
#define POLICY_USAGE_H

#include "policy/json_scan.h"
#include "policy/sse_scan.h"

enum usage_dialect { USAGE_OPENAI, USAGE_ANTHROPIC, USAGE_GEMINI, USAGE_DIALECTS };

enum usage_field {
	USAGE_INPUT,
	USAGE_CACHE_READ,
	USAGE_CACHE_WRITE, /* for five minutes, or for as long as the provider does */
	USAGE_CACHE_WRITE_1H,
	USAGE_INPUT_AUDIO,
	USAGE_CACHE_READ_AUDIO,
	USAGE_INPUT_IMAGE,
	USAGE_OUTPUT,
	USAGE_REASONING,
	USAGE_OUTPUT_AUDIO,
	USAGE_OUTPUT_IMAGE,
	USAGE_WEB_SEARCHES,
	USAGE_MILLISECONDS, /* of audio that is paid for by its length */
	USAGE_FIELDS
};

enum { USAGE_MODEL_MAX = 128, USAGE_TIER_MAX = 16 };

struct usage {
	uint64_t n[USAGE_FIELDS];
	char model[USAGE_MODEL_MAX + 1]; /* as the response names it; "": it does not */
	char tier[USAGE_TIER_MAX + 1];   /* service tier; "": not said */
};

enum { USAGE_RAW = USAGE_FIELDS + 2 }; /* what is read before it is added up */

struct usage_meter {
	enum usage_dialect dialect;
	bool stream;
	bool malformed; /* a count made no sense: nothing is believed then */
	struct json_scan json;
	struct sse_scan sse;
	/* of the document being read; bits say what is there */
	uint64_t doc[USAGE_RAW];
	uint32_t doc_set;
	/* of an element of a list by modality */
	uint64_t element;
	uint8_t list, counts;
	/* of all documents so far */
	uint64_t raw[USAGE_RAW];
	uint32_t raw_set;
	struct usage total;
};

void usage_meter_init(struct usage_meter *m, enum usage_dialect dialect, bool event_stream);

/* Another piece of the response's body, decompressed. */
void usage_meter_feed(struct usage_meter *m, struct rk_slice piece);

/*
 * At the end of the body, or where it broke off: true with what it has said so far in *out. A
 * stream that broke off may have used more than that.
 */
RK_MUST_CHECK bool usage_meter_end(struct usage_meter *m, struct usage *out);

#endif

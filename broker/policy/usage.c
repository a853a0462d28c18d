#include "policy/usage.h"

#include <string.h>

/* What a path gives beside a field. */
enum {
	P_CACHE_CREATION =
	    USAGE_FIELDS, /* all of it, when it is not told apart; kept like a field */
	P_TOOL_INPUT,     /* more input; likewise */
	P_MODEL,
	P_TIER,
	P_USAGE,   /* the object itself: it is there, and not null */
	P_ELEMENT, /* of a list by modality begins: of input, cache or output */
	P_ELEMENT_CACHE,
	P_ELEMENT_OUTPUT,
	P_MODALITY,
	P_COUNT,
	P_SECONDS,
};

_Static_assert((int)P_TOOL_INPUT < (int)USAGE_RAW, "no room for it");

struct dialect {
	const char *const *paths;
	const uint8_t *means;
	unsigned count;
	bool merge; /* documents of a stream complete each other; else the last one counts */
};

/* One table of paths a dialect: X(path, meaning). */
#define OPENAI_USAGE(X, at)                                                                    \
	X(at, P_USAGE)                                                                         \
	X(at ".prompt_tokens", USAGE_INPUT)                                                    \
	X(at ".input_tokens", USAGE_INPUT)                                                     \
	X(at ".completion_tokens", USAGE_OUTPUT)                                               \
	X(at ".output_tokens", USAGE_OUTPUT)                                                   \
	X(at ".prompt_tokens_details.cached_tokens", USAGE_CACHE_READ)                         \
	X(at ".input_tokens_details.cached_tokens", USAGE_CACHE_READ)                          \
	X(at ".prompt_tokens_details.cache_write_tokens", USAGE_CACHE_WRITE)                   \
	X(at ".input_tokens_details.cache_write_tokens", USAGE_CACHE_WRITE)                    \
	X(at ".prompt_tokens_details.audio_tokens", USAGE_INPUT_AUDIO)                         \
	X(at ".input_tokens_details.audio_tokens", USAGE_INPUT_AUDIO)                          \
	X(at ".input_token_details.audio_tokens", USAGE_INPUT_AUDIO)                           \
	X(at ".input_tokens_details.image_tokens", USAGE_INPUT_IMAGE)                          \
	X(at ".completion_tokens_details.reasoning_tokens", USAGE_REASONING)                   \
	X(at ".output_tokens_details.reasoning_tokens", USAGE_REASONING)                       \
	X(at ".completion_tokens_details.audio_tokens", USAGE_OUTPUT_AUDIO)                    \
	X(at ".output_tokens_details.image_tokens", USAGE_OUTPUT_IMAGE)                        \
	X(at ".seconds", P_SECONDS)
#define OPENAI(X)                                                                              \
	OPENAI_USAGE(X, "usage")                                                               \
	OPENAI_USAGE(X, "response.usage")                                                      \
	X("model", P_MODEL)                                                                    \
	X("response.model", P_MODEL)                                                           \
	X("service_tier", P_TIER)                                                              \
	X("response.service_tier", P_TIER)

#define ANTHROPIC_USAGE(X, at)                                                                 \
	X(at, P_USAGE)                                                                         \
	X(at ".input_tokens", USAGE_INPUT)                                                     \
	X(at ".cache_read_input_tokens", USAGE_CACHE_READ)                                     \
	X(at ".cache_creation_input_tokens", P_CACHE_CREATION)                                 \
	X(at ".cache_creation.ephemeral_5m_input_tokens", USAGE_CACHE_WRITE)                   \
	X(at ".cache_creation.ephemeral_1h_input_tokens", USAGE_CACHE_WRITE_1H)                \
	X(at ".output_tokens", USAGE_OUTPUT)                                                   \
	X(at ".server_tool_use.web_search_requests", USAGE_WEB_SEARCHES)                       \
	X(at ".service_tier", P_TIER)
#define ANTHROPIC(X)                                                                           \
	ANTHROPIC_USAGE(X, "usage")                                                            \
	ANTHROPIC_USAGE(X, "message.usage")                                                    \
	X("model", P_MODEL)                                                                    \
	X("message.model", P_MODEL)

/* Without alt=sse a stream is one array of documents. */
#define GEMINI_DOCUMENT(X, at)                                                                 \
	X(at "usageMetadata", P_USAGE)                                                         \
	X(at "usageMetadata.promptTokenCount", USAGE_INPUT)                                    \
	X(at "usageMetadata.toolUsePromptTokenCount", P_TOOL_INPUT)                            \
	X(at "usageMetadata.cachedContentTokenCount", USAGE_CACHE_READ)                        \
	X(at "usageMetadata.candidatesTokenCount", USAGE_OUTPUT)                               \
	X(at "usageMetadata.responseTokenCount", USAGE_OUTPUT)                                 \
	X(at "usageMetadata.thoughtsTokenCount", USAGE_REASONING)                              \
	X(at "usageMetadata.promptTokensDetails.[]", P_ELEMENT)                                \
	X(at "usageMetadata.promptTokensDetails.[].modality", P_MODALITY)                      \
	X(at "usageMetadata.promptTokensDetails.[].tokenCount", P_COUNT)                       \
	X(at "usageMetadata.cacheTokensDetails.[]", P_ELEMENT_CACHE)                           \
	X(at "usageMetadata.cacheTokensDetails.[].modality", P_MODALITY)                       \
	X(at "usageMetadata.cacheTokensDetails.[].tokenCount", P_COUNT)                        \
	X(at "usageMetadata.candidatesTokensDetails.[]", P_ELEMENT_OUTPUT)                     \
	X(at "usageMetadata.candidatesTokensDetails.[].modality", P_MODALITY)                  \
	X(at "usageMetadata.candidatesTokensDetails.[].tokenCount", P_COUNT)                   \
	X(at "modelVersion", P_MODEL)
#define GEMINI(X)                                                                              \
	GEMINI_DOCUMENT(X, "")                                                                 \
	GEMINI_DOCUMENT(X, "[].")

#define PATH(path, meaning)    path,
#define MEANING(path, meaning) meaning,

static const char *const openai_paths[] = {OPENAI(PATH)};
static const uint8_t openai_means[] = {OPENAI(MEANING)};
static const char *const anthropic_paths[] = {ANTHROPIC(PATH)};
static const uint8_t anthropic_means[] = {ANTHROPIC(MEANING)};
static const char *const gemini_paths[] = {GEMINI(PATH)};
static const uint8_t gemini_means[] = {GEMINI(MEANING)};

_Static_assert(sizeof openai_means <= JSON_MAX_WANTS, "too many paths");
_Static_assert(sizeof anthropic_means <= JSON_MAX_WANTS, "too many paths");
_Static_assert(sizeof gemini_means <= JSON_MAX_WANTS, "too many paths");

static const struct dialect dialects[USAGE_DIALECTS] = {
    [USAGE_OPENAI] = {openai_paths, openai_means, sizeof openai_means, false},
    [USAGE_ANTHROPIC] = {anthropic_paths, anthropic_means, sizeof anthropic_means, true},
    [USAGE_GEMINI] = {gemini_paths, gemini_means, sizeof gemini_means, false},
};

/* ---- numbers ---- */

enum { COUNT_MAX_DIGITS = 15 };

/* A count is a whole number without sign, point or exponent. */
static bool read_count(const struct json_value *v, uint64_t *out)
{
	uint64_t n = 0;

	if (v->type != JSON_IS_NUMBER || v->cut || v->text.n > COUNT_MAX_DIGITS)
		return false;
	for (size_t i = 0; i < v->text.n; i++) {
		if (v->text.p[i] < '0' || v->text.p[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(v->text.p[i] - '0');
	}
	*out = n;
	return true;
}

/* Seconds with up to three digits behind the point; further ones round up. */
static bool read_milliseconds(const struct json_value *v, uint64_t *out)
{
	struct json_value whole = *v;
	const char *point = v->text.n ? memchr(v->text.p, '.', v->text.n) : NULL;
	size_t digits = 0;
	uint64_t n;

	if (point)
		whole.text.n = (size_t)(point - v->text.p);
	if (!read_count(&whole, &n) || n > UINT64_C(1) << 40)
		return false;
	n *= 1000;
	for (uint64_t unit = 100; point && ++point < v->text.p + v->text.n; unit /= 10) {
		if (*point < '0' || *point > '9')
			return false;
		if (digits++ < 3)
			n += unit * (uint64_t)(*point - '0');
		else if (*point != '0' && digits == 4)
			n++;
	}
	*out = n;
	return true;
}

static void set(struct usage_meter *m, unsigned field, uint64_t n)
{
	m->doc[field] = n;
	m->doc_set |= 1u << field;
}

/* ---- lists by modality ---- */

static void element_done(struct usage_meter *m)
{
	unsigned field = m->counts;

	if (field < USAGE_FIELDS)
		set(m, field, (m->doc_set >> field & 1 ? m->doc[field] : 0) + m->element);
	m->element = 0;
	m->counts = USAGE_FIELDS;
}

static void element_begin(struct usage_meter *m, unsigned list)
{
	element_done(m);
	m->list = (uint8_t)list;
}

/* What an element of the list counts; text is not told apart. */
static unsigned counted_by(unsigned list, struct rk_slice modality)
{
	static const struct {
		uint8_t list;
		const char *modality;
		uint8_t field;
	} table[] = {
	    {P_ELEMENT, "AUDIO", USAGE_INPUT_AUDIO},
	    {P_ELEMENT, "IMAGE", USAGE_INPUT_IMAGE},
	    {P_ELEMENT_CACHE, "AUDIO", USAGE_CACHE_READ_AUDIO},
	    {P_ELEMENT_OUTPUT, "AUDIO", USAGE_OUTPUT_AUDIO},
	    {P_ELEMENT_OUTPUT, "IMAGE", USAGE_OUTPUT_IMAGE},
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (table[i].list == list && rk_slice_is(modality, table[i].modality))
			return table[i].field;
	}
	return USAGE_FIELDS;
}

/* ---- one value ---- */

static void copy_text(char *to, size_t cap, const struct json_value *v)
{
	if (v->type != JSON_IS_STRING || v->cut || !v->text.n || v->text.n >= cap ||
	    memchr(v->text.p, 0, v->text.n))
		return;
	memcpy(to, v->text.p, v->text.n);
	to[v->text.n] = '\0';
}

/* A new account of the document's usage, in the place of one before. */
static void usage_begin(struct usage_meter *m)
{
	if (!dialects[m->dialect].merge)
		m->doc_set = 0;
	m->element = 0;
	m->counts = USAGE_FIELDS;
}

static void take_number(struct usage_meter *m, unsigned means, const struct json_value *v)
{
	uint64_t n;

	if (v->type == JSON_IS_NULL) /* as good as not there */
		return;
	if (!(means == P_SECONDS ? read_milliseconds(v, &n) : read_count(v, &n)))
		m->malformed = true;
	else if (means == P_COUNT)
		m->element = n;
	else
		set(m, means == P_SECONDS ? USAGE_MILLISECONDS : means, n);
}

static void on_value(unsigned want, const struct json_value *v, void *arg)
{
	struct usage_meter *m = arg;
	unsigned means = dialects[m->dialect].means[want];

	if (!v->exact)
		return;
	switch (means) {
	case P_MODEL:
		copy_text(m->total.model, sizeof m->total.model, v);
		break;
	case P_TIER:
		copy_text(m->total.tier, sizeof m->total.tier, v);
		break;
	case P_USAGE:
		if (v->type == JSON_IS_OBJECT)
			usage_begin(m);
		break;
	case P_ELEMENT:
	case P_ELEMENT_CACHE:
	case P_ELEMENT_OUTPUT:
		element_begin(m, means);
		break;
	case P_MODALITY:
		if (v->type == JSON_IS_STRING && !v->cut)
			m->counts = (uint8_t)counted_by(m->list, v->text);
		break;
	default:
		take_number(m, means, v);
	}
}

/* ---- documents ---- */

static const struct json_scan_ops json_ops[USAGE_DIALECTS] = {
    [USAGE_OPENAI] = {openai_paths, sizeof openai_means, on_value},
    [USAGE_ANTHROPIC] = {anthropic_paths, sizeof anthropic_means, on_value},
    [USAGE_GEMINI] = {gemini_paths, sizeof gemini_means, on_value},
};

static void document_begin(struct usage_meter *m)
{
	json_scan_init(&m->json, &json_ops[m->dialect], m);
	m->doc_set = 0;
	m->element = 0;
	m->counts = USAGE_FIELDS;
}

/* Only a document that is whole counts: half a number is another number. */
static void document_end(struct usage_meter *m)
{
	if (json_scan_end(&m->json) == 0) {
		element_done(m);
		if (m->doc_set && !dialects[m->dialect].merge)
			m->raw_set = 0;
		for (unsigned i = 0; i < USAGE_RAW; i++) {
			if (m->doc_set >> i & 1)
				m->raw[i] = m->doc[i];
		}
		m->raw_set |= m->doc_set;
	}
	document_begin(m);
}

static void on_data(struct rk_slice piece, void *arg)
{
	struct usage_meter *m = arg;

	/* an event that is not JSON ("[DONE]") says nothing; its end starts afresh */
	(void)!json_scan_feed(&m->json, piece);
}

static void on_event(void *arg)
{
	document_end(arg);
}

static const struct sse_scan_ops sse_ops = {.data = on_data, .event = on_event};

/* ---- the whole ---- */

void usage_meter_init(struct usage_meter *m, enum usage_dialect dialect, bool event_stream)
{
	memset(m, 0, sizeof *m);
	m->dialect = dialect;
	m->stream = event_stream;
	sse_scan_init(&m->sse, &sse_ops, m);
	document_begin(m);
}

void usage_meter_feed(struct usage_meter *m, struct rk_slice piece)
{
	if (m->stream)
		sse_scan_feed(&m->sse, piece);
	else
		on_data(piece, m);
}

static uint64_t raw(const struct usage_meter *m, unsigned field)
{
	return m->raw_set >> field & 1 ? m->raw[field] : 0;
}

/* Anthropic tells cached input apart from the rest, and cache writes twice. */
static void add_up_anthropic(const struct usage_meter *m, struct usage *u)
{
	uint64_t known = u->n[USAGE_CACHE_WRITE] + u->n[USAGE_CACHE_WRITE_1H];
	uint64_t all = raw(m, P_CACHE_CREATION);

	if (all > known)
		u->n[USAGE_CACHE_WRITE] += all - known;
	else
		all = known;
	u->n[USAGE_INPUT] += u->n[USAGE_CACHE_READ] + all;
}

bool usage_meter_end(struct usage_meter *m, struct usage *out)
{
	struct usage *u = &m->total;

	if (!m->stream)
		document_end(m);
	for (unsigned i = 0; i < USAGE_FIELDS; i++)
		u->n[i] = raw(m, i);
	if (m->dialect == USAGE_ANTHROPIC) {
		add_up_anthropic(m, u);
	} else if (m->dialect == USAGE_GEMINI) {
		u->n[USAGE_INPUT] += raw(m, P_TOOL_INPUT);
		u->n[USAGE_OUTPUT] += u->n[USAGE_REASONING];
	}
	*out = *u;
	return m->raw_set && !m->malformed;
}

#include "policy/json_scan_int.h"

#include <string.h>

/* ---- paths ---- */

/* Component `n` of a path; an empty slice (p NULL) behind the last one. */
static struct rk_slice component(const char *path, unsigned n)
{
	const char *end;

	while (*path) {
		end = strchr(path, '.');
		if (n-- == 0)
			return rk_slice(path, end ? (size_t)(end - path) : strlen(path));
		if (!end)
			break;
		path = end + 1;
	}
	return rk_slice(NULL, 0);
}

static bool is_element(struct rk_slice c)
{
	return rk_slice_is(c, "[]");
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool same_letters(struct rk_slice a, const char *b, size_t n)
{
	if (a.n != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (lower(a.p[i]) != lower(b[i]))
			return false;
	}
	return true;
}

/* The wants that end at the current value. */
static uint64_t ending(const struct json_scan *s)
{
	uint64_t found = 0;

	for (uint64_t left = s->live[s->depth]; left; left &= left - 1) {
		unsigned want = (unsigned)__builtin_ctzll(left);

		if (!component(s->ops->wants[want], s->depth).p)
			found |= UINT64_C(1) << want;
	}
	return found;
}

static void report(struct json_scan *s, enum json_type type, size_t text_n)
{
	struct json_value v = {
	    .type = type, .text = rk_slice(s->text, text_n), .cut = text_n && s->cut};

	for (uint64_t left = ending(s); left; left &= left - 1) {
		unsigned want = (unsigned)__builtin_ctzll(left);

		v.exact = s->same[s->depth] >> want & 1;
		s->ops->value(want, &v, s->arg);
	}
}

/* The key's text is complete: which wants go on behind it? */
static void follow_key(struct json_scan *s)
{
	uint64_t live = 0, same = 0;

	for (uint64_t left = s->kept && !s->cut ? s->live[s->depth - 1] : 0; left;
	     left &= left - 1) {
		unsigned want = (unsigned)__builtin_ctzll(left);
		struct rk_slice c = component(s->ops->wants[want], s->depth - 1u);

		if (!c.p || is_element(c) || !same_letters(c, s->text, s->text_n))
			continue;
		live |= UINT64_C(1) << want;
		if ((s->same[s->depth - 1] >> want & 1) && memcmp(c.p, s->text, s->text_n) == 0)
			same |= UINT64_C(1) << want;
	}
	s->live[s->depth] = live;
	s->same[s->depth] = same;
}

static void follow_elements(struct json_scan *s)
{
	uint64_t live = 0;

	for (uint64_t left = s->live[s->depth - 1]; left; left &= left - 1) {
		unsigned want = (unsigned)__builtin_ctzll(left);

		if (is_element(component(s->ops->wants[want], s->depth - 1u)))
			live |= UINT64_C(1) << want;
	}
	s->live[s->depth] = live;
	s->same[s->depth] = live & s->same[s->depth - 1];
}

/* ---- structure ---- */

static void value_done(struct json_scan *s)
{
	s->state = s->depth ? ST_NEXT : ST_COMPLETE;
}

static int open_level(struct json_scan *s, bool object)
{
	report(s, object ? JSON_IS_OBJECT : JSON_IS_ARRAY, 0);
	if (s->depth == JSON_MAX_DEPTH)
		return RK_E_TOOBIG;
	s->depth++;
	s->objects &= ~(UINT64_C(1) << (s->depth - 1));
	if (object) {
		s->objects |= UINT64_C(1) << (s->depth - 1);
		s->state = ST_FIRST_KEY;
	} else {
		follow_elements(s);
		s->state = ST_FIRST_VALUE;
	}
	return 0;
}

static bool in_object(const struct json_scan *s)
{
	return s->objects >> (s->depth - 1) & 1;
}

static int close_level(struct json_scan *s, bool object)
{
	if (in_object(s) != object)
		return RK_E_INVALID;
	s->depth--;
	value_done(s);
	return 0;
}

static void begin_text(struct json_scan *s, enum json_state state, bool is_key)
{
	s->is_key = is_key;
	s->kept = is_key ? s->live[s->depth - 1] != 0 : ending(s) != 0;
	s->cut = false;
	s->text_n = 0;
	s->lead = 0;
	s->state = state;
}

static int begin_word(struct json_scan *s, enum json_type type, const char *rest)
{
	s->word_type = (uint8_t)type;
	s->word = rest;
	s->state = ST_WORD;
	return 0;
}

/* ---- texts ---- */

static void string_done(struct json_scan *s)
{
	if (s->is_key) {
		follow_key(s);
		s->state = ST_COLON;
		return;
	}
	if (s->kept)
		report(s, JSON_IS_STRING, s->text_n);
	value_done(s);
}

static int step_text(struct json_scan *s, unsigned char c)
{
	int got = json_text_step(s, c);

	if (got > 0)
		string_done(s);
	return got < 0 ? got : 0;
}

/* ---- numbers and words ---- */

static void number_done(struct json_scan *s)
{
	if (s->kept)
		report(s, JSON_IS_NUMBER, s->text_n);
	value_done(s);
}

static int step_word(struct json_scan *s, unsigned char c)
{
	if (c != (unsigned char)*s->word)
		return RK_E_INVALID;
	if (!*++s->word) {
		report(s, s->word_type, 0);
		value_done(s);
	}
	return 0;
}

/* ---- between the tokens ---- */

static int step_value(struct json_scan *s, unsigned char c)
{
	const char byte = (char)c;

	switch (c) {
	case '{':
		return open_level(s, true);
	case '[':
		return open_level(s, false);
	case '"':
		begin_text(s, ST_STRING, false);
		return 0;
	case 't':
		return begin_word(s, JSON_IS_TRUE, "rue");
	case 'f':
		return begin_word(s, JSON_IS_FALSE, "alse");
	case 'n':
		return begin_word(s, JSON_IS_NULL, "ull");
	case '-':
		begin_text(s, ST_MINUS, false);
		break;
	case '0':
		begin_text(s, ST_ZERO, false);
		break;
	default:
		if (c < '0' || c > '9')
			return RK_E_INVALID;
		begin_text(s, ST_INTEGER, false);
	}
	json_text_keep(s, &byte, 1);
	return 0;
}

static int step_between(struct json_scan *s, unsigned char c)
{
	if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
		return 0;
	switch ((enum json_state)s->state) {
	case ST_VALUE:
		return step_value(s, c);
	case ST_FIRST_VALUE:
		return c == ']' ? close_level(s, false) : step_value(s, c);
	case ST_FIRST_KEY:
		if (c == '}')
			return close_level(s, true);
		/* fall through */
	case ST_KEY:
		if (c != '"')
			return RK_E_INVALID;
		begin_text(s, ST_STRING, true);
		return 0;
	case ST_COLON:
		s->state = ST_VALUE;
		return c == ':' ? 0 : RK_E_INVALID;
	case ST_NEXT:
		if (c == ',') {
			s->state = in_object(s) ? ST_KEY : ST_VALUE;
			return 0;
		}
		return c == '}' || c == ']' ? close_level(s, c == '}') : RK_E_INVALID;
	default: /* ST_COMPLETE */
		return RK_E_INVALID;
	}
}

/* A number ends with the byte behind it, which then counts by itself. */
static int step_number(struct json_scan *s, unsigned char c)
{
	const char byte = (char)c;
	int next = json_number_next(s->state, c);

	if (next < 0)
		return next;
	if (next == ST_NEXT) {
		number_done(s);
		return step_between(s, c);
	}
	s->state = (uint8_t)next;
	json_text_keep(s, &byte, 1);
	return 0;
}

static int step(struct json_scan *s, unsigned char c)
{
	switch ((enum json_state)s->state) {
	case ST_STRING:
	case ST_ESCAPE:
	case ST_HEX:
	case ST_UTF8:
		return step_text(s, c);
	case ST_WORD:
		return step_word(s, c);
	case ST_MINUS:
	case ST_ZERO:
	case ST_INTEGER:
	case ST_POINT:
	case ST_FRACTION:
	case ST_EXPONENT:
	case ST_EXPONENT_SIGN:
	case ST_EXPONENT_DIGITS:
		return step_number(s, c);
	default:
		return step_between(s, c);
	}
}

/* ---- the whole ---- */

void json_scan_init(struct json_scan *s, const struct json_scan_ops *ops, void *arg)
{
	unsigned n = ops->want_count;

	memset(s, 0, offsetof(struct json_scan, text));
	s->ops = ops;
	s->arg = arg;
	s->state = ST_VALUE;
	s->live[0] = n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
	s->same[0] = s->live[0];
}

/* Bytes of a string that nobody wants and that cannot end it. */
static size_t plain_run(const struct json_scan *s, const char *p, size_t n)
{
	size_t i = 0;

	if (s->state != ST_STRING || s->kept)
		return 0;
	while (i < n && (unsigned char)p[i] >= 0x20 && (unsigned char)p[i] < 0x80 &&
	       p[i] != '"' && p[i] != '\\')
		i++;
	return i;
}

int json_scan_feed(struct json_scan *s, struct rk_slice piece)
{
	size_t i = 0;

	while (!s->err && i < piece.n) {
		size_t run = plain_run(s, piece.p + i, piece.n - i);

		if (run) {
			i += run;
			continue;
		}
		s->err = step(s, (unsigned char)piece.p[i++]);
	}
	return s->err;
}

bool json_scan_complete(const struct json_scan *s)
{
	return !s->err && s->state == ST_COMPLETE;
}

int json_scan_end(struct json_scan *s)
{
	/* at the top, nothing else ends a number */
	if (!s->err && s->depth == 0 && s->state >= ST_MINUS &&
	    s->state <= ST_EXPONENT_DIGITS) {
		int next = json_number_next(s->state, ' ');

		if (next == ST_NEXT)
			number_done(s);
	}
	if (!s->err && s->state != ST_COMPLETE)
		s->err = RK_E_INVALID;
	return s->err;
}

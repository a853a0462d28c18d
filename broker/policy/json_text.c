#include "policy/json_scan_int.h"

#include <string.h>

void json_text_keep(struct json_scan *s, const char *bytes, size_t n)
{
	if (!s->kept)
		return;
	if (s->cut || n > sizeof s->text - s->text_n) {
		s->cut = true;
		return;
	}
	memcpy(s->text + s->text_n, bytes, n);
	s->text_n += (uint16_t)n;
}

static void keep_byte(struct json_scan *s, unsigned char c)
{
	const char byte = (char)c;

	json_text_keep(s, &byte, 1);
}

static void keep_code_point(struct json_scan *s, uint32_t c)
{
	char out[4];

	if (c < 0x80) {
		keep_byte(s, (unsigned char)c);
	} else if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		json_text_keep(s, out, 2);
	} else if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		json_text_keep(s, out, 3);
	} else {
		out[0] = (char)(0xf0 | c >> 18);
		out[1] = (char)(0x80 | (c >> 12 & 0x3f));
		out[2] = (char)(0x80 | (c >> 6 & 0x3f));
		out[3] = (char)(0x80 | (c & 0x3f));
		json_text_keep(s, out, 4);
	}
}

/* A high surrogate whose low one does not come stands for nothing. */
static void drop_lead(struct json_scan *s)
{
	if (s->lead)
		keep_code_point(s, 0xfffd);
	s->lead = 0;
}

static void keep_unit(struct json_scan *s)
{
	uint16_t u = s->unit;

	if (u >= 0xdc00 && u <= 0xdfff && s->lead) {
		keep_code_point(s, 0x10000u + ((uint32_t)(s->lead - 0xd800) << 10) +
		                       (uint32_t)(u - 0xdc00));
		s->lead = 0;
		return;
	}
	drop_lead(s);
	if (u >= 0xd800 && u <= 0xdbff)
		s->lead = u;
	else
		keep_code_point(s, u >= 0xdc00 && u <= 0xdfff ? 0xfffd : u);
}

/* RFC 3629: no overlong form, no surrogate, nothing over U+10FFFF. */
static int begin_utf8(struct json_scan *s, unsigned char c)
{
	s->low = 0x80;
	s->high = 0xbf;
	if (c >= 0xc2 && c <= 0xdf) {
		s->left = 1;
	} else if (c >= 0xe0 && c <= 0xef) {
		s->left = 2;
		if (c == 0xe0)
			s->low = 0xa0;
		else if (c == 0xed)
			s->high = 0x9f;
	} else if (c >= 0xf0 && c <= 0xf4) {
		s->left = 3;
		if (c == 0xf0)
			s->low = 0x90;
		else if (c == 0xf4)
			s->high = 0x8f;
	} else {
		return RK_E_INVALID;
	}
	s->state = ST_UTF8;
	keep_byte(s, c);
	return 0;
}

static int step_string(struct json_scan *s, unsigned char c)
{
	if (c == '\\') {
		s->state = ST_ESCAPE;
		return 0;
	}
	if (c < 0x20)
		return RK_E_INVALID;
	if (c == '"') {
		drop_lead(s);
		return 1;
	}
	drop_lead(s);
	if (c >= 0x80)
		return begin_utf8(s, c);
	keep_byte(s, c);
	return 0;
}

static int step_utf8(struct json_scan *s, unsigned char c)
{
	if (c < s->low || c > s->high)
		return RK_E_INVALID;
	s->low = 0x80;
	s->high = 0xbf;
	keep_byte(s, c);
	if (--s->left == 0)
		s->state = ST_STRING;
	return 0;
}

static int step_escape(struct json_scan *s, unsigned char c)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at = c ? strchr(from, c) : NULL;

	if (c == 'u') {
		s->unit = 0;
		s->left = 4;
		s->state = ST_HEX;
		return 0;
	}
	if (!at)
		return RK_E_INVALID;
	drop_lead(s);
	keep_byte(s, (unsigned char)to[at - from]);
	s->state = ST_STRING;
	return 0;
}

static int step_hex(struct json_scan *s, unsigned char c)
{
	unsigned digit;

	if (c >= '0' && c <= '9')
		digit = c - '0';
	else if (c >= 'a' && c <= 'f')
		digit = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		digit = c - 'A' + 10;
	else
		return RK_E_INVALID;
	s->unit = (uint16_t)(s->unit << 4 | digit);
	if (--s->left == 0) {
		keep_unit(s);
		s->state = ST_STRING;
	}
	return 0;
}

int json_text_step(struct json_scan *s, unsigned char c)
{
	switch ((enum json_state)s->state) {
	case ST_ESCAPE:
		return step_escape(s, c);
	case ST_HEX:
		return step_hex(s, c);
	case ST_UTF8:
		return step_utf8(s, c);
	default:
		return step_string(s, c);
	}
}

static bool is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

int json_number_next(enum json_state state, unsigned char c)
{
	bool may_end = false;

	switch (state) {
	case ST_MINUS:
		if (is_digit(c))
			return c == '0' ? ST_ZERO : ST_INTEGER;
		return RK_E_INVALID;
	case ST_INTEGER:
		if (is_digit(c))
			return ST_INTEGER;
		may_end = true;
		break;
	case ST_ZERO:
		if (is_digit(c))
			return RK_E_INVALID;
		may_end = true;
		break;
	case ST_POINT:
	case ST_FRACTION:
		if (is_digit(c))
			return ST_FRACTION;
		if (state == ST_POINT)
			return RK_E_INVALID;
		return c == 'e' || c == 'E' ? ST_EXPONENT : ST_NEXT;
	case ST_EXPONENT:
		if (c == '+' || c == '-')
			return ST_EXPONENT_SIGN;
		return is_digit(c) ? ST_EXPONENT_DIGITS : RK_E_INVALID;
	case ST_EXPONENT_SIGN:
		return is_digit(c) ? ST_EXPONENT_DIGITS : RK_E_INVALID;
	default:
		return is_digit(c) ? ST_EXPONENT_DIGITS : ST_NEXT;
	}
	if (may_end && c == '.')
		return ST_POINT;
	return c == 'e' || c == 'E' ? ST_EXPONENT : ST_NEXT;
}

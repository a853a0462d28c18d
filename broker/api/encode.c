#include "api/encode.h"

#include "base/base62.h"
#include "base/clock.h"
#include "base/ipaddr.h"

enum { TEXT_PIECE = 256, HEX_MAX = 64 };

/* jansson has taken no copy before it looked, so the clean text is made in pieces of our own.
 */
static json_t *clean_text(struct rk_slice s)
{
	json_t *text = json_string(""), *whole;
	char piece[TEXT_PIECE + 1];

	while (text && s.n) {
		size_t n = s.n < TEXT_PIECE ? s.n : TEXT_PIECE;

		for (size_t i = 0; i < n; i++) {
			unsigned char b = (unsigned char)s.p[i];

			piece[i] = b && b < 0x80 ? (char)b : '?';
		}
		piece[n] = '\0';
		whole = json_sprintf("%s%s", json_string_value(text), piece);
		json_decref(text);
		text = whole;
		s = rk_slice_skip(s, n);
	}
	return text;
}

json_t *api_encode_text(struct rk_slice s)
{
	json_t *text = json_stringn(s.n ? s.p : "", s.n);

	return text ? text : clean_text(s);
}

static json_t *time_value(int64_t ms)
{
	char text[RK_TIME_TEXT];

	rk_time_format(ms, text);
	return json_string(text);
}

static json_t *hex_value(const unsigned char *p, size_t n, const char *prefix)
{
	char hex[2 * HEX_MAX + 1];

	if (n > HEX_MAX)
		return NULL;
	rk_hex(p, n, hex);
	return json_sprintf("%s%s", prefix, hex);
}

static json_t *address_value(const unsigned char *p)
{
	char text[RK_IP_TEXT];
	struct rk_ip ip;

	memcpy(ip.b, p, sizeof ip.b);
	rk_ip_format(&ip, text);
	return json_string(text);
}

static json_t *strings_value(struct rk_slice list)
{
	json_t *array = json_array();
	struct rk_slice item;

	while (array && record_list_next(&list, &item)) {
		if (json_array_append_new(array, api_encode_text(item))) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

/* Room for any record that nests in another. */
union nested {
	max_align_t align;
	char room[1024];
};

static json_t *objects_value(const struct api_schema *s, struct rk_slice list)
{
	json_t *array = json_array();
	struct rk_slice item;
	union nested rec;

	while (array && record_list_next(&list, &item)) {
		if (s->desc->struct_size > sizeof rec || record_decode(s->desc, item, &rec) ||
		    json_array_append_new(array, api_encode(s, &rec))) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

static json_t *names_value(const struct api_field *f, uint64_t mask)
{
	json_t *array = json_array();

	for (unsigned v = f->first; array && v <= f->last; v++) {
		if ((mask & UINT64_C(1) << v) &&
		    json_array_append_new(array, json_string(f->value(v)))) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

json_t *api_encode_value(const struct api_field *f, const void *rec)
{
	const unsigned char *at = (const unsigned char *)rec + f->offset;

	switch ((enum api_type)f->type) {
	case API_STRING:
		return api_encode_text(api_get_slice(f, rec));
	case API_STRINGS:
		return strings_value(api_get_slice(f, rec));
	case API_INTEGER:
		return json_integer((json_int_t)api_get(f, rec));
	case API_BOOL:
		return json_boolean((api_get(f, rec) != 0) != !!(f->traits & API_NOT));
	case API_FLAG:
		return json_boolean(api_get(f, rec) & f->bits);
	case API_ENUM:
		return json_string(f->value((unsigned)api_get(f, rec)));
	case API_NAMES:
		return names_value(f, api_get(f, rec));
	case API_TIME:
		return time_value((int64_t)api_get(f, rec));
	case API_SECONDS:
		return json_integer((json_int_t)((int64_t)api_get(f, rec) / 1000));
	case API_GROUP:
		return api_encode(f->object, rec);
	case API_OBJECTS:
		return objects_value(f->object, api_get_slice(f, rec));
	case API_HEX:
		return hex_value(at, f->size, "");
	case API_REQUEST_ID:
		return hex_value(at, f->size, "req_");
	case API_EVENT_ID:
		return hex_value(at, f->size, "evt_");
	case API_ADDRESS:
		return address_value(at);
	}
	return NULL;
}

static uint32_t word_at(const void *rec, uint16_t offset)
{
	uint32_t v;

	memcpy(&v, (const char *)rec + offset, sizeof v);
	return v;
}

static bool wanted(const struct api_schema *s, const struct api_field *f, const void *rec)
{
	if (s->tagged && !api_has(f, word_at(rec, s->tag)))
		return false;
	if (s->partial && f->set && !(word_at(rec, s->set_offset) & f->set))
		return false;
	return !(f->traits & API_OMIT) || !api_is_empty(f, rec);
}

json_t *api_encode(const struct api_schema *s, const void *rec)
{
	json_t *doc = json_object();

	for (unsigned i = 0; doc && i < s->count; i++) {
		const struct api_field *f = &s->fields[i];
		json_t *v;

		if (!wanted(s, f, rec))
			continue;
		v = (f->traits & API_NULL) && api_is_empty(f, rec) ? json_null()
		                                                   : api_encode_value(f, rec);
		if (json_object_set_new(doc, f->name, v)) { /* also when v is NULL */
			json_decref(doc);
			doc = NULL;
		}
	}
	return doc;
}

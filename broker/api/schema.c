#include "api/schema.h"

uint64_t api_get(const struct api_field *f, const void *rec)
{
	const char *at = (const char *)rec + f->offset;
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	switch (f->size) {
	case sizeof u8:
		memcpy(&u8, at, sizeof u8);
		return u8;
	case sizeof u16:
		memcpy(&u16, at, sizeof u16);
		return u16;
	case sizeof u32:
		memcpy(&u32, at, sizeof u32);
		return u32;
	default:
		memcpy(&u64, at, sizeof u64);
		return u64;
	}
}

void api_put(const struct api_field *f, void *rec, uint64_t v)
{
	char *at = (char *)rec + f->offset;
	uint8_t u8 = (uint8_t)v;
	uint16_t u16 = (uint16_t)v;
	uint32_t u32 = (uint32_t)v;

	switch (f->size) {
	case sizeof u8:
		memcpy(at, &u8, sizeof u8);
		break;
	case sizeof u16:
		memcpy(at, &u16, sizeof u16);
		break;
	case sizeof u32:
		memcpy(at, &u32, sizeof u32);
		break;
	default:
		memcpy(at, &v, sizeof v);
		break;
	}
}

struct rk_slice api_get_slice(const struct api_field *f, const void *rec)
{
	struct rk_slice s;

	memcpy(&s, (const char *)rec + f->offset, sizeof s);
	return s;
}

void api_put_slice(const struct api_field *f, void *rec, struct rk_slice v)
{
	memcpy((char *)rec + f->offset, &v, sizeof v);
}

uint64_t api_field_max(const struct api_field *f)
{
	uint64_t fits = f->size >= 8 ? INT64_MAX : (UINT64_C(1) << (8 * f->size)) - 1;

	if (f->type == API_SECONDS)
		fits = INT64_MAX / 1000;
	return f->max && f->max < fits ? f->max : fits;
}

static bool group_is_empty(const struct api_schema *s, const void *rec)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (!api_is_empty(&s->fields[i], rec))
			return false;
	}
	return true;
}

static bool all_zero(const unsigned char *p, size_t n)
{
	while (n && *p == 0) {
		p++;
		n--;
	}
	return n == 0;
}

bool api_is_empty(const struct api_field *f, const void *rec)
{
	switch ((enum api_type)f->type) {
	case API_STRING:
	case API_STRINGS:
	case API_OBJECTS:
		return api_get_slice(f, rec).n == 0;
	case API_GROUP:
		return group_is_empty(f->object, rec);
	case API_HEX:
	case API_REQUEST_ID:
	case API_ADDRESS:
	case API_EVENT_ID:
		return all_zero((const unsigned char *)rec + f->offset, f->size);
	case API_FLAG:
		return (api_get(f, rec) & f->bits) == 0;
	case API_INTEGER:
	case API_BOOL:
	case API_ENUM:
	case API_NAMES:
	case API_TIME:
	case API_SECONDS:
		break;
	}
	return api_get(f, rec) == 0;
}

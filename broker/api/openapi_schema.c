#include <stdio.h>

#include "api/openapi_int.h"

/* JSON Schema 2020-12 of schemas and their members. */

static json_t *integer(const struct api_field *f, bool answer)
{
	json_t *s = json_pack("{s:s}", "type", "integer");

	json_object_set_new(s, "minimum", json_integer((json_int_t)(answer ? 0 : f->min)));
	if (!answer)
		json_object_set_new(s, "maximum", json_integer((json_int_t)api_field_max(f)));
	return s;
}

static json_t *strings(const struct api_field *f)
{
	json_t *s = json_pack("{s:s, s:{s:s}}", "type", "array", "items", "type", "string");

	if (f->example)
		json_object_set_new(s, "examples", json_pack("[[s]]", f->example));
	return s;
}

static json_t *names(const struct api_field *f)
{
	json_t *list = json_array();

	for (unsigned v = f->first; v <= f->last; v++) {
		bool twice = false;

		for (unsigned before = f->first; before < v; before++)
			twice = twice || strcmp(f->value(before), f->value(v)) == 0;
		if (!twice)
			json_array_append_new(list, json_string(f->value(v)));
	}
	return json_pack("{s:s, s:o}", "type", "string", "enum", list);
}

static json_t *reference(const struct api_schema *s)
{
	return json_pack("{s:o}", "$ref", json_sprintf("#/components/schemas/%s", s->name));
}

static json_t *string(const struct api_field *f, bool answer)
{
	json_t *s = json_pack("{s:s}", "type", "string");

	if (!answer && f->max)
		json_object_set_new(s, "maxLength", json_integer((json_int_t)f->max));
	if (!answer && (f->traits & API_REQUIRED))
		json_object_set_new(s, "minLength", json_integer(1));
	if (f->traits & API_SECRET)
		json_object_set_new(s, answer ? "readOnly" : "writeOnly", json_true());
	if (f->example)
		json_object_set_new(s, "examples", json_pack("[s]", f->example));
	return s;
}

static json_t *plain(const struct api_field *f, bool answer)
{
	switch ((enum api_type)f->type) {
	case API_STRING:
		return string(f, answer);
	case API_STRINGS:
		return strings(f);
	case API_INTEGER:
	case API_SECONDS:
		return integer(f, answer);
	case API_BOOL:
	case API_FLAG:
		return json_pack("{s:s}", "type", "boolean");
	case API_ENUM:
		return names(f);
	case API_NAMES:
		return json_pack("{s:s, s:o, s:b}", "type", "array", "items", names(f),
		                 "uniqueItems", 1);
	case API_TIME:
		return json_pack("{s:s, s:s}", "type", "string", "format", "date-time");
	case API_GROUP:
		return reference(f->object);
	case API_OBJECTS:
		return json_pack("{s:s, s:o}", "type", "array", "items", reference(f->object));
	case API_HEX:
		return json_pack("{s:s, s:o}", "type", "string", "pattern",
		                 json_sprintf("^[0-9a-f]{%u}$", 2u * f->size));
	case API_REQUEST_ID:
		return json_pack("{s:s, s:s}", "type", "string", "pattern",
		                 "^req_[0-9a-f]{32}$");
	case API_EVENT_ID:
		return json_pack("{s:s, s:s}", "type", "string", "pattern",
		                 "^evt_[0-9a-f]{32}$");
	case API_ADDRESS:
		return json_pack("{s:s, s:[{s:s}, {s:s}]}", "type", "string", "anyOf", "format",
		                 "ipv4", "format", "ipv6");
	}
	return NULL;
}

json_t *openapi_field(const struct api_field *f, bool answer)
{
	json_t *s = plain(f, answer);

	if (f->traits & API_NULL)
		s = json_pack("{s:[o, {s:s}]}", "anyOf", s, "type", "null");
	json_object_set_new(s, "description", json_string(f->about));
	return s;
}

/* Nested schemas become components of their own. */
static void add_nested(json_t *components, const struct api_schema *s, bool answer)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (s->fields[i].object)
			openapi_add_schema(components, s->fields[i].object, answer);
	}
}

static bool always(const struct api_field *f, bool answer)
{
	if (answer)
		return !(f->traits & API_OMIT) && !f->only;
	return f->traits & API_REQUIRED;
}

void openapi_add_schema(json_t *components, const struct api_schema *s, bool answer)
{
	json_t *properties, *required, *doc;

	if (json_object_get(components, s->name))
		return;
	properties = json_object();
	required = json_array();
	for (unsigned i = 0; i < s->count; i++) {
		json_object_set_new(properties, s->fields[i].name,
		                    openapi_field(&s->fields[i], answer));
		if (always(&s->fields[i], answer))
			json_array_append_new(required, json_string(s->fields[i].name));
	}
	doc = json_pack("{s:s, s:s, s:o, s:o, s:b}", "type", "object", "description", s->about,
	                "properties", properties, "required", required, "additionalProperties",
	                0);
	json_object_set_new(components, s->name, doc);
	add_nested(components, s, answer);
}

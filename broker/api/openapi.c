#include "api/openapi.h"

#include <stdio.h>

#include "api/openapi_int.h"
#include "api/operation.h"
#include "base/version.h"

static const struct {
	uint16_t status;
	const char *about;
} statuses[] = {
    {200, "Done."},
    {201, "Made."},
    {202, "Taken; it is done in a moment."},
    {204, "Done; there is nothing to show."},
    {400, "Not HTTP, not JSON, or with a parameter that is not known."},
    {401, "No valid management key."},
    {403, "The key's role may not do this."},
    {404, "There is no such object."},
    {406, "There is no such form of the answer."},
    {409, "It exists already, is not the only one that matches, or does not allow it now."},
    {412, "The object is not of the revision that If-Match names."},
    {413, "The body is too big."},
    {415, "The body is not application/json."},
    {422, "A value is not as it should be."},
    {429, "Too many keys that are not valid, or the same command is still under way."},
    {503, "Sealed, starting, stopping, or too much to do; see Retry-After."},
};

static const char *about_status(uint16_t status)
{
	for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
		if (statuses[i].status == status)
			return statuses[i].about;
	}
	return "";
}

static json_t *component(const char *name)
{
	return json_pack("{s:o}", "$ref", json_sprintf("#/components/schemas/%s", name));
}

/* ---- parameters ---- */

static json_t *parameter(const struct api_field *f, const char *in)
{
	json_t *p = json_pack("{s:s, s:s, s:s, s:b, s:o}", "name", f->name, "in", in,
	                      "description", f->about, "required", strcmp(in, "path") == 0,
	                      "schema", openapi_field(f, false));

	json_object_del(json_object_get(p, "schema"), "description");
	return p;
}

static json_t *header(const char *name, const char *about)
{
	return json_pack("{s:s, s:s, s:s, s:{s:s}}", "name", name, "in", "header",
	                 "description", about, "schema", "type", "string");
}

static json_t *parameters(const struct api_op *op)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < op->path_count; i++)
		json_array_append_new(list, parameter(&op->path_values[i], "path"));
	for (unsigned i = 0; i < op->query_count; i++)
		json_array_append_new(list, parameter(&op->query[i], "query"));
	if (op->shape == API_LIST) {
		json_array_append_new(
		    list, json_pack("{s:s, s:s, s:s, s:{s:s, s:i, s:i, s:i}}", "name", "limit",
		                    "in", "query", "description", "Objects a page.", "schema",
		                    "type", "integer", "minimum", 1, "maximum", API_LIMIT_MAX,
		                    "default", API_LIMIT_DEFAULT));
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:{s:s}}", "name",
		                                      "cursor", "in", "query", "description",
		                                      "next_cursor of the page before.",
		                                      "schema", "type", "string"));
	}
	if (op->traits & API_KEYED)
		json_array_append_new(
		    list, header("Idempotency-Key",
		                 "The same key with the same command within 24 hours does "
		                 "nothing again."));
	if (op->traits & API_MATCH)
		json_array_append_new(
		    list, header("If-Match", "ETag: only when nobody changed it meanwhile."));
	if (op->shape == API_EVENTS)
		json_array_append_new(list,
		                      header("Last-Event-ID", "Go on behind this event."));
	return list;
}

/* ---- answers ---- */

static json_t *page_of(const struct api_op *op)
{
	return json_pack("{s:s, s:[s, s], s:{s:{s:s, s:o}, s:{s:[s, s], s:s}}, s:b}", "type",
	                 "object", "required", "data", "next_cursor", "properties", "data",
	                 "type", "array", "items", component(op->shows->name), "next_cursor",
	                 "type", "string", "null", "description",
	                 "Null: this is the last page.", "additionalProperties", 0);
}

static json_t *content(const struct api_op *op)
{
	switch ((enum api_shape)op->shape) {
	case API_ONE:
		return json_pack("{s:{s:o}}", "application/json", "schema",
		                 component(op->shows->name));
	case API_LIST:
		return json_pack("{s:{s:o}}", "application/json", "schema", page_of(op));
	case API_EVENTS:
		return json_pack("{s:{s:o}}", "text/event-stream", "schema",
		                 component(op->shows->name));
	case API_LINES:
		return json_pack("{s:{s:o}, s:{s:{s:s}}}", "application/x-ndjson", "schema",
		                 component(op->shows->name), "text/csv", "schema", "type",
		                 "string");
	case API_NOTHING:
		break;
	}
	return NULL;
}

json_t *openapi_answer(uint16_t status, json_t *content)
{
	json_t *a = json_pack("{s:s}", "description", about_status(status));

	if (status >= 300)
		content = json_pack("{s:{s:o}}", "application/problem+json", "schema",
		                    component("Problem"));
	if (content)
		json_object_set_new(a, "content", content);
	return a;
}

static json_t *answers(const struct api_op *op)
{
	uint16_t list[API_STATUSES_MAX];
	json_t *all = json_object();
	char text[8];

	api_op_statuses(op, list);
	for (unsigned i = 0; list[i]; i++) {
		snprintf(text, sizeof text, "%u", list[i]);
		json_object_set_new(
		    all, text, openapi_answer(list[i], list[i] < 300 ? content(op) : NULL));
	}
	return all;
}

/* ---- operations ---- */

json_t *openapi_roles(unsigned may)
{
	json_t *list = json_array();

	for (unsigned role = ROLE_NOBODY; role < ROLE_COUNT; role++) {
		if (mgmt_role_may(role, may))
			json_array_append_new(list, json_string(mgmt_role_name(role)));
	}
	return list;
}

static json_t *operation(const struct api_op *op)
{
	json_t *doc =
	    json_pack("{s:s, s:[s], s:s, s:o, s:o, s:o}", "operationId", op->id, "tags",
	              op->tag, "summary", op->summary, "x-roles", openapi_roles(op->may),
	              "parameters", parameters(op), "responses", answers(op));

	if (op->body)
		json_object_set_new(doc, "requestBody",
		                    json_pack("{s:b, s:{s:{s:o}}}", "required",
		                              !(op->traits & API_BARE), "content",
		                              "application/json", "schema",
		                              component(op->body->name)));
	if (op->may & MAY_ANYONE)
		json_object_set_new(doc, "security", json_pack("[{}]"));
	return doc;
}

static json_t *paths(void)
{
	json_t *all = json_object();

	for (const struct api_op *op = api_op_next(NULL); op; op = api_op_next(op)) {
		json_t *path = json_object_get(all, op->path);
		char method[16] = "";

		if (!path) {
			path = json_object();
			json_object_set_new(all, op->path, path);
		}
		for (size_t i = 0; op->method[i] && i + 1 < sizeof method; i++)
			method[i] = (char)rk_ascii_lower((unsigned char)op->method[i]);
		json_object_set_new(path, method, operation(op));
	}
	return all;
}

static json_t *problem_schema(void)
{
	return json_pack(
	    "{s:s, s:s, s:[s, s, s, s, s], s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s, s:s}, "
	    "s:{s:s}, s:{s:s, s:{s:s, s:[s, s], s:{s:{s:s, s:s}, s:{s:s}}}}}}",
	    "type", "object", "description", "RFC 9457.", "required", "type", "title", "status",
	    "code", "detail", "properties", "type", "type", "string", "title", "type", "string",
	    "status", "type", "integer", "code", "type", "string", "description",
	    "Stable, for programs.", "detail", "type", "string", "errors", "type", "array",
	    "items", "type", "object", "required", "pointer", "detail", "properties", "pointer",
	    "type", "string", "description", "JSON pointer, or the name of a parameter.",
	    "detail", "type", "string");
}

static json_t *schemas(void)
{
	json_t *all = json_object();

	for (const struct api_op *op = api_op_next(NULL); op; op = api_op_next(op)) {
		if (op->shows)
			openapi_add_schema(all, op->shows, true);
		if (op->body)
			openapi_add_schema(all, op->body, false);
	}
	json_object_set_new(all, "Problem", problem_schema());
	return all;
}

json_t *api_openapi(void)
{
	json_t *all = paths(), *components = schemas();

	openapi_add_leaks(all, components);
	return json_pack(
	    "{s:s, s:{s:s, s:s, s:s}, s:[{s:[]}], s:o, s:{s:o, s:{s:{s:s, s:s, s:s}}}}",
	    "openapi", "3.1.0", "info", "title", "RelayKey management", "version",
	    RELAYKEY_VERSION, "description",
	    "Everything that manages the broker. Unknown members and parameters are refused. "
	    "Names that a key's role may use stand in x-roles.",
	    "security", "managementKey", "paths", all, "components", "schemas", components,
	    "securitySchemes", "managementKey", "type", "http", "scheme", "bearer",
	    "description", "rk_mgmt_<role>_...");
}

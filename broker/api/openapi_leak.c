#include <stdio.h>

#include "api/fields.h"
#include "api/openapi_int.h"
#include "ipc/messages_contain.h"
#include "policy/mgmt_role.h"

/*
 * Reports of leaked keys: their bodies are no records, but they are documented with the rest
 * (console/leaks.c serves them).
 */

static json_t *answers(const uint16_t *statuses, json_t *good)
{
	json_t *all = json_object();
	char text[8];

	for (; *statuses; statuses++) {
		snprintf(text, sizeof text, "%u", *statuses);
		json_object_set_new(all, text,
		                    openapi_answer(*statuses, *statuses == 200 ? good : NULL));
	}
	return all;
}

static json_t *json_content(json_t *schema)
{
	return json_pack("{s:{s:o}}", "application/json", "schema", schema);
}

/* ---- of those who may operate ---- */

static json_t *list_body(void)
{
	json_t *tokens =
	    json_pack("{s:s, s:i, s:i, s:{s:s, s:i}, s:s}", "type", "array", "minItems", 1,
	              "maxItems", MSG_MAX_LEAK_TOKENS, "items", "type", "string", "minLength",
	              1, "description", "As they were found, without escapes in the JSON.");
	json_t *schema =
	    json_pack("{s:s, s:[s], s:{s:o}, s:b}", "type", "object", "required", "tokens",
	              "properties", "tokens", tokens, "additionalProperties", 0);

	return json_pack("{s:{s:o}, s:{s:{s:s, s:s}}}", "application/json", "schema", schema,
	                 "text/plain", "schema", "type", "string", "description",
	                 "One token a line.");
}

static json_t *list_operation(void)
{
	static const uint16_t statuses[] = {200, 400, 401, 403, 413, 415, 422, 429, 503, 0};
	json_t *good =
	    json_pack("{s:s, s:[s], s:{s:{s:s, s:{s:s}, s:s}}, s:b}", "type", "object",
	              "required", "data", "properties", "data", "type", "array", "items",
	              "$ref", "#/components/schemas/LeakVerdict", "description",
	              "One a token, in their order.", "additionalProperties", 0);

	return json_pack("{s:s, s:[s], s:s, s:o, s:[], s:{s:b, s:o}, s:o}", "operationId",
	                 "reportLeaks", "tags", "Leaked keys", "summary",
	                 "Revokes the keys in it that were issued here, at once", "x-roles",
	                 openapi_roles(MAY_OPERATE), "parameters", "requestBody", "required", 1,
	                 "content", list_body(), "responses",
	                 answers(statuses, json_content(good)));
}

/* ---- of secret scanners ---- */

static json_t *scanner_header(const char *name, const char *about)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:{s:s}}", "name", name, "in", "header",
	                 "description", about, "required", 1, "schema", "type", "string");
}

static json_t *scanner_body(void)
{
	json_t *one =
	    json_pack("{s:s, s:[s], s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}}}", "type", "object",
	              "required", "token", "properties", "token", "type", "string", "type",
	              "type", "string", "url", "type", "string", "source", "type", "string");

	return json_content(json_pack("{s:s, s:i, s:i, s:o}", "type", "array", "minItems", 1,
	                              "maxItems", MSG_MAX_LEAK_TOKENS, "items", one));
}

static json_t *scanner_answer(void)
{
	json_t *one = json_pack(
	    "{s:s, s:[s, s, s], s:{s:{s:s}, s:{s:s}, s:{s:s, s:[s, s]}}, s:b}", "type",
	    "object", "required", "token_raw", "token_type", "label", "properties", "token_raw",
	    "type", "string", "token_type", "type", "string", "label", "type", "string", "enum",
	    "true_positive", "false_positive", "additionalProperties", 0);

	return json_content(json_pack("{s:s, s:o}", "type", "array", "items", one));
}

static json_t *scanner_operation(void)
{
	static const uint16_t statuses[] = {200, 400, 401, 413, 415, 422, 429, 503, 0};

	return json_pack(
	    "{s:s, s:[s], s:s, s:s, s:[{}], s:o, s:[o, o], s:{s:b, s:o}, s:o}", "operationId",
	    "reportLeaksGithub", "tags", "Leaked keys", "summary",
	    "The same from a secret scanner", "description",
	    "As GitHub's secret scanning partner programme has it: needs no management key, "
	    "but a "
	    "signature (ECDSA P-256, SHA-256) over the body by a key of the settings' "
	    "leak_keys.",
	    "security", "x-roles", openapi_roles(MAY_ANYONE), "parameters",
	    scanner_header("Github-Public-Key-Identifier", "Which of leak_keys."),
	    scanner_header("Github-Public-Key-Signature", "Base64 of the signature in DER."),
	    "requestBody", "required", 1, "content", scanner_body(), "responses",
	    answers(statuses, scanner_answer()));
}

void openapi_add_leaks(json_t *paths, json_t *components)
{
	json_object_set_new(paths, "/api/v1/leaks",
	                    json_pack("{s:o}", "post", list_operation()));
	json_object_set_new(paths, "/api/v1/leaks/github",
	                    json_pack("{s:o}", "post", scanner_operation()));
	openapi_add_schema(components, &api_leak_verdict, true);
}

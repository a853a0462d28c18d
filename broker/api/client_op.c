#include "api/client.h"

/* Which operation says what a record says. */

/* A member of a record, whatever it is, for api_is_empty(). */
static bool is_zero(const struct record_field *r, const void *rec)
{
	static const uint16_t size[] = {
	    [RECORD_U8] = 1,  [RECORD_U16] = 2, [RECORD_U32] = 4,
	    [RECORD_U64] = 8, [RECORD_I64] = 8,
	};
	struct api_field f = {.offset = r->offset, .type = API_STRING};

	if (r->kind == RECORD_FIXED) {
		f.type = API_HEX;
		f.size = (uint16_t)r->max;
	} else if (r->kind != RECORD_BYTES && r->kind != RECORD_LIST) {
		f.type = API_INTEGER;
		f.size = size[r->kind];
	}
	return api_is_empty(&f, rec);
}

static bool is_there(const struct api_place *p, uint16_t offset)
{
	return p->size && p->offset == offset;
}

/* Which bits of the member at `offset` these fields bring; all of them when it is no mask. */
static uint64_t bits_of(const struct api_field *fields, unsigned count, uint16_t offset)
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct api_field *f = &fields[i];

		if (f->type == API_GROUP)
			bits |= bits_of(f->object->fields, f->object->count, offset);
		else if (f->size && f->offset == offset)
			bits |= f->type == API_FLAG ? f->bits : UINT64_MAX;
	}
	return bits;
}

/* Which members of a change the schema knows. */
static uint64_t members_of(const struct api_schema *s)
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < s->count; i++) {
		bits |= s->fields[i].set;
		if (s->fields[i].type == API_GROUP)
			bits |= members_of(s->fields[i].object);
	}
	return bits;
}

static uint64_t carried(const struct api_op *op, uint16_t offset)
{
	uint64_t bits = bits_of(op->path_values, op->path_count, offset) |
	                bits_of(op->query, op->query_count, offset);

	if (op->body)
		bits |= bits_of(op->body->fields, op->body->count, offset);
	if (op->body && op->body->partial && op->body->set_offset == offset)
		bits |= members_of(op->body);
	if (is_there(&op->after, offset) || is_there(&op->limit, offset))
		bits = UINT64_MAX;
	for (unsigned i = 0; i < API_PRESETS; i++) {
		if (is_there(&op->preset[i].at, offset))
			bits = UINT64_MAX; /* presets_agree() looks at the value */
	}
	return bits;
}

static bool carries(const struct api_op *op, const struct record_field *r, const void *rec)
{
	uint64_t bits = carried(op, r->offset);
	const struct api_field mask = {.offset = r->offset, .size = sizeof(uint32_t)};

	if (is_zero(r, rec) || bits == UINT64_MAX)
		return true;
	return r->kind == RECORD_U32 && (api_get(&mask, rec) & ~bits) == 0;
}

/* What an operation stands for is so in the record, or can be asked for otherwise. */
static bool presets_agree(const struct api_op *op, const void *rec)
{
	for (unsigned i = 0; i < API_PRESETS && op->preset[i].at.size; i++) {
		const struct api_field at = {.offset = op->preset[i].at.offset,
		                             .size = op->preset[i].at.size};
		uint64_t value = api_get(&at, rec);
		bool good = value == op->preset[i].value;

		for (unsigned q = 0; !good && q < op->query_count; q++) {
			const struct api_field *f = &op->query[q];

			good = f->size && f->offset == at.offset && value >= f->first &&
			       value <= f->last;
		}
		if (!good)
			return false;
	}
	return true;
}

static bool has_required(const struct api_field *fields, unsigned count, const void *rec)
{
	for (unsigned i = 0; i < count; i++) {
		const struct api_field *f = &fields[i];
		bool text = f->type == API_STRING || f->type == API_STRINGS ||
		            f->type == API_OBJECTS || f->type == API_GROUP;

		if ((f->traits & API_REQUIRED) && text && api_is_empty(f, rec))
			return false;
	}
	return true;
}

static bool is_whole(const struct api_op *op, const void *rec)
{
	return has_required(op->path_values, op->path_count, rec) &&
	       (!op->body || has_required(op->body->fields, op->body->count, rec));
}

static bool says_all(const struct api_op *op, const void *rec)
{
	const struct record_desc *d = ipc_row(op->command)->body;

	for (unsigned i = 0; i < d->field_count; i++) {
		if (!carries(op, &d->fields[i], rec))
			return false;
	}
	return presets_agree(op, rec);
}

const struct api_op *api_client_op(enum ipc_type command, const void *rec)
{
	const struct api_op *found = NULL;

	for (const struct api_op *op = api_op_next(NULL); op; op = api_op_next(op)) {
		if (op->command != command || !says_all(op, rec))
			continue;
		if (is_whole(op, rec))
			return op;
		/* what is missing in it is the broker's to say */
		found = found ? found : op;
	}
	return found;
}

#include "api/decode.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/ipaddr.h"

/* What decoding a document shares; `pointer` grows and shrinks with the depth. */
struct decoding {
	enum api_decode_mode mode;
	struct api_room *room;
	struct api_errors *errors;
	char pointer[API_POINTER_MAX];
	size_t depth; /* bytes of it */
	int err;      /* RK_E_NOMEM: not the document's fault */
};

void api_room_free(struct api_room *r)
{
	while (r->used)
		rk_secret_free(&r->block[--r->used]);
}

int api_room_block(struct api_room *r, size_t n, struct rk_secret **out)
{
	int err;

	if (r->used == API_ROOM_BLOCKS)
		return RK_E_NOMEM;
	err = rk_secret_alloc(&r->block[r->used], n ? n : 1);
	if (err == 0)
		*out = &r->block[r->used++];
	return err;
}

void api_error(struct api_errors *e, const char *pointer, const char *fmt, ...)
{
	va_list ap;

	if (e->count == API_ERRORS_MAX) {
		e->more = true;
		return;
	}
	snprintf(e->at[e->count].pointer, sizeof e->at[0].pointer, "%s", pointer);
	va_start(ap, fmt);
	vsnprintf(e->at[e->count].detail, sizeof e->at[0].detail, fmt, ap);
	va_end(ap);
	e->count++;
}

/* ---- the pointer ---- */

/* Goes down into `name`; returns what pointer_up() needs. */
static size_t pointer_down(struct decoding *d, const char *name)
{
	size_t before = d->depth;
	int n = snprintf(d->pointer + before, sizeof d->pointer - before, "/%s", name);

	if (n > 0 && before + (size_t)n < sizeof d->pointer)
		d->depth = before + (size_t)n;
	else
		d->pointer[before] = '\0';
	return before;
}

static void pointer_up(struct decoding *d, size_t before)
{
	d->depth = before;
	d->pointer[before] = '\0';
}

static size_t pointer_index(struct decoding *d, size_t i)
{
	char text[24];

	snprintf(text, sizeof text, "%zu", i);
	return pointer_down(d, text);
}

#define REFUSE(d, ...) api_error((d)->errors, (d)->pointer, __VA_ARGS__)

/* ---- values ---- */

static void take_string(struct decoding *d, const struct api_field *f, const json_t *v,
                        void *rec)
{
	size_t n = json_string_length(v);

	if (!json_is_string(v))
		REFUSE(d, "must be a string");
	else if (n > f->max)
		REFUSE(d, "has more than %llu bytes", (unsigned long long)f->max);
	else if (n == 0 && d->mode == API_REQUEST && (f->traits & API_REQUIRED))
		REFUSE(d, "must not be empty");
	else
		api_put_slice(f, rec, rk_slice(json_string_value(v), n));
}

static void take_strings(struct decoding *d, const struct api_field *f, const json_t *v,
                         void *rec)
{
	size_t bytes = 0, used = 0, i;
	struct rk_secret *block;
	const json_t *item;
	bool good = json_is_array(v);

	if (!good)
		REFUSE(d, "must be an array of strings");
	json_array_foreach(v, i, item)
	{
		bytes += 4 + json_string_length(item);
		if (!json_is_string(item)) {
			size_t up = pointer_index(d, i);

			REFUSE(d, "must be a string");
			pointer_up(d, up);
			good = false;
		}
	}
	if (good && bytes > f->max) {
		REFUSE(d, "is too long");
		good = false;
	}
	if (!good || bytes == 0)
		return;
	d->err = api_room_block(d->room, bytes, &block);
	for (i = 0; d->err == 0 && i < json_array_size(v); i++) {
		item = json_array_get(v, i);
		d->err = record_list_add(
		    block->p, block->cap, &used,
		    rk_slice(json_string_value(item), json_string_length(item)));
	}
	if (d->err)
		return;
	block->len = used;
	api_put_slice(f, rec, rk_secret_slice(block));
}

static void take_number(struct decoding *d, const struct api_field *f, uint64_t n, void *rec)
{
	uint64_t max = api_field_max(f);

	if (n < f->min || n > max)
		REFUSE(d, "must be from %llu to %llu", (unsigned long long)f->min,
		       (unsigned long long)max);
	else
		api_put(f, rec, f->type == API_SECONDS ? n * 1000 : n);
}

static void take_integer(struct decoding *d, const struct api_field *f, const json_t *v,
                         void *rec)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		REFUSE(d, "must be a whole number, not negative");
	else
		take_number(d, f, (uint64_t)json_integer_value(v), rec);
}

static void put_bool(const struct api_field *f, bool on, void *rec)
{
	if (f->type == API_FLAG)
		api_put(f, rec,
		        on ? api_get(f, rec) | f->bits : api_get(f, rec) & ~(uint64_t)f->bits);
	else
		api_put(f, rec, on != !!(f->traits & API_NOT));
}

static void take_bool(struct decoding *d, const struct api_field *f, const json_t *v, void *rec)
{
	if (!json_is_boolean(v))
		REFUSE(d, "must be true or false");
	else
		put_bool(f, json_is_true(v), rec);
}

/* "app, agent, person or vendor" */
static void refuse_enum(struct decoding *d, const struct api_field *f)
{
	char names[100] = "";
	size_t used = 0;

	for (unsigned i = f->first; i <= f->last && used < sizeof names; i++) {
		int n = snprintf(names + used, sizeof names - used, "%s%s",
		                 i == f->first  ? ""
		                 : i == f->last ? " or "
		                                : ", ",
		                 f->value(i));

		used += n > 0 ? (size_t)n : 0;
	}
	REFUSE(d, "must be %s", used < sizeof names ? names : "one of the documented values");
}

static void take_name(struct decoding *d, const struct api_field *f, struct rk_slice text,
                      void *rec)
{
	for (unsigned i = f->first; i <= f->last; i++) {
		if (rk_slice_is(text, f->value(i))) {
			api_put(f, rec, i);
			return;
		}
	}
	refuse_enum(d, f);
}

static void take_names(struct decoding *d, const struct api_field *f, const json_t *v,
                       void *rec)
{
	uint64_t mask = 0;
	const json_t *item;
	size_t i;

	if (!json_is_array(v)) {
		REFUSE(d, "must be an array of names");
		return;
	}
	json_array_foreach(v, i, item)
	{
		size_t up = pointer_index(d, i);
		const char *name = json_string_value(item);
		unsigned value = f->first;

		while (name && value <= f->last && strcmp(name, f->value(value)) != 0)
			value++;
		if (!name)
			REFUSE(d, "must be a string");
		else if (value > f->last)
			refuse_enum(d, f);
		else
			mask |= UINT64_C(1) << value;
		pointer_up(d, up);
	}
	api_put(f, rec, mask);
}

static void take_time(struct decoding *d, const struct api_field *f, struct rk_slice text,
                      void *rec)
{
	int64_t ms;

	if (rk_time_parse(text, &ms) || ms <= 0)
		REFUSE(d, "must be a date-time of RFC 3339, such as 2030-01-31T12:00:00Z");
	else
		api_put(f, rec, (uint64_t)ms);
}

/* A text that stands for a whole FIXED member. */
static bool take_fixed(const struct api_field *f, struct rk_slice text, void *rec)
{
	unsigned char *at = (unsigned char *)rec + f->offset;
	struct rk_ip ip;

	if (f->type == API_ADDRESS) {
		if (rk_ip_parse(text, &ip))
			return false;
		memcpy(at, ip.b, sizeof ip.b);
		return true;
	}
	if (f->type == API_REQUEST_ID || f->type == API_EVENT_ID) {
		if (!rk_slice_starts(text, rk_str(f->type == API_EVENT_ID ? "evt_" : "req_")))
			return false;
		text = rk_slice_skip(text, 4);
	}
	if (text.n != 2 * (size_t)f->size)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *digit = memchr(digits, text.p[i], 16);

		if (!digit)
			return false;
		at[i / 2] = (unsigned char)(at[i / 2] << 4 | (digit - digits));
	}
	return true;
}

static void take_text(struct decoding *d, const struct api_field *f, struct rk_slice text,
                      void *rec)
{
	switch ((enum api_type)f->type) {
	case API_ENUM:
		take_name(d, f, text, rec);
		break;
	case API_TIME:
		take_time(d, f, text, rec);
		break;
	default:
		if (!take_fixed(f, text, rec))
			REFUSE(d, "has not the form that is documented");
		break;
	}
}

static void take_object(struct decoding *d, const struct api_schema *s, json_t *doc, void *rec);

/* Room for any record that nests in another. */
union nested {
	max_align_t align;
	char room[1024];
};

static int add_object(struct decoding *d, const struct api_schema *s, json_t *item,
                      struct rk_secret *list, struct rk_secret *one)
{
	union nested rec = {{0}};
	ssize_t n;

	if (s->desc->struct_size > sizeof rec)
		return RK_E_UNSUPPORTED;
	take_object(d, s, item, &rec);
	if (d->err)
		return d->err;
	n = record_encode(s->desc, &rec, one->p, one->cap);
	if (n < 0)
		return (int)n;
	one->len = (size_t)n;
	return record_list_add(list->p, list->cap, &list->len, rk_secret_slice(one));
}

static void take_objects(struct decoding *d, const struct api_field *f, json_t *v, void *rec)
{
	unsigned before = d->errors->count;
	struct rk_secret *list = NULL, one = {0};
	json_t *item;
	size_t i;

	if (!json_is_array(v)) {
		REFUSE(d, "must be an array of objects");
		return;
	}
	if (json_array_size(v) == 0)
		return;
	/* its members' lists take blocks of the room as well, but only until they are copied */
	d->err = api_room_block(d->room, f->max, &list);
	if (d->err == 0)
		d->err = rk_secret_alloc(&one,
		                         f->max < SECRET_MAX_BYTES ? f->max : SECRET_MAX_BYTES);
	json_array_foreach(v, i, item)
	{
		size_t up;
		unsigned rooms = d->room->used;
		int err;

		if (d->err)
			break;
		up = pointer_index(d, i);
		err = add_object(d, f->object, item, list, &one);
		if (err == RK_E_TOOBIG && d->err == 0 && d->errors->count == before)
			REFUSE(d, "is too long");
		pointer_up(d, up);
		rk_secret_wipe(&one);
		while (d->room->used > rooms)
			rk_secret_free(&d->room->block[--d->room->used]);
	}
	rk_secret_free(&one);
	if (d->err == 0 && d->errors->count == before)
		api_put_slice(f, rec, rk_secret_slice(list));
}

static void take_value(struct decoding *d, const struct api_field *f, json_t *v, void *rec)
{
	if (json_is_null(v) && (f->traits & API_NULL))
		return; /* the record is zero there */
	switch ((enum api_type)f->type) {
	case API_STRING:
		take_string(d, f, v, rec);
		break;
	case API_STRINGS:
		take_strings(d, f, v, rec);
		break;
	case API_INTEGER:
	case API_SECONDS:
		take_integer(d, f, v, rec);
		break;
	case API_BOOL:
	case API_FLAG:
		take_bool(d, f, v, rec);
		break;
	case API_NAMES:
		take_names(d, f, v, rec);
		break;
	case API_GROUP:
		take_object(d, f->object, v, rec);
		break;
	case API_OBJECTS:
		take_objects(d, f, v, rec);
		break;
	case API_ENUM:
	case API_TIME:
	case API_HEX:
	case API_REQUEST_ID:
	case API_ADDRESS:
	case API_EVENT_ID:
		if (json_is_string(v))
			take_text(d, f, rk_slice(json_string_value(v), json_string_length(v)),
			          rec);
		else
			REFUSE(d, "must be a string");
		break;
	}
}

/* ---- objects ---- */

static const struct api_field *field_named(const struct api_schema *s, const char *name)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (strcmp(s->fields[i].name, name) == 0)
			return &s->fields[i];
	}
	return NULL;
}

/* A name in the style of this interface is a mistake that is worth showing; anything else may
 * be a secret in the wrong place. */
static bool may_show(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz_");

	return n > 0 && n <= 40 && name[n] == '\0';
}

static void refuse_unknown(struct decoding *d, const char *name)
{
	size_t up;

	if (!may_show(name)) {
		REFUSE(d, "has a member that is not known");
		return;
	}
	up = pointer_down(d, name);
	REFUSE(d, "is not known");
	pointer_up(d, up);
}

static void note_set(const struct api_schema *s, const struct api_field *f, void *rec)
{
	uint32_t set;

	if (!s->partial)
		return;
	memcpy(&set, (char *)rec + s->set_offset, sizeof set);
	set |= f->set;
	memcpy((char *)rec + s->set_offset, &set, sizeof set);
}

static void take_object(struct decoding *d, const struct api_schema *s, json_t *doc, void *rec)
{
	const char *name;
	json_t *v;
	size_t up;

	if (!json_is_object(doc)) {
		REFUSE(d, "must be an object");
		return;
	}
	json_object_foreach(doc, name, v)
	{
		const struct api_field *f = field_named(s, name);

		if (d->err)
			break;
		if (!f) {
			if (d->mode == API_REQUEST)
				refuse_unknown(d, name);
			continue;
		}
		up = pointer_down(d, name);
		take_value(d, f, v, rec);
		pointer_up(d, up);
		note_set(s, f, rec);
	}
	for (unsigned i = 0; d->mode == API_REQUEST && d->err == 0 && i < s->count; i++) {
		if (!(s->fields[i].traits & API_REQUIRED) ||
		    json_object_get(doc, s->fields[i].name))
			continue;
		up = pointer_down(d, s->fields[i].name);
		REFUSE(d, "is missing");
		pointer_up(d, up);
	}
}

int api_decode(const struct api_schema *s, enum api_decode_mode mode, json_t *doc, void *rec,
               struct api_room *room, struct api_errors *errors)
{
	struct decoding d = {.mode = mode, .room = room, .errors = errors};

	if (s->desc)
		memset(rec, 0, s->desc->struct_size);
	errors->count = 0;
	errors->more = false;
	take_object(&d, s, doc, rec);
	if (d.err)
		return d.err;
	return errors->count ? RK_E_INVALID : 0;
}

/* ---- parameters ---- */

static void take_parameter(struct decoding *d, const struct api_field *f, struct rk_slice text,
                           void *rec)
{
	struct rk_secret *block;
	uint64_t n;

	switch ((enum api_type)f->type) {
	case API_STRING:
		if (text.n == 0)
			REFUSE(d, "must not be empty");
		else if (text.n > f->max)
			REFUSE(d, "has more than %llu bytes", (unsigned long long)f->max);
		else
			api_put_slice(f, rec, text);
		break;
	case API_STRINGS:
		d->err = api_room_block(d->room, text.n + 4, &block);
		if (d->err == 0)
			d->err = record_list_add(block->p, block->cap, &block->len, text);
		if (d->err == 0)
			api_put_slice(f, rec, rk_secret_slice(block));
		break;
	case API_INTEGER:
	case API_SECONDS:
		if (rk_slice_u64(text, &n))
			take_number(d, f, n, rec);
		else
			REFUSE(d, "must be a whole number, not negative");
		break;
	case API_BOOL:
	case API_FLAG:
		if (rk_slice_is(text, "true") || rk_slice_is(text, "false"))
			put_bool(f, text.n == 4, rec);
		else
			REFUSE(d, "must be true or false");
		break;
	default:
		take_text(d, f, text, rec);
		break;
	}
}

int api_decode_text(const struct api_field *f, struct rk_slice text, void *rec,
                    struct api_room *room, struct api_errors *errors)
{
	struct decoding d = {.room = room, .errors = errors};
	unsigned before = errors->count;

	snprintf(d.pointer, sizeof d.pointer, "%s", f->name);
	take_parameter(&d, f, text, rec);
	if (d.err)
		return d.err;
	return errors->count > before ? RK_E_INVALID : 0;
}

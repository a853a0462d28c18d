/*
 * Writes one seed a message type for fuzz_ipc, named after the type, into the directory
 * argv[1]: each field with something in it. `make corpus-ipc` after a change of the catalogue.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "ipc/frame.h"
#include "tests/fuzz/ipc_directions.h"

enum { FIELD_BYTES = 6 };

/* Texts are "aaaaaa", "bbbbbb", ...; a list has one of them. */
static void fill(const struct record_desc *d, void *rec, char mem[][FIELD_BYTES + 4])
{
	memset(rec, 0, d->struct_size);
	for (size_t i = 0; i < d->field_count; i++) {
		const struct record_field *f = &d->fields[i];
		size_t used = 0, n = f->max < FIELD_BYTES ? f->max : FIELD_BYTES;
		char text[FIELD_BYTES];
		struct rk_slice s;

		memset(text, 'a' + (int)(i % 26), sizeof text);
		switch ((enum record_kind)f->kind) {
		case RECORD_BYTES:
			memcpy(mem[i], text, n);
			s = rk_slice(mem[i], n);
			memcpy((char *)rec + f->offset, &s, sizeof s);
			break;
		case RECORD_LIST:
			if (record_list_add(mem[i], FIELD_BYTES + 4, &used, rk_slice(text, n)))
				abort();
			s = rk_slice(mem[i], used);
			memcpy((char *)rec + f->offset, &s, sizeof s);
			break;
		case RECORD_FIXED:
			memset((char *)rec + f->offset, (int)i, f->max);
			break;
		default: /* every integer is little-endian here */
			((unsigned char *)rec)[f->offset] = (unsigned char)(i + 1);
		}
	}
}

static int direction_of(const struct ipc_row *row)
{
	for (unsigned i = 0; i < IPC_DIRECTIONS; i++) {
		if ((row->from & IPC_BIT(ipc_directions[i].from)) &&
		    (row->to & IPC_BIT(ipc_directions[i].to)))
			return (int)i;
	}
	abort();
}

static void write_seed(const char *dir, unsigned type, const struct ipc_row *row)
{
	static unsigned char out[IPC_MAX_DATAGRAM + 1];
	static char mem[64][FIELD_BYTES + 4];
	char path[4096];
	union ipc_body body;
	size_t used = 0;
	int at;
	FILE *f;

	fill(row->body, &body, mem);
	if (ipc_frame_add(out + 1, IPC_MAX_DATAGRAM, &used, type, 0x1122334455667788u, &body))
		abort();
	out[0] = (unsigned char)(direction_of(row) << 1 | (row->phase == IPC_PHASE_SETUP));
	at = snprintf(path, sizeof path, "%s/", dir);
	for (const char *c = row->name; *c && at < (int)sizeof path - 1; c++)
		path[at++] = *c == '_' ? '-' : (char)tolower((unsigned char)*c);
	path[at] = '\0';
	f = fopen(path, "wb");
	if (!f || fwrite(out, 1, used + 1, f) != used + 1 || fclose(f)) {
		perror(path);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	for (unsigned type = 1; type < MSG_TYPES; type++)
		write_seed(argv[1], type, ipc_row(type));
	return 0;
}

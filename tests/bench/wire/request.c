#include "tests/bench/wire/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/wire/tls.h"

enum { KEY_LINE = 256 };

static void add(struct requests *r, const char *path, const char *key, uint64_t body_bytes)
{
	char length[64] = "", *head;
	int n;

	r->head = realloc(r->head, (r->count + 1) * sizeof *r->head);
	r->len = realloc(r->len, (r->count + 1) * sizeof *r->len);
	if (body_bytes)
		snprintf(length, sizeof length, "Content-Length: %llu\r\n",
		         (unsigned long long)body_bytes);
	n = asprintf(&head,
	             "%s %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n%s\r\n",
	             body_bytes ? "POST" : "GET", path, key, length);
	if (!r->head || !r->len || n < 0)
		wire_die("out of memory");
	r->head[r->count] = head;
	r->len[r->count++] = (size_t)n;
}

struct requests requests_make(const char *path, const char *keys, uint64_t body_bytes)
{
	struct requests r = {0};
	char line[KEY_LINE];
	FILE *f = fopen(keys, "re");

	if (!f)
		wire_die("cannot read %s", keys);
	while (fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0])
			add(&r, path, line, body_bytes);
	}
	fclose(f);
	if (r.count == 0)
		wire_die("%s holds no key", keys);
	return r;
}

void requests_free(struct requests *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->head[i]);
	free(r->head);
	free(r->len);
}

const char *requests_next(struct requests *r, size_t *len)
{
	size_t i = r->next;

	r->next = (i + 1) % r->count;
	*len = r->len[i];
	return r->head[i];
}

#include "tests/bench/wire/message.h"

#include <stdlib.h>
#include <string.h>

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

void message_reset(struct message *m)
{
	m->state = MESSAGE_HEAD;
	m->head_len = 0;
	m->line_len = 0;
	m->left = 0;
	m->body = 0;
}

/* The value of a field of a head that ends in NUL; NULL when it is not there. */
static const char *field(const struct message *m, const char *name)
{
	const char *line = m->head;
	size_t n = strlen(name);

	while ((line = strstr(line, "\r\n"))) {
		line += 2;
		if (strncasecmp(line, name, n) == 0 && line[n] == ':')
			return line + n + 1;
	}
	return NULL;
}

static void head_complete(struct message *m)
{
	const char *length = field(m, "content-length");

	if (field(m, "transfer-encoding")) {
		m->state = MESSAGE_CHUNK_SIZE;
		return;
	}
	m->left = length ? strtoull(length, NULL, 10) : 0;
	m->state = m->left ? MESSAGE_BODY : MESSAGE_DONE;
}

static size_t feed_head(struct message *m, const char *p, size_t n)
{
	size_t before = m->head_len;
	size_t from = before > 3 ? before - 3 : 0;
	size_t take = least(n, MESSAGE_HEAD_MAX - before);
	char *end;

	memcpy(m->head + before, p, take);
	end = memmem(m->head + from, before + take - from, "\r\n\r\n", 4);
	if (end) {
		m->head_len = (size_t)(end - m->head) + 4;
		m->head[m->head_len - 2] = '\0'; /* the last field keeps its line end */
		head_complete(m);
		return m->head_len - before;
	}
	m->head_len = before + take;
	if (m->head_len == MESSAGE_HEAD_MAX)
		m->state = MESSAGE_BAD;
	return take;
}

static size_t feed_bytes(struct message *m, const char *p, size_t n, enum message_state then)
{
	size_t take = m->left < n ? (size_t)m->left : n;

	if (m->on_body)
		m->on_body(m->arg, p, take);
	m->body += take;
	m->left -= take;
	if (m->left == 0)
		m->state = then;
	return take;
}

static void line_complete(struct message *m)
{
	m->line[m->line_len] = '\0';
	if (m->state == MESSAGE_CHUNK_END) {
		m->state = MESSAGE_CHUNK_SIZE;
	} else if (m->state == MESSAGE_TRAILER) {
		if (m->line_len <= 1)
			m->state = MESSAGE_DONE;
	} else {
		m->left = strtoull(m->line, NULL, 16);
		m->state = m->left ? MESSAGE_CHUNK : MESSAGE_TRAILER;
	}
	m->line_len = 0;
}

static size_t feed_line(struct message *m, const char *p, size_t n)
{
	const char *lf = memchr(p, '\n', n);
	size_t take = lf ? (size_t)(lf - p) : n;
	size_t keep = least(take, sizeof m->line - 1 - m->line_len);

	memcpy(m->line + m->line_len, p, keep);
	m->line_len += keep;
	if (!lf)
		return take;
	line_complete(m);
	return take + 1;
}

size_t message_feed(struct message *m, const char *p, size_t n)
{
	size_t used = 0;

	while (used < n && m->state != MESSAGE_DONE && m->state != MESSAGE_BAD) {
		if (m->state == MESSAGE_HEAD)
			used += feed_head(m, p + used, n - used);
		else if (m->state == MESSAGE_BODY)
			used += feed_bytes(m, p + used, n - used, MESSAGE_DONE);
		else if (m->state == MESSAGE_CHUNK)
			used += feed_bytes(m, p + used, n - used, MESSAGE_CHUNK_END);
		else
			used += feed_line(m, p + used, n - used);
	}
	return used;
}

int message_status(const struct message *m)
{
	if (m->state == MESSAGE_HEAD || strncmp(m->head, "HTTP/1.", 7) != 0)
		return 0;
	return (int)strtol(m->head + 9, NULL, 10);
}

#include "relay/guide.h"

enum block { NOTHING, PARAGRAPH, LIST, TABLE, FENCE };

struct writer {
	struct rk_buf *out;
	enum block in;
	int err;
};

static void put(struct writer *w, const char *s)
{
	if (!w->err)
		w->err = rk_buf_add(w->out, s, strlen(s));
}

static void put_escaped(struct writer *w, struct rk_slice s)
{
	for (size_t i = 0; i < s.n && !w->err; i++) {
		switch (s.p[i]) {
		case '&':
			put(w, "&amp;");
			break;
		case '<':
			put(w, "&lt;");
			break;
		case '>':
			put(w, "&gt;");
			break;
		case '"':
			put(w, "&quot;");
			break;
		default:
			w->err = rk_buf_add(w->out, s.p + i, 1);
		}
	}
}

/* "[text](url)" at the beginning of s: its length, or 0. */
static size_t link_at(struct rk_slice s, struct rk_slice *text, struct rk_slice *url)
{
	const char *middle = s.n && s.p[0] == '[' ? memmem(s.p, s.n, "](", 2) : NULL;
	const char *close;

	if (!middle)
		return 0;
	close = memchr(middle, ')', s.n - (size_t)(middle - s.p));
	if (!close)
		return 0;
	*text = rk_slice(s.p + 1, (size_t)(middle - s.p) - 1);
	*url = rk_slice(middle + 2, (size_t)(close - middle) - 2);
	return (size_t)(close - s.p) + 1;
}

/* "`code`" at the beginning of s: its length, or 0. */
static size_t code_at(struct rk_slice s, struct rk_slice *code)
{
	const char *close = s.n > 1 && s.p[0] == '`' ? memchr(s.p + 1, '`', s.n - 1) : NULL;

	if (!close)
		return 0;
	*code = rk_slice(s.p + 1, (size_t)(close - s.p) - 1);
	return code->n + 2;
}

static void put_inline(struct writer *w, struct rk_slice s)
{
	struct rk_slice a, b;
	size_t n;

	while (s.n && !w->err) {
		if ((n = code_at(s, &a))) {
			put(w, "<code>");
			put_escaped(w, a);
			put(w, "</code>");
		} else if ((n = link_at(s, &a, &b))) {
			put(w, "<a href=\"");
			put_escaped(w, b);
			put(w, "\">");
			put_escaped(w, a);
			put(w, "</a>");
		} else {
			n = 1;
			put_escaped(w, rk_slice(s.p, 1));
		}
		s = rk_slice_skip(s, n);
	}
}

static void enter(struct writer *w, enum block block)
{
	static const char *const open[] = {
	    [NOTHING] = "",        [PARAGRAPH] = "<p>",     [LIST] = "<ul>\n",
	    [TABLE] = "<table>\n", [FENCE] = "<pre><code>",
	};
	static const char *const close[] = {
	    [NOTHING] = "",         [PARAGRAPH] = "</p>\n",      [LIST] = "</ul>\n",
	    [TABLE] = "</table>\n", [FENCE] = "</code></pre>\n",
	};

	if (w->in == block)
		return;
	put(w, close[w->in]);
	put(w, open[block]);
	w->in = block;
}

static void put_cells(struct writer *w, struct rk_slice line, const char *cell)
{
	char tag[8];

	line = rk_slice_skip(line, 1);
	put(w, "<tr>");
	while (line.n) {
		const char *bar = memchr(line.p, '|', line.n);
		struct rk_slice text = rk_slice(line.p, bar ? (size_t)(bar - line.p) : line.n);

		line = rk_slice_skip(line, text.n + 1);
		if (!bar)
			break;
		tag[0] = '<';
		memcpy(tag + 1, cell, 2);
		memcpy(tag + 3, ">", 2);
		put(w, tag);
		put_inline(w, text);
		put(w, "</");
		put(w, cell);
		put(w, ">");
	}
	put(w, "</tr>\n");
}

static void put_table_row(struct writer *w, struct rk_slice line)
{
	bool first = w->in != TABLE;

	if (rk_slice_starts(line, rk_str("|---")))
		return;
	enter(w, TABLE);
	put_cells(w, line, first ? "th" : "td");
}

static void put_heading(struct writer *w, struct rk_slice line)
{
	static const char *const open[] = {"", "<h1>", "<h2>", "<h3>"};
	static const char *const close[] = {"", "</h1>\n", "</h2>\n", "</h3>\n"};
	size_t level = 0;

	while (level < 3 && level < line.n && line.p[level] == '#')
		level++;
	enter(w, NOTHING);
	put(w, open[level]);
	put_inline(w, rk_slice_skip(line, level + 1));
	put(w, close[level]);
}

static void put_line(struct writer *w, struct rk_slice line)
{
	bool fence = rk_slice_starts(line, rk_str("```"));

	if (fence) {
		enter(w, w->in == FENCE ? NOTHING : FENCE);
	} else if (w->in == FENCE) {
		put_escaped(w, line);
		put(w, "\n");
	} else if (!line.n) {
		enter(w, NOTHING);
	} else if (line.p[0] == '#') {
		put_heading(w, line);
	} else if (line.p[0] == '|') {
		put_table_row(w, line);
	} else if (rk_slice_starts(line, rk_str("- "))) {
		enter(w, LIST);
		put(w, "<li>");
		put_inline(w, rk_slice_skip(line, 2));
		put(w, "</li>\n");
	} else {
		if (w->in == PARAGRAPH)
			put(w, "\n");
		enter(w, PARAGRAPH);
		put_inline(w, line);
	}
}

int guide_html(struct rk_slice markdown, struct rk_buf *out)
{
	static const char head[] =
	    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	    "<title>RelayKey proxy</title>\n<style>\n"
	    ":root{color-scheme:light dark}"
	    "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem "
	    "auto;padding:0 1rem}"
	    "pre{overflow-x:auto;padding:.8rem;border:1px solid #8886;border-radius:4px}"
	    "code{font:.9em ui-monospace,monospace}"
	    "table{border-collapse:collapse;display:block;overflow-x:auto}"
	    "th,td{border:1px solid #8886;padding:.3rem .6rem;text-align:left;"
	    "vertical-align:top}\n"
	    "</style>\n</head>\n<body>\n<main>\n";
	struct writer w = {.out = out};

	put(&w, head);
	while (markdown.n && !w.err) {
		const char *lf = memchr(markdown.p, '\n', markdown.n);
		size_t n = lf ? (size_t)(lf - markdown.p) : markdown.n;

		put_line(&w, rk_slice(markdown.p, n));
		markdown = rk_slice_skip(markdown, n + 1);
	}
	enter(&w, NOTHING);
	put(&w, "</main>\n</body>\n</html>\n");
	return w.err;
}

#include "policy/env_file.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_name_byte(char c, bool first)
{
	unsigned char low = rk_ascii_lower((unsigned char)c);

	if ((low >= 'a' && low <= 'z') || c == '_')
		return true;
	return !first && ((c >= '0' && c <= '9') || c == '.' || c == '-');
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && is_blank(*p))
		p++;
	return p;
}

/* The end of the line at p: where its line end begins. */
static const char *line_stop(const char *p, const char *end)
{
	const char *lf = memchr(p, '\n', (size_t)(end - p));
	const char *stop = lf ? lf : end;

	return lf && stop > p && stop[-1] == '\r' ? stop - 1 : stop;
}

/* Behind the line end that begins at `stop`. */
static const char *after_line(const char *stop, const char *end)
{
	if (stop < end && *stop == '\r')
		stop++;
	return stop < end ? stop + 1 : stop;
}

/* The quote that closes the one before p, or NULL. */
static const char *closing_quote(const char *p, const char *end, char quote)
{
	for (; p < end; p++) {
		if (*p == quote)
			return p;
		if (*p == '\\' && quote == '"' && p + 1 < end)
			p++;
	}
	return NULL;
}

/* Whether nothing but blanks and a comment follows until the line ends. */
static bool ends_here(const char *p, const char *stop)
{
	p = skip_blanks(p, stop);
	return p == stop || *p == '#';
}

/* 1: quoted, 0: not. */
static bool take_quoted(const char *p, const char *end, struct env_line *out, const char **stop)
{
	char quote = *p;
	const char *close, *line;

	if (quote != '"' && quote != '\'' && quote != '`')
		return false;
	close = closing_quote(p + 1, end, quote);
	if (!close)
		return false;
	line = line_stop(close, end);
	if (!ends_here(close + 1, line))
		return false;
	out->quote = quote;
	out->value = rk_slice(p + 1, (size_t)(close - p - 1));
	*stop = line;
	return true;
}

static struct rk_slice take_plain(const char *p, const char *stop)
{
	const char *last = p;

	for (const char *q = p; q < stop; q++) {
		/* the '=' or the blanks behind it stand before p */
		if (*q == '#' && (q == p || is_blank(q[-1])))
			break;
		if (!is_blank(*q))
			last = q + 1;
	}
	return rk_slice(p, (size_t)(last - p));
}

/* Behind "export" and the blanks after it, when that stands here. */
static const char *skip_export(const char *p, const char *stop)
{
	static const struct rk_slice word = {"export", 6};

	if ((size_t)(stop - p) <= word.n || memcmp(p, word.p, word.n) != 0 ||
	    !is_blank(p[word.n]))
		return p;
	return skip_blanks(p + word.n, stop);
}

/* Fills all but raw and end; *stop is where the line end begins. */
static void take_assignment(const char *p, const char *end, struct env_line *out,
                            const char **stop)
{
	const char *name, *after;

	p = skip_blanks(p, *stop);
	name = skip_export(p, *stop);
	out->exported = name != p;
	for (after = name; after < *stop && is_name_byte(*after, after == name); after++)
		;
	p = skip_blanks(after, *stop);
	if (after == name || p == *stop || *p != '=')
		return;
	out->name = rk_slice(name, (size_t)(after - name));
	p = skip_blanks(p + 1, *stop);
	if (p < *stop && take_quoted(p, end, out, stop))
		return;
	out->value = take_plain(p, *stop);
}

bool env_file_next(struct rk_slice text, size_t *at, struct env_line *out)
{
	static const char mark[] = "\xef\xbb\xbf"; /* a byte order mark at the beginning */
	const char *begin, *end, *p, *stop, *next;

	if (*at >= text.n)
		return false;
	begin = p = text.p + *at;
	end = text.p + text.n;
	*out = (struct env_line){.name = {begin, 0}, .value = {begin, 0}};
	if (*at == 0 && text.n >= 3 && memcmp(p, mark, 3) == 0)
		p += 3;
	stop = line_stop(p, end);
	take_assignment(p, end, out, &stop);
	next = after_line(stop, end);
	out->raw = rk_slice(begin, (size_t)(next - begin));
	out->end = rk_slice(stop, (size_t)(next - stop));
	*at = (size_t)(next - text.p);
	return true;
}

bool env_value_is_plain(struct rk_slice value)
{
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if (c <= ' ' || c >= 0x7f || strchr("\"'`\\#$", c))
			return false;
	}
	return value.n > 0;
}

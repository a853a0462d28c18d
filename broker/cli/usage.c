#include "cli/usage.h"

static bool is_option_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

static struct rk_slice option_at(const char *p)
{
	size_t n = 2;

	if (p[0] != '-' || p[1] != '-' || !(p[2] >= 'a' && p[2] <= 'z'))
		return rk_slice(p, 0);
	while (is_option_byte(p[n]))
		n++;
	return rk_slice(p, n);
}

/* One word at p, brackets that open in it closed in it: "basic[:USER]". */
static size_t word_at(const char *p)
{
	size_t n = 0;
	int open = 0;

	for (; p[n] && p[n] != ' ' && p[n] != '\n'; n++) {
		if (p[n] == '[' || p[n] == '(')
			open++;
		else if ((p[n] == ']' || p[n] == ')') && open-- == 0)
			break;
	}
	return n;
}

static struct rk_slice value_at(const char *p)
{
	const char *begin = p;
	size_t n;

	if (*p != ' ' || p[1] == '[' || p[1] == '(' || p[1] == '|' || p[1] == '-')
		return rk_slice(p, 0);
	begin = p + 1;
	n = word_at(begin);
	/* "a | b", but not "a | --other" */
	while (n && strncmp(begin + n, " | ", 3) == 0 && begin[n + 3] != '-')
		n += 3 + word_at(begin + n + 3);
	return rk_slice(begin, n);
}

static bool seen_before(const char *usage, struct rk_slice option)
{
	for (const char *p = usage; p < option.p; p++) {
		struct rk_slice other = option_at(p);

		if (other.n && rk_slice_eq(other, option))
			return true;
		if (other.n)
			p += other.n - 1;
	}
	return false;
}

bool usage_next_option(const char *usage, size_t *at, struct rk_slice *option,
                       struct rk_slice *value)
{
	while (usage[*at]) {
		*option = option_at(usage + *at);
		*at += option->n ? option->n : 1;
		if (!option->n || seen_before(usage, *option))
			continue;
		*value = value_at(usage + *at);
		return true;
	}
	return false;
}

struct rk_slice usage_argument(const char *usage, const char *words)
{
	const char *p = strstr(usage, words);

	if (!p)
		return rk_slice("", 0);
	p += strlen(words);
	if (*p != ' ' || !((p[1] >= 'A' && p[1] <= 'Z') || (p[1] >= 'a' && p[1] <= 'z')))
		return rk_slice("", 0);
	return rk_slice(p + 1, word_at(p + 1));
}

bool usage_next_choice(struct rk_slice *value, struct rk_slice *choice)
{
	size_t n = 0;

	while (value->n && (value->p[0] == ' ' || value->p[0] == '|'))
		*value = rk_slice_skip(*value, 1);
	while (n < value->n && (is_option_byte(value->p[n]) || value->p[n] == ':'))
		n++;
	*choice = rk_slice(value->p, n);
	/* on to the next one */
	while (n < value->n && value->p[n] != '|')
		n++;
	*value = rk_slice_skip(*value, n);
	return choice->n > 0 && choice->p[0] >= 'a' && choice->p[0] <= 'z';
}

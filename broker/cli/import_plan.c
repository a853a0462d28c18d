#include "cli/import.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- the secret's place in memory ---- */

/* A view of a part of the text, for what takes secrets only. */
static struct rk_secret view(const struct rk_secret *text, struct rk_slice part)
{
	size_t at = (size_t)(part.p - (const char *)text->p);

	return (struct rk_secret){.p = text->p + at, .len = part.n, .cap = part.n};
}

/* ---- other lines ---- */

/* The first assignment to one of `names`; false: none. */
static bool find_line(struct rk_slice text, const char *names, struct env_line *out)
{
	size_t at = 0;

	while (env_file_next(text, &at, out)) {
		if (out->name.n && out->value.n && provider_has_word(names, out->name))
			return true;
	}
	return false;
}

static bool is_assigned(struct rk_slice text, const char *name)
{
	struct env_line l;
	size_t at = 0;

	while (env_file_next(text, &at, &l)) {
		if (rk_slice_is(l.name, name))
			return true;
	}
	return false;
}

/* ---- where the API is ---- */

/* --base-url PROVIDER=URL */
static struct rk_slice told_base_url(const struct import_options *o, const char *provider)
{
	struct rk_slice left = cli_list_slice(&o->base_urls), item, name = rk_str(provider);

	while (record_list_next(&left, &item)) {
		if (item.n > name.n && rk_slice_starts(item, name) && item.p[name.n] == '=')
			return rk_slice_skip(item, name.n + 1);
	}
	return rk_slice("", 0);
}

static int problem(struct import_key *k, const char *fmt, ...) RK_PRINTF(2, 3);

static int problem(struct import_key *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(k->problem, sizeof k->problem, fmt, ap);
	va_end(ap);
	return -1;
}

/* A file that was imported before, with a real key in it again. */
static bool is_the_proxy(const struct import_plan *p, struct rk_slice url)
{
	struct rk_slice proxy = rk_str(p->proxy);

	return proxy.n && rk_slice_starts(url, proxy) &&
	       (url.n == proxy.n || url.p[proxy.n] == '/');
}

static int find_base_url(const struct import_plan *p, struct import_key *k)
{
	struct rk_slice url = told_base_url(p->options, k->provider->id);
	struct env_line l;
	struct rk_fault fault;

	if (find_line(rk_secret_slice(p->text), k->provider->base_vars, &l)) {
		k->base_line = l.name;
		if (!url.n && !is_the_proxy(p, l.value))
			url = l.value;
	}
	if (!url.n)
		url = rk_str(k->provider->base_url);
	if (!url.n)
		return problem(k, "its base URL is not known: say --base-url %s=https://...",
		               k->provider->id);
	/* in this order: one with a password in it is never copied out of secret memory */
	if (base_url_parse(url, &k->url, &fault) ||
	    !rk_slice_cstr(url, k->base_url, sizeof k->base_url))
		return problem(k,
		               "%.*s is no https URL of an API: say --base-url %s=https://...",
		               RK_FMT(k->base_line), k->provider->id);
	return 0;
}

/* ---- authentication ---- */

static int find_auth(const struct import_plan *p, const struct key_shape *s,
                     struct import_key *k)
{
	for (unsigned i = 0; i < PROVIDER_MAX_AUTH && k->provider->auth[i]; i++) {
		const char *style = k->provider->auth[i];
		struct env_line user;

		if (strcmp(style, "basic:@") != 0) {
			snprintf(k->auth[i], sizeof k->auth[i], "%s", style);
			continue;
		}
		if (!find_line(rk_secret_slice(p->text), s->user_vars, &user) ||
		    !env_value_is_plain(user.value) ||
		    memchr(user.value.p, ':', user.value.n) || user.value.n > MSG_MAX_NAME)
			return problem(k, "the user that belongs to it is missing: %s",
			               s->user_vars);
		snprintf(k->auth[i], sizeof k->auth[i], "basic:%.*s", RK_FMT(user.value));
	}
	return 0;
}

/* ---- variables for the proxy's URL ---- */

/* "STRIPE" of "STRIPE_SECRET_KEY". */
static struct rk_slice stem(struct rk_slice name)
{
	static const char *const ends[] = {"_SECRET_KEY", "_API_KEY",      "_API_TOKEN",
	                                   "_AUTH_TOKEN", "_ACCESS_TOKEN", "_SECRET",
	                                   "_TOKEN",      "_KEY"};

	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		size_t n = strlen(ends[i]);

		if (name.n > n &&
		    rk_slice_ieq(rk_slice(name.p + name.n - n, n), rk_str(ends[i])))
			return rk_slice(name.p, name.n - n);
	}
	return name;
}

static bool base_var_is_taken(const struct import_plan *p, const char *name)
{
	for (unsigned i = 0; i < p->count; i++) {
		if (strcmp(p->key[i].base_var, name) == 0)
			return true;
	}
	return is_assigned(rk_secret_slice(p->text), name);
}

/* The first key of a provider gets the variable that its SDK reads, or the one that is there.
 */
static void choose_base_var(const struct import_plan *p, struct import_key *k)
{
	struct rk_slice vars = rk_str(k->provider->base_vars), first;
	bool alone = true;

	for (unsigned i = 0; i < p->count; i++)
		alone = alone && p->key[i].provider != k->provider;
	if (alone && k->base_line.n) {
		snprintf(k->base_var, sizeof k->base_var, "%.*s", RK_FMT(k->base_line));
		return;
	}
	k->base_line.n = 0;
	if (alone && provider_next_word(&vars, &first)) {
		snprintf(k->base_var, sizeof k->base_var, "%.*s", RK_FMT(first));
		return;
	}
	first = stem(k->line.name);
	for (unsigned n = 1; n < 100; n++) {
		if (n == 1)
			snprintf(k->base_var, sizeof k->base_var, "%.*s_BASE_URL",
			         (int)(first.n < 64 ? first.n : 64), first.p);
		else
			snprintf(k->base_var, sizeof k->base_var, "%.*s_%u_BASE_URL",
			         (int)(first.n < 64 ? first.n : 64), first.p, n);
		if (!base_var_is_taken(p, k->base_var))
			return;
	}
}

/* ---- keys ---- */

static unsigned first_with(const struct import_plan *p, const struct import_key *k)
{
	for (unsigned i = 0; i < p->count; i++) {
		const struct import_key *other = &p->key[i];

		if (other->provider == k->provider && !other->problem[0] &&
		    rk_equal_ct(other->secret, k->secret))
			return other->first;
	}
	return p->count;
}

static int take_key(struct import_plan *p, const struct env_line *l, const struct key_shape *s)
{
	struct import_key *k = &p->key[p->count];
	struct rk_secret secret;

	if (p->count == IMPORT_MAX_KEYS)
		return cli_fail(CLI_FAILED, "more than %d keys in one file", IMPORT_MAX_KEYS);
	memset(k, 0, sizeof *k);
	k->line = *l;
	k->provider = provider_find(rk_str(s->provider));
	k->secret = key_shape_secret(s, l->value);
	secret = view(p->text, k->secret);
	auth_secret_hint(&secret, k->hint, sizeof k->hint);
	k->first = p->count;
	if (!find_base_url(p, k) && !find_auth(p, s, k)) {
		k->first = first_with(p, k);
		if (k->first == p->count)
			choose_base_var(p, k);
	}
	p->count++;
	return CLI_DONE;
}

int import_plan_make(struct import_plan *p, const struct rk_secret *text,
                     const struct import_options *o)
{
	struct env_line l;
	size_t at = 0;

	p->options = o;
	p->text = text;
	while (env_file_next(rk_secret_slice(text), &at, &l)) {
		const struct key_shape *s;
		struct relay_key relay;

		if (!l.name.n || !l.value.n)
			continue;
		s = key_shape_find(l.name, l.value);
		if (s && take_key(p, &l, s))
			return CLI_FAILED;
		if (s)
			continue;
		if (!relay_key_parse(l.value, &relay))
			p->relayed++;
		else if (key_shape_suspicious(l.name, l.value) &&
		         record_list_add(p->left.mem, sizeof p->left.mem, &p->left.used,
		                         l.name))
			break; /* of a file this small they fit */
	}
	return CLI_DONE;
}

void import_name(struct rk_slice from, const char *otherwise, char *to, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < from.n && n + 1 < cap && n < 63; i++) {
		unsigned char c = (unsigned char)from.p[i], low = rk_ascii_lower(c);
		bool word = (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9');

		if (word || (n && memchr("._-", c, 3)))
			to[n++] = (char)c;
		else if (n && to[n - 1] != '-')
			to[n++] = '-';
	}
	to[n] = '\0';
	if (!n)
		snprintf(to, cap, "%s", otherwise);
}

/* ---- the new text ---- */

static int add(struct rk_secret *out, struct rk_slice s)
{
	return rk_secret_add(out, s.p, s.n);
}

static int add_text(struct rk_secret *out, const char *s)
{
	return add(out, rk_str(s));
}

static int add_proxy_url(const struct import_plan *p, const struct import_key *k,
                         struct rk_secret *out)
{
	int err = add_text(out, p->proxy);

	if (!err)
		err = add_text(out, "/");
	return err ? err : add_text(out, k->conn);
}

/* Before the value, and behind it. */
static struct rk_slice head_of(const struct env_line *l)
{
	return rk_slice(l->raw.p, (size_t)(l->value.p - l->raw.p));
}

static struct rk_slice tail_of(const struct env_line *l)
{
	return rk_slice_skip(l->raw, (size_t)(l->value.p - l->raw.p) + l->value.n);
}

/* "export OPENAI_BASE_URL=https://proxy/openai" behind the key's line. */
static int add_base_line(const struct import_plan *p, const struct import_key *k,
                         struct rk_secret *out)
{
	struct rk_slice end = k->line.end.n ? k->line.end : rk_str("\n");
	int err = k->line.end.n ? 0 : add(out, end);

	if (!err && k->line.exported)
		err = add_text(out, "export ");
	if (!err)
		err = add_text(out, k->base_var);
	if (!err)
		err = add_text(out, "=");
	if (!err)
		err = add_proxy_url(p, k, out);
	return err ? err : add(out, end);
}

static int add_key_line(const struct import_plan *p, const struct import_key *k,
                        struct rk_secret *out)
{
	const struct import_key *first = &p->key[k->first];
	int err = add(out, head_of(&k->line));

	if (!err)
		err = add(out, first->relay_key);
	if (!err)
		err = add(out, tail_of(&k->line));
	if (!err && k->base_var[0] && !k->base_line.n)
		err = add_base_line(p, k, out);
	return err;
}

/* The key whose base URL this line tells, or NULL. */
static const struct import_key *base_of(const struct import_plan *p, const struct env_line *l)
{
	for (unsigned i = 0; i < p->count; i++) {
		const struct import_key *k = &p->key[i];

		if (!k->problem[0] && k->base_var[0] && k->base_line.n && l->name.n &&
		    rk_slice_eq(k->base_line, l->name))
			return k;
	}
	return NULL;
}

static const struct import_key *key_of(const struct import_plan *p, const struct env_line *l)
{
	for (unsigned i = 0; i < p->count; i++) {
		if (p->key[i].line.raw.p == l->raw.p && !p->key[i].problem[0])
			return &p->key[i];
	}
	return NULL;
}

int import_plan_apply(const struct import_plan *p, struct rk_secret *out)
{
	struct env_line l;
	size_t at = 0;
	int err = 0;

	while (!err && env_file_next(rk_secret_slice(p->text), &at, &l)) {
		const struct import_key *k = key_of(p, &l), *base = base_of(p, &l);

		if (k) {
			err = add_key_line(p, k, out);
		} else if (base) {
			err = add(out, head_of(&l));
			if (!err)
				err = add_proxy_url(p, base, out);
			if (!err)
				err = add(out, tail_of(&l));
		} else {
			err = add(out, l.raw);
		}
	}
	return err;
}

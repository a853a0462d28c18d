#include "cli/import.h"

#include <stdio.h>

#include "base/file.h"
#include "ipc/catalogue_manage.h"

/* ---- grants ---- */

static int add_words(const char *words, struct cli_list *to)
{
	struct rk_slice left = rk_str(words), word;

	while (provider_next_word(&left, &word)) {
		if (record_list_add(to->mem, sizeof to->mem, &to->used, word))
			return cli_fail(CLI_USAGE, "too many methods");
	}
	return CLI_DONE;
}

static int add_path(const char *base, struct rk_slice rest, struct cli_list *to)
{
	char glob[BASE_URL_MAX + 128];

	snprintf(glob, sizeof glob, "%s%.*s", base, RK_FMT(rest));
	return cli_list_add(to, glob);
}

int import_grant(const struct import_plan *p, const struct import_key *k,
                 struct cli_list *methods, struct cli_list *paths)
{
	const char *base = k->url.path;
	struct rk_slice left = rk_str(k->provider->paths), word;
	int status = CLI_DONE;

	*methods = p->options->methods;
	*paths = p->options->paths;
	if (!methods->used)
		status = add_words(k->provider->methods, methods);
	if (paths->used)
		return status;
	while (!status && provider_next_word(&left, &word)) {
		status = add_path(base, word, paths);
		/* what is the whole API is the base path itself, too */
		if (!status && *base && rk_slice_is(word, "/**"))
			status = add_path(base, rk_str(""), paths);
	}
	return status;
}

/* ---- connections that are there ---- */

static bool is_of(const struct import_key *k, const struct msg_conn_info *i)
{
	struct base_url url;
	struct rk_fault fault;

	return rk_slice_is(i->provider, k->provider->id) && *k->hint &&
	       rk_slice_is(i->secret_hint, k->hint) &&
	       !base_url_parse(i->base_url, &url, &fault) &&
	       strcmp(url.host, k->url.host) == 0 && url.port == k->url.port &&
	       strcmp(url.path, k->url.path) == 0;
}

/* 0 for "openai", 1 for "openai-2", ...; -1 for another name. */
static int ordinal(const char *id, struct rk_slice name)
{
	struct rk_slice stem = rk_str(id);
	uint64_t n;

	if (rk_slice_eq(name, stem))
		return 0;
	if (!rk_slice_starts(name, stem) || name.n < stem.n + 2 || name.p[stem.n] != '-' ||
	    !rk_slice_u64(rk_slice_skip(name, stem.n + 1), &n) || n < 2 || n > 64)
		return -1;
	return (int)n - 1;
}

static int find_conns(struct cli *c, struct import_plan *p, uint64_t taken[IMPORT_MAX_KEYS])
{
	const struct msg_list all = {0};
	struct ipc_message m;
	int status = cli_send(c, MSG_CONN_LIST, &all);

	while (!status && !(status = cli_receive(c, &m)) && m.type != MSG_DONE) {
		const struct msg_conn_info *info = &m.body.conn_info;

		if (m.type != MSG_CONN_INFO)
			return cli_fail(CLI_FAILED, "the broker's answer is malformed");
		for (unsigned i = 0; i < p->count; i++) {
			struct import_key *k = &p->key[i];
			int n = ordinal(k->provider->id, info->name);

			if (n >= 0)
				taken[i] |= (uint64_t)1 << n;
			if (k->conn_found || !is_of(k, info))
				continue;
			k->conn_found =
			    rk_slice_cstr(info->id, k->conn_id, sizeof k->conn_id) &&
			    rk_slice_cstr(info->name, k->conn, sizeof k->conn);
		}
	}
	return status;
}

/* ---- making ---- */

/* Of all keys of its provider, so that the next one takes another. */
static void take_name(struct import_plan *p, uint64_t taken[IMPORT_MAX_KEYS],
                      struct import_key *k)
{
	unsigned n = 0, at = (unsigned)(k - p->key);

	while (n < 63 && taken[at] >> n & 1)
		n++;
	snprintf(k->conn, sizeof k->conn, n ? "%s-%u" : "%s", k->provider->id, n + 1);
	for (unsigned i = 0; i < p->count; i++) {
		if (p->key[i].provider == k->provider)
			taken[i] |= (uint64_t)1 << n;
	}
}

static int make_conn(struct cli *c, const struct import_plan *p, struct import_key *k,
                     struct rk_slice ca)
{
	static struct cli_list auth;
	struct msg_conn_add add = {
	    .name = rk_str(k->conn),
	    .provider = rk_str(k->provider->id),
	    .base_url = rk_str(k->base_url),
	    .flags = p->options->flags,
	    .ca_pem = ca,
	    .secret = k->secret,
	};
	struct ipc_message m;
	int status = CLI_DONE;

	auth.used = 0;
	for (unsigned i = 0; !status && i < PROVIDER_MAX_AUTH && k->auth[i][0]; i++)
		status = cli_list_add(&auth, k->auth[i]);
	add.auth = cli_list_slice(&auth);
	if (!status)
		status = cli_call(c, MSG_CONN_ADD, &add, MSG_CONN_INFO, &m);
	if (!status && !rk_slice_cstr(m.body.conn_info.id, k->conn_id, sizeof k->conn_id))
		status = cli_fail(CLI_FAILED, "the broker's answer is malformed");
	return status;
}

static int make_key(struct cli *c, const struct import_plan *p, struct import_key *k,
                    struct rk_secret *keys)
{
	static struct cli_list methods, paths;
	static char one[MSG_MAX_GRANT], list[MSG_MAX_GRANTS];
	char name[MSG_MAX_NAME];
	struct msg_key_issue issue = p->options->issue;
	struct ipc_message m;
	struct msg_grant grant;
	size_t used = 0, at = keys->len;
	ssize_t n;
	int status = import_grant(p, k, &methods, &paths);

	if (status)
		return status;
	grant = (struct msg_grant){.conn = rk_str(k->conn_id),
	                           .methods = cli_list_slice(&methods),
	                           .paths = cli_list_slice(&paths)};
	n = record_encode(&msg_grant_desc, &grant, one, sizeof one);
	if (n < 0 || record_list_add(list, sizeof list, &used, rk_slice(one, (size_t)n)))
		return cli_fail(CLI_USAGE, "too many or too long --method or --path");
	import_name(k->line.name, "imported", name, sizeof name);
	issue.name = rk_str(name);
	issue.grants = rk_slice(list, used);
	status = cli_call(c, MSG_KEY_ISSUE, &issue, MSG_KEY_INFO, &m);
	if (status)
		return status;
	if (!rk_slice_cstr(m.body.key_info.id, k->key_id, sizeof k->key_id) ||
	    rk_secret_add(keys, m.body.key_info.key.p, m.body.key_info.key.n))
		return cli_fail(CLI_FAILED, "the broker's answer is malformed");
	k->relay_key = rk_slice(keys->p + at, keys->len - at);
	return CLI_DONE;
}

/* Relay keys of earlier runs, which cannot be shown again. */
static int tell_of_earlier(struct cli *c, const struct import_plan *p,
                           const struct import_key *k)
{
	char holder[2 * MSG_MAX_NAME], name[MSG_MAX_NAME];
	struct msg_list list = {.conn = rk_str(k->conn_id), .live_only = 1};
	struct ipc_message m;
	int status;

	snprintf(holder, sizeof holder, "%s:%s",
	         holder_kind_name((enum holder_kind)p->options->issue.kind),
	         p->options->holder);
	import_name(k->line.name, "imported", name, sizeof name);
	list.holder = rk_str(holder);
	status = cli_send(c, MSG_KEY_LIST, &list);
	while (!status && !(status = cli_receive(c, &m)) && m.type == MSG_KEY_INFO) {
		if (rk_slice_is(m.body.key_info.name, name) &&
		    !rk_slice_is(m.body.key_info.id, k->key_id))
			fprintf(stderr,
			        "relaykey: %.*s of an earlier import of %s still lives: "
			        "'relaykey revoke %.*s' when nothing uses it any more\n",
			        RK_FMT(m.body.key_info.id), name, RK_FMT(m.body.key_info.id));
	}
	return status;
}

void import_take_back(struct cli *c, const struct import_plan *p)
{
	struct ipc_message m;
	unsigned failed = 0;

	for (unsigned i = 0; i < p->count; i++) {
		const struct import_key *k = &p->key[i];
		struct msg_ref key = {.ref = rk_str(k->key_id)};
		struct msg_ref conn = {.ref = rk_str(k->conn_id), .force = 1};

		if (k->key_id[0] && cli_call(c, MSG_KEY_REVOKE, &key, MSG_KEY_INFO, &m))
			failed++;
		if (k->conn_id[0] && !k->conn_found &&
		    cli_call(c, MSG_CONN_REMOVE, &conn, MSG_DONE, &m))
			failed++;
	}
	if (failed)
		cli_fail(0,
		         "not all that was made could be taken back: see 'relaykey conn list'");
}

int import_make(struct cli *c, struct import_plan *p, struct rk_secret *keys)
{
	uint64_t taken[IMPORT_MAX_KEYS] = {0};
	struct rk_buf ca = {0};
	struct rk_fault fault;
	int status;

	if (p->options->ca_file && file_read(p->options->ca_file, MSG_MAX_PEM, &ca, &fault))
		return cli_fail(CLI_FAILED, "%s", fault.text);
	status = find_conns(c, p, taken);
	for (unsigned i = 0; !status && i < p->count; i++) {
		struct import_key *k = &p->key[i];

		if (k->problem[0] || k->first != i)
			continue;
		cli_progress("importing", i + 1, p->count);
		if (!k->conn_found) {
			take_name(p, taken, k);
			status = make_conn(c, p, k, rk_buf_slice(&ca));
		}
		if (!status)
			status = make_key(c, p, k, keys);
	}
	cli_progress_end();
	if (status)
		import_take_back(c, p);
	for (unsigned i = 0; !status && i < p->count; i++) {
		if (p->key[i].conn_found && p->key[i].first == i && p->key[i].key_id[0])
			status = tell_of_earlier(c, p, &p->key[i]);
	}
	rk_buf_free(&ca);
	return status;
}

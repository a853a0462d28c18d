#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/import.h"
#include "cli/render.h"

const char cli_import_usage[] =
    "usage: relaykey import FILE [--dry-run] [--write NEWFILE | --in-place]\n"
    "           [--holder KIND:NAME] [--env E] [--ttl 7d] [--proxy-url URL]\n"
    "           [--method M]... [--path GLOB]... [--base-url PROVIDER=URL]...\n"
    "           [--ca FILE] [--allow-private] [--json]\n"
    "  Looks for keys of known providers in a .env file ('-': standard input). Of each it\n"
    "  makes a connection and a relay key, and prints the file with the relay key in the\n"
    "  place of the real one and the variable that points the SDK at the proxy. All other\n"
    "  lines stay as they are, byte for byte. Nothing is written to FILE itself but with\n"
    "  --in-place. A connection with the same provider, base URL and secret (by its hint)\n"
    "  is used again; the relay key is always a new one. --json goes with --dry-run,\n"
    "  --write or --in-place.\n"
    "  Without --method and --path the relay key may do what the provider's applications\n"
    "  usually need, which is said; an account's administration is left out where it has\n"
    "  paths of its own.\n";

/* ---- options ---- */

static int parse_holder(const char *text, struct import_options *o)
{
	const char *colon = strchr(text, ':');
	enum holder_kind kind;

	if (!colon || !colon[1] ||
	    holder_kind_parse(rk_slice(text, (size_t)(colon - text)), &kind) ||
	    !rk_slice_cstr(rk_str(colon + 1), o->holder, sizeof o->holder))
		return cli_fail(CLI_USAGE,
		                "--holder: '%s' is not KIND:NAME with a kind of app, agent, "
		                "person or vendor",
		                text);
	o->issue.kind = (uint8_t)kind;
	return CLI_DONE;
}

/* app:DIRECTORY, of the directory that the file is in. */
static void default_holder(struct import_options *o)
{
	char *path = realpath(strcmp(o->file, "-") == 0 ? "." : o->file, NULL);
	char *slash = path ? strrchr(path, '/') : NULL;

	if (slash && strcmp(o->file, "-") != 0) {
		*slash = '\0';
		slash = strrchr(path, '/');
	}
	import_name(rk_str(slash ? slash + 1 : NULL), "imported", o->holder, sizeof o->holder);
	o->issue.kind = HOLDER_APP;
	free(path);
}

static int take_option(struct cli *c, struct import_options *o, int opt, const char *arg)
{
	switch (opt) {
	case 'n':
		o->dry_run = true;
		return CLI_DONE;
	case 'w':
		o->write = arg;
		return CLI_DONE;
	case 'i':
		o->in_place = true;
		return CLI_DONE;
	case 'h':
		return parse_holder(arg, o);
	case 'e':
		o->issue.env = rk_str(arg);
		return CLI_DONE;
	case 't':
		return cli_parse_ttl(arg, &o->issue.ttl_ms);
	case 'x':
		o->proxy_url = arg;
		return CLI_DONE;
	case 'm':
		return cli_list_add(&o->methods, arg);
	case 'p':
		return cli_list_add(&o->paths, arg);
	case 'b':
		return cli_list_add(&o->base_urls, arg);
	case 'c':
		o->ca_file = arg;
		return CLI_DONE;
	case 'P':
		o->flags |= UPSTREAM_ALLOW_PRIVATE;
		return CLI_DONE;
	case 'j':
		c->json = true;
		return CLI_DONE;
	default:
		return CLI_USAGE;
	}
}

static int parse(struct cli *c, int argc, char **argv, struct import_options *o)
{
	static const struct option options[] = {
	    {"dry-run", no_argument, NULL, 'n'},
	    {"write", required_argument, NULL, 'w'},
	    {"in-place", no_argument, NULL, 'i'},
	    {"holder", required_argument, NULL, 'h'},
	    {"env", required_argument, NULL, 'e'},
	    {"ttl", required_argument, NULL, 't'},
	    {"proxy-url", required_argument, NULL, 'x'},
	    {"method", required_argument, NULL, 'm'},
	    {"path", required_argument, NULL, 'p'},
	    {"base-url", required_argument, NULL, 'b'},
	    {"ca", required_argument, NULL, 'c'},
	    {"allow-private", no_argument, NULL, 'P'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	struct base_url url;
	struct rk_fault fault;
	int opt;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (take_option(c, o, opt, optarg))
			return CLI_USAGE;
	}
	if (optind != argc - 1)
		return cli_fail(CLI_USAGE,
		                "which file? one FILE is needed, or - for standard input");
	o->file = argv[optind];
	if (o->dry_run + o->in_place + (o->write != NULL) > 1)
		return cli_fail(CLI_USAGE, "--dry-run, --write or --in-place, not several");
	if (o->in_place && strcmp(o->file, "-") == 0)
		return cli_fail(CLI_USAGE, "standard input is no place to write to");
	if (c->json && !o->dry_run && !o->in_place && !o->write)
		return cli_fail(CLI_USAGE, "--json goes with --dry-run, --write or --in-place: "
		                           "the new file would be lost");
	if (o->proxy_url && base_url_parse(rk_str(o->proxy_url), &url, &fault))
		return cli_fail(CLI_USAGE, "--proxy-url: %s", fault.text);
	if (!o->holder[0])
		default_holder(o);
	o->issue.holder = rk_str(o->holder);
	return CLI_DONE;
}

/* ---- reading ---- */

/* The whole file, byte for byte, into secret memory; *st of it. */
static int read_text(const char *file, struct rk_secret *out, struct stat *st)
{
	RK_FD_AUTO opened = -1;
	int fd = STDIN_FILENO;
	ssize_t n = 1;

	if (strcmp(file, "-") != 0)
		fd = opened = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, st) < 0)
		return cli_fail(CLI_FAILED, "cannot open %s: %s", file, strerror(errno));
	if (S_ISDIR(st->st_mode))
		return cli_fail(CLI_FAILED, "%s is a directory", file);
	if (rk_secret_alloc(out, IMPORT_MAX_BYTES + 1))
		return cli_fail(CLI_FAILED, "out of secret memory");
	while (n > 0 && out->len <= IMPORT_MAX_BYTES) {
		n = read(fd, out->p + out->len, IMPORT_MAX_BYTES + 1 - out->len);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			out->len += (size_t)n;
	}
	if (n < 0)
		return cli_fail(CLI_FAILED, "cannot read %s: %s", file, strerror(errno));
	if (out->len > IMPORT_MAX_BYTES)
		return cli_fail(CLI_FAILED, "%s has more than %d bytes", file,
		                IMPORT_MAX_BYTES);
	if (out->len && memchr(out->p, 0, out->len))
		return cli_fail(CLI_FAILED, "%s is no text file", file);
	return CLI_DONE;
}

/* How clients reach the proxy: what was said, or what the configuration listens on. */
static int find_proxy(struct cli *c, const struct import_options *o, struct import_plan *p)
{
	char host[128], name[256] = "localhost";
	unsigned short port;
	struct rk_fault fault;
	struct rk_slice url = rk_str(o->proxy_url);

	while (url.n && url.p[url.n - 1] == '/')
		url.n--;
	if (url.n) {
		if (rk_slice_cstr(url, p->proxy, sizeof p->proxy))
			return CLI_DONE;
		return cli_fail(CLI_USAGE, "--proxy-url is too long");
	}
	if (c->url)
		return cli_fail(CLI_USAGE,
		                "from elsewhere, say with --proxy-url where the proxy "
		                "is: https://HOST[:PORT]");
	if (!c->config.proxy[0]) {
		if (!c->config_path)
			return cli_fail(CLI_USAGE, "no configuration: use --config FILE, set "
			                           "RELAYKEY_CONFIG, or say --proxy-url");
		if (config_load(c->config_path, &c->config, &fault))
			return cli_fail(CLI_FAILED, "%s", fault.text);
	}
	if (config_split_listen(c->config.proxy, host, sizeof host, &port))
		return cli_fail(CLI_FAILED, "the configuration's proxy address is odd");
	if (strcmp(host, "0.0.0.0") != 0 && strcmp(host, "::") != 0) {
		snprintf(p->proxy, sizeof p->proxy, "https://%s", c->config.proxy);
		return CLI_DONE;
	}
	if (gethostname(name, sizeof name - 1) < 0)
		snprintf(name, sizeof name, "localhost");
	snprintf(p->proxy, sizeof p->proxy, "https://%.200s:%u", name, port);
	return CLI_DONE;
}

/* ---- telling ---- */

static json_t *tell_key(const struct import_plan *p, const struct import_key *k)
{
	static struct cli_list methods, paths;
	const struct import_key *first = &p->key[k->first];
	char holder[2 * MSG_MAX_NAME];
	json_t *doc = json_object();

	snprintf(holder, sizeof holder, "%s:%s",
	         holder_kind_name((enum holder_kind)p->options->issue.kind),
	         p->options->holder);
	json_object_set_new(doc, "variable", render_text(k->line.name));
	json_object_set_new(doc, "provider", json_string(k->provider->id));
	json_object_set_new(doc, "secret", json_string(k->hint));
	if (k->problem[0]) {
		json_object_set_new(doc, "left", json_string(k->problem));
		return doc;
	}
	if (import_grant(p, k, &methods, &paths))
		methods.used = paths.used = 0;
	json_object_set_new(doc, "base_url", json_string(first->base_url));
	json_object_set_new(doc, "connection", json_string(first->conn));
	json_object_set_new(doc, "connection_id",
	                    first->conn_id[0] ? json_string(first->conn_id) : json_null());
	json_object_set_new(doc, "connection_existed", json_boolean(first->conn_found));
	json_object_set_new(doc, "relay_key_id",
	                    first->key_id[0] ? json_string(first->key_id) : json_null());
	json_object_set_new(doc, "holder", json_string(holder));
	json_object_set_new(doc, "allowed_methods", render_list(cli_list_slice(&methods)));
	json_object_set_new(doc, "allowed_paths", render_list(cli_list_slice(&paths)));
	json_object_set_new(doc, "base_url_variable",
	                    first->base_var[0] ? json_string(first->base_var) : json_null());
	json_object_set_new(
	    doc, "sdk_reads_it",
	    json_boolean(k->provider->sdk_reads_base &&
	                 provider_has_word(k->provider->base_vars, rk_str(first->base_var))));
	return doc;
}

static int tell_json(const struct import_plan *p)
{
	json_t *keys = json_array();

	for (unsigned i = 0; i < p->count; i++)
		json_array_append_new(keys, tell_key(p, &p->key[i]));
	return render_json_line(
	    json_pack("{s:b, s:s, s:o, s:o, s:i, s:s?}", "dry_run", p->options->dry_run,
	              "proxy", p->proxy, "keys", keys, "looks_secret",
	              render_list(cli_list_slice(&p->left)), "relay_keys", (int)p->relayed,
	              "written", p->options->in_place ? p->options->file : p->options->write));
}

/* Not more of it than people read. */
static void print_list(struct rk_slice list, const char *between)
{
	enum { MOST = 8 };
	struct rk_slice item;
	const char *before = "";

	for (unsigned i = 0; i < MOST && record_list_next(&list, &item); i++) {
		fprintf(stderr, "%s%.*s", before, RK_FMT(item));
		before = between;
	}
	if (list.n)
		fprintf(stderr, " and %zu more", record_list_count(list));
}

static void tell_made(const struct import_plan *p, const struct import_key *k)
{
	static struct cli_list methods, paths;
	const struct provider *v = k->provider;
	bool reads = v->sdk_reads_base && provider_has_word(v->base_vars, rk_str(k->base_var));

	fprintf(stderr, "  connection %s%s at %s\n", k->conn,
	        p->options->dry_run ? ", unless it is there,"
	        : k->conn_found     ? ", which was there,"
	                            : "",
	        k->base_url);
	fprintf(stderr, "  relay key %s for %s:%s\n", k->key_id[0] ? k->key_id : "rk_...",
	        holder_kind_name((enum holder_kind)p->options->issue.kind), p->options->holder);
	if (!import_grant(p, k, &methods, &paths)) {
		fputs("  may ", stderr);
		print_list(cli_list_slice(&methods), ", ");
		fputs(" on ", stderr);
		print_list(cli_list_slice(&paths), " ");
		fputc('\n', stderr);
	}
	fprintf(stderr, "  %s=%s/%s", k->base_var, p->proxy, k->conn);
	if (!reads && v->sdk)
		fprintf(stderr, "  (tell the SDK: %s)", v->sdk);
	fputc('\n', stderr);
}

/* For people, on standard error: standard output is the new file. */
static void tell(const struct import_plan *p)
{
	unsigned made = 0;

	for (unsigned i = 0; i < p->count; i++) {
		const struct import_key *k = &p->key[i];

		fprintf(stderr, "%.*s: %s %s\n", RK_FMT(k->line.name), k->provider->title,
		        k->hint);
		if (k->problem[0]) {
			fprintf(stderr, "  stays as it is: %s\n", k->problem);
			continue;
		}
		made++;
		if (k->first == i)
			tell_made(p, k);
		else
			fprintf(stderr, "  the same key as in %.*s\n",
			        RK_FMT(p->key[k->first].line.name));
	}
	if (!p->count)
		fputs("no key of a known provider was found\n", stderr);
	if (p->left.used) {
		fputs("not recognised, but perhaps secret: ", stderr);
		print_list(cli_list_slice(&p->left), ", ");
		fputc('\n', stderr);
	}
	if (p->relayed)
		fprintf(stderr, "%u relay key%s left as they are\n", p->relayed,
		        p->relayed == 1 ? "" : "s");
	if (made && p->options->in_place)
		fputs(
		    "The real keys were in this file: its earlier contents may be in version "
		    "control,\nbackups, editors' histories and free disk blocks. Where others "
		    "may have read them,\nrotate them (relaykey conn rotate).\n",
		    stderr);
}

/* ---- writing ---- */

static int write_all(struct rk_slice s)
{
	while (s.n) {
		ssize_t n = write(STDOUT_FILENO, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cli_fail(CLI_FAILED, "writing the output failed");
		s = rk_slice_skip(s, (size_t)n);
	}
	return CLI_DONE;
}

/* The same file, also behind a link, to its owner, also when root has written it. */
static int replace(const char *file, struct rk_slice text, const struct stat *was)
{
	char *path = realpath(file, NULL);
	struct rk_fault fault;
	int status = CLI_DONE;

	if (!path)
		return cli_fail(CLI_FAILED, "cannot write %s: %s", file, strerror(errno));
	if (file_write(path, text, was->st_mode & 0777, false, &fault))
		status = cli_fail(CLI_FAILED, "%s", fault.text);
	else if (geteuid() == 0 && chown(path, was->st_uid, was->st_gid) < 0)
		fprintf(stderr, "relaykey: warning: %s belongs to root now\n", path);
	free(path);
	return status;
}

static int put_out(const struct import_plan *p, const struct stat *was)
{
	const struct import_options *o = p->options;
	RK_SECRET_AUTO out = {0};
	struct rk_fault fault;
	int err = rk_secret_alloc(&out, IMPORT_MAX_OUT);

	if (!err)
		err = import_plan_apply(p, &out);
	if (err)
		return cli_fail(CLI_FAILED, "the new file: %s", rk_strerror(err));
	fflush(stdout);
	if (!o->write && !o->in_place)
		return write_all(rk_secret_slice(&out));
	if (o->in_place)
		return replace(o->file, rk_secret_slice(&out), was);
	err = file_write(o->write, rk_secret_slice(&out), 0600, true, &fault);
	return err ? cli_fail(CLI_FAILED, "%s", fault.text) : CLI_DONE;
}

/* What would be made, as it would be named on a broker with nothing on it. */
static void pretend(struct import_plan *p)
{
	for (unsigned i = 0; i < p->count; i++) {
		unsigned before = 0;

		for (unsigned j = 0; j < i; j++)
			before += p->key[j].provider == p->key[i].provider &&
			          p->key[j].first == j && !p->key[j].problem[0];
		snprintf(p->key[i].conn, sizeof p->key[i].conn, before ? "%s-%u" : "%s",
		         p->key[i].provider->id, before + 1);
	}
}

int cli_import(struct cli *c, int argc, char **argv)
{
	static struct import_options o;
	static struct import_plan p;
	RK_SECRET_AUTO text = {0};
	RK_SECRET_AUTO keys = {0};
	struct stat was = {0};
	int status = parse(c, argc, argv, &o);

	if (!status && o.write && access(o.write, F_OK) == 0)
		status =
		    cli_fail(CLI_FAILED, "%s exists already; nothing was changed", o.write);
	if (!status)
		status = read_text(o.file, &text, &was);
	if (!status)
		status = find_proxy(c, &o, &p);
	if (!status)
		status = import_plan_make(&p, &text, &o);
	if (!status && rk_secret_alloc(&keys, IMPORT_MAX_KEYS * RELAY_KEY_MAX))
		status = cli_fail(CLI_FAILED, "out of secret memory");
	if (!status && o.dry_run)
		pretend(&p);
	else if (!status && p.count)
		status = import_make(c, &p, &keys);
	if (!status && !o.dry_run) {
		status = put_out(&p, &was);
		/* keys that nobody has seen are of no use */
		if (status)
			import_take_back(c, &p);
	}
	if (status)
		return status;
	if (c->json)
		return tell_json(&p);
	tell(&p);
	return CLI_DONE;
}

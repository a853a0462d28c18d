/*
 * What the keeper may touch: its state directory, the token module's files, and what libraries
 * read. The module is in memory already; it may still look for its token's files.
 */
#include "keeper/keeper_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "base/sandbox.h"

enum { MAX_PATHS = 40, MAX_DESCRIPTORS = 1024, MAX_CONF_BYTES = 65536 };

struct path_list {
	struct sandbox_path path[MAX_PATHS + 1];
	char text[MAX_PATHS][KEEPER_PATH_MAX];
	unsigned count;
};

static const int syscalls[] = {SYS_accept4, -1};

static const struct sandbox_path fixed[] = {
    {"/usr/lib", SANDBOX_READ},
    {"/lib", SANDBOX_READ},
    {"/lib64", SANDBOX_READ},
    {"/usr/share", SANDBOX_READ},
    {"/etc", SANDBOX_READ},
    {"/proc/self", SANDBOX_READ},
    {"/dev/null", SANDBOX_READ | SANDBOX_WRITE},
    {"/dev/urandom", SANDBOX_READ},
    {"/dev/random", SANDBOX_READ},
    /* where tokens live that are configured by default */
    {"/var/lib/softhsm", SANDBOX_READ | SANDBOX_WRITE},
    {"/var/lib/opencryptoki", SANDBOX_READ | SANDBOX_WRITE},
    {"/dev/tpmrm0", SANDBOX_READ | SANDBOX_WRITE},
};

/* Too many paths: the last ones are missing, which the module will report. */
static void add(struct path_list *l, struct rk_slice path, unsigned access)
{
	char *text;

	if (l->count == MAX_PATHS || !path.n || path.p[0] != '/')
		return;
	text = l->text[l->count];
	if (!rk_slice_cstr(path, text, sizeof l->text[0]))
		return;
	l->path[l->count++] = (struct sandbox_path){text, access};
}

static struct rk_slice parent(struct rk_slice path)
{
	while (path.n > 1 && path.p[path.n - 1] != '/')
		path.n--;
	while (path.n > 1 && path.p[path.n - 1] == '/')
		path.n--;
	return path;
}

/* The directory itself, or the one of a file (which may not exist yet). */
static void add_place(struct path_list *l, struct rk_slice path, unsigned access)
{
	char text[KEEPER_PATH_MAX];
	struct stat st;

	if (!rk_slice_cstr(path, text, sizeof text) || text[0] != '/')
		return;
	if (stat(text, &st) == 0 && S_ISDIR(st.st_mode))
		add(l, path, access);
	else if (parent(path).n > 1) /* never the root directory */
		add(l, parent(path), access);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct rk_slice trim(struct rk_slice s)
{
	while (s.n && is_blank(s.p[0]))
		s = rk_slice_skip(s, 1);
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* softhsm2.conf(5): "directories.tokendir = PATH" */
static void add_softhsm(struct path_list *l, struct rk_slice conf)
{
	static const char key[] = "directories.tokendir";
	char path[KEEPER_PATH_MAX];
	struct rk_buf mem = {0};
	struct rk_slice text;

	if (!rk_slice_cstr(conf, path, sizeof path) ||
	    file_read(path, MAX_CONF_BYTES, &mem, NULL))
		return;
	for (text = rk_buf_slice(&mem); text.n;) {
		const char *end = memchr(text.p, '\n', text.n);
		size_t n = end ? (size_t)(end - text.p) : text.n;
		struct rk_slice line = trim(rk_slice(text.p, n));

		text = rk_slice_skip(text, n + 1);
		if (!rk_slice_starts(line, rk_str(key)))
			continue;
		line = trim(rk_slice_skip(line, sizeof key - 1));
		if (line.n && line.p[0] == '=')
			add_place(l, trim(rk_slice_skip(line, 1)),
			          SANDBOX_READ | SANDBOX_WRITE);
	}
	rk_buf_free(&mem);
}

/* Every path in the module's environment is the module's. */
static void add_token_env(struct path_list *l, const struct role_env *env)
{
	struct rk_slice list = rk_buf_slice(&env->token_env), item;

	while (record_list_next(&list, &item)) {
		const char *eq = memchr(item.p, '=', item.n);
		struct rk_slice value;

		if (!eq)
			continue;
		value = rk_slice_skip(item, (size_t)(eq - item.p) + 1);
		add_place(l, value, SANDBOX_READ | SANDBOX_WRITE);
		if (rk_slice_starts(item, rk_str("SOFTHSM2_CONF=")))
			add_softhsm(l, value);
	}
}

int keeper_sandbox_enter(const struct role_env *env, struct rk_fault *fault)
{
	struct path_list *l = calloc(1, sizeof *l);
	struct sandbox cage = {
	    .name = "keeper",
	    .syscalls = syscalls,
	    .max_descriptors = MAX_DESCRIPTORS,
	    .threads = true,
	};
	int err;

	if (!l)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
		add(l, rk_str(fixed[i].path), fixed[i].access);
	add(l, rk_str(env->state_dir), SANDBOX_READ | SANDBOX_WRITE);
	add(l, parent(rk_str(env->token_module)), SANDBOX_READ);
	add_place(l, rk_str(env->token_pin_file), SANDBOX_READ);
	add_token_env(l, env);
	cage.paths = l->path;
	err = sandbox_enter(&cage, fault);
	free(l);
	return err;
}

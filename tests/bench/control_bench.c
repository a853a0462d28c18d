/*
 * The control plane's speed, through the control socket and nothing else:
 *
 *   control_bench CONFIG issue CONN CLIENTS SECONDS   relay keys issued, one after the other by
 *                                                     each client; each is durable
 *   control_bench CONFIG keys LIMIT                   all relay keys in pages (0: one answer)
 *   control_bench CONFIG audit                        a page for each line of standard input:
 *                                                     label, and name=value behind tabs
 *
 * Prints JSON; times in microseconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "ipc/catalogue_manage.h"

enum { CLIENTS_MAX = 64, TIMES_MAX = 1 << 18, LABELS_MAX = 32, LINE_MAX_BYTES = 1024 };

struct times {
	char label[64];
	int64_t *us;
	size_t n, entries;
};

static void die(const char *what)
{
	fprintf(stderr, "control_bench: %s\n", what);
	exit(EXIT_FAILURE);
}

static void times_add(struct times *t, int64_t us)
{
	if (!t->us)
		t->us = calloc(TIMES_MAX, sizeof *t->us);
	if (!t->us || t->n == TIMES_MAX)
		die("too many answers");
	t->us[t->n++] = us;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void times_print(struct times *t)
{
	qsort(t->us, t->n, sizeof *t->us, compare);
	printf("\"n\":%zu,\"entries\":%zu,\"p50\":%lld,\"p99\":%lld,\"max\":%lld", t->n,
	       t->entries, (long long)t->us[t->n / 2], (long long)t->us[t->n * 99 / 100],
	       (long long)t->us[t->n - 1]);
}

/* ---- issue ---- */

static struct rk_slice one_grant(const char *conn, char *mem, size_t cap)
{
	static char methods[64], paths[64], grant[512];
	size_t methods_n = 0, paths_n = 0, used = 0;
	struct msg_grant g = {.conn = rk_str(conn)};
	ssize_t n;

	if (record_list_add(methods, sizeof methods, &methods_n, rk_str("POST")) ||
	    record_list_add(paths, sizeof paths, &paths_n, rk_str("/v1/**")))
		die("grant");
	g.methods = rk_slice(methods, methods_n);
	g.paths = rk_slice(paths, paths_n);
	n = record_encode(&msg_grant_desc, &g, grant, sizeof grant);
	if (n < 0 || record_list_add(mem, cap, &used, rk_slice(grant, (size_t)n)))
		die("grant");
	return rk_slice(mem, used);
}

/* One client: issues until the time is over and writes how long each took. */
static void issue_all(const char *config, const char *conn, int64_t until_us, int out)
{
	struct cli c = {.config_path = config, .sock = -1};
	char grants[1024];
	struct msg_key_issue issue = {.holder = rk_str("bench"), .env = rk_str("bench")};
	struct ipc_message m;
	int64_t now = rk_mono_us();

	issue.grants = one_grant(conn, grants, sizeof grants);
	while (now < until_us) {
		int64_t done, took;

		if (cli_call(&c, MSG_KEY_ISSUE, &issue, MSG_KEY_INFO, &m))
			_exit(1);
		done = rk_mono_us();
		took = done - now;
		if (write(out, &took, sizeof took) != sizeof took)
			_exit(1);
		now = done;
	}
	_exit(0);
}

static void issue(const char *config, const char *conn, unsigned clients, unsigned seconds)
{
	struct times t = {.n = 0};
	int64_t began = rk_mono_us(), took;
	int pair[2], status;
	bool bad = false;

	if (clients == 0 || clients > CLIENTS_MAX || pipe(pair))
		die("clients");
	for (unsigned i = 0; i < clients; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid == 0)
			issue_all(config, conn, began + seconds * INT64_C(1000000), pair[1]);
	}
	close(pair[1]);
	while (read(pair[0], &took, sizeof took) == sizeof took)
		times_add(&t, took);
	while (wait(&status) > 0)
		bad |= status != 0;
	if (bad || t.n == 0)
		die("a client failed");
	printf("{\"clients\":%u,\"seconds\":%.3f,", clients,
	       (double)(rk_mono_us() - began) / 1e6);
	times_print(&t);
	printf("}\n");
}

/* ---- keys ---- */

static void keys(const char *config, uint32_t limit)
{
	struct cli c = {.config_path = config, .sock = -1};
	struct times pages = {.n = 0};
	struct ipc_message m;
	int64_t began = rk_mono_us();
	char after[64] = "";
	bool more = true;

	while (more) {
		struct msg_list list = {.after = rk_str(after), .limit = limit};
		int64_t start = rk_mono_us();
		size_t before = pages.entries;

		if (cli_send(&c, MSG_KEY_LIST, &list))
			exit(EXIT_FAILURE);
		while (!cli_receive(&c, &m) && m.type == MSG_KEY_INFO) {
			pages.entries++;
			rk_slice_cstr(m.body.key_info.id, after, sizeof after);
		}
		if (m.type != MSG_DONE)
			die("the list broke off");
		more = limit && pages.entries - before == limit;
		times_add(&pages, rk_mono_us() - start);
	}
	printf("{\"ms\":%.1f,", (double)(rk_mono_us() - began) / 1e3);
	times_print(&pages);
	printf("}\n");
	cli_close(&c);
}

/* ---- audit ---- */

static void set(struct msg_audit_query *q, char *pair)
{
	char *value = strchr(pair, '=');
	struct {
		const char *name;
		struct rk_slice *to;
	} texts[] = {
	    {"key", &q->key_id},         {"holder", &q->holder},
	    {"conn", &q->conn},          {"decision", &q->decision},
	    {"reason", &q->reason},      {"provider", &q->provider},
	    {"model", &q->model},        {"env", &q->env},
	    {"kind", &q->kind},          {"client", &q->client},
	    {"request", &q->request_id}, {"path", &q->path},
	    {"type", &q->type},
	};

	if (!value)
		die("name=value");
	*value++ = '\0';
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		if (strcmp(pair, texts[i].name) == 0) {
			*texts[i].to = rk_str(value);
			return;
		}
	}
	if (strcmp(pair, "status") == 0)
		q->status = (uint16_t)strtoul(value, NULL, 10);
	else if (strcmp(pair, "since") == 0)
		q->since_ms = strtoll(value, NULL, 10);
	else if (strcmp(pair, "until") == 0)
		q->until_ms = strtoll(value, NULL, 10);
	else if (strcmp(pair, "cursor") == 0)
		q->cursor = strtoull(value, NULL, 10);
	else if (strcmp(pair, "order") == 0)
		q->order = (uint8_t)strtoul(value, NULL, 10);
	else
		die(pair);
}

static struct times *of_label(struct times *all, const char *label)
{
	for (size_t i = 0; i < LABELS_MAX; i++) {
		if (!all[i].label[0])
			snprintf(all[i].label, sizeof all[i].label, "%s", label);
		if (strcmp(all[i].label, label) == 0)
			return &all[i];
	}
	die("too many labels");
	return NULL;
}

static void page(struct cli *c, struct times *all, char *line)
{
	struct msg_audit_query q = {
	    .mode = AUDIT_MODE_LIST, .order = AUDIT_FALLING, .limit = 50};
	char *rest = line, *label = strsep(&rest, "\t"), *pair;
	struct times *t = of_label(all, label);
	struct ipc_message m;
	int64_t start;

	while ((pair = strsep(&rest, "\t")))
		set(&q, pair);
	start = rk_mono_us();
	if (cli_send(c, MSG_AUDIT_QUERY, &q))
		exit(EXIT_FAILURE);
	while (!cli_receive(c, &m) && m.type == MSG_AUDIT_ENTRY)
		t->entries++;
	if (m.type != MSG_DONE || m.body.done.err)
		die("the page broke off");
	times_add(t, rk_mono_us() - start);
}

static void audit(const char *config)
{
	static struct times all[LABELS_MAX];
	struct cli c = {.config_path = config, .sock = -1};
	char line[LINE_MAX_BYTES];

	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = '\0';
		page(&c, all, line);
	}
	for (size_t i = 0; i < LABELS_MAX && all[i].label[0]; i++) {
		printf("%s\"%s\":{", i ? "," : "{", all[i].label);
		times_print(&all[i]);
		printf("}");
	}
	printf("}\n");
	cli_close(&c);
}

int main(int argc, char **argv)
{
	struct rk_fault fault = {""};

	if (secret_arena_init(4 * SECRET_MAX_BYTES, SECRET_BACKING_LOCKED, &fault))
		die(fault.text);
	if (argc == 6 && strcmp(argv[2], "issue") == 0)
		issue(argv[1], argv[3], (unsigned)strtoul(argv[4], NULL, 10),
		      (unsigned)strtoul(argv[5], NULL, 10));
	else if (argc == 4 && strcmp(argv[2], "keys") == 0)
		keys(argv[1], (uint32_t)strtoul(argv[3], NULL, 10));
	else if (argc == 3 && strcmp(argv[2], "audit") == 0)
		audit(argv[1]);
	else
		die("usage: CONFIG issue CONN CLIENTS SECONDS | keys LIMIT | audit");
	return 0;
}

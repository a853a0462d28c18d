/*
 * A journal with very many rows: fill_audit CONFIG ROWS. Opens the journal as the keeper does,
 * with the key that the token unwraps, and appends ROWS rows through its own code in large
 * batches: requests of many keys, clients, models and paths with their responses, a second
 * apart for 100 requests, up to now. The keys' ids are read from standard input, one a line.
 * One request in a hundred is denied, one in a million is locked. Prints what a search can ask
 * for, as JSON. For a broker that is stopped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base62.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/file.h"
#include "keeper/journal.h"
#include "keeper/row_encode.h"
#include "keeper/store_keys.h"
#include "policy/reason.h"

enum {
	BATCH = 8192,
	ROW_CAP = 512,
	PIN_MAX = 255,
	KEYS_MAX = 5000,
	HOLDERS = 500,
	CONNS = 40,
	CLIENTS = 20000,
	IN_FLIGHT = 64, /* requests between a request and its response */
	DENIED_EACH = 100,
	LOCKED_EACH = 1000000,
	MS_A_REQUEST = 10,
};

static void die(const char *doing, const struct rk_fault *fault)
{
	fprintf(stderr, "fill_audit: %s: %s\n", doing, fault->text);
	exit(EXIT_FAILURE);
}

static struct token *open_token(const struct rk_config *c)
{
	const struct token_params params = {
	    .module = c->token_module,
	    .init_args = c->token_init_args[0] ? c->token_init_args : NULL,
	    .token = c->token,
	};
	RK_SECRET_AUTO pin = {0};
	struct rk_fault fault = {""};
	struct token *t = NULL;

	for (unsigned i = 0; i < c->token_env_count; i++)
		putenv(strdup(c->token_env[i]));
	if (file_read_secret(c->token_pin_file, PIN_MAX, true, &pin, &fault) ||
	    token_open(&params, &t, &fault) || token_login(t, &pin, &fault) ||
	    token_kek_load(t, &fault))
		die("token", &fault);
	return t;
}

static struct journal *open_journal(const struct rk_config *c)
{
	RK_SECRET_AUTO key = {0};
	struct rk_fault fault = {""};
	struct token *t = open_token(c);
	char path[CONFIG_PATH_MAX];
	struct journal *j = NULL;

	if (store_key_load(t, c->state_dir, "journal", &key, &fault) ||
	    file_join(c->state_dir, "journal.db", path, sizeof path) ||
	    journal_open(path, &key, false, false, &j, &fault))
		die("journal", &fault);
	token_close(t);
	return j;
}

/* The same number gives the same word, and numbers that are near do not. */
static uint32_t mix(uint64_t n)
{
	n *= 0x9e3779b97f4a7c15u;
	n ^= n >> 29;
	n *= 0xbf58476d1ce4e5b9u;
	return (uint32_t)(n >> 32);
}

static char key_id[KEYS_MAX][24];
static unsigned keys;

static void read_keys(void)
{
	while (keys < KEYS_MAX && fgets(key_id[keys], sizeof key_id[0], stdin)) {
		key_id[keys][strcspn(key_id[keys], "\n")] = '\0';
		keys++;
	}
	if (!keys)
		die("keys", &(struct rk_fault){"no key id on standard input"});
}

/* Texts of a row. */
struct words {
	char holder[24], conn_id[24], conn[24], path[64];
};

static struct audit_row request(uint64_t n, int64_t time_ms, struct words *w)
{
	static const char *const providers[] = {"openai", "anthropic", "stripe", "grafana"};
	static const char *const models[] = {"gpt-5", "gpt-5-mini", "claude-sonnet", "claude"};
	static const char *const envs[] = {"production", "staging", "dev", "ci"};
	static const char *const paths[] = {"/v1/chat/completions", "/v1/responses",
	                                    "/v1/messages", "/v1/embeddings"};
	uint32_t dice = mix(n), key = mix(n + 1) % keys, conn = key % CONNS;
	uint32_t client = mix(n + 2) % CLIENTS;
	struct audit_row row = {
	    .type = AUDIT_REQUEST,
	    .time_ms = time_ms,
	    .holder_kind = (uint8_t)(key % 4),
	    .provider = rk_str(providers[conn % 4]),
	    .env = rk_str(envs[key % 4]),
	    .client_ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, (uint8_t)(client >> 16),
	                  (uint8_t)(client >> 8), (uint8_t)client},
	    .user_agent = rk_str("OpenAI/JS 4.77.0 (linux x64) node/22.11.0"),
	    .method = rk_str("POST"),
	    .decision = DECISION_ALLOWED,
	    .policy_version = 1200,
	};

	snprintf(w->holder, sizeof w->holder, "holder-%u", (unsigned)(key % HOLDERS));
	snprintf(w->conn_id, sizeof w->conn_id, "conn_bench%06u", (unsigned)conn);
	snprintf(w->conn, sizeof w->conn, "upstream-%u", (unsigned)conn);
	if (dice % 3)
		snprintf(w->path, sizeof w->path, "%s", paths[dice % 4]);
	else
		snprintf(w->path, sizeof w->path, "/v1/files/file-%u/content",
		         (unsigned)(dice % 100000));
	row.key_id = rk_str(key_id[key]);
	row.holder = rk_str(w->holder);
	row.conn_id = rk_str(w->conn_id);
	row.conn_name = rk_str(w->conn);
	row.path = rk_str(w->path);
	if (conn % 4 < 2)
		row.model = rk_str(models[dice % 4]);
	if (n % LOCKED_EACH == LOCKED_EACH / 2) {
		row.decision = DECISION_LOCKED;
		row.reason = REASON_IP_DENIED;
		row.status = 423;
	} else if (dice % DENIED_EACH == 0) {
		row.decision = DECISION_DENIED;
		row.reason = REASON_PATH_DENIED;
		row.status = 403;
	}
	rk_random(row.request_id, sizeof row.request_id);
	return row;
}

static struct audit_row response(const struct audit_row *request_row, int64_t time_ms,
                                 uint64_t n)
{
	struct audit_row row = {
	    .type = AUDIT_RESPONSE,
	    .time_ms = time_ms,
	    .policy_version = 1200,
	    .status = (uint16_t)(mix(n + 3) % 50 ? 200 : 429),
	    .bytes_in = 900,
	    .bytes_out = 2400,
	    .unwrap_us = 180,
	    .upstream_us = 420000,
	    .total_us = 430000,
	    .outcome = OUTCOME_COMPLETE,
	};

	memcpy(row.request_id, request_row->request_id, sizeof row.request_id);
	return row;
}

/* Rows on their way into the journal. */
struct filler {
	struct journal *j;
	struct journal_entry entry[BATCH];
	char body[BATCH][ROW_CAP];
	size_t count, rows;
};

static void flush(struct filler *f)
{
	struct rk_fault fault = {""};

	if (journal_append(f->j, f->entry, f->count, &fault))
		die("append", &fault);
	journal_maintain(f->j);
	f->rows += f->count;
	f->count = 0;
}

static void put(struct filler *f, const struct audit_row *row)
{
	ssize_t n = row_encode(row, f->body[f->count], ROW_CAP);
	const struct rk_fault fault = {"a row does not fit"};

	if (n < 0)
		die("encode", &fault);
	f->entry[f->count].body = rk_slice(f->body[f->count], (size_t)n);
	if (++f->count == BATCH)
		flush(f);
}

static void fill(struct filler *f, size_t rows)
{
	static struct audit_row open[IN_FLIGHT];
	int64_t now = rk_wall_ms(), first = now - (int64_t)(rows / 2) * MS_A_REQUEST;
	struct words w;
	char id[33];

	for (uint64_t n = 0; f->rows + f->count < rows; n++) {
		int64_t at = first + (int64_t)n * MS_A_REQUEST;
		struct audit_row row = request(n, at, &w);
		struct audit_row *before = &open[n % IN_FLIGHT];

		if (before->type && before->decision == DECISION_ALLOWED) {
			struct audit_row answer = response(before, at, n);

			put(f, &answer);
		}
		put(f, &row);
		*before = row;
	}
	flush(f);
	rk_hex(open[0].request_id, sizeof open[0].request_id, id);
	printf("{\"rows\":%zu,\"first_ms\":%lld,\"last_ms\":%lld,\"request\":\"%s\","
	       "\"conns\":%d,\"holders\":%d}\n",
	       f->rows, (long long)first, (long long)now, id, CONNS, HOLDERS);
}

int main(int argc, char **argv)
{
	static struct rk_config config;
	static struct filler f;
	struct rk_fault fault = {""};

	if (argc != 3) {
		fprintf(stderr, "usage: fill_audit CONFIG ROWS\n");
		return 2;
	}
	if (config_load(argv[1], &config, &fault) ||
	    secret_arena_init(4 * SECRET_MAX_BYTES, SECRET_BACKING_LOCKED, &fault))
		die("start", &fault);
	read_keys();
	f.j = open_journal(&config);
	fill(&f, strtoul(argv[2], NULL, 10));
	journal_close(f.j);
	return 0;
}

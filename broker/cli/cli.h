/*
 * What the commands of relaykey(1) share: the configuration, one connection to the control
 * socket, exit statuses, and input of secrets.
 *
 * Exit status: 0 done, 1 refused or failed (reason on standard error), 2 wrong usage,
 * 3 broker not reachable.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdio.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/secret.h"
#include "ipc/frame.h"

enum cli_exit { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_UNREACHABLE = 3 };

struct remote;

struct cli {
	const char *config_path;
	struct rk_config config; /* filled by cli_connect(); empty when the broker is remote */
	int sock;                /* -1 until cli_connect() */
	bool json;
	struct rk_secret rx;     /* the datagram that the last answer borrows */
	struct rk_slice pending; /* what of it is not yet taken */
	/* The management interface instead of the control socket; NULL: not. */
	const char *url;
	const char *token_file, *ca_file;
	struct remote *remote; /* NULL until cli_connect() */
};

/* A command: `argv[0]` is its name. `usage` is printed for --help and after a usage error. */
struct cli_command {
	const char *name;
	int (*run)(struct cli *c, int argc, char **argv);
	const char *usage;
};

/* A word behind "relaykey": a group of commands, or one by itself. */
struct cli_entry {
	const char *name;
	const char *summary;
	const struct cli_command *group; /* ends with a name of NULL; or NULL: by itself, */
	int (*run)(struct cli *c, int argc, char **argv);
	const char *usage;
};

/* All of them; ends with a name of NULL. Usage, completion and manual pages come from it. */
extern const struct cli_entry cli_tree[];
const struct cli_entry *cli_find(const char *name); /* NULL when there is none */
void cli_print_usage(FILE *out);

/* "relaykey: <text>" on standard error; returns `status`. */
int cli_fail(int status, const char *fmt, ...) RK_PRINTF(2, 3);

/* The usage, and the examples of "conn add". */
void cli_print_help(FILE *out, const char *command, const char *usage);

/* Runs one command, or prints its usage for --help and after a usage error. */
int cli_run(struct cli *c, const struct cli_command *cmd, int argc, char **argv);

/* Finds argv[0] among the commands and runs it; a usage error when it is none of them. */
int cli_dispatch(struct cli *c, const struct cli_command *table, const char *what, int argc,
                 char **argv);

/* ---- session.c, remote.c ---- */

/* A way to the broker; see the functions below. */
struct cli_transport {
	int (*open)(struct cli *c);
	int (*send)(struct cli *c, enum ipc_type type, const void *body);
	int (*receive)(struct cli *c, struct ipc_message *m);
	bool (*ready)(struct cli *c, int ms);
	void (*close)(struct cli *c);
};
extern const struct cli_transport cli_remote;

/* Loads the configuration and connects, or gets ready for the interface. Returns CLI_DONE or,
 * with a message, the exit status. */
int cli_connect(struct cli *c);

/* Sends one request. Returns CLI_DONE or, with a message, the exit status. */
int cli_send(struct cli *c, enum ipc_type type, const void *body);

/*
 * Waits for the next message of the answer. CLI_DONE with *m filled (slices borrow until the
 * next call), or the exit status after a message on standard error: an answer MSG_DONE with an
 * error counts as failure.
 */
int cli_receive(struct cli *c, struct ipc_message *m);

/* Whether cli_receive() would not wait any more, after at most `ms`. */
bool cli_ready(struct cli *c, int ms);

/*
 * Sends a request and receives its single answer, which must be of `answer`; with answer
 * MSG_DONE, success only.
 */
int cli_call(struct cli *c, enum ipc_type type, const void *body, enum ipc_type answer,
             struct ipc_message *m);

void cli_close(struct cli *c);

/* ---- input.c ---- */

struct option;

/*
 * getopt_long() with -j for --json and without its abbreviations: a script that says --secret
 * must not mean --secret-file on one day and be ambiguous on another. '?' after a message.
 */
int cli_option(int argc, char **argv, const struct option *options);

/*
 * The options of a command that has none but --json, and its `count` arguments, from
 * argv[optind] on. CLI_DONE, or CLI_USAGE after a message: `what` when there are more or fewer.
 */
int cli_arguments(struct cli *c, int argc, char **argv, int count, const char *what);

/*
 * Reads a secret: from a file, from standard input ("-"; without echo and with a prompt when it
 * is a terminal). NULL means the prompt and needs a terminal. Returns CLI_DONE or the exit
 * status.
 */
int cli_read_secret(const char *file, const char *prompt, struct rk_secret *out);

/* A LIST under construction from repeated options. */
struct cli_list {
	char mem[MSG_MAX_LIST];
	size_t used;
};
/* Returns CLI_DONE, or CLI_USAGE with a message when there is too much. */
int cli_list_add(struct cli_list *l, const char *item);
struct rk_slice cli_list_slice(const struct cli_list *l);

/* "--ttl 7d" or "--expires 2026-12-31": one of both. CLI_USAGE with a message when malformed.
 */
int cli_parse_ttl(const char *text, int64_t *ttl_ms);
int cli_parse_time(const char *option, const char *text, int64_t *wall_ms);

/* ---- progress.c ---- */

/* How far a long operation is, on standard error if that is a terminal; total 0: not known. */
void cli_progress(const char *what, uint64_t done, uint64_t total);
/* Takes it away again. */
void cli_progress_end(void);
/* As cli_call(), for what takes long. */
int cli_call_long(struct cli *c, const char *what, enum ipc_type type, const void *body,
                  enum ipc_type answer, struct ipc_message *m);

/* ---- cmd_conn.c, cmd_egress.c ---- */

/* Sends a request whose answer is one connection, and shows it. */
int cli_conn_call(struct cli *c, enum ipc_type type, const void *body);

/* What options say of the way to an upstream, and what was read from the files they name. */
struct cli_egress {
	const char *proxy, *proxy_secret_file, *certificate_file,
	    *key_file; /* NULL: not given */
	struct rk_buf chain;
	struct rk_secret key, proxy_secret;
};
/* Reads the files; `secret_file` is another one that may be standard input, or NULL. */
int cli_egress_read(struct cli_egress *e, const char *secret_file);
void cli_egress_free(struct cli_egress *e);

int cli_conn_set_identity(struct cli *c, int argc, char **argv);
int cli_conn_set_proxy(struct cli *c, int argc, char **argv);

/* ---- cmd_key.c, cmd_key_update.c, cmd_key_mint.c ---- */

/* One key, without its text. */
int cli_show_key(struct cli *c, const struct msg_key_info *k);
/* The one time that it is shown with it. */
int cli_show_issued_key(struct cli *c, const struct msg_key_info *k);
int cli_key_update(struct cli *c, int argc, char **argv);
int cli_key_mint(struct cli *c, int argc, char **argv);
extern const char cli_key_update_usage[], cli_key_mint_usage[];

/* ---- cmd_credential.c, cmd_update.c, cmd_probe.c ---- */

int cli_conn_versions(struct cli *c, int argc, char **argv);
int cli_conn_rollback(struct cli *c, int argc, char **argv);
int cli_conn_purge(struct cli *c, int argc, char **argv);
int cli_conn_update(struct cli *c, int argc, char **argv);
int cli_conn_test(struct cli *c, int argc, char **argv);

/* ---- commands ---- */

extern const struct cli_command cli_conn_commands[], cli_key_commands[], cli_holder_commands[],
    cli_trust_commands[], cli_mgmt_commands[], cli_user_commands[], cli_settings_commands[],
    cli_webhook_commands[], cli_delivery_commands[], cli_audit_commands[];
int cli_setup(struct cli *c, int argc, char **argv);
int cli_status(struct cli *c, int argc, char **argv);
int cli_key_revoke(struct cli *c, int argc, char **argv);
int cli_panic(struct cli *c, int argc, char **argv);
int cli_leak(struct cli *c, int argc, char **argv);
int cli_approvals(struct cli *c, int argc, char **argv);
int cli_completion(struct cli *c, int argc, char **argv);
extern const char cli_setup_usage[], cli_status_usage[], cli_revoke_usage[], cli_panic_usage[],
    cli_leak_usage[], cli_approvals_usage[], cli_completion_usage[];

#endif

#include <getopt.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base62.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/render.h"
#include "cli/setup.h"

enum { PIN_CHARACTERS = 24 };

const char cli_setup_usage[] =
    "usage: relaykey setup --dir DIR [--module SO] [--init-args TEXT] [--token-label L]\n"
    "           [--pin-file F] [--proxy ADDR:PORT] [--console ADDR:PORT] [--json]\n"
    "  Makes a token (SoftHSM2 when no module is named) with its key-encryption key, the two\n"
    "  stores, a private CA with a server certificate, and DIR/relaykeyd.conf. With\n"
    "  --pin-file the token exists already and is opened with that PIN. Refuses a directory\n"
    "  that was set up before; a set-up that fails leaves nothing behind.\n";

struct setup {
	char dir[SETUP_PATH];
	const char *module, *init_args, *label, *pin_file, *proxy, *console;
	bool own_token; /* the embedded SoftHSM token */
	struct setup_trail trail;
};

static int parse(struct cli *c, int argc, char **argv, struct setup *s)
{
	static const struct option options[] = {
	    {"dir", required_argument, NULL, 'd'},
	    {"module", required_argument, NULL, 'm'},
	    {"init-args", required_argument, NULL, 'a'},
	    {"token-label", required_argument, NULL, 'l'},
	    {"pin-file", required_argument, NULL, 'P'},
	    {"proxy", required_argument, NULL, 'p'},
	    {"console", required_argument, NULL, 'c'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	const char *dir = NULL;
	char host[128];
	unsigned short port;
	int opt;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		switch (opt) {
		case 'd':
			dir = optarg;
			break;
		case 'm':
			s->module = optarg;
			break;
		case 'a':
			s->init_args = optarg;
			break;
		case 'l':
			s->label = optarg;
			break;
		case 'P':
			s->pin_file = optarg;
			break;
		case 'p':
			s->proxy = optarg;
			break;
		case 'c':
			s->console = optarg;
			break;
		case 'j':
			c->json = true;
			break;
		default:
			return CLI_USAGE;
		}
	}
	if (optind != argc || !dir)
		return cli_fail(CLI_USAGE, dir ? "'%s' is no option" : "--dir is missing%s",
		                dir ? argv[optind] : "");
	if (config_split_listen(s->proxy, host, sizeof host, &port) ||
	    config_split_listen(s->console, host, sizeof host, &port))
		return cli_fail(CLI_USAGE, "--proxy and --console take ADDRESS:PORT");
	if (strpbrk(s->label, "\n\"#") || strlen(s->label) > 32 || !*s->label)
		return cli_fail(CLI_USAGE,
		                "--token-label takes 1 to 32 characters without quotes");
	if (s->pin_file && !s->module)
		return cli_fail(CLI_USAGE, "--pin-file goes with --module");
	if (dir[0] == '/') {
		if (!rk_slice_cstr(rk_str(dir), s->dir, sizeof s->dir))
			return cli_fail(CLI_USAGE, "--dir is too long");
	} else {
		char here[SETUP_PATH];

		if (!getcwd(here, sizeof here) || file_join(here, dir, s->dir, sizeof s->dir))
			return cli_fail(CLI_FAILED, "--dir is too long");
	}
	return CLI_DONE;
}

/* Where Debian puts SoftHSM2. */
static const char *find_softhsm(void)
{
	static const char *const places[] = {
	    "/usr/lib/softhsm/libsofthsm2.so",
	    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
	    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
	};

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		if (access(places[i], R_OK) == 0)
			return places[i];
	}
	return NULL;
}

static int write_pin(struct setup *s, const char *name, struct rk_fault *fault)
{
	RK_SECRET_AUTO pin = {0};

	if (rk_secret_alloc(&pin, PIN_CHARACTERS + 1))
		return rk_fail(fault, RK_E_NOMEM, "out of secret memory");
	rk_base62_random((char *)pin.p, PIN_CHARACTERS);
	pin.p[PIN_CHARACTERS] = '\n';
	pin.len = PIN_CHARACTERS + 1;
	return setup_write(&s->trail, s->dir, name, pin.p, pin.len, 0600, fault);
}

static int write_softhsm(struct setup *s, struct rk_fault *fault)
{
	char text[SETUP_PATH + 256];
	int n, err;

	err = setup_mkdir(&s->trail, s->dir, "tokens", fault);
	if (err)
		return err;
	n = snprintf(text, sizeof text,
	             "directories.tokendir = %s/tokens\nobjectstore.backend = file\n"
	             "log.level = ERROR\nslots.removable = false\n",
	             s->dir);
	return setup_write(&s->trail, s->dir, "softhsm2.conf", text, (size_t)n, 0644, fault);
}

static int write_config(struct setup *s, struct rk_fault *fault)
{
	struct rk_buf text;
	int err;

	rk_buf_init(&text, 16384);
	err = rk_buf_printf(
	    &text,
	    "# Written by relaykey setup. Relative paths are relative to this file.\n"
	    "state-dir        .\n"
	    "control-socket   control.sock\n"
	    "proxy            %s\n"
	    "console          %s\n"
	    "tls-certificate  server.pem\n"
	    "tls-key          server.key\n"
	    "token-module     %s\n"
	    "token            %s\n"
	    "token-pin-file   %s\n",
	    s->proxy, s->console, s->module, s->label, s->pin_file ? s->pin_file : "token.pin");
	if (!err && s->own_token)
		err = rk_buf_printf(&text, "token-env        SOFTHSM2_CONF=softhsm2.conf\n");
	if (!err && s->init_args)
		err = rk_buf_printf(&text, "token-init-args  %s\n", s->init_args);
	if (err)
		rk_fail(fault, err, "the configuration is too long");
	else
		err = setup_write(&s->trail, s->dir, "relaykeyd.conf", rk_buf_data(&text),
		                  text.len, 0644, fault);
	rk_buf_free(&text);
	return err;
}

/* relaykeyd beside this program, or in ../sbin. */
static int find_daemon(char *out, size_t cap, struct rk_fault *fault)
{
	static const char *const beside[] = {"relaykeyd", "../sbin/relaykeyd"};
	char self[SETUP_PATH];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash;

	if (n <= 0)
		return rk_fail_errno(fault, RK_E_IO, "cannot find this program");
	self[n] = '\0';
	slash = strrchr(self, '/');
	*slash = '\0';
	for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
		if (file_join(self, beside[i], out, cap) == 0 && access(out, X_OK) == 0)
			return 0;
	}
	return rk_fail(fault, RK_E_NOTFOUND, "relaykeyd is neither in %s nor in %s/../sbin",
	               self, self);
}

/* Token, KEK and stores are made by the daemon's own code: this program never touches them. */
static int run_initialise(struct setup *s, struct rk_fault *fault)
{
	static const char *const stores[] = {"policy.key",     "journal.key",   "policy.db",
	                                     "policy.db-wal",  "policy.db-shm", "journal.db",
	                                     "journal.db-wal", "journal.db-shm"};
	char daemon[SETUP_PATH + 32], config[SETUP_PATH], so_pin[SETUP_PATH];
	char *argv[] = {daemon, (char[]){"--config"}, config, (char[]){"--initialise"}, NULL,
	                NULL};
	pid_t pid;
	int err = find_daemon(daemon, sizeof daemon, fault);
	int status;

	for (size_t i = 0; !err && i < sizeof stores / sizeof stores[0]; i++)
		err = setup_note(&s->trail, s->dir, stores[i], fault);
	if (!err && (file_join(s->dir, "relaykeyd.conf", config, sizeof config) ||
	             file_join(s->dir, "token-so.pin", so_pin, sizeof so_pin)))
		err = rk_fail(fault, RK_E_TOOBIG, "the path is too long");
	if (err)
		return err;
	if (!s->pin_file)
		argv[4] = so_pin;
	if (posix_spawn(&pid, daemon, NULL, NULL, argv, environ) != 0)
		return rk_fail_errno(fault, RK_E_IO, "cannot start %s", daemon);
	while (waitpid(pid, &status, 0) < 0)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return rk_fail(fault, RK_E_STATE, "the token or the stores could not be made");
	return 0;
}

static int make_all(struct setup *s, struct rk_fault *fault)
{
	int err = setup_mkdir(&s->trail, s->dir, NULL, fault);

	if (!err && s->own_token)
		err = write_softhsm(s, fault);
	if (!err && !s->pin_file)
		err = write_pin(s, "token.pin", fault);
	if (!err && !s->pin_file)
		err = write_pin(s, "token-so.pin", fault);
	if (!err)
		err = setup_certificates(&s->trail, s->dir, s->proxy, fault);
	if (!err)
		err = write_config(s, fault);
	return err ? err : run_initialise(s, fault);
}

static int refuse_existing(const struct setup *s)
{
	static const char *const traces[] = {"relaykeyd.conf", "policy.db", "journal.db",
	                                     "tokens"};
	char path[SETUP_PATH + 32];

	for (size_t i = 0; i < sizeof traces / sizeof traces[0]; i++) {
		if (file_join(s->dir, traces[i], path, sizeof path) == 0 &&
		    access(path, F_OK) == 0)
			return cli_fail(CLI_FAILED,
			                "%s exists already: this directory was set up before, "
			                "nothing was changed",
			                path);
	}
	return CLI_DONE;
}

int cli_setup(struct cli *c, int argc, char **argv)
{
	static struct setup s = {
	    .label = "relaykey", .proxy = "127.0.0.1:8443", .console = "127.0.0.1:8444"};
	struct rk_fault fault;
	int status = parse(c, argc, argv, &s);

	if (!status)
		status = refuse_existing(&s);
	if (status)
		return status;
	if (!s.module) {
		s.own_token = true;
		s.module = find_softhsm();
		if (!s.module)
			return cli_fail(CLI_FAILED,
			                "SoftHSM2 is not installed (apt-get install softhsm2); "
			                "or name a module with --module");
	}
	if (make_all(&s, &fault)) {
		setup_undo(&s.trail);
		return cli_fail(CLI_FAILED, "set-up failed, nothing was left behind: %s",
		                fault.text);
	}
	if (c->json)
		return render_json_line(json_pack("{s:o, s:o, s:s, s:s, s:s, s:s}", "config",
		                                  json_sprintf("%s/relaykeyd.conf", s.dir),
		                                  "ca", json_sprintf("%s/ca.pem", s.dir),
		                                  "proxy", s.proxy, "console", s.console,
		                                  "token", s.label, "module", s.module));
	printf("set up in %s\n", s.dir);
	printf("  token     %s (%s)\n", s.label, s.module);
	printf("  proxy     https://%s\n  console   https://%s\n", s.proxy, s.console);
	printf("  clients trust %s/ca.pem\n", s.dir);
	printf("start it:   relaykeyd --config %s/relaykeyd.conf\n", s.dir);
	return CLI_DONE;
}

/*
 * relaykeyd: the daemon's main. Started by a person or a service manager it becomes the
 * supervisor; started again by the supervisor, as "relaykeyd: ROLE", it becomes that role.
 * Started by "relaykey setup" with --initialise [SO-PIN-FILE], it makes token, KEK and stores,
 * and ends.
 */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/config.h"
#include "base/file.h"
#include "base/log.h"
#include "base/version.h"
#include "console/console.h"
#include "courier/courier.h"
#include "ipc/role_env.h"
#include "keeper/initialise.h"
#include "keeper/keeper.h"
#include "relay/relay.h"
#include "supervisor/daemon.h"
#include "supervisor/supervisor.h"

#ifdef __SANITIZE_ADDRESS__
/* The leak checker wants /proc and ptrace, which no role has; the unit tests look for leaks. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

enum { EXIT_USAGE = 2, INITIALISE_ARENA = 1 << 20 };

static const char usage[] = "usage: relaykeyd --config FILE [--foreground]\n"
                            "       relaykeyd --version\n";

struct options {
	const char *config;
	const char *role; /* internal */
	const char *instance;
	bool foreground;
	bool initialise; /* for "relaykey setup" */
	const char *so_pin_file;
};

/* 0, or the exit status to end with. -1: end with 0. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option table[] = {
	    {"config", required_argument, NULL, 'c'},   {"foreground", no_argument, NULL, 'f'},
	    {"version", no_argument, NULL, 'v'},        {"help", no_argument, NULL, 'h'},
	    {"initialise", no_argument, NULL, 'n'},     {"role", required_argument, NULL, 'r'},
	    {"instance", required_argument, NULL, 'i'}, {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->config = optarg;
			break;
		case 'f':
			o->foreground = true;
			break;
		case 'n':
			o->initialise = true;
			break;
		case 'r':
			o->role = optarg;
			break;
		case 'i':
			o->instance = optarg;
			break;
		case 'v':
			puts("relaykeyd " RELAYKEY_VERSION);
			return -1;
		case 'h':
			fputs(usage, stdout);
			return -1;
		default:
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	if (o->initialise && optind < argc)
		o->so_pin_file = argv[optind++];
	if (optind != argc || (!o->config && !o->role)) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	return 0;
}

/* ---- a role ---- */

static int run_role(const struct options *o)
{
	static const struct {
		enum ipc_role role;
		int (*run)(uint32_t instance);
	} roles[] = {
	    {IPC_KEEPER, keeper_main},
	    {IPC_RELAY, relay_main},
	    {IPC_CONSOLE, console_main},
	    {IPC_COURIER, courier_main},
	};
	uint64_t instance;
	char name[16];

	if (!o->instance || !rk_slice_u64(rk_str(o->instance), &instance) ||
	    instance >= CONFIG_MAX_RELAYS || !role_env_has_channel()) {
		fputs("relaykeyd: --role is for relaykeyd itself\n", stderr);
		return EXIT_USAGE;
	}
	snprintf(name, sizeof name, "rk-%s", o->role);
	prctl(PR_SET_NAME, name, 0, 0, 0);
	for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
		if (strcmp(o->role, ipc_role_name(roles[i].role)) == 0)
			return roles[i].run((uint32_t)instance);
	}
	return EXIT_USAGE;
}

/* ---- the supervisor ---- */

struct start {
	int report; /* to the process that waits; -1 in the foreground */
	bool foreground;
};

static void on_ready(const char *line, void *arg)
{
	struct start *s = arg;

	if (s->foreground) {
		puts(line);
		fflush(stdout);
	}
	daemon_report(&s->report, true, line);
}

static void on_failed(const char *reason, void *arg)
{
	struct start *s = arg;

	if (s->foreground)
		fprintf(stderr, "relaykeyd: %s\n", reason);
	else
		log_event(LOG_LEVEL_ERROR, "start-failed", "reason", "%s", reason);
	daemon_report(&s->report, false, reason);
}

/* A socket must never become a standard stream of a role, nor may a stray descriptor stay. */
static int tidy_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return -1;
	} while (fd <= STDERR_FILENO);
	close(fd);
	syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
	return 0;
}

/* ---- the first time ---- */

/* Token, KEK and stores of a configuration that was just written, in a process of their own. */
static int run_initialise(const struct options *o)
{
	struct rk_fault fault = {{0}};
	struct rk_config config;
	int err;

	umask(0077);
	err = config_load(o->config, &config, &fault);
	if (!err)
		err = secret_arena_init(INITIALISE_ARENA,
		                        config.secret_memory_locked ? SECRET_BACKING_LOCKED
		                                                    : SECRET_BACKING_BEST,
		                        &fault);
	if (!err)
		err = keeper_initialise(&config, o->so_pin_file, &fault);
	if (err)
		fprintf(stderr, "relaykeyd: %s\n",
		        fault.text[0] ? fault.text : rk_strerror(err));
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_broker(const struct options *o)
{
	struct start start = {.report = -1, .foreground = o->foreground};
	const struct supervisor_report report = {
	    .ready = on_ready, .failed = on_failed, .arg = &start};
	struct rk_fault fault = {{0}};
	struct rk_config config;
	char log[CONFIG_PATH_MAX + 16];
	int status;

	if (tidy_descriptors()) {
		fputs("relaykeyd: cannot open /dev/null\n", stderr);
		return EXIT_FAILURE;
	}
	umask(0077);
	if (config_load(o->config, &config, &fault)) {
		fprintf(stderr, "relaykeyd: %s\n", fault.text);
		return EXIT_FAILURE;
	}
	if (!o->foreground && (file_join(config.state_dir, "relaykeyd.log", log, sizeof log) ||
	                       daemon_start(log, &start.report, &fault))) {
		fprintf(stderr, "relaykeyd: %s\n", fault.text);
		return EXIT_FAILURE;
	}
	status = supervisor_run(&config, &report);
	daemon_report(&start.report, false, "it was told to stop before it was ready");
	return status;
}

int main(int argc, char **argv)
{
	struct options o = {0};
	int rc = parse_options(argc, argv, &o);

	if (rc)
		return rc < 0 ? EXIT_SUCCESS : rc;
	if (o.role)
		return run_role(&o);
	return o.initialise ? run_initialise(&o) : run_broker(&o);
}

/*
 * The supervisor with roles of straw (tests/lib/fake_role.h): it runs in a child process and is
 * watched through what its roles write down.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/lib/fake_role.h"
#include "supervisor/supervisor.h"

enum { PATIENCE_MS = 10000, EVENTS_MAX = 8192 };

struct stage {
	char dir[64];
	pid_t pid;
	int report; /* what the supervisor reported: "+line" or "-reason" */
	unsigned short proxy, console;
};

/* ---- files ---- */

static void path_in(const struct stage *s, const char *name, char out[128])
{
	snprintf(out, 128, "%s/%s", s->dir, name);
}

static void put_file(const struct stage *s, const char *name, const char *text)
{
	char path[128];

	path_in(s, name, path);
	assert_int_equal(file_write(path, rk_str(text), 0600, false, NULL), 0);
}

/* A self-signed certificate; `key` may be another one's. */
static void put_certificate(const struct stage *s, const char *name, EVP_PKEY *key)
{
	char path[128];
	X509 *x = X509_new();
	FILE *f;

	assert_non_null(x);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	path_in(s, name, path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, x), 1);
	fclose(f);
	X509_free(x);
}

static void put_key(const struct stage *s, const char *name, EVP_PKEY *key)
{
	char path[128];
	FILE *f;

	path_in(s, name, path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
	assert_int_equal(chmod(path, 0600), 0);
}

static void put_identity(const struct stage *s)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	assert_non_null(key);
	put_certificate(s, "server.pem", key);
	put_key(s, "server.key", key);
	EVP_PKEY_free(key);
}

static unsigned short free_port(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
	                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof sin;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	close(fd);
	return ntohs(sin.sin_port);
}

static void put_config(const struct stage *s, const char *more)
{
	char text[1024];

	snprintf(text, sizeof text,
	         "proxy 127.0.0.1:%u\nconsole 127.0.0.1:%u\ntls-certificate server.pem\n"
	         "tls-key server.key\nupstream-ca trust.pem\ntoken-module /x.so\ntoken x\n"
	         "relays 2\n%s",
	         s->proxy, s->console, more);
	put_file(s, "relaykeyd.conf", text);
}

static int set_stage(void **state)
{
	struct stage *s = calloc(1, sizeof *s);

	assert_non_null(s);
	snprintf(s->dir, sizeof s->dir, "/tmp/rk-supervisor-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	s->proxy = free_port();
	s->console = free_port();
	s->report = -1;
	put_identity(s);
	put_file(s, "trust.pem", "-----BEGIN CERTIFICATE-----\n");
	put_config(s, "log-level warn\n");
	*state = s;
	return 0;
}

static int clear_stage(void **state)
{
	struct stage *s = *state;
	struct dirent *d;
	char path[128 + 256];
	DIR *dir;

	if (s->pid > 0) {
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
	}
	if (s->report >= 0)
		close(s->report);
	dir = opendir(s->dir);
	while (dir && (d = readdir(dir))) {
		snprintf(path, sizeof path, "%s/%s", s->dir, d->d_name);
		unlink(path);
	}
	if (dir)
		closedir(dir);
	rmdir(s->dir);
	free(s);
	return 0;
}

/* ---- the supervisor's process ---- */

static void tell_ready(const char *line, void *arg)
{
	dprintf(*(int *)arg, "+%s", line);
}

static void tell_failed(const char *reason, void *arg)
{
	dprintf(*(int *)arg, "-%s", reason);
}

static void run(struct stage *s)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	fflush(NULL);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		const struct supervisor_report report = {tell_ready, tell_failed, &ends[1]};
		struct rk_config config;
		struct rk_fault fault;
		char path[128];

		close(ends[0]);
		path_in(s, "log", path);
		if (!freopen(path, "a", stderr))
			_exit(60);
		path_in(s, "relaykeyd.conf", path);
		if (config_load(path, &config, &fault))
			_exit(61);
		exit(supervisor_run(&config, &report));
	}
	close(ends[1]);
	s->report = ends[0];
}

static void read_report(struct stage *s, char out[1024])
{
	ssize_t n = read(s->report, out, 1023);

	out[n > 0 ? n : 0] = '\0';
}

static void run_until_ready(struct stage *s)
{
	char report[1024];

	run(s);
	read_report(s, report);
	if (report[0] != '+')
		print_message("%s\n", report);
	assert_int_equal(report[0], '+');
}

static int exit_status(struct stage *s)
{
	int status = -1;
	pid_t pid = s->pid;

	s->pid = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int stop(struct stage *s)
{
	assert_int_equal(kill(s->pid, SIGTERM), 0);
	return exit_status(s);
}

/* ---- events ---- */

static void read_text(const struct stage *s, const char *name, char out[EVENTS_MAX])
{
	struct rk_buf buf = {0};
	char path[128];

	out[0] = '\0';
	path_in(s, name, path);
	if (file_read(path, EVENTS_MAX - 1, &buf, NULL))
		return;
	memcpy(out, rk_buf_data(&buf), buf.len);
	out[buf.len] = '\0';
	rk_buf_free(&buf);
}

static unsigned count_of(const struct stage *s, const char *file, const char *what)
{
	char text[EVENTS_MAX];
	unsigned n = 0;

	read_text(s, file, text);
	for (const char *at = text; (at = strstr(at, what)); at++)
		n++;
	return n;
}

/* Waits until `what` stands `times` times in the file. */
static void wait_for(const struct stage *s, const char *file, const char *what, unsigned times)
{
	int64_t until = rk_mono_us() + (int64_t)PATIENCE_MS * 1000;

	while (count_of(s, file, what) < times) {
		if (rk_mono_us() > until)
			fail_msg("no \"%s\" (%u times) in %s", what, times, file);
		usleep(10000);
	}
}

/* The pid in the last line that starts with `what`. */
static pid_t pid_of(const struct stage *s, const char *what)
{
	char text[EVENTS_MAX];
	const char *last = NULL;

	read_text(s, "events", text);
	for (const char *at = text; (at = strstr(at, what)); at++)
		last = at;
	assert_non_null(last);
	return (pid_t)atol(last + strlen(what));
}

static long place_of(const char *text, const char *what)
{
	const char *at = strstr(text, what);

	if (!at)
		fail_msg("no \"%s\"", what);
	return at - text;
}

/* ---- start and stop ---- */

static void roles_start_with_the_keeper_and_readiness_names_the_addresses(void **state)
{
	struct stage *s = *state;
	char report[1024], expected[128], events[EVENTS_MAX];

	run(s);
	read_report(s, report);
	snprintf(expected, sizeof expected,
	         "+relaykeyd ready proxy=127.0.0.1:%u console=127.0.0.1:%u pid=%d", s->proxy,
	         s->console, (int)s->pid);
	assert_string_equal(report, expected);
	read_text(s, "events", events);
	assert_true(place_of(events, "up keeper.0") < place_of(events, "up relay.0"));
	assert_true(place_of(events, "up keeper.0") < place_of(events, "up relay.1"));
	assert_true(place_of(events, "up relay.1") < place_of(events, "up console.0"));
	assert_true(place_of(events, "up console.0") < place_of(events, "up courier.0"));
	assert_int_equal(stop(s), 0);
}

static void relays_stop_first_and_the_keeper_last(void **state)
{
	struct stage *s = *state;
	char events[EVENTS_MAX], path[128];
	long relays, rest;

	run_until_ready(s);
	assert_int_equal(stop(s), 0);
	read_text(s, "events", events);
	relays = place_of(events, "stop relay.0");
	if (place_of(events, "stop relay.1") > relays)
		relays = place_of(events, "stop relay.1");
	rest = place_of(events, "stop console.0");
	assert_true(relays < rest && relays < place_of(events, "stop courier.0"));
	assert_true(rest < place_of(events, "stop keeper.0"));
	assert_true(place_of(events, "stop courier.0") < place_of(events, "stop keeper.0"));
	path_in(s, "control.sock", path);
	assert_int_equal(access(path, F_OK), -1);
}

static void a_role_that_reports_failure_ends_the_start_with_its_reason(void **state)
{
	struct stage *s = *state;
	char report[1024];

	put_file(s, "fail-relay.1", "");
	run(s);
	read_report(s, report);
	assert_string_equal(report, "-relay.1: told to fail");
	assert_int_equal(exit_status(s), 1);
	assert_int_equal(count_of(s, "events", "up console.0"), 0);
	assert_int_equal(count_of(s, "events", "stop keeper.0"), 1);
}

static void a_role_that_breaks_its_sandbox_is_named_as_such(void **state)
{
	struct stage *s = *state;
	char report[1024];

	put_file(s, "sigsys-keeper.0", "");
	run(s);
	read_report(s, report);
	assert_non_null(strstr(report, "-keeper.0 did not start: killed by SIGSYS"));
	assert_non_null(strstr(report, "sandbox forbids"));
	assert_int_equal(exit_status(s), 1);
}

static void a_second_signal_does_not_wait_for_a_role_that_does_not_stop(void **state)
{
	struct stage *s = *state;

	put_file(s, "deaf-relay.0", "");
	run_until_ready(s);
	kill(s->pid, SIGTERM);
	wait_for(s, "events", "stop relay.0", 1);
	kill(s->pid, SIGTERM);
	assert_int_equal(exit_status(s), 0);
	assert_int_equal(count_of(s, "events", "stop keeper.0"), 1);
	assert_int_equal(count_of(s, "log", "role-slow-stop killed=relay.0"), 1);
}

/* ---- deaths ---- */

static void a_dead_relay_comes_back_and_the_keeper_gets_a_new_channel(void **state)
{
	struct stage *s = *state;

	run_until_ready(s);
	wait_for(s, "events", "relay keeper.0 0\n", 1);
	kill(pid_of(s, "up relay.0 "), SIGKILL);
	wait_for(s, "events", "up relay.0 ", 2);
	wait_for(s, "events", "relay keeper.0 0\n", 2);
	assert_int_equal(count_of(s, "events", "up relay.1 "), 1);
	assert_int_equal(stop(s), 0);
}

static void a_dead_keeper_comes_back_and_everybody_gets_a_new_channel(void **state)
{
	struct stage *s = *state;

	run_until_ready(s);
	kill(pid_of(s, "up keeper.0 "), SIGKILL);
	wait_for(s, "events", "up keeper.0 ", 2);
	wait_for(s, "events", "keeper relay.0 ", 2);
	wait_for(s, "events", "keeper relay.1 ", 2);
	wait_for(s, "events", "keeper console.0 ", 2);
	wait_for(s, "events", "keeper courier.0 ", 2);
	assert_int_equal(count_of(s, "events", "up relay.0 "), 1);
	assert_int_equal(stop(s), 0);
}

static void a_role_that_fails_later_is_tried_again_and_ends_nothing(void **state)
{
	struct stage *s = *state;
	char path[128];

	run_until_ready(s);
	put_file(s, "fail-console.0", "");
	kill(pid_of(s, "up console.0 "), SIGKILL);
	wait_for(s, "log", "told to fail", 2);
	path_in(s, "fail-console.0", path);
	unlink(path);
	wait_for(s, "events", "up console.0 ", 2);
	assert_int_equal(stop(s), 0);
}

static void roles_end_with_a_killed_supervisor(void **state)
{
	struct stage *s = *state;
	static const char *const names[] = {"up keeper.0 ", "up relay.0 ", "up relay.1 ",
	                                    "up console.0 ", "up courier.0 "};
	int64_t until;

	run_until_ready(s);
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
	until = rk_mono_us() + (int64_t)PATIENCE_MS * 1000;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char path[64];
		struct rk_buf stat = {0};
		bool gone = false;

		snprintf(path, sizeof path, "/proc/%d/stat", (int)pid_of(s, names[i]));
		while (!gone && rk_mono_us() < until) {
			/* without an init that reaps, the dead stay as zombies */
			gone = file_read(path, 4096, &stat, NULL) ||
			       memmem(rk_buf_data(&stat), stat.len, ") Z ", 4);
			rk_buf_free(&stat);
			usleep(10000);
		}
		assert_true(gone);
	}
}

/* ---- reload ---- */

static void a_reload_hands_out_the_new_certificate(void **state)
{
	struct stage *s = *state;

	run_until_ready(s);
	put_identity(s);
	kill(s->pid, SIGHUP);
	wait_for(s, "events", "tls relay.0 ", 1);
	wait_for(s, "events", "tls relay.1 ", 1);
	wait_for(s, "events", "tls console.0 ", 1);
	assert_int_equal(count_of(s, "events", "tls keeper.0 "), 0);
	assert_int_equal(stop(s), 0);
}

static void a_reload_with_another_key_is_refused_and_the_old_stays(void **state)
{
	struct stage *s = *state;
	EVP_PKEY *other = EVP_EC_gen("P-256");

	run_until_ready(s);
	put_key(s, "server.key", other);
	EVP_PKEY_free(other);
	kill(s->pid, SIGHUP);
	wait_for(s, "log", "does not belong to the certificate", 1);
	assert_int_equal(count_of(s, "events", "tls relay.0 "), 0);
	kill(pid_of(s, "up relay.0 "), SIGKILL);
	wait_for(s, "events", "up relay.0 ", 2); /* it was given the old pair */
	assert_int_equal(stop(s), 0);
}

static void a_reload_passes_on_a_large_trust_bundle_whole(void **state)
{
	struct stage *s = *state;
	size_t n = 1 << 20;
	char *bundle = malloc(n + 1);

	assert_non_null(bundle);
	memset(bundle, 'x', n);
	memcpy(bundle, "-----BEGIN CERTIFICATE-----\n", 28);
	bundle[n] = '\0';
	run_until_ready(s);
	put_file(s, "trust.pem", bundle);
	free(bundle);
	kill(s->pid, SIGHUP);
	wait_for(s, "events", "trust relay.0 1048576\n", 1);
	wait_for(s, "events", "trust relay.1 1048576\n", 1);
	wait_for(s, "events", "trust courier.0 1048576\n", 1);
	assert_int_equal(stop(s), 0);
}

static void a_reload_names_what_needs_a_restart(void **state)
{
	struct stage *s = *state;

	put_config(s, "log-level info\n");
	run_until_ready(s);
	put_config(s, "log-level info\njournal-sync normal\n");
	kill(s->pid, SIGHUP);
	wait_for(s, "log", "event=needs-restart key=journal-sync", 1);
	wait_for(s, "log", "event=reloaded", 1);
	assert_int_equal(count_of(s, "log", "needs-restart"), 1);
	put_config(s, "nonsense 1\n");
	kill(s->pid, SIGHUP);
	wait_for(s, "log", "event=reload-refused", 1);
	assert_int_equal(stop(s), 0);
}

/* ---- what is in the way ---- */

static void refused_start(struct stage *s, const char *why)
{
	char report[1024];

	run(s);
	read_report(s, report);
	assert_int_equal(report[0], '-');
	if (!strstr(report, why))
		fail_msg("\"%s\" does not say \"%s\"", report, why);
	assert_int_equal(exit_status(s), 1);
	assert_int_equal(count_of(s, "events", "up "), 0);
}

static void a_second_broker_on_the_same_directory_is_refused(void **state)
{
	struct stage *s = *state;
	struct stage second = *s;
	char report[1024], pid[32];

	run_until_ready(s);
	run(&second);
	read_report(&second, report);
	snprintf(pid, sizeof pid, "(pid %d)", (int)s->pid);
	assert_non_null(strstr(report, "another relaykeyd"));
	assert_non_null(strstr(report, pid));
	assert_int_equal(exit_status(&second), 1);
	close(second.report);
	assert_int_equal(stop(s), 0);
}

static void a_port_in_use_is_named_even_when_its_owner_would_share(void **state)
{
	struct stage *s = *state;
	struct sockaddr_in sin = {.sin_family = AF_INET,
	                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	                          .sin_port = htons(s->proxy)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	char why[64];

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof sin), 0);
	assert_int_equal(listen(fd, 1), 0);
	snprintf(why, sizeof why, "proxy 127.0.0.1:%u is in use", s->proxy);
	refused_start(s, why);
	close(fd);
	run_until_ready(s);
	assert_int_equal(stop(s), 0);
}

static void a_key_that_others_may_read_is_refused(void **state)
{
	struct stage *s = *state;
	char path[128];

	path_in(s, "server.key", path);
	assert_int_equal(chmod(path, 0644), 0);
	refused_start(s, "chmod 600");
}

static void a_missing_trust_bundle_is_named(void **state)
{
	struct stage *s = *state;
	char path[128];

	path_in(s, "trust.pem", path);
	unlink(path);
	refused_start(s, "upstream-ca");
}

static int bind_control(const struct stage *s)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(sun.sun_path, sizeof sun.sun_path, "%s/control.sock", s->dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof sun), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void a_stale_control_socket_is_replaced_and_a_live_one_is_not(void **state)
{
	struct stage *s = *state;
	struct stat st;
	char path[128], events[128];
	int fd;

	path_in(s, "control.sock", path);
	close(bind_control(s));
	run_until_ready(s);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stop(s), 0);
	close(s->report);

	path_in(s, "events", events);
	unlink(events);
	fd = bind_control(s);
	refused_start(s, "is in use by another process");
	close(fd);
	assert_int_equal(stat(path, &st), 0); /* not ours to remove */
}

static void a_file_in_the_place_of_the_control_socket_is_kept(void **state)
{
	struct stage *s = *state;

	put_file(s, "control.sock", "precious");
	refused_start(s, "is not a socket");
	assert_int_equal(count_of(s, "control.sock", "precious"), 1);
}

int main(int argc, char **argv)
{
#define ON_STAGE(f) cmocka_unit_test_setup_teardown(f, set_stage, clear_stage)
	const struct CMUnitTest tests[] = {
	    ON_STAGE(roles_start_with_the_keeper_and_readiness_names_the_addresses),
	    ON_STAGE(relays_stop_first_and_the_keeper_last),
	    ON_STAGE(a_role_that_reports_failure_ends_the_start_with_its_reason),
	    ON_STAGE(a_role_that_breaks_its_sandbox_is_named_as_such),
	    ON_STAGE(a_second_signal_does_not_wait_for_a_role_that_does_not_stop),
	    ON_STAGE(a_dead_relay_comes_back_and_the_keeper_gets_a_new_channel),
	    ON_STAGE(a_dead_keeper_comes_back_and_everybody_gets_a_new_channel),
	    ON_STAGE(a_role_that_fails_later_is_tried_again_and_ends_nothing),
	    ON_STAGE(roles_end_with_a_killed_supervisor),
	    ON_STAGE(a_reload_hands_out_the_new_certificate),
	    ON_STAGE(a_reload_with_another_key_is_refused_and_the_old_stays),
	    ON_STAGE(a_reload_passes_on_a_large_trust_bundle_whole),
	    ON_STAGE(a_reload_names_what_needs_a_restart),
	    ON_STAGE(a_second_broker_on_the_same_directory_is_refused),
	    ON_STAGE(a_port_in_use_is_named_even_when_its_owner_would_share),
	    ON_STAGE(a_key_that_others_may_read_is_refused),
	    ON_STAGE(a_missing_trust_bundle_is_named),
	    ON_STAGE(a_stale_control_socket_is_replaced_and_a_live_one_is_not),
	    ON_STAGE(a_file_in_the_place_of_the_control_socket_is_kept),
	};

	/* "TITLE --role NAME --instance N": the supervisor's way to start this program again */
	if (argc == 5 && strcmp(argv[1], "--role") == 0)
		return fake_role_main(argv[2], argv[4]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

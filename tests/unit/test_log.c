#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

/*
 * Standard error is a seqpacket socket while a test logs, so each write(2) arrives as one
 * message and a line split over two would show.
 */
struct capture {
	int saved;
	int reader;
	char line[4096];
};

static struct capture begin(void)
{
	struct capture c;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	c.saved = dup(STDERR_FILENO);
	c.reader = pair[0];
	assert_int_equal(dup2(pair[1], STDERR_FILENO), STDERR_FILENO);
	close(pair[1]);
	return c;
}

/* Puts standard error back; c->line is the only line written, "" when there was none. */
static void end(struct capture *c)
{
	char extra;
	ssize_t n, more;

	n = read(c->reader, c->line, sizeof c->line - 1);
	more = read(c->reader, &extra, 1);
	dup2(c->saved, STDERR_FILENO);
	close(c->saved);
	close(c->reader);
	c->line[n > 0 ? n : 0] = '\0';
	assert_true(more <= 0);
}

/* What stands behind the time, which differs from run to run. */
static const char *after_time(const struct capture *c)
{
	const char *space = strchr(c->line, ' ');

	assert_memory_equal(c->line, "ts=2", 4);
	assert_non_null(space);
	return space + 1;
}

static void test_a_plain_event_is_one_line(void **state)
{
	struct capture c = begin();

	(void)state;
	log_init("relay.0", LOG_LEVEL_INFO);
	log_event(LOG_LEVEL_INFO, "listening", "addr", "%s:%d", "127.0.0.1", 8443);
	end(&c);
	assert_string_equal(after_time(&c),
	                    "level=info role=relay.0 event=listening addr=127.0.0.1:8443\n");
}

static void test_an_event_needs_no_detail(void **state)
{
	struct capture c = begin();

	(void)state;
	log_init("keeper", LOG_LEVEL_INFO);
	log_event(LOG_LEVEL_ERROR, "sealed", NULL, "%s", "");
	end(&c);
	assert_string_equal(after_time(&c), "level=error role=keeper event=sealed\n");
}

static void test_values_cannot_forge_a_line_or_a_field(void **state)
{
	struct capture c = begin();

	(void)state;
	log_init("relay.0", LOG_LEVEL_INFO);
	log_event(LOG_LEVEL_WARN, "peer", "agent", "%s",
	          "x\nts=2026 level=info \"\\ \r\t\x1b[31m\x7f\xc3\xa4");
	end(&c);
	assert_string_equal(
	    after_time(&c),
	    "level=warn role=relay.0 event=peer agent=\"x\\nts=2026 level=info \\\"\\\\ "
	    "\\r\\t\\x1b[31m\\x7f\\xc3\\xa4\"\n");
}

static void test_an_empty_value_is_quoted(void **state)
{
	struct capture c = begin();

	(void)state;
	log_init("cli", LOG_LEVEL_INFO);
	log_event(LOG_LEVEL_INFO, "e", "k", "%s", "");
	end(&c);
	assert_string_equal(after_time(&c), "level=info role=cli event=e k=\"\"\n");
}

static void test_a_long_value_is_cut_with_a_mark_and_stays_one_line(void **state)
{
	static const char fills[] = {'x', ' ', '\n', '"', '\x01'};
	char value[3000];

	(void)state;
	for (size_t i = 0; i < sizeof fills; i++) {
		for (size_t n = 900; n < sizeof value; n += n < 1100 ? 1 : 700) {
			struct capture c = begin();
			size_t len;

			memset(value, fills[i], n);
			log_event(LOG_LEVEL_INFO, "e", "k", "%.*s", (int)n, value);
			end(&c);
			len = strlen(c.line);
			assert_in_range(len, 900, 1024);
			assert_int_equal(c.line[len - 1], '\n');
			assert_ptr_equal(strchr(c.line, '\n'), c.line + len - 1);
			if (n >= 1024)
				assert_string_equal(c.line + len - 5, "...\"\n");
		}
	}
}

static void test_events_below_the_level_are_dropped_and_the_others_are_not(void **state)
{
	struct capture c = begin();

	(void)state;
	log_init("cli", LOG_LEVEL_WARN);
	log_event(LOG_LEVEL_INFO, "quiet", NULL, "%s", "");
	end(&c);
	assert_string_equal(c.line, "");
	c = begin();
	log_event(LOG_LEVEL_WARN, "loud", NULL, "%s", "");
	end(&c);
	assert_non_null(strstr(c.line, "event=loud"));
}

static void test_errno_is_the_same_after_logging(void **state)
{
	int saved = dup(STDERR_FILENO);

	(void)state;
	log_init("cli", LOG_LEVEL_INFO);
	close(STDERR_FILENO);
	errno = ENOSPC;
	log_event(LOG_LEVEL_INFO, "e", NULL, "%s", "");
	assert_int_equal(errno, ENOSPC);
	dup2(saved, STDERR_FILENO);
	close(saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_plain_event_is_one_line),
	    cmocka_unit_test(test_an_event_needs_no_detail),
	    cmocka_unit_test(test_values_cannot_forge_a_line_or_a_field),
	    cmocka_unit_test(test_an_empty_value_is_quoted),
	    cmocka_unit_test(test_a_long_value_is_cut_with_a_mark_and_stays_one_line),
	    cmocka_unit_test(test_events_below_the_level_are_dropped_and_the_others_are_not),
	    cmocka_unit_test(test_errno_is_the_same_after_logging),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

/* "--name" of "--name=value": the value is not shown, it may be a secret. */
static struct rk_slice option_word(const char *arg)
{
	struct rk_slice word = rk_str(arg);
	const char *equals = memchr(word.p, '=', word.n);

	if (equals)
		word.n = (size_t)(equals - word.p);
	return word;
}

int cli_option(int argc, char **argv, const struct option *options)
{
	int index = -1, opt;
	struct rk_slice word;

	opterr = 0;
	opt = getopt_long(argc, argv, ":j", options, &index);
	if (opt == -1 || (opt != '?' && opt != ':' && index < 0))
		return opt;
	if (opt == '?' && optopt && optopt < 0x7f &&
	    !rk_slice_starts(rk_str(argv[optind - 1]), rk_str("--")))
		return cli_fail('?', "there is no option '-%c'", optopt);
	/* a value in an argument of its own stands behind the option */
	word = option_word(argv[optind - (optarg && optarg == argv[optind - 1] ? 2 : 1)]);
	if (opt == ':')
		return cli_fail('?', "%.*s needs a value", RK_FMT(word));
	if (opt == '?')
		return cli_fail('?',
		                optopt ? "%.*s takes no value" : "there is no option '%.*s'",
		                RK_FMT(word));
	if (!rk_slice_is(rk_slice_skip(word, 2), options[index].name))
		return cli_fail('?', "there is no option '%.*s': write --%s", RK_FMT(word),
		                options[index].name);
	return opt;
}

int cli_arguments(struct cli *c, int argc, char **argv, int count, const char *what)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
	                                        {NULL, 0, NULL, 0}};
	int opt;

	optind = 0;
	while ((opt = cli_option(argc, argv, options)) != -1) {
		if (opt != 'j')
			return CLI_USAGE;
		c->json = true;
	}
	if (optind != argc - count)
		return cli_fail(CLI_USAGE, "%s", what);
	return CLI_DONE;
}

/* A line from the terminal without echo, straight into secret memory. */
static int read_no_echo(const char *prompt, struct rk_secret *out)
{
	struct termios shown, hidden;
	sigset_t stop, before;
	ssize_t n = 0;
	int saved;

	if (tcgetattr(STDIN_FILENO, &shown) < 0)
		return RK_E_IO;
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	/* an interrupt in between would leave the terminal without echo */
	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTSTP);
	sigprocmask(SIG_BLOCK, &stop, &before);
	fprintf(stderr, "%s: ", prompt);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	while (out->len < out->cap) {
		n = read(STDIN_FILENO, out->p + out->len, out->cap - out->len);
		if (n <= 0)
			break;
		out->len += (size_t)n;
		if (out->p[out->len - 1] == '\n')
			break;
	}
	saved = errno;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = saved;
	fputc('\n', stderr);
	if (n < 0)
		return RK_E_IO;
	if (out->len && out->p[out->len - 1] == '\n')
		out->p[--out->len] = 0;
	return out->len ? 0 : RK_E_INVALID;
}

int cli_read_secret(const char *file, const char *prompt, struct rk_secret *out)
{
	bool standard_input = !file || strcmp(file, "-") == 0;
	struct rk_fault fault;

	if (standard_input && isatty(STDIN_FILENO)) {
		if (rk_secret_alloc(out, MSG_MAX_SECRET))
			return cli_fail(CLI_FAILED, "out of secret memory");
		if (read_no_echo(prompt, out))
			return cli_fail(CLI_FAILED, "nothing was entered");
		return CLI_DONE;
	}
	if (!file)
		return cli_fail(
		    CLI_USAGE,
		    "no secret: use --secret-file FILE, or --secret-file - for standard input");
	if (file_read_secret(file, MSG_MAX_SECRET, false, out, &fault))
		return cli_fail(CLI_FAILED, "%s", fault.text);
	return CLI_DONE;
}

int cli_list_add(struct cli_list *l, const char *item)
{
	if (record_list_add(l->mem, sizeof l->mem, &l->used, rk_str(item)))
		return cli_fail(CLI_USAGE, "too many or too long values: %.40s", item);
	return CLI_DONE;
}

struct rk_slice cli_list_slice(const struct cli_list *l)
{
	return rk_slice(l->mem, l->used);
}

int cli_parse_ttl(const char *text, int64_t *ttl_ms)
{
	if (rk_span_parse(rk_str(text), ttl_ms))
		return cli_fail(CLI_USAGE, "'%s' is no time span: use 90s, 15m, 12h, 7d or 2w",
		                text);
	return CLI_DONE;
}

int cli_parse_time(const char *option, const char *text, int64_t *wall_ms)
{
	if (rk_time_parse(rk_str(text), wall_ms))
		return cli_fail(CLI_USAGE,
		                "%s: '%s' is no date: use 2026-12-31 or 2026-12-31T18:00:00Z",
		                option, text);
	return CLI_DONE;
}

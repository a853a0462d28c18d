#include <stdio.h>
#include <sys/socket.h>

#include "cli/cli.h"
#include "cli/usage.h"
#include "policy/provider.h"

enum { MAX_SHOWN = 200, PATIENCE_S = 2 };

const char cli_completion_usage[] =
    "usage: relaykey completion bash|zsh|fish\n"
    "  Prints a script that completes commands, options, and names of connections and ids of\n"
    "  relay keys as the broker has them.\n"
    "         relaykey completion zsh > /usr/local/share/zsh/site-functions/_relaykey\n"
    "         relaykey completion fish > ~/.config/fish/completions/relaykey.fish\n";

/* All three ask the program itself; a line ":files" stands for names of files. */
static const struct {
	const char *shell, *script;
} scripts[] = {
    {"bash",
     "_relaykey() {\n"
     "\tlocal line\n"
     "\tCOMPREPLY=()\n"
     "\twhile IFS= read -r line; do\n"
     "\t\tcase $line in\n"
     "\t\t:files) compopt -o default ;;\n"
     "\t\t*[:=]) compopt -o nospace; COMPREPLY+=(\"$line\") ;;\n"
     "\t\t*) COMPREPLY+=(\"$line\") ;;\n"
     "\t\tesac\n"
     "\tdone < <(\"${COMP_WORDS[0]}\" completion words -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" "
     "2>/dev/null)\n"
     "}\n"
     "complete -F _relaykey relaykey\n"},
    {"zsh",
     "#compdef relaykey\n"
     "_relaykey() {\n"
     "\tlocal line\n"
     "\tlocal -a found\n"
     "\tfor line in \"${(@f)$(\"${words[1]}\" completion words -- \"${(@)words[2,CURRENT]}\" "
     "2>/dev/null)}\"; do\n"
     "\t\tif [[ $line == :files ]]; then\n"
     "\t\t\t_files\n"
     "\t\telif [[ -n $line ]]; then\n"
     "\t\t\tfound+=(\"$line\")\n"
     "\t\tfi\n"
     "\tdone\n"
     "\t(( $#found )) && compadd -- \"${found[@]}\"\n"
     "}\n"
     "if [[ ${funcstack[1]} == _relaykey ]]; then\n"
     "\t_relaykey \"$@\"\n"
     "else\n"
     "\tcompdef _relaykey relaykey\n"
     "fi\n"},
    {"fish",
     "function __relaykey_complete\n"
     "\tset -l before (commandline -opc)\n"
     "\tset -l current (commandline -ct)\n"
     "\tset -l program $before[1]\n"
     "\tset -e before[1]\n"
     "\tfor line in (command $program completion words -- $before \"$current\" 2>/dev/null)\n"
     "\t\tif test \"$line\" = :files\n"
     "\t\t\t__fish_complete_path \"$current\"\n"
     "\t\telse\n"
     "\t\t\techo $line\n"
     "\t\tend\n"
     "\tend\n"
     "end\n"
     "complete -c relaykey -f -a '(__relaykey_complete)'\n"},
};

/* The words before the cursor, and the one at it. */
struct line {
	struct cli *c;
	char **words;
	int count; /* without the one at the cursor */
	struct rk_slice current;
};

/* ---- candidates ---- */

static void offer(const struct line *l, struct rk_slice word)
{
	if (word.n && rk_slice_starts(word, l->current))
		printf("%.*s\n", RK_FMT(word));
}

static void offer_words(const struct line *l, const char *words)
{
	struct rk_slice left = rk_str(words), word;

	while (provider_next_word(&left, &word))
		offer(l, word);
}

static bool connect_briefly(const struct line *l)
{
	const struct timeval wait = {.tv_sec = PATIENCE_S};

	/* a key that is typed in is not for this */
	if (l->c->url && (!l->c->token_file || strcmp(l->c->token_file, "-") == 0))
		return false;
	if ((!l->c->url && !l->c->config_path) || cli_connect(l->c))
		return false;
	return l->c->url ||
	       setsockopt(l->c->sock, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0;
}

static void offer_conns(const struct line *l)
{
	const struct msg_list list = {.limit = MAX_SHOWN};
	struct ipc_message m;
	bool on = connect_briefly(l) && !cli_send(l->c, MSG_CONN_LIST, &list);

	while (on && !cli_receive(l->c, &m) && m.type == MSG_CONN_INFO)
		offer(l, m.body.conn_info.name);
}

static void offer_keys(const struct line *l)
{
	const struct msg_list list = {.live_only = 1, .limit = MAX_SHOWN};
	struct ipc_message m;
	bool on = connect_briefly(l) && !cli_send(l->c, MSG_KEY_LIST, &list);

	while (on && !cli_receive(l->c, &m) && m.type == MSG_KEY_INFO) {
		offer(l, m.body.key_info.id);
		if (l->current.n) /* else everything would be there twice */
			offer(l, m.body.key_info.masked);
	}
}

static void offer_providers(const struct line *l, const char *end)
{
	char word[64];
	const struct provider *p;

	for (size_t i = 0; (p = provider_at(i)); i++) {
		snprintf(word, sizeof word, "%s%s", p->id, end);
		offer(l, rk_str(word));
	}
}

/* What a text stands for: "FILE", "NAME", "jsonl|csv". */
static void offer_value(const struct line *l, struct rk_slice option, struct rk_slice value)
{
	struct rk_slice choice;

	if (rk_slice_is(option, "--conn")) {
		offer_conns(l);
	} else if (rk_slice_is(option, "--key") || rk_slice_starts(value, rk_str("KEY|"))) {
		offer_keys(l);
	} else if (rk_slice_starts(value, rk_str("KIND:"))) {
		offer_words(l, "app: agent: person: vendor:");
	} else if (rk_slice_is(option, "--kind")) {
		offer_words(l, "app agent person vendor");
	} else if (rk_slice_is(option, "--decision")) {
		offer_words(l, "allowed denied locked limited failed");
	} else if (rk_slice_is(option, "--method")) {
		offer_words(l, "GET HEAD POST PUT PATCH DELETE OPTIONS *");
	} else if (rk_slice_is(option, "--provider")) {
		offer_providers(l, "");
	} else if (rk_slice_starts(value, rk_str("PROVIDER="))) {
		offer_providers(l, "=");
	} else if (rk_slice_is(value, "F") || rk_slice_is(value, "F|-") ||
	           rk_slice_is(value, "SO") || rk_slice_is(value, "DIR") ||
	           (value.n >= 4 && rk_slice_is(rk_slice(value.p + value.n - 4, 4), "FILE"))) {
		puts(":files");
	} else {
		while (usage_next_choice(&value, &choice))
			offer(l, choice);
	}
}

/* ---- where the cursor is ---- */

static bool find_option(const char *usage, struct rk_slice option, struct rk_slice *value)
{
	struct rk_slice each;
	size_t at = 0;

	while (usage_next_option(usage, &at, &each, value)) {
		if (rk_slice_eq(each, option))
			return true;
	}
	value->n = 0;
	return false;
}

/* Behind a command: its options, their values, its argument. */
static void complete_command(const struct line *l, const char *words, const char *usage,
                             int first)
{
	struct rk_slice option, value, argument = usage_argument(usage, words);
	size_t at = 0;

	if (l->count > first) {
		option = rk_str(l->words[l->count - 1]);
		if (find_option(usage, option, &value) && value.n) {
			offer_value(l, option, value);
			return;
		}
	}
	if (rk_slice_starts(l->current, rk_str("-"))) {
		while (usage_next_option(usage, &at, &option, &value))
			offer(l, option);
		offer(l, rk_str("--help"));
		return;
	}
	/* a new one has no name yet */
	if (rk_slice_is(argument, "NAME") && strncmp(words, "conn ", 5) == 0 &&
	    strcmp(words, "conn add") != 0)
		offer_conns(l);
	else
		offer_value(l, rk_str(""), argument);
}

static void complete_group(const struct line *l, const struct cli_entry *e, int first)
{
	char words[64];

	for (const struct cli_command *cmd = e->group; cmd->name; cmd++) {
		if (l->count == first) {
			offer(l, rk_str(cmd->name));
		} else if (strcmp(cmd->name, l->words[first]) == 0) {
			snprintf(words, sizeof words, "%s %s", e->name, cmd->name);
			complete_command(l, words, cmd->usage, first + 1);
		}
	}
	if (l->count == first && rk_slice_starts(l->current, rk_str("-")))
		offer(l, rk_str("--help"));
}

/* Where the value of an option before the command goes; NULL: it has none. */
static const char **global_value(struct cli *c, const char *word)
{
	if (strcmp(word, "--config") == 0 || strcmp(word, "-c") == 0)
		return &c->config_path;
	if (strcmp(word, "--url") == 0)
		return &c->url;
	if (strcmp(word, "--token-file") == 0)
		return &c->token_file;
	return strcmp(word, "--ca") == 0 ? &c->ca_file : NULL;
}

/* Over the options before the command; false: the cursor is at one's value. */
static bool skip_globals(struct line *l, int *first)
{
	int i = 0;

	while (i < l->count && l->words[i][0] == '-') {
		const char **value = global_value(l->c, l->words[i]);

		if (value && i + 1 == l->count)
			return false;
		if (value)
			*value = l->words[i + 1];
		/* as main() has it */
		if (value == &l->c->config_path)
			l->c->url = NULL;
		i += value ? 2 : 1;
	}
	*first = i;
	return true;
}

static void complete(struct line *l)
{
	const struct cli_entry *e;
	int first;

	if (!skip_globals(l, &first)) {
		if (strcmp(l->words[l->count - 1], "--url") != 0)
			puts(":files");
		return;
	}
	if (first == l->count) {
		for (e = cli_tree; e->name; e++)
			offer(l, rk_str(e->name));
		if (l->current.n)
			offer_words(l,
			            "--config --url --token-file --ca --json --help --version");
		return;
	}
	e = cli_find(l->words[first]);
	if (e && e->group)
		complete_group(l, e, first + 1);
	else if (e)
		complete_command(l, e->name, e->usage, first + 1);
}

int cli_completion(struct cli *c, int argc, char **argv)
{
	struct line l = {.c = c, .words = argv + 3, .count = argc - 4};

	if (argc >= 4 && strcmp(argv[1], "words") == 0 && strcmp(argv[2], "--") == 0) {
		l.current = rk_str(argv[argc - 1]);
		complete(&l);
		return CLI_DONE;
	}
	for (size_t i = 0; argc == 2 && i < sizeof scripts / sizeof scripts[0]; i++) {
		if (strcmp(argv[1], scripts[i].shell) == 0) {
			fputs(scripts[i].script, stdout);
			return CLI_DONE;
		}
	}
	return cli_fail(CLI_USAGE, "for which shell? bash, zsh or fish");
}

/*
 * relaykey conn versions, rollback, purge: a connection's earlier credentials.
 */
#include <getopt.h>
#include <stdio.h>

#include "api/encode.h"
#include "api/fields.h"
#include "cli/cli.h"
#include "cli/render.h"

/* NAME, and VERSION when `version` is given. */
static int parse(struct cli *c, int argc, char **argv, const char **ref, uint32_t *version)
{
	int status = cli_arguments(c, argc, argv, version ? 2 : 1,
	                           version ? "a NAME and a VERSION are needed"
	                                   : "which connection? one NAME or id is needed");
	uint64_t n;

	if (status)
		return status;
	*ref = argv[optind];
	if (!version)
		return CLI_DONE;
	if (!rk_slice_u64(rk_str(argv[optind + 1]), &n) || !n || n > UINT32_MAX)
		return cli_fail(CLI_USAGE, "'%s' is no version", argv[optind + 1]);
	*version = (uint32_t)n;
	return CLI_DONE;
}

static json_t *render_version(const struct msg_credential_info *i)
{
	return api_encode(&api_credential, i);
}

static const char *state_of(const struct msg_credential_info *i)
{
	if (i->current)
		return "in use";
	return i->restorable ? "" : "of another upstream";
}

static int show_version(struct cli *c, const struct msg_credential_info *i)
{
	json_t *doc = render_version(i);

	if (c->json)
		return render_json_line(doc);
	printf("%-8u ", i->version);
	render_print(stdout, render_string(doc, "secret_hint"), 19);
	render_print(stdout, render_string(doc, "created_at"), 25);
	render_print(stdout, render_string(doc, "mechanism"), 10);
	printf("%-4u %s\n", i->kek_generation, state_of(i));
	json_decref(doc);
	return CLI_DONE;
}

int cli_conn_versions(struct cli *c, int argc, char **argv)
{
	struct msg_credential_list list = {.before = 0};
	const char *ref = NULL;
	struct ipc_message m;
	int status = parse(c, argc, argv, &ref, NULL);
	bool more = !status;

	list.ref = rk_str(ref);
	if (more && !c->json)
		printf("%-8s %-18s %-24s %-9s %-4s\n", "VERSION", "SECRET", "CREATED",
		       "WRAPPED", "KEK");
	while (more && !status) {
		status = cli_send(c, MSG_CREDENTIAL_LIST, &list);
		while (!status && !(status = cli_receive(c, &m)) &&
		       m.type == MSG_CREDENTIAL_INFO) {
			list.before = m.body.credential_info.version;
			status = show_version(c, &m.body.credential_info);
		}
		more = !status && m.type == MSG_DONE && m.body.done.more;
	}
	return status;
}

static int by_version(struct cli *c, int argc, char **argv, enum ipc_type type)
{
	struct msg_credential_ref body = {.version = 0};
	const char *ref = NULL;
	int status = parse(c, argc, argv, &ref, &body.version);

	body.ref = rk_str(ref);
	return status ? status : cli_conn_call(c, type, &body);
}

int cli_conn_rollback(struct cli *c, int argc, char **argv)
{
	return by_version(c, argc, argv, MSG_CONN_ROLLBACK);
}

int cli_conn_purge(struct cli *c, int argc, char **argv)
{
	return by_version(c, argc, argv, MSG_CONN_PURGE);
}

#include "cli/cli.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int socket_open(struct cli *c)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct rk_fault fault;

	if (c->sock >= 0)
		return CLI_DONE;
	if (!c->config_path)
		return cli_fail(CLI_USAGE,
		                "no configuration: use --config FILE or set RELAYKEY_CONFIG");
	if (config_load(c->config_path, &c->config, &fault))
		return cli_fail(CLI_FAILED, "%s", fault.text);
	if (!rk_slice_cstr(rk_str(c->config.control_socket), sa.sun_path, sizeof sa.sun_path))
		return cli_fail(CLI_FAILED, "the path of the control socket is too long: %s",
		                c->config.control_socket);
	if (rk_secret_alloc(&c->rx, IPC_MAX_DATAGRAM))
		return cli_fail(CLI_FAILED, "out of memory");
	c->sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (c->sock < 0 || connect(c->sock, (struct sockaddr *)&sa, sizeof sa) < 0)
		return cli_fail(errno == EACCES ? CLI_FAILED : CLI_UNREACHABLE,
		                "the broker does not answer on %s: %s",
		                c->config.control_socket, strerror(errno));
	return CLI_DONE;
}

static int socket_send(struct cli *c, enum ipc_type type, const void *body)
{
	int status = socket_open(c);
	int err;

	if (status)
		return status;
	err = ipc_send_blocking(c->sock, type, 1, body, -1);
	if (err == RK_E_TOOBIG || err == RK_E_INVALID)
		return cli_fail(CLI_FAILED, "a value is longer than the broker takes");
	if (err)
		return cli_fail(CLI_UNREACHABLE, "the broker closed the connection");
	return CLI_DONE;
}

static int socket_receive(struct cli *c, struct ipc_message *m)
{
	int got;

	if (c->pending.n == 0) {
		ssize_t n;
		int fd;

		rk_secret_wipe(&c->rx);
		n = ipc_recv(c->sock, c->rx.p, c->rx.cap, &fd);
		if (fd >= 0)
			close(fd);
		if (n < 0)
			return cli_fail(CLI_UNREACHABLE, "the broker closed the connection");
		c->rx.len = (size_t)n;
		c->pending = rk_secret_slice(&c->rx);
	}
	got = ipc_frame_next(&c->pending, IPC_KEEPER, IPC_CONTROL, IPC_PHASE_SERVE, m);
	if (got <= 0)
		return cli_fail(CLI_FAILED, "the broker's answer is malformed");
	if (m->type == MSG_DONE && m->body.done.err) {
		struct rk_slice text = m->body.done.text;

		if (text.n == 0)
			text = rk_str(rk_strerror((int)m->body.done.err));
		return cli_fail(CLI_FAILED, "%.*s", RK_FMT(text));
	}
	return CLI_DONE;
}

static void socket_close(struct cli *c)
{
	if (c->sock >= 0)
		close(c->sock);
	c->sock = -1;
	rk_secret_free(&c->rx);
}

static bool socket_ready(struct cli *c, int ms)
{
	struct pollfd p = {.fd = c->sock, .events = POLLIN};

	return c->pending.n > 0 || poll(&p, 1, ms) != 0;
}

static const struct cli_transport control_socket = {
    .open = socket_open,
    .send = socket_send,
    .receive = socket_receive,
    .ready = socket_ready,
    .close = socket_close,
};

static const struct cli_transport *way(const struct cli *c)
{
	return c->url ? &cli_remote : &control_socket;
}

int cli_connect(struct cli *c)
{
	return way(c)->open(c);
}

int cli_send(struct cli *c, enum ipc_type type, const void *body)
{
	return way(c)->send(c, type, body);
}

int cli_receive(struct cli *c, struct ipc_message *m)
{
	return way(c)->receive(c, m);
}

bool cli_ready(struct cli *c, int ms)
{
	return way(c)->ready(c, ms);
}

int cli_call(struct cli *c, enum ipc_type type, const void *body, enum ipc_type answer,
             struct ipc_message *m)
{
	int status = cli_send(c, type, body);

	if (!status)
		status = cli_receive(c, m);
	if (!status && m->type != answer)
		status = cli_fail(CLI_FAILED, "the broker gave an answer to another question");
	return status;
}

void cli_close(struct cli *c)
{
	way(c)->close(c);
}

/*
 * The upstream of tests/lib/relay_world.h: a thread for each connection, manners by path. Also
 * starts and ends the whole world.
 *
 *   /v1/echo        the request as it came, head and body, as text
 *   /v1/count       reads the body, answers with its length
 *   /v1/big/N       N bytes with Content-Length
 *   /v1/chunked/N   the same in chunks
 *   /v1/sse         three events; before the second and third it waits for a byte in world.go
 *   /v1/close       without length: the end closes it
 *   /v1/cut         half of what it promised, then reset
 *   /v1/hints       103, 103, then 200
 *   /v1/empty       204
 *   /v1/unchanged   304
 *   /v1/early       answers 413 without reading the body, then closes
 *   /v1/surplus     bytes behind the response
 *   /v1/garbage     no HTTP
 *   /v1/once        answers, and closes without a word that it will
 *   /v1/stale       as echo on a connection of its own; on a used one, hangs up at the head
 *   /v1/gone        hangs up without an answer
 *   /v1/silent      never answers
 *   /v1/rekey       20000 bytes, with new TLS keys before each 1000
 *   /v1/rekey-flood new TLS keys and nothing else
 *   /v1/renegotiate asks for a second handshake, and answers whether it came
 *   /v1/drip        answers with a head that goes on, a byte every 100 ms
 *   /v1/cookie      Set-Cookie and more
 *   /v1/ws          a WebSocket, see up_tunnel()
 *   /v1/ws-eager    the same, and speaks first
 *   /v1/ws-other, /v1/ws-unsaid, /v1/ws-framed   a 101 that is none
 */
#ifndef TESTS_RELAY_UPSTREAM_H
#define TESTS_RELAY_UPSTREAM_H

#include "relay_world.h"

static inline bool up_text(struct peer *p, const char *status, const char *extra,
                           const char *body, size_t n)
{
	char head[512];

	snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status, n,
	         extra);
	return peer_send(p, head) && peer_send_n(p, body, n);
}

static inline bool up_big(struct peer *p, size_t n, bool chunked)
{
	static const size_t piece = 10000;
	char *data = malloc(piece);
	char line[128];
	bool ok;

	memset(data, 'x', piece);
	snprintf(line, sizeof line,
	         chunked ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	                 : "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
	         n);
	ok = peer_send(p, line);
	while (ok && n) {
		size_t now = n < piece ? n : piece;

		if (chunked) {
			snprintf(line, sizeof line, "%zx\r\n", now);
			ok = peer_send(p, line);
		}
		ok = ok && peer_send_n(p, data, now) && (!chunked || peer_send(p, "\r\n"));
		n -= now;
	}
	free(data);
	return ok && (!chunked || peer_send(p, "0\r\n\r\n"));
}

/* False when the other side left instead. */
static inline bool up_wait_go(struct peer *p)
{
	struct pollfd pfd[2] = {{.fd = world.go[0], .events = POLLIN},
	                        {.fd = p->fd, .events = POLLIN | POLLRDHUP}};
	char byte;

	return poll(pfd, 2, 5000) > 0 && !pfd[1].revents && read(world.go[0], &byte, 1) == 1;
}

static inline bool up_sse(struct peer *p)
{
	if (!peer_send(p, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
	                  "Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n"))
		return false;
	for (int i = 2; i <= 3; i++) {
		char event[32];

		if (!up_wait_go(p))
			return false;
		snprintf(event, sizeof event, "9\r\ndata: %d\n\n\r\n", i);
		if (!peer_send(p, event))
			return false;
	}
	return peer_send(p, "0\r\n\r\n");
}

/* Reads the request's body as `head` frames it. */
static inline void up_body(struct peer *p, struct reply *r)
{
	const char *length = strcasestr(r->head, "\r\ncontent-length:");

	if (strcasestr(r->head, "\r\ntransfer-encoding: chunked")) {
		long n;

		while ((n = reply_chunk(p, r)) > 0)
			;
		r->whole = n == 0;
	} else if (length) {
		reply_take(p, r, strtoul(length + 17, NULL, 10));
	}
}

static inline bool up_echo(struct peer *p, const struct reply *r)
{
	size_t n = strlen(r->head) + r->body_n;
	char *text = malloc(n + 1);
	bool ok;

	memcpy(text, r->head, strlen(r->head));
	memcpy(text + strlen(r->head), r->body, r->body_n);
	ok = up_text(p, "200 OK", "Content-Type: text/plain\r\n", text, n);
	free(text);
	return ok;
}

/*
 * A WebSocket as far as the relay sees it: 101, then every byte comes back. "bye" ends it from
 * this side, "drop" breaks it off.
 */
static inline void up_tunnel(struct peer *p, const char *extra)
{
	static const struct linger reset = {1, 0};
	char head[512];
	bool on;

	snprintf(head, sizeof head,
	         "HTTP/1.1 101 Whatever\r\nConnection: keep-alive, Upgrade\r\n"
	         "Upgrade: WebSocket\r\n"
	         "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n%s",
	         extra);
	on = peer_send(p, head);
	while (on && (p->n || peer_more(p) > 0)) {
		if (p->n == 3 && memcmp(p->buf, "bye", 3) == 0) {
			SSL_shutdown(p->ssl);
			shutdown(p->fd, SHUT_WR);
			p->n = 0;
			peer_more(p);
			break;
		}
		if (p->n == 4 && memcmp(p->buf, "drop", 4) == 0) {
			setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
			SSL_free(p->ssl);
			p->ssl = NULL;
			return;
		}
		on = peer_send_n(p, p->buf, p->n);
		p->n = 0;
	}
	pthread_mutex_lock(&world.lock);
	world.tunnels_ended++;
	pthread_mutex_unlock(&world.lock);
}

static inline bool up_rekey(struct peer *p)
{
	static const char piece[1000] = "x";
	bool on = peer_send(p, "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n");

	for (int i = 0; on && i < 20; i++)
		on = SSL_key_update(p->ssl, SSL_KEY_UPDATE_REQUESTED) == 1 &&
		     peer_send_n(p, piece, sizeof piece);
	return on;
}

static inline void up_rekey_flood(struct peer *p)
{
	for (int i = 0; i < 1000; i++) {
		if (SSL_key_update(p->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1 ||
		    SSL_do_handshake(p->ssl) != 1)
			return;
	}
	peer_more(p);
}

static inline bool up_renegotiate(struct peer *p)
{
	bool asked = SSL_renegotiate(p->ssl) == 1 && SSL_do_handshake(p->ssl) == 1;
	bool pending = SSL_renegotiate_pending(p->ssl);

	return up_text(p, "200 OK", "", asked && !pending ? "anew" : "same", 4);
}

static inline void up_drip(struct peer *p)
{
	bool on = peer_send(p, "HTTP/1.1 200 OK\r\nX-A: ");

	for (int i = 0; on && i < 100; i++) {
		usleep(100000);
		on = peer_send(p, "a");
	}
}

/* False: the connection ends here. */
static inline bool up_serve(struct peer *p)
{
	struct reply r;
	char path[256] = "", text[64];
	bool on = false; /* so also for /v1/gone */

	reply_read_head(p, &r);
	if (r.head[0] == '\0' || sscanf(r.head, "%*s %255s", path) != 1) {
		reply_free(&r);
		return false;
	}
	path[strcspn(path, "?")] = '\0';
	p->served++;
	if (strcmp(path, "/v1/early") == 0) {
		char rest[4096];

		up_text(p, "413 Content Too Large", "Connection: close\r\n", "no", 2);
		SSL_shutdown(p->ssl);
		shutdown(p->fd, SHUT_WR);
		/* a reset would overtake the answer */
		while (read(p->fd, rest, sizeof rest) > 0)
			;
		reply_free(&r);
		return false;
	}
	if (strcmp(path, "/v1/stale") == 0 && p->served > 1) {
		reply_free(&r);
		return false;
	}
	up_body(p, &r);
	if (strcmp(path, "/v1/echo") == 0 || strcmp(path, "/v1/stale") == 0) {
		on = up_echo(p, &r);
	} else if (strcmp(path, "/v1/count") == 0) {
		snprintf(text, sizeof text, "%zu", r.body_n);
		on = up_text(p, "200 OK", "", text, strlen(text));
	} else if (strncmp(path, "/v1/big/", 8) == 0) {
		on = up_big(p, strtoul(path + 8, NULL, 10), false);
	} else if (strncmp(path, "/v1/chunked/", 12) == 0) {
		on = up_big(p, strtoul(path + 12, NULL, 10), true);
	} else if (strcmp(path, "/v1/sse") == 0) {
		on = up_sse(p);
	} else if (strcmp(path, "/v1/close") == 0) {
		peer_send(p, "HTTP/1.1 200 OK\r\n\r\nuntil the end");
	} else if (strcmp(path, "/v1/cut") == 0) {
		static const struct linger reset = {1, 0};

		peer_send(p, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf");
		usleep(100000);
		setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
		SSL_free(p->ssl);
		p->ssl = NULL;
	} else if (strcmp(path, "/v1/hints") == 0) {
		on = peer_send(p, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
		                  "HTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n") &&
		     up_text(p, "200 OK", "", "hinted", 6);
	} else if (strcmp(path, "/v1/empty") == 0) {
		on = peer_send(p, "HTTP/1.1 204 No Content\r\n\r\n");
	} else if (strcmp(path, "/v1/unchanged") == 0) {
		on = peer_send(p, "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n");
	} else if (strcmp(path, "/v1/head") == 0) {
		on = peer_send(p, "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n");
	} else if (strcmp(path, "/v1/surplus") == 0) {
		on = peer_send(p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 "
		                  "OK\r\nContent-Length: 4\r\n\r\nevil");
	} else if (strcmp(path, "/v1/garbage") == 0) {
		peer_send(p, "this is not HTTP\r\n\r\n");
	} else if (strcmp(path, "/v1/once") == 0) {
		up_text(p, "200 OK", "", "once", 4);
	} else if (strcmp(path, "/v1/silent") == 0) {
		peer_more(p);
	} else if (strcmp(path, "/v1/rekey") == 0) {
		on = up_rekey(p);
	} else if (strcmp(path, "/v1/rekey-flood") == 0) {
		up_rekey_flood(p);
	} else if (strcmp(path, "/v1/renegotiate") == 0) {
		on = up_renegotiate(p);
	} else if (strcmp(path, "/v1/drip") == 0) {
		up_drip(p);
	} else if (strcmp(path, "/v1/ws") == 0) {
		up_tunnel(p, "");
	} else if (strcmp(path, "/v1/ws-eager") == 0) {
		up_tunnel(p, "first");
	} else if (strcmp(path, "/v1/ws-other") == 0) {
		peer_send(p,
		          "HTTP/1.1 101 Other\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
	} else if (strcmp(path, "/v1/ws-unsaid") == 0) {
		peer_send(p, "HTTP/1.1 101 Unsaid\r\nUpgrade: websocket\r\n\r\n");
	} else if (strcmp(path, "/v1/ws-framed") == 0) {
		peer_send(p, "HTTP/1.1 101 Framed\r\nConnection: Upgrade\r\n"
		             "Upgrade: websocket\r\nContent-Length: 0\r\n\r\n");
	} else if (strcmp(path, "/v1/cookie") == 0) {
		on = up_text(p, "200 OK",
		             "Set-Cookie: a=b\r\nX-RelayKey-Decision: forged\r\n"
		             "Connection: X-Hop\r\nX-Hop: 1\r\nAlt-Svc: h3=\":443\"\r\n"
		             "x-ratelimit-limit-requests: 60\r\n",
		             "ok", 2);
	} else if (strcmp(path, "/v1/gone") != 0) {
		on = up_text(p, "404 Not Found", "", "none", 4);
	}
	reply_free(&r);
	return on;
}

static inline void *up_connection(void *arg)
{
	struct peer *p = calloc(1, sizeof *p);

	p->fd = (int)(intptr_t)arg;
	peer_patience(p->fd, 20);
	p->ssl = SSL_new(world.server);
	SSL_set_fd(p->ssl, p->fd);
	if (SSL_accept(p->ssl) == 1) {
		while (up_serve(p))
			;
	}
	peer_close(p);
	free(p);
	return NULL;
}

static inline void *up_accept(void *arg)
{
	for (;;) {
		int fd = accept4(*(int *)arg, NULL, NULL, SOCK_CLOEXEC);
		pthread_t t;

		if (fd < 0)
			return NULL;
		pthread_mutex_lock(&world.lock);
		world.upstream_accepted++;
		pthread_mutex_unlock(&world.lock);
		MUST(pthread_create(&t, NULL, up_connection, (void *)(intptr_t)fd) == 0);
		pthread_detach(t);
	}
}

static inline unsigned world_upstream_accepted(void)
{
	unsigned n;

	pthread_mutex_lock(&world.lock);
	n = world.upstream_accepted;
	pthread_mutex_unlock(&world.lock);
	return n;
}

/* ---- the whole world ---- */

static inline int world_start(void)
{
	int keeper[2], control[2];
	struct rk_fault fault = {0};
	pthread_t t;

	signal(SIGPIPE, SIG_IGN);
	world_make_certificate();
	world.listener = world_listen(INADDR_LOOPBACK, &world.proxy_port);
	world.upstream_listener = world_listen(INADDR_LOOPBACK, &world.upstream_port);
	/* the same, at an address that its certificate does not name */
	world.misnamed_listener = world_listen(INADDR_LOOPBACK + 1, &world.upstream_port);
	MUST(pipe2(world.go, O_CLOEXEC) == 0);
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, keeper) == 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) == 0);
	world.relay = fork();
	MUST(world.relay >= 0);
	if (world.relay == 0) {
		close(keeper[0]);
		close(control[0]);
		close(world.upstream_listener);
		world_run_relay(control[1], keeper[1]);
	}
	close(keeper[1]);
	close(control[1]);
	close(world.listener);
	world.control = control[0];
	MUST(secret_arena_init(1 << 20, SECRET_BACKING_BEST, &fault) == 0);
	MUST(pthread_create(&t, NULL, up_accept, &world.upstream_listener) == 0);
	pthread_detach(t);
	MUST(pthread_create(&t, NULL, up_accept, &world.misnamed_listener) == 0);
	pthread_detach(t);
	world_keeper_starts(keeper[0]);
	return 0;
}

/* A new keeper for the relay, as the supervisor hands one over after a restart. */
static inline void world_new_keeper(void)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	char byte = 'K';
	struct iovec iov = {&byte, 1};
	struct msghdr mh = {.msg_iov = &iov,
	                    .msg_iovlen = 1,
	                    .msg_control = control.bytes,
	                    .msg_controllen = sizeof control.bytes};
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
	int pair[2];

	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &pair[1], sizeof(int));
	MUST(sendmsg(world.control, &mh, 0) == 1);
	close(pair[1]);
	world_keeper_starts(pair[0]);
}

/* Stops the relay; its exit status. */
static inline int world_stop(void)
{
	char byte = 'S';
	int status = -1;

	(void)!write(world.control, &byte, 1);
	waitpid(world.relay, &status, 0);
	close(world.control);
	return status;
}

#endif

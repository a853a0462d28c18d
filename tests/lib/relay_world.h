/*
 * A relay with everything around it, for tests: the relay itself in a child process inside its
 * sandbox, and here a keeper that allows what carries the right key, an upstream with scripted
 * manners, and a client that reads answers. All on loopback and socketpairs.
 *
 * The child is started before this process makes its secret arena, which does not survive a
 * fork.
 */
#ifndef TESTS_RELAY_WORLD_H
#define TESTS_RELAY_WORLD_H

#include <arpa/inet.h>
#include <event2/dns.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sandbox.h"
#include "base/secret.h"
#include "ipc/frame.h"
#include "policy/reason.h"
#include "relay/engine.h"

#define WORLD_KEY      "rk_app_worldkey"
#define WORLD_HOLD     "rk_app_unanswered"
#define WORLD_EXPIRING "rk_app_expiring"
#define WORLD_SECRET   "sk_real_secret_of_the_upstream"

enum { WORLD_NOTES = 4096 };

/* What the relay is started with, beside what the world gives it; for a test to change before.
 */
static struct relay_params world_params = {
    .deadline_ms = {[DEADLINE_HEAD] = 700,
                    [DEADLINE_QUIET] = 300,
                    [DEADLINE_DECISION] = 700,
                    [DEADLINE_RESPONSE_HEAD] = 3000,
                    [DEADLINE_BODY] = 1500,
                    [DEADLINE_TUNNEL] = 1200,
                    [DEADLINE_TUNNEL_END] = 500,
                    [DEADLINE_CLIENT_WRITE] = 5000},
};

/* A file like /etc/hosts that the relay's resolver reads too, or NULL. */
static const char *world_hosts;

#define WORLD_SILENT REASON_COUNT /* AGAIN stays unanswered */

/* What the keeper was told about the end of one exchange, or of a refusal. */
struct world_note {
	uint64_t id;
	uint16_t reason, status;
	uint8_t outcome;
	uint64_t bytes_in, bytes_out;
	bool refused;
};

static struct world {
	char certificate[4096], key[4096];
	int proxy_port, upstream_port;
	int listener, upstream_listener, misnamed_listener;
	pid_t relay;
	int control; /* to the relay's process */
	int keeper;
	bool hold_upstream; /* connections of the upstream stay unanswered */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct world_note notes[WORLD_NOTES];
	unsigned note_count;
	uint64_t last_id; /* of AUTHORIZE */
	unsigned allowed, completed;
	unsigned asked, asked_again, asked_again_unsent;
	struct msg_probed probed; /* the last one; its texts: */
	char probed_detail[256], probed_subject[MSG_MAX_SUBJECT + 1];
	uint64_t probed_id;
	unsigned probes;
	bool last_dial; /* what the last AUTHORIZE said of a dial */
	unsigned
	    withhold; /* so many decisions come without what a dial takes, asked for or not */
	enum reason again;       /* what AGAIN is answered with; WORLD_SILENT: nothing */
	uint32_t again_upstream; /* where it sends the request then; 0: to "mock" */
	char last_query_names[256];
	unsigned upstream_accepted;
	unsigned tunnels_ended; /* at the upstream */
	int go[2];              /* a byte lets a waiting handler of the upstream go on */
	SSL_CTX *client, *server;
} world = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

#define MUST(what)                                                                             \
	do {                                                                                   \
		if (!(what)) {                                                                 \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);             \
			abort();                                                               \
		}                                                                              \
	} while (0)

/* ---- certificate ---- */

static inline void world_make_certificate(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);
	X509V3_CTX ctx;
	static const struct {
		int nid;
		const char *value;
	} extensions[] = {
	    {NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost,DNS:pair.test,DNS:mixed.test"},
	    {NID_basic_constraints, "critical,CA:TRUE"},
	};
	BIO *bio;

	MUST(key && cert);
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"world", -1,
	                           -1, 0);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	for (size_t i = 0; i < 2; i++) {
		X509_EXTENSION *e =
		    X509V3_EXT_conf_nid(NULL, &ctx, extensions[i].nid, extensions[i].value);

		MUST(e);
		X509_add_ext(cert, e, -1);
		X509_EXTENSION_free(e);
	}
	MUST(X509_sign(cert, key, EVP_sha256()));
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(bio, cert);
	MUST(BIO_read(bio, world.certificate, sizeof world.certificate - 1) > 0);
	BIO_free(bio);
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	MUST(BIO_read(bio, world.key, sizeof world.key - 1) > 0);
	BIO_free(bio);
	world.server = SSL_CTX_new(TLS_server_method());
	MUST(SSL_CTX_use_certificate(world.server, cert) == 1);
	MUST(SSL_CTX_use_PrivateKey(world.server, key) == 1);
	world.client = SSL_CTX_new(TLS_client_method());
	MUST(X509_STORE_add_cert(SSL_CTX_get_cert_store(world.client), cert) == 1);
	SSL_CTX_set_verify(world.client, SSL_VERIFY_PEER, NULL);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static inline int world_listen(uint32_t addr, int *port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
	                          .sin_port = htons((uint16_t)*port),
	                          .sin_addr.s_addr = htonl(addr)};
	socklen_t len = sizeof sin;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0 && bind(fd, (struct sockaddr *)&sin, len) == 0 && listen(fd, 128) == 0);
	MUST(getsockname(fd, (struct sockaddr *)&sin, &len) == 0);
	*port = ntohs(sin.sin_port);
	return fd;
}

/* ---- the relay's process ---- */

static struct relay *world_relay;

/* 'K' with a descriptor: a new keeper; 'S': stop. */
static inline void world_on_control(evutil_socket_t fd, short what, void *arg)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr mh = {.msg_iov = &iov,
	                    .msg_iovlen = 1,
	                    .msg_control = control.bytes,
	                    .msg_controllen = sizeof control.bytes};

	(void)what;
	(void)arg;
	if (recvmsg(fd, &mh, 0) <= 0)
		_exit(0);
	if (byte == 'K') {
		int keeper;

		memcpy(&keeper, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof keeper);
		relay_set_keeper(world_relay, keeper);
	} else if (byte == 'S') {
		relay_stop(world_relay, 5000);
	}
}

_Noreturn static inline void world_run_relay(int control, int keeper)
{
	struct relay_params p = world_params;
	struct rk_fault fault = {0};
	struct event *ev;

	p.certificate = rk_str(world.certificate);
	p.key = rk_str(world.key);
	p.trust = rk_str(world.certificate);
	p.listener = world.listener;
	p.keeper = keeper;
	signal(SIGPIPE, SIG_IGN);
	log_init("relay.test", getenv("WORLD_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	if (secret_arena_init(4 << 20, SECRET_BACKING_BEST, &fault) || loop_new(&p.loop) ||
	    relay_new(&p, &world_relay, &fault)) {
		fprintf(stderr, "relay: %s\n", fault.text);
		_exit(2);
	}
	if (world_hosts && evdns_base_load_hosts(world_relay->dns, world_hosts))
		_exit(2);
	ev =
	    event_new(loop_base(p.loop), control, EV_READ | EV_PERSIST, world_on_control, NULL);
	event_add(ev, NULL);
	if (sandbox_enter(relay_sandbox(), &fault)) {
		fprintf(stderr, "relay: %s\n", fault.text);
		_exit(2);
	}
	loop_run(p.loop);
	relay_free(world_relay);
	/* what must never be left behind */
	_exit(secret_arena_in_use() > 256 * 1024 ? 3 : 0);
}

/* ---- the keeper ---- */

static inline void world_note_add(const struct world_note *n)
{
	pthread_mutex_lock(&world.lock);
	if (world.note_count < WORLD_NOTES)
		world.notes[world.note_count++] = *n;
	world.completed += !n->refused;
	pthread_cond_broadcast(&world.changed);
	pthread_mutex_unlock(&world.lock);
}

/* By their ids; those from WORLD_LATE on are pushed by the tests that want them. */
static const char *const world_conns[] = {
    [1] = "mock",    [2] = "query",  [3] = "refused",  [4] = "named", [5] = "wrongname",
    [6] = "dead",    [7] = "late",   [8] = "stalled",  [9] = "pair",  [10] = "metadata",
    [11] = "inside", [12] = "mixed", [20] = "dialling"};

enum {
	WORLD_LATE = 7,
	WORLD_STALLED = 8,
	WORLD_PAIR = 9,
	WORLD_METADATA,
	WORLD_INSIDE,
	WORLD_MIXED
};

static inline uint32_t world_upstream_id(struct rk_slice conn)
{
	uint64_t number;

	for (uint32_t id = 1; id < sizeof world_conns / sizeof *world_conns; id++) {
		if (world_conns[id] && rk_slice_is(conn, world_conns[id]))
			return id;
	}
	if (rk_slice_starts(conn, rk_str("behind")) &&
	    rk_slice_u64(rk_slice_skip(conn, 6), &number))
		return (uint32_t)number;
	return 1;
}

/* What a dial takes, where it is asked for and not withheld. */
static inline struct rk_slice world_dial(bool wanted)
{
	static char mem[64];
	const struct msg_dial m = {.proxy_secret = rk_str("user:" WORLD_SECRET)};
	ssize_t n = record_encode(&msg_dial_desc, &m, mem, sizeof mem);

	pthread_mutex_lock(&world.lock);
	if (world.withhold) {
		world.withhold--;
		wanted = false;
	}
	pthread_mutex_unlock(&world.lock);
	MUST(n > 0);
	return rk_slice(mem, wanted ? (size_t)n : 0);
}

static inline void world_decide(int sock, const struct ipc_message *m)
{
	const struct msg_authorize *a = &m->body.authorize;
	struct msg_decision d = {.decision = DECISION_DENIED, .reason = REASON_INVALID_KEY};
	bool good = rk_slice_is(a->key, WORLD_KEY) || rk_slice_is(a->key, WORLD_EXPIRING);

	pthread_mutex_lock(&world.lock);
	world.last_id = m->id;
	world.asked++;
	world.last_dial = a->dial;
	world.allowed += good && !a->key_conflict;
	pthread_cond_broadcast(&world.changed);
	pthread_mutex_unlock(&world.lock);
	if (rk_slice_is(a->key, WORLD_HOLD))
		return;
	if (good && !a->key_conflict) {
		d.dial = world_dial(a->dial);
		d.decision = DECISION_ALLOWED;
		d.reason = REASON_OK;
		d.upstream_id = world_upstream_id(a->conn);
		d.inject_headers = rk_str("Authorization: Bearer " WORLD_SECRET "\r\n");
		if (d.upstream_id == 2) {
			d.inject_headers = rk_str("");
			d.inject_query = rk_str("key=" WORLD_SECRET);
		}
		if (rk_slice_is(a->key, WORLD_EXPIRING)) {
			struct timespec ts;

			clock_gettime(CLOCK_REALTIME, &ts);
			d.cut_at_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + 400;
		}
	}
	(void)!ipc_send_blocking(sock, MSG_DECISION, m->id, &d, -1);
}

/* A second try of a request that was allowed; a refusal ends it without a COMPLETE. */
static inline void world_decide_again(int sock, uint64_t id)
{
	struct msg_decision d = {.decision = DECISION_ALLOWED};
	enum reason reason;
	uint32_t upstream;

	pthread_mutex_lock(&world.lock);
	reason = world.again;
	upstream = world.again_upstream;
	world.completed += reason != REASON_OK && reason != WORLD_SILENT;
	pthread_cond_broadcast(&world.changed);
	pthread_mutex_unlock(&world.lock);
	if (reason == REASON_OK) {
		d.upstream_id = upstream ? upstream : 1;
		d.dial = world_dial(true);
		d.inject_headers = rk_str("Authorization: Bearer " WORLD_SECRET "\r\n");
	} else if (reason != WORLD_SILENT) {
		d.decision = (uint8_t)reason_info(reason)->decision;
		d.reason = (uint16_t)reason;
	} else {
		return;
	}
	(void)!ipc_send_blocking(sock, MSG_DECISION, id, &d, -1);
}

static inline void world_probed(uint64_t id, const struct msg_probed *m)
{
	pthread_mutex_lock(&world.lock);
	world.probed = *m;
	world.probed_id = id;
	MUST(rk_slice_cstr(m->detail, world.probed_detail, sizeof world.probed_detail));
	MUST(rk_slice_cstr(m->subject, world.probed_subject, sizeof world.probed_subject));
	world.probes++;
	pthread_cond_broadcast(&world.changed);
	pthread_mutex_unlock(&world.lock);
}

static inline void *world_keep(void *arg)
{
	int sock = (int)(intptr_t)arg;
	static _Thread_local char buf[IPC_MAX_DATAGRAM];

	for (;;) {
		struct rk_slice datagram;
		struct ipc_message m;
		int fd;
		ssize_t n = ipc_recv(sock, buf, sizeof buf, &fd);

		if (n < 0)
			break;
		datagram = rk_slice(buf, (size_t)n);
		while (ipc_frame_next(&datagram, IPC_RELAY, IPC_KEEPER, IPC_PHASE_SERVE, &m) >
		       0) {
			struct world_note note = {.id = m.id};

			if (m.type == MSG_AUTHORIZE) {
				world_decide(sock, &m);
			} else if (m.type == MSG_AGAIN) {
				pthread_mutex_lock(&world.lock);
				world.asked_again++;
				world.asked_again_unsent += !m.body.again.sent;
				pthread_cond_broadcast(&world.changed);
				pthread_mutex_unlock(&world.lock);
				world_decide_again(sock, m.id);
			} else if (m.type == MSG_COMPLETE) {
				note.reason = m.body.complete.reason;
				note.status = m.body.complete.status;
				note.outcome = m.body.complete.outcome;
				note.bytes_in = m.body.complete.bytes_in;
				note.bytes_out = m.body.complete.bytes_out;
				world_note_add(&note);
			} else if (m.type == MSG_PROBED) {
				world_probed(m.id, &m.body.probed);
			} else if (m.type == MSG_REFUSED) {
				note.refused = true;
				note.reason = m.body.refused.reason;
				world_note_add(&note);
			}
		}
	}
	close(sock);
	return NULL;
}

/* How the next upstreams that are pushed are reached. */
static const char *world_egress = "";

static inline void world_push_upstream(uint32_t id, const char *name, const char *host,
                                       int port, uint32_t flags, bool own_ca)
{
	char list[64], conn_id[64];
	size_t used = 0;
	struct msg_upstream m = {
	    .upstream_id = id,
	    .name = rk_str(name),
	    .host = rk_str(host),
	    .port = (uint16_t)port,
	    .base_path = rk_str("/v1"),
	    .flags = flags,
	    .egress = rk_str(world_egress),
	};

	snprintf(conn_id, sizeof conn_id, "conn_%s", name);
	m.conn_id = rk_str(conn_id);
	MUST(record_list_add(list, sizeof list, &used, rk_str("X-Custom-Auth")) == 0);
	m.set_headers = rk_slice(list, used);
	if (own_ca)
		m.ca_pem = rk_str(world.certificate);
	MUST(ipc_send_blocking(world.keeper, MSG_UPSTREAM, 0, &m, -1) == 0);
}

static inline void world_gate(bool unsealed, bool audit_ok)
{
	const struct msg_gate gate = {.unsealed = unsealed, .audit_ok = audit_ok};

	MUST(ipc_send_blocking(world.keeper, MSG_GATE, 0, &gate, -1) == 0);
}

static inline void world_keeper_starts(int sock)
{
	pthread_t t;

	world.keeper = sock;
	MUST(pthread_create(&t, NULL, world_keep, (void *)(intptr_t)sock) == 0);
	pthread_detach(t);
	world_push_upstream(1, "mock", "127.0.0.1", world.upstream_port, UPSTREAM_ALLOW_PRIVATE,
	                    true);
	world_push_upstream(2, "query", "127.0.0.1", world.upstream_port,
	                    UPSTREAM_ALLOW_PRIVATE | UPSTREAM_QUERY_AUTH, false);
	world_push_upstream(3, "refused", "127.0.0.1", world.upstream_port, 0, true);
	world_push_upstream(4, "named", "localhost", world.upstream_port,
	                    UPSTREAM_ALLOW_PRIVATE, true);
	world_push_upstream(5, "wrongname", "127.0.0.2", world.upstream_port,
	                    UPSTREAM_ALLOW_PRIVATE, true);
	world_push_upstream(6, "dead", "127.0.0.1", 1, UPSTREAM_ALLOW_PRIVATE, true);
	world_push_upstream(20, "dialling", "127.0.0.1", world.upstream_port,
	                    UPSTREAM_ALLOW_PRIVATE | UPSTREAM_PROXY_SECRET, true);
	/* port 1 is nobody's: whoever is asked there was allowed to be */
	world_egress = "http://127.0.0.1:1";
	world_push_upstream(21, "behind21", "127.0.0.1", 443, 0, true);
	world_push_upstream(22, "behind22", "localhost", 443, 0, true);
	world_push_upstream(23, "behind23", "metadata.goog", 443, UPSTREAM_ALLOW_PRIVATE, true);
	world_push_upstream(24, "behind24", "169.254.169.254", 443, UPSTREAM_ALLOW_PRIVATE,
	                    true);
	world_push_upstream(25, "behind25", "127.0.0.1", 443, UPSTREAM_ALLOW_PRIVATE, true);
	world_push_upstream(26, "behind26", "localhost", 443, UPSTREAM_ALLOW_PRIVATE, true);
	world_push_upstream(27, "behind27", "api.example.com", 443, 0, true);
	world_egress = "";
	world_gate(true, true);
}

/* What second tries are answered with from now on. */
static inline void world_set_again(enum reason reason)
{
	pthread_mutex_lock(&world.lock);
	world.again = reason;
	pthread_mutex_unlock(&world.lock);
}

static inline void world_set_again_upstream(uint32_t id)
{
	pthread_mutex_lock(&world.lock);
	world.again_upstream = id;
	pthread_mutex_unlock(&world.lock);
}

/* Waits until the keeper was asked once more than before; the exchange. */
static inline uint64_t world_wait_asked(unsigned before)
{
	struct timespec until;
	uint64_t id;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 5;
	pthread_mutex_lock(&world.lock);
	while (world.asked <= before &&
	       pthread_cond_timedwait(&world.changed, &world.lock, &until) == 0)
		;
	id = world.last_id;
	pthread_mutex_unlock(&world.lock);
	return id;
}

static inline void world_withhold_dials(unsigned n)
{
	pthread_mutex_lock(&world.lock);
	world.withhold = n;
	pthread_mutex_unlock(&world.lock);
}

/* How many second tries were asked for without a first. */
static inline unsigned world_again_unsent(void)
{
	unsigned n;

	pthread_mutex_lock(&world.lock);
	n = world.asked_again_unsent;
	pthread_mutex_unlock(&world.lock);
	return n;
}

static inline bool world_last_dial(void)
{
	bool dial;

	pthread_mutex_lock(&world.lock);
	dial = world.last_dial;
	pthread_mutex_unlock(&world.lock);
	return dial;
}

/* Waits until n second tries were asked for in all; how many there were. */
static inline unsigned world_wait_again(unsigned n)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 5;
	pthread_mutex_lock(&world.lock);
	while (world.asked_again < n &&
	       pthread_cond_timedwait(&world.changed, &world.lock, &until) == 0)
		;
	n = world.asked_again;
	pthread_mutex_unlock(&world.lock);
	return n;
}

/* The late answer to a second try that was left unanswered. */
static inline void world_answer_again(enum reason reason)
{
	world_set_again(reason);
	world_decide_again(world.keeper, world.last_id);
	world_set_again(REASON_OK);
}

/* Waits until the keeper has heard of n ends in all; the last one. */
static inline struct world_note world_wait_note(unsigned n)
{
	struct world_note note = {0};
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 5;
	pthread_mutex_lock(&world.lock);
	while (world.note_count < n &&
	       pthread_cond_timedwait(&world.changed, &world.lock, &until) == 0)
		;
	if (world.note_count >= n)
		note = world.notes[n - 1];
	pthread_mutex_unlock(&world.lock);
	return note;
}

/* How many ends the keeper has heard of, once every exchange that it allowed has one. */
static inline unsigned world_notes(void)
{
	struct timespec until;
	unsigned n;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 5;
	pthread_mutex_lock(&world.lock);
	while (world.completed < world.allowed &&
	       pthread_cond_timedwait(&world.changed, &world.lock, &until) == 0)
		;
	n = world.note_count;
	pthread_mutex_unlock(&world.lock);
	return n;
}

/* ---- connections of this process ---- */

struct peer {
	SSL *ssl;
	int fd;
	char buf[65536]; /* read, not taken */
	size_t n;
	unsigned served; /* by the upstream: requests on this connection */
};

static inline ssize_t peer_more(struct peer *p)
{
	int n;

	if (p->n == sizeof p->buf)
		return -1;
	n = SSL_read(p->ssl, p->buf + p->n, (int)(sizeof p->buf - p->n));
	if (n > 0)
		p->n += (size_t)n;
	return n;
}

static inline void peer_drop(struct peer *p, size_t n)
{
	memmove(p->buf, p->buf + n, p->n - n);
	p->n -= n;
}

static inline bool peer_send_n(struct peer *p, const void *data, size_t n)
{
	size_t put;

	return n == 0 || (SSL_write_ex(p->ssl, data, n, &put) == 1 && put == n);
}

static inline bool peer_send(struct peer *p, const char *text)
{
	return peer_send_n(p, text, strlen(text));
}

/* Length of the head in buf with its empty line, reading as needed; 0 at the end. */
static inline size_t peer_head(struct peer *p)
{
	for (;;) {
		char *end = p->n ? memmem(p->buf, p->n, "\r\n\r\n", 4) : NULL;

		if (end)
			return (size_t)(end - p->buf) + 4;
		if (peer_more(p) <= 0)
			return 0;
	}
}

static inline void peer_close(struct peer *p)
{
	if (p->ssl) {
		SSL_shutdown(p->ssl);
		SSL_free(p->ssl);
	}
	if (p->fd >= 0)
		close(p->fd);
	p->ssl = NULL;
	p->fd = -1;
	p->n = 0;
}

static inline void peer_patience(int fd, int seconds)
{
	const struct timeval tv = {seconds, 0};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
}

static inline void peer_connect(struct peer *p)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
	                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	                          .sin_port = htons((uint16_t)world.proxy_port)};

	p->n = 0;
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(p->fd >= 0 && connect(p->fd, (struct sockaddr *)&sin, sizeof sin) == 0);
	peer_patience(p->fd, 10);
	p->ssl = SSL_new(world.client);
	SSL_set_fd(p->ssl, p->fd);
	SSL_set1_host(p->ssl, "localhost");
	MUST(SSL_connect(p->ssl) == 1);
}

/* ---- answers ---- */

struct reply {
	int status; /* 0: the connection ended before a whole head */
	char head[8192];
	char *body;
	size_t body_n;
	bool whole; /* the body came to its proper end */
};

static inline bool reply_has(const struct reply *r, const char *line)
{
	return strcasestr(r->head, line) != NULL;
}

/* Takes n body bytes; fewer at the end of the connection. */
static inline size_t reply_take(struct peer *p, struct reply *r, size_t n)
{
	size_t left = n;

	while (left) {
		size_t now = p->n < left ? p->n : left;

		if (now == 0) {
			if (peer_more(p) <= 0)
				break;
			continue;
		}
		r->body = realloc(r->body, r->body_n + now + 1);
		memcpy(r->body + r->body_n, p->buf, now);
		r->body_n += now;
		peer_drop(p, now);
		left -= now;
	}
	return n - left;
}

/* One chunk, appended to the body; 0 at the last one, -1 at a broken end. */
static inline long reply_chunk(struct peer *p, struct reply *r)
{
	char *line;
	size_t n;

	while (!(line = p->n ? memmem(p->buf, p->n, "\r\n", 2) : NULL)) {
		if (peer_more(p) <= 0)
			return -1;
	}
	n = strtoul(p->buf, NULL, 16);
	peer_drop(p, (size_t)(line - p->buf) + 2);
	if (reply_take(p, r, n) < n)
		return -1;
	while (p->n < 2) {
		if (peer_more(p) <= 0)
			return -1;
	}
	if (memcmp(p->buf, "\r\n", 2) != 0)
		return -1;
	peer_drop(p, 2);
	return (long)n;
}

static inline void reply_read_head(struct peer *p, struct reply *r)
{
	size_t n = peer_head(p);

	memset(r, 0, sizeof *r);
	r->body = calloc(1, 1);
	if (n == 0 || n >= sizeof r->head)
		return;
	memcpy(r->head, p->buf, n);
	peer_drop(p, n);
	r->status = atoi(r->head + 9);
}

static inline void reply_read(struct peer *p, struct reply *r, bool no_body)
{
	const char *length;

	reply_read_head(p, r);
	if (!r->status)
		return;
	length = strcasestr(r->head, "\r\ncontent-length:");
	if (no_body || r->status == 204 || r->status == 304) {
		r->whole = true;
	} else if (strcasestr(r->head, "\r\ntransfer-encoding: chunked")) {
		long n;

		while ((n = reply_chunk(p, r)) > 0)
			;
		r->whole = n == 0;
	} else if (length) {
		size_t n = strtoul(length + 17, NULL, 10);

		r->whole = reply_take(p, r, n) == n;
	} else {
		reply_take(p, r, SIZE_MAX);
		r->whole = SSL_get_shutdown(p->ssl) & SSL_RECEIVED_SHUTDOWN;
	}
	r->body[r->body_n] = '\0';
}

static inline void reply_free(struct reply *r)
{
	free(r->body);
	r->body = NULL;
}

#endif

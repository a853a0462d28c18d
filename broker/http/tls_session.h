/*
 * Where a client keeps the last session ticket of one server, so that the next connection to it
 * is cheap. One slot a destination and credential: sessions are never shared wider than
 * connections are.
 */
#ifndef HTTP_TLS_SESSION_H
#define HTTP_TLS_SESSION_H

struct ssl_st;
struct ssl_session_st;

/* A zeroed slot is empty. It must outlive the connections that were made with it. */
struct tls_session_slot {
	struct ssl_session_st *session;
};

void tls_session_clear(struct tls_session_slot *slot);

/* OpenSSL's new-session callback; finds the slot by way of the connection. In http/tls.c. */
int tls_session_keep(struct ssl_st *ssl, struct ssl_session_st *session);

#endif

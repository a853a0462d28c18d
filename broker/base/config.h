/*
 * relaykeyd.conf: "key value" lines, '#' starts a comment, no nesting. Paths that are
 * not absolute are relative to the file's own directory. Everything that is not
 * needed before the stores open lives in the policy store instead.
 *
 *   state-dir        .                    # policy.db, journal.db, wrapped store keys
 *   control-socket   control.sock
 *   proxy            127.0.0.1:8443
 *   console          127.0.0.1:8444
 *   proxy-protocol   off                  # on: trusted proxies send PROXY v2 before TLS
 *   trusted-proxy    10.0.0.0/8           # whose X-Forwarded-For counts; repeatable
 *   max-connections  20000                # clients of one relay process, 1 to 50000
 *   max-connections-per-client 500        # of them by one address (IPv6: /64)
 *   tls-certificate  server.pem           # chain, PEM
 *   tls-key          server.key           # PEM, mode 0600
 *   upstream-ca      /etc/ssl/certs/ca-certificates.crt
 *   egress-proxy     http://proxy.example.com:3128   # upstreams are reached through it
 * (CONNECT) relays           2                    # processes, 1 to 64; default one per core
 *   user             nobody               # of relay, console, courier when started as root
 *   token-module     /usr/lib/softhsm/libsofthsm2.so
 *   token-init-args  ...                  # C_Initialize reserved string, optional
 *   token-env        SOFTHSM2_CONF=softhsm2.conf   # set for the module only; repeatable
 *   token            relaykey             # label, or an RFC 7512 pkcs11: URI
 *   token-pin-file   token.pin
 *   journal-sync     full                 # full | normal (documented as not power-safe)
 *   secret-memory    best                 # best | locked (see base/secret.h)
 *   log-level        info
 *
 * A '#' inside a word is part of the value. Required: proxy, console, tls-certificate, tls-key,
 * token-module, token; the values shown of the others are the defaults, but for user,
 * egress-proxy, trusted-proxy, token-init-args, token-env and token-pin-file, which default to
 * none, max-connections (as many as the process may have descriptors for) and
 * max-connections-per-client (half of all).
 *
 * Unknown and repeated keys, and values out of range, are refused with file and line.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/egress.h"
#include "base/err.h"
#include "base/ipaddr.h"
#include "base/slice.h"

#include <stdbool.h>

enum {
	CONFIG_PATH_MAX = 1024,
	CONFIG_MAX_ENV = 8,
	CONFIG_MAX_RELAYS = 64,
	CONFIG_MAX_CONNECTIONS = 50000,
};

struct rk_config {
	char path[CONFIG_PATH_MAX]; /* the file itself, absolute */
	char dir[CONFIG_PATH_MAX];  /* its directory, absolute */
	char state_dir[CONFIG_PATH_MAX];
	char control_socket[CONFIG_PATH_MAX]; /* fits sockaddr_un: at most 107 bytes */
	char proxy[128];                      /* "addr:port", "[v6]:port" */
	char console[128];
	bool proxy_protocol;
	struct rk_cidrs trusted_proxies;
	unsigned max_connections, max_connections_per_client; /* of one relay; 0: not set */
	char tls_certificate[CONFIG_PATH_MAX];
	char tls_key[CONFIG_PATH_MAX];
	char upstream_ca[CONFIG_PATH_MAX];
	struct egress egress; /* of connections that say nothing else */
	unsigned relays;
	char user[64]; /* empty: not set */
	char token_module[CONFIG_PATH_MAX];
	char token_init_args[512];
	char token_env[CONFIG_MAX_ENV]
	              [CONFIG_PATH_MAX]; /* "NAME=VALUE"; a relative file value is made absolute
	                                    for SOFTHSM2_CONF only */
	unsigned token_env_count;
	char token[256];
	char token_pin_file[CONFIG_PATH_MAX];
	bool journal_sync_normal;
	bool secret_memory_locked; /* "secret-memory locked": for the canary test */
	int log_level;             /* enum log_level */
};

/* Reads and checks the file. RK_E_INVALID with "file:line: what is wrong and what would be
 * right". */
RK_MUST_CHECK int config_load(const char *path, struct rk_config *out, struct rk_fault *fault);

/*
 * The same from memory; `path` is the absolute name that errors show and whose directory
 * relative paths start from. Pure but for the number of cores. *out is untouched on failure.
 */
RK_MUST_CHECK int config_parse(struct rk_slice text, const char *path, struct rk_config *out,
                               struct rk_fault *fault);

/* Splits "addr:port" or "[v6]:port"; host gets the address text. RK_E_INVALID otherwise. */
RK_MUST_CHECK int config_split_listen(const char *text, char *host, size_t host_cap,
                                      unsigned short *port);

#endif

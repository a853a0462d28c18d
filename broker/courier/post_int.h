/*
 * One delivery, between post.c (its life) and attempt.c (what libcurl is told).
 */
#ifndef COURIER_POST_INT_H
#define COURIER_POST_INT_H

#include <curl/curl.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "base/secret.h"
#include "courier/curl_loop.h"
#include "courier/lookup.h"
#include "courier/outcome.h"
#include "courier/post.h"
#include "ipc/catalogue.h"
#include "policy/base_url.h"

struct attempt {
	struct attempt *next, **prev;
	struct post *post;
	uint64_t id;
	struct msg_deliver m; /* its texts are in `mem`; ca_pem and secret are empty */
	struct msg_notice notice;
	struct rk_buf mem;
	struct rk_secret secret;
	X509_STORE *trust; /* owned */
	char host[BASE_URL_HOST_MAX + 1];
	uint16_t port;
	struct lookup *lookup;
	struct rk_ip addr[LOOKUP_MAX]; /* that may be dialled */
	unsigned addrs;
	/* libcurl's */
	CURL *easy;
	bool running;
	struct curl_slist *headers, *resolve, *to;
	struct rk_buf body;
	size_t sent;              /* bytes of the body that libcurl took */
	size_t received;          /* bytes of the answer */
	char reply[OUTCOME_TEXT]; /* of a mail server that refuses: its last line */
	unsigned replies;         /* of a mail server */
	bool asked_for_data;      /* it has taken sender and recipient */
	char error[CURL_ERROR_SIZE];
	/* how it ended, until it is told */
	bool over;
	struct msg_delivered end;
	char end_text[OUTCOME_TEXT];
};

struct post {
	struct loop *loop;
	struct curl_loop *curl;
	struct evdns_base *dns;
	X509_STORE *trust;
	struct egress egress;
	post_ended *ended;
	void *arg;
	struct attempt *attempts;
	unsigned count;
	struct loop_hook tell;
};

/* Fills host and port, makes the body. NULL, or why it cannot be sent. */
const char *attempt_prepare(struct attempt *a);
/* With its addresses: makes a->easy. NULL, or why not. */
const char *attempt_set_up(struct attempt *a);
/* What libcurl's result means. */
void attempt_judge(struct attempt *a, CURLcode result);

#endif

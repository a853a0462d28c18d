/*
 * libcurl's transfers on the role's loop: its sockets and its timer are events here, so nothing
 * blocks and no thread is needed.
 */
#ifndef COURIER_CURL_LOOP_H
#define COURIER_CURL_LOOP_H

#include <curl/curl.h>

#include "ipc/loop.h"

struct curl_loop;

/* The transfer is over and out of the loop; `easy` is the caller's again. */
typedef void curl_loop_done(CURL *easy, CURLcode result, void *arg);

/* `arg` of `done` is what CURLOPT_PRIVATE of the transfer says. */
RK_MUST_CHECK int curl_loop_new(struct loop *l, curl_loop_done *done, struct curl_loop **out);
void curl_loop_free(struct curl_loop *c); /* accepts NULL; no transfer may be going on */

RK_MUST_CHECK int curl_loop_add(struct curl_loop *c, CURL *easy);
/* Gives a transfer up: `done` is not called. */
void curl_loop_remove(struct curl_loop *c, CURL *easy);

#endif

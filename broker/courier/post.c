#include "courier/post_int.h"

#include <stdlib.h>

#include <event2/dns.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/curl_memory.h"

/* ---- trust ---- */

/* `anchors`: any certificate in it is trusted by itself, also an intermediate one. */
static int trust_new(struct rk_slice pem, bool anchors, X509_STORE **out,
                     struct rk_fault *fault)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509_STORE *store = X509_STORE_new();
	unsigned count = 0;
	X509 *cert;

	while (bio && store && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		count += X509_STORE_add_cert(store, cert) == 1;
		X509_free(cert);
	}
	BIO_free(bio);
	ERR_clear_error();
	if (!count) {
		X509_STORE_free(store);
		return rk_fail(fault, RK_E_INVALID, "the CA bundle holds no certificate");
	}
	if (anchors)
		X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	*out = store;
	return 0;
}

int post_set_trust(struct post *p, struct rk_slice pem, struct rk_fault *fault)
{
	X509_STORE *store;
	int err = trust_new(pem, false, &store, fault);

	if (err)
		return err;
	X509_STORE_free(p->trust);
	p->trust = store;
	return 0;
}

/* ---- one delivery ---- */

static void attempt_free(struct attempt *a)
{
	struct post *p = a->post;

	*a->prev = a->next;
	if (a->next)
		a->next->prev = a->prev;
	p->count--;
	lookup_cancel(a->lookup);
	if (a->running)
		curl_loop_remove(p->curl, a->easy);
	if (a->easy)
		curl_easy_cleanup(a->easy);
	curl_slist_free_all(a->headers);
	curl_slist_free_all(a->resolve);
	curl_slist_free_all(a->to);
	X509_STORE_free(a->trust);
	rk_secret_free(&a->secret);
	/* the link in a mail confirms an address */
	if (a->body.mem)
		rk_wipe(a->body.mem, a->body.cap);
	if (a->mem.mem)
		rk_wipe(a->mem.mem, a->mem.cap);
	rk_buf_free(&a->body);
	rk_buf_free(&a->mem);
	free(a);
}

/* Told at the end of the turn: whoever began it has returned by then. */
static void end(struct attempt *a)
{
	a->over = true;
	a->end.text = rk_str(a->end_text);
	loop_at_turn_end(a->post->loop, &a->post->tell);
}

static void end_unsent(struct attempt *a, enum deliver_result result, const char *why)
{
	a->end = (struct msg_delivered){.result = (uint8_t)result};
	outcome_text(rk_str(why), a->end_text);
	end(a);
}

static void tell(void *arg)
{
	struct post *p = arg;
	struct attempt *next;

	for (struct attempt *a = p->attempts; a; a = next) {
		next = a->next;
		if (!a->over)
			continue;
		p->ended(a->id, &a->end, p->arg);
		attempt_free(a);
	}
}

static void on_done(CURL *easy, CURLcode result, void *arg)
{
	struct attempt *a = arg;

	(void)easy;
	a->running = false;
	attempt_judge(a, result);
	end(a);
}

static void on_found(const struct rk_ip *found, unsigned count, const char *why, void *arg)
{
	struct attempt *a = arg;

	a->lookup = NULL;
	if (!count) {
		end_unsent(a, DELIVER_REFUSED, why);
		return;
	}
	memcpy(a->addr, found, count * sizeof found[0]);
	a->addrs = count;
	why = attempt_set_up(a);
	if (!why && curl_loop_add(a->post->curl, a->easy))
		why = "out of memory";
	if (why)
		end_unsent(a, DELIVER_AGAIN, why);
	else
		a->running = true;
}

/* Its texts, without what is kept elsewhere. */
static int copy(struct attempt *a, const struct msg_deliver *m)
{
	const struct record_desc *d = ipc_row(MSG_DELIVER)->body;
	struct msg_deliver bare = *m;
	size_t room;
	ssize_t n;
	char *mem;
	int err;

	bare.ca_pem = rk_str(NULL);
	bare.secret = rk_str(NULL);
	rk_buf_init(&a->mem, record_size(d, &bare));
	mem = rk_buf_reserve(&a->mem, a->mem.limit, &room);
	if (!mem)
		return RK_E_NOMEM;
	n = record_encode(d, &bare, mem, room);
	if (n < 0)
		return (int)n;
	rk_buf_produced(&a->mem, (size_t)n);
	err = record_decode(d, rk_buf_slice(&a->mem), &a->m);
	if (!err)
		err = record_decode_stored(&msg_notice_desc, a->m.notice, &a->notice);
	if (err || !m->secret.n)
		return err;
	err = rk_secret_alloc(&a->secret, m->secret.n + 1);
	if (!err)
		err = rk_secret_add(&a->secret, m->secret.p, m->secret.n);
	if (!err)
		a->secret.p[a->secret.len] = '\0'; /* that libcurl wants */
	return err;
}

static void begin(struct attempt *a, const struct msg_deliver *m)
{
	const struct egress *via = &a->post->egress;
	bool proxied = via->kind == EGRESS_PROXY;
	struct rk_fault fault = {""};
	const char *why;

	if (copy(a, m)) {
		end_unsent(a, DELIVER_AGAIN, "out of memory");
		return;
	}
	if (m->ca_pem.n && trust_new(m->ca_pem, true, &a->trust, &fault)) {
		end_unsent(a, DELIVER_REFUSED, fault.text);
		return;
	}
	why = attempt_prepare(a);
	if (!why && proxied && !lookup_name_allowed(a->host, a->m.allow_private))
		why = "the host's address is not allowed";
	if (why)
		end_unsent(a, DELIVER_REFUSED, why);
	else if (proxied) /* the operator's own proxy may well stand in a private network */
		lookup_start(a->post->dns, via->host, true, on_found, a, &a->lookup);
	else
		lookup_start(a->post->dns, a->host, a->m.allow_private, on_found, a,
		             &a->lookup);
}

void post_deliver(struct post *p, uint64_t id, const struct msg_deliver *m)
{
	static const struct msg_delivered busy = {.result = DELIVER_AGAIN};
	struct attempt *a = p->count < POST_MAX ? calloc(1, sizeof *a) : NULL;

	if (!a) {
		p->ended(id, &busy, p->arg);
		return;
	}
	a->post = p;
	a->id = id;
	a->next = p->attempts;
	a->prev = &p->attempts;
	if (a->next)
		a->next->prev = &a->next;
	p->attempts = a;
	p->count++;
	begin(a, m);
}

void post_forget_all(struct post *p)
{
	while (p->attempts)
		/* NOLINTNEXTLINE: the one before was unlinked through its back pointer */
		attempt_free(p->attempts);
}

unsigned post_count(const struct post *p)
{
	return p->count;
}

/* ---- life ---- */

int post_new(const struct post_params *params, struct post **out, struct rk_fault *fault)
{
	struct post *p = calloc(1, sizeof *p);
	int err;

	if (!p)
		return rk_fail(fault, RK_E_NOMEM, "out of memory");
	p->loop = params->loop;
	p->egress = params->egress;
	p->ended = params->ended;
	p->arg = params->arg;
	p->tell = (struct loop_hook){.run = tell, .arg = p};
	err = curl_memory_init(CURL_MEMORY_SMALL, fault);
	if (!err)
		err = post_set_trust(p, params->trust, fault);
	if (!err)
		p->dns = lookup_open(p->loop);
	if (!err && (!p->dns || curl_loop_new(p->loop, on_done, &p->curl)))
		err = rk_fail(fault, RK_E_NOMEM, "cannot set the courier up: out of memory");
	if (err) {
		post_free(p);
		return err;
	}
	*out = p;
	return 0;
}

void post_free(struct post *p)
{
	if (!p)
		return;
	post_forget_all(p);
	loop_unhook(p->loop, &p->tell);
	curl_loop_free(p->curl);
	if (p->dns)
		evdns_base_free(p->dns, 1);
	X509_STORE_free(p->trust);
	free(p);
}

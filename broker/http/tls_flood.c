#include "http/tls_flood.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>

static long refuse_to_read(BIO *bio, int what, const char *p, size_t n, int i, long l, int ret,
                           size_t *processed)
{
	(void)bio;
	(void)p;
	(void)n;
	(void)i;
	(void)l;
	(void)processed;
	return what == BIO_CB_READ ? -1 : ret;
}

/* Ends the flood where it comes from: the call that is under way reads no more of it. */
static void on_message(int writing, int version, int type, const void *p, size_t n, SSL *ssl,
                       void *arg)
{
	struct tls_flood *f = arg;
	uint32_t second;

	(void)version;
	(void)p;
	(void)n;
	if (writing || type != SSL3_RT_HANDSHAKE)
		return;
	second = (uint32_t)(loop_now_us(f->loop) / 1000000);
	if (second != f->second) {
		f->second = second;
		f->messages = 0;
	}
	if (++f->messages > TLS_FLOOD_A_SECOND)
		BIO_set_callback_ex(SSL_get_rbio(ssl), refuse_to_read);
}

void tls_flood_watch(struct tls_flood *f, struct loop *l, struct ssl_st *ssl)
{
	*f = (struct tls_flood){.loop = l};
	SSL_set_msg_callback(ssl, on_message);
	SSL_set_msg_callback_arg(ssl, f);
}

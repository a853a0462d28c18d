#include "http/tls_peer.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/clock.h"

static int place(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	return index;
}

static void on_info(const SSL *ssl, int where, int ret)
{
	int64_t *began_us = SSL_get_ex_data(ssl, place());

	(void)ret;
	if ((where & SSL_CB_HANDSHAKE_START) && began_us && !*began_us)
		*began_us = rk_mono_us();
}

void tls_peer_watch(struct tls *t, int64_t *began_us)
{
	if (SSL_set_ex_data(tls_native(t), place(), began_us) == 1)
		SSL_set_info_callback(tls_native(t), on_info);
	ERR_clear_error();
}

void tls_peer_describe(const struct tls *t, char *subject, size_t cap, int64_t *expires_ms)
{
	const X509 *leaf = SSL_get0_peer_certificate(tls_native(t));

	subject[0] = '\0';
	*expires_ms = 0;
	if (leaf)
		tls_key_describe(leaf, subject, cap, expires_ms);
}

/*
 * Idempotency keys: a caller that did not hear the answer sends its command again under the
 * same key, and gets the object as it is now instead of a second one. What was done is stored
 * with the change itself. A key's text is shown again for some minutes only
 * (keeper/recent_keys.h), and not after a restart.
 */
#include <openssl/evp.h>

#include "base/base62.h"
#include "base/clock.h"
#include "keeper/manage_int.h"
#include "keeper/recent_keys.h"
#include "keeper/store_idem.h"

static struct store_idem row_of(const struct manage_op *op)
{
	struct store_idem r = {
	    .caller = rk_str(op->actor),
	    .key = rk_str(op->idempotency_key),
	    .target = rk_str(op->target),
	    .created_ms = op->now_ms,
	};

	memcpy(r.digest, op->digest, sizeof r.digest);
	return r;
}

/* Of type and body as they came. The body may hold a secret: it goes into the hash piece by
 * piece, from where it is. */
static int digest_of(const struct manage_op *op, uint8_t out[32])
{
	const uint8_t type[2] = {(uint8_t)op->cmd->type, (uint8_t)(op->cmd->type >> 8)};
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
	          EVP_DigestUpdate(ctx, type, sizeof type) == 1 &&
	          EVP_DigestUpdate(ctx, op->request.p, op->request.len) == 1 &&
	          EVP_DigestFinal_ex(ctx, out, NULL) == 1;

	EVP_MD_CTX_free(ctx);
	return ok ? 0 : RK_E_CRYPTO;
}

int manage_idem_admit(const struct manage_op *op, struct rk_fault *fault)
{
	if (!manage_has_idem(op))
		return 0;
	for (const struct manage_op *o = op->m->ops; o; o = o->next) {
		if (o != op && o->mutation && strcmp(o->actor, op->actor) == 0 &&
		    strcmp(o->idempotency_key, op->idempotency_key) == 0)
			return rk_fail(fault, RK_E_AGAIN,
			               "a command with this idempotency key is in progress");
	}
	return 0;
}

/* ---- what was done before ---- */

static void look_work(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;
	struct store_idem q = row_of(op);

	op->err = store_idem_find(op->k->store, &q, op->target, sizeof op->target, &op->fault);
}

static void look_done(struct worker_job *job)
{
	struct manage_op *op = (struct manage_op *)job;
	struct rk_fault fault = op->fault;

	op->looked(op, op->err, &fault);
}

void manage_idem_look(struct manage_op *op,
                      void (*done)(struct manage_op *op, int found, struct rk_fault *fault))
{
	struct rk_fault fault;

	op->looked = done;
	op->fault.text[0] = '\0';
	if (digest_of(op, op->digest)) {
		rk_fail(&fault, RK_E_CRYPTO, "SHA-256 failed");
		done(op, RK_E_CRYPTO, &fault);
		return;
	}
	op->job.work = look_work;
	op->job.done = look_done;
	worker_submit(op->k->store_pool, &op->job);
}

int manage_idem_store(struct manage_op *op, struct rk_fault *fault)
{
	struct store_idem row;
	int err;

	if (!manage_has_idem(op))
		return op->mutation->store(op, fault);
	row = row_of(op);
	store_idem_note(op->k->store, &row);
	err = op->mutation->store(op, fault);
	store_idem_note(op->k->store, NULL);
	return err;
}

/* ---- a key's text, once more ---- */

static void tag_of(const struct manage_op *op, uint8_t tag[RECENT_TAG])
{
	char both[sizeof op->actor + sizeof op->idempotency_key];
	size_t n = strlen(op->actor) + 1, more = strlen(op->idempotency_key);

	memcpy(both, op->actor, n);
	memcpy(both + n, op->idempotency_key, more);
	rk_sha256(rk_slice(both, n + more), tag);
}

void manage_idem_remember(struct manage_op *op)
{
	uint8_t tag[RECENT_TAG];

	if (!manage_has_idem(op) || !op->key.text.len || op->key.recalled)
		return;
	tag_of(op, tag);
	recent_keys_put(op->m->recent, tag, rk_secret_slice(&op->key.text),
	                rk_mono_us() / 1000);
}

int manage_idem_recall(struct manage_op *op, struct rk_fault *fault)
{
	uint8_t tag[RECENT_TAG];
	struct rk_slice text;
	int err;

	if (!op->mutation->recall)
		return rk_fail(fault, RK_E_EXISTS,
		               "this was done already, by an earlier command with the same "
		               "idempotency key");
	err = op->mutation->recall(op, fault);
	if (err)
		return err;
	op->key.recalled = true;
	tag_of(op, tag);
	text = recent_keys_get(op->m->recent, tag, rk_mono_us() / 1000);
	/* without memory for it the answer is the one that comes later anyway */
	if (text.n && !rk_secret_alloc(&op->key.text, text.n) &&
	    rk_secret_add(&op->key.text, text.p, text.n))
		rk_secret_free(&op->key.text);
	return 0;
}

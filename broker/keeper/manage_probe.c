/*
 * connection.probe: tests a connection (keeper/probe.h). Nothing changes by it.
 */
#include "keeper/manage_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "http/target.h"
#include "keeper/probe.h"
#include "policy/provider_probe.h"

/* What was asked for, or what suits the provider, behind the base path. */
static int probe_path(const struct index_conn *c, const struct msg_conn_probe *b,
                      struct rk_slice *rest, struct rk_fault *fault)
{
	struct rk_slice base = rk_str(c->url.path);
	unsigned flags =
	    c->flags & UPSTREAM_ALLOW_ENCODED_SLASH ? TARGET_ALLOW_ENCODED_SLASH : 0;
	int err;

	*rest = b->path;
	if (!rest->n) {
		*rest = rk_str(provider_probe_path(rk_str(c->provider)));
		/* the table says it from the host on; the base URL may have its beginning */
		if (base.n && rest->n > base.n && rk_slice_starts(*rest, base) &&
		    rest->p[base.n] == '/')
			*rest = rk_slice_skip(*rest, base.n);
	}
	if (!rest->n)
		return 0;
	err = target_check_path(*rest, flags);
	if (err)
		return rk_fail(fault, RK_E_INVALID,
		               "the path is no path that the proxy would forward (%s)",
		               target_err_code(err));
	return 0;
}

static void on_probed(const struct msg_probed *m, void *arg)
{
	struct manage_op *op = arg;
	const struct probe_kept *k = op->probe;
	struct msg_probe_result r = {
	    .conn_id = rk_str(op->conn.id),
	    .method = rk_str(k->head ? "HEAD" : "GET"),
	    .path = rk_str(k->path),
	    .status = m->status,
	    .reason = m->reason,
	    .code = rk_str(reason_info(m->reason)->code),
	    .detail = m->detail,
	    .dial_us = m->dial_us,
	    .tls_us = m->tls_us,
	    .first_byte_us = m->first_byte_us,
	    .subject = m->subject,
	    .expires_ms = m->expires_ms,
	};

	memcpy(r.request_id, k->request_id, sizeof r.request_id);
	op->probe->running = NULL;
	manage_send(op, MSG_PROBE_RESULT, &r);
	manage_finish(op);
}

void manage_conn_probe(struct manage_op *op)
{
	const struct msg_conn_probe *b = &op->body.conn_probe;
	struct probe_request r = {.head = rk_slice_is(b->method, "HEAD")};
	struct rk_fault fault;
	int err = manage_conn_take(op, b->ref, &r.conn, &fault);

	if (!err && b->method.n && !r.head && !rk_slice_is(b->method, "GET"))
		err = rk_fail(&fault, RK_E_INVALID, "a connection is tested with GET or HEAD");
	if (!err)
		err = probe_path(r.conn, b, &r.rest, &fault);
	if (!err && !(op->probe = calloc(1, sizeof *op->probe)))
		err = rk_fail(&fault, RK_E_NOMEM, "out of memory");
	if (!err) {
		r.actor = rk_str(op->caller->actor);
		op->probe->head = r.head;
		snprintf(op->probe->path, sizeof op->probe->path, "%s%.*s%s", r.conn->url.path,
		         RK_FMT(r.rest), *r.conn->url.path || r.rest.n ? "" : "/");
		err = probe_start(op->k->pipeline, op->k->relays, &r, op->probe->request_id,
		                  on_probed, op, &op->probe->running, &fault);
	}
	if (err)
		manage_end(op, err, fault.text);
}

void manage_probe_forget(struct manage_op *op)
{
	if (op->probe && op->probe->running)
		probe_forget(op->probe->running);
	manage_op_free(op);
}

void manage_probe_release(struct manage_op *op)
{
	free(op->probe);
}

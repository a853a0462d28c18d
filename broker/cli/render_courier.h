/*
 * How settings, webhooks and deliveries look as JSON. Returned owned; NULL when out of memory.
 */
#ifndef CLI_RENDER_COURIER_H
#define CLI_RENDER_COURIER_H

#include "cli/render.h"

json_t *render_settings(const struct msg_settings *s);
json_t *render_hook(const struct msg_hook_info *h); /* without its secret */
json_t *render_delivery(const struct msg_delivery_info *d);

/* "starttls" and so on. */
const char *render_smtp_tls(unsigned tls);

#endif

/*
 * Management keys and users as JSON documents. As cli/render.h.
 */
#ifndef CLI_RENDER_ACCESS_H
#define CLI_RENDER_ACCESS_H

#include "cli/render.h"

json_t *render_mgmt(const struct msg_mgmt_info *k); /* without the key itself */
json_t *render_user(const struct msg_user_info *u);

#endif

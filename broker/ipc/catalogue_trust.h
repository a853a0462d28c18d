/*
 * The bodies of ipc/messages_trust.h, as ipc/catalogue_manage.h has those of the rest.
 */
#ifndef IPC_CATALOGUE_TRUST_H
#define IPC_CATALOGUE_TRUST_H

#include "ipc/catalogue.h"

extern const struct record_desc msg_holder_list_desc;
extern const struct record_desc msg_holder_set_desc;
extern const struct record_desc msg_holder_info_desc;
extern const struct record_desc msg_trust_list_desc;
extern const struct record_desc msg_trust_add_desc;
extern const struct record_desc msg_trust_info_desc;
extern const struct record_desc msg_confirm_desc;

#endif

/*
 * The bodies of containment and of the care of connections, for the catalogue's table of rows
 * and for those who translate them.
 */
#ifndef IPC_CATALOGUE_CONTAIN_H
#define IPC_CATALOGUE_CONTAIN_H

#include "ipc/catalogue.h"

extern const struct record_desc msg_panic_desc;
extern const struct record_desc msg_leak_item_desc;
extern const struct record_desc msg_leak_report_desc;
extern const struct record_desc msg_leak_verdict_desc;
extern const struct record_desc msg_credential_list_desc;
extern const struct record_desc msg_credential_ref_desc;
extern const struct record_desc msg_credential_info_desc;
extern const struct record_desc msg_conn_update_desc;
extern const struct record_desc msg_conn_probe_desc;
extern const struct record_desc msg_probe_result_desc;
extern const struct record_desc msg_probe_desc;
extern const struct record_desc msg_probed_desc;

#endif

#include "ipc/catalogue_contain.h"

static const struct record_field msg_panic_fields[] = {
    RF_BYTES(struct msg_panic, reason, MSG_MAX_REASON),
};

const struct record_desc msg_panic_desc = RECORD_DESC(struct msg_panic, msg_panic_fields);

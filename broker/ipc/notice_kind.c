#include "ipc/notice_kind.h"

static const char *const names[NOTICE_KINDS] = {
    [NOTICE_TEST] = "test",
    [NOTICE_NEW_IP] = "ip.new",
    [NOTICE_KEY_EXPIRING] = "key.expiring",
    [NOTICE_HONEY_KEY] = "key.honey_used",
    [NOTICE_KEY_LEAKED] = "key.leaked",
    [NOTICE_TOKEN_LOST] = "token.lost",
    [NOTICE_TOKEN_BACK] = "token.back",
    [NOTICE_PANIC] = "traffic.panic",
    [NOTICE_BUDGET] = "budget.reached",
    [NOTICE_COLLECTOR] = "collector.state",
};

const char *notice_kind_name(unsigned kind)
{
	return kind < NOTICE_KINDS && names[kind] ? names[kind] : "unknown";
}

int notice_kind_parse(struct rk_slice name, enum notice_kind *out)
{
	for (unsigned i = 1; i < NOTICE_KINDS; i++) {
		if (rk_slice_is(name, names[i])) {
			*out = (enum notice_kind)i;
			return 0;
		}
	}
	return RK_E_INVALID;
}

/*
 * Datagrams between processes. The first byte picks who speaks to whom and in which phase, out
 * of all pairs that hold a channel; the rest is the datagram. What decodes is permitted,
 * borrows from the datagram, and encodes to the same bytes again.
 */
#include "tests/fuzz/fuzz.h"

#include "ipc/frame.h"
#include "tests/fuzz/ipc_directions.h"

/* Every slice of a decoded body lies in the datagram. */
static void check_borrows(const struct ipc_message *m, struct rk_slice datagram)
{
	const struct record_desc *d = ipc_row(m->type)->body;

	for (size_t i = 0; i < d->field_count; i++) {
		const struct record_field *f = &d->fields[i];
		struct rk_slice s;

		if (f->kind != RECORD_BYTES && f->kind != RECORD_LIST)
			continue;
		memcpy(&s, (const char *)&m->body + f->offset, sizeof s);
		REQUIRE(s.n <= f->max);
		REQUIRE(s.n == 0 ||
		        (s.p >= datagram.p && s.p + s.n <= datagram.p + datagram.n));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned char again[IPC_MAX_DATAGRAM];
	struct rk_slice whole, left, before;
	const struct ipc_direction *who;
	enum ipc_phase phase;
	struct ipc_message m;
	size_t used = 0, taken = 0;
	int got;

	if (size == 0 || size - 1 > IPC_MAX_DATAGRAM)
		return 0;
	who = &ipc_directions[(data[0] >> 1) % IPC_DIRECTIONS];
	phase = data[0] & 1 ? IPC_PHASE_SETUP : IPC_PHASE_SERVE;
	REQUIRE(ipc_roles_may_talk(who->from, who->to));
	whole = rk_slice(data + 1, size - 1);
	left = before = whole;
	while ((got = ipc_frame_next(&left, who->from, who->to, phase, &m)) > 0) {
		REQUIRE(ipc_permitted(m.type, who->from, who->to, phase));
		REQUIRE(m.fd == -1);
		REQUIRE(before.n - left.n >= IPC_FRAME_HEADER);
		check_borrows(&m, before);
		REQUIRE(ipc_frame_add(again, sizeof again, &used, m.type, m.id, &m.body) == 0);
		taken += before.n - left.n;
		before = left;
	}
	REQUIRE(got == 0 || got == RK_E_PROTOCOL);
	REQUIRE(got != 0 || left.n == 0);
	REQUIRE(left.n == before.n);
	REQUIRE(used == taken && memcmp(again, whole.p, used) == 0);
	return 0;
}

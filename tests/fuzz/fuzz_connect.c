/*
 * A proxy's answer to CONNECT as it comes off the socket: however it is cut into pieces, the
 * same bytes are taken and the same is made of them, and no byte behind the first empty line
 * is.
 */
#include "tests/fuzz/fuzz.h"

#include "http/connect.h"

/* As relay/connecting.c reads: at most `step` bytes show at once. */
static enum connect_answer run(struct rk_slice in, size_t step, size_t *taken)
{
	static struct h1_head head;
	static char buf[CONNECT_MAX_HEAD];
	size_t n = 0;

	*taken = 0;
	for (;;) {
		size_t seen = n, room = sizeof buf - n, left = in.n - *taken, take;
		size_t show = left < room ? left : room;
		enum connect_answer answer;

		if (show > step)
			show = step;
		if (show == 0)
			return CONNECT_MORE;
		memcpy(buf + n, in.p + *taken, show);
		take = connect_head_bytes(rk_slice(buf, n + show), n);
		REQUIRE(take > n && take <= n + show);
		*taken += take - n;
		n = take;
		answer = connect_read(rk_slice(buf, n), seen, &head);
		if (answer != CONNECT_MORE)
			return answer;
		REQUIRE(n < sizeof buf);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_slice in = rk_slice(data, size);
	const char *end = size ? memmem(in.p, in.n, "\r\n\r\n", 4) : NULL;
	size_t whole_taken, byte_taken, odd_taken;
	enum connect_answer whole = run(in, SIZE_MAX, &whole_taken);
	enum connect_answer byte = run(in, 1, &byte_taken);
	enum connect_answer odd = run(in, 7, &odd_taken);

	if (end) {
		size_t most = (size_t)(end - in.p) + 4;

		REQUIRE(whole_taken <= most && byte_taken <= most && odd_taken <= most);
	}
	REQUIRE(whole_taken <= CONNECT_MAX_HEAD);
	/* what is wrong may show sooner or later, but never as something else */
	if (whole == CONNECT_BAD || whole == CONNECT_MORE) {
		REQUIRE(byte == CONNECT_BAD || byte == CONNECT_MORE);
		REQUIRE(odd == CONNECT_BAD || odd == CONNECT_MORE);
		return 0;
	}
	REQUIRE(whole == byte && whole == odd);
	REQUIRE(whole_taken == byte_taken && whole_taken == odd_taken);
	return 0;
}

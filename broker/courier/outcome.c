#include "courier/outcome.h"

enum deliver_result outcome_of_http(unsigned status)
{
	if (status >= 200 && status < 300)
		return DELIVER_OK;
	switch (status) {
	case 410: /* gone, and says that it will not be back */
		return DELIVER_LASTING;
	case 408:
	case 425:
	case 429:
		return DELIVER_AGAIN;
	default:
		/* a redirect is not followed: the address has to be put right */
		return status >= 300 && status < 500 ? DELIVER_REFUSED : DELIVER_AGAIN;
	}
}

enum deliver_result outcome_of_smtp(unsigned status, bool sent)
{
	if (status >= 200 && status < 400)
		return DELIVER_OK;
	return status >= 500 && status < 600 && sent ? DELIVER_LASTING : DELIVER_AGAIN;
}

const char *outcome_text(struct rk_slice from, char out[OUTCOME_TEXT])
{
	size_t n = from.n < OUTCOME_TEXT - 1 ? from.n : OUTCOME_TEXT - 1;

	while (n && (from.p[n - 1] == '\r' || from.p[n - 1] == '\n'))
		n--;
	for (size_t i = 0; i < n; i++)
		out[i] = from.p[i] >= 0x20 && from.p[i] < 0x7f ? from.p[i] : '?';
	out[n] = '\0';
	return out;
}

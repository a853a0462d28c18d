#include "http/websocket.h"

static void take_header(struct websocket_frames *w, unsigned char byte)
{
	if (w->header == 0) {
		w->header = 1;
		return;
	}
	if (w->header == 1) {
		unsigned length = byte & 0x7f;

		w->header = 2;
		w->length_left = length == 127 ? 8 : length == 126 ? 2 : 0;
		w->mask_left = byte & 0x80 ? 4 : 0;
		w->payload = w->length_left ? 0 : length;
	} else if (w->length_left) {
		w->payload = w->payload << 8 | byte;
		w->length_left--;
	} else {
		w->mask_left--;
	}
	if (w->length_left == 0 && w->mask_left == 0) {
		w->left = w->payload;
		w->header = 0;
	}
}

bool websocket_frames_pass(struct websocket_frames *w, struct rk_slice bytes)
{
	while (bytes.n) {
		size_t n = bytes.n < w->left ? bytes.n : (size_t)w->left;

		if (n == 0) {
			take_header(w, (unsigned char)bytes.p[0]);
			n = 1;
		} else {
			w->left -= n;
		}
		bytes = rk_slice_skip(bytes, n);
	}
	return w->left == 0 && w->header == 0;
}

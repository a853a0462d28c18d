#include "relay/guide.h"

#include "policy/reason.h"

static const struct {
	const char *path, *text;
	bool html;
} pages[GUIDE_PAGES] = {
    [GUIDE_LLMS] = {"/llms.txt", guide_llms, false},
    [GUIDE_AGENT] = {"/_agent", guide_agent, true},
    [GUIDE_REFERENCE] = {"/_reference", guide_reference, true},
};

bool guide_find(struct rk_slice path, enum guide_page *page)
{
	for (unsigned i = 0; i < GUIDE_PAGES; i++) {
		if (rk_slice_is(path, pages[i].path)) {
			*page = (enum guide_page)i;
			return true;
		}
	}
	return false;
}

bool guide_has_html(enum guide_page page)
{
	return pages[page].html;
}

/* ---- the refusals ---- */

static int add_refusal(const struct reason_info *info, struct rk_buf *out)
{
	int err = rk_buf_printf(out, "| %u | `%s` | %s | %s |", info->status, info->code,
	                        decision_name(info->decision), info->lasting ? "no" : "yes");

	return err ? err : rk_buf_printf(out, " %s |\n", info->text);
}

/* All of them, by status. */
static int add_refusals(struct rk_buf *out)
{
	int err = rk_buf_printf(out, "| Status | Code | Decision | Worth a retry | What it "
	                             "says |\n|---|---|---|---|---|\n");

	for (unsigned status = 400; !err && status < 600; status++) {
		for (unsigned r = REASON_OK + 1; !err && r < REASON_COUNT; r++) {
			if (reason_info(r)->status == status)
				err = add_refusal(reason_info(r), out);
		}
	}
	return err;
}

/* ---- templates ---- */

static int add_named(struct rk_slice name, struct rk_slice authority, struct rk_buf *out)
{
	if (rk_slice_is(name, "refusals"))
		return add_refusals(out);
	if (rk_slice_is(name, "base"))
		return rk_buf_printf(out, "https://%.*s", RK_FMT(authority));
	/* braces of an example */
	return rk_buf_printf(out, "{%.*s}", RK_FMT(name));
}

/* The name between the braces at p: letters only. */
static struct rk_slice name_at(struct rk_slice left)
{
	size_t n = 1;

	while (n < left.n && left.p[n] >= 'a' && left.p[n] <= 'z')
		n++;
	return n > 1 && n < left.n && left.p[n] == '}' ? rk_slice(left.p + 1, n - 1)
	                                               : rk_slice(left.p, 0);
}

static int fill_in(const char *text, struct rk_slice authority, struct rk_buf *out)
{
	struct rk_slice left = rk_str(text);
	int err = 0;

	while (!err && left.n) {
		const char *brace = memchr(left.p, '{', left.n);
		size_t n = brace ? (size_t)(brace - left.p) : left.n;
		struct rk_slice name;

		err = rk_buf_add(out, left.p, n);
		left = rk_slice_skip(left, n);
		if (err || !left.n)
			break;
		name = name_at(left);
		if (name.n)
			err = add_named(name, authority, out);
		else
			err = rk_buf_add(out, "{", 1);
		left = rk_slice_skip(left, name.n ? name.n + 2 : 1);
	}
	return err;
}

int guide_render(enum guide_page page, struct rk_slice authority, bool html, struct rk_buf *out)
{
	struct rk_buf text;
	int err;

	rk_buf_init(out, GUIDE_MAX_BYTES);
	rk_buf_init(&text, GUIDE_MAX_BYTES);
	err = fill_in(pages[page].text, authority, html ? &text : out);
	if (!err && html)
		err = guide_html(rk_buf_slice(&text), out);
	rk_buf_free(&text);
	if (err)
		rk_buf_free(out);
	return err;
}

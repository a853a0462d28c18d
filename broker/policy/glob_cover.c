#include "policy/glob_cover.h"

#include <stdlib.h>

/*
 * A glob is a chain of parts, each with what it takes and whether it repeats; being at a part
 * is a state. A path that is read puts the set's globs into a set of states. Looked for is a
 * path that brings `glob` to its end and leaves none of the set's globs at theirs: a search
 * over pairs (state of the glob, states of the set).
 *
 * Two things keep the pairs few. States that another one of the same glob makes superfluous
 * are left out (see push()). And a pair is not followed when one with the same state of the
 * glob, and a part of its states of the set, has been: whatever escapes the larger set escapes
 * the smaller one too.
 */

enum part_kind {
	PART_BYTE, /* this byte */
	PART_ONE,  /* one byte that is no '/' */
	PART_STAR, /* any run without '/' */
	PART_DEEP, /* any run */
	PART_END,
};

struct part {
	uint8_t kind;
	char byte;
	uint16_t floor; /* of a repeating one: the first part that it makes superfluous */
};

/* How far the search has come: one pair, and how it was reached. */
struct pair {
	uint32_t states; /* where its states of the set lie in `store` */
	uint32_t count;
	uint32_t from; /* the pair before; its own number for the first */
	uint32_t same; /* the next older pair with the same state of the glob; NONE: none */
	uint16_t at;   /* state of the glob */
	char byte;     /* that was read */
	bool read;     /* false: none was */
};

enum { MAX_PAIRS = 1 << 16, MAX_STORE = 1 << 20 };
#define NONE UINT32_MAX

struct chain {
	struct part *part;
	size_t count, cap;
};

struct glob_cover {
	struct chain set; /* the globs of the set, one behind the other */
	size_t bytes;
	unsigned left; /* steps */
	/* of one question */
	struct chain glob;
	struct pair *pair;
	size_t pairs, pair_cap;
	uint16_t *store;
	size_t stored, store_cap;
	uint32_t *newest; /* by state of the glob: its newest pair */
};

static int grow(void **p, size_t *cap, size_t want, size_t size)
{
	size_t n = *cap ? *cap : 64;
	void *bigger;

	if (want <= *cap)
		return 0;
	while (n < want)
		n *= 2;
	bigger = realloc(*p, n * size);
	if (!bigger)
		return RK_E_NOMEM;
	*p = bigger;
	*cap = n;
	return 0;
}

/* ---- globs to chains ---- */

static void chain_put(struct chain *c, enum part_kind kind, char byte, size_t floor)
{
	c->part[c->count++] =
	    (struct part){.kind = (uint8_t)kind, .byte = byte, .floor = (uint16_t)floor};
}

/* Room for all parts of a glob: never more than its bytes, and two for a tail and the end. */
static int chain_add(struct chain *c, struct rk_slice g)
{
	size_t first = c->count, segment = first, i = 0;
	bool tail = g.n >= 2 && memcmp(g.p + g.n - 2, "/*", 2) == 0;

	if (grow((void **)&c->part, &c->cap, c->count + g.n + 2, sizeof *c->part))
		return RK_E_NOMEM;
	if (tail)
		g.n--;
	while (i < g.n) {
		size_t stars = i;

		while (stars < g.n && g.p[stars] == '*')
			stars++;
		if (stars == i) {
			chain_put(c, PART_BYTE, g.p[i], 0);
			if (g.p[i++] == '/')
				segment = c->count;
			continue;
		}
		if (stars - i == 1) {
			chain_put(c, PART_STAR, 0, segment);
		} else {
			chain_put(c, PART_DEEP, 0, first);
			segment = c->count;
		}
		i = stars;
	}
	if (tail) {
		chain_put(c, PART_ONE, 0, 0);
		chain_put(c, PART_DEEP, 0, first);
	}
	chain_put(c, PART_END, 0, 0);
	return 0;
}

static bool repeats(const struct part *p)
{
	return p->kind == PART_STAR || p->kind == PART_DEEP;
}

/* Whether a part takes the byte. */
static bool takes(const struct part *p, char byte)
{
	switch ((enum part_kind)p->kind) {
	case PART_BYTE:
		return p->byte == byte;
	case PART_ONE:
	case PART_STAR:
		return byte != '/';
	case PART_DEEP:
		return true;
	case PART_END:
		break;
	}
	return false;
}

/* ---- states of the set ---- */

/*
 * Adds a state and those behind it that need no byte, in ascending order. From a DEEP part on,
 * whatever an earlier part of the same glob could still match is matched as well; from a STAR
 * on, so it is for the parts between it and the last '/': those are left out.
 *
 * States come in ascending order, and each brings a run that ends in a part that does not
 * repeat. So one that is not above the last is in that run, and so is what it would bring.
 */
static void push(struct glob_cover *c, uint16_t *to, size_t *n, size_t state)
{
	const struct part *p = &c->set.part[state];

	while (!*n || state > to[*n - 1]) {
		if (repeats(p)) {
			while (*n && to[*n - 1] >= p->floor)
				--*n;
		}
		to[(*n)++] = (uint16_t)state;
		if (!repeats(p))
			return;
		p++;
		state++;
	}
}

/* Where byte brings the set from the states of a pair. `to` has room for all. */
static size_t advance(struct glob_cover *c, const struct pair *from, char byte, uint16_t *to)
{
	size_t n = 0;

	for (uint32_t i = 0; i < from->count; i++) {
		size_t state = c->store[from->states + i];
		const struct part *p = &c->set.part[state];

		if (takes(p, byte))
			push(c, to, &n, repeats(p) ? state : state + 1);
	}
	return n;
}

/* Both ascending: is a part of b? */
static bool subset(const uint16_t *a, size_t an, const uint16_t *b, size_t bn)
{
	size_t j = 0;

	if (an > bn)
		return false;
	for (size_t i = 0; i < an; i++) {
		while (j < bn && b[j] < a[i])
			j++;
		if (j == bn || b[j] != a[i])
			return false;
	}
	return true;
}

/* ---- the search ---- */

static bool spend(struct glob_cover *c, size_t steps)
{
	if (steps >= c->left) {
		c->left = 0;
		return false;
	}
	c->left -= (unsigned)steps;
	return true;
}

/*
 * Notes the pair of `at` and the n states that lie at the end of the store, unless one that is
 * as good is there. They stay in the store when the pair is taken.
 */
static int note(struct glob_cover *c, size_t at, size_t n, size_t from, const char *byte)
{
	const uint16_t *states = c->store + c->stored;

	for (uint32_t i = c->newest[at]; i != NONE; i = c->pair[i].same) {
		const struct pair *p = &c->pair[i];

		if (!spend(c, 1 + p->count))
			return RK_E_TOOBIG;
		if (subset(c->store + p->states, p->count, states, n))
			return 0;
	}
	if (c->pairs == MAX_PAIRS)
		return RK_E_TOOBIG;
	if (grow((void **)&c->pair, &c->pair_cap, c->pairs + 1, sizeof *c->pair))
		return RK_E_NOMEM;
	c->pair[c->pairs] = (struct pair){
	    .states = (uint32_t)c->stored,
	    .count = (uint32_t)n,
	    .from = (uint32_t)from,
	    .same = c->newest[at],
	    .at = (uint16_t)at,
	    .byte = byte ? *byte : 0,
	    .read = byte != NULL,
	};
	c->newest[at] = (uint32_t)c->pairs++;
	c->stored += n;
	return 0;
}

/* Room for n more states. Pointers into the store do not survive it. */
static int room(struct glob_cover *c, size_t n)
{
	if (c->stored + n > MAX_STORE)
		return RK_E_TOOBIG;
	return grow((void **)&c->store, &c->store_cap, c->stored + n, sizeof *c->store);
}

/* The glob reads one byte from pair `i` on. */
static int read_byte(struct glob_cover *c, size_t i, char byte)
{
	const struct part *p = &c->glob.part[c->pair[i].at];
	size_t most = 2 * (size_t)c->pair[i].count + 2, n;
	int err;

	if (!spend(c, 1 + most))
		return RK_E_TOOBIG;
	err = room(c, most);
	if (err)
		return err;
	n = advance(c, &c->pair[i], byte, c->store + c->stored);
	return note(c, repeats(p) ? c->pair[i].at : c->pair[i].at + 1u, n, i, &byte);
}

/* The glob may read almost anything: of the bytes that the set tells apart each one, and one of
 * the others. */
static int read_any(struct glob_cover *c, size_t i, bool slash)
{
	bool named[256] = {['/'] = true};
	unsigned other = 'x';
	int err = 0;

	for (uint32_t k = 0; k < c->pair[i].count; k++) {
		const struct part *p = &c->set.part[c->store[c->pair[i].states + k]];

		if (p->kind == PART_BYTE)
			named[(unsigned char)p->byte] = true;
	}
	if (!spend(c, c->pair[i].count + 1))
		return RK_E_TOOBIG;
	for (unsigned k = 0; named[other] && k < 256; k++)
		other = ('a' + k) % 256; /* readable ones first: for the witness */
	if (!named[other])
		err = read_byte(c, i, (char)other);
	for (unsigned b = 0; b < 256 && !err; b++) {
		if (named[b] && (b != '/' || slash))
			err = read_byte(c, i, (char)b);
	}
	return err;
}

/* From pair `i` to all that follow it. */
static int follow(struct glob_cover *c, size_t i)
{
	size_t at = c->pair[i].at, n = c->pair[i].count;
	const struct part *p = &c->glob.part[at];
	int err = 0;

	if (repeats(p)) {
		/* the run may be over here: the same states, copied to the end */
		err = room(c, n);
		if (!err) {
			memcpy(c->store + c->stored, c->store + c->pair[i].states,
			       n * sizeof *c->store);
			err = note(c, at + 1, n, i, NULL);
		}
	}
	if (err)
		return err;
	if (p->kind == PART_BYTE)
		return read_byte(c, i, p->byte);
	return p->kind == PART_END ? 0 : read_any(c, i, p->kind == PART_DEEP);
}

/* The glob is at its end: is none of the set? */
static bool escapes(const struct glob_cover *c, size_t i)
{
	const struct pair *p = &c->pair[i];

	if (c->glob.part[p->at].kind != PART_END)
		return false;
	for (uint32_t k = 0; k < p->count; k++) {
		if (c->set.part[c->store[p->states + k]].kind == PART_END)
			return false;
	}
	return true;
}

static void tell(const struct glob_cover *c, size_t i, char *witness)
{
	size_t n = 0;

	for (size_t k = i; c->pair[k].from != k; k = c->pair[k].from)
		n += c->pair[k].read;
	witness[0] = '\0';
	if (n >= GLOB_COVER_WITNESS)
		return;
	witness[n] = '\0';
	for (size_t k = i; n; k = c->pair[k].from) {
		if (c->pair[k].read)
			witness[--n] = c->pair[k].byte;
	}
}

static int first_pair(struct glob_cover *c)
{
	size_t n = 0;
	int err = room(c, c->set.count + 1);

	if (err)
		return err;
	for (size_t i = 0; i < c->set.count; i++) {
		if (i == 0 || c->set.part[i - 1].kind == PART_END)
			push(c, c->store + c->stored, &n, i);
	}
	if (!spend(c, c->set.count))
		return RK_E_TOOBIG;
	return note(c, 0, n, 0, NULL);
}

static int search(struct glob_cover *c, char *witness)
{
	int err = first_pair(c);

	for (size_t i = 0; !err && i < c->pairs; i++) {
		if (escapes(c, i)) {
			if (witness)
				tell(c, i, witness);
			return 0;
		}
		err = follow(c, i);
	}
	return err ? err : 1;
}

int glob_cover_check(struct glob_cover *c, struct rk_slice glob, char *witness)
{
	int err;

	if (glob.n > GLOB_MAX_BYTES)
		return RK_E_TOOBIG;
	c->glob.count = c->pairs = c->stored = 0;
	err = chain_add(&c->glob, glob);
	if (err)
		return err;
	free(c->newest);
	c->newest = malloc(c->glob.count * sizeof *c->newest);
	if (!c->newest)
		return RK_E_NOMEM;
	memset(c->newest, 0xff, c->glob.count * sizeof *c->newest);
	return search(c, witness);
}

/* ---- the set ---- */

int glob_cover_new(struct glob_cover **out)
{
	struct glob_cover *c = calloc(1, sizeof *c);

	if (!c)
		return RK_E_NOMEM;
	c->left = GLOB_COVER_STEPS;
	*out = c;
	return 0;
}

void glob_cover_free(struct glob_cover *c)
{
	if (!c)
		return;
	free(c->set.part);
	free(c->glob.part);
	free(c->pair);
	free(c->store);
	free(c->newest);
	free(c);
}

int glob_cover_add(struct glob_cover *c, struct rk_slice glob)
{
	int err;

	if (glob.n > GLOB_MAX_BYTES || c->bytes + glob.n + 2 > GLOB_COVER_BYTES)
		return RK_E_TOOBIG;
	err = chain_add(&c->set, glob);
	if (!err)
		c->bytes += glob.n + 2;
	return err;
}

void glob_cover_clear(struct glob_cover *c)
{
	c->set.count = 0;
	c->bytes = 0;
}

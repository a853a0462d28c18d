/*
 * What settings may be. Pure. 0, or RK_E_INVALID / RK_E_TOOBIG / RK_E_DENIED with one plain
 * sentence that names the setting and what would be right.
 */
#ifndef KEEPER_SETTINGS_CHECK_H
#define KEEPER_SETTINGS_CHECK_H

#include "keeper/settings.h"

enum {
	SETTINGS_MAX_PUBLIC_URL = 512, /* a link fits a line of a mail */
	SETTINGS_MAX_ALERTS = 16,
	SETTINGS_MAX_LEAK_KEYS = 16,
	SETTINGS_MAX_MAILS_A_DAY = 1000,
	SETTINGS_SHORTEST_CONFIRM_MS = 10 * 60 * 1000,
	SETTINGS_LONGEST_CONFIRM_MS = 7 * 86400 * 1000,
};

/* As a whole, with a password for the mail server or without. Prefixes are not yet canonical:
 * check_cidrs() does that. */
RK_MUST_CHECK int settings_check(const struct settings *s, bool password,
                                 struct rk_fault *fault);

/* A password for the mail server: printable, at most SETTINGS_MAX_PASSWORD bytes. */
RK_MUST_CHECK int settings_check_password(struct rk_slice password, struct rk_fault *fault);

/* Whether a password that was given for `before` would go elsewhere, or less protected. */
bool settings_moves_password(const struct settings *before, const struct settings *after);

#endif

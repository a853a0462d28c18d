/*
 * The first time: token, key-encryption key and stores for a configuration that
 * was just written. Runs once, in a process of its own, before any broker.
 */
#ifndef KEEPER_INITIALISE_H
#define KEEPER_INITIALISE_H

#include "base/config.h"

/*
 * Initialises the configured token with the SO PIN from `so_pin_file` and the user PIN from the
 * configured file (so_pin_file NULL: the token exists), makes a KEK when there is none, the two
 * wrapped store keys and the two stores. Anything that is there already is RK_E_EXISTS. The
 * secret arena must be there.
 */
RK_MUST_CHECK int keeper_initialise(const struct rk_config *config, const char *so_pin_file,
                                    struct rk_fault *fault);

#endif

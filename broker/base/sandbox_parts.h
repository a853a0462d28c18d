/*
 * The two halves of base/sandbox.c. Nobody else includes this.
 */
#ifndef BASE_SANDBOX_PARTS_H
#define BASE_SANDBOX_PARTS_H

#include "base/sandbox.h"

/* False in an AddressSanitizer build, whose run time needs more system calls than any list has.
 */
bool sandbox_seccomp_active(void);

/* Loads the filter into all threads of the process. */
RK_MUST_CHECK int sandbox_seccomp_enter(const struct sandbox *s, struct rk_fault *fault);

/* Landlock's ABI version, 0 when the kernel has none. */
int sandbox_landlock_abi(void);

/* Restricts this thread and those it makes; 0 without effect where there is no Landlock. */
RK_MUST_CHECK int sandbox_landlock_enter(const struct sandbox *s, struct rk_fault *fault);

#endif

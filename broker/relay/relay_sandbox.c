/*
 * The system calls of a relay beyond the common ones: it accepts connections and makes some,
 * and that is all. No file system, no new process, no thread.
 */
#include <sys/syscall.h>

#include "base/sandbox.h"
#include "relay/relay.h"

static const int calls[] = {SYS_accept4, -1};

const struct sandbox *relay_sandbox(void)
{
	static const struct sandbox s = {
	    .name = "relay",
	    .syscalls = calls,
	    .max_descriptors = 65536,
	    .connect = true,
	};

	return &s;
}

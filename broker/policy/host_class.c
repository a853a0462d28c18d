#include "policy/host_class.h"

/* name is `zone` or ends in ".zone" */
static bool is_under(struct rk_slice name, const char *zone)
{
	struct rk_slice z = rk_str(zone);

	if (name.n < z.n || !rk_slice_ieq(rk_slice(name.p + name.n - z.n, z.n), z))
		return false;
	return name.n == z.n || name.p[name.n - z.n - 1] == '.';
}

enum host_class host_class(struct rk_slice name)
{
	static const char *const metadata[] = {"metadata.google.internal", "metadata.goog",
	                                       "instance-data", "metadata"};
	static const char *const local[] = {"localhost", "localdomain", "local",    "internal",
	                                    "intranet",  "lan",         "home.arpa"};

	for (size_t i = 0; i < sizeof metadata / sizeof metadata[0]; i++) {
		if (rk_slice_ieq(name, rk_str(metadata[i])))
			return HOST_METADATA;
	}
	if (is_under(name, "instance-data.ec2.internal") ||
	    is_under(name, "metadata.azure.internal"))
		return HOST_METADATA;
	for (size_t i = 0; i < sizeof local / sizeof local[0]; i++) {
		if (is_under(name, local[i]))
			return HOST_LOCAL;
	}
	return memchr(name.p, '.', name.n) ? HOST_PUBLIC : HOST_LOCAL;
}

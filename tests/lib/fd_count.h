/*
 * How many descriptors this process has open, for the tests that ask whether one was left.
 */
#ifndef TESTS_LIB_FD_COUNT_H
#define TESTS_LIB_FD_COUNT_H

#include <dirent.h>

static inline unsigned fd_count(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

#endif

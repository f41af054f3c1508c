/* SPDX-License-Identifier: MIT
 * The same of <unistd.h>.
 * Floor: tests. */
#ifndef TEST_KERNEL_UNISTD_H
#define TEST_KERNEL_UNISTD_H

#define _SC_PAGESIZE 30

static inline long sysconf(int name)
{
    (void)name;
    return 4096;
}

#endif

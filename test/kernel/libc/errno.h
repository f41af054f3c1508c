/* SPDX-License-Identifier: MIT
 * The same of <errno.h>.
 * Floor: tests. */
#ifndef TEST_KERNEL_ERRNO_H
#define TEST_KERNEL_ERRNO_H

extern int errno;

#endif

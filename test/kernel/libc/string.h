/* SPDX-License-Identifier: MIT
 * The same of <string.h>.
 * Floor: tests. */
#ifndef TEST_KERNEL_STRING_H
#define TEST_KERNEL_STRING_H

#include "arch/x86_64/memory/memops.h"

int strcmp(const char *a, const char *b);

#endif

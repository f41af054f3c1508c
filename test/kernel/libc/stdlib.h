/* SPDX-License-Identifier: MIT
 * The same of <stdlib.h>: exit ends the machine.
 * Floor: tests. */
#ifndef TEST_KERNEL_STDLIB_H
#define TEST_KERNEL_STDLIB_H

#include "ggmk/base/compiler.h"

GMK_NORETURN void exit(int status);
unsigned long long strtoull(const char *text, char **end, int base);

#endif

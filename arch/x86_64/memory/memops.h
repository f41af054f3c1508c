/* SPDX-License-Identifier: MIT
 * The string functions that compilers call and the kernel uses, without a library.
 * Floor: port. As in ISO C 7.24, with n bytes that may be 0.
 * Moves are by 8 bytes: `rep movsb` runs at a tenth of their speed where instructions are
 * translated (BOOT.md section 3). Source: SPEC BM-29. */
#ifndef X86_MEMOPS_H
#define X86_MEMOPS_H

#include "ggmk/base/compiler.h"

int memcmp(const void *a, const void *b, size_t n);
void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int strncmp(const char *a, const char *b, size_t n);
char *strncpy(char *restrict to, const char *restrict from, size_t n);

#endif

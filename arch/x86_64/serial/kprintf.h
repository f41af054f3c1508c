/* SPDX-License-Identifier: MIT
 * Formatted output to the console.
 * Floor: arch. One call is one piece of output. Source: SPEC BM-10, BM-11. */
#ifndef X86_KPRINTF_H
#define X86_KPRINTF_H

#include <stdarg.h>

#include "ggmk/base/compiler.h"

/* %s %c %d %i %u %x %X %p %%, with l, ll, z, a width and zero fill; what is longer than 511
 * bytes is cut, and says so. threads: any, interrupts too. */
void kprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void kvprintf(const char *format, va_list args);

/* The same into a buffer of n > 0 bytes, always ended. returns: its length. */
size_t ksnprintf(char *to, size_t n, const char *format, ...) __attribute__((format(printf, 3, 4)));
size_t kvsnprintf(char *to, size_t n, const char *format, va_list args);

#endif

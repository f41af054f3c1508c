/* SPDX-License-Identifier: MIT
 * As much of <stdio.h> as a hosted test program needs to run in the kernel.
 * Floor: tests. Output goes to the console; /proc/self/statm is what the PMM says. */
#ifndef TEST_KERNEL_STDIO_H
#define TEST_KERNEL_STDIO_H

#include "arch/x86_64/serial/kprintf.h"

typedef struct FILE {
    int unused;
} FILE;

#define stdout ((FILE *)0)
#define stderr ((FILE *)0)
#define printf kprintf
#define fprintf(file, ...) ((void)(file), kprintf(__VA_ARGS__))

static inline int fflush(FILE *f)
{
    (void)f;
    return 0;
}

FILE *fopen(const char *name, const char *mode);
int fscanf(FILE *f, const char *format, unsigned long long *all, unsigned long long *resident);
int fclose(FILE *f);

#endif

/* SPDX-License-Identifier: MIT
 * The same of <time.h>: the time in which processors did not halt.
 * Floor: tests. */
#ifndef TEST_KERNEL_TIME_H
#define TEST_KERNEL_TIME_H

struct timespec {
    long tv_sec, tv_nsec;
};

#define CLOCK_PROCESS_CPUTIME_ID 2

int clock_gettime(int clock, struct timespec *t);

#endif

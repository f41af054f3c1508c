/* SPDX-License-Identifier: MIT
 * Helpers of every benchmark program: clock, pinning, checks, output. C11 and C++.
 * A program measures once and prints lines: row <TAB> who <TAB> value <TAB> unit.
 * Its arguments name the rows to run; without arguments it runs all that it has.
 * A lower ns is better, a higher M/s; 0 means that the row stalled. */
#ifndef BENCH_H
#define BENCH_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BENCH_RING_CAP 1024u /* every bounded ring */
#define BENCH_TASKS 1000000u /* tasks of one measurement */
#define BENCH_TREE_DEPTH 19  /* 2^20 - 1 tasks */
#define BENCH_TREE_TASKS ((1u << (BENCH_TREE_DEPTH + 1)) - 1)
#define BENCH_TRIPS 100000   /* round trips between two workers */
#define BENCH_STARTS 400     /* submissions to parked workers */
#define BENCH_IDLE_NS 300000 /* the workers are parked after this */

/* Rows. bench/run knows their titles and targets. */
#define ROW_SPSC "spsc"
#define ROW_SPSC_BULK "spsc-bulk"
#define ROW_MPMC_11 "mpmc-1p1c"
#define ROW_MPMC_22 "mpmc-2p2c"
#define ROW_MPMC_44 "mpmc-4p4c"
#define ROW_MPMC_BULK_11 "mpmc-bulk-1p1c"
#define ROW_MPMC_BULK_22 "mpmc-bulk-2p2c"
#define ROW_SUBMIT "submit"
#define ROW_SUBMIT_BATCH "submit-batch"
#define ROW_CHAIN "chain"
#define ROW_TREE2 "tree2"
#define ROW_TREE1 "tree1"
#define ROW_START "start"
#define ROW_RTT "rtt"
#define ROW_ALLOC1 "alloc1"
#define ROW_ALLOC2 "alloc2"
#define ROW_ALLOC_REMOTE "alloc-remote"
#define ROW_PIPELINE "pipeline"
#define ROW_PIPELINE_1US "pipeline-1us"
#define ROW_FANOUT "fanout"

static int bench_argc;
static char **bench_argv;

static inline void bench_args(int argc, char **argv)
{
    bench_argc = argc;
    bench_argv = argv;
}

static inline int bench_wants(const char *row)
{
    for (int i = 1; i < bench_argc; i++)
        if (strcmp(bench_argv[i], row) == 0)
            return 1;
    return bench_argc < 2;
}

static inline uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static inline void must(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "FAILED: %s\n", what);
        exit(3);
    }
}

static inline void pin(int cpu)
{
    cpu_set_t s;

    CPU_ZERO(&s);
    CPU_SET(cpu, &s);
    must(sched_setaffinity(0, sizeof s, &s) == 0, "two processors are needed");
}

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Spins a little; yields too when more threads than processors compete. */
struct backoff {
    unsigned n;
    int yields;
};

static inline void backoff_wait(struct backoff *b)
{
    if (!b->yields || ++b->n < 64) {
        relax();
    } else {
        b->n = 0;
        sched_yield();
    }
}

static inline void result(const char *row, const char *who, double v, const char *unit)
{
    printf("%s\t%s\t%.6g\t%s\n", row, who, v, unit);
    fflush(stdout);
}

static inline double m_per_s(uint64_t n, uint64_t ns) { return (double)n / (double)ns * 1e3; }

static int bench_cmp_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Sorts v in place. */
static inline uint64_t percentile(uint64_t *v, size_t n, double p)
{
    qsort(v, n, sizeof *v, bench_cmp_u64);
    return v[(size_t)(p * (double)(n - 1) + 0.5)];
}
#endif

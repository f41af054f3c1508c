/* SPDX-License-Identifier: MIT
 * The allocator rows through malloc, which LD_PRELOAD may replace: BENCH_WHO names it,
 * BENCH_PRELOADED is a part of the library's file name, checked to be loaded. */
#define ALLOC(n) malloc(n)
#define FREE(p, n) ((void)(n), free(p))
#define THREAD_BEGIN() ((void)0)
#define THREAD_END() ((void)0)
#include "alloc_loop.h"

static void check_loaded(const char *part)
{
    char line[512];
    int found = 0;
    FILE *f = fopen("/proc/self/maps", "r");

    must(f != NULL, "/proc/self/maps");
    while (fgets(line, sizeof line, f))
        found |= strstr(line, part) != NULL;
    fclose(f);
    must(found, "the allocator was not preloaded");
}

int main(int argc, char **argv)
{
    const char *who = getenv("BENCH_WHO");
    const char *part = getenv("BENCH_PRELOADED");

    bench_args(argc, argv);
    if (part && part[0])
        check_loaded(part);
    alloc_rows(who ? who : "malloc");
    return 0;
}

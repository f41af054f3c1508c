/* SPDX-License-Identifier: MIT
 * Entry of a hosted test program: [--seed N] [FILTER].
 * Floor: tests. Source: SPEC S.5. */
#include "ggmk/test.h"

#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    const char *filter = NULL;
    uint64_t seed = 1;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 0);
        else
            filter = argv[i];
    }
    return gmk_test_run_all(filter, seed) != 0;
}

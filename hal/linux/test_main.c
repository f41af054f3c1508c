/* SPDX-License-Identifier: MIT
 * Entry of a hosted test program: [--seed N] [FILTER].
 * Floor: tests. Source: SPEC S.5. */
#include "ggmk/test.h"

#include "test_args.h"

int main(int argc, char **argv)
{
    const char *filter = NULL;
    uint64_t seed = 1;

    (void)argc;
    if (!test_args(argv, &filter, &seed))
        return 2;
    return gmk_test_run_all(filter, seed) != 0;
}

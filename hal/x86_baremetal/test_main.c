/* SPDX-License-Identifier: MIT
 * The job of a test image: the registered tests; `filter=` and `seed=` on the command line.
 * Floor: tests. Source: SPEC S.5. */
#include "arch/x86_64/boot/boot.h"
#include "ggmk/test.h"

int kmain(void)
{
    char filter[64];
    uint64_t seed = boot_option_u64("seed", 1);

    boot_option("filter", filter, sizeof(filter));
    return gmk_test_run_all(filter[0] != '\0' ? filter : NULL, seed) != 0;
}

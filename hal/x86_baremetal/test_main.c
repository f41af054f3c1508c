/* SPDX-License-Identifier: MIT
 * The job of a test image: the registered tests; `filter=`, `seed=`, `scale=small` and `load` on
 * the command line.
 * Floor: tests. Source: SPEC S.5. */
#include "arch/x86_64/boot/boot.h"
#include "arch/x86_64/cpu/clock.h"
#include "arch/x86_64/memory/memops.h"
#include "arch/x86_64/serial/kprintf.h"
#include "arch/x86_64/smp/thread.h"
#include "ggmk/test.h"
#include "sdk/test_port.h"

/* What the processors did, for whoever asks why a test is slow: `load`. */
static void say_load(void)
{
    for (uint32_t i = 0; i < x86_n_cpus; i++) {
        const x86_cpu_t *c = &x86_cpus[i];
        x86_load_t l;

        x86_get_load(i, &l);
        kprintf("load: CPU %u: %lu ms, halted %lu ms in %lu halts, %lu switches; interrupts: %lu "
                "timer, %lu wake, %lu TLB\n",
                i, clock_now_ns() / 1000000, l.halted_ns / 1000000, l.n_halts, l.n_switches,
                c->n_timer, c->n_wake, c->n_tlb);
    }
}

int kmain(void)
{
    char filter[64], word[8];
    uint64_t seed = boot_option_u64("seed", 1);
    int failed;

    gmk_test_small = boot_option("scale", word, sizeof(word)) && strncmp(word, "small", 6) == 0;
    boot_option("filter", filter, sizeof(filter));
    failed = gmk_test_run_all(filter[0] != '\0' ? filter : NULL, seed);
    if (boot_option("load", word, sizeof(word)))
        say_load();
    return failed != 0;
}

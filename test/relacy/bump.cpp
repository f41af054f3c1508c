/* SPDX-License-Identifier: MIT
 * Models of prim/bump.h and of the shared extremes of prim/hist.h, each one compare-and-
 * swap on a word that only grows.
 * Promises: pieces are disjoint and within the region, and what does not fit takes nothing;
 * a reader's high-water mark never goes down, a reset beside it or not; a shared extreme
 * ends at the greatest value and never goes down.
 * Source: SPEC AL-6; ARCHITECTURE R10. */
#include "model.h"

#include "ggmk/prim/bump.h"
#include "ggmk/prim/hist.h"

#define SIZE 20u

/* Two take three bytes at even places and one byte anywhere, until nothing is left. */
struct bump_take_model : rl::test_suite<bump_take_model, 2> {
    gmk_bumpoff_t b;
    rl::var<uint32_t> byte[SIZE]; /* a race is a byte given twice */

    void before()
    {
        gmk_bumpoff_setup(&b, SIZE);
        for (uint32_t i = 0; i < SIZE; i++)
            VAR(byte[i]) = 0;
    }

    void thread(unsigned index)
    {
        for (uint32_t round = 0; round < 4; round++) {
            uint64_t size = round % 2 == 0 ? 3 : 1;
            uint64_t at = gmk_bumpoff_take(&b, size, round % 2 == 0 ? 2 : 1, GMK_DEV);

            if (at == GMK_BUMPOFF_NONE)
                continue;
            RL_ASSERT(at + size <= SIZE && (size == 1 || at % 2 == 0));
            for (uint64_t i = at; i < at + size; i++) {
                RL_ASSERT(VAR(byte[i]) == 0);
                VAR(byte[i]) = index + 1;
            }
        }
    }

    void after() { RL_ASSERT(gmk_bumpoff_used(&b, GMK_DEV) <= SIZE); }
};

/* One takes, resets and takes less; the other reads the mark meanwhile. */
struct bump_reset_model : rl::test_suite<bump_reset_model, 2> {
    gmk_bumpoff_t b;

    void before() { gmk_bumpoff_setup(&b, SIZE); }

    void thread(unsigned index)
    {
        uint64_t last = 0;

        if (index == 0) {
            for (uint64_t life = 0; life < 2; life++) {
                RL_ASSERT(gmk_bumpoff_take(&b, SIZE - 4 * life, 1, GMK_DEV) == 0);
                gmk_bumpoff_reset(&b, GMK_DEV);
            }
            return;
        }
        for (uint32_t look = 0; look < 4; look++) {
            uint64_t high = gmk_bumpoff_high(&b, GMK_DEV);

            RL_ASSERT(high >= last && high <= SIZE);
            last = high;
        }
    }

    void after() { RL_ASSERT(gmk_bumpoff_high(&b, GMK_DEV) == SIZE); }
};

struct extreme_model : rl::test_suite<extreme_model, 3> {
    gmk_a64_t max;

    void thread(unsigned index)
    {
        uint64_t last = 0;

        for (uint64_t i = 0; i < 2; i++) {
            uint64_t seen;

            if (index < 2)
                gmk_hist_raise_shared(&max, 3 * (i + 1) - index);
            seen = gmk_count_get(&max);
            RL_ASSERT(seen >= last && (index == 2 || seen >= 3 * (i + 1) - index));
            last = seen;
        }
    }

    void after() { RL_ASSERT(gmk_count_get(&max) == 6); }
};

int main(int argc, char **argv)
{
    return !(model_run<bump_take_model>("bump", model_iterations(argc, argv, 30000)) &&
             model_run<bump_reset_model>("bump, reset", model_iterations(argc, argv, 30000)) &&
             model_run<extreme_model>("extremes", model_iterations(argc, argv, 30000)));
}

/* SPDX-License-Identifier: MIT
 * Model of prim/freelist.h: three threads take nodes and give them back.
 * Promises: a node is one thread's at a time (its contents are never raced), none is
 * lost; nodes that come round again under a popper's eyes (ABA) do no harm.
 * Source: ARCHITECTURE R1. */
#include "model.h"

#include "ggmk/prim/freelist.h"

#define NODES 3u

struct freelist_model : rl::test_suite<freelist_model, 3> {
    gmk_freelist_t f;
    gmk_a32_t next[NODES];
    rl::var<uint32_t> owner[NODES];

    void before()
    {
        gmk_freelist_fill(&f, next, NODES);
        for (uint32_t i = 0; i < NODES; i++)
            VAR(owner[i]) = 0;
    }

    void take(uint32_t me, uint32_t *i)
    {
        while ((*i = gmk_freelist_pop(&f, next, GMK_DEV)) == GMK_FREELIST_NONE)
            model_wait();
        RL_ASSERT(VAR(owner[*i]) == 0);
        VAR(owner[*i]) = me;
    }

    void give(uint32_t i)
    {
        VAR(owner[i]) = 0;
        gmk_freelist_push(&f, next, i, GMK_DEV);
    }

    /* One holds two nodes and gives them back in the order it took them; the others one. */
    void thread(unsigned index)
    {
        uint32_t a, b;

        for (uint32_t round = 0; round < 2; round++) {
            take(index + 1, &a);
            if (index == 0) {
                take(index + 1, &b);
                give(a);
                give(b);
            } else {
                give(a);
            }
        }
    }

    void after()
    {
        uint32_t mask = 0;

        for (uint32_t n = 0; n < NODES; n++) {
            uint32_t i = gmk_freelist_pop(&f, next, GMK_DEV);

            RL_ASSERT(i < NODES && (mask >> i & 1) == 0);
            mask |= 1u << i;
        }
        RL_ASSERT(gmk_freelist_pop(&f, next, GMK_DEV) == GMK_FREELIST_NONE);
    }
};

int main(int argc, char **argv)
{
    return !model_run<freelist_model>("freelist", model_iterations(argc, argv, 60000));
}

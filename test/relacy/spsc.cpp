/* SPDX-License-Identifier: MIT
 * Model of prim/spsc.h: one producer, one consumer, a ring of two across the index wrap.
 * Promises: every element once, in order, its contents seen whole.
 * Source: SPEC; ARCHITECTURE R2. */
#include "model.h"

#include "ggmk/prim/spsc.h"

#define N 5u
#define CAP 2u

struct spsc_model : rl::test_suite<spsc_model, 2> {
    gmk_spsc_t r;
    rl::var<uint32_t> data[CAP];

    void before() { gmk_spsc_setup(&r, CAP, UINT32_MAX - 2); }

    void produce()
    {
        for (uint32_t sent = 0; sent < N;) {
            uint32_t pos, n = gmk_spsc_claim(&r, N - sent, &pos, GMK_DEV);

            for (uint32_t i = 0; i < n; i++)
                VAR(data[(pos + i) & (CAP - 1)]) = 100 + sent + i;
            if (n != 0)
                gmk_spsc_publish(&r, pos, n, GMK_DEV);
            else
                model_wait();
            sent += n;
        }
    }

    void consume()
    {
        for (uint32_t got = 0; got < N;) {
            uint32_t pos, n = gmk_spsc_take(&r, 2, &pos, GMK_DEV);

            for (uint32_t i = 0; i < n; i++)
                RL_ASSERT(VAR(data[(pos + i) & (CAP - 1)]) == 100 + got + i);
            if (n != 0)
                gmk_spsc_release(&r, pos, n, GMK_DEV);
            else
                model_wait();
            got += n;
        }
    }

    void thread(unsigned index) { index == 0 ? produce() : consume(); }
    void after() { RL_ASSERT(gmk_spsc_count(&r, GMK_DEV) == 0); }
};

int main(int argc, char **argv)
{
    return !model_run<spsc_model>("spsc", model_iterations(argc, argv, 30000));
}

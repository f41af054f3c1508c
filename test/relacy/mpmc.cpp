/* SPDX-License-Identifier: MIT
 * Model of prim/mpmc.h: two producers, two consumers, a ring of two, batches of two.
 * Promises: every element once, of one producer in order, its contents seen whole;
 * ready never misses an element that a thread has seen published.
 * Source: SPEC; ARCHITECTURE R2. */
#include "model.h"

#include "ggmk/prim/mpmc.h"

#define PER 2u /* elements a producer */
#define CAP 2u

struct cell {
    gmk_a32_t turn;
    rl::var<uint32_t> from, number;
};

struct mpmc_model : rl::test_suite<mpmc_model, 4> {
    gmk_mpmc_t r;
    cell cells[CAP];
    rl::var<uint32_t> seen[2][PER]; /* by one consumer each time: a race is a double */
    rl::atomic<uint32_t> got;

    void before()
    {
        gmk_mpmc_setup(&r, CAP, 0);
        got.store(0, rl::mo_relaxed, $);
        for (uint32_t i = 0; i < 2 * PER; i++)
            VAR(seen[i / PER][i % PER]) = 0;
    }

    void produce(uint32_t me)
    {
        for (uint32_t sent = 0; sent < PER;) {
            uint32_t pos, n = gmk_mpmc_claim(&r, cells, sizeof(cell), PER - sent, &pos, GMK_DEV);

            for (uint32_t i = 0; i < n; i++) {
                cell *c = &cells[(pos + i) & (CAP - 1)];

                VAR(c->from) = me;
                VAR(c->number) = sent + i;
            }
            if (n != 0)
                gmk_mpmc_publish(&r, cells, sizeof(cell), pos, n, GMK_DEV);
            else
                model_wait();
            sent += n;
        }
    }

    void consume()
    {
        uint32_t next[2] = {0, 0};

        while (got.load(rl::mo_relaxed, $) < 2 * PER) {
            uint32_t pos, n = gmk_mpmc_take(&r, cells, sizeof(cell), 2, &pos, GMK_DEV);

            for (uint32_t i = 0; i < n; i++) {
                cell *c = &cells[(pos + i) & (CAP - 1)];
                uint32_t from = VAR(c->from);
                uint32_t number = VAR(c->number);

                RL_ASSERT(from < 2 && number < PER && number >= next[from]);
                next[from] = number + 1;
                VAR(seen[from][number])++;
            }
            if (n != 0)
                gmk_mpmc_release(&r, cells, sizeof(cell), pos, n, GMK_DEV);
            else
                model_wait();
            got.fetch_add(n, rl::mo_relaxed, $);
        }
    }

    void thread(unsigned index) { index < 2 ? produce(index) : consume(); }

    void after()
    {
        for (uint32_t i = 0; i < 2 * PER; i++)
            RL_ASSERT(VAR(seen[i / PER][i % PER]) == 1);
        RL_ASSERT(!gmk_mpmc_ready(&r, cells, sizeof(cell), GMK_DEV));
    }
};

/* The forms for a single producer and a single consumer. */
struct mpmc_single_model : rl::test_suite<mpmc_single_model, 2> {
    gmk_mpmc_t r;
    cell cells[CAP];

    void before() { gmk_mpmc_setup(&r, CAP, 0); }

    void thread(unsigned index)
    {
        for (uint32_t done = 0; done < 5;) {
            uint32_t pos;
            uint32_t n = index == 0
                             ? gmk_mpmc_claim_sp(&r, cells, sizeof(cell), 5 - done, &pos, GMK_DEV)
                             : gmk_mpmc_take_sc(&r, cells, sizeof(cell), 2, &pos, GMK_DEV);

            for (uint32_t i = 0; i < n; i++) {
                cell *c = &cells[(pos + i) & (CAP - 1)];

                if (index == 0)
                    VAR(c->number) = done + i;
                else
                    RL_ASSERT(VAR(c->number) == done + i);
            }
            if (n == 0)
                model_wait();
            else if (index == 0)
                gmk_mpmc_publish(&r, cells, sizeof(cell), pos, n, GMK_DEV);
            else
                gmk_mpmc_release(&r, cells, sizeof(cell), pos, n, GMK_DEV);
            done += n;
        }
    }
};

int main(int argc, char **argv)
{
    return !(model_run<mpmc_model>("mpmc", model_iterations(argc, argv, 30000)) &&
             model_run<mpmc_single_model>("mpmc, single", model_iterations(argc, argv, 30000)));
}

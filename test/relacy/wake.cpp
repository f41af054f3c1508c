/* SPDX-License-Identifier: MIT
 * Model of the wake of a channel's drainer: chan/emit.c publish and gmki_group_notice,
 * chan/read.c gmki_sub_idles, worker/turn.c finish. Two producers, two workers that may
 * drain, on the rings' own text.
 * Promises: one drainer at a time; no message stays when everybody rests.
 * PLANT_ names a mistake to be found. Source: ARCHITECTURE R4. */
#include "model.h"

#include "ggmk/prim/credit.h"

#define PER 2u
#define CAP 4u

struct cell {
    gmk_a32_t turn;
    rl::var<uint32_t> number;
};

struct wake_model : rl::test_suite<wake_model, 4> {
    gmk_credit_t r;
    cell cells[CAP];
    gmk_a64_t cursor;
    gmk_a32_t idle;    /* bit 0: the subscription wants a notice */
    gmk_a32_t pending; /* notices */
    gmk_a32_t tokens;  /* activations in a queue */
    rl::var<uint32_t> read; /* the drainer's own: a race is two drainers */
    gmk_a32_t done;

    void before()
    {
        gmk_credit_setup(&r, CAP, 0);
        gmk_credit_join(&r, 0, &cursor, GMK_DEV);
        idle = 1; /* found empty */
        VAR(read) = 0;
    }

    void activate() { gmk_add_ar(&tokens, 1, GMK_DEV); }

    void notice()
    {
        if (gmk_add_ar(&pending, 1, GMK_DEV) == 0)
            activate();
    }

    void produce()
    {
        for (uint32_t i = 0; i < PER; i++) {
            uint32_t pos, readers;

            RL_ASSERT(gmk_credit_claim(&r, 1, 0, &pos, &readers, GMK_DEV) == 1);
            VAR(cells[pos & (CAP - 1)].number) = pos;
            gmk_credit_publish(&r, cells, sizeof(cell), pos, 1, GMK_DEV);
#ifdef PLANT_LOOK
            if ((gmk_load_rlx(&idle, GMK_DEV) & readers) != 0 &&
#else
            if ((gmk_add_sc(&idle, 0, GMK_DEV) & readers) != 0 &&
#endif
                (gmk_and_sc(&idle, ~1u, GMK_DEV) & 1) != 0)
                notice();
        }
    }

    bool ready(uint64_t next)
    {
        return gmk_credit_ready(cells, CAP - 1, sizeof(cell), (uint32_t)next, 1, GMK_DEV) != 0;
    }

    bool idles()
    {
        gmk_or_sc(&idle, 1, GMK_DEV);
#ifdef PLANT_RECHECK
        return true;
#else
        if (!ready(gmk_cursor_next(&cursor, GMK_DEV)))
            return true;
        gmk_and_sc(&idle, ~1u, GMK_DEV);
        return false;
#endif
    }

    bool take()
    {
        uint64_t next = gmk_cursor_next(&cursor, GMK_DEV);

        if (!ready(next))
            return false;
        RL_ASSERT(VAR(cells[next & (CAP - 1)].number) == next);
        gmk_cursor_pass(&cursor, next + 1, GMK_DEV);
        VAR(read)++;
        if (VAR(read) == 2 * PER)
            gmk_store_rel(&done, 1, GMK_DEV);
        return true;
    }

    /* A turn of at most two messages. */
    void turn()
    {
        uint32_t seen = gmk_load_acq(&pending, GMK_DEV);

        for (uint32_t budget = 2;;) {
            if (budget == 0) {
                activate();
                return;
            }
            if (take())
                budget--;
            else if (idles())
                break;
        }
#ifdef PLANT_REMAINDER
        gmk_sub_ar(&pending, seen, GMK_DEV);
#else
        if (gmk_sub_ar(&pending, seen, GMK_DEV) != seen)
            activate();
#endif
    }

    void work()
    {
        while (gmk_load_acq(&done, GMK_DEV) == 0) {
            uint32_t have = gmk_load_acq(&tokens, GMK_DEV);

            if (have != 0 && gmk_cas_ar(&tokens, &have, have - 1, GMK_DEV))
                turn();
            else
                model_wait();
        }
    }

    void thread(unsigned index) { index < 2 ? produce() : work(); }
};

int main(int argc, char **argv)
{
    return !model_run<wake_model>("wake", model_iterations(argc, argv, 30000));
}

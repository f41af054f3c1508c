/* SPDX-License-Identifier: MIT
 * Models of what stands between a user and the end of what it uses, each a handshake of the
 * core that is not a header's own text:
 * the gate of a kernel's handle (kernel/outside.c go_in and come_out, halt.c gate_shut);
 * an attached thread's busy mark and the closed word (sched.c gmki_enter and gmki_leave,
 * halt.c close_outside); the count of a payload (mem/payload.c release); the freeze of a
 * worker (sched/idle.c freeze_point, freeze, thaw).
 * Promises: nobody touches the kernel or the payload when it is freed, nor the private
 * queues of a worker that stands still, and what was done inside is seen by who waited.
 * PLANT_ names a mistake to be found. Source: ARCHITECTURE R8, R12, R21. */
#include "model.h"

#define OPEN 0x80000000u

/* Two call from outside, twice; the third halts. */
struct gate_model : rl::test_suite<gate_model, 3> {
    gmk_a32_t gate; /* OPEN, and how many are inside */
    rl::var<uint32_t> kernel[2];

    void before()
    {
        gate = OPEN;
        VAR(kernel[0]) = VAR(kernel[1]) = 1;
    }

    bool go_in()
    {
        uint32_t was;

        if ((gmk_load_acq(&gate, GMK_DEV) & OPEN) == 0)
            return false;
        was = gmk_add_sc(&gate, 1, GMK_DEV);
#ifdef PLANT_GATE_LOOK
        return true;
#endif
        if ((was & OPEN) != 0)
            return true;
        gmk_sub_ar(&gate, 1, GMK_DEV);
        return false;
    }

    void come_out()
    {
#ifdef PLANT_GATE_LEAVE
        gmk_sub_rlx(&gate, 1, GMK_DEV);
#else
        gmk_sub_ar(&gate, 1, GMK_DEV);
#endif
    }

    void thread(unsigned index)
    {
        if (index == 2) {
            gmk_and_sc(&gate, ~OPEN, GMK_DEV);
            while (gmk_load_sc(&gate, GMK_DEV) != 0)
                model_wait();
            VAR(kernel[0]) = VAR(kernel[1]) = 0;
            return;
        }
        for (uint32_t call = 0; call < 2 && go_in(); call++) {
            RL_ASSERT(VAR(kernel[index]) != 0);
            VAR(kernel[index])++;
            come_out();
        }
    }
};

/* Two attached threads, one that halts. */
struct busy_model : rl::test_suite<busy_model, 3> {
    gmk_a32_t busy[2], closed;
    rl::var<uint32_t> kernel[2];

    void before() { VAR(kernel[0]) = VAR(kernel[1]) = 1; }

    bool enter(unsigned me)
    {
#ifdef PLANT_BUSY_STORE /* a sequentially consistent load is never stale here */
        gmk_store_rel(&busy[me], 1, GMK_DEV);
        if (gmk_load_acq(&closed, GMK_DEV) == 0)
#else
        gmk_xchg_sc(&busy[me], 1, GMK_DEV);
        if (gmk_load_sc(&closed, GMK_DEV) == 0)
#endif
            return true;
        gmk_store_rel(&busy[me], 0, GMK_DEV);
        return false;
    }

    void thread(unsigned index)
    {
        if (index == 2) {
            gmk_xchg_sc(&closed, 1, GMK_DEV);
            for (uint32_t i = 0; i < 2; i++)
                while (gmk_add_sc(&busy[i], 0, GMK_DEV) != 0)
                    model_wait();
            VAR(kernel[0]) = VAR(kernel[1]) = 0;
            return;
        }
        for (uint32_t call = 0; call < 2 && enter(index); call++) {
            RL_ASSERT(VAR(kernel[index]) != 0);
            VAR(kernel[index])++;
#ifdef PLANT_BUSY_LEAVE
            gmk_store_rlx(&busy[index], 0, GMK_DEV);
#else
            gmk_store_rel(&busy[index], 0, GMK_DEV);
#endif
        }
    }
};

/* Three holders of one payload; each reads it, the last frees it. */
struct refs_model : rl::test_suite<refs_model, 3> {
    gmk_a32_t refs;
    rl::var<uint32_t> payload;
    rl::var<uint32_t> freed;

    void before()
    {
        refs = 3;
        VAR(payload) = 1;
        VAR(freed) = 0;
    }

    void release()
    {
#ifdef PLANT_REFS_LOOK
        if (gmk_load_rlx(&refs, GMK_DEV) != 1) {
#else
        if (gmk_load_acq(&refs, GMK_DEV) != 1) {
#endif
#ifdef PLANT_REFS_DROP
            if (gmk_sub_rlx(&refs, 1, GMK_DEV) != 1)
#else
            if (gmk_sub_ar(&refs, 1, GMK_DEV) != 1)
#endif
                return;
        }
        VAR(freed)++;
        VAR(payload) = 0;
    }

    void thread(unsigned index)
    {
        if (index == 2) { /* hands a reference on, and drops both */
            gmk_add_rlx(&refs, 1, GMK_DEV);
            release();
        }
        RL_ASSERT(VAR(payload) == 1);
        release();
    }

    void after() { RL_ASSERT(VAR(freed) == 1); }
};

/* A worker with private queues; one that freezes it twice and looks at them. */
struct freeze_model : rl::test_suite<freeze_model, 2> {
    gmk_a32_t control, frozen, done;
    rl::var<uint32_t> queue;

    void before() { VAR(queue) = 0; }

    void freeze_point()
    {
        do {
            gmk_xchg_sc(&frozen, 1, GMK_DEV);
            while (gmk_load_sc(&control, GMK_DEV) != 0)
                model_wait();
            gmk_xchg_sc(&frozen, 0, GMK_DEV);
#ifdef PLANT_FREEZE_ONCE
        } while (false);
#else
        } while (gmk_load_sc(&control, GMK_DEV) != 0);
#endif
    }

    void thread(unsigned index)
    {
        uint32_t seen = 0;

        if (index == 0) {
            while (gmk_load_acq(&done, GMK_DEV) == 0) {
                if (gmk_load_sc(&control, GMK_DEV) != 0)
                    freeze_point();
                VAR(queue)++;
                model_wait();
            }
            return;
        }
        for (uint32_t round = 0; round < 2; round++) {
            gmk_or_sc(&control, 1, GMK_DEV);
#ifdef PLANT_FREEZE_LOOK
            while (gmk_load_rlx(&frozen, GMK_DEV) == 0)
#else
            while (gmk_load_sc(&frozen, GMK_DEV) == 0)
#endif
                model_wait();
            RL_ASSERT(VAR(queue) >= seen);
            seen = VAR(queue);
            gmk_and_sc(&control, ~1u, GMK_DEV);
        }
        gmk_store_rel(&done, 1, GMK_DEV);
    }
};

int main(int argc, char **argv)
{
    unsigned long n = model_iterations(argc, argv, 30000);

    return !(model_run<gate_model>("gate", n) && model_run<busy_model>("busy", n) &&
             model_run<refs_model>("references", n) && model_run<freeze_model>("freeze", n));
}

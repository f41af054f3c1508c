/* SPDX-License-Identifier: MIT
 * Protocol of a TLB shootdown. See shoot.h. Floor: port, plain logic. */
#include "shoot.h"

#include "ggmk/base/bits.h"

static uint64_t bit_of(uint32_t cpu) { return 1ull << cpu; }

void shoot_online(shoot_t *s, uint32_t self)
{
    gmk_or_sc(&s->online, bit_of(self), GMK_DEV); /* sync: x86_shoot.online */
}

void shoot_offline(shoot_t *s, uint32_t self)
{
    gmk_and_sc(&s->online, ~bit_of(self), GMK_DEV); /* sync: x86_shoot.online */
}

uint64_t shoot_post(shoot_t *s, uint32_t self, const tlb_range_t *ranges, uint32_t n)
{
    shoot_cpu_t *me = &s->cpu[self];
    /* A read-modify-write: the changed entries come before it. sync: x86_shoot.online */
    uint64_t targets = gmk_add_sc(&s->online, 0, GMK_DEV) & ~bit_of(self);
    uint64_t to_wake = 0;

    gmk_add_rlx(&s->count, 1, GMK_DEV); /* relaxed: a statistic */
    me->ranges = ranges;
    me->n = n;
    gmk_store_rel(&me->waiting, targets, GMK_DEV); /* sync: x86_shoot.done */
    for (uint64_t rest = targets; rest != 0; rest &= rest - 1) {
        uint32_t t = gmk_lowest_bit64(rest);

        /* sync: x86_shoot.inbox */
        if (gmk_or_sc(&s->cpu[t].inbox, bit_of(self), GMK_DEV) == 0)
            to_wake |= bit_of(t);
    }
    return to_wake;
}

bool shoot_is_done(shoot_t *s, uint32_t self)
{
    uint64_t waiting = gmk_load_acq(&s->cpu[self].waiting, GMK_DEV); /* sync: x86_shoot.done */

    /* sync: x86_shoot.online */
    return waiting == 0 || (waiting & gmk_load_acq(&s->online, GMK_DEV)) == 0;
}

void shoot_serve(shoot_t *s, uint32_t self, void (*forget)(const tlb_range_t *ranges, uint32_t n))
{
    gmk_a64_t *inbox = &s->cpu[self].inbox;
    uint64_t from;

    if (gmk_load_rlx(inbox, GMK_DEV) == 0) /* relaxed: seen later, or by the interrupt */
        return;
    from = gmk_xchg_sc(inbox, 0, GMK_DEV); /* sync: x86_shoot.inbox */
    for (; from != 0; from &= from - 1) {
        shoot_cpu_t *c = &s->cpu[gmk_lowest_bit64(from)];

        forget(c->ranges, c->n);
        gmk_and_ar(&c->waiting, ~bit_of(self), GMK_DEV); /* sync: x86_shoot.done */
    }
}

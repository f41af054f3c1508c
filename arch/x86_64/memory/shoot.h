/* SPDX-License-Identifier: MIT
 * The protocol of a TLB shootdown: mailboxes of processors. No machine in it.
 * Floor: port, plain logic.
 * Processor i posts ranges for t: bit i of t's inbox. t forgets them and clears its bit in i's
 *   `waiting`. A processor posts for one shootdown at a time, so its ranges stand still while
 *   a bit of `waiting` is set. Who waits serves its own inbox: two that post for each other
 *   both go on.
 * Order: x86_shoot.inbox (ranges before who reads them), x86_shoot.done (the forgetting before
 *   who reuses the page), x86_shoot.online (a processor that comes online either is posted to,
 *   or forgets all after the entries changed).
 * Threads: any processors, each with its own number and with interrupts off.
 * Source: SPEC BM-28, BOOT.md section 4. */
#ifndef X86_SHOOT_H
#define X86_SHOOT_H

#include "tlb.h"

typedef struct shoot_cpu {
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a64_t inbox;   /* of processors that have posted */
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a64_t waiting; /* for these processors' answers */
    const tlb_range_t *ranges;
    uint32_t n;
} shoot_cpu_t;

typedef struct shoot {
    gmk_a64_t online;
    gmk_a64_t count;
    shoot_cpu_t cpu[MEM_MAX_CPUS];
} shoot_t;

/* self takes part. The caller then forgets all translations. */
void shoot_online(shoot_t *s, uint32_t self);
/* self takes no part any more, for good: nobody waits for it, it serves nobody. */
void shoot_offline(shoot_t *s, uint32_t self);

/* Posts n ranges to all others online. ranges must stay until shoot_is_done.
 * pre: entries were changed by atomic operations before; shoot_is_done of the last one.
 * returns: those that need an interrupt; the others have one under way. */
uint64_t shoot_post(shoot_t *s, uint32_t self, const tlb_range_t *ranges, uint32_t n);

/* True once all have answered. */
bool shoot_is_done(shoot_t *s, uint32_t self);

/* Calls forget for what each has posted for self, and answers. cost: a load if none has. */
void shoot_serve(shoot_t *s, uint32_t self, void (*forget)(const tlb_range_t *ranges, uint32_t n));

#endif

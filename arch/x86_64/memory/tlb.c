/* SPDX-License-Identifier: MIT
 * TLB shootdown. See tlb.h and, for the protocol, shoot.h. Floor: port. */
#include "tlb.h"

#include "machine.h"
#include "shoot.h"

#include "ggmk/base/bits.h"

/* A processor that has not answered for so long has died: 20 s at 3 GHz. */
#define SILENT_CYCLES (1ull << 36)
#define TURNS_A_PAUSE 64u

static shoot_t shoot;
static uint32_t apic_ids[MEM_MAX_CPUS];

static void forget(const tlb_range_t *ranges, uint32_t n)
{
    uint64_t pages = 0;

    for (uint32_t i = 0; i < n; i++)
        pages += ranges[i].pages;
    if (pages > TLB_PAGES_MAX) {
        mem_flush_all();
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        for (uint64_t p = 0; p < ranges[i].pages; p++)
            mem_flush_page(ranges[i].virt + p * MEM_PAGE);
}

void tlb_cpu_online(void)
{
    uint64_t flags = mem_irq_off();

    apic_ids[mem_cpu()] = mem_apic_id();
    shoot_online(&shoot, mem_cpu());
    mem_flush_all();
    mem_irq_back(flags);
}

void tlb_cpu_offline(void)
{
    uint64_t flags = mem_irq_off();

    shoot_offline(&shoot, mem_cpu());
    mem_irq_back(flags);
}

static void wake(uint64_t cpus)
{
    uint32_t n = 0;

    for (uint64_t rest = cpus; rest != 0; rest &= rest - 1)
        n++;
    if (n > 1 && n + 1 == mem_n_cpus()) { /* all but this one: a single command */
        mem_ipi_others();
        return;
    }
    for (; cpus != 0; cpus &= cpus - 1)
        mem_ipi(apic_ids[gmk_lowest_bit64(cpus)]);
}

/* A `pause` in every turn would be dear where instructions are translated: QEMU takes its one
 * big lock for each, the lock that a halted processor needs to wake (measured: 3 times the
 * time of a shootdown with 3 idle processors). */
static void wait(uint32_t self)
{
    uint64_t began = mem_cycles();

    for (uint32_t i = 1; !shoot_is_done(&shoot, self); i++) {
        shoot_serve(&shoot, self, forget);
        if (i % TURNS_A_PAUSE != 0)
            continue;
        gmk_pause();
        if (mem_cycles() - began > SILENT_CYCLES)
            mem_dead("TLB shootdown: a processor does not answer");
    }
}

void tlb_shootdown(const tlb_range_t *ranges, uint32_t n)
{
    uint64_t flags = mem_irq_off();
    uint64_t online = gmk_load_acq(&shoot.online, GMK_DEV); /* sync: x86_shoot.online */

    forget(ranges, n);
    if (online != 0) { /* else this is the boot processor, alone and without a number */
        uint32_t self = mem_cpu();

        wake(shoot_post(&shoot, self, ranges, n));
        wait(self);
    }
    mem_irq_back(flags);
}

void tlb_on_ipi(void) { shoot_serve(&shoot, mem_cpu(), forget); }

void tlb_poll(void)
{
    /* relaxed: nobody posts before a processor is online */
    if (gmk_load_rlx(&shoot.online, GMK_DEV) != 0)
        shoot_serve(&shoot, mem_cpu(), forget);
}

uint64_t tlb_count(void) { return gmk_load_rlx(&shoot.count, GMK_DEV); /* relaxed: a statistic */ }

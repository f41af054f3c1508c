/* SPDX-License-Identifier: MIT
 * Starting application processors through the loader's goto_address.
 * Floor: arch. A processor takes its number when it comes, so that there is no gap for one that
 * never does; one that comes too late finds the list closed, and stands still.
 * Source: SPEC BM-30, BM-31; BOOT.md sections 1 and 2 (a start takes up to 21 ms under
 * emulation: a second is allowed). */
#include "arch/x86_64/smp/smp.h"

#include "arch/x86_64/boot/boot.h"
#include "arch/x86_64/cpu/clock.h"
#include "arch/x86_64/cpu/lapic.h"
#include "arch/x86_64/cpu/panic.h"
#include "arch/x86_64/cpu/tables.h"
#include "arch/x86_64/limine/limine.h"
#include "arch/x86_64/memory/paging.h"
#include "arch/x86_64/memory/tlb.h"
#include "arch/x86_64/memory/vmm.h"
#include "arch/x86_64/serial/kprintf.h"
#include "arch/x86_64/smp/thread.h"

#define AP_STACK_BYTES 16384u
#define AP_PATIENCE_NS 1000000000u
#define CLOSED 0x80000000u

/* What a processor needs on its way in; smp_entry.S knows the offsets. */
typedef struct start {
    uint64_t cr3;
    uint64_t stack_top;
    uint32_t apic_id;
    gmk_a32_t came;
} start_t;

void smp_entry(limine_smp_info_t *info); /* smp_entry.S */
GMK_NORETURN void smp_ap_main(start_t *s);

static start_t starts[X86_MAX_CPUS];
static gmk_a32_t arrived; /* how many have come; CLOSED: no more may */
static uint32_t n_present = 1;
static void (*ap_entry)(void *);
static void *ap_arg;

uint32_t smp_init(const void *response)
{
    (void)response; /* copied into boot_info, where the BSP is the first */
    n_present = boot_info.n_cpus;
    return n_present;
}

uint32_t smp_bsp_lapic_id(void) { return boot_info.apic_id[0]; }
uint32_t smp_cpu_count(void) { return x86_n_cpus; }
uint32_t smp_lapic_id(uint32_t index) { return x86_cpus[index].apic_id; }

/* A processor's first C: its number, then its own tables before anything that could fault. */
void smp_ap_main(start_t *s)
{
    uint32_t before = gmk_add_ar(&arrived, 1, GMK_DEV); /* sync: x86.arrived */
    x86_cpu_t *cpu;

    while ((before & CLOSED) != 0)
        __asm__ volatile("cli; hlt");
    gmk_store_rlx(&s->came, 1, GMK_DEV); /* relaxed: for a message */
    cpu = &x86_cpus[before + 1];
    x86_cpu_enter(before + 1, s->apic_id);
    x86_cpu_protect();
    idt_init();
    gdt_init();
    lapic_init();
    x86_threads_init(s->stack_top - AP_STACK_BYTES, AP_STACK_BYTES);
    tlb_cpu_online();
    gmk_store_rel(&cpu->online, 1, GMK_DEV); /* sync: x86.online */
    ap_entry(ap_arg);
    x86_idle();
}

static bool launch(uint32_t i)
{
    limine_smp_info_t *info = boot_info.cpu[i];
    start_t *s = &starts[i];
    uint8_t *stack = vmm_area_alloc(AP_STACK_BYTES, 0, VMM_GUARD | VMM_POPULATE);

    if (stack == NULL)
        return false;
    s->cr3 = paging_root();
    s->stack_top = (uintptr_t)stack + AP_STACK_BYTES;
    s->apic_id = boot_info.apic_id[i];
    info->extra_argument = (uintptr_t)s;
    gmk_store_rel((gmk_a64_t *)(void *)&info->goto_address, (uintptr_t)smp_entry,
                  GMK_DEV); /* sync: x86.goto */
    return true;
}

static bool is_online(uint32_t i)
{
    return gmk_load_acq(&x86_cpus[i].online, GMK_DEV) != 0; /* sync: x86.online */
}

uint32_t smp_start_aps(void (*entry)(void *), void *arg)
{
    uint32_t n = 0;
    uint64_t end;

    ap_entry = entry;
    ap_arg = arg;
    for (uint32_t i = 1; i < n_present; i++)
        n += launch(i);
    end = clock_now_ns() + AP_PATIENCE_NS;
    while (gmk_load_acq(&arrived, GMK_DEV) != n && clock_now_ns() < end) /* sync: x86.arrived */
        x86_spin();
    n = gmk_or_ar(&arrived, CLOSED, GMK_DEV); /* sync: x86.arrived */
    end = clock_now_ns() + AP_PATIENCE_NS;
    for (uint32_t i = 1; i <= n; i++)
        while (!is_online(i)) {
            if (clock_now_ns() > end)
                PANIC("smp: CPU %u has come and does not get ready", i);
            x86_spin();
        }
    for (uint32_t i = 1; i < n_present; i++)
        if (gmk_load_rlx(&starts[i].came, GMK_DEV) == 0) /* relaxed: for a message */
            kprintf("smp: the CPU of APIC id %u has not come within a second: it is left out\n",
                    boot_info.apic_id[i]);
    return 1 + n;
}

static void nothing(void *arg) { (void)arg; }

void smp_start(void)
{
    uint64_t t0 = clock_now_ns();
    uint32_t present;

    tlb_cpu_online();
    gmk_store_rel(&x86_cpus[0].online, 1, GMK_DEV); /* sync: x86.online */
    present = smp_init(NULL);
    vmm_set_cpu_count(present);
    x86_n_cpus = smp_start_aps(nothing, NULL);
    kprintf("boot: smp: %u of %u CPUs run (%lu us)\n", x86_n_cpus, present,
            (clock_now_ns() - t0) / 1000);
}

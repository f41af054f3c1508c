/* SPDX-License-Identifier: MIT
 * Starting application processors through the loader's goto_address.
 * Floor: arch. A processor takes its number when it comes, so that there is no gap for one that
 * never does; one that comes too late finds the list closed, and stands still.
 * Source: SPEC BM-30, BM-31; BOOT.md sections 1 and 2 (a start takes up to 21 ms under
 * emulation, and far more on a busy host). */
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
/* For all to come, and for those to get ready: virtual ones may wait for processors. */
#define COME_NS 5000000000ull
#define READY_NS 30000000000ull
#define CLOSED 0x80000000u

/* What a processor needs on its way in; smp_entry.S knows the offsets. */
typedef struct start {
    uint64_t cr3;
    uint64_t stack_top;
    uint32_t apic_id;
    gmk_a32_t came;
} start_t;

void smp_entry(limine_smp_info_t *info); /* smp_entry.S */
void smp_stay(limine_smp_info_t *info);
GMK_NORETURN void smp_ap_main(start_t *s);

static start_t starts[X86_MAX_CPUS];
static gmk_a32_t arrived; /* how many have come; CLOSED: no more may */
static uint32_t n_present = 1, n_launched, n_sent_away;
gmk_a32_t smp_n_stay; /* how many stand in smp_stay */
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

static void go(limine_smp_info_t *info, void (*to)(limine_smp_info_t *), uint64_t argument)
{
    info->extra_argument = argument;
    gmk_store_rel((gmk_a64_t *)(void *)&info->goto_address, (uintptr_t)to,
                  GMK_DEV); /* sync: x86.goto */
}

/* It must not stay in the loader's memory. */
static void send_away(limine_smp_info_t *info)
{
    go(info, smp_stay, paging_root());
    n_sent_away++;
}

static bool launch(uint32_t i)
{
    limine_smp_info_t *info = boot_info.cpu[i];
    start_t *s = &starts[i];
    uint8_t *stack = vmm_area_alloc(AP_STACK_BYTES, 0, VMM_GUARD | VMM_POPULATE);

    if (stack == NULL) {
        send_away(info);
        return false;
    }
    s->cr3 = paging_root();
    s->stack_top = (uintptr_t)stack + AP_STACK_BYTES;
    s->apic_id = boot_info.apic_id[i];
    go(info, smp_entry, (uintptr_t)s);
    return true;
}

static bool is_online(uint32_t i)
{
    return gmk_load_acq(&x86_cpus[i].online, GMK_DEV) != 0; /* sync: x86.online */
}

/* returns: how many have come, and no more may. */
static uint32_t close_list(void)
{
    uint64_t end = clock_now_ns() + COME_NS;

    while (gmk_load_acq(&arrived, GMK_DEV) != n_launched && /* sync: x86.arrived */
           clock_now_ns() < end)
        x86_spin();
    return gmk_or_ar(&arrived, CLOSED, GMK_DEV); /* sync: x86.arrived */
}

uint32_t smp_start_aps(void (*entry)(void *), void *arg)
{
    uint64_t end;
    uint32_t n;

    ap_entry = entry;
    ap_arg = arg;
    for (uint32_t i = 1; i < n_present; i++)
        n_launched += launch(i);
    n = close_list();
    end = clock_now_ns() + READY_NS;
    for (uint32_t i = 1; i <= n; i++)
        while (!is_online(i)) {
            if (clock_now_ns() > end)
                PANIC("smp: CPU %u has come and does not get ready", i);
            x86_spin();
        }
    for (uint32_t i = 1; i < n_present; i++)
        if (gmk_load_rlx(&starts[i].came, GMK_DEV) == 0) /* relaxed: for a message */
            kprintf("smp: the CPU of APIC id %u has not come within 5 s: it is left out\n",
                    boot_info.apic_id[i]);
    return 1 + n;
}

static void send_rest_away(void)
{
    limine_smp_info_t *info = boot_info.rest;

    while (info != NULL) {
        limine_smp_info_t *next = (void *)(uintptr_t)info->extra_argument;

        send_away(info);
        info = next;
    }
}

/* returns: whether no processor is in the loader's memory any more. */
static bool all_have_left(uint32_t n_started)
{
    uint64_t end = clock_now_ns() + READY_NS;

    if (n_started != 1 + n_launched)
        return false;
    while (gmk_load_acq(&smp_n_stay, GMK_DEV) != n_sent_away && /* sync: x86.stay */
           clock_now_ns() < end)
        x86_spin();
    return gmk_load_acq(&smp_n_stay, GMK_DEV) == n_sent_away; /* sync: x86.stay */
}

static void nothing(void *arg) { (void)arg; }

bool smp_start(void)
{
    uint64_t t0 = clock_now_ns();
    uint32_t present;

    tlb_cpu_online();
    gmk_store_rel(&x86_cpus[0].online, 1, GMK_DEV); /* sync: x86.online */
    present = smp_init(NULL);
    vmm_set_cpu_count(present);
    send_rest_away();
    x86_n_cpus = smp_start_aps(nothing, NULL);
    kprintf("boot: smp: %u of %u CPUs run (%lu us)\n", x86_n_cpus, present,
            (clock_now_ns() - t0) / 1000);
    return all_have_left(x86_n_cpus);
}

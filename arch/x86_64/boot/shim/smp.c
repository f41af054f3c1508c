/* SPDX-License-Identifier: MIT
 * The other CPUs: see smp.h.
 * Floor: arch. A started CPU takes a number (entry.S), with it a stack, and finds its record by
 * the id of its own interrupt controller. Threads: each CPU writes came[] of its own. */
#include "smp.h"

#include "ggmk/base/atomic.h"

enum {
    MSR_APIC_BASE = 0x1b,
    APIC_ON = 1 << 11,
    APIC_X2 = 1 << 10,
    CPUID_X2APIC = 1 << 21,
    REG_ID = 0x20,
    REG_SPURIOUS = 0xf0,
    REG_ICR_LOW = 0x300,
    REG_ICR_HIGH = 0x310,
    REG_TIMER = 0x320,
    REG_TIMER_DIVIDE = 0x3e0,
    MSR_X2 = 0x800, /* register r is MSR_X2 + r / 16 */
    MSR_X2_ICR = 0x830,
    SPURIOUS_ON = 0x1ff,
    TIMER_MASKED = 0x10000,
    TIMER_BY_1 = 0xb,
    ICR_PENDING = 1 << 12,
    ICR_INIT = 0x4500,
    ICR_START = 0x4600,
    WINDOWS = 500, /* of 10 ms */
    SEND_POLLS = 100000,
    NAPS_MAX = 500,     /* of a window: a PIT that stands still ends it, too */
    NAPS_ALONE = 50,    /* of a window without a PIT */
    NAP_COUNT = 200000, /* 0.2 ms under QEMU */
};

extern const uint8_t shim_ap_blob[], shim_ap_blob_end[], shim_final_gdtr[], shim_ap_wait[];
/* Of entry.S. */
gmk_a32_t shim_ap_ticket;
uint32_t shim_ap_limit;
uint64_t shim_ap_stacks, shim_ap_stack_bytes;
extern uint64_t shim_lapic;
void shim_nap(uint32_t count);
void shim_ap_main(uint64_t stack_end);

static bool x2apic;
static uint32_t bsp_id, spurious_before, timer_before;
static const shim_madt_t *madt;
static shim_smp_room_t room;
static gmk_a32_t came[SHIM_CPUS_MAX];
static shim_handoff_t handoff[SHIM_CPUS_MAX];

static uint32_t get(uint32_t reg)
{
    if (x2apic)
        return (uint32_t)shim_rdmsr(MSR_X2 + reg / 16);
    return *(volatile uint32_t *)(shim_lapic + reg);
}

static void set(uint32_t reg, uint32_t v)
{
    if (x2apic)
        shim_wrmsr(MSR_X2 + reg / 16, v);
    else
        *(volatile uint32_t *)(shim_lapic + reg) = v;
}

static void lapic_on(void)
{
    uint64_t base = shim_rdmsr(MSR_APIC_BASE);

    if ((base & APIC_ON) == 0)
        shim_wrmsr(MSR_APIC_BASE, base | APIC_ON);
    if (x2apic && (base & APIC_X2) == 0)
        shim_wrmsr(MSR_APIC_BASE, base | APIC_ON | APIC_X2);
}

static uint32_t lapic_id(void) { return x2apic ? get(REG_ID) : get(REG_ID) >> 24; }

/* The timer can end naps. */
static void timer_on(void)
{
    set(REG_SPURIOUS, SPURIOUS_ON);
    set(REG_TIMER_DIVIDE, TIMER_BY_1);
    set(REG_TIMER, SHIM_VECTOR_TIMER);
}

static void send(uint32_t id, uint32_t what)
{
    if (x2apic) {
        shim_wrmsr(MSR_X2_ICR, (uint64_t)id << 32 | what);
        return;
    }
    set(REG_ICR_HIGH, id << 24);
    set(REG_ICR_LOW, what);
    for (uint32_t i = 0; i < SEND_POLLS && (get(REG_ICR_LOW) & ICR_PENDING) != 0; i++)
        gmk_pause();
}

static bool has_x2apic(void)
{
    uint32_t a = 1, b, c = 0, d;

    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return (c & CPUID_X2APIC) != 0;
}

void shim_smp_init(shim_madt_t *m, bool want_x2apic)
{
    uint32_t n = 0, here;

    x2apic = (shim_rdmsr(MSR_APIC_BASE) & APIC_X2) != 0 || (want_x2apic && has_x2apic());
    shim_lapic = x2apic ? 0 : SHIM_HHDM + (shim_rdmsr(MSR_APIC_BASE) & 0xfffff000u);
    lapic_on();
    bsp_id = lapic_id();
    for (uint32_t i = 0; i < m->n_cpus; i++) {
        if (x2apic || m->cpu[i].lapic_id < 0xff)
            m->cpu[n++] = m->cpu[i];
        else
            m->n_left_out++;
    }
    for (here = 0; here < n && m->cpu[here].lapic_id != bsp_id;)
        here++;
    if (here == n) {
        here = n < SHIM_CPUS_MAX ? n++ : n - 1;
        m->cpu[here] = (shim_cpu_t){0, bsp_id};
    }
    m->n_cpus = n;
}

void shim_smp_reset(const shim_madt_t *m)
{
    for (uint32_t i = 0; i < m->n_cpus; i++)
        if (m->cpu[i].lapic_id != bsp_id)
            send(m->cpu[i].lapic_id, ICR_INIT);
    spurious_before = get(REG_SPURIOUS);
    timer_before = get(REG_TIMER) | TIMER_MASKED;
    timer_on();
}

/* returns: how many have not come. */
static uint32_t send_to_missing(const shim_madt_t *m, uint32_t what)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < m->n_cpus; i++) {
        if (shim_smp_came(m, i))
            continue;
        n++;
        if (what != 0)
            send(m->cpu[i].lapic_id, what);
    }
    return n;
}

void shim_smp_start(const shim_madt_t *m, const shim_smp_room_t *r)
{
    madt = m;
    room = *r;
    shim_ap_stacks = SHIM_HHDM + r->stacks;
    shim_ap_stack_bytes = r->stack_bytes;
    shim_ap_limit = m->n_cpus - 1;
    shim_copy(shim_virt(r->low_page), shim_ap_blob, (uint64_t)(shim_ap_blob_end - shim_ap_blob));
    send_to_missing(m, ICR_START | (uint32_t)(r->low_page >> 12));
}

/* Waits one window. A PIT that has come to its end at once is none, and one that stands still is
 * used no more: then naps are counted. returns: how many are missing. */
static uint32_t wait_window(const shim_madt_t *m)
{
    static bool no_pit;
    uint32_t missing = send_to_missing(m, 0);
    uint32_t n = 0;
    bool pit;

    shim_timer_start();
    pit = !no_pit && !shim_timer_over();
    for (; n < (pit ? NAPS_MAX : NAPS_ALONE) && missing > 0; n++) {
        if (pit && shim_timer_over())
            break;
        shim_nap(NAP_COUNT);
        missing = send_to_missing(m, 0);
    }
    no_pit |= n == NAPS_MAX;
    return missing;
}

/* They sleep for good. Some emulators keep a start that they have been sent through the reset:
 * who comes after all finds a halt. returns: how many they are. */
static uint32_t stop_missing(const shim_madt_t *m)
{
    static const uint8_t halt[] = {0xfa, 0xf4, 0xeb, 0xfd}; /* cli; hlt; back to the hlt */

    shim_copy(shim_virt(room.low_page), halt, sizeof(halt));
    return send_to_missing(m, ICR_INIT);
}

void shim_smp_wait(const shim_madt_t *m)
{
    uint32_t missing = 1;

    for (uint32_t i = 0; i < WINDOWS && missing > 0; i++) {
        missing = wait_window(m);
        /* A CPU that was not through with its reset did not hear the first one. */
        if (i == 0 && missing > 0)
            send_to_missing(m, ICR_START | (uint32_t)(room.low_page >> 12));
    }
    if (missing > 0 && (missing = stop_missing(m)) > 0)
        shim_warn(SHIM_E_CPU_SILENT, missing);
    set(REG_TIMER, timer_before);
    set(REG_SPURIOUS, spurious_before);
}

bool shim_smp_came(const shim_madt_t *m, uint32_t i)
{
    /* The CPU has left the boot page tables and the page below 1 MiB. */
    return m->cpu[i].lapic_id == bsp_id ||
           gmk_load_acq(&came[i], GMK_DEV) != 0; /* sync: shim.came */
}

uint32_t shim_smp_bsp_id(void) { return bsp_id; }
bool shim_smp_x2apic(void) { return x2apic; }

/* What a started CPU runs, on its own stack. It returns, and sleeps, when it is not known. */
void shim_ap_main(uint64_t stack_end)
{
    uint32_t i = 0, id;

    lapic_on();
    shim_set_idt();
    shim_set_pat();
    timer_on();
    id = lapic_id();
    while (i < madt->n_cpus && madt->cpu[i].lapic_id != id)
        i++;
    if (i == madt->n_cpus)
        return;
    handoff[i] = (shim_handoff_t){room.cr3, shim_virt((uint64_t)shim_final_gdtr), stack_end,
                                  (uint64_t)shim_virt((uint64_t)&came[i]), &room.info[i]};
    ((void (*)(const shim_handoff_t *))shim_virt((uint64_t)shim_ap_wait))(
        shim_virt((uint64_t)&handoff[i]));
}

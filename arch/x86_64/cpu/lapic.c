/* SPDX-License-Identifier: MIT
 * Local APIC by memory or, as x2APIC, by machine registers.
 * Floor: arch. Source: Intel SDM volume 3, chapter 10. */
#include "arch/x86_64/cpu/lapic.h"

#include "arch/x86_64/cpu/panic.h"
#include "arch/x86_64/cpu/tables.h"
#include "arch/x86_64/memory/paging.h"

#define BASE_X2 0x400u
#define BASE_ON 0x800u
#define X2_MSR 0x800u /* of register 0; one for each 16 bytes */
#define ID 0x20u
#define PRIORITY 0x80u
#define END 0xb0u
#define SPURIOUS 0xf0u
#define IN_SERVICE 0x100u /* 256 bits */
#define COMMAND 0x300u
#define COMMAND_HIGH 0x310u
#define TIMER 0x320u
#define LINT0 0x350u
#define LINT1 0x360u
#define ERROR 0x370u
#define INITIAL 0x380u
#define CURRENT 0x390u
#define DIVIDE 0x3e0u
#define MASKED 0x10000u
#define PERIODIC 0x20000u
#define DIVIDE_BY_1 0xbu
#define EXTERNAL 0x700u
#define NMI 0x400u
#define BUSY 0x1000u
#define ALL_BUT_SELF 0xc0000u
#define ASSERT 0x4000u
#define SEND_POLLS 1000000u
#define STOP_POLLS 1000000u /* of a port, about a microsecond each */
#define DELAY_PORT 0x80u

static volatile uint8_t *memory; /* null: x2APIC */
static bool x2;
static uint32_t ticks_per_ms;

static uint32_t get(uint32_t reg)
{
    if (x2)
        return (uint32_t)x86_rdmsr(X2_MSR + reg / 16);
    return *(volatile uint32_t *)(memory + reg);
}

static void set(uint32_t reg, uint32_t v)
{
    if (x2)
        x86_wrmsr(X2_MSR + reg / 16, v);
    else
        *(volatile uint32_t *)(memory + reg) = v;
}

static void find(void)
{
    uint64_t base = x86_rdmsr(X86_MSR_APIC_BASE);

    if ((x86_cpuid(1).d & 1u << 9) == 0)
        PANIC("this processor has no local APIC: GGMK cannot run on it");
    x2 = (base & BASE_X2) != 0 || (x86_cpuid(1).c & 1u << 21) != 0;
    if (!x2)
        memory = map_mmio(base & PTE_ADDR, 4096);
    if (!x2 && memory == NULL)
        PANIC("no room to map the local APIC");
}

void lapic_init(void)
{
    if (!x2 && memory == NULL)
        find();
    x86_wrmsr(X86_MSR_APIC_BASE, x86_rdmsr(X86_MSR_APIC_BASE) | BASE_ON | (x2 ? BASE_X2 : 0));
    set(PRIORITY, 0);
    set(TIMER, MASKED);
    set(LINT0, x86_cpu_self()->index == 0 ? EXTERNAL : MASKED); /* the PIC's lines */
    set(LINT1, NMI);
    set(ERROR, MASKED);
    set(DIVIDE, DIVIDE_BY_1);
    set(SPURIOUS, 0x100u | X86_VECTOR_SPURIOUS);
    lapic_eoi();
}

uint32_t lapic_id(void) { return x2 ? get(ID) : get(ID) >> 24; }
bool lapic_is_x2(void) { return x2; }
void lapic_eoi(void) { set(END, 0); }

/* Writes the command word; with the memory interface only when the last one has left. */
static void send(uint32_t to, uint32_t command)
{
    uint64_t flags;

    if (x2) {
        __asm__ volatile("mfence" : : : "memory"); /* the write of a register orders nothing */
        x86_wrmsr(X2_MSR + COMMAND / 16, (uint64_t)to << 32 | command);
        return;
    }
    flags = x86_irq_save();
    for (uint32_t i = 0; i < SEND_POLLS && (get(COMMAND) & BUSY) != 0; i++)
        x86_spin();
    set(COMMAND_HIGH, to << 24);
    set(COMMAND, command);
    x86_irq_restore(flags);
}

void lapic_send_ipi(uint32_t apic_id, uint8_t vector) { send(apic_id, ASSERT | vector); }
void lapic_send_ipi_all_but_self(uint8_t vector) { send(0, ALL_BUT_SELF | ASSERT | vector); }

uint32_t lapic_in_service(void)
{
    for (uint32_t i = 8; i-- > 0;) {
        uint32_t set_bits = get(IN_SERVICE + 16 * i);

        if (set_bits != 0)
            return 32 * i + 31 - (uint32_t)__builtin_clz(set_bits);
    }
    return 0;
}

/* Stopping. ------------------------------------------------------------------------- */

static gmk_a32_t stopping, n_stopped;

/* Only who is online is told: another has no tables yet, and an NMI would reset the machine.
 * It waits until they stand, so that what they print is out; a second is enough. */
void x86_stop_others(void)
{
    uint32_t n = 0;

    gmk_store_rlx(&stopping, 1, GMK_DEV); /* relaxed: sending orders it before the NMI */
    if (!x2 && memory == NULL)
        return;
    for (uint32_t i = 0; i < X86_MAX_CPUS; i++) {
        const x86_cpu_t *cpu = &x86_cpus[i];

        if (cpu == x86_cpu_self() ||
            gmk_load_acq(&cpu->online, GMK_DEV) == 0) /* sync: x86.online */
            continue;
        send(cpu->apic_id, ASSERT | NMI);
        n++;
    }
    for (uint32_t i = 0; i < STOP_POLLS; i++) {
        if (gmk_load_acq(&n_stopped, GMK_DEV) >= n) /* sync: x86.stop */
            return;
        (void)x86_in8(DELAY_PORT);
    }
}

void x86_stop_if_told(void)
{
    if (gmk_load_rlx(&stopping, GMK_DEV) == 0) /* relaxed: written before the NMI was sent */
        return;
    gmk_add_ar(&n_stopped, 1, GMK_DEV); /* sync: x86.stop */
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* The timer. ------------------------------------------------------------------------ */

void lapic_timer_arm(uint32_t count)
{
    if (count == 0) {
        set(INITIAL, 0);
        return;
    }
    set(TIMER, X86_VECTOR_TIMER);
    set(INITIAL, count);
}

void lapic_timer_init(uint32_t hz)
{
    set(TIMER, PERIODIC | X86_VECTOR_TIMER);
    set(INITIAL, (uint32_t)((uint64_t)ticks_per_ms * 1000 / hz));
}

uint32_t lapic_timer_left(void) { return get(CURRENT); }
uint32_t lapic_get_ticks_per_ms(void) { return ticks_per_ms; }
void lapic_set_ticks_per_ms(uint32_t ticks) { ticks_per_ms = ticks; }

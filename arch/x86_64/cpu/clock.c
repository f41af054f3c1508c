/* SPDX-License-Identifier: MIT
 * Measuring the time-stamp counter and the APIC timer.
 * Floor: arch.
 * A window is not waited for by a device's gate, which an emulator answers late: both clocks
 * are read at either end, the reference between two readings of the counter, and of several
 * such readings the tightest counts. Median of several windows.
 * Source: SPEC HAL-8; BOOT.md section 3 (a PIT window of 10 ms spreads up to 3 %). */
#include "arch/x86_64/cpu/clock.h"

#include "arch/x86_64/cpu/acpi.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/lapic.h"
#include "arch/x86_64/cpu/panic.h"
#include "arch/x86_64/memory/paging.h"

#define PIT_HZ 1193182u
#define PIT_COMMAND 0x43u
#define PIT_CHANNEL_2 0x42u
#define SPEAKER 0x61u
#define WINDOWS 3u
#define READINGS 8u
#define WINDOW_TSC 6000000u /* about 2 ms; what it is exactly does not matter */
#define SHIFT 32u
#define FS_A_SECOND 1000000000000000ull
#define HPET_MAX_PERIOD 0x05f5e100u /* 100 ns, by the specification */

/* A reading: both clocks at one time. */
typedef struct moment {
    uint64_t tsc, reference;
    uint32_t apic;
} moment_t;

static volatile uint8_t *hpet;
static uint64_t hpet_hz;
static bool hpet_is_64;
static uint64_t hz, base_tsc;
static uint64_t mult; /* nanoseconds a step, in 1 / 2^32 */
static clock_report_t report;

/* The PIT's channel 2 counts down from 65536, gate open, speaker off. */
static void pit_start(void)
{
    x86_out8(SPEAKER, (uint8_t)((x86_in8(SPEAKER) & ~2u) | 1u));
    x86_out8(PIT_COMMAND, 0xb4); /* channel 2, both bytes, rate generator */
    x86_out8(PIT_CHANNEL_2, 0);
    x86_out8(PIT_CHANNEL_2, 0);
}

static uint64_t pit_read(void)
{
    uint32_t low;

    x86_out8(PIT_COMMAND, 0x80); /* latch */
    low = x86_in8(PIT_CHANNEL_2);
    return 0x10000u - (low | (uint32_t)x86_in8(PIT_CHANNEL_2) << 8);
}

static uint64_t hpet_read(void)
{
    if (hpet_is_64)
        return *(volatile uint64_t *)(hpet + 0xf0);
    return *(volatile uint32_t *)(hpet + 0xf0);
}

static moment_t read_both(uint64_t (*reference)(void))
{
    moment_t best = {.tsc = 0};
    uint64_t tightest = UINT64_MAX;

    for (uint32_t i = 0; i < READINGS; i++) {
        uint64_t before = x86_rdtsc();
        uint64_t r = reference();
        uint64_t after = x86_rdtsc();

        if (after - before < tightest) {
            tightest = after - before;
            best = (moment_t){before + (after - before) / 2, r, lapic_timer_left()};
        }
    }
    return best;
}

uint64_t clock_median(uint64_t *v, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        for (uint32_t k = i; k > 0 && v[k] < v[k - 1]; k--) {
            uint64_t t = v[k];

            v[k] = v[k - 1];
            v[k - 1] = t;
        }
    return v[n / 2];
}

/* The counter's rate by a reference of reference_hz that wraps at mask; 0: it stands still.
 * apic_hz gets the APIC timer's, which counts down. */
static uint64_t measure(uint64_t (*reference)(void), uint64_t reference_hz, uint64_t mask,
                        uint64_t *apic_hz)
{
    uint64_t rates[WINDOWS], apic[WINDOWS];

    for (uint32_t w = 0; w < WINDOWS; w++) {
        moment_t a = read_both(reference), b;
        uint64_t steps;

        while (x86_rdtsc() - a.tsc < WINDOW_TSC)
            x86_spin();
        b = read_both(reference);
        steps = (b.reference - a.reference) & mask;
        if (steps == 0)
            return 0;
        rates[w] = (b.tsc - a.tsc) * reference_hz / steps;
        apic[w] = (uint64_t)(a.apic - b.apic) * reference_hz / steps;
    }
    *apic_hz = clock_median(apic, WINDOWS);
    return clock_median(rates, WINDOWS);
}

/* The HPET by its ACPI table, counting. */
static void hpet_find(void)
{
    const uint8_t *table = acpi_find("HPET", 56);
    uint64_t at, period;

    if (table == NULL || table[40] != 0) /* the register is in memory */
        return;
    at = acpi_u64(table + 44);
    hpet = map_mmio(at, 4096);
    if (hpet == NULL)
        return;
    period = *(volatile uint32_t *)(hpet + 4);
    if (period == 0 || period > HPET_MAX_PERIOD) {
        hpet = NULL;
        return;
    }
    hpet_hz = FS_A_SECOND / period;
    hpet_is_64 = (*(volatile uint32_t *)hpet & 1u << 13) != 0;
    *(volatile uint64_t *)(hpet + 0x10) |= 1;
}

uint64_t clock_hpet_ns(void)
{
    if (hpet == NULL)
        return 0;
    return (uint64_t)((unsigned __int128)hpet_read() * 1000000000u / hpet_hz);
}

void clock_init(void)
{
    uint64_t apic_hz = 0, apic_by_hpet = 0;

    lapic_timer_arm(UINT32_MAX); /* interrupts are off, and it does not end meanwhile */
    pit_start();
    report.pit_hz = measure(pit_read, PIT_HZ, 0xffff, &apic_hz);
    hpet_find();
    if (hpet != NULL)
        report.hpet_hz =
            measure(hpet_read, hpet_hz, hpet_is_64 ? UINT64_MAX : UINT32_MAX, &apic_by_hpet);
    lapic_timer_arm(0);
    hz = report.hpet_hz != 0 ? report.hpet_hz : report.pit_hz;
    if (apic_by_hpet != 0)
        apic_hz = apic_by_hpet;
    if (hz == 0 || apic_hz < 1000)
        PANIC("neither PIT nor HPET counts: there is nothing to measure time by");
    if (report.pit_hz != 0 && report.hpet_hz != 0)
        report.apart_ppm =
            ((int64_t)report.hpet_hz - (int64_t)report.pit_hz) * 1000000 / (int64_t)report.pit_hz;
    report.invariant =
        x86_cpuid(0x80000000u).a >= 0x80000007u && (x86_cpuid(0x80000007u).d & 1u << 8) != 0;
    lapic_set_ticks_per_ms((uint32_t)(apic_hz / 1000));
    mult = (uint64_t)(((unsigned __int128)1000000000u << SHIFT) / hz);
    base_tsc = x86_rdtsc();
}

uint64_t clock_now_ns(void)
{
    return (uint64_t)((unsigned __int128)(x86_rdtsc() - base_tsc) * mult >> SHIFT);
}

uint64_t clock_hz(void) { return hz; }
void clock_get_report(clock_report_t *r) { *r = report; }

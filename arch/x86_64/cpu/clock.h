/* SPDX-License-Identifier: MIT
 * The machine's clock: nanoseconds since clock_init, by the time-stamp counter.
 * Floor: arch. The counter's rate and the APIC timer's are measured once, on the BSP, against
 * the PIT, and checked against the HPET, whose figure wins where there is one.
 * Source: SPEC HAL-8, BM-18, BM-20; 8254 data sheet; IA-PC HPET specification 1.0a. */
#ifndef X86_CLOCK_H
#define X86_CLOCK_H

#include "ggmk/base/compiler.h"

/* Measures; a few milliseconds. pre: lapic_init. threads: BSP, before any other runs. */
void clock_init(void);

/* Never goes back; the same on every processor. threads: any. cost: one rdtsc. */
uint64_t clock_now_ns(void);
uint64_t clock_hz(void); /* of the time-stamp counter */

/* What the measurement found, for the boot log and the drift test. */
typedef struct clock_report {
    uint64_t pit_hz, hpet_hz; /* the counter's rate by each; 0: no such clock */
    int64_t apart_ppm;        /* HPET's over PIT's */
    bool invariant;           /* the processor promises a steady rate */
} clock_report_t;
void clock_get_report(clock_report_t *r);

/* The middle one of n measurements, which it sorts. pre: n > 0. threads: any. */
uint64_t clock_median(uint64_t *v, uint32_t n);

/* Nanoseconds of the HPET, or 0 without. threads: any. */
uint64_t clock_hpet_ns(void);

#endif

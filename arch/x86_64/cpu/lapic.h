/* SPDX-License-Identifier: MIT
 * Local APIC: interrupts between processors, and the timer of each. x2APIC where there.
 * Floor: arch. Source: SPEC BM-19, BM-20; Intel SDM volume 3, chapter 10. */
#ifndef X86_LAPIC_H
#define X86_LAPIC_H

#include "arch/x86_64/cpu/cpu.h"

/* Turns the calling processor's APIC on, its timer masked. pre: paging_init. */
void lapic_init(void);
uint32_t lapic_id(void);
bool lapic_is_x2(void);
void lapic_eoi(void);

/* Sends vector to the processor with this APIC id / to all others. threads: any, interrupts
 * too. order: what was written before is seen by the handler. */
void lapic_send_ipi(uint32_t apic_id, uint8_t vector);
void lapic_send_ipi_all_but_self(uint8_t vector);

/* The highest vector that this processor has taken and not acknowledged; 0: none. */
uint32_t lapic_in_service(void);

/* The timer: one shot in count steps of lapic_get_ticks_per_ms() a millisecond (0 stops it);
 * or periodic at hz, which only tests use. */
void lapic_timer_arm(uint32_t count);
void lapic_timer_init(uint32_t hz);
uint32_t lapic_timer_left(void);

/* Measured once, on the BSP, and shared (clock.c). */
uint32_t lapic_get_ticks_per_ms(void);
void lapic_set_ticks_per_ms(uint32_t ticks);

#endif

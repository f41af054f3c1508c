/* SPDX-License-Identifier: MIT
 * TLB shootdown: every processor forgets ranges of pages, and the caller knows it has.
 * Floor: port.
 * The initiator posts its ranges to all other processors that are online, sends IPI 0xFD and
 * waits until each has acknowledged, with interrupts off, serving its own mailbox meanwhile: so
 * initiators never wait for each other in vain. Idle processors are woken like all others.
 * A processor with interrupts off serves when it turns them on, or by tlb_poll: loops that wait
 * for another processor with interrupts off (spin locks) call it.
 * Threads: any processor, any context. Order: see shoot.h.
 * Source: SPEC BM-28; BOOT.md section 4. */
#ifndef X86_TLB_H
#define X86_TLB_H

#include "mem.h"

#define TLB_VECTOR 0xFDu
#define TLB_PAGES_MAX 64u /* more pages than these: all are forgotten */

typedef struct tlb_range {
    uintptr_t virt;
    uint64_t pages;
} tlb_range_t;

/* This processor takes part from here on; what it remembered is forgotten. pre: it answers
 * vector 0xFD as soon as interrupts are on, runs on the kernel's tables, x86_cpu_self() works. */
void tlb_cpu_online(void);

/* This processor takes no part any more: before it halts for good. */
void tlb_cpu_offline(void);

/* All processors forget the pages of n ranges; at return they have. pre: changed entries are
 * written by atomic operations. cost: an IPI to each, and the slowest one's answer. */
void tlb_shootdown(const tlb_range_t *ranges, uint32_t n);

/* Serves what others have posted. Called by vector 0xFD, which also ends the interrupt. */
void tlb_on_ipi(void);

/* The same for loops that wait with interrupts off. cost: one load when there is nothing. */
void tlb_poll(void);

/* Shootdowns started by all processors. */
uint64_t tlb_count(void);

#endif

/* SPDX-License-Identifier: MIT
 * The other CPUs: reset, started, and left waiting for the kernel in the high half.
 * Floor: arch. Order of calls: init, reset, start, wait; only the booting CPU calls.
 * Source: Intel SDM volume 3, section 9.4; SPEC BM-30. */
#ifndef X86_64_SHIM_SMP_H
#define X86_64_SHIM_SMP_H

#include "machine.h"

/* Where the other CPUs live until the kernel takes them. */
typedef struct shim_smp_room {
    uint64_t low_page; /* below 1 MiB */
    uint64_t stacks;   /* physical, one for each CPU in the list */
    uint64_t stack_bytes;
    uint64_t cr3;            /* the kernel's tables */
    limine_smp_info_t *info; /* one for each CPU in the list, zeroed */
} shim_smp_room_t;

/* The booting CPU's own interrupt controller, in the wanted mode where there is one. Puts this
 * CPU into the list if firmware left it out, and takes those out that the mode can't reach. */
void shim_smp_init(shim_madt_t *m, bool want_x2apic);

/* Sends INIT to all others. */
void shim_smp_reset(const shim_madt_t *m);

/* Starts them. CPUs of today are through with INIT at once; 10 ms later, which is what the
 * oldest need, shim_smp_wait starts again those that did not come. */
void shim_smp_start(const shim_madt_t *m, const shim_smp_room_t *room);

/* Waits until they wait, for 5 s at most; says which did not come, and resets them.
 * returns: whether CPU i of the list came. */
void shim_smp_wait(const shim_madt_t *m);
bool shim_smp_came(const shim_madt_t *m, uint32_t i);

uint32_t shim_smp_bsp_id(void);
bool shim_smp_x2apic(void);

#endif

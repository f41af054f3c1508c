/* SPDX-License-Identifier: MIT
 * The two 8259 interrupt controllers: masked, out of the way, and lines on request.
 * Floor: arch. Lines reach the BSP. They serve what has no message-signalled interrupt: COM1,
 * and PCI devices whose interrupt line the firmware wrote into their configuration.
 * Source: 8259A data sheet; BOOT.md section 2 (firmware leaves it live). */
#ifndef X86_PIC_H
#define X86_PIC_H

#include "ggmk/base/compiler.h"

#define X86_PIC_VECTOR 0xe0u /* of line 0; 16 lines */

/* Moves the lines to vectors 0xe0..0xef and masks them all. threads: BSP, at boot. */
void pic_init(void);

/* Calls fn(arg), in interrupt context on the BSP, when line rings; unmasks it. A line may have
 * several owners: each is called. returns: 0, or -1 if it has as many as there is room for or
 * line > 15. threads: any. */
int pic_route(uint32_t line, void (*fn)(void *), void *arg);

/* What the vector of a line does: x86_trap calls it. */
void pic_interrupt(uint32_t vector);

/* The vector of a line that was taken and not acknowledged; 0: none. threads: BSP. */
uint32_t pic_in_service(void);

#endif

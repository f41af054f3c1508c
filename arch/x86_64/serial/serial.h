/* SPDX-License-Identifier: MIT
 * Serial console COM1: 115200 baud, 8 data bits, no parity, 1 stop bit.
 * Floor: arch. Output of one call is whole: a lock that keeps interrupts off guards it. After
 * serial_break the lock is no longer asked for, so that a panic can always speak.
 * Source: SPEC BM-9 to BM-11; 16550 data sheet. */
#ifndef X86_SERIAL_H
#define X86_SERIAL_H

#include "ggmk/base/compiler.h"

/* Sets the port up. A machine without COM1 is noticed (loop-back test) and stays silent. */
void serial_init(void);

/* One byte, "\n" as "\r\n". threads: any, interrupts too. */
void serial_putc(char c);
/* A text, in one piece. threads: any, interrupts too. */
void serial_puts(const char *text);
void serial_write(const char *bytes, size_t n);

/* Whether a byte waits. threads: BSP. */
bool serial_data_ready(void);
/* The next byte, or -1. threads: BSP. */
int serial_getc(void);

/* Calls fn(arg), in interrupt context, on each byte that comes (COM1 raises ISA interrupt 4).
 * threads: once, at boot. */
void serial_on_input(void (*fn)(void *), void *arg);

/* From now on only this processor speaks, and takes no lock: the machine is going down. */
void serial_break(void);

#endif

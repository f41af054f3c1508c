/* SPDX-License-Identifier: MIT
 * The end: what went wrong, where, and what led there, on the console.
 * Floor: arch. Source: SPEC BM-12, BM-13; ARCHITECTURE R12. */
#ifndef X86_PANIC_H
#define X86_PANIC_H

#include "ggmk/base/compiler.h"

struct x86_frame;

/* Stops the other processors, prints file, line, message, the calls that led here by name, and
 * what panic_tell adds; then halts for ever (with `panic=exit` on the command line it ends the
 * machine with a failure, for tests). threads: any, interrupts too. */
GMK_NORETURN void panic(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define PANIC(...) panic(__FILE__, __LINE__, __VA_ARGS__)

/* The same for a fault, with the registers that it found. */
GMK_NORETURN void panic_fault(const struct x86_frame *f, const char *what);

/* Whether a panic ends the machine (true) or halts it. threads: boot. */
void panic_exits(bool yes);

/* fn is called once in a panic, to tell more (the last trace events); null takes it back. It
 * runs beside nothing else, may not lock, wait or touch memory for the first time; a fault in
 * it ends it. It may end by panic_end itself. threads: any. */
void panic_tell(void (*fn)(void));

/* Whether this processor is in a panic. */
bool panic_is_here(void);
/* The last words of a panic. pre: panic_is_here. */
GMK_NORETURN void panic_end(void);

/* Ends QEMU by its isa-debug-exit device, with status 2 * code + 1; without the device nothing
 * happens. */
void x86_debug_exit(uint8_t code);

/* The name of the function that holds address, from the image's symbol table, and how far in;
 * null if there is none. */
const char *x86_symbol(uintptr_t address, uint64_t *offset);

#endif

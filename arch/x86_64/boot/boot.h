/* SPDX-License-Identifier: MIT
 * What the loader told the kernel, copied out of the loader's memory.
 * Floor: arch. Source: SPEC BM-1 to BM-4; BOOT.md section 1. */
#ifndef X86_BOOT_H
#define X86_BOOT_H

#include "arch/x86_64/cpu/cpu.h"

#define BOOT_COMMAND_BYTES 256u

typedef struct boot_info {
    uint64_t hhdm;                     /* physical address 0 is at this virtual one */
    uint64_t kernel_phys, kernel_virt; /* where the image lies */
    uint64_t rsdp;                     /* physical; 0: none */
    const uint8_t *file;               /* the image's file, for its symbols; null: none */
    uint64_t file_bytes;
    uint32_t n_cpus;
    uint32_t apic_id[X86_MAX_CPUS];   /* the BSP's first; no order of numbers */
    void *cpu[X86_MAX_CPUS];          /* the loader's record of each; null for the BSP */
    void *rest;                       /* more than that, chained by extra_argument */
    char command[BOOT_COMMAND_BYTES]; /* command line */
    char loader[64];                  /* its name and version */
} boot_info_t;

extern boot_info_t boot_info;

/* The value of word `name=value` of the command line in buffer to, or "" for a bare `name`.
 * returns: whether name stands there. A value that does not fit is cut. */
bool boot_option(const char *name, char *to, size_t bytes);
/* The same as a number; fallback if it is not there or no number. */
uint64_t boot_option_u64(const char *name, uint64_t fallback);

/* The first words that the console shows once all processors run, then the image's job: it
 * runs as a thread of CPU 0, interrupts on. Its result is the machine's: 0 powers it off, or
 * as `exit=debug` on the command line says, through isa-debug-exit. Defined by the image:
 * kmain.c or hal/x86_baremetal/test_main.c. */
int kmain(void);

/* Turns the machine off: ACPI, else halts. exit=debug: through isa-debug-exit with code. */
GMK_NORETURN void x86_power_off(uint8_t code);
/* Starts it anew: keyboard controller, else a triple fault. */
GMK_NORETURN void x86_reboot(void);

#endif

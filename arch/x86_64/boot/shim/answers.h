/* SPDX-License-Identifier: MIT
 * The answers to the kernel's requests, in one block of memory.
 * Floor: arch. Every address in them is in the HHDM or the kernel's own.
 * Source: BOOT section 1. */
#ifndef X86_64_SHIM_ANSWERS_H
#define X86_64_SHIM_ANSWERS_H

#include "elf.h"
#include "info.h"
#include "machine.h"
#include "requests.h"

/* What the answers are made from. */
typedef struct shim_facts {
    const shim_info_t *info;
    const shim_map_t *map; /* nothing is taken any more */
    const shim_madt_t *madt;
    const shim_elf_t *elf;
    uint64_t kernel_phys;
    limine_smp_info_t *cpus; /* as long as the MADT's list; null: no SMP answer */
    const uint8_t *rsdp;     /* in the HHDM; null: none */
} shim_facts_t;

/* The room that the answers need at most. */
uint64_t shim_answers_need(const shim_info_t *info, const shim_map_t *map, const shim_madt_t *madt);

/* Fills records of the other CPUs' list in the block before they start. */
limine_smp_info_t *shim_answers_begin(void *block, uint64_t bytes, const shim_madt_t *madt);

/* Answers every request. returns: where to enter the kernel. */
uint64_t shim_answers_give(const shim_requests_t *r, const shim_facts_t *f);

#endif

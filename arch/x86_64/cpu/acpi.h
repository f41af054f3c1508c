/* SPDX-License-Identifier: MIT
 * ACPI tables: as much as the clock and the power switch need.
 * Floor: arch. Nothing of a table is believed before its length and checksum are right.
 * Source: ACPI 6.4, 5.2 and 4.8. */
#ifndef X86_ACPI_H
#define X86_ACPI_H

#include "ggmk/base/compiler.h"

/* The first table with this signature of 4 letters, mapped, at least bytes long; null: none.
 * threads: BSP. */
const uint8_t *acpi_find(const char *signature, uint32_t bytes);

/* Numbers of a table, which need not be aligned. */
uint32_t acpi_u32(const uint8_t *p);
uint64_t acpi_u64(const uint8_t *p);

/* Goes to sleep state S5 if the tables say how; else returns. */
void acpi_power_off(void);

#endif

/* SPDX-License-Identifier: MIT
 * The CMOS clock's registers as a time.
 * Floor: arch, plain C. Source: MC146818 data sheet. */
#ifndef X86_64_SHIM_CLOCK_H
#define X86_64_SHIM_CLOCK_H

#include "shim.h"

enum { SHIM_CLOCK_24H = 2, SHIM_CLOCK_BINARY = 4 }; /* of status register B */

/* Registers year, month, day, hour, minute, second as read; status is register B. The years are
 * 2000 to 2099. returns: seconds since 1970. */
int64_t shim_date_seconds(const uint32_t reg[6], uint32_t status);

#endif

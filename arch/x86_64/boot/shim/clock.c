/* SPDX-License-Identifier: MIT
 * The CMOS clock: see clock.h.
 * Floor: arch, plain C. */
#include "clock.h"

static uint32_t plain(uint32_t x, uint32_t status)
{
    return (status & SHIM_CLOCK_BINARY) != 0 ? x : (x >> 4) * 10 + (x & 15);
}

/* Days from 1970 to a day of the years 2000 to 2099, in which every fourth is a leap year. */
static int64_t days_to(uint32_t year, uint32_t month, uint32_t day)
{
    static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    uint32_t m = month >= 1 && month <= 12 ? month - 1 : 0;
    uint32_t leap_day = year % 4 == 0 && m >= 2;

    return 10957 + 365 * (int64_t)year + (year + 3) / 4 + before[m] + leap_day + day - 1;
}

int64_t shim_date_seconds(const uint32_t reg[6], uint32_t status)
{
    uint32_t hour = plain(reg[3] & 0x7f, status);

    if ((status & SHIM_CLOCK_24H) == 0)
        hour = hour % 12 + ((reg[3] & 0x80) != 0 ? 12 : 0);
    return ((days_to(plain(reg[0], status), plain(reg[1], status), plain(reg[2], status)) * 24 +
             hour) *
                60 +
            plain(reg[4], status)) *
               60 +
           plain(reg[5], status);
}

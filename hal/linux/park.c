/* SPDX-License-Identifier: MIT
 * Linux parking: a futex on the wake count.
 * Floor: HAL. Source: SPEC HAL-2, HAL-7; ARCHITECTURE R9. */
#define _GNU_SOURCE
#include "ggmk/hal.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void gmk_hal_park_init(gmk_hal_park_t *p) { p->word = 0; }
void gmk_hal_park_destroy(gmk_hal_park_t *p) { (void)p; }

uint32_t gmk_hal_park_word(gmk_hal_park_t *p)
{
    return gmk_load_acq(&p->word, GMK_DEV); /* sync: hal.park */
}

void gmk_hal_park_wait(gmk_hal_park_t *p, uint32_t seen, uint64_t timeout_ns)
{
    struct timespec ts = {.tv_sec = (time_t)(timeout_ns / 1000000000ull),
                          .tv_nsec = (long)(timeout_ns % 1000000000ull)};

    if (gmk_load_acq(&p->word, GMK_DEV) != seen) /* sync: hal.park */
        return;
    syscall(SYS_futex, &p->word, FUTEX_WAIT_PRIVATE, seen,
            timeout_ns == GMK_HAL_FOREVER ? NULL : &ts, NULL, 0);
}

void gmk_hal_park_wake(gmk_hal_park_t *p)
{
    gmk_add_ar(&p->word, 1, GMK_DEV); /* sync: hal.park */
    syscall(SYS_futex, &p->word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

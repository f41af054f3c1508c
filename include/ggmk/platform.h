/* SPDX-License-Identifier: MIT
 * The seed's name for the compiler seam, powers of two, atomics and the cycle counter.
 * Floor: F2. Source: SPEC T-19. */
#ifndef GGMK_PLATFORM_H
#define GGMK_PLATFORM_H

#include "ggmk/base/assert.h"
#include "ggmk/base/atomic.h"
#include "ggmk/base/bits.h"
#include "ggmk/base/compiler.h"
#include "ggmk/hal.h"

#endif

/* SPDX-License-Identifier: MIT
 * Names a port header. */
#include "ggmk/base/atomic.h"

#include "hal_types.h"

/* SPDX-License-Identifier: MIT
 * Common to ports. */
#include "ggmk/base/atomic.h"

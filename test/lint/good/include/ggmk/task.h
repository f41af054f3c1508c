/* SPDX-License-Identifier: MIT
 * F0, above base. */
#include "ggmk/base/atomic.h"

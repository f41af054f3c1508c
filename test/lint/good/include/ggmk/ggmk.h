/* SPDX-License-Identifier: MIT
 * Public headers see one another. */
#include "ggmk/hal.h"
#include "ggmk/prim/x.h"
#include "ggmk/reasons.def"
#include "ggmk/task.h"

/* SPDX-License-Identifier: MIT
 * A port sees its system. */
#include <stdatomic.h>
#include <stdio.h>

#include "ggmk/hal.h"
#include "hal_types.h"

#ifdef __linux__
void say(void) { printf("x"); }
#endif

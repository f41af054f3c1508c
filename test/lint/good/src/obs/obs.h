/* SPDX-License-Identifier: MIT
 * The lowest floor of the core. */
#include <stdint.h>

#include "ggmk/ggmk.h"

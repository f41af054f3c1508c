/* SPDX-License-Identifier: MIT
 * A name that the port or the build gives. */
#include PORT_HEADER
#include_next "ggmk/hal.h"

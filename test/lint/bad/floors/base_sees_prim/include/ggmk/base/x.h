/* SPDX-License-Identifier: MIT
 * A header of a lower floor includes a higher one. */
#include "ggmk/prim/y.h"

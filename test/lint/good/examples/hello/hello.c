/* SPDX-License-Identifier: MIT
 * An example, as an installed program. */
#include <ggmk/ggmk.h>
#include <stdio.h>

/* SPDX-License-Identifier: MIT
 * Tier 2. */
#include "ggmk/ggmk.h"

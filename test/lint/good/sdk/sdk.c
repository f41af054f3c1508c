/* SPDX-License-Identifier: MIT
 * Tier 2 stands on the core. */
#include "ggmk/sdk.h"

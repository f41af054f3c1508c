/* SPDX-License-Identifier: MIT
 * Tier 2 under its older name. Source: SPEC V-4. */
#include "ggmk/sdk.h"

/* SPDX-License-Identifier: MIT
 * The core includes tier 2. */
#include "ggmk/sdk.h"

/* SPDX-License-Identifier: MIT
 * An older name. */
#include "ggmk/sdk.h"

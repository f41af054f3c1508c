/* SPDX-License-Identifier: MIT
 * A module. */
#include "kv.h"

#include <string.h>

#include "ggmk/sdk.h"

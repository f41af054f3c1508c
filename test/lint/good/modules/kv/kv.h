/* SPDX-License-Identifier: MIT
 * Of the same module. */
#include "ggmk/ggmk.h"

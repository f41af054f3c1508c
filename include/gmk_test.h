/* SPDX-License-Identifier: MIT
 * The test harness under its older name. Source: SPEC V-4. */
#include "ggmk/test.h"

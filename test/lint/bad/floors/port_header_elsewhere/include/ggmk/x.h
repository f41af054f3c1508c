/* SPDX-License-Identifier: MIT
 * The port's types are for hal.h alone. */
#include "hal_types.h"

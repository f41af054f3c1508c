/* SPDX-License-Identifier: MIT
 * A port stands on the common one. */
#include "atomic_port.h"
#include "hal/common/x.h"

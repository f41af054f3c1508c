/* SPDX-License-Identifier: MIT
 * Only public headers name the port headers. */
#include "atomic_port.h"

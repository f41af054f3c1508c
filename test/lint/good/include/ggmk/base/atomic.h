/* SPDX-License-Identifier: MIT
 * Names a port header. */
#include "ggmk/base/compiler.h"

#include "atomic_port.h"

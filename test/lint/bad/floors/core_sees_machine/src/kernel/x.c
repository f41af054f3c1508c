/* SPDX-License-Identifier: MIT
 * The core includes a machine. */
#include "arch/x86_64/cpu.h"
#include "drivers/pci/pci.h"
#include "hal/linux/hal_types.h"

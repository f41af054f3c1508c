/* SPDX-License-Identifier: MIT
 * The faults that run=fault can provoke.
 * Floor: arch. Source: faults.def. */
#ifndef X86_FAULT_H
#define X86_FAULT_H

/* Each returns only where the machine is to go on: 0 as documented. */
#define FAULT(name, text) int provoke_##name(void);
#include "arch/x86_64/jobs/faults.def"
#undef FAULT

#endif

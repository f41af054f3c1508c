/* SPDX-License-Identifier: MIT
 * The header of C11 atomics. */
#include <stdatomic.h>

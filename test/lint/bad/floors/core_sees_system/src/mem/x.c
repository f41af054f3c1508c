/* SPDX-License-Identifier: MIT
 * The core includes a header of the system. */
#include <stdint.h>
#include <stdio.h>

/* SPDX-License-Identifier: MIT
 * A port includes more than the port contract. */
#include <pthread.h>

#include "ggmk/boot.h"

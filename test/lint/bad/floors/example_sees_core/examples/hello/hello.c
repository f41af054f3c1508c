/* SPDX-License-Identifier: MIT
 * An example includes a private header. */
#include "chan/chan.h"

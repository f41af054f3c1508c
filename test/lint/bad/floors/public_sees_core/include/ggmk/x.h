/* SPDX-License-Identifier: MIT
 * A public header includes a private one. */
#include "obs/obs.h"

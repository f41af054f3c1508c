/* SPDX-License-Identifier: MIT
 * A floor. */
#include "obs/obs.h"

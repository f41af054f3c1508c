/* SPDX-License-Identifier: MIT
 * A module includes another. */
#include "modules/echo/echo.h"

/* SPDX-License-Identifier: MIT
 * Six parameters, one of them the scope. */
#include "ggmk/base/atomic.h"
#include "ggmk/task.h"

GMK_FN int six(int a, int b, int c, int d, void (*e)(int, int), int scope)
{
    return a + b + c + d + scope;
}

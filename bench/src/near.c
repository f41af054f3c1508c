/* SPDX-License-Identifier: MIT
 * Prints the cost in ns of moving a cache line between core 0 and core 1, one way (a few
 * ms). The host of a virtual machine moves the cores about: near (one core complex) or
 * far, four times as slow. bench/run keeps only runs with near before and near after. */
#include "line.h"

int main(void)
{
    printf("%.1f\n", line_cas_ns());
    return 0;
}

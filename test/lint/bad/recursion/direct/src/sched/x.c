/* SPDX-License-Identifier: MIT
 * A function that calls itself. */
static int fall(int n)
{
    return n == 0 ? 0 : fall(n - 1);
}

/* SPDX-License-Identifier: MIT
 * A tab. */
int x; /*	one */

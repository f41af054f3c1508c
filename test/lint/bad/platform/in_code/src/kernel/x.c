/* SPDX-License-Identifier: MIT
 * A machine's name in the code itself. */
int x(void) { return GMK_FREESTANDING; }

/* SPDX-License-Identifier: MIT
 * Text by libc. */
void say(char *s) { sprintf(s, "x"); }

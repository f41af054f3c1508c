/* SPDX-License-Identifier: MIT
 * Memory of libc. */
void *get(void) { return malloc(8); }
void put(void *p) { free(p); }

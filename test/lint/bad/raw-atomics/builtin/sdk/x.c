/* SPDX-License-Identifier: MIT
 * Builtins of the compiler. */
int a(int *w) { return __atomic_load_n(w, 0); }
void b(void) { __sync_synchronize(); }

/* SPDX-License-Identifier: MIT
 * Seven parameters in prim. */
GMK_FN int seven(int a, int b, int c, int d, int e, int f, int scope) { return a; }

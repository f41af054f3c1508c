/* SPDX-License-Identifier: MIT
 * White space at the end. */
int x; 

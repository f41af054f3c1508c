/* SPDX-License-Identifier: MIT
 * An atomic type. */
struct x {
    _Atomic int word;
};

/* SPDX-License-Identifier: MIT
 * A variable of a thread. */
static _Thread_local int self;

/* SPDX-License-Identifier: MIT
 * Unfinished work. */
/* TODO: the rest */

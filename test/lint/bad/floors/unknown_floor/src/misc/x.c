/* SPDX-License-Identifier: MIT
 * A folder of src that is no floor. */
int x;

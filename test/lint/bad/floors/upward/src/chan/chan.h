/* SPDX-License-Identifier: MIT
 * A lower floor includes a higher one. */
/* nothing */

/* SPDX-License-Identifier: MIT
 * A header of a lower floor includes a higher one. */
/* nothing */

/* SPDX-License-Identifier: MIT
 * A module includes another. */
/* nothing */

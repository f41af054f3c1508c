/* SPDX-License-Identifier: MIT
 * A module includes a private header. */
/* nothing */

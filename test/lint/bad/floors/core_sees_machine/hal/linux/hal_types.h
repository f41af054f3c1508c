/* SPDX-License-Identifier: MIT
 * The core includes a machine. */
/* nothing */

/* SPDX-License-Identifier: MIT
 * The simulated machine is a machine. */
#ifdef GMK_SIM
#endif

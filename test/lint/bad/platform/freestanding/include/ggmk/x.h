/* SPDX-License-Identifier: MIT
 * A public header asks for the build. */
#if !defined(GMK_FREESTANDING)
#endif

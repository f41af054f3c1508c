/* SPDX-License-Identifier: MIT
 * Words that any port could define. */
#if defined(GMK_DEBUG) && !defined(PORT_IS_SMALL)
#elif GMK_MAX_WORKERS > 4
#endif
#ifndef HAS_THREADS
#endif

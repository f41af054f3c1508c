/* SPDX-License-Identifier: MIT
 * The core asks for the system. */
#ifdef __linux__
#elif defined(_WIN32)
#endif

/* SPDX-License-Identifier: MIT
 * What is there tells the machine. */
#if __has_include(<pthread.h>)
#endif

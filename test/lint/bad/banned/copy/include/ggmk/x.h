/* SPDX-License-Identifier: MIT
 * A copy by libc. */
#define COPY(a, b) memcpy((a), (b), 8)

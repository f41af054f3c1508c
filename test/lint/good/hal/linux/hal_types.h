/* SPDX-License-Identifier: MIT
 * Types of the port. */
#include <pthread.h>

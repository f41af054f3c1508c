/* SPDX-License-Identifier: MIT
 * What the main program of a port may set before it runs the tests.
 * Floor: tests. Source: SPEC S.5. */
#ifndef SDK_TEST_PORT_H
#define SDK_TEST_PORT_H

#include "ggmk/base/compiler.h"

/* Counts of loops that gmk_test_scale gives are the small ones: for a machine that is emulated. */
extern bool gmk_test_small;

#endif

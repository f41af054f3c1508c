/* SPDX-License-Identifier: MIT
 * GGMK, tier 1, all of it. Tier 2 is ggmk/sdk.h, the test harness ggmk/test.h.
 * Source: SPEC SDK-17, V-4. */
#ifndef GGMK_GGMK_H
#define GGMK_GGMK_H

#include "ggmk/alloc.h"
#include "ggmk/boot.h"
#include "ggmk/chan.h"
#include "ggmk/config.h"
#include "ggmk/determinism.h"
#include "ggmk/error.h"
#include "ggmk/metrics.h"
#include "ggmk/module.h"
#include "ggmk/sched.h"
#include "ggmk/task.h"
#include "ggmk/trace.h"
#include "ggmk/types.h"
#include "ggmk/why.h"
#include "ggmk/worker.h"

#endif

/* SPDX-License-Identifier: MIT
 * Return codes and failure reasons.
 * Floor: F0. A public function returns zero or a negative code; GMK_RETRY comes
 * from handlers only. Handlers' own codes are 1..99, returned as GMK_FAIL(code).
 * Source: SPEC T-15 to T-17, V-27, V-28; ARCHITECTURE R11. */
#ifndef GGMK_ERROR_H
#define GGMK_ERROR_H

#include "ggmk/base/compiler.h"

enum gmk_code {
#define X(name, number, text) name = number,
#include "ggmk/errors.def"
#undef X
    GMK_FAIL = -1 /* permanent failure, unspecified */
};

enum gmk_reason {
#define X(name, number, text) name = number,
#include "ggmk/reasons.def"
#undef X
    GMK_REASON_COUNT
};

/* Names that the seed gives to reasons, and that no work carries here: each of these is the
 * caller's answer, a return code, before there is any work. No text. source: T-17. */
enum gmk_reason_unused {
    GMK_ERR_FULL = 2,
    GMK_ERR_EMPTY = 3,
    GMK_ERR_INVALID = 4,
    GMK_ERR_NOT_FOUND = 5,
    GMK_ERR_EXISTS = 6,
    GMK_ERR_ALREADY_BOUND = 12
};

/* GMK_FAIL(code) is the failure code of a handler; bare GMK_FAIL is -1. */
#define GMK_FAIL(code) (-(code))
/* The code given to GMK_FAIL(code). */
#define GMK_ERR_CODE(rc) (-(rc))

GMK_EXTERN_C_BEGIN

/* The text of a return code; "failure code of a handler" for -1..-99, "unknown
 * code" for others. Never null; static storage.
 * threads: any, signal handlers too. cost: a scan of the table. source: R11. */
const char *gmk_strerror(int rc);

/* The text of a failure reason (enum gmk_reason), "unknown reason" for others. As
 * gmk_strerror. */
const char *gmk_reason_text(uint32_t reason);

/* GMK_VERSION_CURRENT of the library that is linked. threads: any. source: R21. */
uint32_t gmk_version(void);

GMK_EXTERN_C_END

#endif

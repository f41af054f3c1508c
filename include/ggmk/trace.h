/* SPDX-License-Identifier: MIT
 * Trace records: one ring a worker and tenant, one writer, one reader at a time.
 * Floor: F2. A full ring drops the new record and counts it; a writer never waits.
 * Source: SPEC OBS-5 to OBS-17, V-14, V-25, V-26; ARCHITECTURE R10. */
#ifndef GGMK_TRACE_H
#define GGMK_TRACE_H

#include "ggmk/types.h"

enum gmk_trace_level {
    GMK_TRACE_OFF = 0,
    GMK_TRACE_ERROR = 1,
    GMK_TRACE_WARN = 2,
    GMK_TRACE_INFO = 3,
    GMK_TRACE_ALL = 4
};

enum gmk_trace_event {
#define X(name, number, level, text) GMK_EV_##name = number,
#include "ggmk/trace_events.def"
#undef X
    GMK_EV_USER = 0x100 /* first number free for modules */
};

/* One record. */
typedef struct gmk_trace_ev {
    GMK_ALIGNAS(16) uint64_t tsc; /* gmk_hal_now_ns at the writer's last batch edge */
    uint32_t ev_type;             /* GMK_EV_* */
    uint16_t tenant;
    uint16_t type; /* task type */
    uint32_t arg0;
    uint32_t arg1;
    uint32_t flags;       /* GMK_TRACE_SAMPLED */
    uint32_t sample_rate; /* of a sampled record: share kept, in 1/2^32 */
} gmk_trace_ev_t;

GMK_STATIC_ASSERT(sizeof(gmk_trace_ev_t) == 32, "a trace record is 32 bytes");

#define GMK_TRACE_SAMPLED 0x1u
#define GMK_TRACE_RATE_ONE UINT32_MAX /* keep all */

GMK_EXTERN_C_BEGIN

/* Writes a record if ev passes the level of the running module and the sampling.
 * Task type, tenant and time come from ctx; the record has no worker but where an argument
 * says so. Modules' own events (GMK_EV_USER on) have level INFO. With GMK_STRIP_TRACE
 * defined the preprocessor takes the call away and evaluates no argument. threads: ctx's
 * own. cost: a call and a branch when filtered.
 * source: SDK-3, OBS-13. */
void gmk_trace(gmk_ctx_t *ctx, uint32_t ev, uint32_t a0, uint32_t a1);
#ifdef GMK_STRIP_TRACE
#define gmk_trace(ctx, ev, a0, a1)                                                                 \
    ((void)sizeof(ctx), (void)sizeof(ev), (void)sizeof(a0), (void)sizeof(a1))
#endif

/* Sets the level of one module (by name) or, with null, of all and of the kernel's
 * own events. returns: GMK_OK, GMK_E_INVALID, GMK_E_NOT_FOUND. threads: any. */
int gmk_trace_set_level(gmk_kernel_t *k, const char *module, uint32_t level);

/* Sets the share of ALL-level events kept, in 1/2^32; GMK_TRACE_RATE_ONE keeps all.
 * returns: GMK_OK, GMK_E_INVALID. threads: any. */
int gmk_trace_set_sample_rate(gmk_kernel_t *k, uint32_t rate);

/* Takes the oldest record of any ring, by its time.
 * returns: GMK_OK; GMK_E_NOT_FOUND when all rings are empty; GMK_E_INVALID.
 * threads: any; readers exclude one another, writers are never held up. */
int gmk_trace_read(gmk_kernel_t *k, gmk_trace_ev_t *out);

/* Takes up to n records, in the order of their times as far as they were there when the
 * call began, under one hold of the readers' lock. returns: how many, 0 if all rings are
 * empty; GMK_E_INVALID (also: n above INT32_MAX). threads: as gmk_trace_read. cost: one
 * look at every ring for each run of records that are earlier than all other rings'. */
GMK_NODISCARD int gmk_trace_read_batch(gmk_kernel_t *k, gmk_trace_ev_t *out, uint32_t n);

/* Records written and records dropped by full rings, since boot. threads: any. */
uint64_t gmk_trace_total(const gmk_kernel_t *k);
uint64_t gmk_trace_dropped(const gmk_kernel_t *k);

/* Name ("TASK_FAIL") and text of an event, null if unknown. Level, GMK_TRACE_INFO if
 * unknown. */
const char *gmk_trace_event_name(uint32_t ev);
const char *gmk_trace_event_text(uint32_t ev);
uint32_t gmk_trace_event_level(uint32_t ev);

GMK_EXTERN_C_END

#endif

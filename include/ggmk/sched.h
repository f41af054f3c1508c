/* SPDX-License-Identifier: MIT
 * Tier 1 calls on tasks: emit, yield, timers, identity.
 * Floor: F2. Every placement goes through one enqueue core.
 * Source: SPEC F, G, SDK-3; ARCHITECTURE R3, R9, R19. */
#ifndef GGMK_SCHED_H
#define GGMK_SCHED_H

#include "ggmk/types.h"

GMK_EXTERN_C_BEGIN

/* Submits a copy of *t as direct work (channel 0). In a handler it is a spawn: it goes
 * to the worker's local queue, run newest first, unless it is more urgent than the
 * current task; when queues are full it overflows into the arena, so it fails only for
 * want of memory. From an attached thread it goes to the ready queue.
 * pre: t->type has a handler, t->tenant is below the tenant count.
 * ownership: t stays the caller's; on success the payload reference goes with the copy.
 * returns: GMK_OK, GMK_E_INVALID, GMK_E_NO_HANDLER, GMK_E_TENANT, GMK_ALLOC_FAIL;
 * outside a handler also GMK_E_FULL, GMK_E_HALTING; GMK_E_WIRING (a deterministic task, and
 * a handler without GMK_HF_DETERMINISTIC).
 * threads: ctx's own. cost: about 3 ns in a handler. source: SDK-4, EQ-1, R19. */
GMK_NODISCARD int gmk_emit(gmk_ctx_t *ctx, gmk_task_t *t);

/* As gmk_emit, to be run by one worker only; never stolen.
 * returns: as gmk_emit, GMK_E_FULL when that worker's inbox is full. source: CH-12. */
GMK_NODISCARD int gmk_emit_to(gmk_ctx_t *ctx, gmk_task_t *t, uint32_t worker);

/* As gmk_emit, but not before delay_ns from now, or before the logical tick.
 * returns: as gmk_emit, GMK_E_FULL when the event queue is full. source: R21, SC-5. */
GMK_NODISCARD int gmk_emit_after(gmk_ctx_t *ctx, gmk_task_t *t, uint64_t delay_ns);
GMK_NODISCARD int gmk_emit_at_tick(gmk_ctx_t *ctx, gmk_task_t *t, uint32_t tick);

/* Asks the runtime to run the current task again, behind older work, with meta0 and
 * meta1 as they are (gmk_yield_at stores phase into meta0 first). The handler then
 * returns GMK_OK. More than max_yields yields fail the task with
 * GMK_ERR_YIELD_LIMIT. Outside a task, and for a null context, nothing happens.
 * threads: a handler's own. source: EQ-4 to EQ-7. */
void gmk_yield(gmk_ctx_t *ctx);
void gmk_yield_at(gmk_ctx_t *ctx, uint32_t phase);

/* True once the current batch has used the handler's time budget: yield soon. False
 * outside a task. Here and below, what a null context says is what one without a task does.
 * cost: one read of the cycle counter. source: EQ-8, V-69, R10. */
bool gmk_budget_spent(gmk_ctx_t *ctx);

/* How often the current delivery was retried, and its position in its channel
 * (from 1; 0 for direct work, and where a deterministic channel was closed before the
 * tick of its message). source: V-39. */
uint32_t gmk_retries(const gmk_ctx_t *ctx);
uint64_t gmk_chan_seq(const gmk_ctx_t *ctx);

/* Identity of the current task and worker; 0, GMK_NO_WORKER and 0 for a null context.
 * source: SDK-3. */
uint32_t gmk_self_tenant(const gmk_ctx_t *ctx);
uint32_t gmk_self_worker(const gmk_ctx_t *ctx);
uint32_t gmk_tick(const gmk_ctx_t *ctx);

GMK_EXTERN_C_END

#endif

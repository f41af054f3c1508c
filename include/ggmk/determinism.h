/* SPDX-License-Identifier: MIT
 * Deterministic work: waiting for ticks, the trace hash, recording and replay.
 * Floor: F2. A task with GMK_TF_DETERMINISTIC, and every message of a channel opened with
 * GMK_CHAN_DETERMINISTIC, runs in a tick: what is made in tick T, or comes from outside
 * during it, runs in T + 1; within a tick each module's tasks run one after the other in
 * canonical order (priority, type, seq), modules beside one another. A yield stays in its
 * tick, a retry lands in a later one. A tick begins when it has been advanced to and the
 * one before has ended. Handlers must be registered with GMK_HF_DETERMINISTIC.
 * Results and trace hash are then the same on any number of workers, for the same input in
 * the same ticks: boot with GMK_BOOT_MANUAL_TICKS and advance by hand.
 * Source: SPEC L, V-68; ARCHITECTURE R15. */
#ifndef GGMK_DETERMINISM_H
#define GGMK_DETERMINISM_H

#include "ggmk/record.h"
#include "ggmk/types.h"

/* Gives up to n bytes. returns: how many, 0 at the end, or a negative number. */
typedef int64_t (*gmk_record_read_fn)(void *arg, void *bytes, size_t n);

/* What a replay found. */
typedef struct gmk_replay_report {
    uint64_t n_inputs;
    uint64_t n_ticks;
    uint64_t hash;   /* at the end */
    uint64_t tick;   /* GMK_E_DIVERGED: the first one before which the hashes differ; the
                      * last one + 1 if they do at the end */
    uint32_t fault;  /* GMK_E_RECORD: enum gmk_record_fault */
    uint64_t offset; /* of the record or field concerned, in bytes */
} gmk_replay_report_t;

GMK_EXTERN_C_BEGIN

/* Waits until all deterministic work of the ticks up to now has ended.
 * returns: GMK_OK, GMK_E_TIMEOUT, GMK_E_INVALID, GMK_E_HALTING. threads: any, not a
 * handler. source: R15. */
GMK_NODISCARD int gmk_tick_wait(gmk_kernel_t *k, uint64_t timeout_ns);

/* The hash over all events of deterministic tasks since boot, or since the last recording or
 * replay began: starts, ends, failures, yields, retries, with type, tenant, tick, numbers
 * and inline arguments; without time, worker, trace level or sampling. Exact after
 * gmk_tick_wait; 0 for a kernel that is not booted. threads: any. source: DET-7, DET-9. */
uint64_t gmk_trace_hash(const gmk_kernel_t *k);

/* From now on writes all external input of deterministic work, and each tick that begins,
 * by calls of fn, one at a time, on whatever thread brings the input: fn must be short
 * and must not call the kernel. The trace hash begins anew. What the modules and channels
 * hold from earlier work is not recorded: where that is something, a replay wants it, too.
 * A task's payload is written with it: its payload_len bytes must be there to be read.
 * returns: GMK_OK; GMK_E_BUSY (a recording is on, or deterministic work is pending: wait
 * for its ticks first); GMK_E_RECORD (fn refused the header); GMK_E_INVALID;
 * GMK_E_HALTING.
 * threads: any, not a handler. source: DET-7. */
GMK_NODISCARD int gmk_record_start(gmk_kernel_t *k, gmk_record_write_fn fn, void *arg);

/* Ends it with the trace hash. pre: gmk_tick_wait has returned GMK_OK, and nobody brings
 * input. returns: GMK_OK; GMK_E_NOT_FOUND (none is on); GMK_E_BUSY (a tick has not
 * ended); GMK_E_RECORD: a write failed, now or before, and the recording ends there
 * (*fault, which may be null, says why); GMK_E_INVALID; GMK_E_HALTING. */
GMK_NODISCARD int gmk_record_stop(gmk_kernel_t *k, uint32_t *fault);

/* Feeds a recording to a kernel of the same modules, just booted with
 * GMK_BOOT_MANUAL_TICKS, on any number of workers, and compares the trace hash at each
 * tick. Other callers must bring no deterministic input meanwhile.
 * returns: GMK_OK; GMK_E_DIVERGED (the hashes differ); GMK_E_RECORD (the recording is
 * damaged, or fn failed: see fault); GMK_E_NOT_FOUND (a channel of the recording does
 * not exist); GMK_E_BUSY (the kernel has deterministic work already, or its ticks are
 * past the recording's start);
 * GMK_E_TIMEOUT (a tick did not end in timeout_ns); GMK_ALLOC_FAIL; GMK_E_LIMIT (no
 * attached context free, or the kernel halts); GMK_E_INVALID; GMK_E_HALTING; and what
 * gmk_emit or gmk_chan_emit says of an input, as GMK_E_WIRING of a channel or handler that
 * is not deterministic here. *report may be null. threads: any, not a handler. blocks.
 * source: DET-7. */
GMK_NODISCARD int gmk_replay(gmk_kernel_t *k, gmk_record_read_fn fn, void *arg,
                             uint64_t timeout_ns, gmk_replay_report_t *report);

GMK_EXTERN_C_END

#endif

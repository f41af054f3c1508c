/* SPDX-License-Identifier: MIT
 * Every limit and default in one place; each can be set on the compiler's command
 * line, and static assertions prove that they fit together.
 * Floor: F0. Source: SPEC SYS-21, SYS-22. */
#ifndef GGMK_CONFIG_H
#define GGMK_CONFIG_H

#include "ggmk/base/compiler.h"

#define GMK_VERSION(major, minor, patch)                                                           \
    (((uint32_t)(major) << 16) | ((uint32_t)(minor) << 8) | (uint32_t)(patch))
#define GMK_VERSION_CURRENT GMK_VERSION(0, 5, 1)
#define GMK_VERSION_TEXT "0.5.1"

/* Limits. Identifiers 1..GMK_MAX_CHANNELS name channels, 0 is direct submission. */
#ifndef GMK_MAX_CHANNELS
#define GMK_MAX_CHANNELS 256
#endif
#ifndef GMK_MAX_CHAN_SUBS
#ifdef GMK_CHAN_MAX_SUBS
#define GMK_MAX_CHAN_SUBS GMK_CHAN_MAX_SUBS
#else
#define GMK_MAX_CHAN_SUBS 32
#endif
#endif
#ifndef GMK_CHAN_MAX_SUBS
#define GMK_CHAN_MAX_SUBS GMK_MAX_CHAN_SUBS /* the other name of the same limit */
#endif
#ifndef GMK_MAX_CHAN_NAME
#define GMK_MAX_CHAN_NAME 64
#endif
#ifndef GMK_MAX_MODULES
#define GMK_MAX_MODULES 64
#endif
#ifndef GMK_MAX_HANDLERS
#define GMK_MAX_HANDLERS 256 /* types 1..255; also the bound of (module, type) pairs */
#endif
#ifndef GMK_MAX_WORKERS
#define GMK_MAX_WORKERS 32
#endif
#ifndef GMK_MAX_HOSTS
#define GMK_MAX_HOSTS 16 /* threads attached by gmk_host_attach at one time */
#endif
#ifndef GMK_MAX_TENANTS
#define GMK_MAX_TENANTS 16
#endif

/* Boot defaults: a zero field of gmk_boot_cfg_t takes these. */
#ifndef GMK_DEFAULT_ARENA_BYTES
#define GMK_DEFAULT_ARENA_BYTES (64u << 20)
#endif
#ifndef GMK_DEFAULT_WORKERS
#define GMK_DEFAULT_WORKERS 4
#endif
#ifndef GMK_CHAN_DEFAULT_SLOTS
#define GMK_CHAN_DEFAULT_SLOTS 1024
#endif
#ifndef GMK_CHAN_PRIORITY_RESERVE
#define GMK_CHAN_PRIORITY_RESERVE 10 /* percent of a channel's slots for priority 0 alone */
#endif
#ifndef GMK_CHAN_REPLAY_SLOTS
#define GMK_CHAN_REPLAY_SLOTS 0 /* of a lossless fan-out channel that asks for none */
#endif
#ifndef GMK_RQ_DEFAULT_CAP
#define GMK_RQ_DEFAULT_CAP 4096 /* per priority */
#endif
#ifndef GMK_LQ_DEFAULT_CAP
#define GMK_LQ_DEFAULT_CAP 1024
#endif
#ifndef GMK_INBOX_DEFAULT_CAP
#define GMK_INBOX_DEFAULT_CAP 1024
#endif
#ifndef GMK_EVQ_DEFAULT_CAP
#ifdef GMK_EVQ_SIZE
#define GMK_EVQ_DEFAULT_CAP GMK_EVQ_SIZE
#else
#define GMK_EVQ_DEFAULT_CAP 65536
#endif
#endif
#ifndef GMK_EVQ_SIZE
#define GMK_EVQ_SIZE GMK_EVQ_DEFAULT_CAP
#endif
#ifndef GMK_OVERFLOW_CAP
#define GMK_OVERFLOW_CAP 4096
#endif
#ifndef GMK_TRACE_DEFAULT_CAP
#define GMK_TRACE_DEFAULT_CAP 4096 /* records per ring, less if the trace slab is small */
#endif
#ifndef GMK_TRACE_DEFAULT_LEVEL
#define GMK_TRACE_DEFAULT_LEVEL 2 /* of all modules at boot: GMK_TRACE_WARN */
#endif
#ifndef GMK_TRACE_SAMPLE_RATE
#define GMK_TRACE_SAMPLE_RATE UINT32_MAX /* share of ALL events kept at boot, in 1/2^32: all */
#endif
#ifndef GMK_ENVELOPES
#define GMK_ENVELOPES 256 /* slots of each system channel; envelopes: twice as many and 64 */
#endif

/* Scheduling. */
#ifndef GMK_WORKER_BATCH_SIZE
#define GMK_WORKER_BATCH_SIZE 32
#endif
#ifndef GMK_BATCH_TARGET_NS
#define GMK_BATCH_TARGET_NS 20000 /* a batch is worth about this much work */
#endif
#ifndef GMK_AGING_INTERVAL
#define GMK_AGING_INTERVAL 64 /* takes between two looks at the older queues */
#endif
#ifndef GMK_AGING_BACKOFF
#define GMK_AGING_BACKOFF 64 /* such looks between two at spawned tasks that breed */
#endif
#ifndef GMK_LQ_YIELD_RESERVE
#define GMK_LQ_YIELD_RESERVE 25 /* percent of a local queue kept for yields */
#endif
#ifndef GMK_EVQ_DRAIN_LIMIT
#define GMK_EVQ_DRAIN_LIMIT 256 /* events fired by one look at the event queue */
#endif
#ifndef GMK_SPIN_NS
#define GMK_SPIN_NS 50000 /* search this long before parking */
#endif
#ifndef GMK_DEFAULT_MAX_YIELDS
#define GMK_DEFAULT_MAX_YIELDS 16
#endif
#ifndef GMK_MAX_RETRIES
#define GMK_MAX_RETRIES 16
#endif
#ifndef GMK_RETRY_MAX_TICKS
#define GMK_RETRY_MAX_TICKS 64
#endif
#ifndef GMK_MAX_HANDLER_CYCLES
#define GMK_MAX_HANDLER_CYCLES 1000000 /* steps of the kernel's clock: ns on CPUs */
#endif
#ifndef GMK_TICK_NS
#define GMK_TICK_NS 1000000 /* unless ticks are manual */
#endif
#ifndef GMK_STEAL_MAX
#define GMK_STEAL_MAX 16 /* tasks one theft takes at most */
#endif
#ifndef GMK_SHARED_CAP
#define GMK_SHARED_CAP 256 /* stealable part of a local queue */
#endif
#ifndef GMK_GROUP_RESUME_CAP
#define GMK_GROUP_RESUME_CAP 64 /* yielded messages of one serial group */
#endif
#ifndef GMK_GROUP_OUTBOX_CAP
#define GMK_GROUP_OUTBOX_CAP 64 /* sends of one serial group that wait for room */
#endif
#ifndef GMK_SEQ_BLOCK
#define GMK_SEQ_BLOCK 1024
#endif
#ifndef GMK_AUDIT_TIMEOUT_NS
#define GMK_AUDIT_TIMEOUT_NS 1000000000ull /* gmk_audit waits this long for a handler */
#endif
#ifndef GMK_WHY_TIMEOUT_NS
#define GMK_WHY_TIMEOUT_NS 100000000ull /* gmk_why waits this long for a handler */
#endif
#ifndef GMK_HALT_TIMEOUT_NS
#define GMK_HALT_TIMEOUT_NS 30000000000ull
#endif

/* Observing. */
#ifndef GMK_CLOCK_SYNC_US
#define GMK_CLOCK_SYNC_US 100 /* a worker reads the machine's clock so often while it is busy */
#endif
#ifndef GMK_TIME_SAMPLE
#define GMK_TIME_SAMPLE 64 /* one handler call in so many is timed, on average */
#endif
#ifndef GMK_WATCHDOG_MISSES
#define GMK_WATCHDOG_MISSES 2
#endif

/* Faults. */
#ifndef GMK_POISON_RATE
#define GMK_POISON_RATE 32
#endif
#ifndef GMK_POISON_WINDOW
#define GMK_POISON_WINDOW 1000
#endif

/* Memory: shares of the arena in percent. */
#define GMK_ARENA_TASK_PCT 10
#define GMK_ARENA_TRACE_PCT 2
#define GMK_ARENA_BLOCK_PCT 68
#define GMK_ARENA_BUMP_PCT 20
#define GMK_BLOCK_BINS 12
#define GMK_BLOCK_MIN 32u
#define GMK_BLOCK_MAX (GMK_BLOCK_MIN << (GMK_BLOCK_BINS - 1))

GMK_STATIC_ASSERT(GMK_ARENA_TASK_PCT + GMK_ARENA_TRACE_PCT + GMK_ARENA_BLOCK_PCT +
                          GMK_ARENA_BUMP_PCT ==
                      100,
                  "the arena is split whole");
GMK_STATIC_ASSERT(GMK_BLOCK_MAX == 65536, "12 bins of powers of two from 32 bytes");
GMK_STATIC_ASSERT(GMK_CLOCK_SYNC_US > 0 && GMK_CLOCK_SYNC_US < 1000000, "below a second");
GMK_STATIC_ASSERT(GMK_TIME_SAMPLE > 0 && GMK_TIME_SAMPLE < 1 << 20, "an interval of calls");
GMK_STATIC_ASSERT(GMK_TRACE_DEFAULT_LEVEL >= 0 && GMK_TRACE_DEFAULT_LEVEL <= 4, "a trace level");
GMK_STATIC_ASSERT(GMK_MAX_WORKERS <= 32, "the idle word has one bit a worker");
GMK_STATIC_ASSERT(GMK_MAX_MODULES <= 64, "a waiter word has one bit a module");
GMK_STATIC_ASSERT((GMK_GROUP_OUTBOX_CAP & (GMK_GROUP_OUTBOX_CAP - 1)) == 0 &&
                      GMK_GROUP_OUTBOX_CAP > 0,
                  "an outbox is a ring of a power of two");
GMK_STATIC_ASSERT(GMK_CHAN_MAX_SUBS == GMK_MAX_CHAN_SUBS, "one limit, two names");
GMK_STATIC_ASSERT(GMK_MAX_CHAN_SUBS > 0 && GMK_MAX_CHAN_SUBS <= 32,
                  "a claim word has one bit a subscriber");
GMK_STATIC_ASSERT(GMK_EVQ_SIZE == GMK_EVQ_DEFAULT_CAP, "one default, two names");
GMK_STATIC_ASSERT(GMK_CHAN_PRIORITY_RESERVE < 100, "a share in percent");
GMK_STATIC_ASSERT(GMK_MAX_CHANNELS *GMK_MAX_CHAN_SUBS < 65535, "a subscription fits 16 bits");
GMK_STATIC_ASSERT(GMK_INBOX_DEFAULT_CAP > 2 * GMK_MAX_MODULES, "activations always fit an inbox");
GMK_STATIC_ASSERT(GMK_LQ_YIELD_RESERVE > 0 && GMK_LQ_YIELD_RESERVE < 100, "a share in percent");
GMK_STATIC_ASSERT((GMK_SEQ_BLOCK & (GMK_SEQ_BLOCK - 1)) == 0, "blocks tile the 32-bit circle");

#endif

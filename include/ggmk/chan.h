/* SPDX-License-Identifier: MIT
 * Channels: named, typed mailboxes between modules.
 * Floor: F2. A P2P channel is an ordered ring drained by its consumer's serial group:
 * at most one worker runs a module's messages at a time, in channel order, and all
 * effects of one turn happen before the next; GMK_CHAN_PARALLEL lifts that. P2P never
 * drops: a full ring refuses the message.
 * Source: SPEC H, V-24, V-45 to V-48; ARCHITECTURE R4, R6, R19. */
#ifndef GGMK_CHAN_H
#define GGMK_CHAN_H

#include "ggmk/types.h"

/* Mode, guarantee, direction and properties (CH-11, R4). */
#define GMK_CHAN_P2P 0x0001u
#define GMK_CHAN_FANOUT 0x0002u
#define GMK_CHAN_LOSSY 0x0000u
#define GMK_CHAN_LOSSLESS 0x0010u
#define GMK_CHAN_PARALLEL 0x0020u /* consumer: any number of workers at a time */
#define GMK_CHAN_PRODUCE 0x0100u
#define GMK_CHAN_CONSUME 0x0200u

/* System channels, open from boot on (V-65). */
#define GMK_CHAN_SYS_DROPPED 1u
#define GMK_CHAN_SYS_ERROR 2u

GMK_EXTERN_C_BEGIN

/* The identifier of an open channel. returns: 1..GMK_MAX_CHANNELS,
 * GMK_E_INVALID, GMK_E_NOT_FOUND. threads: any ctx. cost: a scan of the names. */
GMK_NODISCARD int gmk_chan_find(gmk_ctx_t *ctx, const char *name);

/* Opens a channel or finds the one of that name and the same properties. mode ORs mode
 * and guarantee; slots is rounded up to a power of two, 0 takes the default. The first emit
 * or gmk_chan_fix_type fixes the message type, unless a declaration did; a subscription
 * needs it fixed.
 * returns: the identifier, GMK_E_INVALID (name empty or too long, bad mode),
 * GMK_E_EXISTS (other properties), GMK_E_LIMIT, GMK_ALLOC_FAIL, GMK_E_UNSUPPORTED
 * (fan-out, in this release). threads: any ctx. blocks: for a lock. source: CH-24, CH-26. */
GMK_NODISCARD int gmk_chan_open(gmk_ctx_t *ctx, const char *name, uint32_t mode, uint32_t slots);

/* Fixes the message type of a channel that has none yet.
 * returns: GMK_OK (also if it is this type already), GMK_CHAN_TYPE_MISMATCH,
 * GMK_CHAN_CLOSED, GMK_E_INVALID. threads: any ctx. source: V-45. */
GMK_NODISCARD int gmk_chan_fix_type(gmk_ctx_t *ctx, uint32_t chan, uint32_t type);

/* Subscribes the running module (known from ctx) with its handler of the channel's
 * message type; gmk_chan_sub_worker also binds delivery to one worker's inbox. A module
 * is served by one worker at a time, so its last binding counts for all its channels.
 * returns: GMK_OK, GMK_CHAN_CLOSED, GMK_CHAN_ALREADY_BOUND, GMK_CHAN_TYPE_MISMATCH
 * (the module has no handler of the type), GMK_E_INVALID, GMK_E_LIMIT.
 * threads: init and handlers. source: CH-9, CH-12, V-24. */
GMK_NODISCARD int gmk_chan_sub(gmk_ctx_t *ctx, uint32_t chan);
GMK_NODISCARD int gmk_chan_sub_worker(gmk_ctx_t *ctx, uint32_t chan, uint32_t worker);

/* Puts a copy of *t on the channel. It does not queue behind messages that the same
 * handler has waiting in its outbox (gmk_chan_emit_wait does).
 * ownership: on success the payload reference goes with the copy, on failure it stays
 * the caller's.
 * returns: GMK_OK, GMK_CHAN_FULL, GMK_CHAN_CLOSED, GMK_CHAN_TYPE_MISMATCH,
 * GMK_E_TENANT, GMK_E_INVALID, GMK_E_HALTING (attached threads).
 * threads: ctx's own. cost: one ring push and one read-modify-write. source: CH-24. */
GMK_NODISCARD int gmk_chan_emit(gmk_ctx_t *ctx, uint32_t chan, gmk_task_t *t);

/* Up to n messages in one push, in order. returns: how many went in (the first ones;
 * 0 when full), or a negative code as gmk_chan_emit when the first is refused. */
GMK_NODISCARD int gmk_chan_emit_batch(gmk_ctx_t *ctx, uint32_t chan, gmk_task_t *t, uint32_t n);

/* As gmk_chan_emit, but on a full channel a message handler's task waits in its
 * module's outbox: the call returns GMK_OK, the module takes no further message until
 * its outbox has drained, in order, and nothing is sent twice. It is not a yield and
 * never trips the breaker. returns: as gmk_chan_emit; GMK_CHAN_FULL when the outbox is
 * full or the caller is no serial message handler. source: R19. */
GMK_NODISCARD int gmk_chan_emit_wait(gmk_ctx_t *ctx, uint32_t chan, gmk_task_t *t);

/* State of a channel. */
typedef struct gmk_chan_info {
    char name[GMK_MAX_CHAN_NAME];
    uint32_t id, mode, msg_type, slots;
    uint32_t depth; /* messages waiting, a recent value */
    uint64_t emits, fulls;
    const char *consumer; /* module name, null if none */
} gmk_chan_info_t;

/* returns: GMK_OK, GMK_E_INVALID, GMK_E_NOT_FOUND. threads: any. */
GMK_NODISCARD int gmk_chan_get_info(const gmk_kernel_t *k, uint32_t chan, gmk_chan_info_t *out);

GMK_EXTERN_C_END

#endif

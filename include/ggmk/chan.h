/* SPDX-License-Identifier: MIT
 * Channels: named, typed rings between modules, drained by their consumers.
 * Floor: F2. A P2P channel has one subscriber and keeps messages until there is one; a
 * fan-out channel gives every message to each of its subscribers at that moment. A
 * module's messages are run by one worker at a time, in channel order, and all effects of
 * one turn happen before the next; GMK_CHAN_PARALLEL lifts that. P2P and lossless
 * channels never drop: a full ring refuses the message. A lossy fan-out channel drops the
 * oldest message of a subscriber that is a whole ring behind, for that one alone.
 * docs/GUARANTEES.md has each promise with its test.
 * Source: SPEC H, V-24, V-39, V-45 to V-48; ARCHITECTURE R4 to R7, R15, R16, R19. */
#ifndef GGMK_CHAN_H
#define GGMK_CHAN_H

#include "ggmk/metrics.h"
#include "ggmk/types.h"

/* Mode, guarantee, direction and properties (CH-11, R4). */
#define GMK_CHAN_P2P 0x0001u
#define GMK_CHAN_FANOUT 0x0002u
#define GMK_CHAN_LOSSY 0x0000u
#define GMK_CHAN_LOSSLESS 0x0010u
#define GMK_CHAN_PARALLEL 0x0020u      /* consumer: any number of workers at a time */
#define GMK_CHAN_DETERMINISTIC 0x0040u /* delivered at tick boundaries, in canonical order */
#define GMK_CHAN_PRODUCE 0x0100u
#define GMK_CHAN_CONSUME 0x0200u

/* System channels, fan-out, open from boot to halt (V-65). */
#define GMK_CHAN_SYS_DROPPED 1u   /* lossy: undelivered work, in envelopes */
#define GMK_CHAN_SYS_ERROR 2u     /* lossy: failed work, in envelopes */
#define GMK_CHAN_SYS_TRACE 3u     /* lossy: trace records of a peer */
#define GMK_CHAN_SYS_TICK 4u      /* lossless: meta0 is the tick, one message a tick */
#define GMK_CHAN_SYS_HEARTBEAT 5u /* lossy: heartbeats of a peer */
#define GMK_N_SYS_CHANNELS 5u

/* An identifier is the registry's index, 1..GMK_MAX_CHANNELS, and above it how often
 * that place had been used before: one that is closed does not mean another channel until its
 * place has been used 32768 times more. */
#define GMK_CHAN_INDEX(id) ((id)&0xffffu)

/* What a message on sys.dropped and sys.error says (V-59). The payload is the record as
 * it was; its payload, if it had one, lives as long as the envelope.
 * source: R7. */
#define GMK_ENVELOPE_REASON(t) ((uint32_t)(t)->meta0 & 0xffffu) /* enum gmk_reason */
#define GMK_ENVELOPE_CODE(t) ((uint32_t)(t)->meta0 >> 16)       /* of GMK_FAIL(code) */
#define GMK_ENVELOPE_TYPE(t) ((uint32_t)((t)->meta0 >> 32))
#define GMK_ENVELOPE_CHANNEL(t) ((uint32_t)(t)->meta1)
#define GMK_ENVELOPE_SEQ(t) ((uint32_t)((t)->meta1 >> 32))
#define GMK_ENVELOPE_RECORD(t) ((const gmk_task_t *)(uintptr_t)(t)->payload_ptr)

GMK_EXTERN_C_BEGIN

/* The identifier of an open channel. returns: the identifier, GMK_E_INVALID,
 * GMK_E_NOT_FOUND. threads: any ctx. blocks: for a lock. cost: a scan of the names. */
GMK_NODISCARD int gmk_chan_find(gmk_ctx_t *ctx, const char *name);

/* What gmk_chan_open_with needs to know. A zero field takes its default. */
typedef struct gmk_chan_opts {
    uint32_t mode;         /* mode | guarantee | GMK_CHAN_DETERMINISTIC; 0: P2P */
    uint32_t slots;        /* messages a subscriber may be behind; rounded up to a power of 2 */
    uint32_t replay_slots; /* lossless: handled messages kept for gmk_chan_replay; 0: none */
    uint32_t msg_type;     /* 0: fixed by the first emit or gmk_chan_fix_type */
} gmk_chan_opts_t;

/* Opens a channel or finds the open one of that name and the same properties
 * (gmk_chan_open: mode and slots alone; slots 0 takes what is there). A message type is
 * fixed by a declaration, msg_type, gmk_chan_fix_type or the first emit; a subscription
 * needs it fixed.
 * returns: the identifier; GMK_E_INVALID (name empty or too long, unknown bits, P2P and
 * fan-out at once, replay on a lossy channel, more than 2^24 slots, a type above 239);
 * GMK_E_EXISTS (other properties); GMK_CHAN_TYPE_MISMATCH; GMK_E_LIMIT (no place: closed
 * channels give theirs back once settled and every worker has passed a batch);
 * GMK_ALLOC_FAIL. Slots are memory of the machine, not of the arena.
 * threads: any ctx. blocks: for a lock. source: CH-18, CH-24, CH-26. */
GMK_NODISCARD int gmk_chan_open(gmk_ctx_t *ctx, const char *name, uint32_t mode, uint32_t slots);
GMK_NODISCARD int gmk_chan_open_with(gmk_ctx_t *ctx, const char *name, const gmk_chan_opts_t *opts);

/* Closes a channel for all. What subscribers have not begun goes to sys.dropped with
 * reason GMK_ERR_CLOSED, sends that wait in outboxes too; messages that were yielded or
 * retried come to their end. Emits are refused from now on; its name can be opened
 * again at once. The settling itself is done by the consumers' workers, soon after.
 * returns: GMK_OK, GMK_CHAN_CLOSED, GMK_E_INVALID (a system channel), GMK_E_HALTING (attached
 * threads). threads: any ctx. blocks: for a lock. source: CH-24, CH-30. */
GMK_NODISCARD int gmk_chan_close(gmk_ctx_t *ctx, uint32_t chan);

/* Fixes the message type of a channel that has none yet.
 * returns: GMK_OK (also if it is this type already), GMK_CHAN_TYPE_MISMATCH,
 * GMK_CHAN_CLOSED (also: a system channel), GMK_E_INVALID (type 0, or above 239),
 * GMK_E_HALTING (attached threads). threads: any ctx. source: V-45. */
GMK_NODISCARD int gmk_chan_fix_type(gmk_ctx_t *ctx, uint32_t chan, uint32_t type);

/* Subscribes the running module (known from ctx) with its handler of the channel's
 * message type; gmk_chan_sub_worker also binds delivery to one worker's inbox. A module
 * is served by one worker at a time, so its last binding counts for all its channels.
 * A fan-out subscriber receives what is emitted from now on.
 * returns: GMK_OK; GMK_CHAN_CLOSED; GMK_CHAN_ALREADY_BOUND (P2P: somebody else
 * subscribes, or his last messages are being settled; fan-out: this module does);
 * GMK_CHAN_TYPE_MISMATCH (the module has no handler of the type, or the type is not
 * fixed); GMK_E_INVALID (no such worker; ctx is an attached thread's); GMK_E_LIMIT (32
 * subscribers of the channel, 4096 of the kernel, 256 of them parallel or sinks, those among
 * them that have left and are still being settled); GMK_E_WIRING (a deterministic channel
 * and a handler without GMK_HF_DETERMINISTIC); GMK_ALLOC_FAIL.
 * threads: init and handlers. blocks: for a lock. source: CH-9, CH-10, CH-12, V-24. */
GMK_NODISCARD int gmk_chan_sub(gmk_ctx_t *ctx, uint32_t chan);
GMK_NODISCARD int gmk_chan_sub_worker(gmk_ctx_t *ctx, uint32_t chan, uint32_t worker);

/* Ends the running module's subscription. From fan-out, messages it has not begun go to
 * sys.dropped with reason GMK_ERR_NO_SUBSCRIBER; on P2P they stay for the next
 * subscriber. Called by the module's own message handler, it begins no other message of
 * the channel.
 * returns: GMK_OK, GMK_CHAN_CLOSED, GMK_E_NOT_FOUND (it does not subscribe),
 * GMK_E_INVALID. threads: init, fini and handlers. source: R5. */
GMK_NODISCARD int gmk_chan_unsub(gmk_ctx_t *ctx, uint32_t chan);

/* Sends failed messages of the channel to fn, run as a message handler of the running
 * module, in place of sys.error. ctx->task is the failed task, gmk_error_reason says
 * why. If fn fails too, or its mailbox is full, sys.error gets the task. A null fn ends
 * it. returns: GMK_OK, GMK_CHAN_CLOSED, GMK_CHAN_ALREADY_BOUND (it has one: end it first, if
 * it is this module's), GMK_E_INVALID (a system channel; an attached thread's ctx),
 * GMK_E_LIMIT (no handler index or channel left), GMK_ALLOC_FAIL. blocks: for a lock.
 * threads: init and handlers. source: CH-24, CH-31. */
GMK_NODISCARD int gmk_chan_on_error(gmk_ctx_t *ctx, uint32_t chan, gmk_handler_fn fn);

/* In a channel's error handler: reason | code << 16; elsewhere 0. */
uint32_t gmk_error_reason(const gmk_ctx_t *ctx);

/* Puts a copy of *t on the channel; for fan-out one delivery a subscriber, all or none.
 * Priority 0 alone may use the last tenth of the slots. It does not queue behind
 * messages that the same handler has waiting in its outbox (gmk_chan_emit_wait does).
 * On a deterministic channel it is delivered at the next tick boundary. On sys.error the
 * task is put into an envelope with reason GMK_ERR_REPORTED.
 * ownership: on success the payload reference goes with the copy, on failure it stays
 * the caller's.
 * returns: GMK_OK (also when a fan-out channel has no subscriber: metric chan.unheard);
 * GMK_CHAN_FULL (P2P, lossless; lossy only while the slowest subscriber is copying the
 * very message in the way); GMK_CHAN_CLOSED (also: sys.dropped, sys.tick);
 * GMK_CHAN_TYPE_MISMATCH (sys.dropped is told); GMK_E_TENANT; GMK_E_INVALID; GMK_E_HALTING
 * (attached threads); GMK_ALLOC_FAIL (deterministic). threads: ctx's own. cost: two
 * read-modify-writes. source: CH-24. */
GMK_NODISCARD int gmk_chan_emit(gmk_ctx_t *ctx, uint32_t chan, gmk_task_t *t);

/* Up to n messages in one push, in order. returns: how many went in (the first ones;
 * 0 when full), or a negative code as gmk_chan_emit when the first is refused. Fewer than n
 * also where a later one is refused, and where priority 0 and others meet: call again. */
GMK_NODISCARD int gmk_chan_emit_batch(gmk_ctx_t *ctx, uint32_t chan, gmk_task_t *t, uint32_t n);

/* As gmk_chan_emit, but on a full channel a message handler's task waits in its
 * module's outbox: the call returns GMK_OK, the module takes no further message until
 * its outbox has drained, in order, and nothing is sent twice. It is not a yield and
 * never trips the breaker. On P2P, while every worker is busy and calls are short, up to 16 of
 * a turn's messages go on the ring together, at the end of the turn at the latest, or when the
 * running call emits elsewhere; so a call must not wait for what its message brings about. Reports
 * on sys.error and deterministic messages need no room and do not wait. returns: as gmk_chan_emit;
 * GMK_CHAN_FULL when the outbox is full or the caller is no serial message handler. source: R19. */
GMK_NODISCARD int gmk_chan_emit_wait(gmk_ctx_t *ctx, uint32_t chan, gmk_task_t *t);

/* Where the current message stands: its position in the channel, from 1 (gmk_chan_seq
 * of ggmk/sched.h), and how many messages of the channel this module lost just before
 * it: dropped as too slow. 0 for direct work and parallel handlers. source: CH-17. */
uint64_t gmk_chan_gap(const gmk_ctx_t *ctx);

/* Asks for the channel's messages again, from position from_seq on, for the running
 * module alone; what it has settled may come twice. Only messages in the replay buffer
 * can be had: those that some subscriber has not settled, of which the buffer keeps
 * replay_slots beyond what the slowest has not begun. When it must drop one that a
 * subscriber has not settled, CHAN_REPLAY_OVERFLOW is traced: that one can no longer have
 * it again, its first delivery is not touched.
 * returns: GMK_OK, GMK_CHAN_CLOSED, GMK_E_NOT_FOUND (not subscribed, or from_seq is gone;
 * gmk_chan_get_info has oldest_seq), GMK_E_INVALID (no replay buffer, a parallel
 * subscription, from_seq 0 or ahead of the channel, an attached thread's ctx), GMK_E_BUSY
 * (from outside the module's message handlers, while it is being served).
 * threads: handlers and init. blocks: for a lock. source: CH-18, V-47. */
GMK_NODISCARD int gmk_chan_replay(gmk_ctx_t *ctx, uint32_t chan, uint64_t from_seq);

/* A consumer that is no module: a bridge. take receives whole cells in channel order,
 * one call at a time, on any worker, and returns how many it has room for; payload
 * references of those go to it. After fewer than n it is not called again until
 * gmk_chan_sink_ready. It must not call the kernel but for payload release. source: R16. */
typedef struct gmk_chan_sink {
    uint32_t (*take)(void *arg, const gmk_cell_t *cells, uint32_t n);
    void *arg;
} gmk_chan_sink_t;

/* Subscribes a sink; it ends with the channel or by gmk_chan_unsub_sink, soon after which
 * take is called no more. ownership: *sink must stay until then.
 * returns: as gmk_chan_sub, GMK_E_UNSUPPORTED (a deterministic channel), GMK_E_HALTING;
 * unsub: as gmk_chan_unsub, GMK_E_HALTING. threads: any ctx. blocks: for a lock. */
GMK_NODISCARD int gmk_chan_sub_sink(gmk_ctx_t *ctx, uint32_t chan, const gmk_chan_sink_t *sink);
GMK_NODISCARD int gmk_chan_unsub_sink(gmk_ctx_t *ctx, uint32_t chan, const gmk_chan_sink_t *sink);

/* The sink has room again. returns: GMK_OK, GMK_CHAN_CLOSED, GMK_E_NOT_FOUND,
 * GMK_E_HALTING, GMK_E_INVALID. threads: any ctx. */
int gmk_chan_sink_ready(gmk_ctx_t *ctx, uint32_t chan, const gmk_chan_sink_t *sink);

/* Emits n whole cells of a peer kernel: flags, tenant, sequence number and meta words as
 * they are; payload references go with those taken. returns: the credit to give back,
 * how many went in, or a negative code as gmk_chan_emit. threads: ctx's own. */
GMK_NODISCARD int gmk_chan_emit_cells(gmk_ctx_t *ctx, uint32_t chan, const gmk_cell_t *cells,
                                      uint32_t n);

/* State of a channel. */
typedef struct gmk_chan_info {
    char name[GMK_MAX_CHAN_NAME];
    uint32_t id, mode, msg_type, slots, replay_slots;
    uint32_t n_subs;
    uint32_t depth;       /* of the slowest subscriber: messages waiting, a recent value */
    uint64_t emits;       /* messages accepted since it was opened */
    uint64_t fulls;       /* emits refused */
    uint64_t drops;       /* deliveries lost: too slow, unsubscribed, closed */
    uint64_t oldest_seq;  /* first that gmk_chan_replay can give; 0: none */
    const char *consumer; /* a module that subscribes, null if none does */
} gmk_chan_info_t;

/* State of one subscription. */
typedef struct gmk_sub_info {
    const char *module; /* null: a sink */
    uint32_t worker;    /* bound to, or GMK_NO_WORKER */
    bool parallel;
    uint32_t lag;          /* messages not begun */
    uint64_t next_seq;     /* position of the next to begin */
    uint64_t acked_seq;    /* all up to here are settled: handled, failed or dead-lettered */
    uint64_t drops;        /* lost as too slow */
    gmk_latency_t latency; /* emit to handler */
} gmk_sub_info_t;

/* chan is an identifier, or an index 1..GMK_MAX_CHANNELS for whatever is open there.
 * returns: GMK_OK, GMK_E_INVALID, GMK_E_NOT_FOUND (also: no i-th subscriber).
 * threads: any. blocks: for a lock. source: CH-7, CH-19, OBS-1. */
GMK_NODISCARD int gmk_chan_get_info(const gmk_kernel_t *k, uint32_t chan, gmk_chan_info_t *out);
GMK_NODISCARD int gmk_chan_get_sub(const gmk_kernel_t *k, uint32_t chan, uint32_t i,
                                   gmk_sub_info_t *out);

GMK_EXTERN_C_END

#endif

/* SPDX-License-Identifier: MIT
 * Who waits for whom: why work that is queued does not run now.
 * Floor: F2. Source: ARCHITECTURE R8, R19; SPEC OBS-1, CH-14. */
#ifndef GGMK_WHY_H
#define GGMK_WHY_H

#include "ggmk/types.h"

enum gmk_wait_kind {
    GMK_WAIT_ROOM,       /* a module's outbox waits for room: chan, whom */
    GMK_WAIT_BACKOFF,    /* a module's messages were retried and are not due yet */
    GMK_WAIT_SUBSCRIBER, /* a P2P channel holds messages and has no subscriber */
    GMK_WAIT_SINK,       /* a channel's sink has not taken messages: no room, or not yet */
    GMK_WAIT_POISONED,   /* a handler is poisoned: its tasks fail unrun until gmk_mod_reset */
    GMK_WAIT_TIMER,      /* events that are due later; by a tick that nobody has advanced to */
    GMK_WAIT_HANDLER,    /* a handler has not returned: worker, who, whom */
    GMK_WAIT_TICK        /* deterministic work for a tick that has not begun */
};

typedef struct gmk_wait {
    enum gmk_wait_kind kind;
    const char *who;  /* module that waits, null if it is none */
    const char *whom; /* module waited for (ROOM), or handler (POISONED, HANDLER); or null */
    uint32_t chan;    /* identifier, 0: none */
    uint32_t worker;  /* HANDLER: which; else GMK_NO_WORKER */
    uint64_t count;   /* messages or events that wait */
    char chan_name[GMK_MAX_CHAN_NAME];
} gmk_wait_t;

GMK_EXTERN_C_BEGIN

/* Fills out[0..max) with what waits. It makes the workers stand still between two batches;
 * if one does not within GMK_WHY_TIMEOUT_NS, the handlers that run come first and outboxes,
 * back-offs and deterministic work, which only their workers may look at, are left out.
 * returns: how many waits there are, also above max (0: nothing waits), or GMK_E_INVALID.
 * threads: any, not a handler; not beside halt. blocks. cost: a scan of all channels. */
GMK_NODISCARD int gmk_why(gmk_kernel_t *k, gmk_wait_t *out, uint32_t max);

/* One wait as a sentence. returns: bytes written without the final null, cut if need be. */
size_t gmk_wait_text(const gmk_wait_t *w, char *out, size_t bytes);

GMK_EXTERN_C_END

#endif

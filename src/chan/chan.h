/* SPDX-License-Identifier: MIT
 * Channels and serial groups, private side.
 * Floor: F5.
 * A group is who drains: one per module for its serial channels, one per parallel
 * channel. Its token exists while pending > 0, once: as a queued activation, in the
 * hands of a drainer, as the group's bit in a full channel's waiter word, or as its
 * stalled mark while every message it may have away is waiting for a back-off.
 * pending counts the messages published to the group's channels and not yet settled,
 * those in its resume queue included, those waiting for a back-off not, and one more
 * while its outbox holds anything.
 * Source: SPEC H; ARCHITECTURE R4, R6, R7, R19. */
#ifndef GMKI_CHAN_H
#define GMKI_CHAN_H

#include "ggmk/chan.h"
#include "ggmk/prim/freelist.h"
#include "sched/sched.h"

#define GMKI_MAX_GROUPS (GMK_MAX_MODULES + GMK_MAX_CHANNELS)
#define GMKI_MAX_SUBS (GMK_MAX_CHANNELS * GMK_MAX_CHAN_SUBS + 1)
#define GMKI_ANY_TYPE 0u
#define GMKI_MAX_SLOTS (1u << 24)

typedef struct gmki_group {
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a32_t pending;
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a32_t worker; /* bound to, or GMK_NO_WORKER */
    gmk_a32_t first_chan; /* list of channel identifiers it drains; 0 ends */
    uint32_t index;
    uint32_t module;
    bool parallel;
    /* The token holder's own. */
    uint32_t next_chan; /* where the next turn begins; 0: at the first */
    bool held;     /* pending has one more for the outbox */
    uint32_t away; /* messages yielded or waiting for a back-off: resume has room for all */
    gmk_lq_t outbox;
    gmk_cell_t *outbox_cells;
    gmki_queue_t resume; /* yielded and returned messages: many put, the holder takes */
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a32_t stalled; /* the token waits for a return */
} gmki_group_t;

typedef struct gmki_chan {
    char name[GMK_MAX_CHAN_NAME];
    uint32_t id;
    uint32_t mode;
    uint32_t next; /* in its group's list */
    uint32_t sub;  /* its subscription, set before group */
    bool system;
    gmk_a32_t msg_type; /* GMKI_ANY_TYPE: not fixed yet */
    gmk_a32_t group;    /* index + 1; 0: nobody subscribes */
    gmk_a32_t orphans;  /* messages published while nobody did */
    gmk_a64_t fulls;
    gmk_a64_t taken; /* messages taken: the drainer's count, and chan_seq */
    gmki_queue_t q;
    GMK_ALIGNAS(GMK_FALSE_SHARING) gmk_a64_t waiters; /* groups whose outbox wants room */
} gmki_chan_t;

/* A record on its way to a subscriber of sys.error or sys.dropped. */
typedef struct gmki_envelope {
    gmk_payload_hdr_t hdr;
    gmk_task_t record; /* the payload: the task as it was, with its payload reference */
} gmki_envelope_t;

struct gmk_chan_reg {
    gmk_sched_t *sched;
    gmk_hal_lock_t lock; /* opens and subscriptions */
    gmki_chan_t *chans[GMK_MAX_CHANNELS + 1];
    gmk_a32_t n_chans;
    gmki_group_t *groups[GMKI_MAX_GROUPS];
    uint32_t n_groups;
    uint16_t sub_handler[GMKI_MAX_SUBS];
    uint16_t sub_chan[GMKI_MAX_SUBS];
    bool sub_serial[GMKI_MAX_SUBS];
    uint32_t n_subs; /* 0 stands for direct work */
    /* Registered by the module floor. */
    uint32_t (*handler_of)(void *modules, uint32_t module, uint32_t type);
    void *modules;
    /* Envelopes. */
    gmki_envelope_t *envelopes;
    gmk_a32_t *envelope_next;
    gmk_freelist_t envelope_free;
    uint32_t envelope_pool;
};

/* registry.c */
int gmki_chan_reg_init(gmk_chan_reg_t *r, gmk_sched_t *s, uint32_t n_modules);
void gmki_chan_reg_fini(gmk_chan_reg_t *r);
int gmki_chan_open(gmk_chan_reg_t *r, const char *name, uint32_t mode, uint32_t slots,
                   uint32_t type);
int gmki_chan_find(const gmk_chan_reg_t *r, const char *name);
gmki_chan_t *gmki_chan_get(const gmk_chan_reg_t *r, uint32_t id);
int gmki_chan_fix_type(gmki_chan_t *c, uint32_t type);
/* Who subscribes, and how. */
typedef struct gmki_sub {
    uint32_t chan;
    uint32_t module;
    uint32_t worker; /* bound to, or GMK_NO_WORKER */
    bool parallel;
} gmki_sub_t;
int gmki_chan_subscribe(gmki_agent_t *a, gmk_chan_reg_t *r, const gmki_sub_t *sub);

/* emit.c */
int gmki_chan_emit(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t id, const gmk_task_t *t,
                   uint32_t n);
/* Pushes checked tasks; returns how many went in. */
uint32_t gmki_chan_push(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_chan_t *c, const gmk_task_t *t,
                        uint32_t n);
int gmki_chan_emit_wait(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t id, const gmk_task_t *t);
void gmki_group_activate(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_group_t *g);
void gmki_group_add(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_group_t *g, uint32_t n);
void gmki_chan_room(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_chan_t *c);
/* True when the outbox is empty; else *blocked is the full channel. */
bool gmki_outbox_flush(gmki_agent_t *a, gmk_chan_reg_t *r, gmki_group_t *g,
                       gmki_chan_t **blocked);
/* Hands the token to the full channel; true: taken back at once, there is room. */
bool gmki_group_wait(gmk_chan_reg_t *r, gmki_group_t *g, gmki_chan_t *full);

/* report.c */
int gmki_envelopes_init(gmk_chan_reg_t *r, gmk_alloc_t *mem);
/* Reports a failed or lost delivery on sys.error or sys.dropped; takes the cell's
 * payload reference over. */
void gmki_report(gmki_agent_t *a, gmk_chan_reg_t *r, uint32_t chan, const gmk_cell_t *c,
                 uint32_t reason_and_code);
void gmki_drop_payload(gmki_agent_t *a, const gmk_task_t *t);

#endif

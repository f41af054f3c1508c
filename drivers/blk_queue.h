/* SPDX-License-Identifier: MIT
 * The request queue that block drivers share. It implements blk_ops_t: takes requests, keeps
 * each in flight in a slot with its deadline, gives done calls, resets the device when a deadline
 * has passed or the device says that it has failed, starts what was in flight again once, gives
 * the device up when it answers nonsense or nothing between resets. A driver implements
 * blk_queue_ops_t: it puts the request of a slot on the hardware's queue and takes answers off it.
 * Floor: drivers. Threads: start, then the device's owner alone; blk_queue_interrupt interrupts.
 * A slot in flight keeps its number through a reset, which puts its request on the new queue.
 * A driver has the queue first in its struct, so that a pointer to one is a pointer to the other.
 * A dropped interrupt costs BLK_QUEUE_LOOK_NS, not a deadline: poll is due that soon.
 * Source: SPEC BM-36, BM-37. */
#ifndef DRIVERS_BLK_QUEUE_H
#define DRIVERS_BLK_QUEUE_H

#include "drivers/blk.h"

#define BLK_QUEUE_DEPTH 256u /* slots at most */
#define BLK_QUEUE_LOOK_NS 20000000ull

typedef struct blk_queue blk_queue_t;

/* What take finds when it finds no answer. */
enum { BLK_QUEUE_EMPTY = -1, BLK_QUEUE_NONSENSE = -2 };

/* All of it runs on the owner. */
typedef struct blk_queue_ops {
    /* Puts r, checked, on the hardware's queue for slot s; not seen before publish. returns: 1;
     * 0: there is no room, try again after an answer; negative: a status to end it with. */
    int (*put)(blk_queue_t *q, uint32_t s, const blk_req_t *r);
    /* Shows the device what was put and tells it, if that is needed. Comes also when nothing
     * was put: at the end of each submit and poll. */
    void (*publish)(blk_queue_t *q);
    bool publish_early; /* also within a poll, for each submit of a done callback */

    /* The next answer. returns: its slot, *status how the request ended; BLK_QUEUE_EMPTY;
     * BLK_QUEUE_NONSENSE: no answer to what is in flight. A slot without a request is nonsense,
     * too; that is checked for it. */
    int (*take)(blk_queue_t *q, int *status);

    /* A poll has begun: interrupts are not wanted. n_irqs: that came though nobody slept. */
    void (*quiet)(blk_queue_t *q, uint32_t n_irqs);
    /* Asks for an interrupt at the next answer. returns: false: there is one already. */
    bool (*listen)(blk_queue_t *q);

    /* Comes with polls in vain and now and then under load. returns: how many answers came
     * late, into what the hardware's queue was before the reset. */
    uint32_t (*look)(blk_queue_t *q);
    /* How the device is; may be a slow access, may be null. returns: BLK_OK; BLK_E_RESET: it
     * wants to be reset; BLK_E_BROKEN: it is gone. */
    int (*health)(blk_queue_t *q);

    /* Resets the device and makes it ready with an empty queue; slots still tell what was in
     * flight. An answer to that must not be taken for one to what is put later.
     * returns: BLK_OK, or why not. */
    int (*restart)(blk_queue_t *q);
    /* Takes the device's way to memory away, for good or until restart. Slots as with restart. */
    void (*stop)(blk_queue_t *q);
} blk_queue_ops_t;

typedef struct blk_slot {
    blk_req_t *req; /* null: free */
    uint64_t deadline_ns;
    uint16_t next; /* of the free ones */
    bool again;    /* it was in flight when the device was reset */
} blk_slot_t;

struct blk_queue {
    blk_dev_t blk; /* first: the ops cast */
    const blk_queue_ops_t *ops;
    blk_slot_t slot[BLK_QUEUE_DEPTH];
    uint16_t free_slot;
    bool armed, polling;
    gmk_a32_t irqs;
    uint32_t seen_irqs; /* when it was armed last */
    uint32_t fruitless; /* resets without one answer between them */
    uint32_t polls;     /* that found answers */
    blk_list_t ready;   /* ended, done not yet called; status is set */
};

/* Prepares a zeroed queue; the device is named name and a digit. */
void blk_queue_init(blk_queue_t *q, const blk_queue_ops_t *ops, const char *name, uint32_t digit);
/* Makes the slots, all free. pre: depth is 1..BLK_QUEUE_DEPTH. */
void blk_queue_size(blk_queue_t *q, uint32_t depth);

/* For dev_irq_alloc; arg: the queue. */
void blk_queue_interrupt(void *arg);

/* Puts a request of the driver's own, past all checks. The driver has it published, and calls
 * blk_begin before it polls. returns: as put; 0 also when no slot is free. */
int blk_queue_start(blk_queue_t *q, blk_req_t *r, uint64_t deadline_ns);

#endif

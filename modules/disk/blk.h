/* SPDX-License-Identifier: MIT
 * A block device as its user sees it: requests, many in flight, answered by poll.
 * Floor: modules; the drivers above implement it (drivers/blk.h), and tests by models.
 * A device is driven by one thread at a time, which owns it: submit, poll, arm and reset are
 * that thread's alone and need no lock. A request belongs to the device from the submit that
 * takes it until its done is called, which happens exactly once, from poll and nowhere else.
 * Requests in flight together may be carried out in any order.
 * Addresses and lengths are in sectors of 512 bytes whatever the device's own blocks are.
 * Source: SPEC BM-36, BM-37, STD-24. */
#ifndef MODULES_DISK_BLK_H
#define MODULES_DISK_BLK_H

#include "ggmk/hal.h"

#define BLK_SECTOR 512u
#define BLK_BUF_ALIGN 4u             /* of every buffer */
#define BLK_TIMEOUT_NS 5000000000ull /* of a request without a deadline */
#define BLK_NEVER UINT64_MAX

enum blk_op { BLK_READ = 0, BLK_WRITE = 1, BLK_FLUSH = 2 };

#define X(name, number, text) name = (number),
enum blk_status {
#include "blk_status.def"
};
#undef X

/* What a status means, in words; never null. */
const char *blk_status_text(int status);

/* The first block belongs to the user, who must leave it alone while the device has the
 * request; status is valid in done and after; the rest is the driver's. */
typedef struct blk_req {
    uint64_t sector;                /* the first; of a flush 0 */
    void *buf;                      /* n_sectors * 512 bytes, any memory; of a flush null */
    uint64_t deadline_ns;           /* on the clock of gmk_hal_now_ns; 0: BLK_TIMEOUT_NS */
    void (*done)(struct blk_req *); /* may submit again, also this request */
    void *user;
    uint32_t n_sectors; /* 1..max_sectors; of a flush 0 */
    uint16_t op;        /* enum blk_op */
    int16_t status;     /* enum blk_status */

    struct blk_req *next;
    uint64_t drv;
} blk_req_t;

/* One writer each (interrupts: the interrupt handler, the others: the owner). Any thread reads. */
typedef struct blk_stats {
    gmk_a64_t submitted;  /* requests taken */
    gmk_a64_t completed;  /* done was called, whatever the status */
    gmk_a64_t errors;     /* of those, with a status other than BLK_OK; each is in one of: */
    gmk_a64_t refused;    /*   wrong request: invalid, range, read-only, unsupported */
    gmk_a64_t device;     /*   BLK_E_DEVICE */
    gmk_a64_t timeouts;   /*   BLK_E_TIMEOUT */
    gmk_a64_t aborted;    /*   BLK_E_RESET, BLK_E_BROKEN, BLK_E_MEMORY */
    gmk_a64_t resets;     /* of the device */
    gmk_a64_t requeued;   /* requests given to the device again after a reset */
    gmk_a64_t spurious;   /* completions without a request; those that come after a reset, too */
    gmk_a64_t lost_irqs;  /* answers found only when time was up */
    gmk_a64_t interrupts; /* that came */
    gmk_a64_t polls;      /* calls of poll */
    gmk_a64_t kicks;      /* times the device was told of new requests */
} blk_stats_t;

typedef struct blk_dev blk_dev_t;

/* What a driver implements. */
typedef struct blk_ops {
    /* Takes the first requests of r[0..n) in order and starts them. returns: how many; fewer
     * than n when `depth` are in flight (try again after a poll). A wrong request, and any
     * request to a broken device, is taken and comes back by poll with its status; done is
     * never called from here. threads: owner. */
    uint32_t (*submit)(blk_dev_t *d, blk_req_t *const *r, uint32_t n);

    /* Calls done for up to max finished requests and looks after deadlines: when one has
     * passed, the device is reset, that request ends with BLK_E_TIMEOUT, and the others in
     * flight are started again once, then end with BLK_E_RESET. returns: how many done calls.
     * Interrupts are off when it returns. Sets d->due_ns. threads: owner. */
    uint32_t (*poll)(blk_dev_t *d, uint32_t max);

    /* Before the owner sleeps: has the device interrupt at its next answer, which then wakes
     * d->park. returns: false when an answer is there already, so poll instead.
     * threads: owner. */
    bool (*arm)(blk_dev_t *d);

    /* Resets the device and makes it ready; requests in flight come back by poll with
     * BLK_E_RESET. Mends a broken device if it can be mended.
     * returns: BLK_OK, BLK_E_BROKEN. threads: owner. */
    int (*reset)(blk_dev_t *d);
} blk_ops_t;

struct blk_dev {
    const blk_ops_t *ops;
    char name[16];        /* "virtio0", "nvme0" */
    char serial[24];      /* what the device says of itself, printable, or "" */
    uint64_t capacity;    /* sectors */
    uint32_t block_bytes; /* of the device; sector and n_sectors must be multiples of it */
    uint32_t depth;       /* requests in flight at most */
    uint32_t max_sectors; /* of one request */
    bool read_only;
    bool can_flush;    /* else a flush ends at once with BLK_OK: there is no cache */
    bool has_irq;      /* else no interrupt wakes d->park: poll */
    gmk_a32_t broken;  /* not 0: every request ends with BLK_E_BROKEN */
    gmk_a32_t owned;   /* see blk_claim */
    uint32_t inflight; /* requests taken and not yet done */
    /* When poll must be called again even if no interrupt comes: the next deadline.
     * BLK_NEVER: not before the next submit. */
    uint64_t due_ns;
    gmk_hal_park_t park; /* the owner sleeps here; blk_irq wakes it, others may too */
    blk_stats_t stats;
};

/* Makes the calling thread the owner. returns: BLK_OK, BLK_E_BUSY. threads: any. */
int blk_claim(blk_dev_t *d);
/* pre: the caller owns d and no request is in flight. */
void blk_release(blk_dev_t *d);

/* Claims d, carries out one request and waits for it by polling.
 * returns: its status, BLK_E_BUSY. threads: any but handlers. blocks: spins. */
int blk_sync(blk_dev_t *d, enum blk_op op, uint64_t sector, uint32_t n_sectors, void *buf);

/* For drivers and models: sets what is the same for all: nothing is due, nobody waits.
 * The rest of *d is filled by the caller, before or after. */
void blk_setup(blk_dev_t *d, const blk_ops_t *ops);

/* For drivers and models: counts an interrupt and wakes the owner. threads: interrupts too. */
void blk_irq(blk_dev_t *d);

/* For drivers and models: whether d may carry r out at now_ns, the driver's time. returns:
 * BLK_OK, or the status to end it with: BLK_E_INVALID, BLK_E_RANGE, BLK_E_READ_ONLY,
 * BLK_E_BROKEN, BLK_E_TIMEOUT: it is late already. */
int blk_check(const blk_dev_t *d, const blk_req_t *r, uint64_t now_ns);

/* For drivers and models: takes r into the books; counts its status and calls its done. */
void blk_begin(blk_dev_t *d, blk_req_t *r);
void blk_finish(blk_dev_t *d, blk_req_t *r, int status);

/* For drivers and models: requests in order, by r->next; zeroed it is empty. */
typedef struct blk_list {
    blk_req_t *head, *tail;
} blk_list_t;

void blk_list_add(blk_list_t *l, blk_req_t *r);
blk_req_t *blk_list_take(blk_list_t *l); /* null: empty */

#endif

/* SPDX-License-Identifier: MIT
 * An NVMe controller: registers, reset, the admin queue, what it says of itself, its one pair of
 * I/O queues. nvme_blk.c makes a block device of it.
 * Floor: drivers. Threads: start, then the device's owner alone.
 * Memory that the device sees exists twice; the two change places at each reset (a generation),
 * so that what a device still writes into the old queues is seen and confused with nothing.
 * Every word read from the device is read once and checked.
 * Source: NVM Express 1.4 sections 3.1, 4, 5, 7.6. */
#ifndef DRIVERS_NVME_NVME_CTRL_H
#define DRIVERS_NVME_NVME_CTRL_H

#include "drivers/blk.h"
#include "drivers/pci/pci.h"

#define NVME_DEPTH 255u /* commands in flight; slot 255 of sequence 255 would be ffffh */
#define NVME_CQ_ENTRIES 1024u
#define NVME_PAGES 33u /* of a request: 128 KiB that begin anywhere in a page */
#define NVME_LIST (NVME_PAGES - 1)

/* A submission queue entry, by double words, and a completion, by double words. */
typedef struct nvme_cmd {
    uint32_t dw[16];
} nvme_cmd_t;

typedef struct nvme_cpl {
    uint32_t dw[4];
} nvme_cpl_t;

/* The pages of one request after its first. 256 bytes, so none crosses a page. */
typedef struct nvme_list {
    uint64_t page[NVME_LIST];
} nvme_list_t;

GMK_STATIC_ASSERT(sizeof(nvme_list_t) == 256, "a list lies within a page");

/* What is in a completion, taken apart. */
typedef struct nvme_answer {
    uint32_t result;
    uint16_t head, queue, id;
    uint16_t status; /* type and code; 0: success */
} nvme_answer_t;

/* A pair of queues. */
typedef struct nvme_pair {
    nvme_cmd_t *sq;
    nvme_cpl_t *cq;
    uint64_t sq_phys, cq_phys;
    volatile uint8_t *sq_bell, *cq_bell;
    uint32_t sq_n, cq_n; /* entries */
    uint32_t tail;       /* of what is written */
    uint32_t rung;       /* of what the device was told */
    uint32_t head;       /* of completions taken */
    uint32_t untold;     /* completions taken that the device was not told of */
    uint32_t sq_head;    /* as the device last said */
    uint32_t phase;      /* of the next completion */
    uint16_t number;
} nvme_pair_t;

/* What the controller and its namespace said at start. */
typedef struct nvme_facts {
    uint32_t nsid;
    uint32_t block_bits; /* 9..12 */
    uint64_t blocks;
    uint32_t max_pages; /* MDTS; UINT32_MAX: no limit */
    bool cache, read_only;
    char serial[21];
} nvme_facts_t;

typedef struct nvme_ctrl {
    const pci_device_t *pci;
    volatile uint8_t *reg;
    uint64_t ready_ns; /* CAP.TO */
    uint32_t bell_bytes;
    uint32_t sq_n, cq_n; /* of the I/O pair */
    bool irq;            /* MSI-X is on, the I/O queue's entry is: */
    uint32_t vector;
    pci_msix_t msix;
    uint16_t admin_id;

    struct {
        uint8_t *mem;
        uint64_t phys;
    } area[2];
    size_t area_bytes;
    uint32_t generation;

    nvme_pair_t admin, io;
    uint8_t *page; /* for what admin commands bring */
    uint64_t page_phys;
    nvme_list_t *list; /* by slot */
    uint64_t list_phys;
} nvme_ctrl_t;

/* Finds the registers and memory for the queues. returns: BLK_OK, BLK_E_BROKEN,
 * BLK_E_UNSUPPORTED, BLK_E_MEMORY. */
int nvme_ctrl_open(nvme_ctrl_t *c, const pci_device_t *pci);
/* Turns interrupts of the I/O queue on, masked: see nvme_ctrl_mask. False: there are none. */
bool nvme_ctrl_use_irq(nvme_ctrl_t *c, const dev_msi_t *msi);
void nvme_ctrl_mask(const nvme_ctrl_t *c, bool masked);
/* Stops it and takes the memory back. */
void nvme_ctrl_close(nvme_ctrl_t *c);

/* Before a reset: takes the I/O pair away if the controller still answers, so that nothing is in
 * flight. (QEMU 7.2 is corrupted by a reset with commands in flight.) */
void nvme_ctrl_retire(nvme_ctrl_t *c);
/* Stops the controller; waits as long as CAP.TO says. returns: BLK_OK, BLK_E_BROKEN. */
int nvme_ctrl_stop(nvme_ctrl_t *c);
/* Starts a stopped controller with the other memory; the admin queue works after it.
 * returns: BLK_OK, BLK_E_BROKEN. */
int nvme_ctrl_start(nvme_ctrl_t *c);
/* Makes the I/O pair. pre: started. returns: BLK_OK, BLK_E_BROKEN, BLK_E_TIMEOUT, or what the
 * device's status means. */
int nvme_ctrl_queues(nvme_ctrl_t *c);
/* Asks the controller and the namespace what they are. pre: started. returns: as above, and
 * BLK_E_UNSUPPORTED. */
int nvme_ctrl_ask(nvme_ctrl_t *c, nvme_facts_t *f);

enum nvme_health { NVME_WELL = 0, NVME_FATAL, NVME_GONE };
/* What the status register says. One slow access. */
enum nvme_health nvme_ctrl_health(const nvme_ctrl_t *c);

/* Queues. ------------------------------------------------------------------------------ */

/* The next free entry, zeroed; seen by the device after nvme_ring. pre: there is room: fewer
 * than sq_n - 1 commands are in flight. */
nvme_cmd_t *nvme_next(nvme_pair_t *p);
/* Tells the device of all entries; false: there were none. */
bool nvme_ring(nvme_pair_t *p);
/* Whether the next completion is there. */
bool nvme_pending(const nvme_pair_t *p);
/* Takes one completion. returns: 1: *a is one; 0: there is none; -1: it is nonsense. */
int nvme_take(nvme_pair_t *p, nvme_answer_t *a);
/* Tells the device which completions were taken, if there are any it was not told of. */
void nvme_told(nvme_pair_t *p);

#endif

/* SPDX-License-Identifier: MIT
 * The disk module: requests are tasks on disk.read and disk.write, completions are tasks on
 * disk.read.resp. It fills the role `nvme` of STD-1 for any block device (blk.h), on any machine.
 * Floor: modules.
 *
 * A request's payload is a disk_msg_t, and behind it, unless `buf` names other memory, its
 * data: count * 512 bytes, to be read into or written from. The answer carries the same payload
 * block with status set (and the data read): nothing is copied or allocated on the way.
 * Answered are all reads, writes and flushes with DISK_ACK, and whatever fails. Answers go to
 * disk.read.resp or to the channel that the request names, in the order of completion.
 * Requests in flight together may be carried out in any order, on one disk and in its cache:
 * one that must come after another is sent after that one's answer. A flush covers the writes
 * answered before it was sent.
 * Back-pressure: at most DISK_QUEUE requests a channel wait in the module, DISK_SLOTS are with
 * the device or have an answer to send; then messages wait, in order, in the channel, and at
 * last emits are refused or park in the senders' outboxes. An answer for a full channel waits
 * for room, and those behind it with it: who asks must take its answers.
 * At halt what is with the module is carried out and the disk is flushed, but answers are no
 * longer sent; requests still in the channels go to sys.dropped.
 * Source: SPEC STD-24, CH-36, BM-36, BM-37; ARCHITECTURE R16, R19, R21. */
#ifndef MODULES_DISK_DISK_H
#define MODULES_DISK_DISK_H

#include "blk.h"

#include "ggmk/ggmk.h"
#include "ggmk/hal.h"
#include "ggmk/prim/spsc.h"

#define DISK_CHAN_READ "disk.read"
#define DISK_CHAN_WRITE "disk.write"
#define DISK_CHAN_RESP "disk.read.resp"

/* Types of messages. */
#define DISK_TYPE_READ 200u  /* on disk.read */
#define DISK_TYPE_WRITE 201u /* on disk.write: writes and flushes */
#define DISK_TYPE_RESP 202u  /* meta0: id; meta1: op << 32 | status as 32 bits */
#define DISK_RESP_STATUS(t) ((int32_t)(uint32_t)(t)->meta1)
#define DISK_RESP_OP(t) ((uint32_t)((t)->meta1 >> 32))

#define DISK_QUEUE 256u /* requests a channel that wait in the module */
#define DISK_SLOTS 256u /* requests that are being carried out or answered */

/* disk_msg_t.flags */
#define DISK_ACK 0x0001u /* answer a write or flush that went well, too */

typedef struct disk_msg {
    uint64_t id; /* the sender's; comes back */
    uint64_t sector;
    uint64_t deadline_ns; /* on the clock of gmk_hal_now_ns; 0: BLK_TIMEOUT_NS */
    uint64_t buf;         /* address of the data, which stays until the answer; 0: behind this */
    uint32_t count;       /* sectors; of a flush 0 */
    uint32_t reply;       /* channel of the answer; 0: disk.read.resp */
    uint16_t op;          /* enum blk_op */
    uint16_t flags;       /* DISK_* */
    int32_t status;       /* of the answer: enum blk_status */
    uint64_t reserved[2];
} disk_msg_t;

GMK_STATIC_ASSERT(sizeof(disk_msg_t) == 64, "data behind a message is aligned");

/* Bytes of the payload of a request whose data stands behind it. */
#define DISK_MSG_BYTES(count) ((uint32_t)sizeof(disk_msg_t) + (uint32_t)(count)*BLK_SECTOR)

typedef struct disk_cfg {
    blk_dev_t *dev;   /* null: every request is answered with BLK_E_NO_DISK */
    uint32_t cpu;     /* of the service thread; GMK_HAL_ANY_CPU */
    uint64_t spin_ns; /* how long it looks for an answer before it sleeps; 0: not at all */
} disk_cfg_t;

/* Counters; any thread reads them. */
typedef struct disk_stats {
    gmk_a64_t requests;   /* taken from the channels */
    gmk_a64_t answers;    /* sent */
    gmk_a64_t unanswered; /* none was asked for */
    gmk_a64_t refused;    /* messages that are no request: no or too short a payload */
    gmk_a64_t unheard;    /* answers that no channel took: closed, or at halt */
    gmk_a64_t stalls;     /* times an answer found its channel full */
    gmk_a64_t sleeps;     /* of the service thread */
} disk_stats_t;

/* Requests on their way from a channel, which the kernel's workers bring, to the thread. */
typedef struct disk_inlet {
    gmk_spsc_t ring;
    gmk_cell_t cell[DISK_QUEUE];
    gmk_chan_sink_t sink;
    struct disk *disk;
    uint32_t chan;
    gmk_a32_t starved; /* the kernel holds more, and waits to be told of room */
} disk_inlet_t;

typedef struct disk_slot {
    blk_req_t r;
    gmk_task_t task; /* the request's, later the answer's */
    uint32_t reply;
    uint32_t next; /* of the free ones */
} disk_slot_t;

/* The module's storage, the caller's, which outlives the kernel; private but for module. */
typedef struct disk {
    gmk_module_t module;
    gmk_chan_decl_t decl[1];
    disk_cfg_t cfg;
    disk_inlet_t in[2]; /* read, write */
    uint32_t resp;      /* channel */
    uint32_t free_slot; /* DISK_SLOTS: none */
    uint32_t n_slots;   /* in use */
    uint32_t turn;      /* which inlet is looked at first */
    bool wrote;         /* since the last flush */
    blk_list_t waiting; /* for room in the device */
    blk_list_t ended;   /* whose answers wait to be sent */
    gmk_hal_park_t own_park, *park;
    gmk_a32_t driving; /* who changes what stands above, and drives the device: one at a time */
    gmk_a32_t asleep, stop;
    gmk_hal_thread_t thread;
    bool watching;      /* the thread hears of answers, and of deadlines within BACKSTOP_NS */
    uint64_t active_ns; /* when the thread last did something */
    bool running;
    bool busy; /* the device had something to do after the thread's last step */
    gmk_kernel_t *kernel;
    gmk_host_t host;
    gmk_ctx_t *ctx; /* the service thread's, once it is attached */
    disk_stats_t stats;
    disk_slot_t slot[DISK_SLOTS];
} disk_t;

/* Makes a module of *d, to be given to gmk_boot. Its init claims the device and starts the
 * service thread; fini ends it and releases the device. init fails, and with it boot: with
 * GMK_E_BUSY when somebody else drives the device, GMK_E_CPU without a thread, or as
 * gmk_chan_open_with. returns: &d->module. threads: one. */
gmk_module_t *disk_module(disk_t *d, const disk_cfg_t *cfg);

#endif

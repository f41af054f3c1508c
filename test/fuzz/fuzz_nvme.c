/* SPDX-License-Identifier: MIT
 * NVMe against a controller that the input plays: it answers well, badly, late or never, writes
 * what it likes into queues, lists and what it says of itself, its registers say what they like,
 * and time passes as it likes. Whatever it does, each request that was taken ends once, in bounded
 * time, and after a reset a controller that keeps the rules again works again.
 * Floor: tests. Source: SPEC BM-37. */
#include "../model_nvme.h"

#include "drivers/nvme/nvme.h"
#include "fuzz.h"

#define SECTORS 1024u
#define JOBS 64u
#define MAX_STEPS 400u

typedef struct job {
    blk_req_t r;
    bool taken;
} job_t;

static uint8_t image[SECTORS * 512];
GMK_ALIGNAS(4096) static uint8_t space[JOBS][33u << 12];
static job_t job[JOBS];
static mn_t dev;
static blk_dev_t *disk;
static bool dirty; /* what the driver wrote cannot be trusted by the model */
static bool lied;

/* A wait of the driver's takes no time of ours. */
static void hurry(void) { gmk_add_ar(&mp.clock, 50000000, GMK_DEV); }

static void on_done(blk_req_t *r)
{
    job_t *j = r->user;

    FUZZ_CHECK(j->taken);
    FUZZ_CHECK(r->status <= 0 && strcmp(blk_status_text(r->status), "unknown status") != 0);
    j->taken = false;
}

static void submit(bytes_t *b)
{
    uint32_t i = take8(b) % JOBS;
    job_t *j = &job[i];
    blk_req_t *r = &j->r;
    uint8_t how = take8(b);

    if (j->taken)
        return;
    *r = (blk_req_t){.op = how % 5 == 4 ? BLK_FLUSH : how % 2, .done = on_done, .user = j};
    if (r->op != BLK_FLUSH) {
        r->sector = take16(b) % 1100u;
        r->n_sectors = take8(b) % 8 == 0 ? take16(b) % 300u : 1 + how / 32u;
        r->buf = space[i] + 4u * how;
    }
    if ((how & 64) != 0)
        r->deadline_ns = dev_now_ns() + 1000000ull * take16(b);
    j->taken = true;
    if (disk->ops->submit(disk, &r, 1) == 0)
        j->taken = false;
}

/* Whether a lie is one whatever happened before. */
static bool is_plain(enum mn_lie lie)
{
    return lie == MN_TWICE || lie == MN_ID_RANGE || lie == MN_QUEUE || lie == MN_HEAD_RANGE ||
           lie == MN_ALL_PHASES || lie == MN_ALL_ONES;
}

/* The first lie must be noticed by the next poll. */
static void answer(bytes_t *b, bool lie)
{
    enum mn_lie which = lie ? (enum mn_lie)(take8(b) % MN_LIES) : MN_TRUTH;
    bool first = !lied;

    if (dirty)
        return;
    if (first && is_plain(which)) /* what it has not read yet could be written over unseen */
        disk->ops->poll(disk, 1000);
    mn_fetch(&dev);
    if (dev.n_held == 0)
        return;
    dev.fail_status = which == MN_ERROR ? take16(b) & 0x7ff : 0;
    lied |= which > MN_ERROR;
    mn_answer(&dev, take8(b) % dev.n_held, which);
    if (first && is_plain(which)) {
        disk->ops->poll(disk, 1000);
        FUZZ_CHECK(gmk_load_acq(&disk->broken, GMK_DEV) != 0);
    }
}

/* A completion as the input has it, in the queue of now or before. */
static void write_completion(bytes_t *b)
{
    uint8_t how = take8(b);
    mn_pair_t *p = (how & 1) != 0 ? &dev.before : &dev.q[1];
    uint32_t dw[4] = {0};

    lied = true;
    dw[2] = take8(b) | ((how & 2) != 0 ? take16(b) : 1u) << 16;
    dw[3] = take8(b) | (uint32_t)take8(b) << 8 | ((how & 4) != 0 ? (uint32_t)take16(b) << 17 : 0);
    for (uint32_t n = 1 + (how >> 4); n > 0 && p->cq_n != 0; n--)
        mn_put(p, dw);
    mn_interrupt(&dev, p);
}

/* Bytes of the device's into any DMA memory. */
static void write_anywhere(bytes_t *b)
{
    uint32_t n = take8(b) % 16u;

    dirty = lied = true;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t at = MP_POOL_PHYS + take32(b) % (256u << 10);

        gmk_store_rlx(mp_host(at), take8(b), GMK_SYS); /* relaxed: one thread */
    }
}

static void misbehave(bytes_t *b)
{
    uint8_t how = take8(b);
    bool on = (how & 8) != 0;

    lied = true;
    switch (how % 8) {
    case 0:
        dev.no_stop = on;
        break;
    case 1:
        dev.no_ready = on;
        break;
    case 2:
        dev.dead_start = on;
        break;
    case 3:
        dev.gone = on;
        break;
    case 4:
        dev.fatal = on;
        break;
    case 5:
        dev.mute_admin = on;
        break;
    case 6:
        dev.admin_lies = on;
        break;
    default:
        dev.fail_opcode = on ? take8(b) % 16u : 0xff;
        dev.fail_status = 6;
    }
}

static void step(bytes_t *b)
{
    uint8_t op = take8(b) % 20;

    if (op < 6)
        submit(b);
    else if (op < 9)
        answer(b, false);
    else if (op == 9)
        answer(b, true);
    else if (op == 10)
        dev.no_irqs = take8(b) % 2 == 0;
    else if (op < 14)
        disk->ops->poll(disk, take8(b) % 70u);
    else if (op == 14)
        gmk_add_ar(&mp.clock, 20000000ull * take8(b), GMK_DEV);
    else if (op == 15)
        disk->ops->arm(disk);
    else if (op == 16 && disk->ops->reset(disk) == BLK_OK)
        dirty = false; /* other, clean memory */
    else if (op == 17)
        write_completion(b);
    else if (op == 18)
        write_anywhere(b);
    else if (op == 19)
        misbehave(b);
}

/* A controller that the input makes up; often an honest one. returns: honest. */
static bool make(bytes_t *b)
{
    uint8_t how = take8(b);
    uint32_t wild = take8(b);

    dev = mn_plain(image, sizeof(image));
    dev.mqes = (4u << how / 32) - 1;
    dev.no_msix = (how & 1) != 0;
    dev.n_vectors = 1 + (how >> 1 & 1);
    dev.cache = (how & 4) != 0;
    dev.block_bits = (how & 8) != 0 ? 12 : 9;
    dev.blocks = sizeof(image) >> dev.block_bits;
    dev.mdts = how >> 4 & 7;
    dev.timeout = 1;
    if (wild < 200)
        return true;
    dev.mqes = take16(b);
    dev.stride = take8(b) % 16;
    dev.mps_min = take8(b) % 2;
    dev.timeout = take8(b) % 4;
    dev.blocks = take_wide(b);
    dev.block_bits = take8(b) % 14;
    dev.mdts = take8(b);
    dev.sqes = take8(b);
    dev.cqes = take8(b);
    dev.no_stop = wild == 255;
    dev.no_ready = wild == 254;
    dev.admin_lies = wild == 253;
    dev.fail_opcode = wild == 252 ? take8(b) % 16u : 0xff;
    dev.eager = false;
    return false;
}

/* Everything ends, however long the device is silent. */
static void settle(void)
{
    for (uint32_t i = 0; i < 50 && disk->inflight != 0; i++) {
        gmk_add_ar(&mp.clock, 70000000000ull, GMK_DEV);
        disk->ops->poll(disk, 1000);
    }
    FUZZ_CHECK(disk->inflight == 0);
    for (uint32_t i = 0; i < JOBS; i++)
        FUZZ_CHECK(!job[i].taken);
    FUZZ_CHECK(gmk_count_get(&disk->stats.submitted) == gmk_count_get(&disk->stats.completed));
}

/* It keeps the rules again. */
static void mend(void)
{
    uint32_t unit = disk->block_bytes / 512, complaints;

    dev.no_stop = dev.no_ready = dev.dead_start = dev.gone = dev.mute_admin = dev.admin_lies =
        false;
    dev.fail_opcode = 0xff;
    complaints = mp.complaints;
    dev.eager = true;
    FUZZ_CHECK(disk->ops->reset(disk) == BLK_OK);
    for (uint32_t i = 0; i < 40; i++) {
        memset(image + (size_t)i * disk->block_bytes, (int)i, disk->block_bytes);
        FUZZ_CHECK(blk_sync(disk, BLK_READ, i * unit, unit, space[0]) == BLK_OK);
        FUZZ_CHECK(space[0][0] == (uint8_t)i && space[0][511] == (uint8_t)i);
    }
    FUZZ_CHECK(mp.complaints == complaints);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    bytes_t b = {.p = data, .n = n};
    bool honest;

    nvme_forget_all();
    blk_forget_all();
    mp_reset();
    mp.tick = hurry;
    memset(job, 0, sizeof(job));
    honest = make(&b);
    dirty = lied = !honest;
    mn_plug(&dev, MN_BAR, 4);
    if (!honest)
        for (uint32_t i = take8(&b) % 16u; i > 0; i--)
            dev.func->cfg[0x34 + take8(&b) % (256 - 0x34)] = take8(&b);
    FUZZ_CHECK(drivers_init() == 1 || !honest);
    disk = blk_find(NULL);
    if (disk == NULL) {
        FUZZ_CHECK(mp.n_live == 0);
        return 0;
    }
    dev.eager = false;
    for (uint32_t i = 0; i < MAX_STEPS && more(&b); i++)
        step(&b);
    FUZZ_CHECK(lied || mp.complaints == 0);
    settle();
    if (honest)
        mend();
    nvme_forget_all();
    FUZZ_CHECK(mp.n_live == 0);
    return 0;
}

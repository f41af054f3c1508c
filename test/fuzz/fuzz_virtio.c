/* SPDX-License-Identifier: MIT
 * virtio-blk against a device that the input plays: it answers well, badly, late or never,
 * writes what it likes into ring, slots and configuration, and time passes as it likes.
 * Whatever it does, each request that was taken ends once, in bounded time, and after a reset
 * a device that keeps the rules again works again.
 * Floor: tests. Source: SPEC BM-34 to BM-37. */
#include "../model_virtio.h"

#include "drivers/virtio/virtio_blk.h"
#include "fuzz.h"

#define SECTORS 1003u
#define JOBS 64u
#define MAX_STEPS 400u

typedef struct job {
    blk_req_t r;
    bool taken;
} job_t;

/* All that is asked for: a device may say that it has more than SECTORS. */
#define ASK_SECTOR 1100u
#define ASK_MANY 300u
static uint8_t image[(ASK_SECTOR + ASK_MANY) * 512];
GMK_ALIGNAS(4096) static uint8_t space[JOBS][33u << 12];
static job_t job[JOBS];
static mv_t dev;
static blk_dev_t *disk;
static bool dirty; /* what the driver wrote cannot be trusted by the model */
static bool lied;

static void on_done(blk_req_t *r)
{
    job_t *j = r->user;

    FUZZ_CHECK(j->taken);
    FUZZ_CHECK(r->status <= 0 && blk_status_text(r->status)[0] != 'u');
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
        r->sector = take16(b) % ASK_SECTOR;
        r->n_sectors = take8(b) % 8 == 0 ? take16(b) % ASK_MANY : 1 + how / 32u;
        r->buf = space[i] + 4u * how;
    }
    if ((how & 64) != 0)
        r->deadline_ns = dev_now_ns() + 1000000ull * take16(b);
    j->taken = true;
    if (disk->ops->submit(disk, &r, 1) == 0)
        j->taken = false;
}

static void answer(bytes_t *b, bool lie)
{
    enum mv_lie which = lie ? (enum mv_lie)(take8(b) % MV_LIES) : MV_TRUTH;

    if (dirty)
        return;
    mv_fetch(&dev);
    if (dev.n_held != 0) {
        lied |= which >= MV_LONG;
        mv_answer(&dev, take8(b) % dev.n_held, which);
    }
}

/* A byte of the device's into DMA memory. */
static void scribble(uint64_t phys, uint8_t v)
{
    if (phys >= MP_POOL_PHYS && phys < MP_POOL_PHYS + MP_POOL_BYTES)
        gmk_store_rlx(mp_host(phys), v, GMK_SYS); /* relaxed: one thread */
}

/* Used ring entries and index as the input has them. */
static void write_used(bytes_t *b)
{
    uint16_t n = 1 + take8(b) % 4u;

    lied = true;
    for (uint16_t i = 0; i < n && dev.enabled; i++) {
        uint64_t at = dev.q.used + 4 + 8u * (dev.used_idx++ & (dev.q.size - 1u));

        scribble(at, take8(b));
        scribble(at + 1, take8(b) % 16);
        scribble(at + 4, take8(b));
        scribble(at + 7, take8(b) == 0 ? 0xff : 0);
    }
    if (take8(b) % 8 == 0)
        dev.used_idx = take16(b);
    if (dev.enabled)
        mv_tell(&dev);
}

static void write_anywhere(bytes_t *b)
{
    uint32_t n = take8(b) % 16u;

    dirty = lied = true;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t at = MP_POOL_PHYS + take32(b) % (256u << 10);

        scribble(at, take8(b));
    }
}

static void misbehave(bytes_t *b)
{
    uint8_t how = take8(b);

    lied = true;
    if (how % 4 == 0)
        dev.no_reset = (how & 4) != 0;
    else if (how % 4 == 1)
        dev.status = take8(b);
    else if (how % 4 == 2)
        dev.refuse = (how & 4) != 0;
    else
        mv_interrupt(&dev);
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
    else if (op == 10 && dev.enabled)
        mv_tell(&dev);
    else if (op < 14)
        disk->ops->poll(disk, take8(b) % 70u);
    else if (op == 14)
        gmk_add_ar(&mp.clock, 20000000ull * take8(b), GMK_DEV);
    else if (op == 15)
        disk->ops->arm(disk);
    else if (op == 16 && disk->ops->reset(disk) == BLK_OK)
        dirty = false; /* other, clean memory */
    else if (op == 17)
        write_used(b);
    else if (op == 18)
        write_anywhere(b);
    else if (op == 19)
        misbehave(b);
}

/* A device that the input makes up; often an honest one. returns: honest. */
static bool make(bytes_t *b)
{
    uint8_t how = take8(b);
    uint32_t wild = take8(b);

    dev = mv_plain((how & 1) != 0, image, SECTORS);
    dev.offers &= (how & 2) != 0 ? ~VIRTIO_F_INDIRECT : UINT64_MAX;
    dev.offers &= (how & 4) != 0 ? ~VIRTIO_F_EVENT_IDX : UINT64_MAX;
    dev.no_msix = (how & 8) != 0;
    dev.queue_max = (uint16_t)(4u << how / 32);
    if (wild < 200)
        return true;
    dev.offers = take64(b);
    dev.capacity = take_wide(b);
    dev.size_max = (uint32_t)take_wide(b);
    dev.seg_max = (uint32_t)take_wide(b);
    dev.blk_size = (uint32_t)take_wide(b);
    dev.queue_max = (uint16_t)take_wide(b);
    dev.no_reset = wild == 255;
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
    uint32_t complaints = mp.complaints;

    dev.no_reset = dev.refuse = false;
    dev.eager = true;
    FUZZ_CHECK(disk->ops->reset(disk) == BLK_OK);
    for (uint32_t i = 0; i < 40; i++) {
        memset(image + 512 * (i % SECTORS), (int)i, 512);
        FUZZ_CHECK(blk_sync(disk, BLK_READ, i % SECTORS, 1, space[0]) == BLK_OK);
        FUZZ_CHECK(space[0][0] == (uint8_t)i && space[0][511] == (uint8_t)i);
    }
    FUZZ_CHECK(mp.complaints == complaints);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    bytes_t b = {.p = data, .n = n};
    bool honest;

    virtio_blk_forget_all();
    blk_forget_all();
    mp_reset();
    memset(job, 0, sizeof(job));
    honest = make(&b);
    dirty = !honest;
    lied = !honest;
    mv_plug(&dev, 0, 4);
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
    virtio_blk_forget_all();
    FUZZ_CHECK(mp.n_live == 0);
    return 0;
}

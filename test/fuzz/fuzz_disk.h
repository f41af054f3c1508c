/* SPDX-License-Identifier: MIT
 * What the fuzz targets of block drivers share: the user's side, and the course of a run. The
 * input plays the device, which is a model of test/; a target says how, by fuzz_disk_t.
 * Whatever the device does, each request that was taken ends once, in bounded time, and after a
 * reset a device that keeps the rules again works again.
 * For one translation unit of a program, after the model. Floor: tests. */
#ifndef TEST_FUZZ_DISK_H
#define TEST_FUZZ_DISK_H

#include "../model_pci.h"
#include "fuzz.h"

#define JOBS 64u
#define MAX_STEPS 400u
/* All that is asked for: a device may say that it has more than it has. */
#define ASK_SECTOR 1100u
#define ASK_MANY 300u

typedef struct fuzz_disk {
    bool (*make)(bytes_t *b); /* a device that the input makes up. returns: an honest one */
    mp_func_t *(*plug)(void);
    void (*act)(bytes_t *b, uint8_t op); /* what the device does: 6..10, 17..19 */
    void (*obey)(void);                  /* it keeps the rules again */
    void (*forget)(void);
    bool *eager; /* it works everything off at once */
} fuzz_disk_t;

typedef struct job {
    blk_req_t r;
    bool taken;
} job_t;

static uint8_t image[(ASK_SECTOR + ASK_MANY) * 512];
GMK_ALIGNAS(4096) static uint8_t space[JOBS][33u << 12];
static job_t job[JOBS];
static blk_dev_t *disk;
static bool dirty; /* what the driver wrote cannot be trusted by the model */
static bool lied;

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

/* Bytes of the device's into any DMA memory. */
static void write_anywhere(bytes_t *b)
{
    dirty = lied = true;
    for (uint32_t n = take8(b) % 16u; n > 0; n--) {
        uint64_t at = MP_POOL_PHYS + take32(b) % (256u << 10);

        gmk_store_rlx(mp_host(at), take8(b), GMK_SYS); /* relaxed: one thread */
    }
}

static void step(const fuzz_disk_t *f, bytes_t *b)
{
    uint8_t op = take8(b) % 20;

    if (op < 6)
        submit(b);
    else if (op > 10 && op < 14)
        disk->ops->poll(disk, take8(b) % 70u);
    else if (op == 14)
        gmk_add_ar(&mp.clock, 20000000ull * take8(b), GMK_DEV);
    else if (op == 15)
        disk->ops->arm(disk);
    else if (op == 16)
        dirty &= disk->ops->reset(disk) != BLK_OK; /* other, clean memory */
    else if (op == 18)
        write_anywhere(b);
    else
        f->act(b, op);
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

static void mend(const fuzz_disk_t *f)
{
    uint32_t unit = disk->block_bytes / 512, complaints;

    f->obey();
    complaints = mp.complaints;
    *f->eager = true;
    FUZZ_CHECK(disk->ops->reset(disk) == BLK_OK);
    for (uint32_t i = 0; i < 40; i++) {
        memset(image + (size_t)i * disk->block_bytes, (int)i, disk->block_bytes);
        FUZZ_CHECK(blk_sync(disk, BLK_READ, i * unit, unit, space[0]) == BLK_OK);
        FUZZ_CHECK(space[0][0] == (uint8_t)i && space[0][511] == (uint8_t)i);
    }
    FUZZ_CHECK(mp.complaints == complaints);
}

static void forget(const fuzz_disk_t *f)
{
    f->forget();
    blk_forget_all();
}

static void run(const fuzz_disk_t *f, bytes_t *b)
{
    mp_func_t *func;
    bool honest;

    forget(f);
    mp_reset();
    memset(job, 0, sizeof(job));
    honest = f->make(b);
    dirty = lied = !honest;
    func = f->plug();
    if (!honest)
        for (uint32_t i = take8(b) % 16u; i > 0; i--)
            func->cfg[0x34 + take8(b) % (256 - 0x34)] = take8(b);
    FUZZ_CHECK(drivers_init() == 1 || !honest);
    disk = blk_find(NULL);
    if (disk == NULL) {
        FUZZ_CHECK(mp.n_live == 0);
        return;
    }
    *f->eager = false;
    for (uint32_t i = 0; i < MAX_STEPS && more(b); i++)
        step(f, b);
    FUZZ_CHECK(lied || mp.complaints == 0);
    settle();
    if (honest)
        mend(f);
    forget(f);
    FUZZ_CHECK(mp.n_live == 0);
}

#endif

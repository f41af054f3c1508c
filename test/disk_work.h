/* SPDX-License-Identifier: MIT
 * The user's side of a test of a block device against a model: requests that count how often
 * they ended, and random work against a shadow of the image. For one translation unit of a
 * program, after model_pci.h; the program says how its device makes a step.
 * Floor: tests. Requests in flight never meet on a sector, so that the shadow knows the answer. */
#ifndef TEST_DISK_WORK_H
#define TEST_DISK_WORK_H

#include "ggmk/test.h"
#include "model_pci.h"

#define WORK_SECTORS 2048u
#define WORK_REQS 1024u
#define WORK_BYTES (33u << 12) /* of a buffer: 128 KiB that begin anywhere in a page */
#define WORK_JOBS 48u          /* of random work */
#define SEC_NS 1000000000ull

typedef struct job {
    blk_req_t r;
    uint32_t n_done;
    uint8_t *buf;
} job_t;

static uint8_t image[WORK_SECTORS * 512], shadow[WORK_SECTORS * 512];
static blk_dev_t *disk;
static job_t job[WORK_REQS];
static uint8_t *space; /* of the buffers */
static bool busy[WORK_SECTORS];
static uint64_t rnd;

static uint32_t below(uint32_t n)
{
    rnd ^= rnd << 13;
    rnd ^= rnd >> 7;
    rnd ^= rnd << 17;
    return (uint32_t)(rnd >> 33) % n;
}

static void on_done(blk_req_t *r) { ((job_t *)r->user)->n_done++; }

static blk_req_t *ask(uint32_t i, enum blk_op op, uint64_t sector, uint32_t n)
{
    job_t *j = &job[i];

    if (j->buf == NULL)
        j->buf = space + (size_t)i * WORK_BYTES + 4 * below(1024);
    j->n_done = 0;
    j->r = (blk_req_t){.op = (uint16_t)op,
                       .sector = sector,
                       .n_sectors = n,
                       .buf = op == BLK_FLUSH ? NULL : j->buf,
                       .done = on_done,
                       .user = j};
    return &j->r;
}

static bool submit(uint32_t i, enum blk_op op, uint64_t sector, uint32_t n)
{
    blk_req_t *r = ask(i, op, sector, n);

    return disk->ops->submit(disk, &r, 1) == 1;
}

static uint32_t poll(void) { return disk->ops->poll(disk, 64); }

static void later(uint64_t ns) { gmk_add_ar(&mp.clock, ns, GMK_DEV); }

static bool ended(uint32_t i, int status)
{
    return gmk_test_assert_eq(job[i].n_done, 1) && gmk_test_assert_eq(job[i].r.status, status);
}

static uint64_t stat(const gmk_a64_t *s) { return gmk_count_get(s); }

static void work_clean(void)
{
    mp_reset();
    memset(image, 0, sizeof(image));
    memset(shadow, 0, sizeof(shadow));
    memset(job, 0, sizeof(job));
    memset(busy, 0, sizeof(busy));
    if (space == NULL)
        space = aligned_alloc(4096, (size_t)WORK_REQS * WORK_BYTES);
    rnd = gmk_test_seed() * 0x9e3779b97f4a7c15ull | 1;
}

/* The books are right and the driver kept the rules. */
static void work_check(void)
{
    const blk_stats_t *s = &disk->stats;

    gmk_test_assert_eq(disk->inflight, 0);
    gmk_test_assert_eq(stat(&s->submitted), stat(&s->completed));
    gmk_test_assert_eq(stat(&s->errors), stat(&s->refused) + stat(&s->device) + stat(&s->timeouts) +
                                             stat(&s->aborted));
    if (!gmk_test_assert_eq(mp.complaints, 0))
        gmk_test_print(mp.complaint);
}

/* Random work. ------------------------------------------------------------------------------ */

static void mark(const blk_req_t *r, bool on)
{
    for (uint32_t i = 0; i < r->n_sectors; i++)
        busy[r->sector + i] = on;
}

static bool is_free(uint64_t sector, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (busy[sector + i])
            return false;
    return true;
}

/* Starts a random request that meets no other one. returns: it did. */
static bool start_random(uint32_t i)
{
    uint32_t unit = disk->block_bytes / 512;
    uint32_t n = below(4) != 0 ? 1 + below(16) : 1 + below(disk->max_sectors);
    enum blk_op op = below(20) == 0 ? BLK_FLUSH : below(2) == 0 ? BLK_READ : BLK_WRITE;
    uint32_t sector;
    blk_req_t *r;

    n = (n + unit - 1) / unit * unit;
    if (n > disk->max_sectors)
        n = disk->max_sectors;
    sector = below((uint32_t)disk->capacity - n + 1) / unit * unit;
    if (op == BLK_FLUSH)
        sector = n = 0;
    if (!is_free(sector, n))
        return false;
    r = ask(i, op, sector, n);
    for (uint32_t k = 0; k < n * 512; k++)
        job[i].buf[k] = op == BLK_WRITE ? (uint8_t)below(256) : 0xee;
    if (disk->ops->submit(disk, &r, 1) == 0)
        return false;
    mark(r, true);
    return true;
}

/* A request has ended: compares, or takes over what it wrote. */
static void settle(uint32_t i)
{
    const blk_req_t *r = &job[i].r;
    size_t n = (size_t)r->n_sectors * 512;

    ended(i, BLK_OK);
    if (r->op == BLK_READ)
        gmk_test_assert(memcmp(job[i].buf, shadow + r->sector * 512, n) == 0);
    else if (r->op == BLK_WRITE)
        memcpy(shadow + r->sector * 512, job[i].buf, n);
    mark(r, false);
}

static void random_work(uint32_t n_steps, void (*device_step)(void))
{
    size_t bytes = (size_t)disk->capacity * 512;
    bool live[WORK_JOBS] = {false};
    uint32_t n = 0;

    memset(busy, 0, sizeof(busy));
    for (size_t i = 0; i < bytes; i++)
        image[i] = shadow[i] = (uint8_t)below(256);
    for (uint32_t step = 0; step < n_steps || n > 0; step++) {
        uint32_t i = below(WORK_JOBS);

        if (step < n_steps && !live[i] && start_random(i)) {
            live[i] = true;
            n++;
        }
        device_step();
        if (below(2) == 0)
            disk->ops->poll(disk, 1 + below(5));
        for (i = 0; i < WORK_JOBS; i++)
            if (live[i] && job[i].n_done != 0) {
                settle(i);
                live[i] = false;
                n--;
            }
    }
    gmk_test_assert(memcmp(image, shadow, bytes) == 0);
}

/* The owner's part beside a device on a thread: keeps n_jobs in flight, sleeps when there is
 * nothing to do. */
static uint32_t drive(uint32_t n_jobs, uint32_t n_total)
{
    uint32_t started = 0, settled = 0;
    bool live[WORK_JOBS] = {false};

    while (settled < n_total) {
        uint32_t seen = gmk_hal_park_word(&disk->park);

        for (uint32_t i = 0; i < n_jobs; i++) {
            if (live[i] && job[i].n_done != 0) {
                settle(i);
                live[i] = false;
                settled++;
            }
            if (!live[i] && started < n_total && start_random(i)) {
                live[i] = true;
                started++;
            }
        }
        if (settled < n_total && poll() == 0 && disk->ops->arm(disk))
            gmk_hal_park_wait(&disk->park, seen, 5 * SEC_NS);
    }
    return settled;
}

#endif

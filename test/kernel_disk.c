/* SPDX-License-Identifier: MIT
 * Real drivers on QEMU's devices: every block device that the machine has, asleep and polled,
 * and the disk module on the first. Disks are written only if the command line says
 * `destructive`; without a disk, or without that word, tests are skipped by name.
 * Floor: tests. Source: SPEC BM-32 to BM-37, STD-24, ACC-24. */
#include "arch/x86_64/boot/boot.h"
#include "drivers/drivers.h"
#include "kernel_env.h"
#include "modules/disk/disk.h"

#define JOBS 32u
#define JOB_SECTORS 64u
#define WAIT_NS 10000000000ull

static blk_dev_t *dev; /* the one under test */

typedef struct job {
    blk_req_t r;
    uint32_t n_done;
    uint8_t *buf;
    bool live;
} job_t;

static job_t job[JOBS];
static uint8_t *space, *shadow;
static bool *busy;
static uint64_t rnd;

static uint32_t below(uint32_t n)
{
    rnd ^= rnd << 13;
    rnd ^= rnd >> 7;
    rnd ^= rnd << 17;
    return (uint32_t)(rnd >> 33) % n;
}

static bool same(const uint8_t *a, const uint8_t *b, size_t n)
{
    size_t i = 0;

    while (i < n && a[i] == b[i])
        i++;
    return i == n;
}

/* The machine's disks, looked for once. returns: how many; else the test is skipped. */
static uint32_t disks(bool to_write)
{
    static bool looked;
    char word[4];

    if (!looked)
        (void)drivers_init();
    looked = true;
    rnd = gmk_test_seed() * 0x9e3779b97f4a7c15ull | 1;
    if (blk_count() == 0)
        gmk_test_skip("the machine has no disk");
    else if (to_write && !boot_option("destructive", word, sizeof(word)))
        gmk_test_skip("the disk may not be written: the word `destructive` is missing");
    else
        return blk_count();
    return 0;
}

static void on_done(blk_req_t *r) { ((job_t *)r->user)->n_done++; }

static bool submit(uint32_t i, enum blk_op op, uint64_t sector, uint32_t n)
{
    job_t *j = &job[i];
    blk_req_t *r = &j->r;

    j->buf = space + (size_t)i * (JOB_SECTORS + 8) * BLK_SECTOR + 4 * below(1024);
    j->n_done = 0;
    j->r = (blk_req_t){.op = (uint16_t)op,
                       .sector = sector,
                       .n_sectors = n,
                       .buf = op == BLK_FLUSH ? NULL : j->buf,
                       .done = on_done,
                       .user = j};
    for (uint32_t k = 0; k < n * BLK_SECTOR; k++)
        j->buf[k] = op == BLK_WRITE ? (uint8_t)below(256) : 0xee;
    return dev->ops->submit(dev, &r, 1) == 1;
}

/* Takes answers; asleep: waits for an interrupt if there are none. */
static void take(bool asleep)
{
    uint32_t seen = gmk_hal_park_word(&dev->park);

    if (dev->ops->poll(dev, JOBS) != 0 || dev->inflight == 0)
        return;
    if (!asleep)
        gmk_hal_relax();
    else if (dev->has_irq && dev->ops->arm(dev))
        gmk_hal_park_wait(&dev->park, seen, WAIT_NS);
}

static bool begin(uint32_t i)
{
    dev = blk_get(i);
    gmk_hal_memset(job, 0, sizeof(job));
    space = gmk_hal_page_alloc((size_t)JOBS * (JOB_SECTORS + 8) * BLK_SECTOR + 4096, 4096);
    shadow = gmk_hal_page_alloc(dev->capacity * BLK_SECTOR, 4096);
    busy = gmk_hal_calloc(dev->capacity, sizeof(*busy));
    return gmk_test_assert(space != NULL && shadow != NULL && busy != NULL) &&
           gmk_test_assert_eq(blk_claim(dev), BLK_OK);
}

static void finish(void)
{
    gmk_test_assert_eq(dev->inflight, 0);
    gmk_test_assert_eq(gmk_count_get(&dev->stats.submitted), gmk_count_get(&dev->stats.completed));
    gmk_test_assert_eq(gmk_count_get(&dev->stats.spurious), 0);
    blk_release(dev);
    gmk_hal_page_free(space, (size_t)JOBS * (JOB_SECTORS + 8) * BLK_SECTOR + 4096);
    gmk_hal_page_free(shadow, dev->capacity * BLK_SECTOR);
    gmk_hal_free(busy);
}

/* The whole disk into the shadow, or beside it. */
static void read_all(bool compare)
{
    for (uint64_t at = 0; at < dev->capacity; at += JOB_SECTORS) {
        uint64_t left = dev->capacity - at;
        uint32_t n = left < JOB_SECTORS ? (uint32_t)left : JOB_SECTORS;

        GMK_REQUIRE(submit(0, BLK_READ, at, n));
        while (job[0].n_done == 0)
            take(false);
        gmk_test_assert_eq(job[0].r.status, BLK_OK);
        if (compare)
            gmk_test_assert(same(shadow + at * BLK_SECTOR, job[0].buf, n * BLK_SECTOR));
        else
            gmk_hal_memcpy(shadow + at * BLK_SECTOR, job[0].buf, n * BLK_SECTOR);
    }
}

static bool mark(uint64_t sector, uint32_t n, bool on)
{
    for (uint32_t i = 0; on && i < n; i++)
        if (busy[sector + i])
            return false;
    for (uint32_t i = 0; i < n; i++)
        busy[sector + i] = on;
    return true;
}

static bool start_random(uint32_t i, bool writes)
{
    uint32_t u = dev->block_bytes / BLK_SECTOR;
    uint32_t n = u * (1 + below(below(3) == 0 || u > 1 ? JOB_SECTORS / u : 8));
    uint64_t sector = (uint64_t)u * below(((uint32_t)dev->capacity - n) / u + 1);
    enum blk_op op = !writes || below(2) == 0 ? BLK_READ : BLK_WRITE;

    if (writes && below(40) == 0) {
        op = BLK_FLUSH;
        sector = n = 0;
    }
    if (!mark(sector, n, true))
        return false;
    if (submit(i, op, sector, n))
        return true;
    mark(sector, n, false);
    return false;
}

static void settle(job_t *j)
{
    const blk_req_t *r = &j->r;
    size_t n = (size_t)r->n_sectors * BLK_SECTOR;

    gmk_test_assert_eq(j->n_done, 1);
    gmk_test_assert_eq(r->status, BLK_OK);
    if (r->op == BLK_READ)
        gmk_test_assert(same(shadow + r->sector * BLK_SECTOR, j->buf, n));
    else if (r->op == BLK_WRITE)
        gmk_hal_memcpy(shadow + r->sector * BLK_SECTOR, j->buf, n);
    mark(r->sector, r->n_sectors, false);
    j->live = false;
}

/* n random requests, up to `most` at a time. */
static void random_work(uint32_t n, uint32_t most, bool writes, bool asleep)
{
    uint32_t started = 0, settled = 0;

    while (settled < n) {
        for (uint32_t i = 0; i < most; i++) {
            if (job[i].live && job[i].n_done != 0) {
                settle(&job[i]);
                settled++;
            }
            if (!job[i].live && started < n && start_random(i, writes)) {
                job[i].live = true;
                started++;
            }
        }
        take(asleep);
    }
}

/* BM-36, HAL-8: QEMU's own devices. */
GMK_TEST(kernel_disk_reads_are_right_asleep_and_polled)
{
    uint32_t n = disks(false);

    for (uint32_t i = 0; i < n; i++) {
        uint64_t irqs;

        GMK_REQUIRE(begin(i));
        gmk_test_print(dev->name);
        gmk_test_print_u64(" sectors", dev->capacity);
        read_all(false);
        read_all(true);
        random_work(300, JOBS, false, false);
        irqs = gmk_count_get(&dev->stats.interrupts);
        random_work(100, 1, false, true);
        random_work(300, JOBS, false, true);
        if (dev->has_irq)
            gmk_test_assert_gt(gmk_count_get(&dev->stats.interrupts), irqs);
        gmk_test_print_u64(" lost interrupts", gmk_count_get(&dev->stats.lost_irqs));
        finish();
    }
}

/* ACC-24. */
GMK_TEST(kernel_disk_random_work_matches_shadow)
{
    uint32_t n = disks(true);

    for (uint32_t i = 0; i < n; i++) {
        GMK_REQUIRE(begin(i));
        read_all(false);
        random_work(1500, JOBS, true, false);
        random_work(500, JOBS, true, true);
        random_work(50, 1, true, true);
        read_all(true);
        finish();
    }
}

/* BM-37. */
GMK_TEST(kernel_disk_edges_are_refused)
{
    uint32_t n = disks(false);

    for (uint32_t i = 0; i < n; i++) {
        GMK_ALIGNAS(64) static uint8_t buf[2 * 65536];
        uint32_t u;

        dev = blk_get(i);
        u = dev->block_bytes / BLK_SECTOR;
        gmk_test_assert_eq(blk_sync(dev, BLK_READ, dev->capacity - u, u, buf), BLK_OK);
        gmk_test_assert_eq(blk_sync(dev, BLK_READ, dev->capacity, u, buf), BLK_E_RANGE);
        gmk_test_assert_eq(blk_sync(dev, BLK_READ, dev->capacity - u, 2 * u, buf), BLK_E_RANGE);
        gmk_test_assert_eq(blk_sync(dev, BLK_WRITE, dev->capacity, u, buf), BLK_E_RANGE);
        gmk_test_assert_eq(blk_sync(dev, BLK_READ, 0, 0, buf), BLK_E_INVALID);
        gmk_test_assert_eq(blk_sync(dev, BLK_READ, 0, u, NULL), BLK_E_INVALID);
    }
}

GMK_TEST(kernel_disk_reset_under_load_ends_every_request)
{
    uint32_t n = disks(false);

    for (uint32_t i = 0; i < n; i++) {
        GMK_REQUIRE(begin(i));
        read_all(false);
        for (uint32_t round = 0; round < 20; round++) {
            uint32_t k = 0;

            while (k < JOBS && submit(k, BLK_READ, 8 * k, 8))
                k++;
            gmk_test_assert_eq(dev->ops->reset(dev), BLK_OK);
            while (dev->inflight != 0)
                take(false);
            for (uint32_t j = 0; j < k; j++)
                gmk_test_assert(job[j].n_done == 1 &&
                                (job[j].r.status == BLK_E_RESET || job[j].r.status == BLK_OK));
            random_work(20, JOBS, false, round % 2 == 0);
        }
        finish();
    }
}

/* The module. ------------------------------------------------------------------------------- */

enum { GO = 1 };

static gmk_kernel_t kernel;
static disk_t disk;
static uint32_t chan_read;
static gmk_a32_t answers, right, to_ask;
static gmk_hal_park_t waiter; /* the test sleeps, so that it takes no processor's time */
#define BLOCKS 64u            /* that are asked for */
#define DEPTH 32u
#define ALONE 200u
#define TOGETHER 2000u
static uint8_t expected[BLOCKS][BLK_SECTOR]; /* the first sector of each */

static uint32_t unit(void) { return dev->block_bytes / BLK_SECTOR; }

/* Asks for block id. */
static int ask(gmk_ctx_t *ctx, uint64_t id)
{
    gmk_task_t t = {.type = DISK_TYPE_READ, .flags = GMK_PRIO_NORMAL};
    disk_msg_t *m = gmk_payload_alloc(ctx, DISK_MSG_BYTES(unit()));
    int rc;

    if (m == NULL)
        return GMK_FAIL(2);
    *m = (disk_msg_t){.id = id, .sector = id * unit(), .count = unit()};
    gmk_task_set_payload(&t, m);
    rc = gmk_chan_emit(ctx, chan_read, &t);
    if (rc != GMK_OK)
        gmk_payload_release_ptr(ctx, m);
    return rc == GMK_OK ? GMK_OK : GMK_FAIL(3);
}

GMK_HANDLER(on_go) { return ask(ctx, ctx->task->meta0); }

/* An answer; it asks for the next block while there is one left to ask for. */
GMK_HANDLER(on_answer)
{
    const disk_msg_t *m = (const disk_msg_t *)(uintptr_t)ctx->task->payload_ptr;
    uint32_t left = kit_get(&to_ask);

    kit_add(&right, DISK_RESP_STATUS(ctx->task) == BLK_OK &&
                        same(expected[m->id], (const uint8_t *)(m + 1), BLK_SECTOR));
    if (left != 0) {
        kit_set(&to_ask, left - 1); /* answers come one at a time */
        (void)ask(ctx, left % BLOCKS);
    }
    kit_add(&answers, 1);
    gmk_hal_park_wake(&waiter);
    return GMK_OK;
}

static bool wait_for(uint32_t n)
{
    uint64_t end = gmk_hal_now_ns() + WAIT_NS;

    for (;;) {
        uint32_t seen = gmk_hal_park_word(&waiter);

        if (kit_get(&answers) >= n)
            return true;
        if (gmk_hal_now_ns() > end)
            return false;
        gmk_hal_park_wait(&waiter, seen, WAIT_NS);
    }
}

static int client_init(gmk_ctx_t *ctx)
{
    chan_read = (uint32_t)gmk_chan_find(ctx, DISK_CHAN_READ);
    return GMK_OK;
}

static gmk_handler_reg_t handlers[] = {{.type = GO, .fn = on_go, .name = "go"},
                                       {.type = DISK_TYPE_RESP, .fn = on_answer, .name = "answer"}};
static gmk_chan_decl_t channels[] = {
    {.name = DISK_CHAN_READ, .direction = GMK_CHAN_PRODUCE, .msg_type = DISK_TYPE_READ},
    {.name = DISK_CHAN_RESP, .direction = GMK_CHAN_CONSUME, .msg_type = DISK_TYPE_RESP}};
static gmk_module_t client = {.name = "client",
                              .handlers = handlers,
                              .n_handlers = 2,
                              .channels = channels,
                              .n_channels = 2,
                              .init = client_init};

/* Requests through the module on one device; prints how long one takes alone. */
static void through_module(blk_dev_t *d, uint64_t spin_ns)
{
    disk_cfg_t cfg = {.dev = d, .cpu = GMK_HAL_ANY_CPU, .spin_ns = spin_ns};
    gmk_boot_cfg_t boot = {.n_workers = gmk_hal_cpu_count(), .arena_size = 8u << 20};
    gmk_module_t *mods[2] = {disk_module(&disk, &cfg), &client};
    GMK_ALIGNAS(64) static uint8_t block[65536];
    uint64_t begin_ns;

    dev = d;
    for (uint32_t i = 0; i < BLOCKS; i++) {
        gmk_test_assert_eq(blk_sync(d, BLK_READ, (uint64_t)i * unit(), unit(), block), BLK_OK);
        gmk_hal_memcpy(expected[i], block, BLK_SECTOR);
    }
    kit_set(&answers, 0);
    kit_set(&right, 0);
    kit_set(&to_ask, 0);
    gmk_hal_park_init(&waiter);
    if (!kit_boot_mods(&kernel, &boot, mods, 2))
        return;
    begin_ns = gmk_hal_now_ns();
    for (uint32_t i = 0; i < ALONE && kit_get(&answers) == i; i++) {
        kit_submit(&kernel, kit_task(GO, GMK_PRIO_NORMAL, i % BLOCKS));
        gmk_test_assert(wait_for(i + 1));
    }
    gmk_test_print_u64(" one at a time, ns", (gmk_hal_now_ns() - begin_ns) / ALONE);
    kit_set(&to_ask, TOGETHER - DEPTH);
    begin_ns = gmk_hal_now_ns();
    for (uint32_t i = 0; i < DEPTH; i++)
        kit_submit(&kernel, kit_task(GO, GMK_PRIO_NORMAL, i));
    gmk_test_assert(wait_for(ALONE + TOGETHER));
    gmk_test_print_u64(" 32 at a time, ns", (gmk_hal_now_ns() - begin_ns) / TOGETHER);
    gmk_test_print_u64(" sleeps", gmk_count_get(&disk.stats.sleeps));
    gmk_test_print_u64(" interrupts", gmk_count_get(&d->stats.interrupts));
    gmk_test_print_u64(" lost", gmk_count_get(&d->stats.lost_irqs));
    kit_halt(&kernel);
    gmk_test_assert_eq(kit_get(&right), ALONE + TOGETHER);
}

GMK_TEST(kernel_disk_module_answers_from_every_device)
{
    uint32_t n = disks(false);

    for (uint32_t i = 0; i < n; i++) {
        gmk_test_print(blk_get(i)->name);
        through_module(blk_get(i), 0);
        through_module(blk_get(i), 50000);
    }
}

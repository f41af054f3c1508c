/* SPDX-License-Identifier: MIT
 * run=bench bench=boot|lat|blk ms=N [check]: the kernel's side of `make bench-qemu`.
 * Floor: arch. What a row means and what Linux does for it: bench/qemu/README.md.
 * Source: SPEC O; ARCHITECTURE R20. */
#include "arch/x86_64/boot/boot.h"
#include "arch/x86_64/cpu/clock.h"
#include "arch/x86_64/jobs/jobs.h"
#include "arch/x86_64/memory/memops.h"
#include "arch/x86_64/memory/vmm.h"
#include "arch/x86_64/serial/kprintf.h"
#include "arch/x86_64/smp/thread.h"
#include "drivers/blk.h"

enum { FIRST = 1, PING };

#define PASSES 5u
#define TRIPS_HALTED 2000u
#define TRIPS_HOT 50000u
#define FAULT_PAGES 4096u
#define HALT_NS 1000000u
#define WAIT_NS 60000000000ull

static void row(const char *name, uint64_t value, const char *unit)
{
    kprintf("bench: %s\t%lu\t%s\n", name, value, unit);
}

/* Tasks. ------------------------------------------------------------------------- */

/* One task goes to and fro, so one handler at a time touches this. */
typedef struct ping {
    bool halting;
    uint64_t sent_ns, spent_ns, n_halted;
} ping_t;

static gmk_kernel_t kernel;
static ping_t ping;

GMK_HANDLER(on_first)
{
    (void)ctx;
    kprintf("ggmk: first task\n");
    return GMK_OK;
}

/* There and back: meta0 counts the ways left. Where the way goes to a processor that shall
 * halt, it is sent once that one does (or has had time enough to), and begins then. */
GMK_HANDLER(on_ping)
{
    gmk_task_t t = *ctx->task;
    uint64_t now = clock_now_ns();

    if (t.meta1 != 0)
        ping.spent_ns += now - ping.sent_ns;
    if (t.meta0-- == 0)
        return GMK_OK;
    t.meta1 = 1;
    while (ping.halting && !x86_cpu_halts(ctx->worker_id ^ 1) && clock_now_ns() - now < HALT_NS)
        x86_spin();
    ping.n_halted += ping.halting && x86_cpu_halts(ctx->worker_id ^ 1);
    ping.sent_ns = clock_now_ns();
    return gmk_emit_to(ctx, &t, ctx->worker_id ^ 1);
}

static gmk_handler_reg_t handlers[] = {{.type = FIRST, .fn = on_first, .name = "first"},
                                       {.type = PING, .fn = on_ping, .name = "ping"}};
static gmk_module_t module = {.name = "bench", .handlers = handlers, .n_handlers = 2};

static bool begin(uint32_t n_workers, uint64_t spin_ns)
{
    gmk_boot_cfg_t cfg = {.n_workers = n_workers,
                          .arena_size = 4u << 20,
                          .spin_ns = spin_ns,
                          .flags = GMK_BOOT_PIN_WORKERS};
    gmk_module_t *mods[] = {&module};
    int rc = gmk_boot(&kernel, &cfg, mods, 1);

    if (rc != GMK_OK)
        kprintf("bench: gmk_boot: %s\n", gmk_strerror(rc));
    return rc == GMK_OK;
}

static bool end(void) { return gmk_halt(&kernel) == GMK_OK; }

static bool first_task(void)
{
    gmk_task_t t = {.type = FIRST, .flags = GMK_PRIO_NORMAL};

    if (!begin(gmk_hal_cpu_count(), 0))
        return false;
    return gmk_submit(&kernel, &t) == GMK_OK && gmk_wait_idle(&kernel, WAIT_NS) == GMK_OK && end();
}

/* Nanoseconds a round trip of one task between two workers: two ways, each from its emit to
 * the first instruction of its handler. */
static bool round_trips(const char *name, bool halting, uint32_t trips)
{
    gmk_task_t t = {.type = PING, .flags = GMK_PRIO_NORMAL};
    uint64_t ns[PASSES];

    if (!begin(2, halting ? 1 : 1000000000))
        return false;
    ping = (ping_t){.halting = halting};
    for (uint32_t i = 0; i < PASSES; i++) {
        t.meta0 = 2 * trips;
        ping.spent_ns = 0;
        if (gmk_submit_to(&kernel, &t, 0) != GMK_OK || gmk_wait_idle(&kernel, WAIT_NS) != GMK_OK)
            return false;
        ns[i] = ping.spent_ns / trips;
    }
    row(name, clock_median(ns, PASSES), "ns");
    if (halting)
        kprintf("bench-how: %lu of %u ways went to a CPU that halted\n", ping.n_halted,
                2 * trips * PASSES);
    return end();
}

/* Memory. ------------------------------------------------------------------------- */

/* First touches of memory whose frames were in use before. */
static bool page_faults(void)
{
    uint64_t ns[PASSES + 1];

    for (uint32_t pass = 0; pass <= PASSES; pass++) { /* the first warms the frames */
        volatile uint8_t *p = vmm_area_alloc(FAULT_PAGES * 4096u, 0, 0);
        uint64_t t0 = clock_now_ns();

        if (p == NULL)
            return false;
        for (uint32_t i = 0; i < FAULT_PAGES; i++)
            p[(size_t)i * 4096] = 1;
        ns[pass] = (clock_now_ns() - t0) / FAULT_PAGES;
        if (vmm_area_free((void *)(uintptr_t)p, FAULT_PAGES * 4096u) != 0)
            return false;
    }
    row("page_fault", clock_median(ns + 1, PASSES), "ns");
    return true;
}

static bool latencies(void)
{
    bool ok = true;

    if (gmk_hal_cpu_count() >= 2) {
        ok &= round_trips("task_round_trip_halted", true, TRIPS_HALTED);
        ok &= round_trips("task_round_trip_hot", false, TRIPS_HOT);
    }
    return page_faults() && ok;
}

/* The disk. ----------------------------------------------------------------------- */

#define MAX_DEPTH 32u
#define SILENT 1024u /* polls in vain; less than 100 us */
#define PAGE_SECTORS 8u

typedef struct load {
    blk_dev_t *dev;
    uint32_t depth, n_sectors;
    bool random, check;
    uint64_t sectors; /* of the disk, whole requests */
    uint64_t next, seed, n_done, n_bad, end_ns;
    blk_req_t req[MAX_DEPTH], *ready[MAX_DEPTH];
    uint32_t n_ready;
    uint8_t *memory;
} load_t;

static load_t l;

static uint64_t draw(void)
{
    l.seed ^= l.seed << 13;
    l.seed ^= l.seed >> 7;
    l.seed ^= l.seed << 17;
    return l.seed;
}

static uint64_t place(void)
{
    uint64_t n = l.sectors / l.n_sectors;

    return (l.random ? draw() % n : l.next++ % n) * l.n_sectors;
}

/* Whether each block of 4 KiB begins with its number. */
static bool is_right(const blk_req_t *r)
{
    for (uint32_t i = 0; i < r->n_sectors; i += PAGE_SECTORS)
        if (*(const uint64_t *)((const uint8_t *)r->buf + (size_t)i * BLK_SECTOR) !=
            (r->sector + i) / PAGE_SECTORS)
            return false;
    return true;
}

/* Starts what is ready to go, in one piece: a device is told once. */
static void submit_ready(void)
{
    uint32_t n = l.n_ready, done = 0;

    while (done < n)
        done += l.dev->ops->submit(l.dev, l.ready + done, n - done);
    l.n_ready = 0;
}

static void ready(blk_req_t *r)
{
    r->sector = place();
    l.ready[l.n_ready++] = r;
}

static void done(blk_req_t *r)
{
    l.n_done++;
    l.n_bad += r->status != BLK_OK || (l.check && !is_right(r));
    if (clock_now_ns() < l.end_ns)
        ready(r);
}

/* Polls until nothing is in flight. No pause until the device has been silent for a while: an
 * emulator's pause takes the lock that the threads want which serve the device. */
static void poll_all(void)
{
    uint32_t in_vain = 0;

    while (l.dev->inflight != 0) {
        if (l.dev->ops->poll(l.dev, MAX_DEPTH) != 0)
            in_vain = 0;
        else if (++in_vain > SILENT)
            x86_pause();
        submit_ready();
    }
}

/* Requests for ms milliseconds, depth at a time, polled for. returns: how many a second. */
static uint64_t run_load(uint64_t ms)
{
    size_t bytes = (size_t)l.n_sectors * BLK_SECTOR;
    uint64_t t0 = clock_now_ns();

    l.n_done = 0;
    l.next = 0;
    l.seed = 88172645463325252ull;
    l.end_ns = t0 + ms * 1000000;
    for (uint32_t i = 0; i < l.depth; i++) {
        l.req[i] = (blk_req_t){
            .op = BLK_READ, .n_sectors = l.n_sectors, .buf = l.memory + i * bytes, .done = done};
        ready(&l.req[i]);
    }
    submit_ready();
    poll_all();
    return l.n_done * 1000000000 / (clock_now_ns() - t0);
}

static void blk_row(const char *name, uint32_t depth, uint32_t n_sectors, bool random)
{
    uint64_t ms = boot_option_u64("ms", 1000), rate;

    l.depth = depth;
    l.n_sectors = n_sectors;
    l.random = random;
    l.sectors = l.dev->capacity / n_sectors * n_sectors;
    rate = run_load(ms);
    if (random)
        row(name, rate, "IO/s");
    else
        row(name, rate * n_sectors * BLK_SECTOR / 1000000, "MB/s");
}

static bool disk(void)
{
    char word[4];

    l.dev = blk_find(NULL);
    if (l.dev == NULL || blk_claim(l.dev) != BLK_OK) {
        kprintf("bench: there is no disk to measure\n");
        return false;
    }
    l.check = boot_option("check", word, sizeof(word));
    l.memory = vmm_area_alloc(MAX_DEPTH * 256 * BLK_SECTOR, 0, VMM_POPULATE);
    if (l.memory == NULL || l.dev->depth < MAX_DEPTH || l.dev->max_sectors < 256)
        return false;
    kprintf("bench-how: ours polls the device; no interrupt while requests are in flight\n");
    blk_row("blk_rand4k_qd1", 1, PAGE_SECTORS, true);
    blk_row("blk_rand4k_qd32", MAX_DEPTH, PAGE_SECTORS, true);
    blk_row("blk_seq128k_qd8", 8, 256, false);
    if (l.n_bad != 0)
        kprintf("bench: %lu requests failed or read other bytes\n", l.n_bad);
    return l.n_bad == 0;
}

int job_bench(void)
{
    char what[8];

    boot_option("bench", what, sizeof(what));
    if (strncmp(what, "boot", 5) == 0)
        return !first_task();
    if (strncmp(what, "lat", 4) == 0)
        return !latencies();
    if (strncmp(what, "blk", 4) == 0)
        return !disk();
    kprintf("bench: bench=%s is none of boot, lat, blk\n", what);
    return 2;
}

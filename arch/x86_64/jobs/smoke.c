/* SPDX-License-Identifier: MIT
 * Smoke tests of a booted machine: a line each, `[PASS] smoke_...`.
 * Floor: arch. They touch the disk by reading; with the word `destructive` on the command line
 * its last sector is also written, read back and put back as it was.
 * Source: SPEC BM-7, ACC-23 to ACC-25, ACC-28. */
#include "arch/x86_64/boot/boot.h"
#include "arch/x86_64/cpu/clock.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/jobs/jobs.h"
#include "arch/x86_64/memory/memops.h"
#include "arch/x86_64/memory/vmm.h"
#include "arch/x86_64/serial/kprintf.h"
#include "drivers/blk.h"

enum { ECHO = 1, PARENT, CHILD };

#define CHILDREN 512u
#define STEAL_NS 5000000000u
#define HEAP_PAGES 64u
#define MAX_BLOCK 4096u /* of a disk */
#define IDLE_NS 10000000000ull

typedef struct smoke {
    gmk_kernel_t kernel;
    gmk_a64_t echoed; /* sum of what came */
    gmk_a32_t ran[GMK_MAX_WORKERS];
    gmk_a32_t stolen;
    uint32_t passed, failed;
} smoke_t;

static smoke_t s;

static void verdict(const char *name, bool ok, const char *note)
{
    s.passed += ok;
    s.failed += !ok;
    kprintf("[%s] smoke_%s %s\n", ok ? "PASS" : "FAIL", name, note);
}

GMK_HANDLER(on_echo)
{
    gmk_add_rlx(&s.echoed, ctx->task->meta0, GMK_DEV); /* relaxed: read when all is at rest */
    gmk_add_rlx(&s.ran[ctx->worker_id], 1, GMK_DEV);   /* relaxed: so too */
    return GMK_OK;
}

GMK_HANDLER(on_parent)
{
    gmk_task_t t = {.type = CHILD, .flags = GMK_PRIO_NORMAL};

    for (uint32_t i = 0; i < CHILDREN; i++)
        if (gmk_emit(ctx, &t) != GMK_OK)
            return GMK_FAIL(1);
    return GMK_OK;
}

/* On the worker where all of it lies, the first waits for another worker to have taken one:
 * on a busy host the others may get their turn late. */
GMK_HANDLER(on_child)
{
    uint64_t end = clock_now_ns() + STEAL_NS;

    gmk_add_rlx(&s.ran[ctx->worker_id], 1, GMK_DEV); /* relaxed: read when all is at rest */
    if (ctx->worker_id != 0)
        gmk_store_rlx(&s.stolen, 1, GMK_DEV); /* relaxed: only ends the wait */
    while (gmk_hal_cpu_count() > 1 && gmk_load_rlx(&s.stolen, GMK_DEV) == 0 && /* relaxed: so */
           clock_now_ns() < end)
        x86_spin();
    return GMK_OK;
}

static gmk_handler_reg_t handlers[] = {{.type = ECHO, .fn = on_echo, .name = "echo"},
                                       {.type = PARENT, .fn = on_parent, .name = "parent"},
                                       {.type = CHILD, .fn = on_child, .name = "child"}};
static gmk_module_t module = {.name = "smoke", .handlers = handlers, .n_handlers = 3};

/* How many workers ran something since the last call. */
static uint32_t workers_that_ran(void)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < GMK_MAX_WORKERS; i++)
        n += gmk_xchg_rlx(&s.ran[i], 0, GMK_DEV) != 0; /* relaxed: all is at rest */
    return n;
}

/* BM-7: a handler that answers, on every worker. */
static void echo(void)
{
    uint32_t n = gmk_hal_cpu_count(), ran;
    uint64_t sum = 0;
    char note[64];
    bool ok = true;

    for (uint32_t i = 0; i < n; i++) {
        gmk_task_t t = {.type = ECHO, .flags = GMK_PRIO_NORMAL, .meta0 = 40 + i};

        sum += t.meta0;
        ok &= gmk_submit_to(&s.kernel, &t, i) == GMK_OK;
    }
    ok &= gmk_wait_idle(&s.kernel, IDLE_NS) == GMK_OK;
    ok &= gmk_load_rlx(&s.echoed, GMK_DEV) == sum; /* relaxed: all is at rest */
    ran = workers_that_ran();
    ksnprintf(note, sizeof(note), "(%u of %u workers)", ran, n);
    verdict("echo_reaches_every_worker", ok && ran == n, note);
}

/* ACC-28, BM-8: all work begins at worker 0; the others get some. On one processor there is nobody
 * to take it. The host may keep the others from running for as long as the work lasts, so it
 * is begun anew until they have had their chance. */
static void stealing(void)
{
    gmk_task_t t = {.type = PARENT, .flags = GMK_PRIO_NORMAL};
    uint32_t n = gmk_hal_cpu_count(), ran;
    uint64_t end = clock_now_ns() + IDLE_NS;
    char note[64];
    bool ok;

    do {
        ok = gmk_submit_to(&s.kernel, &t, 0) == GMK_OK;
        ok &= gmk_wait_idle(&s.kernel, IDLE_NS) == GMK_OK;
        ran = workers_that_ran();
    } while (ok && n > 1 && ran < 2 && clock_now_ns() < end);
    ksnprintf(note, sizeof(note), "(%u of %u workers ran some)", ran, n);
    verdict("idle_workers_steal", ok && (n == 1 || ran > 1), note);
}

/* ACC-25: memory is mapped when it is touched, zeroed, and holds what is written. */
static void demand_paging(void)
{
    uint64_t before = vmm_stats().n_faults, faults;
    volatile uint64_t *p = vmm_area_alloc(HEAP_PAGES * 4096, 0, 0);
    char note[64];
    bool ok = p != NULL;

    for (uint32_t i = 0; ok && i < HEAP_PAGES; i++) {
        ok = p[i * 512] == 0;
        p[i * 512] = i;
    }
    for (uint32_t i = 0; ok && i < HEAP_PAGES; i++)
        ok = p[i * 512] == i;
    faults = vmm_stats().n_faults - before;
    ok = ok && faults == HEAP_PAGES;
    ok = p != NULL && vmm_area_free((void *)(uintptr_t)p, HEAP_PAGES * 4096) == 0 && ok;
    ksnprintf(note, sizeof(note), "(%lu faults for %u pages)", faults, HEAP_PAGES);
    verdict("memory_is_paged_on_demand", ok, note);
}

/* BM-36, BM-37. */
static void reading(blk_dev_t *d)
{
    static GMK_ALIGNAS(64) uint8_t a[MAX_BLOCK], b[MAX_BLOCK];
    uint32_t n = d->block_bytes / BLK_SECTOR;
    char note[64];
    int rc;

    if (d->block_bytes > MAX_BLOCK) {
        kprintf("smoke: %s has blocks of %u bytes: its tests are left out\n", d->name,
                d->block_bytes);
        return;
    }
    rc = blk_sync(d, BLK_READ, 0, n, a);
    rc = rc == BLK_OK ? blk_sync(d, BLK_READ, 0, n, b) : rc;
    ksnprintf(note, sizeof(note), "(%s, %lu sectors: %s)", d->name, d->capacity,
              blk_status_text(rc));
    verdict("disk_is_read", rc == BLK_OK && memcmp(a, b, sizeof(a)) == 0, note);
    rc = blk_sync(d, BLK_READ, d->capacity, n, a);
    verdict("disk_refuses_a_sector_beyond_its_end", rc == BLK_E_RANGE, blk_status_text(rc));
}

/* ACC-24, only when the user has said that the disk may be written. */
static void writing(blk_dev_t *d)
{
    static GMK_ALIGNAS(64) uint8_t was[MAX_BLOCK], ours[MAX_BLOCK], back[MAX_BLOCK];
    uint32_t n = d->block_bytes / BLK_SECTOR;
    uint64_t last = d->capacity - n;
    int rc = blk_sync(d, BLK_READ, last, n, was);
    bool ok;

    for (uint32_t i = 0; i < d->block_bytes; i++)
        ours[i] = (uint8_t)(was[i] ^ (0x5a + i));
    ok = rc == BLK_OK && blk_sync(d, BLK_WRITE, last, n, ours) == BLK_OK &&
         blk_sync(d, BLK_FLUSH, 0, 0, NULL) == BLK_OK &&
         blk_sync(d, BLK_READ, last, n, back) == BLK_OK && memcmp(ours, back, d->block_bytes) == 0;
    ok = rc == BLK_OK && blk_sync(d, BLK_WRITE, last, n, was) == BLK_OK && ok;
    verdict("disk_gives_back_what_was_written", ok, d->name);
}

static void disk(void)
{
    blk_dev_t *d = blk_find(NULL);
    char word[4];

    if (d == NULL) {
        kprintf("smoke: no disk: the tests of the disk are left out\n");
        return;
    }
    reading(d);
    if (boot_option("destructive", word, sizeof(word)) && d->block_bytes <= MAX_BLOCK)
        writing(d);
}

uint32_t smoke_run(uint32_t *passed)
{
    gmk_boot_cfg_t cfg = {.n_workers = gmk_hal_cpu_count(), .arena_size = 8u << 20};
    gmk_module_t *mods[] = {&module};
    gmk_audit_report_t r = {.balanced = false};
    char note[64];
    int rc;

    rc = gmk_boot(&s.kernel, &cfg, mods, 1);
    ksnprintf(note, sizeof(note), "(%u workers)", cfg.n_workers);
    verdict("kernel_boots", rc == GMK_OK, rc == GMK_OK ? note : gmk_strerror(rc));
    if (rc == GMK_OK) {
        echo();
        stealing();
        rc = gmk_halt_timeout(&s.kernel, IDLE_NS, &r);
        verdict("kernel_halts_balanced", rc == GMK_OK && r.balanced, "");
    }
    demand_paging();
    disk();
    *passed = s.passed;
    return s.failed;
}

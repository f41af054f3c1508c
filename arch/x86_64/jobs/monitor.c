/* SPDX-License-Identifier: MIT
 * run=monitor: a kernel with the serial monitor, until `halt` or `reboot`.
 * Floor: arch. This thread is the machine's side of it: it carries keys from COM1, whose
 * interrupt wakes it, to the module, and does what handlers may not: disk transfers that are
 * waited for, and the end.
 * Source: SPEC BM-38, STD-26, V-57, V-76. */
#include "modules/monitor/monitor.h"

#include "arch/x86_64/boot/boot.h"
#include "arch/x86_64/cpu/panic.h"
#include "arch/x86_64/jobs/jobs.h"
#include "arch/x86_64/jobs/machine.h"
#include "arch/x86_64/serial/kprintf.h"
#include "arch/x86_64/serial/serial.h"
#include "drivers/blk.h"

#define HALT_NS 10000000000ull

typedef struct monitor {
    gmk_kernel_t kernel;
    gmk_host_t host;
    mon_t mon;
    gmk_hal_park_t park; /* keys, a transfer or the end wait */
    mon_io_t *io;        /* what is to be done, while todo says so */
    gmk_a32_t todo;
    gmk_a32_t ending; /* 0, or 1 + enum mon_end */
} monitor_t;

static monitor_t m;

/* Called from handlers and interrupts. --------------------------------------------------- */

static void on_input(void *arg) { gmk_hal_park_wake(arg); }

static void show(void *arg, const char *text, size_t n)
{
    (void)arg;
    serial_write(text, n);
}

static uint64_t sectors(void *arg, const char *disk)
{
    const blk_dev_t *d = blk_find(disk);

    (void)arg;
    return d != NULL ? d->capacity : 0;
}

static void start_io(void *arg, mon_io_t *io)
{
    (void)arg;
    m.io = io;
    gmk_store_rel(&m.todo, 1, GMK_DEV); /* sync: job.todo */
    gmk_hal_park_wake(&m.park);
}

static void end(void *arg, enum mon_end how)
{
    (void)arg;
    if (how == MON_PANIC)
        PANIC("a test, asked for on the monitor");
    gmk_store_rel(&m.ending, 1 + (uint32_t)how, GMK_DEV); /* sync: job.ending */
    gmk_hal_park_wake(&m.park);
}

/* This thread. --------------------------------------------------------------------------- */

/* What waits at the port, to the module. A module that is behind is waited for: the port's own
 * 16 bytes, and the person, wait meanwhile. */
static void take_keys(gmk_ctx_t *ctx, uint32_t chan)
{
    uint8_t keys[MON_TYPE_BYTES];
    uint32_t n;

    do {
        int c;

        for (n = 0; n < sizeof(keys) && (c = serial_getc()) >= 0; n++)
            keys[n] = (uint8_t)c;
        while (n != 0 && mon_type(ctx, chan, keys, n) == GMK_CHAN_FULL)
            gmk_hal_relax();
    } while (n != 0);
}

static void do_io(gmk_ctx_t *ctx, uint32_t chan)
{
    mon_io_t *io = m.io;
    blk_dev_t *d = blk_find(io->disk);
    int rc;

    gmk_store_rlx(&m.todo, 0, GMK_DEV); /* relaxed: no other is asked for before the answer */
    rc = blk_sync(d, io->write ? BLK_WRITE : BLK_READ, io->sector, io->n, io->buf);
    if (rc == BLK_OK && io->write)
        rc = blk_sync(d, BLK_FLUSH, 0, 0, NULL);
    io->wrong = rc != BLK_OK ? blk_status_text(rc) : NULL;
    while (mon_io_done(ctx, chan) == GMK_CHAN_FULL)
        gmk_hal_relax();
}

/* Until the end is asked for. returns: how. */
static enum mon_end serve(gmk_ctx_t *ctx, uint32_t keys, uint32_t done)
{
    for (;;) {
        uint32_t seen = gmk_hal_park_word(&m.park);
        uint32_t ending = gmk_load_acq(&m.ending, GMK_DEV); /* sync: job.ending */

        if (ending != 0)
            return (enum mon_end)(ending - 1);
        take_keys(ctx, keys);
        if (gmk_load_acq(&m.todo, GMK_DEV) != 0) /* sync: job.todo */
            do_io(ctx, done);
        gmk_hal_park_wait(&m.park, seen, GMK_HAL_FOREVER);
    }
}

static int halt(void)
{
    gmk_audit_report_t r = {.balanced = false};
    int rc = gmk_halt_timeout(&m.kernel, HALT_NS, &r);

    kprintf("audit: %lu accepted = %lu completed + %lu failed + %lu dead + %lu queued: %s\n",
            r.accepted, r.completed, r.failed, r.dead, r.queued,
            r.balanced ? "balanced" : "NOT balanced");
    if (rc != GMK_OK)
        kprintf("halt: %s %s\n", gmk_strerror(rc), r.stuck);
    return rc != GMK_OK || !r.balanced;
}

int job_monitor(void)
{
    static mon_ops_t ops = {
        .write = show, .line = machine_line, .sectors = sectors, .io = start_io, .end = end};
    /* Small queues: a person gives it little to do. */
    gmk_boot_cfg_t cfg = {.n_workers = gmk_hal_cpu_count(),
                          .arena_size = 8u << 20,
                          .rq_slots = 256,
                          .lq_slots = 256,
                          .inbox_slots = 256,
                          .evq_slots = 256,
                          .overflow_slots = 256,
                          .flags = GMK_BOOT_NO_LINKED_MODULES};
    gmk_module_t *mods[MON_N_MODULES];
    enum mon_end how;
    gmk_ctx_t *ctx;
    int keys, done, rc;
    char word[4];

    ops.may_write = boot_option("destructive", word, sizeof(word));
    gmk_hal_park_init(&m.park);
    mon_setup(&m.mon, &ops, NULL, mods);
    rc = gmk_boot(&m.kernel, &cfg, mods, MON_N_MODULES);
    ctx = rc == GMK_OK ? gmk_host_attach(&m.kernel, &m.host) : NULL;
    if (ctx == NULL) {
        kprintf("monitor: %s\n", rc != GMK_OK ? gmk_boot_error(&m.kernel) : "no thread may attach");
        return 1;
    }
    keys = gmk_chan_find(ctx, "cli.key");
    done = gmk_chan_find(ctx, "cli.done");
    serial_on_input(on_input, &m.park);
    rc = mon_type(ctx, (uint32_t)keys, "", 0);
    how = rc == GMK_OK ? serve(ctx, (uint32_t)keys, (uint32_t)done) : MON_HALT;
    rc |= gmk_host_detach(&m.host);
    rc |= halt();
    if (how == MON_REBOOT)
        x86_reboot();
    return rc != 0;
}

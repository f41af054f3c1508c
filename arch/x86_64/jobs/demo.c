/* SPDX-License-Identifier: MIT
 * run=demo: the smoke tests, then the pipeline example on the text of the disk.
 * Floor: arch. The example's sources are those of the hosted program; here is only what it
 * asks of a machine: pl_read and pl_print. Source: SPEC BM-7. */
#include "arch/x86_64/boot/boot.h"
#include "arch/x86_64/jobs/jobs.h"
#include "arch/x86_64/jobs/text.h"
#include "arch/x86_64/memory/vmm.h"
#include "arch/x86_64/serial/kprintf.h"
#include "arch/x86_64/serial/serial.h"
#include "examples/pipeline/pipeline.h"

#define DEFAULT_TABLE 16384u
#define BESIDE_BYTES (16u << 20) /* what the job takes beside its arena, at most */

long pl_read(void *source, void *to, size_t n) { return text_read(source, to, n); }
void pl_print(const char *text, size_t n) { serial_write(text, n); }

/* returns: whether the words were counted and all books balance. */
static bool count_words(blk_dev_t *dev)
{
    static text_t text;
    static pl_pipeline_t p;
    pl_options_t o = {.n_workers = gmk_hal_cpu_count(),
                      .top = (uint32_t)boot_option_u64("top", 10),
                      .table = (uint32_t)boot_option_u64("table", DEFAULT_TABLE)};
    int rc = text_open(&text, dev);
    bool ok;

    if (rc != GMK_OK) {
        kprintf("job: the disk cannot be served: %s\n", gmk_strerror(rc));
        return false;
    }
    if (o.table < PL_MIN_TABLE || o.table > PL_MAX_TABLE)
        o.table = DEFAULT_TABLE;
    ok = pl_run(&p, &o, &text);
    if (!ok)
        kprintf("job: %s%s%s\n", p.error, p.ingest.error != 0 ? ": " : "",
                p.ingest.error != 0 ? blk_status_text((int)p.ingest.error) : "");
    kprintf("job: %lu bytes read by %lu requests on disk.read\n", p.ingest.bytes,
            gmk_load_rlx(&text.n_requests, GMK_DEV)); /* relaxed: all is at rest */
    return text_close(&text) && ok;
}

int job_demo(void)
{
    uint32_t passed, failed = smoke_run(&passed);
    blk_dev_t *dev = blk_find(NULL);
    bool ok;

    kprintf("smoke: %u passed, %u failed\n", passed, failed);
    if (dev == NULL) {
        kprintf("job: there is no disk, so no text to count: give one (make run makes one)\n");
        return failed != 0;
    }
    if (vmm_commit_free() < PL_ARENA_BYTES + BESIDE_BYTES) {
        kprintf("job: left out: it wants %lu MiB and %lu are free; give the machine 128 or more\n",
                (PL_ARENA_BYTES + BESIDE_BYTES) >> 20, vmm_commit_free() >> 20);
        return failed != 0;
    }
    kprintf("job: the words of the text on %s, counted by examples/pipeline\n", dev->name);
    ok = count_words(dev);
    kprintf("ggmk: %s\n", ok && failed == 0 ? "all is well" : "something is wrong, see above");
    return !ok || failed != 0;
}

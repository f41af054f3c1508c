/* SPDX-License-Identifier: MIT
 * Faults with the core running: out of memory, panics with trace events, and the console under
 * all processors. Floor: arch. Source: SPEC BM-10, ACC-27, ARCHITECTURE R12. */
#include "arch/x86_64/cpu/lapic.h"
#include "arch/x86_64/cpu/panic.h"
#include "arch/x86_64/cpu/tables.h"
#include "arch/x86_64/jobs/fault.h"
#include "arch/x86_64/jobs/jobs.h"
#include "arch/x86_64/memory/vmm.h"
#include "arch/x86_64/serial/kprintf.h"
#include "arch/x86_64/smp/thread.h"
#include "ggmk/base/assert.h"

enum { COUNT = 1, PANICS, ASSERTS };

#define EVENT (GMK_EV_USER + 7)
#define IDLE_NS 10000000000ull

static gmk_kernel_t kernel;
static gmk_a32_t counted;

GMK_HANDLER(on_count)
{
    (void)ctx;
    gmk_add_rlx(&counted, 1, GMK_DEV); /* relaxed: read when all is at rest */
    return GMK_OK;
}

GMK_HANDLER(on_panic)
{
    gmk_trace(ctx, EVENT, 4711, 12);
    PANIC("a handler has given up");
}

GMK_HANDLER(on_assert)
{
    gmk_trace(ctx, EVENT, 4712, 13);
    GMK_ASSERT(ctx->task == NULL, "a handler's assertion");
    return GMK_OK;
}

static gmk_handler_reg_t handlers[] = {{.type = COUNT, .fn = on_count, .name = "count"},
                                       {.type = PANICS, .fn = on_panic, .name = "panics"},
                                       {.type = ASSERTS, .fn = on_assert, .name = "asserts"}};
static gmk_module_t module = {.name = "fault", .handlers = handlers, .n_handlers = 3};

static int boot(void)
{
    gmk_boot_cfg_t cfg = {.n_workers = gmk_hal_cpu_count(), .arena_size = 8u << 20};
    gmk_module_t *mods[] = {&module};

    int rc = gmk_boot(&kernel, &cfg, mods, 1);

    return rc == GMK_OK ? gmk_trace_set_level(&kernel, NULL, GMK_TRACE_ALL) : rc;
}

static int run(uint32_t type, uint32_t n)
{
    gmk_task_t t = {.type = type, .flags = GMK_PRIO_NORMAL};

    for (uint32_t i = 0; i < n; i++)
        if (gmk_submit(&kernel, &t) != GMK_OK)
            return 1;
    return gmk_wait_idle(&kernel, IDLE_NS) != GMK_OK;
}

int provoke_panic(void) { return boot() != GMK_OK || run(COUNT, 4) != 0 || run(PANICS, 1) != 0; }
int provoke_assert(void) { return boot() != GMK_OK || run(COUNT, 4) != 0 || run(ASSERTS, 1) != 0; }

/* Out of memory. ------------------------------------------------------------------------- */

typedef struct piece {
    struct piece *next;
    size_t bytes;
} piece_t;

/* Pieces of that size until there are no more; each is written to. */
static piece_t *take_all(piece_t *list, size_t bytes, bool heap, uint32_t *n)
{
    piece_t *p;

    while ((p = heap ? kmalloc(bytes) : gmk_hal_page_alloc(bytes, 0)) != NULL) {
        p->next = list;
        p->bytes = bytes;
        list = p;
        ++*n;
    }
    return list;
}

static void give_all(piece_t *list, bool heap)
{
    piece_t *next;

    for (; list != NULL; list = next) {
        next = list->next;
        if (heap)
            kfree(list, list->bytes);
        else
            gmk_hal_page_free(list, list->bytes);
    }
}

int provoke_oom(void)
{
    uint64_t before, after, refused;
    piece_t *pages, *objects;
    uint32_t n_pages = 0, n_objects = 0;
    gmk_kernel_t *other;
    bool bad;

    if (boot() != GMK_OK)
        return 1;
    vmm_reap();
    before = vmm_commit_free();
    refused = vmm_stats().n_oom;
    objects = take_all(NULL, 2048, true, &n_objects); /* the heap's window, or memory */
    pages = take_all(NULL, 1u << 20, false, &n_pages);
    pages = take_all(pages, 4096, false, &n_pages);
    refused = vmm_stats().n_oom - refused;
    bad = refused < 3 || run(COUNT, 1000) != 0 || counted != 1000;
    kprintf("fault: out of memory: %u areas, %u objects; %lu refused; %u tasks ran\n", n_pages,
            n_objects, refused, counted);
    other = gmk_hal_calloc(1, 1u << 20);
    bad |= other != NULL || vmm_commit_free() >= 1u << 20;
    give_all(objects, true);
    give_all(pages, false);
    vmm_reap();
    after = vmm_commit_free();
    kprintf("fault: free before %lu KiB, after %lu KiB\n", before >> 10, after >> 10);
    bad |= after + (1u << 20) < before; /* slabs keep some */
    return bad || run(COUNT, 1000) != 0 || gmk_halt(&kernel) != GMK_OK;
}

/* Lines from everywhere (ACC-27). ---------------------------------------------------------- */

#define LINES 50u
#define MAX_FILL 96u

static gmk_a32_t n_ready;
static gmk_a32_t irq_lines[X86_MAX_CPUS];

/* One line that says by its number how it must look. */
static void print_line(const char *from, uint32_t cpu, uint32_t n)
{
    uint32_t length = (n * 7 + cpu * 13) % MAX_FILL;
    char fill[MAX_FILL + 1];

    for (uint32_t i = 0; i < length; i++)
        fill[i] = (char)('a' + (n + cpu + i) % 26);
    fill[length] = '\0';
    kprintf("line %s cpu=%u n=%u <%s>\n", from, cpu, n, fill);
}

static void print_in_interrupt(void *arg)
{
    uint32_t me = x86_cpu_self()->index;
    uint32_t n = gmk_load_rlx(&irq_lines[me], GMK_DEV); /* relaxed: of this processor */

    (void)arg;
    print_line("irq", me, n);
    gmk_store_rel(&irq_lines[me], n + 1, GMK_DEV); /* sync: job.there */
}

/* Prints, and has its neighbour print in an interrupt, the next only when that is done: of two
 * interrupts of one vector that wait, the processor keeps one. */
static void *print_all(void *arg)
{
    uint32_t me = x86_cpu_self()->index, to = (me + 1) % x86_n_cpus, sent = 0;

    gmk_add_ar(&n_ready, 1, GMK_DEV);                    /* sync: job.there */
    while (gmk_load_acq(&n_ready, GMK_DEV) < x86_n_cpus) /* sync: job.there */
        x86_relax();
    for (uint32_t n = 0; n < LINES; n++) {
        if (gmk_load_acq(&irq_lines[to], GMK_DEV) == sent) { /* sync: job.there */
            lapic_send_ipi(x86_cpus[to].apic_id, (uint8_t)(uintptr_t)arg);
            sent++;
        }
        print_line("thread", me, n);
    }
    while (gmk_load_acq(&irq_lines[to], GMK_DEV) < sent) /* sync: job.there */
        x86_relax();
    return NULL;
}

int provoke_lines(void)
{
    static x86_thread_t *threads[X86_MAX_CPUS];
    int vector = x86_irq_alloc(print_in_interrupt, NULL);
    void *arg = (void *)(uintptr_t)vector;

    for (uint32_t i = 0; i < x86_n_cpus; i++)
        if (vector < 0 || x86_thread_start(&threads[i], i, print_all, arg) != 0)
            return 1;
    for (uint32_t i = 0; i < x86_n_cpus; i++)
        x86_thread_join(threads[i]);
    for (uint32_t i = 0; i < x86_n_cpus; i++)
        kprintf("lines of cpu=%u: thread %u, irq %u\n", i, LINES, irq_lines[i]);
    return 0;
}

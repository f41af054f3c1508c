/* SPDX-License-Identifier: MIT
 * What the monitor shows of the machine.
 * Floor: arch. Source: SPEC BM-38. */
#include "arch/x86_64/jobs/machine.h"

#include "arch/x86_64/memory/pmm.h"
#include "arch/x86_64/memory/vmm.h"
#include "arch/x86_64/serial/kprintf.h"
#include "arch/x86_64/smp/thread.h"
#include "drivers/blk.h"
#include "drivers/pci/pci.h"

typedef struct text {
    char *to;
    size_t bytes;
} text_t;

#define LINE(t, ...) ksnprintf((t)->to, (t)->bytes, __VA_ARGS__)
#define KIB_OF_PAGES 4u

static size_t cpus(text_t *t, uint32_t i)
{
    const x86_cpu_t *c;

    if (i == 0)
        return LINE(t, "cpu  apic     timer      wake       tlb    device  spurious");
    if (i > x86_n_cpus)
        return 0;
    c = &x86_cpus[i - 1];
    return LINE(t, "%3u %5u %9lu %9lu %9lu %9lu %9lu", c->index, c->apic_id, c->n_timer, c->n_wake,
                c->n_tlb, c->n_device, c->n_spurious);
}

static size_t threads(text_t *t, uint32_t i)
{
    uint64_t now = gmk_hal_now_ns();
    x86_load_t l;

    if (i == 0)
        return LINE(t, "cpu threads   switches      halts  halted");
    if (i > x86_n_cpus)
        return 0;
    x86_get_load(i - 1, &l);
    return LINE(t, "%3u %7u %10lu %10lu %6lu%%", i - 1, l.n_threads, l.n_switches, l.n_halts,
                l.halted_ns * 100 / (now != 0 ? now : 1));
}

static size_t memory(text_t *t, uint32_t i)
{
    pmm_stats_t p = pmm_stats();
    vmm_stats_t v = vmm_stats();

    switch (i) {
    case 0:
        return LINE(t, "physical  %lu KiB usable, %lu free, %lu not promised to anybody",
                    pmm_usable_count() * KIB_OF_PAGES, pmm_free_count() * KIB_OF_PAGES,
                    pmm_commit_free() * KIB_OF_PAGES);
    case 1:
        return LINE(t, "          %lu times refused, %lu bad frees", p.n_refused, p.n_bad_frees);
    case 2:
        return LINE(t, "virtual   %lu KiB reserved in areas, %lu freed and waiting for a shootdown",
                    v.area_pages * KIB_OF_PAGES, v.pending_pages * KIB_OF_PAGES);
    case 3:
        return LINE(t, "          %lu pages mapped on demand (%lu races), %lu shootdowns",
                    v.n_faults, v.n_fault_races, v.n_reaps);
    case 4:
        return LINE(t, "          %lu times refused, %lu bad frees", v.n_oom, v.n_bad_frees);
    case 5:
        return LINE(t, "heap      %lu KiB in use of %lu reserved", vmm_get_heap_used() / 1024,
                    v.heap_pages * KIB_OF_PAGES);
    default:
        return 0;
    }
}

static size_t heap(text_t *t, uint32_t i)
{
    vmm_stats_t v = vmm_stats();

    switch (i) {
    case 0:
        return LINE(t, "heap at %p, %lu KiB of addresses", (void *)MEM_HEAP_BASE,
                    (uint64_t)MEM_HEAP_BYTES / 1024);
    case 1:
        return LINE(t, "%lu bytes in use, %lu KiB reserved, slabs included",
                    (uint64_t)vmm_get_heap_used(), v.heap_pages * KIB_OF_PAGES);
    default:
        return 0;
    }
}

static size_t map(text_t *t, uint32_t i)
{
    static const char *const types[MEM_TYPES] = {
        [MEM_USABLE] = "usable", [MEM_RESERVED] = "reserved",
        [MEM_ACPI] = "ACPI",     [MEM_ACPI_NVS] = "ACPI NVS",
        [MEM_BAD] = "bad",       [MEM_LOADER] = "loader, taken over",
        [MEM_KERNEL] = "kernel", [MEM_FRAMEBUFFER] = "frame buffer"};
    uint32_t n;
    const mem_region_t *r = mem_map(&n);

    if (i == 0)
        return LINE(t, "from             to                      KiB  type");
    if (i > n)
        return 0;
    r += i - 1;
    return LINE(t, "%016lx %016lx %10lu  %s", r->base, r->base + r->bytes, r->bytes / 1024,
                r->type < MEM_TYPES ? types[r->type] : "?");
}

static size_t pci(text_t *t, uint32_t i)
{
    const pci_device_t *d = i != 0 ? pci_get_device(i - 1) : NULL;

    if (i == 0)
        return LINE(t, "at      vendor:device class    irq  (%u more were left out)",
                    pci_devices_left_out());
    if (d == NULL)
        return 0;
    return LINE(t, "%02x:%02x.%u %04x:%04x     %02x.%02x.%02x %3u", d->bus, d->dev, d->func,
                d->vendor_id, d->device_id, d->class_code, d->subclass, d->prog_if, d->irq_line);
}

static size_t disks(text_t *t, uint32_t i)
{
    const blk_dev_t *d = i != 0 ? blk_get(i - 1) : NULL;

    if (i == 0)
        return LINE(t, "disk        sectors depth      taken       done  errors  resets "
                       "interrupts      polls state");
    if (d == NULL)
        return 0;
    return LINE(t, "%-8s %10lu %5u %10lu %10lu %7lu %7lu %10lu %10lu %s%s", d->name, d->capacity,
                d->depth, gmk_count_get(&d->stats.submitted), gmk_count_get(&d->stats.completed),
                gmk_count_get(&d->stats.errors), gmk_count_get(&d->stats.resets),
                gmk_count_get(&d->stats.interrupts), gmk_count_get(&d->stats.polls),
                gmk_load_rlx(&d->broken, GMK_DEV) != 0 ? "broken" : "ready", /* relaxed: shown */
                d->read_only ? ", read-only" : "");
}

size_t machine_line(void *arg, enum mon_list list, uint32_t i, char *to, size_t bytes)
{
    static size_t (*const lists[MON_LISTS])(text_t *, uint32_t) = {
        [MON_CPUS] = cpus, [MON_THREADS] = threads, [MON_MEMORY] = memory, [MON_HEAP] = heap,
        [MON_MAP] = map,   [MON_PCI] = pci,         [MON_DISKS] = disks};
    text_t t = {.to = to, .bytes = bytes};

    (void)arg;
    return lists[list](&t, i);
}

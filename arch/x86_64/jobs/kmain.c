/* SPDX-License-Identifier: MIT
 * The kernel image: the devices, then the job that the command line names.
 * Floor: arch. Source: SPEC BM-2, BM-7. */
#include "arch/x86_64/boot/boot.h"
#include "arch/x86_64/jobs/jobs.h"
#include "arch/x86_64/memory/memops.h"
#include "arch/x86_64/serial/kprintf.h"
#include "drivers/drivers.h"

static const struct job {
    const char *name, *text;
    int (*run)(void);
} jobs[] = {
#define JOB(name, text) {#name, text, job_##name},
#include "arch/x86_64/jobs/jobs.def"
#undef JOB
};

static void say_device(const char *driver, const pci_device_t *d, int status)
{
    kprintf("boot: %s: %04x:%04x at %02x:%02x.%u: %s\n", driver, d->vendor_id, d->device_id, d->bus,
            d->dev, d->func, status == DRV_OK ? "ready" : "does not work, left out");
}

static const struct job *find(const char *name)
{
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(jobs); i++)
        if (name[0] == '\0' || strncmp(jobs[i].name, name, 16) == 0)
            return &jobs[i];
    return NULL;
}

int kmain(void)
{
    char name[16];
    const struct job *job;
    uint32_t n;

    drv_say = say_device;
    n = drivers_init();
    kprintf("boot: %u PCI devices, %u driven\n", pci_device_count(), n);
    boot_option("run", name, sizeof(name));
    job = find(name);
    if (job == NULL) {
        kprintf("ggmk: there is no job run=%s; there are:\n", name);
        for (uint32_t i = 0; i < GMK_ARRAY_LEN(jobs); i++)
            kprintf("  run=%-8s %s\n", jobs[i].name, jobs[i].text);
        return 2;
    }
    return job->run();
}

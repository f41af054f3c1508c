/* SPDX-License-Identifier: MIT
 * The answers to the kernel's requests: see answers.h.
 * Floor: arch. */
#include "answers.h"

#include "smp.h"

#define MAP_SLACK 8u      /* areas that arise after the estimate */
#define FIXED_BYTES 4096u /* responses of fixed size, and text */

static uint8_t *next, *end;

/* Zeroed, from the block. */
static void *take(uint64_t bytes)
{
    uint8_t *p = next;

    bytes = shim_up(bytes, 16);
    if (bytes > (uint64_t)(end - next))
        shim_die(SHIM_E_NO_ROOM, bytes);
    next += bytes;
    return p;
}

static char *take_text(const char *from)
{
    uint64_t n = 0;
    char *to;

    while (from[n] != 0)
        n++;
    to = take(n + 1);
    shim_copy((uint8_t *)to, (const uint8_t *)from, n);
    return to;
}

uint64_t shim_answers_need(const shim_info_t *info, const shim_map_t *map, const shim_madt_t *madt)
{
    uint64_t text = info->text_used + 64u * info->n_modules;

    return shim_up(FIXED_BYTES + text +
                       (map->n + MAP_SLACK) * (sizeof(limine_memmap_entry_t) + sizeof(void *)) +
                       madt->n_cpus * (sizeof(limine_smp_info_t) + sizeof(void *)) +
                       info->n_modules * (sizeof(limine_file_t) + sizeof(void *)),
                   SHIM_PAGE);
}

limine_smp_info_t *shim_answers_begin(void *block, uint64_t bytes, const shim_madt_t *madt)
{
    limine_smp_info_t *cpus;

    next = block;
    end = next + bytes;
    shim_zero(block, bytes);
    cpus = take(madt->n_cpus * sizeof(*cpus));
    for (uint32_t i = 0; i < madt->n_cpus; i++) {
        cpus[i].processor_id = madt->cpu[i].acpi_id;
        cpus[i].lapic_id = madt->cpu[i].lapic_id;
    }
    return cpus;
}

static void *answer_bootloader_info(const shim_facts_t *f, limine_request_t *q)
{
    limine_bootloader_info_response_t *a = take(sizeof(*a));

    (void)f;
    (void)q;
    a->name = take_text("GGMK shim");
    a->version = take_text("1");
    return a;
}

static void *answer_hhdm(const shim_facts_t *f, limine_request_t *q)
{
    limine_hhdm_response_t *a = take(sizeof(*a));

    (void)f;
    (void)q;
    a->offset = SHIM_HHDM;
    return a;
}

static void *answer_memmap(const shim_facts_t *f, limine_request_t *q)
{
    limine_memmap_response_t *a = take(sizeof(*a));
    limine_memmap_entry_t *e = take(f->map->n * sizeof(*e));

    (void)q;
    a->entry_count = f->map->n;
    a->entries = take(f->map->n * sizeof(e));
    for (uint32_t i = 0; i < f->map->n; i++) {
        const shim_range_t *r = &f->map->r[i];

        e[i] = (limine_memmap_entry_t){r->base, r->end - r->base, r->type};
        a->entries[i] = &e[i];
    }
    return a;
}

static void *answer_smp(const shim_facts_t *f, limine_request_t *q)
{
    limine_smp_response_t *a = take(sizeof(*a));

    (void)q;
    a->cpus = take(f->madt->n_cpus * sizeof(a->cpus));
    a->flags = shim_smp_x2apic() ? LIMINE_SMP_X2APIC : 0;
    a->bsp_lapic_id = shim_smp_bsp_id();
    for (uint32_t i = 0; i < f->madt->n_cpus; i++)
        if (shim_smp_came(f->madt, i))
            a->cpus[a->cpu_count++] = &f->cpus[i];
    return a;
}

static void *answer_kernel_address(const shim_facts_t *f, limine_request_t *q)
{
    limine_kernel_address_response_t *a = take(sizeof(*a));

    (void)q;
    a->physical_base = f->kernel_phys;
    a->virtual_base = f->elf->first;
    return a;
}

static void fill_file(limine_file_t *file, const shim_module_t *m, const char *path)
{
    file->address = shim_virt(m->base);
    file->size = m->bytes;
    file->path = take_text(path);
    file->cmdline = take_text(m->cmdline);
}

static void *answer_kernel_file(const shim_facts_t *f, limine_request_t *q)
{
    limine_kernel_file_response_t *a = take(sizeof(*a));

    (void)q;
    a->kernel_file = take(sizeof(*a->kernel_file));
    fill_file(a->kernel_file, &f->info->module[0], "/boot/gmk_kernel.elf");
    return a;
}

static void *answer_modules(const shim_facts_t *f, limine_request_t *q)
{
    limine_modules_response_t *a = take(sizeof(*a));
    uint32_t n = f->info->n_modules - 1;
    limine_file_t *files = take(n * sizeof(*files));

    (void)q;
    a->module_count = n;
    a->modules = take(n * sizeof(files));
    for (uint32_t i = 0; i < n; i++) {
        a->modules[i] = &files[i];
        fill_file(&files[i], &f->info->module[i + 1], "");
    }
    return a;
}

static void *answer_rsdp(const shim_facts_t *f, limine_request_t *q)
{
    limine_rsdp_response_t *a = f->rsdp == NULL ? NULL : take(sizeof(*a));

    (void)q;
    if (a != NULL)
        a->address = (void *)f->rsdp;
    return a;
}

static void *answer_stack_size(const shim_facts_t *f, limine_request_t *q)
{
    (void)f;
    (void)q;
    return take(sizeof(limine_stack_size_response_t)); /* the stacks are made so */
}

static void *answer_paging_mode(const shim_facts_t *f, limine_request_t *q)
{
    limine_paging_mode_request_t *p = (limine_paging_mode_request_t *)(void *)q;
    limine_paging_mode_response_t *a = take(sizeof(*a));

    (void)f;
    if (p->revision >= 1 && p->min_mode > LIMINE_PAGING_4_LEVEL)
        shim_die(SHIM_E_PAGING, p->min_mode);
    a->mode = LIMINE_PAGING_4_LEVEL;
    return a;
}

static void *answer_entry_point(const shim_facts_t *f, limine_request_t *q)
{
    (void)f;
    (void)q;
    return take(sizeof(limine_entry_point_response_t)); /* shim_answers_give looks */
}

static void *answer_boot_time(const shim_facts_t *f, limine_request_t *q)
{
    limine_boot_time_response_t *a = take(sizeof(*a));

    (void)f;
    (void)q;
    a->boot_time = shim_clock_seconds();
    return a;
}

typedef void *(*answer_fn)(const shim_facts_t *, limine_request_t *);
static const answer_fn answers[SHIM_N_FEATURES] = {
    [SHIM_F_BOOTLOADER_INFO] = answer_bootloader_info,
    [SHIM_F_HHDM] = answer_hhdm,
    [SHIM_F_MEMMAP] = answer_memmap,
    [SHIM_F_SMP] = answer_smp,
    [SHIM_F_KERNEL_ADDRESS] = answer_kernel_address,
    [SHIM_F_KERNEL_FILE] = answer_kernel_file,
    [SHIM_F_MODULES] = answer_modules,
    [SHIM_F_RSDP] = answer_rsdp,
    [SHIM_F_STACK_SIZE] = answer_stack_size,
    [SHIM_F_PAGING_MODE] = answer_paging_mode,
    [SHIM_F_ENTRY_POINT] = answer_entry_point,
    [SHIM_F_BOOT_TIME] = answer_boot_time,
};

uint64_t shim_answers_give(const shim_requests_t *r, const shim_facts_t *f)
{
    limine_entry_point_request_t *q;
    uint64_t entry = f->elf->entry;

    for (uint32_t i = 0; i < SHIM_N_FEATURES; i++)
        if (r->at[i] != NULL)
            r->at[i]->response = answers[i](f, r->at[i]);
    r->base_tag[2] = 0;
    q = (limine_entry_point_request_t *)(void *)r->at[SHIM_F_ENTRY_POINT];
    if (q != NULL && q->entry != NULL)
        entry = (uint64_t)q->entry;
    if (!shim_elf_runs(f->elf, entry))
        shim_die(SHIM_E_ELF_ENTRY, entry);
    return entry;
}

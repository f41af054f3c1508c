/* SPDX-License-Identifier: MIT
 * The shim's way from boot information to the kernel.
 * Floor: arch. Order: copy what the loader told, before any memory is used; reserve what is in
 * use; mask interrupts; load; start CPUs while the answers are written; leave.
 * Source: ARCHITECTURE R17; BOOT section 2. */
#include "answers.h"
#include "machine.h"
#include "smp.h"
#include "tables.h"

enum { BY_PVH = 1 };

#define STACK_MIN 0x10000ull
#define STACK_MAX 0x1000000ull

extern const uint8_t shim_image[], shim_image_end[], shim_leave[], shim_final_gdtr[];
void shim_main(uint32_t how, uint64_t at);

static const shim_view_t memory = {(const uint8_t *)SHIM_HHDM, SHIM_4G};
static shim_info_t info;
static shim_map_t map;
static shim_madt_t madt;
static shim_elf_t elf;
static shim_requests_t requests;
static shim_tables_t tables;
static shim_handoff_t handoff;

static void check(int rc, uint64_t detail)
{
    if (rc != SHIM_OK)
        shim_die(rc, detail);
}

static uint64_t get_room(uint64_t bytes, uint64_t align, uint32_t type)
{
    shim_want_t want = {bytes, align, SHIM_4G, type};
    uint64_t at = 0;

    check(shim_map_find(&map, &want, &at), bytes);
    return at;
}

/* Nothing may be taken before this is done. */
static void read_info(uint32_t how, uint64_t at)
{
    check(how == BY_PVH ? shim_pvh_read(&memory, at, &info) : shim_mb2_read(&memory, at, &info),
          at);
    check(shim_map_build(&map, info.raw, info.n_raw), info.n_raw);
    check(shim_map_take(&map, (uint64_t)shim_image, (uint64_t)(shim_image_end - shim_image),
                        LIMINE_BOOTLOADER_RECLAIMABLE),
          0);
    check(shim_map_take(&map, info.base, info.bytes, LIMINE_BOOTLOADER_RECLAIMABLE), 0);
    for (uint32_t i = 0; i < info.n_modules; i++)
        check(shim_map_take(&map, info.module[i].base, info.module[i].bytes,
                            LIMINE_KERNEL_AND_MODULES),
              i);
}

/* returns: the RSDP in the HHDM, null when there is none. */
static const uint8_t *find_rsdp(void)
{
    const uint8_t *p = NULL;

    if (info.has_rsdp)
        return shim_virt((uint64_t)info.rsdp_copy);
    if (info.rsdp != 0)
        p = shim_at(&memory, info.rsdp, SHIM_RSDP_BYTES);
    if (p == NULL || !shim_rsdp_good(p, SHIM_RSDP_BYTES)) {
        info.rsdp = shim_rsdp_search(&memory);
        p = info.rsdp == 0 ? NULL : memory.base + info.rsdp;
    }
    return p;
}

/* returns: the kernel's physical address. */
static uint64_t load_kernel(void)
{
    const shim_module_t *m = &info.module[0];
    const uint8_t *file = memory.base + m->base;
    shim_want_t want = {0, SHIM_2M, SHIM_4G, LIMINE_KERNEL_AND_MODULES};
    uint64_t at = 0;

    check(shim_elf_read(&elf, file, m->bytes), m->bytes);
    want.bytes = elf.span;
    if (shim_map_find(&map, &want, &at) != SHIM_OK) /* large pages would be nicer */
        at = get_room(elf.span, SHIM_PAGE, LIMINE_KERNEL_AND_MODULES);
    shim_elf_place(&elf, file, shim_virt(at));
    check(shim_requests_find(&requests, &elf, shim_virt(at)), LIMINE_BASE_REVISION);
    return at;
}

static void build_tables(uint64_t kernel_phys)
{
    uint64_t n = shim_tables_need(&map, &elf);

    tables.phys = get_room(n * SHIM_PAGE, SHIM_PAGE, LIMINE_BOOTLOADER_RECLAIMABLE);
    tables.pool = shim_virt(tables.phys);
    tables.cap = (uint32_t)n;
    shim_tables_start(&tables);
    check(shim_tables_hhdm(&tables, &map, (uint64_t)shim_leave), n);
    check(shim_tables_kernel(&tables, &elf, kernel_phys), n);
}

static uint64_t stack_bytes(void)
{
    const limine_request_t *q = requests.at[SHIM_F_STACK_SIZE];
    uint64_t n = q == NULL ? 0 : ((const limine_stack_size_request_t *)(const void *)q)->stack_size;

    if (n > STACK_MAX)
        shim_die(SHIM_E_STACK, n);
    return n <= STACK_MIN ? STACK_MIN : shim_up(n, SHIM_PAGE);
}

static void find_cpus(const uint8_t *rsdp)
{
    const limine_request_t *q = requests.at[SHIM_F_SMP];
    bool x2apic = q != NULL &&
                  (((const limine_smp_request_t *)(const void *)q)->flags & LIMINE_SMP_X2APIC) != 0;

    if (rsdp == NULL || shim_madt_read(&memory, rsdp, &madt) != SHIM_OK)
        shim_warn(SHIM_E_ACPI, rsdp == NULL ? 0 : shim_phys_of(rsdp));
    for (uint32_t i = 0; i < madt.n_ioapics; i++)
        if (!shim_map_is_ram(&map, madt.ioapic[i])) /* else the table is wrong */
            shim_mask_ioapic(madt.ioapic[i]);
    shim_smp_init(&madt, x2apic);
    if (madt.n_left_out != 0)
        shim_warn(SHIM_E_CPU_MANY, madt.n_left_out);
    if (q != NULL && madt.n_cpus > 1)
        shim_smp_reset(&madt);
}

static void start_cpus(const shim_smp_room_t *room)
{
    shim_smp_room_t r = *room;
    /* Never the kernel's: see stop_missing. */
    shim_want_t want = {SHIM_PAGE, SHIM_PAGE, 0x100000, LIMINE_RESERVED};

    check(shim_map_find(&map, &want, &r.low_page) == SHIM_OK ? SHIM_OK : SHIM_E_NO_LOW_ROOM, 0);
    shim_smp_start(&madt, &r);
    shim_smp_wait(&madt);
}

void shim_main(uint32_t how, uint64_t at)
{
    shim_facts_t f = {.info = &info, .map = &map, .madt = &madt, .elf = &elf};
    shim_smp_room_t room;
    uint64_t block, n;
    bool others;

    shim_serial_init();
    shim_set_idt();
    shim_mask_pic();
    read_info(how, at);
    f.rsdp = find_rsdp();
    f.kernel_phys = load_kernel();
    find_cpus(f.rsdp);
    others = requests.at[SHIM_F_SMP] != NULL && madt.n_cpus > 1;
    build_tables(f.kernel_phys);
    room.stack_bytes = stack_bytes();
    room.stacks = get_room(room.stack_bytes * (others ? madt.n_cpus : 1), SHIM_PAGE,
                           LIMINE_BOOTLOADER_RECLAIMABLE);
    n = shim_answers_need(&info, &map, &madt);
    block = get_room(n, SHIM_PAGE, LIMINE_BOOTLOADER_RECLAIMABLE);
    room.info = f.cpus = shim_answers_begin(shim_virt(block), n, &madt);
    room.cr3 = tables.phys;
    if (others)
        start_cpus(&room);
    shim_set_pat();
    handoff = (shim_handoff_t){.cr3 = tables.phys,
                               .gdtr = shim_virt((uint64_t)shim_final_gdtr),
                               .stack_end = SHIM_HHDM + room.stacks +
                                            room.stack_bytes * (others ? madt.n_cpus : 1)};
    handoff.entry_or_count = shim_answers_give(&requests, &f);
    ((void (*)(const shim_handoff_t *))shim_virt((uint64_t)shim_leave))(
        shim_virt((uint64_t)&handoff));
}

/* SPDX-License-Identifier: MIT
 * What the loader shim is told, on a host: ACPI tables and the boot information of PVH and
 * Multiboot2.
 * Floor: tests. Source: ARCHITECTURE R17; BOOT.md sections 1, 2 and 4. */
#include <stdlib.h>
#include <string.h>

#include "../arch/x86_64/boot/shim/info.h"

#include "../arch/x86_64/limine/limine.h"
#include "shim_bytes.h"

/* ACPI. --------------------------------------------------------------------------------- */

static uint8_t ram[0x2000];
static const shim_view_t view = {ram, sizeof(ram)};
static shim_madt_t madt;

static void fix_sum(uint8_t *p, uint32_t at, uint32_t n)
{
    uint8_t sum = 0;

    p[at] = 0;
    for (uint32_t i = 0; i < n; i++)
        sum = (uint8_t)(sum + p[i]);
    p[at] = (uint8_t)(0 - sum);
}

static void put_table(uint32_t at, const char *sign, uint32_t n)
{
    memcpy(ram + at, sign, 4);
    put32(ram + at + 4, n);
    fix_sum(ram + at, 9, n);
}

enum { RSDP = 0x100, RSDT = 0x200, XSDT = 0x300, MADT = 0x400 };

/* RSDP of ACPI 2 with both lists, each with a table that is not the MADT and the MADT. */
static void put_acpi(const uint8_t *entries, uint32_t n)
{
    memset(ram, 0, sizeof(ram));
    if (n > 0)
        memcpy(ram + MADT + 44, entries, n);
    put32(ram + MADT + 36, 0xfee00000);
    put_table(MADT, "APIC", 44 + n);
    put_table(0x1000, "FACP", 100);
    put32(ram + RSDT + 36, 0x1000);
    put32(ram + RSDT + 40, MADT);
    put_table(RSDT, "RSDT", 44);
    put64(ram + XSDT + 36, 0x1000);
    put64(ram + XSDT + 44, MADT);
    put_table(XSDT, "XSDT", 52);
    memcpy(ram + RSDP, "RSD PTR ", 8);
    ram[RSDP + 15] = 2;
    put32(ram + RSDP + 16, RSDT);
    put32(ram + RSDP + 20, 36);
    put64(ram + RSDP + 24, XSDT);
    fix_sum(ram + RSDP, 8, 20);
    fix_sum(ram + RSDP, 32, 36);
}

static int read_madt(void) { return shim_madt_read(&view, ram + RSDP, &madt); }

#define LAPIC(acpi, id, flags) 0, 8, acpi, id, flags, 0, 0, 0
#define X2APIC(id, flags, acpi) 9, 16, 0, 0, id, 1, 0, 0, flags, 0, 0, 0, acpi, 0, 0, 0

GMK_TEST(shim_madt_read_enabled_cpus_of_both_kinds)
{
    static const uint8_t e[] = {LAPIC(1, 0, 1),
                                LAPIC(2, 4, 1),
                                LAPIC(3, 6, 0), /* disabled */
                                LAPIC(4, 8, 2), /* may be plugged in later */
                                LAPIC(5, 0xff, 1),
                                X2APIC(3, 1, 9),
                                X2APIC(4, 2, 10),
                                LAPIC(6, 4, 1), /* named before */
                                4,
                                6,
                                0xff,
                                0,
                                0,
                                1 /* a kind of no interest */};

    put_acpi(e, sizeof(e));
    gmk_test_assert_eq(read_madt(), 0);
    gmk_test_assert_eq(madt.n_cpus, 3);
    gmk_test_assert(madt.cpu[0].lapic_id == 0 && madt.cpu[0].acpi_id == 1);
    gmk_test_assert(madt.cpu[1].lapic_id == 4 && madt.cpu[1].acpi_id == 2);
    gmk_test_assert(madt.cpu[2].lapic_id == 0x103 && madt.cpu[2].acpi_id == 9);
    gmk_test_assert_eq(madt.lapic, 0xfee00000);
}

GMK_TEST(shim_madt_read_controllers_and_address)
{
    static const uint8_t e[] = {1, 12, 7, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0,
                                5, 12, 0, 0, 0, 0, 0xd0, 0xfe, 1, 0, 0, 0};

    put_acpi(e, sizeof(e));
    gmk_test_assert_eq(read_madt(), 0);
    gmk_test_assert_eq(madt.n_ioapics, 1);
    gmk_test_assert_eq(madt.ioapic[0], 0xfec00000);
    gmk_test_assert_eq(madt.lapic, 0x1fed00000);
}

GMK_TEST(shim_madt_read_damaged_list_falls_back_to_the_other)
{
    static const uint8_t e[] = {LAPIC(1, 0, 1)};

    put_acpi(e, sizeof(e));
    ram[XSDT + 20] ^= 1;
    gmk_test_assert_eq(read_madt(), 0);
    gmk_test_assert_eq(madt.n_cpus, 1);
    ram[RSDT + 20] ^= 1;
    gmk_test_assert_eq(read_madt(), SHIM_E_ACPI);
    gmk_test_assert_eq(madt.n_cpus, 0);
    put_acpi(e, sizeof(e));
    ram[RSDP + 15] = 0; /* ACPI 1 knows no XSDT */
    ram[RSDT + 20] ^= 1;
    gmk_test_assert_eq(read_madt(), SHIM_E_ACPI);
}

GMK_TEST(shim_madt_read_wrong_lengths_end_it)
{
    static const uint8_t zero[] = {LAPIC(1, 0, 1), 0, 0, 0, 0};
    static const uint8_t one[] = {LAPIC(1, 0, 1), 7};
    static const uint8_t beyond[] = {LAPIC(1, 0, 1), 0, 9, 1, 1, 1, 0, 0, 0};

    put_acpi(zero, sizeof(zero));
    gmk_test_assert_eq(read_madt(), SHIM_E_ACPI);
    gmk_test_assert_eq(madt.n_cpus, 1); /* what stood before it counts */
    put_acpi(one, sizeof(one));
    gmk_test_assert_eq(read_madt(), SHIM_E_ACPI);
    put_acpi(beyond, sizeof(beyond));
    gmk_test_assert_eq(read_madt(), SHIM_E_ACPI);
    gmk_test_assert_eq(madt.n_cpus, 1);
}

GMK_TEST(shim_madt_read_tables_out_of_view)
{
    static const uint8_t e[] = {LAPIC(1, 0, 1)};

    put_acpi(e, sizeof(e));
    put64(ram + RSDP + 24, GIB(5));
    put32(ram + RSDP + 16, sizeof(ram) - 4);
    gmk_test_assert_eq(read_madt(), SHIM_E_ACPI);
    put_acpi(e, sizeof(e));
    put32(ram + MADT + 4, UINT32_MAX);
    gmk_test_assert_eq(read_madt(), SHIM_E_ACPI);
    put_acpi(e, sizeof(e));
    put32(ram + MADT + 4, 40); /* shorter than a MADT's head */
    gmk_test_assert_eq(read_madt(), SHIM_E_ACPI);
}

GMK_TEST(shim_madt_read_more_cpus_than_fit_are_counted)
{
    static uint8_t e[(SHIM_CPUS_MAX + 3) * 16];

    for (uint32_t i = 0; i < SHIM_CPUS_MAX + 3; i++) {
        e[i * 16] = 9;
        e[i * 16 + 1] = 16;
        put32(e + i * 16 + 4, i);
        e[i * 16 + 8] = 1;
    }
    put_acpi(e, 16);
    memcpy(ram + 0x800 + 44, e, sizeof(e)); /* too long for its usual place */
    put64(ram + XSDT + 36, 0x800);
    put_table(XSDT, "XSDT", 52);
    put_table(0x800, "APIC", 44 + (SHIM_CPUS_MAX + 3) * 16);
    gmk_test_assert_eq(read_madt(), 0);
    gmk_test_assert_eq(madt.n_cpus, SHIM_CPUS_MAX);
    gmk_test_assert_eq(madt.n_left_out, 3);
}

GMK_TEST(shim_rsdp_good_checks_both_sums)
{
    put_acpi(NULL, 0);
    gmk_test_assert(shim_rsdp_good(ram + RSDP, 36));
    gmk_test_assert(!shim_rsdp_good(ram + RSDP, 20)); /* it says it is longer */
    ram[RSDP + 33] ^= 1;
    gmk_test_assert(!shim_rsdp_good(ram + RSDP, 36));
    ram[RSDP + 15] = 0;
    fix_sum(ram + RSDP, 8, 20);
    gmk_test_assert(shim_rsdp_good(ram + RSDP, 20));
    gmk_test_assert(!shim_rsdp_good(ram + RSDP, 19));
    ram[RSDP] = 'r';
    gmk_test_assert(!shim_rsdp_good(ram + RSDP, 36));
}

GMK_TEST(shim_rsdp_search_finds_it_in_both_places)
{
    uint8_t *low = calloc(1, 0x100000);
    shim_view_t v = {low, 0x100000};

    GMK_REQUIRE(low != NULL);
    put_acpi(NULL, 0);
    gmk_test_assert_eq(shim_rsdp_search(&v), 0);
    memcpy(low + 0xfffdc - 12, ram + RSDP, 36); /* 0xfffd0, the last place */
    gmk_test_assert_eq(shim_rsdp_search(&v), 0xfffd0);
    put16(low + 0x40e, 0x9fc0);
    memcpy(low + 0x9fc10, ram + RSDP, 36);
    gmk_test_assert_eq(shim_rsdp_search(&v), 0x9fc10);
    put16(low + 0x40e, 0xffff); /* nonsense */
    gmk_test_assert_eq(shim_rsdp_search(&v), 0xfffd0);
    memset(low + 0xfffd0, 0, 36);
    memcpy(low + 0xe0008, ram + RSDP, 36); /* not at a multiple of 16 */
    gmk_test_assert_eq(shim_rsdp_search(&v), 0);
    free(low);
}

/* Boot information. ----------------------------------------------------------------------- */

static shim_info_t info;

enum { START = 0x40, RANGES = 0x100, MODULES = 0x200, TEXT = 0x300 };

static void put_pvh(void)
{
    memset(ram, 0, sizeof(ram));
    put32(ram + START, 0x336ec578);
    put32(ram + START + 4, 1);
    put32(ram + START + 12, 2);
    put64(ram + START + 16, MODULES);
    put64(ram + START + 24, TEXT);
    put64(ram + START + 32, 0xf5a40);
    put64(ram + START + 40, RANGES);
    put32(ram + START + 48, 2);
    put64(ram + RANGES + 8, KIB(640));
    put32(ram + RANGES + 16, RAM);
    put64(ram + RANGES + 24, MIB(1));
    put64(ram + RANGES + 32, MIB(255));
    put32(ram + RANGES + 40, RAM);
    put64(ram + MODULES, 0x1000);
    put64(ram + MODULES + 8, 0x800);
    put64(ram + MODULES + 32, 0x1900);
    put64(ram + MODULES + 40, 0x100);
    put64(ram + MODULES + 48, TEXT + 32);
    strcpy((char *)ram + TEXT, "run=demo workers=4");
    strcpy((char *)ram + TEXT + 32, "second");
}

static int read_pvh(void)
{
    memset(&info, 0, sizeof(info));
    return shim_pvh_read(&view, START, &info);
}

GMK_TEST(shim_pvh_read_sound_info)
{
    put_pvh();
    gmk_test_assert_eq(read_pvh(), 0);
    gmk_test_assert_eq(info.n_raw, 2);
    gmk_test_assert(info.raw[1].base == MIB(1) && info.raw[1].end == MIB(256));
    gmk_test_assert_eq(info.n_modules, 2);
    gmk_test_assert(info.module[0].base == 0x1000 && info.module[0].bytes == 0x800);
    gmk_test_assert_str_eq(info.module[0].cmdline, "run=demo workers=4");
    gmk_test_assert_str_eq(info.module[1].cmdline, "second");
    gmk_test_assert_eq(info.rsdp, 0xf5a40);
    memset(ram, 0xaa, sizeof(ram)); /* all is copied */
    gmk_test_assert_str_eq(info.module[0].cmdline, "run=demo workers=4");
}

GMK_TEST(shim_pvh_read_module_words_come_first)
{
    put_pvh();
    put64(ram + MODULES + 16, TEXT + 32);
    gmk_test_assert_eq(read_pvh(), 0);
    gmk_test_assert_str_eq(info.module[0].cmdline, "second");
    put_pvh();
    put64(ram + START + 24, 0); /* none at all */
    gmk_test_assert_eq(read_pvh(), 0);
    gmk_test_assert_str_eq(info.module[0].cmdline, "");
}

GMK_TEST(shim_pvh_read_wrong_info_is_named)
{
    static const struct {
        const char *name;
        uint32_t at;
        uint64_t value;
        int rc;
    } cases[] = {
        {"magic", START, 0x336ec579, SHIM_E_INFO},
        {"version 0", START + 4, 0, SHIM_E_NO_MAP},
        {"no module", START + 12, 0, SHIM_E_NO_MODULE},
        {"too many modules", START + 12, UINT32_MAX, SHIM_E_INFO},
        {"modules outside", START + 16, sizeof(ram) - 63, SHIM_E_INFO},
        {"modules far", START + 16, UINT64_MAX, SHIM_E_INFO},
        {"words outside", START + 24, sizeof(ram), SHIM_E_INFO},
        {"map outside", START + 40, sizeof(ram), SHIM_E_INFO},
        {"no map", START + 48, 0, SHIM_E_NO_MAP},
        {"huge map", START + 48, UINT32_MAX, SHIM_E_INFO},
        {"module outside", MODULES, sizeof(ram) - 1, SHIM_E_MODULE_FAR},
        {"module far", MODULES, GIB(4), SHIM_E_MODULE_FAR},
        {"module wraps", MODULES + 8, UINT64_MAX, SHIM_E_MODULE_FAR},
        {"module words outside", MODULES + 16, UINT64_MAX, SHIM_E_INFO},
    };

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(cases); i++) {
        put_pvh();
        if (cases[i].at % 8 == 4 || cases[i].at == START || cases[i].at == START + 48)
            put32(ram + cases[i].at, cases[i].value);
        else
            put64(ram + cases[i].at, cases[i].value);
        gmk_test_assert_named(read_pvh() == cases[i].rc, cases[i].name);
    }
    memset(&info, 0, sizeof(info));
    gmk_test_assert_eq(shim_pvh_read(&view, sizeof(ram) - 39, &info), SHIM_E_INFO);
    gmk_test_assert_eq(shim_pvh_read(&view, UINT64_MAX, &info), SHIM_E_INFO);
}

GMK_TEST(shim_pvh_read_text_that_never_ends)
{
    uint8_t *big = malloc(0x4000);
    shim_view_t v = {big, 0x4000};

    GMK_REQUIRE(big != NULL);
    put_pvh();
    memset(big, 'x', 0x4000);
    memcpy(big, ram, TEXT);
    memset(&info, 0, sizeof(info));
    gmk_test_assert_eq(shim_pvh_read(&v, START, &info), SHIM_E_INFO_FULL);
    v.bytes = TEXT + 300; /* it ends where the memory ends */
    put64(big + MODULES, 0x100);
    put64(big + MODULES + 8, 1);
    put64(big + MODULES + 32, 0x100);
    put64(big + MODULES + 40, 1);
    memset(&info, 0, sizeof(info));
    gmk_test_assert_eq(shim_pvh_read(&v, START, &info), 0);
    gmk_test_assert_eq(strlen(info.module[0].cmdline), 300);
    free(big);
}

/* Multiboot2 information at START, built tag by tag. */
static uint32_t mb2_at;

static uint8_t *put_tag(uint32_t type, uint32_t n)
{
    uint8_t *p = ram + mb2_at;

    put32(p, type);
    put32(p + 4, n);
    mb2_at = (mb2_at + n + 7) & ~7u;
    put32(ram + START, mb2_at + 8 - START);
    put32(ram + mb2_at, 0);
    put32(ram + mb2_at + 4, 8);
    return p;
}

static void put_mb2_module(uint32_t base, uint32_t end, const char *text)
{
    uint8_t *p = put_tag(3, 17 + (uint32_t)strlen(text));

    put32(p + 8, base);
    put32(p + 12, end);
    strcpy((char *)p + 16, text);
}

static void put_mb2_map(void)
{
    uint8_t *p = put_tag(6, 16 + 2 * 24);

    put32(p + 8, 24);
    put64(p + 16 + 8, KIB(640));
    put32(p + 32, RAM);
    put64(p + 40, MIB(1));
    put64(p + 48, MIB(63));
    put32(p + 56, E820_NVS);
}

static void put_mb2(void)
{
    memset(ram, 0, sizeof(ram));
    mb2_at = START + 8;
    put_tag(1, 9);
    put_mb2_map();
    put_mb2_module(0x1000, 0x1800, "run=test x");
    put_mb2_module(0x1900, 0x1900, "");
}

static int read_mb2(void)
{
    memset(&info, 0, sizeof(info));
    return shim_mb2_read(&view, START, &info);
}

GMK_TEST(shim_mb2_read_sound_info)
{
    put_mb2();
    gmk_test_assert_eq(read_mb2(), 0);
    gmk_test_assert_eq(info.n_raw, 2);
    gmk_test_assert_eq(info.raw[1].type, LIMINE_ACPI_NVS);
    gmk_test_assert_eq(info.n_modules, 2);
    gmk_test_assert_str_eq(info.module[0].cmdline, "run=test x");
    gmk_test_assert_str_eq(info.module[1].cmdline, "");
    gmk_test_assert_eq(info.module[0].bytes, 0x800);
    gmk_test_assert(!info.has_rsdp);
    gmk_test_assert(info.base == START && info.bytes == mb2_at + 8 - START);
}

GMK_TEST(shim_mb2_read_newest_rsdp_counts)
{
    static uint8_t copy[36];

    put_acpi(NULL, 0);
    memcpy(copy, ram + RSDP, 36);
    put_mb2();
    memcpy(put_tag(15, 44) + 8, copy, 36);
    copy[15] = 0;
    fix_sum(copy, 8, 20);
    memcpy(put_tag(14, 28) + 8, copy, 20);
    gmk_test_assert_eq(read_mb2(), 0);
    gmk_test_assert(info.has_rsdp && info.rsdp_copy[15] == 2);
    put_mb2();
    memcpy(put_tag(14, 28) + 8, copy, 20);
    gmk_test_assert_eq(read_mb2(), 0);
    gmk_test_assert(info.has_rsdp && info.rsdp_copy[15] == 0 && info.rsdp_copy[24] == 0);
    put_mb2();
    copy[9] ^= 1; /* damaged */
    memcpy(put_tag(14, 28) + 8, copy, 20);
    gmk_test_assert_eq(read_mb2(), 0);
    gmk_test_assert(!info.has_rsdp);
}

GMK_TEST(shim_mb2_read_missing_parts_are_named)
{
    memset(ram, 0, sizeof(ram));
    mb2_at = START + 8;
    put_mb2_map();
    gmk_test_assert_eq(read_mb2(), SHIM_E_NO_MODULE);
    mb2_at = START + 8;
    put_mb2_module(0x1000, 0x1800, "");
    gmk_test_assert_eq(read_mb2(), SHIM_E_NO_MAP);
}

GMK_TEST(shim_mb2_read_wrong_lengths_are_refused)
{
    uint8_t *p;

    put_mb2();
    put32(ram + START, sizeof(ram)); /* more than there is */
    gmk_test_assert_eq(read_mb2(), SHIM_E_INFO);
    put32(ram + START, 15);
    gmk_test_assert_eq(read_mb2(), SHIM_E_INFO);
    put_mb2();
    put32(put_tag(99, 8) + 4, 7);
    gmk_test_assert_eq(read_mb2(), SHIM_E_INFO);
    put_mb2();
    put32(put_tag(99, 8) + 4, 8192);
    gmk_test_assert_eq(read_mb2(), SHIM_E_INFO);
    put_mb2();
    put_tag(3, 15); /* a module's head is longer */
    gmk_test_assert_eq(read_mb2(), SHIM_E_INFO);
    put_mb2();
    put_mb2_module(0x1800, 0x1000, "");
    gmk_test_assert_eq(read_mb2(), SHIM_E_INFO);
    put_mb2();
    put_mb2_module(0x1800, 0xffffffff, "");
    gmk_test_assert_eq(read_mb2(), SHIM_E_MODULE_FAR);
    put_mb2();
    p = put_tag(6, 40);
    put32(p + 8, 0); /* entries of no size */
    gmk_test_assert_eq(read_mb2(), SHIM_E_INFO);
    put_mb2();
    put_tag(6, 12);
    gmk_test_assert_eq(read_mb2(), SHIM_E_INFO);
}

GMK_TEST(shim_mb2_read_too_many_of_all)
{
    memset(ram, 0, sizeof(ram));
    mb2_at = START + 8;
    put_mb2_map();
    for (uint32_t i = 0; i <= SHIM_MODULES_MAX; i++)
        put_mb2_module(0x1000, 0x1800, "");
    gmk_test_assert_eq(read_mb2(), SHIM_E_INFO_FULL);
}

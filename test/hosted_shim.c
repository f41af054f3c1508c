/* SPDX-License-Identifier: MIT
 * The loader shim's logic on a host: memory map, ELF, requests, page tables, clock.
 * Floor: tests. Source: ARCHITECTURE R17; BOOT.md sections 1, 2 and 4. */
#include <stdlib.h>
#include <string.h>

#include "../arch/x86_64/boot/shim/clock.h"
#include "../arch/x86_64/boot/shim/elf.h"
#include "../arch/x86_64/boot/shim/memmap.h"
#include "../arch/x86_64/boot/shim/requests.h"
#include "../arch/x86_64/boot/shim/tables.h"

#include "../arch/x86_64/limine/limine.h"
#include "shim_bytes.h"

/* Memory map. --------------------------------------------------------------------------- */

static shim_map_t map;

typedef struct raw {
    uint64_t base, bytes;
    uint32_t type;
} raw_t;

static int build(const raw_t *raw, uint32_t n)
{
    shim_range_t r[SHIM_RAW_MAX];

    for (uint32_t i = 0; i < n; i++)
        r[i] = shim_range_of(raw[i].base, raw[i].bytes, raw[i].type);
    return shim_map_build(&map, r, n);
}
#define BUILD(...)                                                                                 \
    build((const raw_t[]){__VA_ARGS__}, sizeof((const raw_t[]){__VA_ARGS__}) / sizeof(raw_t))

static bool is_entry(uint32_t i, uint64_t base, uint64_t end, uint32_t type)
{
    return i < map.n && map.r[i].base == base && map.r[i].end == end && map.r[i].type == type;
}

GMK_TEST(shim_map_build_sorts_and_merges)
{
    gmk_test_assert_eq(BUILD({MIB(2), MIB(1), RAM}, {MIB(1), MIB(1), RAM}, {MIB(8), MIB(1), RAM},
                             {MIB(9), MIB(1), E820_NVS}),
                       0);
    gmk_test_assert_eq(map.n, 3);
    gmk_test_assert(is_entry(0, MIB(1), MIB(3), LIMINE_USABLE));
    gmk_test_assert(is_entry(1, MIB(8), MIB(9), LIMINE_USABLE));
    gmk_test_assert(is_entry(2, MIB(9), MIB(10), LIMINE_ACPI_NVS));
}

GMK_TEST(shim_map_build_first_page_is_never_usable)
{
    gmk_test_assert_eq(BUILD({0, KIB(639), RAM}), 0);
    gmk_test_assert(is_entry(0, 4096, KIB(636), LIMINE_USABLE)); /* and whole pages */
}

GMK_TEST(shim_map_build_less_free_type_wins_overlap)
{
    gmk_test_assert_eq(BUILD({MIB(1), MIB(4), RAM}, {MIB(2), 100, E820_RESERVED},
                             {MIB(3), MIB(1), E820_BAD}, {MIB(3), MIB(1), E820_ACPI}),
                       0);
    gmk_test_assert_eq(map.n, 5);
    gmk_test_assert(is_entry(0, MIB(1), MIB(2), LIMINE_USABLE));
    gmk_test_assert(is_entry(1, MIB(2), MIB(2) + 100, LIMINE_RESERVED));
    gmk_test_assert(is_entry(2, MIB(2) + 4096, MIB(3), LIMINE_USABLE));
    gmk_test_assert(is_entry(3, MIB(3), MIB(4), LIMINE_BAD_MEMORY));
    gmk_test_assert(is_entry(4, MIB(4), MIB(5), LIMINE_USABLE));
}

GMK_TEST(shim_map_build_pages_cut_by_others_are_lost)
{
    gmk_test_assert_eq(BUILD({MIB(1), KIB(64), RAM}, {MIB(1) + 8, 8, E820_NVS}), 0);
    gmk_test_assert(is_entry(0, MIB(1) + 8, MIB(1) + 16, LIMINE_ACPI_NVS));
    gmk_test_assert(is_entry(1, MIB(1) + 4096, MIB(1) + KIB(64), LIMINE_USABLE));
    gmk_test_assert_eq(map.n, 2);
}

GMK_TEST(shim_map_build_unknown_type_is_reserved)
{
    gmk_test_assert_eq(BUILD({MIB(1), MIB(1), RAM}, {MIB(2), MIB(1), 0}, {MIB(3), MIB(1), 77}), 0);
    gmk_test_assert(is_entry(1, MIB(2), MIB(4), LIMINE_RESERVED));
}

GMK_TEST(shim_map_build_end_that_wraps_is_cut)
{
    gmk_test_assert_eq(BUILD({MIB(1), MIB(1), RAM}, {UINT64_MAX - 10, 100, E820_RESERVED}), 0);
    gmk_test_assert(is_entry(1, UINT64_MAX - 10, UINT64_MAX, LIMINE_RESERVED));
    gmk_test_assert_eq(BUILD({MIB(1), MIB(1), RAM}, {UINT64_MAX - 10, 100, RAM}), 0);
    gmk_test_assert_eq(map.n, 1);
    gmk_test_assert_eq(BUILD({MIB(1), UINT64_MAX, RAM}), 0);
    gmk_test_assert(is_entry(0, MIB(1), SHIM_PHYS_END, LIMINE_USABLE));
}

GMK_TEST(shim_map_build_nothing_usable_fails)
{
    gmk_test_assert_eq(shim_map_build(&map, NULL, 0), SHIM_E_NO_MAP);
    gmk_test_assert_eq(BUILD({MIB(1), MIB(1), E820_RESERVED}), SHIM_E_NO_MAP);
    gmk_test_assert_eq(BUILD({100, 4000, RAM}), SHIM_E_NO_MAP); /* no whole page */
    gmk_test_assert_eq(BUILD({MIB(1), 0, RAM}), SHIM_E_NO_MAP);
}

GMK_TEST(shim_map_build_fullest_map_fits)
{
    static shim_range_t raw[SHIM_RAW_MAX];

    for (uint32_t i = 0; i < SHIM_RAW_MAX; i++)
        raw[i] = shim_range_of(MIB(1) + (SHIM_RAW_MAX - i) * KIB(16), KIB(8), RAM);
    raw[0] = shim_range_of(0, GIB(1), E820_ACPI);
    gmk_test_assert_eq(shim_map_build(&map, raw, SHIM_RAW_MAX), SHIM_E_NO_MAP);
    raw[0] = shim_range_of(MIB(64), MIB(1), RAM);
    gmk_test_assert_eq(shim_map_build(&map, raw, SHIM_RAW_MAX), 0);
    gmk_test_assert_eq(map.n, SHIM_RAW_MAX);
    gmk_test_assert_eq(shim_map_build(&map, raw, SHIM_RAW_MAX + 1), SHIM_E_MAP_FULL);
}

GMK_TEST(shim_map_take_covers_whole_pages_of_usable_only)
{
    gmk_test_assert_eq(
        BUILD({MIB(1), MIB(1), RAM}, {MIB(2), MIB(1), E820_NVS}, {MIB(3), MIB(1), RAM}), 0);
    gmk_test_assert_eq(shim_map_take(&map, MIB(2) - 5, MIB(1) + 10, LIMINE_KERNEL_AND_MODULES), 0);
    gmk_test_assert_eq(map.n, 5);
    gmk_test_assert(is_entry(0, MIB(1), MIB(2) - 4096, LIMINE_USABLE));
    gmk_test_assert(is_entry(1, MIB(2) - 4096, MIB(2), LIMINE_KERNEL_AND_MODULES));
    gmk_test_assert(is_entry(2, MIB(2), MIB(3), LIMINE_ACPI_NVS));
    gmk_test_assert(is_entry(3, MIB(3), MIB(3) + 4096, LIMINE_KERNEL_AND_MODULES));
    gmk_test_assert(is_entry(4, MIB(3) + 4096, MIB(4), LIMINE_USABLE));
}

GMK_TEST(shim_map_take_inside_splits_in_three)
{
    gmk_test_assert_eq(BUILD({MIB(1), MIB(1), RAM}), 0);
    gmk_test_assert_eq(shim_map_take(&map, MIB(1) + 8192, 1, LIMINE_BOOTLOADER_RECLAIMABLE), 0);
    gmk_test_assert_eq(map.n, 3);
    gmk_test_assert(is_entry(1, MIB(1) + 8192, MIB(1) + 12288, LIMINE_BOOTLOADER_RECLAIMABLE));
    gmk_test_assert(is_entry(2, MIB(1) + 12288, MIB(2), LIMINE_USABLE));
    /* taken twice, and what is outside, and nothing: no change */
    gmk_test_assert_eq(shim_map_take(&map, MIB(1) + 8192, 9, LIMINE_KERNEL_AND_MODULES), 0);
    gmk_test_assert_eq(shim_map_take(&map, GIB(5), UINT64_MAX, LIMINE_KERNEL_AND_MODULES), 0);
    gmk_test_assert_eq(shim_map_take(&map, MIB(1), 0, LIMINE_KERNEL_AND_MODULES), 0);
    gmk_test_assert_eq(map.n, 3);
}

GMK_TEST(shim_map_find_takes_the_highest_place_that_fits)
{
    shim_want_t want = {KIB(64), 4096, SHIM_4G, LIMINE_BOOTLOADER_RECLAIMABLE};
    uint64_t at = 0;

    gmk_test_assert_eq(
        BUILD({MIB(1), MIB(63), RAM}, {MIB(65), KIB(32), RAM}, {GIB(4), GIB(1), RAM}), 0);
    gmk_test_assert_eq(shim_map_find(&map, &want, &at), 0);
    gmk_test_assert_eq(at, MIB(64) - KIB(64));
    want.align = SHIM_2M;
    gmk_test_assert_eq(shim_map_find(&map, &want, &at), 0);
    gmk_test_assert_eq(at, MIB(62));
    want.below = 0x100000; /* the page of the other CPUs' start: none there */
    gmk_test_assert_eq(shim_map_find(&map, &want, &at), SHIM_E_NO_ROOM);
    want.below = SHIM_4G;
    want.bytes = GIB(1);
    gmk_test_assert_eq(shim_map_find(&map, &want, &at), SHIM_E_NO_ROOM);
}

GMK_TEST(shim_map_find_area_across_the_limit_is_used_below_it)
{
    shim_want_t want = {KIB(4), 4096, 0x100000, LIMINE_BOOTLOADER_RECLAIMABLE};
    uint64_t at = 0;

    gmk_test_assert_eq(BUILD({0, MIB(2), RAM}), 0);
    gmk_test_assert_eq(shim_map_find(&map, &want, &at), 0);
    gmk_test_assert_eq(at, MIB(1) - 4096);
}

GMK_TEST(shim_map_find_until_nothing_is_left)
{
    shim_want_t want = {4096, 4096, SHIM_4G, LIMINE_BOOTLOADER_RECLAIMABLE};
    uint64_t at = 0, n = 0, last = UINT64_MAX;

    gmk_test_assert_eq(BUILD({0, KIB(64), RAM}), 0);
    while (shim_map_find(&map, &want, &at) == 0) {
        gmk_test_assert(at < last && at >= 4096);
        last = at;
        n++;
    }
    gmk_test_assert_eq(n, 15);
}

GMK_TEST(shim_map_take_full_map_is_refused_unchanged)
{
    shim_want_t want = {4096, 4096, SHIM_4G, LIMINE_BOOTLOADER_RECLAIMABLE};
    uint64_t at = 0;

    gmk_test_assert_eq(BUILD({MIB(1), MIB(32), RAM}), 0);
    for (uint32_t i = 0; map.n + 2 <= SHIM_MAP_MAX; i++)
        GMK_REQUIRE(shim_map_take(&map, MIB(1) + i * 8192, 4096, i % 2 + 5) == 0);
    gmk_test_assert_eq(shim_map_take(&map, MIB(30), 4096, 5), SHIM_E_MAP_FULL);
    gmk_test_assert_eq(shim_map_find(&map, &want, &at), SHIM_E_MAP_FULL);
}

GMK_TEST(shim_map_is_ram_by_type)
{
    gmk_test_assert_eq(
        BUILD({MIB(1), MIB(1), RAM}, {MIB(2), MIB(1), E820_RESERVED}, {MIB(3), MIB(1), E820_ACPI}),
        0);
    gmk_test_assert(shim_map_is_ram(&map, MIB(1)) && shim_map_is_ram(&map, MIB(2) - 1));
    gmk_test_assert(!shim_map_is_ram(&map, MIB(2)) && shim_map_is_ram(&map, MIB(3)));
    gmk_test_assert(!shim_map_is_ram(&map, MIB(4)) && !shim_map_is_ram(&map, 0xfec00000));
}

/* ELF. ---------------------------------------------------------------------------------- */

#define FIRST SHIM_KERNEL_FIRST
#define FILE_BYTES 0x4000u

static uint8_t file[FILE_BYTES];

static uint8_t *phdr(uint32_t i) { return file + 64 + 56 * i; }

static void put_segment(uint32_t i, uint32_t flags, shim_segment_t s)
{
    put32(phdr(i), 1);
    put32(phdr(i) + 4, flags);
    put64(phdr(i) + 8, s.offset);
    put64(phdr(i) + 16, s.virt);
    put64(phdr(i) + 24, s.virt);
    put64(phdr(i) + 32, s.file_bytes);
    put64(phdr(i) + 40, s.mem_bytes);
}

/* Text at FIRST, data with zeros behind it two pages on. */
static void make_kernel(void)
{
    static const uint8_t ident[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};

    for (uint32_t i = 0; i < FILE_BYTES; i++)
        file[i] = (uint8_t)(i * 7 + 1);
    memset(file, 0, 0x1000);
    memcpy(file, ident, sizeof(ident));
    put16(file + 16, 2);
    put16(file + 18, 62);
    put64(file + 24, FIRST + 0x10);
    put64(file + 32, 64);
    put16(file + 54, 56);
    put16(file + 56, 2);
    put_segment(0, 5, (shim_segment_t){FIRST, 0x1800, 0x1000, 0x1800, 0});
    put_segment(1, 6, (shim_segment_t){FIRST + 0x2008, 0x3000, 0x3000, 0x100, 0});
}

static shim_elf_t elf;

static int read_kernel(void) { return shim_elf_read(&elf, file, FILE_BYTES); }

GMK_TEST(shim_elf_read_sound_file)
{
    make_kernel();
    gmk_test_assert_eq(read_kernel(), 0);
    gmk_test_assert_eq(elf.n_segments, 2);
    gmk_test_assert_eq(elf.first, FIRST);
    gmk_test_assert_eq(elf.span, 0x6000);
    gmk_test_assert_eq(elf.entry, FIRST + 0x10);
    gmk_test_assert_eq(elf.seg[0].flags, SHIM_SEG_X);
    gmk_test_assert_eq(elf.seg[1].flags, SHIM_SEG_W);
    gmk_test_assert(shim_elf_runs(&elf, FIRST + 0x17ff));
    gmk_test_assert(!shim_elf_runs(&elf, FIRST + 0x1800));
    gmk_test_assert(!shim_elf_runs(&elf, FIRST + 0x2008));
    gmk_test_assert(!shim_elf_runs(&elf, FIRST - 1));
}

GMK_TEST(shim_elf_place_copies_and_zeroes)
{
    uint8_t *image;

    make_kernel();
    GMK_REQUIRE(read_kernel() == 0);
    image = malloc(elf.span);
    GMK_REQUIRE(image != NULL);
    memset(image, 0xee, elf.span);
    shim_elf_place(&elf, file, image);
    gmk_test_assert(memcmp(image, file + 0x1000, 0x1800) == 0);
    gmk_test_assert(image[0x1800] == 0 && image[0x2007] == 0);
    gmk_test_assert(memcmp(image + 0x2008, file + 0x3000, 0x100) == 0);
    for (uint32_t i = 0x2108; i < elf.span; i++)
        GMK_REQUIRE(image[i] == 0);
    free(image);
}

GMK_TEST(shim_elf_read_wrong_header_is_named)
{
    static const struct {
        const char *name;
        uint32_t at, value, rc;
    } cases[] = {
        {"magic", 0, 0x7e, SHIM_E_ELF_MAGIC},         {"magic end", 3, 'G', SHIM_E_ELF_MAGIC},
        {"32-bit", 4, 1, SHIM_E_ELF_CLASS},           {"big-endian", 5, 2, SHIM_E_ELF_CLASS},
        {"aarch64", 18, 183, SHIM_E_ELF_MACHINE},     {"relocatable", 16, 1, SHIM_E_ELF_TYPE},
        {"shared", 16, 3, SHIM_E_ELF_TYPE},           {"phentsize", 54, 57, SHIM_E_ELF_HEADERS},
        {"too many", 57, 1, SHIM_E_ELF_HEADERS},      {"none", 56, 0, SHIM_E_ELF_EMPTY},
        {"far headers", 39, 0x80, SHIM_E_ELF_HEADERS}};

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(cases); i++) {
        make_kernel();
        file[cases[i].at] = (uint8_t)cases[i].value;
        gmk_test_assert_named(read_kernel() == (int)cases[i].rc, cases[i].name);
    }
}

GMK_TEST(shim_elf_read_cut_off_anywhere_never_reads_beyond)
{
    make_kernel();
    for (uint32_t n = 0; n <= 0x3100; n++) {
        uint8_t *copy = malloc(n + 1); /* the sanitizer watches its end */
        int rc;

        GMK_REQUIRE(copy != NULL);
        memcpy(copy, file, n);
        rc = shim_elf_read(&elf, copy, n);
        free(copy);
        GMK_REQUIRE(n < 0x3100 ? rc != 0 : rc == 0);
    }
    gmk_test_assert_eq(shim_elf_read(&elf, file, 3), SHIM_E_ELF_MAGIC);
    gmk_test_assert_eq(shim_elf_read(&elf, file, 63), SHIM_E_ELF_SHORT);
    gmk_test_assert_eq(shim_elf_read(&elf, file, 64 + 111), SHIM_E_ELF_HEADERS);
}

GMK_TEST(shim_elf_read_wrong_segment_is_named)
{
    static const struct {
        const char *name;
        shim_segment_t s;
        int rc;
    } cases[] = {
        {"sound", {FIRST + 0x3000, 1, 0, 1, 0}, 0},
        {"file part is longer", {FIRST + 0x3000, 1, 0, 2, 0}, SHIM_E_ELF_SEGMENT},
        {"offset outside", {FIRST + 0x3000, 1, FILE_BYTES + 1, 0, 0}, SHIM_E_ELF_SEGMENT},
        {"end outside", {FIRST + 0x3000, 9, FILE_BYTES - 8, 9, 0}, SHIM_E_ELF_SEGMENT},
        {"end wraps", {FIRST + 0x3000, UINT64_MAX, 16, UINT64_MAX - 8, 0}, SHIM_E_ELF_SEGMENT},
        {"low half", {0x100000, 1, 0, 1, 0}, SHIM_E_ELF_PLACE},
        {"just below", {FIRST - 1, 2, 0, 1, 0}, SHIM_E_ELF_PLACE},
        {"address wraps", {UINT64_MAX - 10, 100, 0, 1, 0}, SHIM_E_ELF_PLACE},
        {"last page", {UINT64_MAX - 4095, 1, 0, 1, 0}, SHIM_E_ELF_PLACE},
        {"memory wraps", {FIRST + 0x3000, UINT64_MAX - 0x1000, 0, 1, 0}, SHIM_E_ELF_PLACE},
        {"far apart", {FIRST + GIB(1), 0x1000, 0, 1, 0}, SHIM_E_ELF_PLACE},
        {"on the same page", {FIRST + 0x1900, 1, 0, 1, 0}, SHIM_E_ELF_SHARED},
        {"around the other", {FIRST, 0x10000, 0, 1, 0}, SHIM_E_ELF_SHARED},
        {"empty, anywhere", {7, 0, 0, 0, 0}, 0},
    };

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(cases); i++) {
        make_kernel();
        put_segment(1, 6, cases[i].s);
        gmk_test_assert_named(read_kernel() == cases[i].rc, cases[i].name);
    }
}

GMK_TEST(shim_elf_read_too_many_segments)
{
    make_kernel();
    for (uint32_t i = 0; i <= SHIM_SEGMENTS_MAX; i++)
        put_segment(i, 4, (shim_segment_t){FIRST + i * 4096, 1, 0, 1, 0});
    put16(file + 56, SHIM_SEGMENTS_MAX + 1);
    gmk_test_assert_eq(read_kernel(), SHIM_E_ELF_MANY);
    put16(file + 56, SHIM_SEGMENTS_MAX);
    gmk_test_assert_eq(read_kernel(), 0);
    gmk_test_assert_eq(elf.span, SHIM_SEGMENTS_MAX * 4096);
}

GMK_TEST(shim_elf_read_segments_in_falling_order)
{
    make_kernel();
    put_segment(0, 5, (shim_segment_t){FIRST + 0x5000, 0x1000, 0x1000, 0x1000, 0});
    put_segment(1, 6, (shim_segment_t){FIRST + 0x1000, 0x1000, 0x3000, 0x100, 0});
    gmk_test_assert_eq(read_kernel(), 0);
    gmk_test_assert_eq(elf.first, FIRST + 0x1000);
    gmk_test_assert_eq(elf.span, 0x5000);
}

/* Requests. ----------------------------------------------------------------------------- */

static GMK_ALIGNAS(16) uint8_t image[0x1000];
static shim_requests_t requests;

/* One segment, all of it from the file. */
static void make_image(void)
{
    memset(image, 0, sizeof(image));
    elf = (shim_elf_t){.first = FIRST, .span = sizeof(image), .n_segments = 1};
    elf.seg[0] = (shim_segment_t){FIRST, sizeof(image), 0, sizeof(image), SHIM_SEG_W};
}

static void put_words(uint32_t at, const uint64_t *w, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        put64(image + at + 8 * i, w[i]);
}
#define PUT(at, ...)                                                                               \
    put_words(at, (const uint64_t[])__VA_ARGS__, sizeof((const uint64_t[])__VA_ARGS__) / 8)
#define TAG                                                                                        \
    {                                                                                              \
        LIMINE_BASE_TAG_MAGIC, 2                                                                   \
    }

static int find(void) { return shim_requests_find(&requests, &elf, image); }

GMK_TEST(shim_requests_find_each_between_the_marks)
{
    make_image();
    PUT(0, LIMINE_HHDM_ID); /* before the mark: not seen */
    PUT(0x80, LIMINE_START_MARK);
    PUT(0x100, TAG);
    PUT(0x200, LIMINE_HHDM_ID);
    PUT(0x300, LIMINE_SMP_ID);
    PUT(0x400, LIMINE_END_MARK);
    PUT(0x500, LIMINE_SMP_ID); /* after it: not seen */
    gmk_test_assert_eq(find(), 0);
    gmk_test_assert((uint8_t *)requests.base_tag == image + 0x100);
    gmk_test_assert((uint8_t *)requests.at[SHIM_F_HHDM] == image + 0x200);
    gmk_test_assert((uint8_t *)requests.at[SHIM_F_SMP] == image + 0x300);
    gmk_test_assert(requests.at[SHIM_F_RSDP] == NULL);
}

GMK_TEST(shim_requests_find_without_marks)
{
    make_image();
    PUT(0x100, TAG);
    PUT(0x208, LIMINE_MEMMAP_ID);
    PUT(0x304, LIMINE_RSDP_ID); /* not aligned: no request */
    gmk_test_assert_eq(find(), 0);
    gmk_test_assert((uint8_t *)requests.at[SHIM_F_MEMMAP] == image + 0x208);
    gmk_test_assert(requests.at[SHIM_F_RSDP] == NULL);
}

GMK_TEST(shim_requests_find_mark_without_end)
{
    make_image();
    PUT(0x100, LIMINE_START_MARK);
    PUT(0x200, TAG);
    PUT(0xf00, LIMINE_BOOT_TIME_ID);
    gmk_test_assert_eq(find(), 0);
    gmk_test_assert((uint8_t *)requests.at[SHIM_F_BOOT_TIME] == image + 0xf00);
}

GMK_TEST(shim_requests_find_two_alike_fails)
{
    make_image();
    PUT(0x100, TAG);
    PUT(0x200, LIMINE_HHDM_ID);
    PUT(0x300, LIMINE_HHDM_ID);
    gmk_test_assert_eq(find(), SHIM_E_TWICE);
    make_image();
    PUT(0x100, TAG);
    PUT(0x200, TAG);
    gmk_test_assert_eq(find(), SHIM_E_TWICE);
}

GMK_TEST(shim_requests_find_other_revision_fails)
{
    make_image();
    gmk_test_assert_eq(find(), SHIM_E_REVISION);
    PUT(0x100, {LIMINE_BASE_TAG_MAGIC, 3});
    gmk_test_assert_eq(find(), SHIM_E_REVISION);
    PUT(0x100, {LIMINE_BASE_TAG_MAGIC, 0});
    gmk_test_assert_eq(find(), SHIM_E_REVISION);
}

GMK_TEST(shim_requests_find_cut_off_by_the_end_is_none)
{
    make_image();
    PUT(0x100, TAG);
    PUT(0x1000 - 40, LIMINE_HHDM_ID); /* its response would lie outside */
    gmk_test_assert_eq(find(), 0);
    gmk_test_assert(requests.at[SHIM_F_HHDM] == NULL);
    make_image();
    PUT(0x100, TAG);
    PUT(0x1000 - 48, LIMINE_HHDM_ID);
    gmk_test_assert_eq(find(), 0);
    gmk_test_assert(requests.at[SHIM_F_HHDM] != NULL);
    make_image();
    PUT(0x1000 - 16, {LIMINE_BASE_TAG_MAGIC});
    gmk_test_assert_eq(find(), SHIM_E_REVISION);
}

GMK_TEST(shim_requests_find_looks_in_bytes_of_the_file_only)
{
    make_image();
    elf.seg[0].file_bytes = 0x200;
    PUT(0x100, TAG);
    PUT(0x300, LIMINE_HHDM_ID);
    gmk_test_assert_eq(find(), 0);
    gmk_test_assert(requests.at[SHIM_F_HHDM] == NULL);
}

/* Page tables. ----------------------------------------------------------------------------- */

static shim_tables_t tables;

#define POOL_AT 0x7000000ull

static bool make_tables(void)
{
    uint64_t n = shim_tables_need(&map, &elf);

    free(tables.pool);
    tables = (shim_tables_t){aligned_alloc(4096, n * 4096), POOL_AT, 0, (uint32_t)n};
    if (tables.pool == NULL)
        return false;
    memset(tables.pool, 0xee, n * 4096);
    shim_tables_start(&tables);
    return shim_tables_hhdm(&tables, &map, 0x103000) == 0 &&
           shim_tables_kernel(&tables, &elf, MIB(64)) == 0;
}

static void drop_tables(void)
{
    free(tables.pool);
    tables.pool = NULL;
}

GMK_TEST(shim_tables_kernel_has_the_permissions_of_its_segments)
{
    make_kernel();
    GMK_REQUIRE(read_kernel() == 0);
    GMK_REQUIRE(BUILD({MIB(1), MIB(255), RAM}) == 0);
    GMK_REQUIRE(make_tables());
    gmk_test_assert_eq(shim_tables_entry(&tables, FIRST), MIB(64) | SHIM_PTE_P);
    gmk_test_assert_eq(shim_tables_entry(&tables, FIRST + 0x1000), (MIB(64) + 0x1000) | SHIM_PTE_P);
    for (uint64_t at = 0x2000; at < 0x6000; at += 0x1000)
        gmk_test_assert_eq(shim_tables_entry(&tables, FIRST + at),
                           (MIB(64) + at) | SHIM_PTE_P | SHIM_PTE_W | SHIM_PTE_NX);
    gmk_test_assert_eq(shim_tables_entry(&tables, FIRST + 0x6000), 0);
    drop_tables();
}

GMK_TEST(shim_tables_hhdm_shows_low_4g_and_memory_above)
{
    uint64_t data = SHIM_PTE_P | SHIM_PTE_W | SHIM_PTE_NX, large = data | SHIM_PTE_LARGE;

    make_kernel();
    GMK_REQUIRE(read_kernel() == 0);
    GMK_REQUIRE(BUILD({MIB(1), MIB(255), RAM}, {GIB(4), GIB(1) + 4096, RAM},
                      {GIB(600), MIB(4), E820_ACPI}, {GIB(700), MIB(4), E820_RESERVED}) == 0);
    GMK_REQUIRE(make_tables());
    gmk_test_assert_eq(shim_tables_entry(&tables, SHIM_HHDM + 5), data); /* beside the page */
    gmk_test_assert_eq(shim_tables_entry(&tables, SHIM_HHDM + SHIM_2M), SHIM_2M | large);
    gmk_test_assert_eq(shim_tables_entry(&tables, SHIM_HHDM + 0xfee00000), 0xfee00000 | large);
    gmk_test_assert_eq(shim_tables_entry(&tables, SHIM_HHDM + 0x102000), 0x102000 | data);
    gmk_test_assert_eq(shim_tables_entry(&tables, SHIM_HHDM + 0x103000), 0x103000 | SHIM_PTE_P);
    gmk_test_assert_eq(shim_tables_entry(&tables, SHIM_HHDM + GIB(5)), GIB(5) | large);
    gmk_test_assert_eq(shim_tables_entry(&tables, SHIM_HHDM + GIB(5) + MIB(2)), 0);
    gmk_test_assert_eq(shim_tables_entry(&tables, SHIM_HHDM + GIB(600)), GIB(600) | large);
    gmk_test_assert_eq(shim_tables_entry(&tables, SHIM_HHDM + GIB(700)), 0);
    gmk_test_assert_eq(shim_tables_entry(&tables, 0x100000), 0); /* no identity map */
    gmk_test_assert(tables.n <= tables.cap);
    drop_tables();
}

GMK_TEST(shim_tables_map_pool_used_up_is_told)
{
    static GMK_ALIGNAS(4096) uint64_t pool[3][512];
    shim_tables_t t = {&pool[0][0], POOL_AT, 0, 3};

    shim_tables_start(&t);
    gmk_test_assert_eq(shim_tables_map(&t, FIRST, (shim_range_t){0, SHIM_2M, 0}, SHIM_PTE_P), 0);
    gmk_test_assert_eq(t.n, 3);
    gmk_test_assert_eq(shim_tables_map(&t, FIRST + SHIM_2M, (shim_range_t){0, 4096, 0}, SHIM_PTE_P),
                       SHIM_E_TABLES);
}

/* Clock. ------------------------------------------------------------------------------------ */

GMK_TEST(shim_date_seconds_known_dates)
{
    static const struct {
        uint32_t reg[6], status;
        int64_t seconds;
    } cases[] = {
        {{0x00, 0x01, 0x01, 0x00, 0x00, 0x00}, 2, 946684800},
        {{0x24, 0x02, 0x29, 0x23, 0x59, 0x59}, 2, 1709251199},
        {{0x24, 0x03, 0x01, 0x00, 0x00, 0x00}, 2, 1709251200},
        {{26, 11, 25, 21, 0, 2}, 6, 1795640402},
        {{0x26, 0x11, 0x25, 0x89, 0x00, 0x02}, 0, 1795640402}, /* 9 in the afternoon */
        {{0x00, 0x01, 0x01, 0x12, 0x00, 0x00}, 0, 946684800},  /* 12 at night */
        {{0x00, 0x01, 0x01, 0x92, 0x00, 0x00}, 0, 946728000},
        {{99, 12, 31, 23, 59, 59}, 6, 4102444799},
    };

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(cases); i++)
        gmk_test_assert_eq(shim_date_seconds(cases[i].reg, cases[i].status), cases[i].seconds);
}

/* SPDX-License-Identifier: MIT
 * What the loader shim reads: memory maps, ELF files, ACPI tables, boot information, requests.
 * The first byte says which. Sums and signatures are put right, so that the fuzzer need not guess
 * them; buffers are as long as their contents, so that the sanitizer sees each byte beyond.
 * Floor: tests. Source: the invariants in the headers of arch/x86_64/boot/shim. */
#include "fuzz.h"

#include "../../arch/x86_64/boot/shim/clock.h"
#include "../../arch/x86_64/boot/shim/elf.h"
#include "../../arch/x86_64/boot/shim/info.h"
#include "../../arch/x86_64/boot/shim/memmap.h"
#include "../../arch/x86_64/boot/shim/requests.h"
#include "../../arch/x86_64/boot/shim/tables.h"

#include "../../arch/x86_64/limine/limine.h"

#define IMAGE_MAX 0x400000ull
#define POOL_MAX 4096u /* pages of tables that are really built */
#define LINES 64u      /* of the model: pages 0 to 63 */

static shim_map_t map;

static void check_map(void)
{
    for (uint32_t i = 0; i < map.n; i++) {
        const shim_range_t *r = &map.r[i];

        FUZZ_CHECK(r->base < r->end && (i == 0 || map.r[i - 1].end <= r->base));
        if (r->type != LIMINE_USABLE && r->type < LIMINE_BOOTLOADER_RECLAIMABLE)
            continue;
        FUZZ_CHECK(r->base >= SHIM_PAGE && (r->base | r->end) % SHIM_PAGE == 0);
        FUZZ_CHECK(r->end <= SHIM_PHYS_END);
    }
}

static uint32_t type_at(uint64_t at)
{
    for (uint32_t i = 0; i < map.n; i++)
        if (map.r[i].base <= at && at < map.r[i].end)
            return map.r[i].type;
    return UINT32_MAX;
}

/* Whether firmware's ranges make every byte of a page usable. */
static bool page_is_ram(const shim_range_t *raw, uint32_t n, uint64_t page)
{
    uint64_t free_to = page;
    bool grew = true;

    for (uint32_t i = 0; i < n; i++)
        if (raw[i].type != LIMINE_USABLE && raw[i].base < page + SHIM_PAGE && raw[i].end > page &&
            raw[i].base < raw[i].end)
            return false;
    while (grew) {
        grew = false;
        for (uint32_t i = 0; i < n; i++) {
            if (raw[i].base <= free_to && raw[i].end > free_to) {
                free_to = raw[i].end;
                grew = true;
            }
        }
    }
    return page != 0 && free_to >= page + SHIM_PAGE;
}

/* Takes and finds, and compares with a table of pages. */
static void change_map(bytes_t *b)
{
    uint32_t before[LINES], type = 5 + (take8(b) & 1);
    uint64_t base = take8(b) % LINES * SHIM_PAGE + take8(b), n = take16(b), at = 0;
    shim_want_t want = {1 + n, SHIM_PAGE << (take8(b) & 3), (take8(b) % LINES) * SHIM_PAGE, type};
    bool find = (take8(b) & 1) != 0;
    int rc;

    for (uint32_t i = 0; i < LINES; i++)
        before[i] = type_at(i * SHIM_PAGE);
    rc = find ? shim_map_find(&map, &want, &at) : shim_map_take(&map, base, n, type);
    if (find) {
        base = at;
        n = want.bytes;
        if (rc == SHIM_OK)
            FUZZ_CHECK(at % want.align == 0 && at + n <= want.below && at >= SHIM_PAGE);
    }
    if (rc != SHIM_OK)
        n = 0;
    for (uint32_t i = 0; i < LINES; i++) {
        uint64_t page = i * SHIM_PAGE;
        bool inside = n != 0 && page + SHIM_PAGE > base && page < base + n;

        FUZZ_CHECK(!(find && inside) || before[i] == LIMINE_USABLE);
        FUZZ_CHECK(type_at(page) == (inside && before[i] == LIMINE_USABLE ? type : before[i]));
    }
    check_map();
}

static void fuzz_map(bytes_t *b)
{
    static shim_range_t raw[SHIM_RAW_MAX];
    uint32_t n = 0, most = take8(b);
    bool wide = (most & 1) != 0;

    while (more(b) && n < most / 2u) {
        uint64_t base = wide ? take_wide(b) : take16(b) << 2,
                 bytes = wide ? take_wide(b) : take16(b);

        raw[n++] = shim_range_of(base, bytes, take8(b) % 7u);
    }
    if (shim_map_build(&map, raw, n) != SHIM_OK)
        return;
    check_map();
    for (uint32_t i = 0; i < LINES; i++)
        FUZZ_CHECK((type_at(i * SHIM_PAGE) == LIMINE_USABLE) == page_is_ram(raw, n, i * SHIM_PAGE));
    for (uint32_t i = 0; i < 16 && more(b); i++)
        change_map(b);
}

/* A copy that ends where the sanitizer watches. */
static uint8_t *copy_of(const uint8_t *p, size_t n)
{
    uint8_t *copy = malloc(n + (n == 0));

    FUZZ_CHECK(copy != NULL);
    memcpy(copy, p, n);
    return copy;
}

static void put(uint8_t *p, size_t n, size_t at, const void *what, size_t bytes)
{
    if (at <= n && bytes <= n - at)
        memcpy(p + at, what, bytes);
}

/* Every page of every segment is mapped to its place, with its rights, and to nothing else. */
static void check_kernel_pages(const shim_tables_t *t, const shim_elf_t *e, uint64_t phys)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < e->n_segments; i++) {
        const shim_segment_t *s = &e->seg[i];

        for (uint64_t at = shim_down(s->virt, SHIM_PAGE); at < s->virt + s->mem_bytes;
             at += SHIM_PAGE, n++) {
            uint64_t x = shim_tables_entry(t, at);
            bool large = (x & SHIM_PTE_LARGE) != 0;
            uint64_t place = x & SHIM_PTE_ADDRESS;

            if (large)
                place += at & (SHIM_2M - 1);
            FUZZ_CHECK(place == phys + (at - e->first) && (x & SHIM_PTE_P) != 0);
            FUZZ_CHECK(((x & SHIM_PTE_W) != 0) == ((s->flags & SHIM_SEG_W) != 0));
            FUZZ_CHECK(((x & SHIM_PTE_NX) != 0) == ((s->flags & SHIM_SEG_X) == 0));
        }
    }
    FUZZ_CHECK(n <= e->span / SHIM_PAGE);
}

static void build_tables(const shim_elf_t *e, uint64_t high)
{
    shim_range_t raw[2] = {shim_range_of(0x100000, 0xff00000, 1),
                           shim_range_of(SHIM_4G + (high & 0xffffffffffull), high >> 40, 1)};
    uint64_t need, phys = 0x4000000 | (high & 1) << 12;
    shim_tables_t t = {.phys = 0x2000000};

    if (shim_map_build(&map, raw, 2) != SHIM_OK)
        return;
    need = shim_tables_need(&map, e);
    if (need > POOL_MAX)
        return;
    t.cap = (uint32_t)need;
    t.pool = aligned_alloc(SHIM_PAGE, need * SHIM_PAGE);
    FUZZ_CHECK(t.pool != NULL);
    shim_tables_start(&t);
    FUZZ_CHECK(shim_tables_hhdm(&t, &map, 0x105000) == SHIM_OK);
    FUZZ_CHECK(shim_tables_kernel(&t, e, phys) == SHIM_OK);
    check_kernel_pages(&t, e, phys);
    free(t.pool);
}

static void check_requests(const shim_elf_t *e, uint8_t *image)
{
    shim_requests_t r;

    if (shim_requests_find(&r, e, image) != SHIM_OK)
        return;
    FUZZ_CHECK(r.base_tag != NULL && r.base_tag[2] == LIMINE_BASE_REVISION);
    for (uint32_t i = 0; i < SHIM_N_FEATURES; i++) {
        uint8_t *p = (uint8_t *)r.at[i];

        FUZZ_CHECK(p == NULL || (p >= image && p + sizeof(limine_request_t) <= image + e->span));
        if (p != NULL)
            r.at[i]->response = NULL; /* written as the shim does */
    }
}

static void fuzz_elf(bytes_t *b)
{
    static const uint8_t ident[] = {0x7f, 'E', 'L', 'F', 2, 1};
    static const uint8_t kind[] = {2, 0, 62, 0};
    uint8_t how = take8(b);
    uint64_t high = take64(b);
    size_t n = b->n - b->at;
    uint8_t *file = copy_of(b->p + b->at, n);
    shim_elf_t e;

    if ((how & 1) == 0) {
        put(file, n, 0, ident, sizeof(ident));
        put(file, n, 16, kind, sizeof(kind));
        put(file, n, 32, (const uint8_t[]){64, 0, 0, 0, 0, 0, 0, 0}, 8);
        put(file, n, 54, (const uint8_t[]){56, 0, how >> 1 & 31, 0}, 4);
    }
    if (shim_elf_read(&e, file, n) == SHIM_OK) {
        FUZZ_CHECK(e.n_segments > 0 && e.first >= SHIM_KERNEL_FIRST);
        FUZZ_CHECK(e.span > 0 && e.span <= SHIM_KERNEL_SPAN && e.span % SHIM_PAGE == 0);
        if (e.span <= IMAGE_MAX) {
            uint8_t *image = aligned_alloc(SHIM_PAGE, e.span);

            FUZZ_CHECK(image != NULL);
            shim_elf_place(&e, file, image);
            check_requests(&e, image);
            free(image);
            build_tables(&e, high);
        }
    }
    free(file);
}

/* Requests alone: words by their number, for the fuzzer cannot guess 256 bits. */
static void fuzz_requests(bytes_t *b)
{
    static const uint64_t words[][4] = {
        LIMINE_START_MARK,
        {0xadc0e0531bb10d03ull, 0x9572709f31764c62ull},
        {LIMINE_BASE_TAG_MAGIC, 2},
        {0},
#define SHIM_FEATURE(id, type) LIMINE_##id##_ID,
#include "../../arch/x86_64/boot/shim/features.def"
#undef SHIM_FEATURE
    };
    size_t n = take8(b) * 8u, n_segment = take8(b) * 8u;
    shim_elf_t e = {.first = SHIM_KERNEL_FIRST, .span = n, .n_segments = 1};
    uint8_t *image = aligned_alloc(8, n + 8 * (n == 0));

    FUZZ_CHECK(image != NULL);
    memset(image, 0, n);
    for (size_t at = 0; more(b); at += 8 * (1 + take8(b) % 8u)) {
        const uint64_t *w = words[take8(b) % GMK_ARRAY_LEN(words)];
        size_t bytes = 8 * (1 + take8(b) % 4u);

        if (bytes > 24)
            put(image, n, at, w, 32);
        else
            put(image, n, at, w, bytes == 8 ? 24 : bytes);
    }
    e.seg[0] = (shim_segment_t){e.first, n, 0, n_segment < n ? n_segment : n, SHIM_SEG_W};
    check_requests(&e, image);
    free(image);
}

static void fix_sum(uint8_t *p, size_t n, size_t from, uint64_t bytes)
{
    uint8_t sum = 0;

    if (from + 10 > n || bytes < 10 || bytes > n - from)
        return;
    p[from + 9] = 0;
    for (uint64_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + p[from + i]);
    p[from + 9] = (uint8_t)(0 - sum);
}

/* The RSDP at 0 leads to a list at 64, and that to a MADT at 128. */
static void fuzz_acpi(bytes_t *b)
{
    static shim_madt_t madt;
    uint8_t how = take8(b);
    size_t n = b->n - b->at;
    uint8_t *ram = copy_of(b->p + b->at, n), *rsdp = calloc(1, SHIM_RSDP_BYTES);
    shim_view_t v = {ram, n};
    uint32_t length = (how & 1) != 0 ? 44 : 40;

    FUZZ_CHECK(rsdp != NULL);
    memcpy(rsdp, ram, n < SHIM_RSDP_BYTES ? n : SHIM_RSDP_BYTES);
    if ((how & 2) == 0) {
        rsdp[15] = (how & 1) != 0 ? 2 : 0;
        memcpy(rsdp + ((how & 1) != 0 ? 24 : 16), (const uint8_t[]){64, 0, 0, 0, 0, 0, 0, 0}, 8);
        put(ram, n, 64, (how & 1) != 0 ? "XSDT" : "RSDT", 4);
        put(ram, n, 68, &length, 4);
        put(ram, n, 100, (const uint8_t[]){128, 0, 0, 0, 0, 0, 0, 0}, length - 36);
        put(ram, n, 128, "APIC", 4);
        length = n > 128 ? (uint32_t)n - 128 - (how >> 6) : 0;
        if ((how & 4) == 0)
            put(ram, n, 132, &length, 4);
        fix_sum(ram, n, 64, (how & 1) != 0 ? 44 : 40);
        if (n >= 136)
            fix_sum(ram, n, 128, shim_get32(ram + 132));
    }
    shim_madt_read(&v, rsdp, &madt);
    FUZZ_CHECK(madt.n_cpus <= SHIM_CPUS_MAX && madt.n_ioapics <= SHIM_IOAPICS_MAX);
    for (uint32_t i = 0; i < madt.n_cpus; i++)
        for (uint32_t k = 0; k < i; k++)
            FUZZ_CHECK(madt.cpu[k].lapic_id != madt.cpu[i].lapic_id);
    shim_rsdp_good(ram, n);
    shim_rsdp_search(&v);
    free(rsdp);
    free(ram);
}

static void fuzz_info(bytes_t *b, bool pvh)
{
    static shim_info_t info;
    uint8_t how = take8(b);
    size_t n = b->n - b->at;
    uint8_t *ram = copy_of(b->p + b->at, n);
    shim_view_t v = {ram, n};
    uint32_t size = (uint32_t)n;
    uint64_t at = (how & 2) != 0 ? how >> 2 : 0;
    int rc;

    if (pvh && (how & 1) == 0)
        put(ram, n, at, (const uint8_t[]){0x78, 0xc5, 0x6e, 0x33, 1, 0, 0, 0}, 8);
    else if (!pvh && (how & 1) == 0)
        put(ram, n, 0, &size, 4);
    memset(&info, 0, sizeof(info));
    rc = pvh ? shim_pvh_read(&v, at, &info) : shim_mb2_read(&v, at, &info);
    FUZZ_CHECK(info.n_raw <= SHIM_RAW_MAX && info.n_modules <= SHIM_MODULES_MAX);
    FUZZ_CHECK(info.text_used <= SHIM_TEXT_MAX);
    for (uint32_t i = 0; i < info.n_modules && rc == SHIM_OK; i++) {
        const shim_module_t *m = &info.module[i];

        FUZZ_CHECK(m->base <= n && m->bytes <= n - m->base);
        FUZZ_CHECK(strlen(m->cmdline) < SHIM_TEXT_MAX);
        free(copy_of(ram + m->base, m->bytes)); /* all of it can be read */
    }
    if (info.has_rsdp)
        FUZZ_CHECK(shim_rsdp_good(info.rsdp_copy, SHIM_RSDP_BYTES));
    free(ram);
}

static void fuzz_clock(bytes_t *b)
{
    uint32_t reg[6];
    int64_t t;

    for (uint32_t i = 0; i < 6; i++)
        reg[i] = take8(b);
    t = shim_date_seconds(reg, take8(b));
    FUZZ_CHECK(t > 900000000 && t < 12000000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    bytes_t b = {data, n, 0};

    switch (take8(&b) % 8) {
    case 0:
    case 1:
        fuzz_map(&b);
        break;
    case 2:
        fuzz_elf(&b);
        break;
    case 3:
        fuzz_requests(&b);
        break;
    case 4:
        fuzz_acpi(&b);
        break;
    case 5:
        fuzz_info(&b, true);
        break;
    case 6:
        fuzz_info(&b, false);
        break;
    default:
        fuzz_clock(&b);
    }
    return 0;
}

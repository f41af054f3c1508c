/* SPDX-License-Identifier: MIT
 * Memory of the bare-metal kernel, on a host: its logic, and all of it but the machine with
 * threads as processors (kmem_machine.h).
 * Floor: tests. Source: SPEC BM-22 to BM-29; BOOT.md section 4. */
#include "kmem_machine.h"

#include "../arch/x86_64/memory/boot_alloc.h"
#include "../arch/x86_64/memory/carve.h"
#include "../arch/x86_64/memory/frames.h"
#include "../arch/x86_64/memory/pmm.h"
#include "../arch/x86_64/memory/shoot.h"
#include "../arch/x86_64/memory/slab.h"
#include "../arch/x86_64/memory/vmm.h"
#include "../arch/x86_64/memory/vspace.h"
#include "ggmk/test.h"

/* The kernel's own string functions, under other names. */
#define memcmp k_memcmp
#define memcpy k_memcpy
#define memmove k_memmove
#define memset k_memset
#define strncmp k_strncmp
#define strncpy k_strncpy
#undef X86_MEMOPS_H
#include "../arch/x86_64/memory/memops.c"

#define MIB 0x100000ull
#define RAM (64 * MIB)

_Thread_local uint32_t kmem_cpu;
kmem_cpu_t kmem_cpus[MEM_MAX_CPUS];
uint32_t kmem_n_cpus = 1;
gmk_a64_t kmem_n_ipis;
uint64_t mem_hhdm;

static uint64_t root;

uint64_t paging_root(void) { return root; }

/* A machine with holes, memory of the loader, and an odd end of low memory. */
static mem_region_t raw[] = {{0, 0x9fc00, MEM_USABLE},         {0x9fc00, 0x400, MEM_RESERVED},
                             {1 * MIB, 7 * MIB, MEM_USABLE},   {8 * MIB, 4 * MIB, MEM_RESERVED},
                             {12 * MIB, 48 * MIB, MEM_USABLE}, {60 * MIB, 2 * MIB, MEM_LOADER},
                             {62 * MIB, 2 * MIB, MEM_KERNEL}};
static mem_region_t map[MEM_MAP_MAX];
static uint32_t n_map;

static const char *carve(const mem_region_t *parts, uint32_t n, mem_region_t *to, uint32_t *n_to)
{
    static const mem_region_t *list[MEM_MAP_MAX + 8];

    for (uint32_t i = 0; i < n; i++)
        list[i] = &parts[i];
    return mem_carve(list, n, to, n_to);
}

/* Starts memory once; all tests but those of plain logic go on from there. */
static bool start(void)
{
    if (root != 0)
        return true;
    mem_hhdm = (uintptr_t)gmk_hal_page_alloc(RAM, MEM_BIG_PAGE);
    if (mem_hhdm == 0 || carve(raw, GMK_ARRAY_LEN(raw), map, &n_map) != NULL ||
        pmm_init(map, n_map) != NULL)
        return false;
    boot_alloc_init();
    root = paging_alloc_table();
    vmm_init();
    vmm_set_cpu_count(8);
    return root != 0;
}

/* String functions. ---------------------------------------------------------------------- */

enum { TEXT = 300 };

static bool moves_right(size_t to, size_t from, size_t n)
{
    uint8_t a[TEXT], b[TEXT];

    for (uint32_t i = 0; i < TEXT; i++)
        a[i] = b[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < n; i++) /* the slow way, through a third place */
        b[to + i] = a[from + i];
    if (k_memmove(a + to, a + from, n) != a + to)
        return false;
    for (uint32_t i = 0; i < TEXT; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

/* BM-29. */
GMK_TEST(memops_memmove_any_overlap)
{
    static const uint8_t n[] = {0, 1, 7, 8, 9, 63, 64, 65, 130};

    for (uint32_t i = 0; i < sizeof(n); i++)
        for (size_t to = 60; to < 80; to++)
            for (size_t from = 60; from < 80; from++)
                GMK_REQUIRE(moves_right(to, from, n[i]));
    gmk_test_assert(moves_right(0, 130, 130) && moves_right(130, 0, 130));
}

/* BM-29. */
GMK_TEST(memops_set_copy_compare_touch_nothing_else)
{
    uint8_t a[TEXT], b[TEXT];

    for (size_t n = 0; n < 140; n++) {
        k_memset(a, 0x5a, TEXT);
        k_memset(a + 3, 0x1c3, n);
        k_memset(b, 0x5a, TEXT);
        k_memcpy(b + 5, a + 3, n);
        gmk_test_assert(a[2] == 0x5a && a[3 + n] == 0x5a && b[4] == 0x5a && b[5 + n] == 0x5a);
        gmk_test_assert(n == 0 || (a[3] == 0xc3 && a[2 + n] == 0xc3));
        gmk_test_assert_eq(k_memcmp(a + 3, b + 5, n), 0);
        b[5 + n] = 0x5b;
        gmk_test_assert_lt(k_memcmp(a + 3, b + 5, n + 1), 0);
        gmk_test_assert_gt(k_memcmp(b + 5, a + 3, n + 1), 0);
    }
}

/* BM-29. */
GMK_TEST(memops_strings_stop_at_the_end)
{
    char to[8] = "xxxxxxx";

    gmk_test_assert_eq(k_strncmp("abc", "abd", 2), 0);
    gmk_test_assert_lt(k_strncmp("abc", "abd", 3), 0);
    gmk_test_assert_gt(k_strncmp("ab\x80", "abc", 9), 0);
    gmk_test_assert_lt(k_strncmp("ab", "abc", 9), 0);
    gmk_test_assert_eq(k_strncmp("ab", "ab", 9), 0);
    gmk_test_assert_eq(k_strncmp("a", "b", 0), 0);
    k_strncpy(to, "abcd", 3);
    gmk_test_assert_str_eq(to, "abcxxxx");
    k_strncpy(to, "ab", 6);
    gmk_test_assert(to[2] == 0 && to[5] == 0 && to[6] == 'x');
}

/* Bitmap. ---------------------------------------------------------------------------------- */

enum { N_FRAMES = 9000 };

static uint64_t frame_mem[N_FRAMES / 64 + 8];
static bool model[N_FRAMES]; /* set */

static bool frames_equal(const frames_t *f)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < N_FRAMES; i++) {
        n += model[i];
        if (frames_is_set(f, i) != model[i])
            return false;
    }
    for (uint32_t w = 0; w < (N_FRAMES + 63) / 64; w++)
        if ((f->summary[w / 64] >> (w % 64) & 1) != (f->bits[w] != 0))
            return false;
    return n == f->n_set;
}

/* The lowest run in the model, by trying them all. */
static uint64_t model_run(frames_want_t want)
{
    for (uint64_t i = 0; i + want.count <= want.below && i + want.count <= N_FRAMES;
         i += want.align) {
        uint64_t n = 0;

        while (n < want.count && model[i + n])
            n++;
        if (n == want.count)
            return i;
    }
    return FRAMES_NONE;
}

static void model_mark(uint64_t first, uint64_t n, bool set)
{
    for (uint64_t i = first; i < first + n; i++)
        model[i] = set;
}

GMK_TEST(kmem_frames_random_as_the_model)
{
    uint64_t seed = gmk_test_seed();
    frames_t f;

    GMK_REQUIRE(frames_bytes(N_FRAMES) <= sizeof(frame_mem));
    frames_init(&f, frame_mem, N_FRAMES);
    frames_set(&f, 0, N_FRAMES);
    model_mark(0, N_FRAMES, true);
    for (uint32_t step = 0; step < 4000; step++) {
        uint64_t r = gmk_rand_next(&seed);
        frames_want_t want = {1 + (r >> 8) % 300, 1ull << (r >> 20) % 8,
                              (r & 1) != 0 ? UINT64_MAX : (r >> 30) % N_FRAMES};
        uint64_t first = (r >> 24) % N_FRAMES, n = 1 + (r >> 40) % 200;

        if (step % 3 == 0 && first + n <= N_FRAMES && frames_all_clear(&f, first, n)) {
            frames_set(&f, first, n);
            model_mark(first, n, true);
        } else if (step % 3 == 1) {
            uint64_t is = frames_take_run(&f, want);

            GMK_REQUIRE(is == model_run(want));
            if (is != FRAMES_NONE)
                model_mark(is, want.count, false);
        } else {
            uint64_t one = model_run((frames_want_t){1, 1, UINT64_MAX});

            GMK_REQUIRE(frames_take(&f) == one);
            if (one != FRAMES_NONE)
                model[one] = false;
        }
        GMK_REQUIRE(step % 50 != 0 || frames_equal(&f));
    }
    gmk_test_assert(frames_equal(&f));
}

GMK_TEST(kmem_frames_ends_and_find)
{
    uint64_t length;
    frames_t f;

    frames_init(&f, frame_mem, 130);
    gmk_test_assert(frames_take(&f) == FRAMES_NONE);
    gmk_test_assert(frames_find(&f, 1, &length) == FRAMES_NONE);
    frames_set(&f, 0, 130);
    gmk_test_assert(frames_take_run(&f, (frames_want_t){131, 1, UINT64_MAX}) == FRAMES_NONE);
    gmk_test_assert(frames_take_run(&f, (frames_want_t){0, 1, UINT64_MAX}) == FRAMES_NONE);
    gmk_test_assert_eq(frames_take_run(&f, (frames_want_t){2, 128, 130}), 0);
    gmk_test_assert_eq(frames_take_run(&f, (frames_want_t){2, 128, 130}), 128);
    gmk_test_assert_eq(frames_find(&f, 100, &length), 2);
    gmk_test_assert_eq(length, 126);
    gmk_test_assert(frames_find(&f, 127, &length) == FRAMES_NONE);
    gmk_test_assert(!frames_is_set(&f, 130) && !frames_is_set(&f, UINT64_MAX));
}

/* Memory map. -------------------------------------------------------------------------------- */

static bool refused(const mem_region_t *parts, uint32_t n)
{
    static mem_region_t to[MEM_MAP_MAX];
    uint32_t n_to;

    return carve(parts, n, to, &n_to) != NULL;
}

GMK_TEST(kmem_carve_refuses_a_broken_map)
{
    static mem_region_t many[MEM_MAP_MAX + 1];
    const mem_region_t wraps[] = {{~0ull - 0xfff, 0x2000, MEM_USABLE}};
    const mem_region_t unsorted[] = {{0x9000, 0x1000, MEM_USABLE}, {0x1000, 0x1000, MEM_USABLE}};
    const mem_region_t over[] = {{0x1000, 0x3000, MEM_USABLE}, {0x3000, 0x1000, MEM_RESERVED}};
    const mem_region_t under[] = {{0x1000, 0x3000, MEM_RESERVED}, {0x3000, 0x1000, MEM_LOADER}};
    const mem_region_t none[] = {{0, 0x1000, MEM_USABLE}, {0x1000, 0x1000, MEM_RESERVED}};
    mem_region_t to[1];
    uint32_t n;

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(many); i++)
        many[i] = (mem_region_t){0x2000ull * (i + 1), 0x1000, MEM_USABLE};
    gmk_test_assert(mem_carve(NULL, 1, to, &n) != NULL && refused(many, 0));
    gmk_test_assert(refused(many, GMK_ARRAY_LEN(many)) && !refused(many, MEM_MAP_MAX));
    gmk_test_assert(refused(wraps, 1) && refused(unsorted, 2) && refused(none, 2));
    gmk_test_assert(refused(over, 2) && refused(under, 2));
}

GMK_TEST(kmem_carve_cuts_and_joins)
{
    const mem_region_t parts[] = {{0, 0x9fc00, MEM_USABLE},        {0x9fc00, 0x400, MEM_RESERVED},
                                  {0xf0000, 0x10000, 99},          {0x100000, 0x1000, MEM_USABLE},
                                  {0x101000, 0, MEM_BAD},          {0x101000, 0x1000, MEM_USABLE},
                                  {0x102000, 0x1000, MEM_LOADER},  {0x103000, 0x800, MEM_ACPI},
                                  {0x103800, 0x800, MEM_ACPI_NVS}, {0x105100, 0x200, MEM_USABLE}};
    mem_region_t to[MEM_MAP_MAX], r;
    uint32_t n, at = 0;

    GMK_REQUIRE(carve(parts, GMK_ARRAY_LEN(parts), to, &n) == NULL);
    gmk_test_assert_eq(n, 7);
    gmk_test_assert(to[0].base == 0x1000 && to[0].bytes == 0x9e000); /* page 0 is nobody's */
    gmk_test_assert(to[2].type == MEM_RESERVED);                     /* a type of the future */
    gmk_test_assert(to[3].base == 0x100000 && to[3].bytes == 0x2000);
    gmk_test_assert(to[6].type == MEM_ACPI_NVS); /* less than a page at the end is dropped */
    GMK_REQUIRE(mem_carve_ram(to, n, false, &at, &r));
    gmk_test_assert(r.base == 0x1000 && r.bytes == 0x9e000);
    GMK_REQUIRE(mem_carve_ram(to, n, false, &at, &r));
    gmk_test_assert(r.base == 0x100000 && r.bytes == 0x3000);
    gmk_test_assert(!mem_carve_ram(to, n, false, &at, &r));
    at = 0;
    GMK_REQUIRE(mem_carve_ram(to, n, true, &at, &r));
    gmk_test_assert(r.base == 0x103000 && r.bytes == 0x1000);
    gmk_test_assert(mem_carve_is_ram(to, n, 0x102fff, 1) && !mem_carve_is_ram(to, n, 0x103000, 9));
}

/* Address space. ------------------------------------------------------------------------------- */

enum { SPACE = 5000, LIVE = 200 };

static vrange_t nodes[2 * LIVE + 4];

static bool overlaps(const vrange_t *const *live, uint32_t n, const vrange_t *r)
{
    for (uint32_t i = 0; i < n; i++)
        if (live[i] != r && r->first < live[i]->first + live[i]->n &&
            live[i]->first < r->first + r->n)
            return true;
    return false;
}

GMK_TEST(kmem_vspace_random_ranges_apart_and_joined)
{
    uint64_t seed = gmk_test_seed();
    const vrange_t *live[LIVE];
    uint32_t n = 0;
    vrange_t whole;
    vspace_t vs;

    vspace_init(&vs, &whole, 1000, SPACE);
    vspace_give(&vs, nodes, sizeof(nodes));
    for (uint32_t step = 0; step < 20000; step++) {
        uint64_t r = gmk_rand_next(&seed);
        vspace_want_t want = {1 + (r >> 8) % 60, 1ull << (r >> 20) % 7, r >> 30 & 1, VSPACE_AREA};

        if (n < LIVE && (r & 1) != 0) {
            vrange_t *got = vspace_take(&vs, want);

            if (got == NULL)
                continue;
            gmk_test_assert((got->first + got->skip) % want.align == 0 && got->skip == want.skip);
            gmk_test_assert_eq(got->n, want.n + want.skip);
            GMK_REQUIRE(!overlaps(live, n, got));
            gmk_test_assert(vspace_find(&vs, got->first + got->skip, VSPACE_AREA) == got);
            live[n++] = got;
        } else if (n > 0) {
            uint32_t i = (uint32_t)(r >> 40) % n;

            vspace_put(&vs, (vrange_t *)live[i]);
            live[i] = live[--n];
        }
        GMK_REQUIRE(step % 64 != 0 || vspace_check(&vs, 1000, SPACE));
    }
    while (n > 0)
        vspace_put(&vs, (vrange_t *)live[--n]);
    gmk_test_assert(vspace_check(&vs, 1000, SPACE));
    gmk_test_assert_eq(vs.n_ranges, 1);
}

GMK_TEST(kmem_vspace_freed_space_is_used_again)
{
    vspace_want_t want = {10, 1, 0, VSPACE_AREA};
    vrange_t whole, *a, *b;
    vspace_t vs;

    vspace_init(&vs, &whole, 0, 20);
    vspace_give(&vs, nodes, sizeof(nodes));
    a = vspace_take(&vs, want);
    b = vspace_take(&vs, want);
    GMK_REQUIRE(a != NULL && b != NULL);
    gmk_test_assert(vspace_take(&vs, (vspace_want_t){1, 1, 0, VSPACE_AREA}) == NULL);
    a->kind = VSPACE_DYING; /* not yet: its shootdown is under way */
    gmk_test_assert(vspace_take(&vs, want) == NULL && vspace_find(&vs, 0, VSPACE_AREA) == NULL);
    vspace_put(&vs, a);
    a = vspace_take(&vs, want);
    GMK_REQUIRE(a != NULL);
    gmk_test_assert_eq(a->first, 0);
}

/* Slabs. -----------------------------------------------------------------------------------------
 */

static GMK_ALIGNAS(SLAB_BYTES) char slab_mem[SLAB_BYTES];

static void fill_class(uint32_t class)
{
    uint32_t size = slab_size(class), n = 0;
    slab_t *s = slab_init(slab_mem, class);
    uint8_t *last = NULL;

    while (s->n_live < s->n_objs) {
        uint8_t *p = slab_take(s);

        GMK_REQUIRE(p != NULL && p >= (uint8_t *)s + SLAB_HEADER);
        GMK_REQUIRE(p + size <= (uint8_t *)s + SLAB_BYTES && (last == NULL || p == last + size));
        gmk_test_assert_eq((uintptr_t)p % (size < 64 ? size : 64), 0);
        k_memset(p, (int)n, size);
        last = p;
        n++;
    }
    gmk_test_assert(slab_take(s) == NULL && s->n_live == n);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t *p = (uint8_t *)s + SLAB_HEADER + (size_t)i * size;

        gmk_test_assert(p[0] == (uint8_t)i && p[size - 1] == (uint8_t)i);
        gmk_test_assert_eq(slab_put(s, class, p), 0);
        gmk_test_assert_eq(slab_put(s, class, p), -1); /* twice */
    }
    gmk_test_assert_eq(s->n_live, 0);
}

GMK_TEST(kmem_slab_every_class_fills_and_empties)
{
    for (uint32_t c = 0; c < SLAB_CLASSES; c++)
        fill_class(c);
    for (uint32_t bytes = 1; bytes <= SLAB_MAX; bytes++) {
        uint32_t c = slab_class(bytes);

        GMK_REQUIRE(slab_size(c) >= bytes && (c == 0 || slab_size(c - 1) < bytes));
    }
}

GMK_TEST(kmem_slab_refuses_what_is_no_object)
{
    slab_t *s = slab_init(slab_mem, 2);
    char *p = slab_take(s);

    gmk_test_assert_eq(slab_put(s, 2, p + 1), -1);
    gmk_test_assert_eq(slab_put(s, 1, p), -1);
    gmk_test_assert_eq(slab_put(s, 2, p + 64), -1); /* free */
    gmk_test_assert_eq(slab_put(s, 2, s), -1);      /* the header */
    gmk_test_assert_eq(slab_put(s, 2, slab_mem + SLAB_BYTES - 1), -1);
    gmk_test_assert_eq(slab_put(s, 2, slab_mem + SLAB_HEADER + 64u * s->n_objs), -1);
    s->magic = 0;
    gmk_test_assert_eq(slab_put(s, 2, p), -1);
    s = slab_init(slab_mem, 2);
    gmk_test_assert(slab_take(s) == p);
}

/* BM-22: figures are of usable memory. Frames.
 * ------------------------------------------------------------------------------------------ */
GMK_TEST(kmem_pmm_counts_usable_memory)
{
    uint64_t usable = 0;

    GMK_REQUIRE(start());
    for (uint32_t i = 0; i < n_map; i++)
        if (map[i].type == MEM_USABLE || map[i].type == MEM_LOADER)
            usable += map[i].bytes / MEM_PAGE;
    gmk_test_assert_eq(pmm_usable_count(), usable); /* holes are not RAM: not the span */
    gmk_test_assert_eq(pmm_total_count(), 62 * MIB / MEM_PAGE);
    gmk_test_assert(pmm_audit());
}

GMK_TEST(kmem_pmm_double_and_foreign_frees_are_refused)
{
    uint64_t bad, n, a;

    GMK_REQUIRE(start());
    bad = pmm_stats().n_bad_frees;
    n = pmm_free_count();
    a = pmm_alloc_pages(1);
    GMK_REQUIRE(a != 0);
    gmk_test_assert_eq(pmm_free_pages(a | PTE_NX, 1), -1); /* an entry's flags are no address */
    gmk_test_assert_eq(pmm_free_pages(a | PTE_W, 1), -1);
    gmk_test_assert_eq(pmm_free_pages(a, 1), 0);
    gmk_test_assert_eq(pmm_free_pages(a, 1), -1);
    gmk_test_assert_eq(pmm_free_pages(0, 1), -1);
    gmk_test_assert_eq(pmm_free_pages(9 * MIB, 1), -1);  /* a hole */
    gmk_test_assert_eq(pmm_free_pages(63 * MIB, 1), -1); /* the kernel */
    gmk_test_assert_eq(pmm_free_pages(1ull << 40, 1), -1);
    gmk_test_assert_eq(pmm_free_pages(a, UINT64_MAX), -1);
    gmk_test_assert_eq(pmm_stats().n_bad_frees, bad + 8);
    gmk_test_assert_eq(pmm_free_count(), n);
    gmk_test_assert(pmm_audit());
}

/* BM-22. */
GMK_TEST(kmem_pmm_runs_are_aligned_and_in_reach)
{
    uint64_t a, b, size, n;

    GMK_REQUIRE(start());
    n = pmm_free_count();
    a = pmm_alloc_aligned(600, MEM_BIG_PAGE, PMM_ANYWHERE);
    b = pmm_alloc_aligned(3, MEM_PAGE, 1 * MIB); /* for a device of 20 address bits */
    GMK_REQUIRE(a != 0 && b != 0);
    gmk_test_assert_eq(a % MEM_BIG_PAGE, 0);
    gmk_test_assert_le(b + 3 * MEM_PAGE, 1 * MIB);
    gmk_test_assert_eq(pmm_free_pages(a, 600) | pmm_free_pages(b, 3), 0);
    gmk_test_assert_eq(pmm_alloc_aligned(1, 3 * MEM_PAGE, PMM_ANYWHERE), 0);
    gmk_test_assert_eq(pmm_alloc_aligned(1, 64, PMM_ANYWHERE), 0);
    gmk_test_assert_eq(pmm_alloc_aligned(1, MEM_PAGE, MEM_PAGE), 0);
    gmk_test_assert_eq(pmm_alloc_pages(0), 0);
    gmk_test_assert_eq(pmm_alloc_pages(1ull << 50), 0);
    a = pmm_find_contiguous(20 * MIB, &size);
    gmk_test_assert(a >= 12 * MIB && size >= 20 * MIB && a + size <= 62 * MIB);
    gmk_test_assert_eq(pmm_find_contiguous(RAM, &size) | size, 0);
    gmk_test_assert_eq(pmm_free_count(), n);
}

/* The last frames may be in another processor's cache: they are found there. */
GMK_TEST(kmem_pmm_takes_the_last_frame_from_any_cache)
{
    static uint32_t got[RAM / MEM_PAGE];
    uint64_t n, a, k = 0;

    GMK_REQUIRE(start());
    kmem_cpu = 5;
    a = pmm_alloc_pages(1); /* fills cache 5 */
    kmem_cpu = 0;
    n = pmm_free_count();
    while (k < n) {
        uint64_t p = pmm_alloc_pages(1);

        GMK_REQUIRE(p != 0);
        got[k++] = (uint32_t)(p / MEM_PAGE);
    }
    gmk_test_assert_eq(pmm_free_count(), 0);
    gmk_test_assert_eq(pmm_alloc_pages(1), 0);
    gmk_test_assert(pmm_audit());
    while (k > 0)
        gmk_test_assert_eq(pmm_free_pages((uint64_t)got[--k] * MEM_PAGE, 1), 0);
    gmk_test_assert_eq(pmm_free_pages(a, 1), 0);
    gmk_test_assert_eq(pmm_free_count(), n + 1);
    gmk_test_assert(pmm_audit());
}

GMK_TEST(kmem_pmm_a_promise_is_kept)
{
    uint64_t n, first = 0, a;

    GMK_REQUIRE(start());
    n = pmm_commit_free();
    GMK_REQUIRE(pmm_commit(n) == 0);
    gmk_test_assert_eq(pmm_commit(1), -1);
    gmk_test_assert_eq(pmm_alloc_pages(1), 0); /* there are frames, but they are promised */
    gmk_test_assert_eq(pmm_alloc_pages(4), 0);
    gmk_test_assert_ge(pmm_free_count(), n);
    first = pmm_take();
    GMK_REQUIRE(first != 0);
    gmk_test_assert_eq(pmm_free_pages(first, 1), 0); /* freed for good: the promise is used up */
    a = pmm_alloc_pages(1);
    gmk_test_assert(a != 0 && pmm_alloc_pages(1) == 0);
    gmk_test_assert_eq(pmm_free_pages(a, 1), 0);
    a = pmm_take();
    GMK_REQUIRE(a != 0 && pmm_give(a) == 0);
    gmk_test_assert_eq(pmm_give(a), -1);
    pmm_uncommit(n - 1);
    gmk_test_assert_eq(pmm_commit_free(), n);
    gmk_test_assert(pmm_audit());
}

GMK_TEST(kmem_pmm_reclaims_once)
{
    uint64_t n;

    GMK_REQUIRE(start());
    n = pmm_free_count();
    gmk_test_assert_eq(pmm_reclaim(), 2 * MIB / MEM_PAGE);
    gmk_test_assert_eq(pmm_free_count(), n + 2 * MIB / MEM_PAGE);
    gmk_test_assert_eq(pmm_reclaim(), 0);
    gmk_test_assert(pmm_audit());
}

/* BM-23. */
GMK_TEST(kmem_boot_alloc_ends_at_8_mib)
{
    uint8_t *a, *b;
    size_t used;

    GMK_REQUIRE(start());
    a = boot_aligned_alloc(10, 16);
    b = boot_aligned_alloc(10, 4096);
    GMK_REQUIRE(a != NULL && b != NULL);
    gmk_test_assert((uintptr_t)a % 16 == 0 && (uintptr_t)b % 4096 == 0 && a[9] == 0);
    gmk_test_assert(boot_aligned_alloc(0, 16) == NULL && boot_aligned_alloc(9, 24) == NULL);
    gmk_test_assert(boot_aligned_alloc(9, 8192) == NULL && boot_aligned_alloc(9, 0) == NULL);
    gmk_test_assert(boot_calloc(SIZE_MAX / 2, 3) == NULL);
    gmk_test_assert((uintptr_t)boot_calloc(3, 5) % 64 == 0);
    boot_free(a);
    used = boot_alloc_used();
    a = boot_calloc(3, MIB);
    GMK_REQUIRE(a != NULL);
    gmk_test_assert_ge(boot_alloc_used(), used + 3 * MIB);
    while (boot_aligned_alloc(65536, 64) != NULL)
        ;
    gmk_test_assert_le(boot_alloc_used(), boot_alloc_total());
    gmk_test_assert_gt(boot_alloc_used(), boot_alloc_total() - 65536);
    gmk_test_assert_eq(boot_alloc_total(), 8 * MIB);
    gmk_test_assert(boot_aligned_alloc(65537, 1) == NULL);
}

/* Page tables.
 * -------------------------------------------------------------------------------------- */

typedef struct seen {
    uint32_t n;
    ptable_leaf_t leaf[8];
} seen_t;

static bool see(void *ctx, const ptable_leaf_t *leaf)
{
    seen_t *s = ctx;

    if (s->n < GMK_ARRAY_LEN(s->leaf))
        s->leaf[s->n] = *leaf;
    return ++s->n < 100;
}

GMK_TEST(kmem_ptable_maps_by_large_pages_where_it_can)
{
    ptable_run_t run = {MEM_HALF + MEM_BIG_PAGE - MEM_PAGE, MEM_BIG_PAGE - MEM_PAGE,
                        MEM_BIG_PAGE + 2 * MEM_PAGE, PAGING_WRITE};
    uint64_t own;
    uint32_t level;
    seen_t s = {0};

    GMK_REQUIRE(start());
    own = paging_alloc_table();
    GMK_REQUIRE(own != 0 && ptable_map_run(own, &run) == 0);
    ptable_visit(own, see, &s);
    GMK_REQUIRE(s.n == 3);
    gmk_test_assert(s.leaf[0].virt == run.virt && s.leaf[0].phys == run.phys);
    gmk_test_assert(s.leaf[1].bytes == MEM_BIG_PAGE && s.leaf[1].phys == MEM_BIG_PAGE);
    gmk_test_assert(s.leaf[2].bytes == MEM_PAGE && s.leaf[2].phys == 2 * MEM_BIG_PAGE);
    gmk_test_assert(s.leaf[1].writable && !s.leaf[1].executable);
    gmk_test_assert((ptable_walk(own, run.virt + MEM_PAGE, &level), level) == 2);
    gmk_test_assert((ptable_walk(own, run.virt, &level), level) == 1);
    gmk_test_assert((ptable_walk(own, 0, &level), level) == 4);
    gmk_test_assert(ptable_entry(own, run.virt + MEM_PAGE) == NULL); /* a large page is there */
    gmk_test_assert_eq(ptable_map_run(own, &run), -2);
}

GMK_TEST(kmem_ptable_refuses_write_and_execute_and_bad_addresses)
{
    ptable_run_t both = {MEM_HALF, 0, MEM_PAGE, PAGING_WRITE | PAGING_EXEC};
    ptable_run_t odd = {MEM_HALF + 8, 0, MEM_PAGE, 0};
    ptable_run_t flag = {MEM_HALF, PTE_NX | MEM_PAGE, MEM_PAGE, 0};

    GMK_REQUIRE(start());
    gmk_test_assert_eq(ptable_map_run(root, &both), -2);
    gmk_test_assert_eq(ptable_map_run(root, &odd), -2);
    gmk_test_assert_eq(ptable_map_run(root, &flag), -2);
}

/* BOOT.md section 4: the NX bit left in a physical address. */
GMK_TEST(kmem_ptable_no_flag_is_left_in_an_address)
{
    uint64_t e = pte_make(0x1234567000 | PTE_NX | PTE_PCD, PAGING_WRITE);

    gmk_test_assert_eq(pte_phys(e), 0x1234567000);
    gmk_test_assert((e & PTE_NX) != 0 && (e & PTE_PCD) == 0);
    gmk_test_assert_eq(pte_phys(PTE_NX | PTE_DEMAND | PTE_ZOMBIE | PTE_PS), 0);
}

/* Processors of threads.
 * ------------------------------------------------------------------------------- */

/* Where a processor finds virt: through its TLB, the tables, and the fault handler, as the
 * machine does. null: a fault that is an error. */
static gmk_a64_t *touch(uintptr_t virt)
{
    kmem_cpu_t *c = &kmem_cpus[kmem_cpu];
    uint64_t page = virt / MEM_PAGE, slot = page % KMEM_TLB;

    tlb_poll(); /* an interrupt may come here */
    while (c->page[slot] != page + 1) {
        gmk_a64_t *e = ptable_walk(root, virt, NULL);
        uint64_t v = gmk_load_acq(e, GMK_DEV); /* sync: x86_pte.table */

        if ((v & PTE_P) != 0) {
            c->page[slot] = page + 1;
            c->entry[slot] = v;
        } else if (vmm_demand_page(virt) != 0) {
            return NULL;
        }
    }
    return (gmk_a64_t *)(mem_hhdm + pte_phys(c->entry[slot]) + virt % MEM_PAGE);
}

static bool holds(uintptr_t virt, uint64_t v)
{
    gmk_a64_t *p = touch(virt);

    return p != NULL && *p == v;
}

static bool put(uintptr_t virt, uint64_t v)
{
    gmk_a64_t *p = touch(virt);

    if (p != NULL)
        *p = v;
    return p != NULL;
}

/* BM-26. */
GMK_TEST(kmem_area_is_zeroed_guarded_and_given_back)
{
    uint64_t free_before, frames;
    uintptr_t a;

    GMK_REQUIRE(start());
    vmm_reap();
    GMK_REQUIRE(vmm_area_free(vmm_area_alloc(8 * MIB, 0, 0), 8 * MIB) == 0); /* tables stay */
    vmm_reap();
    free_before = vmm_commit_free();
    frames = pmm_free_count();
    a = (uintptr_t)vmm_area_alloc(3 * MIB, MEM_BIG_PAGE, VMM_GUARD);
    GMK_REQUIRE(a != 0);
    gmk_test_assert_eq(a % MEM_BIG_PAGE, 0);
    gmk_test_assert_eq(vmm_commit_free(), free_before - 3 * MIB); /* charged, */
    gmk_test_assert_eq(pmm_free_count(), frames);                 /* not taken */
    gmk_test_assert(touch(a - 8) == NULL);
    gmk_test_assert_str_eq(vmm_describe(a - 8), "guard page below an area");
    gmk_test_assert(holds(a, 0) && holds(a + 3 * MIB - 8, 0) && put(a, 77) && holds(a, 77));
    gmk_test_assert(touch(a + 3 * MIB) == NULL);
    gmk_test_assert_eq(pmm_free_count(), frames - 2);
    gmk_test_assert_eq(vmm_area_free((void *)a, 3 * MIB), 0);
    vmm_reap();
    gmk_test_assert(touch(a) == NULL);
    gmk_test_assert_eq(vmm_commit_free(), free_before);
    gmk_test_assert_eq(pmm_free_count(), frames);
    a = (uintptr_t)vmm_area_alloc(3 * MIB, MEM_BIG_PAGE, VMM_GUARD);
    gmk_test_assert(holds(a, 0)); /* the frame held 77 */
    gmk_test_assert_eq(vmm_area_free((void *)a, 3 * MIB), 0);
    gmk_test_assert(pmm_audit());
}

GMK_TEST(kmem_area_bad_frees_are_counted)
{
    uint64_t bad;
    char *a;

    GMK_REQUIRE(start());
    bad = vmm_stats().n_bad_frees;
    a = vmm_area_alloc(5 * MEM_PAGE, 0, 0);
    GMK_REQUIRE(a != NULL);
    gmk_test_assert_eq(vmm_area_free(a, 4 * MEM_PAGE), -1);
    gmk_test_assert_eq(vmm_area_free(a, 6 * MEM_PAGE), -1);
    gmk_test_assert_eq(vmm_area_free(a + MEM_PAGE, 4 * MEM_PAGE), -1);
    gmk_test_assert_eq(vmm_area_free(a + 8, 5 * MEM_PAGE), -1);
    gmk_test_assert_eq(vmm_area_free(NULL, 0), -1);
    gmk_test_assert_eq(vmm_area_free(a, SIZE_MAX), -1);
    gmk_test_assert_eq(vmm_unmap(a, 5 * MEM_PAGE), -1);
    gmk_test_assert_eq(vmm_area_free(a, 5 * MEM_PAGE), 0);
    gmk_test_assert_eq(vmm_area_free(a, 5 * MEM_PAGE), -1); /* twice */
    gmk_test_assert_eq(vmm_stats().n_bad_frees, bad + 8);
}

/* Out of memory is a null return, counted; what was promised can be touched to the last page. */
GMK_TEST(kmem_area_commit_is_strict)
{
    uint64_t oom, left;
    uintptr_t a;

    GMK_REQUIRE(start());
    vmm_reap();
    oom = vmm_stats().n_oom;
    left = vmm_commit_free();
    gmk_test_assert(vmm_area_alloc(left + MEM_PAGE, 0, 0) == NULL);
    gmk_test_assert(vmm_area_alloc(MEM_AREA_BYTES, 0, 0) == NULL);
    gmk_test_assert(vmm_area_alloc(SIZE_MAX, 0, 0) == NULL);
    gmk_test_assert(vmm_area_alloc(0, 0, 0) == NULL);
    gmk_test_assert(vmm_area_alloc(1, 3 * MEM_PAGE, 0) == NULL);
    gmk_test_assert_eq(vmm_stats().n_oom, oom + 5);
    left = vmm_commit_free();
    a = (uintptr_t)vmm_area_alloc(left - 40 * MEM_PAGE, 0, 0); /* 40: for tables */
    GMK_REQUIRE(a != 0);
    while (pmm_alloc_pages(1) != 0)
        ; /* all the rest is gone for good, in this test program */
    for (uintptr_t p = a; p < a + left - 40 * MEM_PAGE; p += MEM_PAGE)
        GMK_REQUIRE(put(p, p));
    gmk_test_assert_eq(pmm_free_count(), 0);
    gmk_test_assert(vmm_area_alloc(1, 0, 0) == NULL && kmalloc(5000) == NULL);
    for (uintptr_t p = a; p < a + left - 40 * MEM_PAGE; p += MEM_PAGE)
        GMK_REQUIRE(holds(p, p));
    gmk_test_assert_eq(vmm_area_free((void *)a, left - 40 * MEM_PAGE), 0);
    gmk_test_assert(pmm_audit());
}

/* BM-27. */
GMK_TEST(kmem_heap_large_objects_by_pages)
{
    uint64_t used, bad;
    char *a, *b;

    GMK_REQUIRE(start());
    used = vmm_get_heap_used();
    bad = vmm_stats().n_bad_frees;
    a = kmalloc(5000);
    b = kmalloc(2049);
    GMK_REQUIRE(a != NULL && b != NULL);
    gmk_test_assert_eq(vmm_get_heap_used(), used + 3 * MEM_PAGE);
    gmk_test_assert((uintptr_t)a >= MEM_HEAP_BASE && (uintptr_t)a % MEM_PAGE == 0);
    gmk_test_assert(put((uintptr_t)a + 4992, 1) && put((uintptr_t)b, 2));
    kfree(a, 9000);        /* a page more: the neighbour's */
    kfree(a, 4096);        /* a page less */
    kfree(a + 4096, 4096); /* the inside */
    kfree(a, 0);
    kfree(a - 1, 5000);
    kfree((void *)8, 5000);
    gmk_test_assert_eq(vmm_stats().n_bad_frees, bad + 6);
    kfree(a, 5000);
    kfree(a, 5000);
    kfree(NULL, 5000);
    gmk_test_assert_eq(vmm_stats().n_bad_frees, bad + 7);
    gmk_test_assert(holds((uintptr_t)b, 2));
    kfree(b, 2049);
    vmm_reap();
    gmk_test_assert_eq(vmm_get_heap_used(), used);
    gmk_test_assert(kmalloc(0) == NULL && kmalloc(MEM_HEAP_BYTES + 1) == NULL);
    a = kmalloc(5000);
    gmk_test_assert(a != NULL && (kfree(a, 5000), true));
}

/* BM-27. */
GMK_TEST(kmem_map_shows_physical_memory)
{
    uint64_t phys;
    char *v;

    GMK_REQUIRE(start());
    phys = pmm_alloc_pages(2);
    GMK_REQUIRE(phys != 0);
    v = vmm_map(phys + 8, MEM_PAGE, PAGING_WRITE);
    GMK_REQUIRE(v != NULL);
    gmk_test_assert(put((uintptr_t)v, 55));
    gmk_test_assert_eq(*(uint64_t *)phys_to_virt(phys + 8), 55);
    gmk_test_assert_eq(vmm_unmap(v, 16), -1);
    gmk_test_assert_eq(vmm_unmap(v, MEM_PAGE), 0);
    gmk_test_assert(touch((uintptr_t)v) == NULL);
    gmk_test_assert(vmm_map(phys, MEM_PAGE, PAGING_WRITE | PAGING_EXEC) == NULL);
    gmk_test_assert(vmm_map(phys | PTE_NX, MEM_PAGE, 0) == NULL && vmm_map(phys, 0, 0) == NULL);
    gmk_test_assert_eq(pmm_free_pages(phys, 2), 0);
}

/* Shootdown.
 * --------------------------------------------------------------------------------------------- */

static uint32_t n_forgot;

static void forget_nothing(const tlb_range_t *ranges, uint32_t n)
{
    (void)ranges;
    n_forgot += n;
}

/* BM-28; BOOT.md section 4: two shootdowns wait for each other with interrupts off. */
GMK_TEST(kmem_shoot_two_initiators_serve_each_other)
{
    tlb_range_t r[2] = {{0x1000, 1}, {0x2000, 1}};
    static shoot_t box;

    n_forgot = 0;
    shoot_online(&box, 1);
    shoot_online(&box, 2);
    gmk_test_assert_eq(shoot_post(&box, 1, r, 2), 1u << 2);
    gmk_test_assert_eq(shoot_post(&box, 2, r, 1), 1u << 1);
    gmk_test_assert(!shoot_is_done(&box, 1) && !shoot_is_done(&box, 2));
    shoot_serve(&box, 1, forget_nothing); /* 1 waits, and serves meanwhile */
    gmk_test_assert(!shoot_is_done(&box, 1) && shoot_is_done(&box, 2));
    shoot_serve(&box, 2, forget_nothing);
    gmk_test_assert(shoot_is_done(&box, 1));
    gmk_test_assert_eq(n_forgot, 3); /* two ranges and one */
    shoot_serve(&box, 2, forget_nothing);
    gmk_test_assert_eq(n_forgot, 3);
}

GMK_TEST(kmem_shoot_leaves_out_who_is_not_online)
{
    tlb_range_t r = {0x1000, 1};
    static shoot_t box;

    shoot_online(&box, 1);
    shoot_online(&box, 2);
    gmk_test_assert_eq(shoot_post(&box, 1, &r, 1), 1u << 2);
    gmk_test_assert(!shoot_is_done(&box, 1));
    gmk_test_assert_eq(shoot_post(&box, 3, &r, 1), 1u << 1); /* 2 has one under way */
    shoot_offline(&box, 2);                                  /* it halts, and answers nobody */
    gmk_test_assert(shoot_is_done(&box, 1));
    shoot_serve(&box, 1, forget_nothing);
    gmk_test_assert(shoot_is_done(&box, 3));
}

enum { CPUS = 4, SHARED = 8, ROUNDS = 250 };

/* Areas that processors hand to each other: each is owned by who takes it out of its place. */
static gmk_a64_t shared[SHARED];
static gmk_a32_t n_ready, n_done, go;
static uint32_t first_cpu;
static uint64_t stress_seed;
static gmk_a32_t n_wrong;

static void wrong(void) { gmk_add_rlx(&n_wrong, 1, GMK_DEV); /* relaxed: a statistic */ }

/* Waits as a processor does: answering. */
static void wait_for(gmk_a32_t *word, uint32_t least)
{
    while (gmk_load_acq(word, GMK_DEV) < least) { /* sync: test.kmem_word */
        tlb_poll();
        gmk_hal_relax();
    }
}

static void raise(gmk_a32_t *word) { gmk_add_ar(word, 1, GMK_DEV); /* sync: test.kmem_word */ }

static uint64_t sized(uint64_t r) { return 1 + r % 5; }

/* Checks an area as its last owner left it: pages * 2 in the lowest bits, its address above. */
static void check_and_free(uint64_t v)
{
    uintptr_t at = v & ~0xfffull;
    uint64_t pages = v & 0xfff;

    for (uint64_t i = 0; i < pages; i++)
        if (!holds(at + i * MEM_PAGE, at + i) || !holds(at + i * MEM_PAGE + 8, 0))
            wrong();
    if (vmm_area_free((void *)at, pages * MEM_PAGE) != 0)
        wrong();
}

static uint64_t make_area(uint64_t r)
{
    uint64_t pages = sized(r);
    uintptr_t at = (uintptr_t)vmm_area_alloc(pages * MEM_PAGE, 0, (uint32_t)(r >> 8 & 3));

    for (uint64_t i = 0; at != 0 && i < pages; i++)
        if (!holds(at + i * MEM_PAGE, 0) || !put(at + i * MEM_PAGE, at + i))
            wrong();
    return at == 0 ? 0 : at | pages;
}

static void stress_step(uint64_t r)
{
    gmk_a64_t *place = &shared[r >> 16 & (SHARED - 1)];
    /* sync: test.kmem_word */
    uint64_t v = gmk_xchg_ar(place, (r & 3) == 0 ? 0 : make_area(r >> 20), GMK_DEV);

    if (v != 0)
        check_and_free(v);
    if ((r & 0x700) == 0)
        vmm_reap();
}

static void *stress_cpu(void *arg)
{
    uint64_t seed = stress_seed + (uintptr_t)arg;

    kmem_cpu = first_cpu + (uint32_t)(uintptr_t)arg;
    tlb_cpu_online();
    raise(&n_ready);
    wait_for(&n_ready, CPUS);
    for (uint32_t i = 0; i < ROUNDS; i++)
        stress_step(gmk_rand_next(&seed));
    raise(&n_done);
    wait_for(&n_done, CPUS); /* answering until nobody asks */
    tlb_cpu_offline();
    return NULL;
}

static bool run_cpus(uint32_t from, void *(*fn)(void *))
{
    gmk_hal_thread_t t[CPUS];
    bool ok = true;

    first_cpu = from;
    kmem_n_cpus = CPUS;
    stress_seed = gmk_test_seed();
    n_ready = n_done = n_wrong = go = 0;
    for (uintptr_t i = 0; i < CPUS; i++)
        ok = gmk_hal_thread_create(&t[i], fn, (void *)i) == 0 && ok;
    for (uint32_t i = 0; i < CPUS; i++)
        gmk_hal_thread_join(&t[i]);
    return ok && n_wrong == 0;
}

/* Four processors map, touch, hand over, unmap and reuse pages: no stale translation, no lost
 * write, nothing lost. (The model of what the kernel's own test does on real tables.) */
GMK_TEST(kmem_stress_no_stale_translation_on_four_processors)
{
    uint64_t left;

    GMK_REQUIRE(start());
    vmm_reap();
    left = vmm_stats().area_pages;
    GMK_REQUIRE(run_cpus(8, stress_cpu));
    for (uint32_t i = 0; i < SHARED; i++)
        if (shared[i] != 0)
            check_and_free(shared[i]);
    vmm_reap();
    gmk_test_assert_eq(n_wrong, 0);
    gmk_test_assert_eq(vmm_stats().area_pages, left);
    gmk_test_assert_gt(tlb_count(), 0);
    gmk_test_assert(pmm_audit());
}

enum { PAIRS = 200 };

static uintptr_t pair_area;

/* All fault on one page at once and each writes its own word: BOOT.md section 4. */
static void *fault_cpu(void *arg)
{
    kmem_cpu = first_cpu + (uint32_t)(uintptr_t)arg;
    tlb_cpu_online();
    for (uint32_t i = 0; i < PAIRS; i++) {
        raise(&n_ready);
        wait_for(&n_ready, (i + 1) * CPUS);
        if (!put(pair_area + i * MEM_PAGE + 64 * (uintptr_t)arg, i + 1))
            wrong();
    }
    raise(&n_done);
    wait_for(&n_done, CPUS);
    tlb_cpu_offline();
    return NULL;
}

GMK_TEST(kmem_two_faults_on_one_page_lose_no_write)
{
    GMK_REQUIRE(start());
    vmm_reap();
    pair_area = (uintptr_t)vmm_area_alloc(PAIRS * MEM_PAGE, 0, 0);
    GMK_REQUIRE(pair_area != 0 && run_cpus(16, fault_cpu));
    for (uint32_t i = 0; i < PAIRS; i++)
        for (uint32_t c = 0; c < CPUS; c++)
            gmk_test_assert(holds(pair_area + i * MEM_PAGE + 64 * c, i + 1));
    gmk_test_assert_eq(vmm_area_free((void *)pair_area, PAIRS * MEM_PAGE), 0);
    vmm_reap();
    gmk_test_assert(pmm_audit());
}

static uintptr_t held_area;
static gmk_a32_t held_state;

/* Has a page in its TLB and does not answer until told. */
static void *deaf_cpu(void *arg)
{
    (void)arg;
    kmem_cpu = 24;
    tlb_cpu_online();
    if (!put(held_area, 5))
        wrong();
    raise(&held_state);
    while (gmk_load_acq(&held_state, GMK_DEV) < 2) /* sync: test.kmem_word */
        gmk_hal_relax();                           /* interrupts are off: no tlb_poll */
    /* Its stale translation still shows the frame: nobody else may have it. */
    if (*(uint64_t *)(mem_hhdm + pte_phys(kmem_cpus[24].entry[held_area / MEM_PAGE % KMEM_TLB])) !=
        5)
        wrong();
    wait_for(&held_state, 3);
    tlb_cpu_offline();
    return NULL;
}

static void *freeing_cpu(void *arg)
{
    (void)arg;
    kmem_cpu = 25;
    if (vmm_area_free((void *)held_area, MEM_PAGE) != 0)
        wrong();
    vmm_reap();
    raise(&held_state);
    return NULL;
}

/* BOOT.md section 4: frames freed before the shootdown is acknowledged. */
GMK_TEST(kmem_frames_wait_for_the_acknowledgement)
{
    gmk_hal_thread_t deaf, freeing;
    uint64_t frames;

    GMK_REQUIRE(start());
    vmm_reap();
    n_wrong = held_state = 0;
    held_area = (uintptr_t)vmm_area_alloc(MEM_PAGE, 0, 0);
    GMK_REQUIRE(held_area != 0 && gmk_hal_thread_create(&deaf, deaf_cpu, NULL) == 0);
    wait_for(&held_state, 1);
    frames = pmm_free_count();
    GMK_REQUIRE(gmk_hal_thread_create(&freeing, freeing_cpu, NULL) == 0);
    while ((gmk_load_acq(ptable_walk(root, held_area, NULL), GMK_DEV) & PTE_P) != 0 ||
           tlb_count() == 0) /* sync: x86_pte.table */
        gmk_hal_relax();
    for (uint32_t i = 0; i < 20000 && pmm_free_count() == frames; i++) /* time to do it wrong */
        gmk_hal_relax();
    gmk_test_assert_eq(pmm_free_count(), frames); /* unmapped, not acknowledged */
    gmk_test_assert_eq(touch(held_area) == NULL, 1);
    gmk_test_assert_str_eq(vmm_describe(held_area), "freed memory");
    raise(&held_state);
    gmk_hal_thread_join(&freeing);
    gmk_hal_thread_join(&deaf);
    gmk_test_assert_eq(pmm_free_count(), frames + 1);
    gmk_test_assert_eq(n_wrong, 0);
}

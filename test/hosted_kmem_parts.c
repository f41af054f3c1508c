/* SPDX-License-Identifier: MIT
 * Logic of the bare-metal kernel's memory, on a host: string functions, bitmap, memory map,
 * address space, slabs.
 * Floor: tests. Source: SPEC BM-22 to BM-29. */
#include "../arch/x86_64/memory/carve.h"
#include "../arch/x86_64/memory/frames.h"
#include "../arch/x86_64/memory/slab.h"
#include "../arch/x86_64/memory/vspace.h"
#include "ggmk/hal.h"
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

/* String functions. ------------------------------------------------------------------- */

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

/* Bitmap. ----------------------------------------------------------------------------- */

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

/* Memory map. ------------------------------------------------------------------------- */

static const char *carve(const mem_region_t *parts, uint32_t n, mem_region_t *to, uint32_t *n_to)
{
    static const mem_region_t *list[MEM_MAP_MAX + 8];

    for (uint32_t i = 0; i < n; i++)
        list[i] = &parts[i];
    return mem_carve(list, n, to, n_to);
}

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

/* Address space. ---------------------------------------------------------------------- */

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

/* Slabs. ------------------------------------------------------------------------------ */

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

/* SPDX-License-Identifier: MIT
 * The memory map: see memmap.h.
 * Floor: arch, plain C. Firmware's maps are short and nearly sorted, so a quadratic sweep over
 * their edges is both the simplest and fast enough (512 entries: half a million steps). */
#include "memmap.h"

#include "../../limine/limine.h"

/* How little an area is free: the higher counts where two overlap. */
static uint32_t rank_of(uint32_t type)
{
    static const uint32_t rank[] = {[LIMINE_USABLE] = 1,
                                    [LIMINE_ACPI_RECLAIMABLE] = 2,
                                    [LIMINE_RESERVED] = 3,
                                    [LIMINE_ACPI_NVS] = 4,
                                    [LIMINE_BAD_MEMORY] = 5};

    return type <= LIMINE_BAD_MEMORY ? rank[type] : 3;
}

shim_range_t shim_range_of(uint64_t base, uint64_t bytes, uint32_t e820_type)
{
    static const uint32_t types[] = {LIMINE_RESERVED,         LIMINE_USABLE,   LIMINE_RESERVED,
                                     LIMINE_ACPI_RECLAIMABLE, LIMINE_ACPI_NVS, LIMINE_BAD_MEMORY};
    shim_range_t r = {base, bytes > UINT64_MAX - base ? UINT64_MAX : base + bytes, LIMINE_RESERVED};

    if (e820_type < sizeof(types) / sizeof(types[0]))
        r.type = types[e820_type];
    return r;
}

static void add_cut(shim_map_t *m, uint32_t *n, uint64_t at)
{
    uint32_t i = *n;

    for (; i > 0 && m->cut[i - 1] > at; i--)
        m->cut[i] = m->cut[i - 1];
    m->cut[i] = at;
    (*n)++;
}

/* Adds an area behind all others. */
static void append(shim_map_t *m, shim_range_t r)
{
    if (m->n > 0 && m->r[m->n - 1].end == r.base && m->r[m->n - 1].type == r.type)
        m->r[m->n - 1].end = r.end;
    else
        m->r[m->n++] = r;
}

/* Usable areas lose what is no whole page. */
static void trim(shim_map_t *m)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < m->n; i++) {
        shim_range_t r = m->r[i];

        if (r.type == LIMINE_USABLE) {
            r.end = shim_down(r.end < SHIM_PHYS_END ? r.end : SHIM_PHYS_END, SHIM_PAGE);
            r.base = r.base < SHIM_PAGE ? SHIM_PAGE : r.base;
            r.base = r.base < r.end ? shim_up(r.base, SHIM_PAGE) : r.end;
        }
        if (r.base < r.end)
            m->r[n++] = r;
    }
    m->n = n;
}

int shim_map_build(shim_map_t *m, const shim_range_t *raw, uint32_t n_raw)
{
    uint32_t n_cuts = 0;
    bool usable = false;

    if (n_raw > SHIM_RAW_MAX)
        return SHIM_E_MAP_FULL;
    for (uint32_t i = 0; i < n_raw; i++) {
        add_cut(m, &n_cuts, raw[i].base);
        add_cut(m, &n_cuts, raw[i].end);
    }
    m->n = 0;
    for (uint32_t c = 0; c + 1 < n_cuts; c++) {
        shim_range_t r = {m->cut[c], m->cut[c + 1], 0};
        uint32_t rank = 0;

        for (uint32_t i = 0; i < n_raw && r.base < r.end; i++) {
            if (raw[i].base <= r.base && r.end <= raw[i].end && rank_of(raw[i].type) > rank) {
                rank = rank_of(raw[i].type);
                r.type = raw[i].type;
            }
        }
        if (rank > 0)
            append(m, r);
    }
    trim(m);
    for (uint32_t i = 0; i < m->n; i++)
        usable = usable || m->r[i].type == LIMINE_USABLE;
    return usable ? SHIM_OK : SHIM_E_NO_MAP;
}

/* Makes room for `more` entries behind entry i. */
static void open_gap(shim_map_t *m, uint32_t i, uint32_t more)
{
    for (uint32_t k = m->n; k > i + 1; k--)
        m->r[k - 1 + more] = m->r[k - 1];
    m->n += more;
}

/* [base, end) of entry i gets the type. pre: it lies inside; there is room for two more. */
static void split(shim_map_t *m, uint32_t i, shim_range_t part)
{
    shim_range_t whole = m->r[i];
    uint32_t before = whole.base < part.base, after = part.end < whole.end;

    open_gap(m, i, before + after);
    if (before != 0)
        m->r[i] = (shim_range_t){whole.base, part.base, whole.type};
    m->r[i + before] = part;
    if (after != 0)
        m->r[i + before + 1] = (shim_range_t){part.end, whole.end, whole.type};
}

int shim_map_take(shim_map_t *m, uint64_t base, uint64_t bytes, uint32_t type)
{
    uint64_t end = bytes > UINT64_MAX - base ? UINT64_MAX : base + bytes;

    if (bytes == 0)
        return SHIM_OK;
    base = shim_down(base, SHIM_PAGE);
    end = end > UINT64_MAX - SHIM_PAGE ? shim_down(end, SHIM_PAGE) : shim_up(end, SHIM_PAGE);
    /* Only the first and the last entry are cut in pieces. */
    if (m->n + 2 > SHIM_MAP_MAX)
        return SHIM_E_MAP_FULL;
    for (uint32_t i = 0; i < m->n; i++) {
        shim_range_t part = m->r[i];

        part.base = part.base > base ? part.base : base;
        part.end = part.end < end ? part.end : end;
        if (part.type == LIMINE_USABLE && part.base < part.end) {
            part.type = type;
            split(m, i, part);
        }
    }
    return SHIM_OK;
}

int shim_map_find(shim_map_t *m, const shim_want_t *want, uint64_t *base)
{
    for (uint32_t i = m->n; i > 0; i--) {
        const shim_range_t *r = &m->r[i - 1];
        uint64_t end = r->end < want->below ? r->end : want->below;

        if (r->type != LIMINE_USABLE || end <= r->base || end - r->base < want->bytes)
            continue;
        *base = shim_down(end - want->bytes, want->align);
        if (*base >= r->base)
            return shim_map_take(m, *base, want->bytes, want->type);
    }
    return SHIM_E_NO_ROOM;
}

bool shim_range_is_ram(const shim_range_t *r)
{
    return r->type != LIMINE_RESERVED && r->type != LIMINE_BAD_MEMORY;
}

bool shim_map_is_ram(const shim_map_t *m, uint64_t at)
{
    for (uint32_t i = 0; i < m->n; i++)
        if (m->r[i].base <= at && at < m->r[i].end)
            return shim_range_is_ram(&m->r[i]);
    return false;
}

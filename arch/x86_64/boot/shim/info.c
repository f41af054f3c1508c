/* SPDX-License-Identifier: MIT
 * Boot information: see info.h.
 * Floor: arch, plain C. */
#include "info.h"

enum {
    PVH_BYTES_0 = 40,
    PVH_BYTES_1 = 56,
    PVH_MODULE_BYTES = 32,
    PVH_RANGE_BYTES = 24,
    MB2_HEAD_BYTES = 8,
    MB2_END = 0,
    MB2_MODULE = 3,
    MB2_MEMMAP = 6,
    MB2_RSDP_OLD = 14,
    MB2_RSDP_NEW = 15,
};

#define PVH_MAGIC 0x336ec578u

/* Copies text that ends with 0 or after `most` bytes. */
static int add_text(shim_info_t *o, const char **out, const uint8_t *from, uint64_t most)
{
    uint64_t room = SHIM_TEXT_MAX - o->text_used, n = 0;

    while (n < most && n < room && from[n] != 0)
        n++;
    if (n >= room)
        return SHIM_E_INFO_FULL;
    *out = o->text + o->text_used;
    shim_copy((uint8_t *)o->text + o->text_used, from, n);
    o->text[o->text_used + n] = 0;
    o->text_used += (uint32_t)n + 1;
    return SHIM_OK;
}

/* A text at a physical address; 0 means none, and that is the empty one. */
static int add_text_at(const shim_view_t *v, shim_info_t *o, const char **out, uint64_t at)
{
    *out = "";
    if (at == 0)
        return SHIM_OK;
    return at < v->bytes ? add_text(o, out, v->base + at, v->bytes - at) : SHIM_E_INFO;
}

static int add_range(shim_info_t *o, shim_range_t r)
{
    if (r.base == r.end)
        return SHIM_OK;
    if (o->n_raw == SHIM_RAW_MAX)
        return SHIM_E_MAP_FULL;
    o->raw[o->n_raw++] = r;
    return SHIM_OK;
}

static int add_module(const shim_view_t *v, shim_info_t *o, shim_module_t m)
{
    if (o->n_modules == SHIM_MODULES_MAX)
        return SHIM_E_INFO_FULL;
    if (shim_at(v, m.base, m.bytes) == NULL)
        return SHIM_E_MODULE_FAR;
    o->module[o->n_modules++] = m;
    return SHIM_OK;
}

static int complete(const shim_info_t *o)
{
    if (o->n_raw == 0)
        return SHIM_E_NO_MAP;
    return o->n_modules == 0 ? SHIM_E_NO_MODULE : SHIM_OK;
}

static int pvh_ranges(const shim_view_t *v, shim_info_t *o, uint64_t at, uint32_t n)
{
    const uint8_t *p = shim_at(v, at, (uint64_t)n * PVH_RANGE_BYTES);
    int rc = p == NULL ? SHIM_E_INFO : SHIM_OK;

    for (uint32_t i = 0; rc == SHIM_OK && i < n; i++, p += PVH_RANGE_BYTES)
        rc = add_range(o, shim_range_of(shim_get64(p), shim_get64(p + 8), shim_get32(p + 16)));
    return rc;
}

static int pvh_modules(const shim_view_t *v, shim_info_t *o, uint64_t at, uint32_t n)
{
    const uint8_t *p = shim_at(v, at, (uint64_t)n * PVH_MODULE_BYTES);
    int rc = p == NULL ? SHIM_E_INFO : SHIM_OK;

    for (uint32_t i = 0; rc == SHIM_OK && i < n; i++, p += PVH_MODULE_BYTES) {
        shim_module_t m = {shim_get64(p), shim_get64(p + 8), NULL};

        rc = add_text_at(v, o, &m.cmdline, shim_get64(p + 16));
        if (rc == SHIM_OK)
            rc = add_module(v, o, m);
    }
    return rc;
}

int shim_pvh_read(const shim_view_t *v, uint64_t at, shim_info_t *out)
{
    const uint8_t *p = shim_at(v, at, PVH_BYTES_0);
    const char *cmdline;
    int rc;

    if (p == NULL || shim_get32(p) != PVH_MAGIC)
        return SHIM_E_INFO;
    if (shim_get32(p + 4) < 1) /* no memory map before version 1 */
        return SHIM_E_NO_MAP;
    if (shim_at(v, at, PVH_BYTES_1) == NULL)
        return SHIM_E_INFO;
    out->base = at;
    out->bytes = PVH_BYTES_1;
    out->rsdp = shim_get64(p + 32);
    rc = add_text_at(v, out, &cmdline, shim_get64(p + 24));
    if (rc == SHIM_OK)
        rc = pvh_ranges(v, out, shim_get64(p + 40), shim_get32(p + 48));
    if (rc == SHIM_OK)
        rc = pvh_modules(v, out, shim_get64(p + 16), shim_get32(p + 12));
    if (rc != SHIM_OK)
        return rc;
    if (out->n_modules > 0 && out->module[0].cmdline[0] == 0)
        out->module[0].cmdline = cmdline;
    return complete(out);
}

static int mb2_ranges(shim_info_t *o, const uint8_t *p, uint32_t n)
{
    uint32_t entry = n < 16 ? 0 : shim_get32(p + 8);
    int rc = SHIM_OK;

    if (entry < 20)
        return SHIM_E_INFO;
    for (uint32_t at = 16; rc == SHIM_OK && n - at >= entry; at += entry)
        rc = add_range(
            o, shim_range_of(shim_get64(p + at), shim_get64(p + at + 8), shim_get32(p + at + 16)));
    return rc;
}

static int mb2_module(const shim_view_t *v, shim_info_t *o, const uint8_t *p, uint32_t n)
{
    shim_module_t m = {0};
    int rc;

    if (n < 16 || shim_get32(p + 12) < shim_get32(p + 8))
        return SHIM_E_INFO;
    m.base = shim_get32(p + 8);
    m.bytes = shim_get32(p + 12) - m.base;
    rc = add_text(o, &m.cmdline, p + 16, n - 16);
    return rc != SHIM_OK ? rc : add_module(v, o, m);
}

/* The new one comes from a newer ACPI and counts. */
static void mb2_rsdp(shim_info_t *o, uint32_t type, const uint8_t *p, uint32_t n)
{
    n = n - MB2_HEAD_BYTES < SHIM_RSDP_BYTES ? n - MB2_HEAD_BYTES : SHIM_RSDP_BYTES;
    if (!shim_rsdp_good(p + MB2_HEAD_BYTES, n) || (o->has_rsdp && type == MB2_RSDP_OLD))
        return;
    shim_zero(o->rsdp_copy, SHIM_RSDP_BYTES);
    shim_copy(o->rsdp_copy, p + MB2_HEAD_BYTES, n);
    o->has_rsdp = true;
}

static int mb2_tag(const shim_view_t *v, shim_info_t *o, const uint8_t *p, uint32_t n)
{
    uint32_t type = shim_get32(p);

    if (type == MB2_MEMMAP)
        return mb2_ranges(o, p, n);
    if (type == MB2_MODULE)
        return mb2_module(v, o, p, n);
    if (type == MB2_RSDP_OLD || type == MB2_RSDP_NEW)
        mb2_rsdp(o, type, p, n);
    return SHIM_OK;
}

int shim_mb2_read(const shim_view_t *v, uint64_t at, shim_info_t *out)
{
    const uint8_t *p = shim_at(v, at, MB2_HEAD_BYTES);
    uint64_t total = p == NULL ? 0 : shim_get32(p), i = MB2_HEAD_BYTES;

    p = shim_at(v, at, total);
    if (p == NULL || total < 2 * MB2_HEAD_BYTES)
        return SHIM_E_INFO;
    out->base = at;
    out->bytes = total;
    while (i <= total - MB2_HEAD_BYTES && shim_get32(p + i) != MB2_END) {
        uint32_t n = shim_get32(p + i + 4);
        int rc;

        if (n < MB2_HEAD_BYTES || n > total - i)
            return SHIM_E_INFO;
        rc = mb2_tag(v, out, p + i, n);
        if (rc != SHIM_OK)
            return rc;
        i = shim_up(i + n, 8);
    }
    return complete(out);
}

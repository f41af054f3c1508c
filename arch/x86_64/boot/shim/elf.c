/* SPDX-License-Identifier: MIT
 * The kernel's ELF file: see elf.h.
 * Floor: arch, plain C. */
#include "elf.h"

enum {
    EHDR_BYTES = 64,
    PHDR_BYTES = 56,
    CLASS_64 = 2,
    DATA_LITTLE = 1,
    TYPE_EXEC = 2,
    MACHINE_X86_64 = 62,
    PT_LOAD = 1,
    PHDRS_MAX = 128,
};

static int check_header(const uint8_t *file, uint64_t bytes)
{
    if (bytes < 4 || shim_get32(file) != 0x464c457fu)
        return SHIM_E_ELF_MAGIC;
    if (bytes < EHDR_BYTES)
        return SHIM_E_ELF_SHORT;
    if (file[4] != CLASS_64 || file[5] != DATA_LITTLE)
        return SHIM_E_ELF_CLASS;
    if (shim_get16(file + 18) != MACHINE_X86_64)
        return SHIM_E_ELF_MACHINE;
    if (shim_get16(file + 16) != TYPE_EXEC)
        return SHIM_E_ELF_TYPE;
    return SHIM_OK;
}

static int check_segment(const shim_segment_t *s, uint64_t file_bytes)
{
    if (s->offset > file_bytes || s->file_bytes > file_bytes - s->offset ||
        s->file_bytes > s->mem_bytes)
        return SHIM_E_ELF_SEGMENT;
    /* The last page of all stays empty, so that no end wraps. */
    if (s->virt < SHIM_KERNEL_FIRST || s->mem_bytes > SHIM_KERNEL_SPAN ||
        s->virt > (uint64_t)0 - SHIM_PAGE - s->mem_bytes)
        return SHIM_E_ELF_PLACE;
    return SHIM_OK;
}

/* Adds a segment after those that are there. */
static int add_segment(shim_elf_t *e, const shim_segment_t *s)
{
    uint64_t first = shim_down(s->virt, SHIM_PAGE);
    uint64_t end = shim_up(s->virt + s->mem_bytes, SHIM_PAGE);
    uint64_t all_end = e->first + e->span;

    if (e->n_segments == SHIM_SEGMENTS_MAX)
        return SHIM_E_ELF_MANY;
    for (uint32_t i = 0; i < e->n_segments; i++) {
        const shim_segment_t *o = &e->seg[i];

        if (first < shim_up(o->virt + o->mem_bytes, SHIM_PAGE) &&
            shim_down(o->virt, SHIM_PAGE) < end)
            return SHIM_E_ELF_SHARED;
    }
    if (e->n_segments == 0 || first < e->first)
        e->first = first;
    if (e->n_segments == 0 || end > all_end)
        all_end = end;
    e->span = all_end - e->first;
    e->seg[e->n_segments++] = *s;
    return e->span <= SHIM_KERNEL_SPAN ? SHIM_OK : SHIM_E_ELF_PLACE;
}

int shim_elf_read(shim_elf_t *e, const uint8_t *file, uint64_t bytes)
{
    int rc = check_header(file, bytes);
    uint64_t at;
    uint32_t n;

    if (rc != SHIM_OK)
        return rc;
    at = shim_get64(file + 32);
    n = shim_get16(file + 56);
    if (shim_get16(file + 54) != PHDR_BYTES || n > PHDRS_MAX || at > bytes ||
        (uint64_t)n * PHDR_BYTES > bytes - at)
        return SHIM_E_ELF_HEADERS;
    *e = (shim_elf_t){.entry = shim_get64(file + 24)};
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *p = file + at + (uint64_t)i * PHDR_BYTES;
        shim_segment_t s = {.virt = shim_get64(p + 16),
                            .mem_bytes = shim_get64(p + 40),
                            .offset = shim_get64(p + 8),
                            .file_bytes = shim_get64(p + 32),
                            .flags = shim_get32(p + 4) & (SHIM_SEG_X | SHIM_SEG_W)};

        if (shim_get32(p) != PT_LOAD || s.mem_bytes == 0)
            continue;
        rc = check_segment(&s, bytes);
        if (rc == SHIM_OK)
            rc = add_segment(e, &s);
        if (rc != SHIM_OK)
            return rc;
    }
    if (e->n_segments == 0)
        return SHIM_E_ELF_EMPTY;
    return SHIM_OK;
}

bool shim_elf_runs(const shim_elf_t *e, uint64_t virt)
{
    for (uint32_t i = 0; i < e->n_segments; i++) {
        const shim_segment_t *s = &e->seg[i];

        if ((s->flags & SHIM_SEG_X) != 0 && virt >= s->virt && virt - s->virt < s->mem_bytes)
            return true;
    }
    return false;
}

void shim_elf_place(const shim_elf_t *e, const uint8_t *file, uint8_t *image)
{
    shim_zero(image, e->span);
    for (uint32_t i = 0; i < e->n_segments; i++) {
        const shim_segment_t *s = &e->seg[i];

        shim_copy(image + (s->virt - e->first), file + s->offset, s->file_bytes);
    }
}

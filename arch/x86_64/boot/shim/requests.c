/* SPDX-License-Identifier: MIT
 * The kernel's requests: see requests.h.
 * Floor: arch, plain C. Image and words are aligned to 8, as requests are. */
#include "requests.h"

typedef struct area {
    uint8_t *at;
    uint64_t n_words;
} area_t;

static const struct {
    uint64_t id[4];
    uint64_t words;
} features[] = {
#define SHIM_FEATURE(id, type) [SHIM_F_##id] = {LIMINE_##id##_ID, sizeof(type) / 8},
#include "features.def"
#undef SHIM_FEATURE
};

static const uint64_t magic[] = {LIMINE_MAGIC};
static const uint64_t base_tag[] = {LIMINE_BASE_TAG_MAGIC};
static const uint64_t start_mark[] = LIMINE_START_MARK;
static const uint64_t end_mark[] = LIMINE_END_MARK;

static uint64_t word(const area_t *a, uint64_t i) { return shim_get64(a->at + 8 * i); }

static bool stands(const area_t *a, uint64_t i, const uint64_t *what, uint64_t n)
{
    for (uint64_t k = 0; k < n; k++)
        if (n > a->n_words - i || word(a, i + k) != what[k])
            return false;
    return true;
}

/* The words of the segment that came from the file. */
static area_t area_of(const shim_elf_t *e, uint32_t i, uint8_t *image)
{
    uint64_t from = e->seg[i].virt - e->first, end = from + e->seg[i].file_bytes;

    from = shim_up(from, 8);
    return (area_t){image + from, end > from ? (end - from) / 8 : 0};
}

/* Narrows the area to what stands after the start mark and before the end mark.
 * returns: whether there is a start mark. */
static bool between_marks(area_t *a)
{
    uint64_t i = 0, end;

    while (i < a->n_words && !stands(a, i, start_mark, 4))
        i++;
    if (i == a->n_words)
        return false;
    i += 4;
    for (end = i; end < a->n_words && !stands(a, end, end_mark, 2);)
        end++;
    *a = (area_t){a->at + 8 * i, end - i};
    return true;
}

static int note_request(shim_requests_t *r, const area_t *a, uint64_t i)
{
    for (uint32_t f = 0; f < SHIM_N_FEATURES; f++) {
        if (!stands(a, i, features[f].id, 4) || features[f].words > a->n_words - i)
            continue;
        if (r->at[f] != NULL)
            return SHIM_E_TWICE;
        r->at[f] = (limine_request_t *)(void *)(a->at + 8 * i);
    }
    return SHIM_OK;
}

static int search(shim_requests_t *r, const area_t *a)
{
    int rc = SHIM_OK;

    for (uint64_t i = 0; rc == SHIM_OK && i < a->n_words; i++) {
        uint64_t w = word(a, i);

        if (w == magic[0]) {
            rc = note_request(r, a, i);
        } else if (w == base_tag[0] && stands(a, i, base_tag, 2) && a->n_words - i >= 3) {
            if (r->base_tag != NULL)
                return SHIM_E_TWICE;
            r->base_tag = (uint64_t *)(void *)(a->at + 8 * i);
        }
    }
    return rc;
}

int shim_requests_find(shim_requests_t *r, const shim_elf_t *e, uint8_t *image)
{
    int rc = SHIM_OK;
    bool marked = false;

    *r = (shim_requests_t){0};
    for (uint32_t i = 0; i < e->n_segments && !marked; i++) {
        area_t a = area_of(e, i, image);

        marked = between_marks(&a);
        if (marked)
            rc = search(r, &a);
    }
    for (uint32_t i = 0; i < e->n_segments && !marked && rc == SHIM_OK; i++) {
        area_t a = area_of(e, i, image);

        rc = search(r, &a);
    }
    if (rc == SHIM_OK && (r->base_tag == NULL || r->base_tag[2] != LIMINE_BASE_REVISION))
        return SHIM_E_REVISION;
    return rc;
}

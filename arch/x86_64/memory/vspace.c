/* SPDX-License-Identifier: MIT
 * Ranges of address space. See vspace.h. Floor: port, plain logic. */
#include "vspace.h"

void vspace_init(vspace_t *vs, vrange_t *range, uint64_t first, uint64_t n)
{
    *range = (vrange_t){.first = first, .n = n, .kind = VSPACE_FREE};
    *vs = (vspace_t){.head = range, .n_ranges = 1};
}

static void put_spare(vspace_t *vs, vrange_t *r)
{
    r->next = vs->spare;
    vs->spare = r;
    vs->n_spare++;
}

static vrange_t *take_spare(vspace_t *vs)
{
    vrange_t *r = vs->spare;

    vs->spare = r->next;
    vs->n_spare--;
    return r;
}

void vspace_give(vspace_t *vs, void *mem, size_t bytes)
{
    vrange_t *r = mem;

    for (size_t i = 0; i < bytes / sizeof *r; i++)
        put_spare(vs, &r[i]);
}

/* Cuts r after n pages; what is behind becomes a free range of its own. */
static void cut(vspace_t *vs, vrange_t *r, uint64_t n)
{
    vrange_t *rest = take_spare(vs);

    *rest = (vrange_t){
        .prev = r, .next = r->next, .first = r->first + n, .n = r->n - n, .kind = VSPACE_FREE};
    if (r->next != NULL)
        r->next->prev = rest;
    r->next = rest;
    r->n = n;
    vs->n_ranges++;
}

vrange_t *vspace_take(vspace_t *vs, vspace_want_t want)
{
    uint64_t all = want.n + want.skip;

    for (vrange_t *r = vs->head; r != NULL; r = r->next) {
        uint64_t before = gmk_align_up(r->first + want.skip, want.align) - want.skip - r->first;

        if (r->kind != VSPACE_FREE || before > r->n || r->n - before < all)
            continue;
        if (before > 0) {
            cut(vs, r, before);
            r = r->next;
        }
        if (r->n > all)
            cut(vs, r, all);
        r->skip = want.skip;
        r->kind = want.kind;
        return r;
    }
    return NULL;
}

vrange_t *vspace_find(const vspace_t *vs, uint64_t page, uint32_t kind)
{
    for (vrange_t *r = vs->head; r != NULL && r->first <= page; r = r->next)
        if (r->kind == kind && r->first + r->skip == page)
            return r;
    return NULL;
}

/* Adds the range behind r to r. */
static void join(vspace_t *vs, vrange_t *r)
{
    vrange_t *gone = r->next;

    r->n += gone->n;
    r->next = gone->next;
    if (r->next != NULL)
        r->next->prev = r;
    put_spare(vs, gone);
    vs->n_ranges--;
}

void vspace_put(vspace_t *vs, vrange_t *r)
{
    r->kind = VSPACE_FREE;
    r->skip = 0;
    if (r->next != NULL && r->next->kind == VSPACE_FREE)
        join(vs, r);
    if (r->prev != NULL && r->prev->kind == VSPACE_FREE)
        join(vs, r->prev);
}

bool vspace_check(const vspace_t *vs, uint64_t first, uint64_t n)
{
    uint64_t at = first;
    uint32_t count = 0;

    for (const vrange_t *r = vs->head; r != NULL; r = r->next, count++) {
        if (r->first != at || r->n <= r->skip || (r->next != NULL && r->next->prev != r))
            return false;
        if (r->kind == VSPACE_FREE && r->next != NULL && r->next->kind == VSPACE_FREE)
            return false;
        at += r->n;
    }
    return at == first + n && count == vs->n_ranges;
}

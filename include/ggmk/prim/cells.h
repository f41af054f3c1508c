/* SPDX-License-Identifier: MIT
 * Rings of 64-byte task cells: the turn ring of prim/mpmc.h at stride 64.
 * Floor: F1. Copies cells in and out; push and pop, one or many, are written on the
 * split calls. The inbox of a worker is the same ring with one consumer (_sc).
 * Source: ARCHITECTURE R2. */
#ifndef GGMK_PRIM_CELLS_H
#define GGMK_PRIM_CELLS_H

#include "ggmk/prim/mpmc.h"
#include "ggmk/task.h"

#define GMK_CELL_STRIDE 64u

/* Pushes up to n cells; returns how many went in. threads: any. */
GMK_FN uint32_t gmk_cells_push(gmk_mpmc_t *r, gmk_cell_t *cells, const gmk_cell_t *from, uint32_t n,
                               int scope)
{
    uint32_t pos;
    uint32_t k = gmk_mpmc_claim(r, cells, GMK_CELL_STRIDE, n, &pos, scope);

    for (uint32_t i = 0; i < k; i++)
        gmk_cell_copy(&cells[(pos + i) & r->mask_p], &from[i]);
    if (k != 0)
        gmk_mpmc_publish(r, cells, GMK_CELL_STRIDE, pos, k, scope);
    return k;
}

/* Pops up to n cells; returns how many came out. threads: any. */
GMK_FN uint32_t gmk_cells_pop(gmk_mpmc_t *r, gmk_cell_t *cells, gmk_cell_t *to, uint32_t n,
                              int scope)
{
    uint32_t pos;
    uint32_t k = gmk_mpmc_take(r, cells, GMK_CELL_STRIDE, n, &pos, scope);

    for (uint32_t i = 0; i < k; i++)
        gmk_cell_copy(&to[i], &cells[(pos + i) & r->mask_c]);
    if (k != 0)
        gmk_mpmc_release(r, cells, GMK_CELL_STRIDE, pos, k, scope);
    return k;
}

/* As gmk_cells_pop by the ring's one consumer. */
GMK_FN uint32_t gmk_cells_pop_sc(gmk_mpmc_t *r, gmk_cell_t *cells, gmk_cell_t *to, uint32_t n,
                                 int scope)
{
    uint32_t pos;
    uint32_t k = gmk_mpmc_take_sc(r, cells, GMK_CELL_STRIDE, n, &pos, scope);

    for (uint32_t i = 0; i < k; i++)
        gmk_cell_copy(&to[i], &cells[(pos + i) & r->mask_c]);
    if (k != 0)
        gmk_mpmc_release(r, cells, GMK_CELL_STRIDE, pos, k, scope);
    return k;
}

GMK_FN bool gmk_cells_ready(const gmk_mpmc_t *r, const gmk_cell_t *cells, int scope)
{
    return gmk_mpmc_ready(r, cells, GMK_CELL_STRIDE, scope);
}

#endif

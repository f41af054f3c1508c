/* SPDX-License-Identifier: MIT
 * The event queue: two heaps, by the clock and by the tick, over one store of cells.
 * Floor: F4. Changed under its lock; the earliest due times are mirrored in words that
 * anybody reads. Order: due time, priority, insertion; the due time is the queue's own.
 * Source: SPEC SC-5 to SC-7, V-38; ARCHITECTURE R9, R21. */
#include "sched/sched.h"

int gmki_evq_init(gmki_evq_t *q, uint32_t cap)
{
    gmk_hal_lock_init(&q->lock);
    q->cap = cap;
    q->n_free = cap;
    q->least_free = cap;
    q->next_wall = GMKI_NEVER;
    q->next_tick = GMKI_NEVER;
    gmk_heap_setup(&q->wall, cap);
    gmk_heap_setup(&q->tick, cap);
    q->wall_nodes = gmk_hal_calloc(cap, sizeof(*q->wall_nodes));
    q->tick_nodes = gmk_hal_calloc(cap, sizeof(*q->tick_nodes));
    q->cells = gmk_hal_calloc(cap, sizeof(*q->cells));
    q->free = gmk_hal_calloc(cap, sizeof(*q->free));
    if (q->wall_nodes == NULL || q->tick_nodes == NULL || q->cells == NULL || q->free == NULL)
        return GMK_ALLOC_FAIL;
    for (uint32_t i = 0; i < cap; i++)
        q->free[i] = cap - 1 - i;
    return GMK_OK;
}

void gmki_evq_fini(gmki_evq_t *q)
{
    gmk_hal_free(q->wall_nodes);
    gmk_hal_free(q->tick_nodes);
    gmk_hal_free(q->cells);
    gmk_hal_free(q->free);
    q->cells = NULL;
    if (q->cap != 0)
        gmk_hal_lock_destroy(&q->lock);
}

/* pre: the lock is held. */
static void mirror(gmki_evq_t *q)
{
    const gmk_heap_node_t *w = gmk_heap_peek(&q->wall, q->wall_nodes);
    const gmk_heap_node_t *t = gmk_heap_peek(&q->tick, q->tick_nodes);

    gmk_store_rel(&q->next_wall, w != NULL ? w->due : GMKI_NEVER, GMK_DEV); /* sync: evq.next */
    gmk_store_rel(&q->next_tick, t != NULL ? t->due : GMKI_NEVER, GMK_DEV); /* sync: evq.next */
}

/* pre: the lock is held, and a cell is free. returns: it is the first of its heap. */
static bool insert(gmki_evq_t *q, const gmk_cell_t *c, uint64_t due, bool is_tick)
{
    gmk_heap_t *heap = is_tick ? &q->tick : &q->wall;
    gmk_heap_node_t *nodes = is_tick ? q->tick_nodes : q->wall_nodes;
    uint32_t slot = q->free[--q->n_free];
    uint64_t order = gmk_heap_order(GMK_PRIORITY(c->task.flags), q->inserted++);

    gmk_cell_copy(&q->cells[slot], c);
    if (!gmk_heap_push(heap, nodes, due, order, slot))
        GMK_ASSERT(false, "a heap holds as many nodes as there are cells");
    mirror(q);
    return gmk_heap_peek(heap, nodes)->value == slot;
}

bool gmki_evq_insert(gmki_evq_t *q, const gmk_cell_t *c, uint64_t due, bool is_tick, bool *earliest)
{
    bool ok;

    gmk_hal_lock_acquire(&q->lock);
    ok = q->n_free > q->n_kept;
    if (ok) {
        *earliest = insert(q, c, due, is_tick);
        q->least_free = gmk_min32(q->least_free, q->n_free - q->n_kept);
    }
    gmk_hal_lock_release(&q->lock);
    return ok;
}

/* Takes what one of the two heaps has due. pre: the lock is held. */
static uint32_t take_heap(gmki_evq_t *q, bool is_tick, uint64_t upto, gmk_cell_t *out, uint32_t n)
{
    gmk_heap_t *heap = is_tick ? &q->tick : &q->wall;
    gmk_heap_node_t *nodes = is_tick ? q->tick_nodes : q->wall_nodes;
    uint32_t k = 0;

    while (k < n && gmk_heap_count(heap) != 0 && gmk_heap_peek(heap, nodes)->due <= upto) {
        gmk_heap_node_t node;

        gmk_heap_pop_min(heap, nodes, &node);
        gmk_cell_copy(&out[k++], &q->cells[node.value]);
        q->free[q->n_free++] = node.value;
    }
    return k;
}

uint32_t gmki_evq_take_due(gmki_evq_t *q, uint64_t now_ns, uint64_t tick, gmk_cell_t *out,
                           uint32_t n)
{
    uint32_t k;

    gmk_hal_lock_acquire(&q->lock);
    k = take_heap(q, false, now_ns, out, n);
    k += take_heap(q, true, tick, out + k, n - k);
    mirror(q);
    gmk_hal_lock_release(&q->lock);
    return k;
}

uint32_t gmki_evq_begin(gmki_evq_t *q, uint64_t now_ns, uint64_t tick, gmk_cell_t *out, uint32_t n)
{
    uint32_t k;

    gmk_hal_lock_acquire(&q->lock);
    k = take_heap(q, false, now_ns, out, n);
    k += take_heap(q, true, tick, out + k, n - k);
    q->n_kept += k;
    mirror(q);
    gmk_hal_lock_release(&q->lock);
    return k;
}

void gmki_evq_end(gmki_evq_t *q, uint32_t taken, const gmk_cell_t *back, uint32_t n, uint64_t due)
{
    gmk_hal_lock_acquire(&q->lock);
    q->n_kept -= taken;
    for (uint32_t i = 0; i < n; i++)
        insert(q, &back[i], due, false);
    gmk_hal_lock_release(&q->lock);
}

uint32_t gmki_evq_count(gmki_evq_t *q)
{
    uint32_t n;

    gmk_hal_lock_acquire(&q->lock);
    n = q->cap - q->n_free;
    gmk_hal_lock_release(&q->lock);
    return n;
}

uint32_t gmki_evq_high(gmki_evq_t *q)
{
    uint32_t n;

    gmk_hal_lock_acquire(&q->lock);
    n = q->cap - q->least_free;
    gmk_hal_lock_release(&q->lock);
    return n;
}

bool gmki_evq_any(gmki_evq_t *q, gmk_cell_t *out)
{
    return gmki_evq_take_due(q, GMKI_NEVER, GMKI_NEVER, out, 1) != 0;
}

bool gmki_ticks_due(const gmk_sched_t *s, uint64_t now_ns)
{
    uint64_t ready = gmk_load_acq(s->det_ready, GMK_DEV); /* sync: det.ready */

    return ready != GMKI_NEVER && ready <= gmki_tick(s, now_ns) &&
           gmk_load_acq(&s->det_again, GMK_DEV) <= now_ns; /* sync: det.again */
}

bool gmki_evq_due(const gmk_sched_t *s, uint64_t now_ns)
{
    uint64_t wall = gmk_load_acq(&s->evq.next_wall, GMK_DEV); /* sync: evq.next */
    uint64_t tick = gmk_load_acq(&s->evq.next_tick, GMK_DEV); /* sync: evq.next */

    return wall <= now_ns || (tick != GMKI_NEVER && tick <= gmki_tick(s, now_ns)) ||
           gmki_ticks_due(s, now_ns) || gmki_tick_owed(s, now_ns);
}

/* When a tick begins, as far as that is known. */
static uint64_t begins_ns(const gmk_sched_t *s, uint64_t tick)
{
    uint64_t base = gmk_load_acq(&s->tick_base, GMK_DEV); /* sync: sched.tick */

    if (tick <= base)
        return 0;
    return s->manual_ticks || tick == GMKI_NEVER ? GMKI_NEVER
                                                 : s->boot_ns + (tick - base) * GMK_TICK_NS;
}

uint64_t gmki_evq_next_ns(const gmk_sched_t *s)
{
    uint64_t wall = gmk_load_acq(&s->evq.next_wall, GMK_DEV);         /* sync: evq.next */
    uint64_t tick = gmk_load_acq(&s->evq.next_tick, GMK_DEV);         /* sync: evq.next */
    uint64_t det = begins_ns(s, gmk_load_acq(s->det_ready, GMK_DEV)); /* sync: det.ready */

    if (gmk_load_acq(&s->ticks_watched, GMK_DEV) != 0)                     /* sync: sched.watched */
        tick = gmk_min64(tick, gmk_load_acq(&s->ticks_told, GMK_DEV) + 1); /* sync: sched.told */
    det = gmk_max64(det, gmk_load_acq(&s->det_again, GMK_DEV));            /* sync: det.again */
    return gmk_min64(gmk_min64(wall, begins_ns(s, tick)), det);
}

/* SPDX-License-Identifier: MIT
 * Entries of later ticks: a pairing heap by due tick, linked through the entries.
 * Floor: F4. Equal ticks come out in any order: the drain sorts what it takes.
 * Invariants: no entry is due before the one above it; siblings are a list by node.next.
 * Threads: whoever opens or ends a tick.
 * Source: M. Fredman et al., The pairing heap (1986): a put costs one link, a take
 *   O(log n) amortised, with no memory of its own. */
#include "det/det.h"

/* The heap of two. */
static gmki_det_entry_t *join(gmki_det_entry_t *a, gmki_det_entry_t *b)
{
    if (b->due < a->due) {
        gmki_det_entry_t *other = a;

        a = b;
        b = other;
    }
    b->node.next = a->kid != NULL ? &a->kid->node : NULL;
    a->kid = b;
    return a;
}

void gmki_det_later_put(gmki_det_t *d, gmki_det_entry_t *e)
{
    e->kid = NULL;
    e->node.next = NULL;
    d->later = d->later != NULL ? join(d->later, e) : e;
    d->n_later++;
}

gmki_det_entry_t *gmki_det_later_take(gmki_det_t *d)
{
    gmki_det_entry_t *top = d->later;
    gmk_canon_node_t *kids = top->kid != NULL ? &top->kid->node : NULL;
    gmk_canon_node_t *pairs = NULL; /* linked two by two, the last pair first */
    gmki_det_entry_t *heap = NULL;

    while (kids != NULL) {
        gmki_det_entry_t *e = gmki_det_of(kids);
        gmk_canon_node_t *mate = kids->next;

        kids = mate != NULL ? mate->next : NULL;
        if (mate != NULL)
            e = join(e, gmki_det_of(mate));
        e->node.next = pairs;
        pairs = &e->node;
    }
    while (pairs != NULL) {
        gmki_det_entry_t *e = gmki_det_of(pairs);

        pairs = pairs->next;
        heap = heap != NULL ? join(heap, e) : e;
    }
    d->later = heap;
    d->n_later--;
    top->kid = NULL;
    return top;
}

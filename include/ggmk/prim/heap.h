/* SPDX-License-Identifier: MIT
 * Binary min-heap of timed values over an array of nodes that the caller owns.
 * Floor: F1. No storage of its own, no pointers: all-zero memory with `cap` set is a
 * valid empty heap over any nodes.
 * Invariants: count <= cap < 2^31; for 0 < i < count the node at (i - 1) / 2 is not after
 *   the node at i, where a is before b if (a.due, a.order) < (b.due, b.order).
 *   With order = priority << 62 | insertion number, equal due times come out most
 *   urgent first, then in the order of insertion.
 * Threads: not safe; the caller holds a lock or is the only user.
 * Source: J. Williams, Algorithm 232 (1964); SPEC SC-5, SC-7. */
#ifndef GGMK_PRIM_HEAP_H
#define GGMK_PRIM_HEAP_H

#include "ggmk/base/bits.h"

typedef struct gmk_heap_node {
    uint64_t due;
    uint64_t order; /* breaks ties of due; gmk_heap_order */
    uint32_t value; /* the caller's, an index as a rule */
    uint32_t pad;
} gmk_heap_node_t;

GMK_STATIC_ASSERT(sizeof(gmk_heap_node_t) == 24, "a heap node is 24 bytes on every kernel");

typedef struct gmk_heap {
    uint32_t count;
    uint32_t cap;
} gmk_heap_t;

#define GMK_HEAP_NONE UINT32_MAX

/* Makes h empty. pre: cap < 2^31. */
GMK_FN void gmk_heap_setup(gmk_heap_t *h, uint32_t cap)
{
    h->count = 0;
    h->cap = cap;
}

/* The tie-break of the n-th insertion. pre: priority < 4, n < 2^62. */
GMK_FN uint64_t gmk_heap_order(uint32_t priority, uint64_t n)
{
    return (uint64_t)priority << 62 | n;
}

GMK_FN bool gmk_heap_before(const gmk_heap_node_t *a, const gmk_heap_node_t *b)
{
    return a->due < b->due || (a->due == b->due && a->order < b->order);
}

GMK_FN uint32_t gmk_heap_count(const gmk_heap_t *h) { return h->count; }

/* Moves the hole at i towards the root until `node` may stand in it, and puts it there. */
GMK_FN void gmk_heap_sift_up(gmk_heap_node_t *nodes, uint32_t i, gmk_heap_node_t node)
{
    while (i != 0) {
        uint32_t up = (i - 1) / 2;
        if (!gmk_heap_before(&node, &nodes[up]))
            break;
        nodes[i] = nodes[up];
        i = up;
    }
    nodes[i] = node;
}

/* As gmk_heap_sift_up towards the leaves of a heap of count nodes. */
GMK_FN void gmk_heap_sift_down(gmk_heap_node_t *nodes, uint32_t count, uint32_t i,
                               gmk_heap_node_t node)
{
    for (;;) {
        uint32_t kid = 2 * i + 1;
        if (kid >= count)
            break;
        if (kid + 1 < count && gmk_heap_before(&nodes[kid + 1], &nodes[kid]))
            kid++;
        if (!gmk_heap_before(&nodes[kid], &node))
            break;
        nodes[i] = nodes[kid];
        i = kid;
    }
    nodes[i] = node;
}

/* Adds a node. returns: false if full. cost: O(log n), O(1) when due last of all. */
GMK_FN bool gmk_heap_push(gmk_heap_t *h, gmk_heap_node_t *nodes, uint64_t due, uint64_t order,
                          uint32_t value)
{
    gmk_heap_node_t node;

    if (h->count >= h->cap)
        return false;
    node.due = due;
    node.order = order;
    node.value = value;
    node.pad = 0;
    gmk_heap_sift_up(nodes, h->count++, node);
    return true;
}

/* The first node, which stays. returns: null if empty. cost: O(1). */
GMK_FN const gmk_heap_node_t *gmk_heap_peek(const gmk_heap_t *h, const gmk_heap_node_t *nodes)
{
    return h->count != 0 ? nodes : NULL;
}

/* Removes the node at an index, copying it out. It alters the indices of other nodes.
 * returns: false if index >= count. cost: O(log n). */
GMK_FN bool gmk_heap_remove(gmk_heap_t *h, gmk_heap_node_t *nodes, uint32_t index,
                            gmk_heap_node_t *out)
{
    gmk_heap_node_t last;

    if (index >= h->count)
        return false;
    *out = nodes[index];
    last = nodes[--h->count];
    if (index == h->count)
        return true;
    if (gmk_heap_before(&last, out)) /* from another branch: it may belong above */
        gmk_heap_sift_up(nodes, index, last);
    else
        gmk_heap_sift_down(nodes, h->count, index, last);
    return true;
}

/* Removes the first node, copying it out. returns: false if empty. cost: O(log n). */
GMK_FN bool gmk_heap_pop_min(gmk_heap_t *h, gmk_heap_node_t *nodes, gmk_heap_node_t *out)
{
    return gmk_heap_remove(h, nodes, 0, out);
}

/* Index of a node that carries value, for gmk_heap_remove; GMK_HEAP_NONE if there is
 * none. cost: O(n). */
GMK_FN uint32_t gmk_heap_find(const gmk_heap_t *h, const gmk_heap_node_t *nodes, uint32_t value)
{
    for (uint32_t i = 0; i < h->count; i++) {
        if (nodes[i].value == value)
            return i;
    }
    return GMK_HEAP_NONE;
}

#endif

/* SPDX-License-Identifier: MIT
 * Canonical order of deterministic work: the key, a stable sort of a linked list by a
 * 128-bit key, and the steps of the trace hash.
 * Floor: F1. No storage of its own; all functions are pure but for the links of the list.
 * Invariants: a is before b exactly if pack(a) is below pack(b) as (hi, lo); equal keys
 *   keep their order; each step of the hash is a bijection of the state for a given
 *   input and of the input for a given state, so one changed event changes the end.
 * Threads: none share anything; the caller owns the list.
 * Source: SPEC DET-1, DET-9; D. Stafford, Mix13 (constants of the finaliser, as in
 *   S. Vigna's splitmix64); D. Knuth, TAOCP 5.2.4 (merging of runs). */
#ifndef GGMK_PRIM_CANON_H
#define GGMK_PRIM_CANON_H

#include "ggmk/base/compiler.h"

/* Where a task stands among all deterministic work. */
typedef struct gmk_canon_key {
    uint64_t tick;
    uint32_t priority; /* 0..3, 0 the most urgent */
    uint32_t type;     /* 0..255 */
    uint64_t seq;      /* below GMK_CANON_SEQ_END: does not wrap with the task's 32 bits */
} gmk_canon_key_t;

#define GMK_CANON_SEQ_BITS 54u
#define GMK_CANON_SEQ_END ((uint64_t)1 << GMK_CANON_SEQ_BITS)

/* A node of a list that is sorted: the user embeds it and sets the key. */
typedef struct gmk_canon_node {
    struct gmk_canon_node *next;
    uint64_t hi;
    uint64_t lo;
} gmk_canon_node_t;

GMK_FN int gmk_canon_cmp_(uint64_t a, uint64_t b) { return a < b ? -1 : a > b; }

/* Below, at or above 0 as a is before, the same as or after b: by tick, priority, type,
 * seq. A total order over all values of the fields. */
GMK_FN int gmk_canon_cmp(const gmk_canon_key_t *a, const gmk_canon_key_t *b)
{
    int c = gmk_canon_cmp_(a->tick, b->tick);

    c = c != 0 ? c : gmk_canon_cmp_(a->priority, b->priority);
    c = c != 0 ? c : gmk_canon_cmp_(a->type, b->type);
    return c != 0 ? c : gmk_canon_cmp_(a->seq, b->seq);
}

/* Writes the key into two words that compare as it does.
 * pre: priority < 4, type < 256, seq < GMK_CANON_SEQ_END. */
GMK_FN void gmk_canon_pack(const gmk_canon_key_t *k, uint64_t *hi, uint64_t *lo)
{
    *hi = k->tick;
    *lo = (uint64_t)k->priority << 62 | (uint64_t)k->type << GMK_CANON_SEQ_BITS | k->seq;
}

/* a must come before b. */
GMK_FN bool gmk_canon_below(const gmk_canon_node_t *a, const gmk_canon_node_t *b)
{
    return a->hi < b->hi || (a->hi == b->hi && a->lo < b->lo);
}

/* One list of two in order; of equal nodes those of a come first. Either may be null. */
GMK_FN gmk_canon_node_t *gmk_canon_merge(gmk_canon_node_t *a, gmk_canon_node_t *b)
{
    gmk_canon_node_t *head = NULL;
    gmk_canon_node_t **end = &head;

    while (a != NULL && b != NULL) {
        gmk_canon_node_t **from = gmk_canon_below(b, a) ? &b : &a;
        *end = *from;
        end = &(*from)->next;
        *from = (*from)->next;
    }
    *end = a != NULL ? a : b;
    return head;
}

/* Cuts the nodes off *list that stand in order already; at least one. pre: not empty. */
GMK_FN gmk_canon_node_t *gmk_canon_run(gmk_canon_node_t **list)
{
    gmk_canon_node_t *head = *list;
    gmk_canon_node_t *last = head;

    while (last->next != NULL && !gmk_canon_below(last->next, last))
        last = last->next;
    *list = last->next;
    last->next = NULL;
    return head;
}

/* Sorts a list (null ends it) by (hi, lo), stably, and returns its first node. Bottom up:
 * bin i holds a merge of 2^i runs that are older than those of the bins below it.
 * cost: O(n log r) for r runs in order, so O(n) for a sorted list; 320 bytes of stack. */
GMK_FN gmk_canon_node_t *gmk_canon_sort(gmk_canon_node_t *list)
{
    gmk_canon_node_t *bins[40]; /* of 2^40 nodes, 24 TiB */
    gmk_canon_node_t *all = NULL;
    uint32_t n_bins = 0;

    while (list != NULL) {
        gmk_canon_node_t *run = gmk_canon_run(&list);
        uint32_t i = 0;
        for (; i < n_bins && bins[i] != NULL; i++) {
            run = gmk_canon_merge(bins[i], run);
            bins[i] = NULL;
        }
        if (i == n_bins)
            n_bins++;
        bins[i] = run;
    }
    for (uint32_t i = 0; i < n_bins; i++)
        all = gmk_canon_merge(bins[i], all);
    return all;
}

/* The trace hash. --------------------------------------------------------------- */
/* Each module has a chain over its deterministic events, in its serial order; the trace
 * hash is the chain over the modules' chains, in index order. So modules may run at the
 * same time. It finds differences; it does not resist somebody who makes collisions. */

#define GMK_CANON_HASH_SEED 0x9e3779b97f4a7c15ull

/* What the hash sees of an event: no time, no worker. */
typedef struct gmk_canon_event {
    uint32_t ev_type; /* GMK_EV_* */
    uint16_t tenant;
    uint16_t type; /* task type */
    uint64_t tick;
    uint32_t arg0;
    uint32_t arg1;
} gmk_canon_event_t;

/* Spreads each bit over the word; a bijection. */
GMK_FN uint64_t gmk_canon_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

/* The chain `h`, one word longer. Order counts: the constant keeps h and w apart. */
GMK_FN uint64_t gmk_canon_chain(uint64_t h, uint64_t w)
{
    return gmk_canon_mix((h ^ w) + GMK_CANON_HASH_SEED);
}

/* The chain `h`, one event longer. cost: three mixes. */
GMK_FN uint64_t gmk_canon_hash_event(uint64_t h, const gmk_canon_event_t *e)
{
    h = gmk_canon_chain(h, e->ev_type | (uint64_t)e->tenant << 32 | (uint64_t)e->type << 48);
    h = gmk_canon_chain(h, e->tick);
    return gmk_canon_chain(h, e->arg0 | (uint64_t)e->arg1 << 32);
}

#endif

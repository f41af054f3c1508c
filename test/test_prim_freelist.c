/* SPDX-License-Identifier: MIT
 * The index stack of prim/freelist.h: order, tag, sharing of links, contention.
 * Floor: tests. Source: ARCHITECTURE R1. */
#include "alloc_env.h"

#include "ggmk/prim/freelist.h"

#define NODES 64u

static gmk_freelist_t list;
static gmk_freelist_t other;
static gmk_a32_t next[NODES];

static uint32_t pop(gmk_freelist_t *f) { return gmk_freelist_pop(f, next, GMK_DEV); }
static void push(gmk_freelist_t *f, uint32_t i) { gmk_freelist_push(f, next, i, GMK_DEV); }

GMK_TEST(freelist_zeroed_memory_is_an_empty_list)
{
    list = (gmk_freelist_t){.head = 0};
    gmk_hal_memset(next, 0, sizeof(next));
    gmk_test_assert(gmk_freelist_empty(&list, GMK_DEV));
    gmk_test_assert(pop(&list) == GMK_FREELIST_NONE);
    gmk_test_assert(pop(&list) == GMK_FREELIST_NONE);
    push(&list, 0);
    gmk_test_assert(!gmk_freelist_empty(&list, GMK_DEV));
    gmk_test_assert(pop(&list) == 0);
    gmk_test_assert(gmk_freelist_empty(&list, GMK_DEV));
    gmk_test_assert(pop(&list) == GMK_FREELIST_NONE);
}

GMK_TEST(freelist_filled_list_pops_in_order)
{
    static const uint32_t sizes[] = {0, 1, 2, 3, NODES};

    for (uint32_t s = 0; s < GMK_ARRAY_LEN(sizes); s++) {
        gmk_freelist_fill(&list, next, sizes[s]);
        gmk_test_assert_eq(gmk_freelist_empty(&list, GMK_DEV), sizes[s] == 0);
        for (uint32_t i = 0; i < sizes[s]; i++)
            gmk_test_assert(pop(&list) == i);
        gmk_test_assert(pop(&list) == GMK_FREELIST_NONE);
    }
}

GMK_TEST(freelist_is_last_in_first_out)
{
    list = (gmk_freelist_t){.head = 0};
    for (uint32_t i = 0; i < NODES; i++)
        push(&list, (i * 7) % NODES);
    for (uint32_t i = NODES; i-- > 0;)
        gmk_test_assert(pop(&list) == (i * 7) % NODES);
    gmk_test_assert(pop(&list) == GMK_FREELIST_NONE);
}

/* The popper looked at A and its successor B; meanwhile A and B went and A came back.
 * Its compare-and-swap must fail, or B would be in the list while others hold it. */
GMK_TEST(freelist_returned_node_changes_the_head)
{
    uint64_t seen;
    uint64_t now;

    gmk_freelist_fill(&list, next, 3);
    seen = gmk_load_rlx(&list.head, GMK_DEV); /* relaxed: one thread */
    gmk_test_assert(pop(&list) == 0);
    gmk_test_assert(pop(&list) == 1);
    push(&list, 0);
    now = gmk_load_rlx(&list.head, GMK_DEV); /* relaxed: one thread */
    gmk_test_assert_eq((uint32_t)now, (uint32_t)seen);
    gmk_test_assert_ne(now, seen);
    gmk_test_assert(pop(&list) == 0);
    gmk_test_assert(pop(&list) == 2);
    gmk_test_assert(pop(&list) == GMK_FREELIST_NONE);
}

GMK_TEST(freelist_tag_wraps_without_touching_the_index)
{
    list = (gmk_freelist_t){.head = (uint64_t)UINT32_MAX << 32};
    push(&list, 5);
    gmk_test_assert_eq(gmk_load_rlx(&list.head, GMK_DEV), 6); /* relaxed: one thread */
    gmk_test_assert(pop(&list) == 5);
    gmk_test_assert(pop(&list) == GMK_FREELIST_NONE);
    list = (gmk_freelist_t){.head = (uint64_t)(UINT32_MAX - 1) << 32};
    for (uint32_t i = 0; i < 4; i++)
        push(&list, i);
    for (uint32_t i = 4; i-- > 0;)
        gmk_test_assert(pop(&list) == i);
    gmk_test_assert(pop(&list) == GMK_FREELIST_NONE);
}

GMK_TEST(freelist_largest_index_works_at_system_scope)
{
    gmk_freelist_t f = {.head = 0};
    gmk_a32_t link[2] = {0, 0};

    gmk_freelist_push(&f, link, 1, GMK_SYS);
    gmk_freelist_push(&f, link, 0, GMK_SYS);
    gmk_test_assert(gmk_freelist_pop(&f, link, GMK_SYS) == 0);
    gmk_test_assert(gmk_freelist_pop(&f, link, GMK_SYS) == 1);
    gmk_test_assert(gmk_freelist_pop(&f, link, GMK_SYS) == GMK_FREELIST_NONE);
}

GMK_TEST(freelist_random_work_on_two_lists_equals_model)
{
    uint32_t stack[2][NODES];
    uint32_t depth[2] = {NODES, 0};
    uint64_t seed = gmk_test_seed();
    uint32_t wrong = 0;

    gmk_freelist_fill(&list, next, NODES);
    other = (gmk_freelist_t){.head = 0};
    for (uint32_t i = 0; i < NODES; i++)
        stack[0][i] = NODES - 1 - i;
    for (uint64_t step = 0; step < gmk_test_scale(20000, 3000); step++) {
        uint32_t from = env_rand(&seed, 2);
        uint32_t i = pop(from == 0 ? &list : &other);

        wrong += i != (depth[from] == 0 ? GMK_FREELIST_NONE : stack[from][depth[from] - 1]);
        if (i == GMK_FREELIST_NONE)
            continue;
        depth[from]--;
        stack[1 - from][depth[1 - from]++] = i;
        push(from == 0 ? &other : &list, i);
    }
    gmk_test_assert_eq(wrong, 0);
    gmk_test_assert_eq(depth[0] + depth[1], NODES);
}

/* Every node has one owner at a time: the holder writes its words without a lock, so
 * that TSan sees a missing order, and checks what the last holder left. */
static uint32_t body[NODES][2];

static void *list_worker(void *arg)
{
    env_thread_t *t = arg;

    env_wait(t->go, 1);
    for (uint64_t step = 0; step < t->n; step++) {
        uint32_t from = env_rand(&t->seed, 2);
        uint32_t i = pop(from == 0 ? &list : &other);

        if (i == GMK_FREELIST_NONE) {
            t->fails++;
            continue;
        }
        t->bad += i >= NODES || body[i][0] != body[i][1];
        body[i][0]++;
        body[i][1]++;
        t->allocs[0]++;
        push(env_rand(&t->seed, 2) == 0 ? &other : &list, i);
    }
    return NULL;
}

GMK_TEST(freelist_contention_each_node_has_one_holder)
{
    static env_thread_t t[ENV_THREADS];
    static const uint32_t few[] = {1, 3, NODES};
    bool seen[NODES];

    for (uint32_t f = 0; f < GMK_ARRAY_LEN(few); f++) {
        uint64_t held = 0, sum = 0;
        uint32_t n = 0, twice = 0, i;

        gmk_freelist_fill(&list, next, few[f]);
        other = (gmk_freelist_t){.head = 0};
        gmk_hal_memset(body, 0, sizeof(body));
        gmk_hal_memset(seen, 0, sizeof(seen));
        for (uint32_t k = 0; k < ENV_THREADS; k++)
            t[k] = (env_thread_t){.n = gmk_test_scale(20000, 300)};
        env_run(t, ENV_THREADS, list_worker, NULL);
        for (uint32_t k = 0; k < ENV_THREADS; k++)
            held += t[k].allocs[0];
        for (uint32_t k = 0; k < NODES; k++)
            sum += body[k][0];
        gmk_test_assert_eq(sum, held);
        while ((i = pop(&list)) != GMK_FREELIST_NONE || (i = pop(&other)) != GMK_FREELIST_NONE) {
            GMK_REQUIRE(i < NODES && n <= NODES);
            twice += seen[i];
            seen[i] = true;
            n++;
        }
        gmk_test_assert_eq(twice, 0);
        gmk_test_assert_eq(n, few[f]);
    }
}

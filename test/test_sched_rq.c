/* SPDX-License-Identifier: MIT
 * The ready queue: the weighted round, fallback, progress, exactly once.
 * Floor: tests. Source: SPEC SC-1, SC-2, SC-8, ACC-2; ARCHITECTURE R3. */
#include "kernel_env.h"

static rig_t rig;
static gmk_kernel_t kernel;

static uint32_t push(uint32_t prio, uint64_t n)
{
    gmk_cell_t c = kit_cell(prio, n);
    gmki_queue_t *q = &rig.s.rq[prio];

    return gmk_cells_push(&q->ring, q->cells, &c, 1, GMK_DEV);
}

/* Pops n of full queues and counts them by priority; each is in its queue's order. */
static void weighted(uint32_t n, uint32_t *got)
{
    uint64_t next[GMK_N_PRIO] = {0};
    gmk_cell_t c;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t p;

        GMK_REQUIRE(gmki_rq_pop(&rig.s, rig.a.wq, &c));
        p = GMK_PRIORITY(c.task.flags);
        gmk_test_assert_eq(c.task.meta0, next[p]);
        next[p]++;
        got[p]++;
    }
}

static void fill_all(uint32_t n)
{
    for (uint32_t p = 0; p < GMK_N_PRIO; p++)
        for (uint32_t i = 0; i < n; i++)
            gmk_test_assert_eq(push(p, i), 1);
}

/* SC-2. */
GMK_TEST(sched_rq_pop_weights_8_4_2_1_over_15)
{
    uint32_t got[GMK_N_PRIO] = {0};

    GMK_REQUIRE(rig_begin(&rig, (gmk_boot_cfg_t){.rq_slots = 16}));
    fill_all(16);
    weighted(15, got);
    gmk_test_assert_eq(got[0], 8);
    gmk_test_assert_eq(got[1], 4);
    gmk_test_assert_eq(got[2], 2);
    gmk_test_assert_eq(got[3], 1);
    rig_end(&rig);
}

/* SC-1, SC-2. */
GMK_TEST(sched_rq_pop_weights_8_4_2_1_over_150)
{
    uint32_t got[GMK_N_PRIO] = {0};

    GMK_REQUIRE(rig_begin(&rig, (gmk_boot_cfg_t){.rq_slots = 128}));
    fill_all(100);
    weighted(150, got);
    gmk_test_assert_eq(got[0], 80);
    gmk_test_assert_eq(got[1], 40);
    gmk_test_assert_eq(got[2], 20);
    gmk_test_assert_eq(got[3], 10);
    rig_end(&rig);
}

/* SC-1. */
GMK_TEST(sched_rq_pop_falls_back_to_most_urgent)
{
    gmk_cell_t c;

    GMK_REQUIRE(rig_begin(&rig, (gmk_boot_cfg_t){.rq_slots = 64}));
    for (uint32_t i = 0; i < 30; i++) {
        gmk_test_assert_eq(push(GMK_PRIO_LOW, i), 1);
        gmk_test_assert_eq(push(GMK_PRIO_NORMAL, i), 1);
    }
    /* Turns of the two empty queues go to NORMAL: 14 of 15 are its own or fall to it. */
    for (uint32_t i = 0; i < 15; i++) {
        GMK_REQUIRE(gmki_rq_pop(&rig.s, rig.a.wq, &c));
        gmk_test_assert_eq(GMK_PRIORITY(c.task.flags), i == 7 ? GMK_PRIO_LOW : GMK_PRIO_NORMAL);
    }
    while (gmki_rq_pop(&rig.s, rig.a.wq, &c))
        ;
    gmk_test_assert_eq(push(GMK_PRIO_LOW, 99), 1);
    GMK_REQUIRE(gmki_rq_pop(&rig.s, rig.a.wq, &c));
    gmk_test_assert_eq(c.task.meta0, 99);
    rig_end(&rig);
}

GMK_TEST(sched_rq_pop_empty_fails)
{
    gmk_cell_t c;

    GMK_REQUIRE(rig_begin(&rig, (gmk_boot_cfg_t){.rq_slots = 2}));
    for (uint32_t i = 0; i < 40; i++)
        gmk_test_assert(!gmki_rq_pop(&rig.s, rig.a.wq, &c));
    for (uint32_t p = 0; p < GMK_N_PRIO; p++) {
        gmk_test_assert_eq(push(p, p), 1);
        gmk_test_assert_eq(push(p, p), 1);
        gmk_test_assert_eq(push(p, p), 0);
    }
    for (uint32_t i = 0; i < 8; i++)
        gmk_test_assert(gmki_rq_pop(&rig.s, rig.a.wq, &c));
    gmk_test_assert(!gmki_rq_pop(&rig.s, rig.a.wq, &c));
    rig_end(&rig);
}

/* SC-8, SC-9. */
GMK_TEST(sched_rq_gather_takes_overflow_before_ready_queue)
{
    gmk_cell_t c = kit_cell(GMK_PRIO_LOW, 7);
    gmki_queue_t *o;

    GMK_REQUIRE(rig_begin(&rig, (gmk_boot_cfg_t){.rq_slots = 16}));
    o = &rig.s.overflow;
    gmk_test_assert_eq(push(GMK_PRIO_CRITICAL, 1), 1);
    gmk_test_assert_eq(gmk_cells_push(&o->ring, o->cells, &c, 1, GMK_DEV), 1);
    gmk_test_assert_eq(gmki_gather(&rig.a, 8), 1);
    GMK_REQUIRE(gmk_lq_pop_oldest(&rig.a.wq->fifo, &c));
    gmk_test_assert_eq(c.task.meta0, 7);
    gmk_test_assert_eq(gmki_gather(&rig.a, 8), 1);
    GMK_REQUIRE(gmk_lq_pop_oldest(&rig.a.wq->fifo, &c));
    gmk_test_assert_eq(c.task.meta0, 1);
    gmk_test_assert_eq(gmki_gather(&rig.a, 8), 0);
    rig_end(&rig);
}

/* Threads on the bare queue. ------------------------------------------------------ */

#define PRODUCERS 4u
#define CONSUMERS 4u

typedef struct crowd {
    uint32_t each; /* tasks a producer */
    gmk_a32_t taken;
    uint8_t *seen;
} crowd_t;

static void *produce(void *arg)
{
    kit_thread_t *t = arg;
    crowd_t *c = t->user;

    kit_until(t->go, 1);
    for (uint32_t i = 0; i < c->each; i++)
        while (push(i & 3, (uint64_t)t->index * c->each + i) == 0)
            gmk_hal_relax();
    return NULL;
}

static void *consume(void *arg)
{
    kit_thread_t *t = arg;
    crowd_t *c = t->user;
    gmk_cell_t cell;

    kit_until(t->go, 1);
    while (kit_get(&c->taken) < PRODUCERS * c->each) {
        if (!gmki_rq_pop(&rig.s, &rig.s.wq[t->index], &cell)) {
            gmk_hal_relax();
            continue;
        }
        c->seen[cell.task.meta0]++;
        kit_add(&c->taken, 1);
    }
    return NULL;
}

/* SC-1, ACC-2. */
GMK_TEST(sched_rq_many_producers_and_consumers_exactly_once)
{
    static kit_thread_t prod[PRODUCERS], cons[CONSUMERS];
    crowd_t c = {.each = (uint32_t)gmk_test_scale(50000, 500)};
    gmk_a32_t go_p, go_c;
    uint32_t bad = 0;

    c.seen = gmk_hal_calloc(PRODUCERS * c.each, 1);
    GMK_REQUIRE(c.seen != NULL);
    GMK_REQUIRE(rig_begin(&rig, (gmk_boot_cfg_t){.rq_slots = 64, .n_workers = CONSUMERS}));
    kit_start(cons, CONSUMERS, &go_c, consume, &c);
    kit_start(prod, PRODUCERS, &go_p, produce, &c);
    kit_join(prod, PRODUCERS);
    kit_join(cons, CONSUMERS);
    for (uint32_t i = 0; i < PRODUCERS * c.each; i++)
        bad += c.seen[i] != 1;
    gmk_test_assert_eq(bad, 0);
    gmk_test_assert_eq(kit_get(&c.taken), PRODUCERS * c.each);
    rig_end(&rig);
    gmk_hal_free(c.seen);
}

/* In a kernel. -------------------------------------------------------------------- */

enum { GATE = 1, LEAF };

typedef struct load {
    gmk_a32_t entered, open, runs, low_at;
    gmk_a32_t *seen;
    uint32_t each; /* tasks a submitter */
} load_t;

static load_t load;

static int on_gate(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;

    kit_set(&l->entered, 1);
    kit_until(&l->open, 1);
    return GMK_OK;
}

static int on_leaf(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    uint32_t n = kit_add(&l->runs, 1) + 1;

    if (l->seen != NULL)
        kit_add(&l->seen[ctx->task->meta0], 1);
    if (GMK_PRIORITY(ctx->task->flags) == GMK_PRIO_LOW && kit_get(&l->low_at) == 0)
        kit_set(&l->low_at, n);
    return GMK_OK;
}

static gmk_handler_reg_t handlers[] = {{.type = GATE, .fn = on_gate, .name = "gate"},
                                       {.type = LEAF, .fn = on_leaf, .name = "leaf"}};
static gmk_module_t module = {.name = "rq", .handlers = handlers, .n_handlers = 2, .user = &load};

/* SC-1. A flood of critical tasks lets one of low priority through within a round of batches. */
GMK_TEST(sched_rq_all_priorities_progress_under_flood)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1};

    load = (load_t){.entered = 0};
    GMK_REQUIRE(kit_boot(&kernel, &cfg, &module));
    kit_submit(&kernel, kit_task(GATE, 0, 0));
    GMK_REQUIRE(gmk_test_assert(kit_until(&load.entered, 1)));
    for (uint32_t p = 0; p < GMK_PRIO_LOW; p++)
        for (uint32_t i = 0; i < 1500; i++)
            kit_submit(&kernel, kit_task(LEAF, p, i));
    kit_submit(&kernel, kit_task(LEAF, GMK_PRIO_LOW, 0));
    kit_set(&load.open, 1);
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), 4501);
    gmk_test_assert_ge(kit_get(&load.low_at), 1);
    gmk_test_assert_le(kit_get(&load.low_at), 16 * GMK_WORKER_BATCH_SIZE);
    kit_halt(&kernel);
}

static void *submitter(void *arg)
{
    kit_thread_t *t = arg;
    load_t *l = t->user;

    kit_until(t->go, 1);
    for (uint32_t i = 0; i < l->each; i++)
        if (!kit_submit(&kernel, kit_task(LEAF, i & 3, (uint64_t)t->index * l->each + i)))
            break;
    return NULL;
}

/* ACC-2. */
GMK_TEST(sched_rq_acc2_million_tasks_of_8_submitters_exactly_once)
{
    static kit_thread_t threads[8];
    gmk_boot_cfg_t cfg = {.n_workers = 4};
    uint32_t n = (uint32_t)gmk_test_scale(1000000, 4000);
    uint32_t lost = 0, doubled = 0;
    gmk_audit_report_t r;
    gmk_a32_t go;

    load = (load_t){.each = n / 8, .seen = gmk_hal_calloc(n, sizeof(gmk_a32_t))};
    GMK_REQUIRE(load.seen != NULL);
    GMK_REQUIRE(kit_boot(&kernel, &cfg, &module));
    kit_start(threads, 8, &go, submitter, &load);
    kit_join(threads, 8);
    kit_idle(&kernel);
    for (uint32_t i = 0; i < n; i++) {
        lost += load.seen[i] == 0;
        doubled += load.seen[i] > 1;
    }
    gmk_test_assert_eq(lost, 0);
    gmk_test_assert_eq(doubled, 0);
    r = kit_halt(&kernel);
    gmk_test_assert_eq(r.accepted, n);
    gmk_test_assert_eq(r.completed, n);
    gmk_hal_free(load.seen);
}

/* SPDX-License-Identifier: MIT
 * The event queue: order, ticks and clock, a full heap, parking towards the next event.
 * Floor: tests. Source: SPEC SC-5 to SC-7, V-38; ARCHITECTURE R9, R21; PEERS.md
 * "Failures seen" (timer order after 65,536 events). */
#include "kernel_env.h"

static rig_t rig;
static gmk_kernel_t kernel;

#define MANY 70000u

static uint32_t below(uint64_t *state, uint32_t n)
{
    return (uint32_t)(gmk_rand_next(state) >> 32) % n;
}

/* The bare queue. ----------------------------------------------------------------- */

static bool insert(gmki_evq_t *q, uint32_t prio, uint64_t n, uint64_t due, bool tick)
{
    gmk_cell_t c = kit_cell(prio, n);
    bool earliest;

    c.task.meta1 = due;
    return gmki_evq_insert(q, &c, due, tick, &earliest);
}

/* Out of order: (due, priority, insertion) must rise strictly. */
static uint32_t misplaced(const gmk_cell_t *a, const gmk_cell_t *b)
{
    uint32_t pa = GMK_PRIORITY(a->task.flags), pb = GMK_PRIORITY(b->task.flags);

    if (a->task.meta1 != b->task.meta1)
        return a->task.meta1 > b->task.meta1;
    if (pa != pb)
        return pa > pb;
    return a->task.meta0 >= b->task.meta0;
}

static void order_of(bool tick, uint32_t dues)
{
    static uint8_t seen[MANY];
    uint64_t rand = gmk_test_seed() + dues;
    gmki_evq_t q = {.cap = 0};
    gmk_cell_t last = kit_cell(0, 0), c[100];
    uint32_t bad = 0, n = 0, k;

    gmk_hal_memset(seen, 0, sizeof(seen));
    GMK_REQUIRE(gmki_evq_init(&q, MANY) == GMK_OK);
    for (uint32_t i = 0; i < MANY; i++)
        bad += !insert(&q, below(&rand, 4), i, below(&rand, dues), tick);
    while ((k = gmki_evq_take_due(&q, tick ? 0 : dues, tick ? dues : 0, c, 100)) != 0)
        for (uint32_t i = 0; i < k; i++, n++) {
            bad += n != 0 && misplaced(&last, &c[i]);
            seen[c[i].task.meta0]++;
            last = c[i];
        }
    for (uint32_t i = 0; i < MANY; i++)
        bad += seen[i] != 1;
    gmk_test_assert_eq(n, MANY);
    gmk_test_assert_eq(bad, 0);
    gmki_evq_fini(&q);
}

/* SC-7. */
GMK_TEST(sched_evq_70000_events_leave_in_due_priority_insertion_order)
{
    order_of(false, 1);
    order_of(false, 100);
    order_of(false, 1u << 30);
}

/* SC-7. */
GMK_TEST(sched_evq_70000_tick_events_leave_in_due_priority_insertion_order)
{
    order_of(true, 1);
    order_of(true, 1000);
}

/* SC-5. */
GMK_TEST(sched_evq_insert_full_fails_and_keeps_contents)
{
    gmki_evq_t q = {.cap = 0};
    gmk_cell_t c;

    GMK_REQUIRE(gmki_evq_init(&q, 4) == GMK_OK);
    for (uint32_t i = 0; i < 4; i++)
        gmk_test_assert(insert(&q, 0, i, 10 + i, i & 1));
    gmk_test_assert(!insert(&q, 0, 9, 1, false));
    gmk_test_assert(!insert(&q, 0, 9, 1, true));
    gmk_test_assert_eq(gmki_evq_take_due(&q, 10, 10, &c, 1), 1);
    gmk_test_assert_eq(c.task.meta0, 0);
    gmk_test_assert(insert(&q, 0, 9, 1, true));
    gmk_test_assert_eq(gmki_evq_take_due(&q, 0, 1, &c, 1), 1);
    gmk_test_assert_eq(c.task.meta0, 9);
    for (uint32_t i = 0; i < 3; i++)
        gmk_test_assert(gmki_evq_any(&q, &c));
    gmk_test_assert(!gmki_evq_any(&q, &c));
    gmki_evq_fini(&q);
}

/* SC-6. */
GMK_TEST(sched_evq_take_stops_at_what_is_due)
{
    gmki_evq_t q = {.cap = 0};
    gmk_cell_t c[4];

    GMK_REQUIRE(gmki_evq_init(&q, 8) == GMK_OK);
    gmk_test_assert(insert(&q, 0, 1, 100, false) && insert(&q, 0, 2, 101, false));
    gmk_test_assert(insert(&q, 0, 3, 5, true) && insert(&q, 0, 4, UINT64_MAX - 1, true));
    gmk_test_assert_eq(gmk_load_acq(&q.next_wall, GMK_DEV), 100); /* sync: evq.next */
    gmk_test_assert_eq(gmk_load_acq(&q.next_tick, GMK_DEV), 5);   /* sync: evq.next */
    gmk_test_assert_eq(gmki_evq_take_due(&q, 99, 4, c, 4), 0);
    gmk_test_assert_eq(gmki_evq_take_due(&q, 100, 5, c, 4), 2);
    gmk_test_assert_eq(gmki_evq_take_due(&q, 101, 5, c, 4), 1);
    gmk_test_assert_eq(gmk_load_acq(&q.next_wall, GMK_DEV), GMKI_NEVER); /* sync: evq.next */
    gmki_evq_fini(&q);
}

/* SC-6. */
GMK_TEST(sched_evq_one_look_fires_no_more_than_the_drain_limit)
{
    GMK_REQUIRE(rig_begin(&rig, (gmk_boot_cfg_t){.flags = GMK_BOOT_MANUAL_TICKS}));
    for (uint32_t i = 0; i < 1000; i++)
        gmk_test_assert(insert(&rig.s.evq, i & 3, i, 0, true));
    for (uint32_t left = 1000; left != 0; left -= gmk_min32(left, GMK_EVQ_DRAIN_LIMIT)) {
        gmk_test_assert_eq(gmk_heap_count(&rig.s.evq.tick), left);
        gmk_test_assert_eq(gmki_fire(&rig.a, 0), gmk_min32(left, GMK_EVQ_DRAIN_LIMIT));
    }
    gmk_test_assert_eq(rig_metric(&rig, GMK_METRIC_TIMERS_FIRED), 1000);
    rig_end(&rig);
}

/* In a kernel. -------------------------------------------------------------------- */

enum { TIMED = 1, CHAIN, NOISE };
#define ORDER 64u

typedef struct load {
    gmk_a32_t runs, early, wrong;
    gmk_a32_t order[ORDER];
} load_t;

static load_t load;

/* meta1: not before this time; meta0: its number. */
static int on_timed(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    uint32_t n;

    if (gmk_hal_now_ns() < ctx->task->meta1)
        kit_add(&l->early, 1);
    n = kit_add(&l->runs, 1);
    if (n < ORDER)
        kit_set(&l->order[n], (uint32_t)ctx->task->meta0);
    return GMK_OK;
}

/* Sets itself again, meta0 more times, by the clock or by the tick. */
static int on_chain(gmk_ctx_t *ctx)
{
    load_t *l = ctx->user;
    gmk_task_t t = *ctx->task;
    int rc = GMK_OK;

    kit_add(&l->runs, 1);
    if (t.meta0-- == 0)
        return GMK_OK;
    rc = t.meta1 != 0 ? gmk_emit_at_tick(ctx, &t, gmk_tick(ctx) + 1)
                      : gmk_emit_after(ctx, &t, 1000 * t.meta0);
    if (rc != GMK_OK)
        kit_add(&l->wrong, 1);
    return GMK_OK;
}

static int on_noise(gmk_ctx_t *ctx)
{
    (void)ctx;
    return GMK_OK;
}

static gmk_handler_reg_t handlers[] = {{.type = TIMED, .fn = on_timed},
                                       {.type = CHAIN, .fn = on_chain},
                                       {.type = NOISE, .fn = on_noise}};
static gmk_module_t module = {.name = "evq", .handlers = handlers, .n_handlers = 3, .user = &load};

static bool begin(const gmk_boot_cfg_t *cfg)
{
    gmk_hal_memset(&load, 0, sizeof(load));
    return kit_boot(&kernel, cfg, &module);
}

static int at_tick(uint32_t prio, uint64_t n, uint32_t tick)
{
    gmk_task_t t = kit_task(TIMED, prio, n);

    return gmk_submit_at_tick(&kernel, &t, tick);
}

static int after(uint64_t n, uint64_t ns)
{
    gmk_task_t t = kit_task(TIMED, GMK_PRIO_NORMAL, n);

    t.meta1 = gmk_hal_now_ns() + ns;
    if (t.meta1 < ns)
        t.meta1 = UINT64_MAX;
    return gmk_submit_after(&kernel, &t, ns);
}

GMK_TEST(sched_evq_wall_timers_run_and_never_early)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2};
    uint64_t rand = gmk_test_seed();
    uint32_t n = (uint32_t)gmk_test_scale(2000, 200);

    GMK_REQUIRE(begin(&cfg));
    for (uint32_t i = 0; i < n; i++)
        gmk_test_assert_eq(after(i, below(&rand, 3000000)), GMK_OK);
    gmk_test_assert(kit_until(&load.runs, n));
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.early), 0);
    gmk_test_assert_eq(gmk_metric_get(&kernel, GMK_METRIC_TIMERS_SET), n);
    gmk_test_assert_eq(gmk_metric_get(&kernel, GMK_METRIC_TIMERS_FIRED), n);
    kit_halt(&kernel);
}

/* Nobody polls: with everybody asleep the keeper of the time alone wakes, and an
 * earlier timer moves its alarm forward. */
GMK_TEST(sched_evq_earlier_timer_wakes_the_keeper_of_a_later_one)
{
    gmk_boot_cfg_t cfg = {.n_workers = 4};

    GMK_REQUIRE(begin(&cfg));
    gmk_test_assert_eq(after(9, 3600000000000ull), GMK_OK);
    for (uint32_t i = 0; i < 5; i++) {
        kit_idle(&kernel);
        gmk_test_assert_eq(after(2, 3000000), GMK_OK);
        gmk_test_assert_eq(after(1, 1500000), GMK_OK);
        gmk_test_assert_eq(after(0, 200000), GMK_OK);
        gmk_test_assert(kit_until(&load.runs, 3 * i + 3));
    }
    gmk_test_assert_eq(kit_get(&load.early), 0);
    gmk_test_assert_eq(kit_halt(&kernel).dead, 1);
}

/* SC-13. A kernel that waits for an hour's timer parks, and does not wake on the way. */
GMK_TEST(sched_evq_idle_workers_sleep_until_the_next_event)
{
    gmk_boot_cfg_t cfg = {.n_workers = 4};
    uint64_t parks, begin_ns;
    bool parked;

    GMK_REQUIRE(begin(&cfg));
    gmk_test_assert_eq(after(0, 3600000000000ull), GMK_OK);
    kit_idle(&kernel);
    begin_ns = gmk_hal_now_ns();
    /* The woken one may pass a second time through its park before it keeps the time. */
    while (!(parked = gmki_all_parked(&gmki_kernel(&kernel)->core.sched)) &&
           gmk_hal_now_ns() - begin_ns < KIT_WAIT_NS)
        gmk_hal_relax();
    gmk_test_assert(parked);
    parks = gmk_metric_get(&kernel, GMK_METRIC_WORKER_PARKS);
    for (uint32_t i = 0; i < gmk_test_scale(50000, 50000); i++)
        gmk_hal_relax();
    gmk_test_assert_le(gmk_metric_get(&kernel, GMK_METRIC_WORKER_PARKS), parks + 4);
    gmk_test_assert_le(gmk_metric_get(&kernel, GMK_METRIC_WORKER_WAKES), parks + 4);
    gmk_test_assert_eq(kit_halt(&kernel).dead, 1);
}

/* SC-6, SYS-12. */
GMK_TEST(sched_evq_manual_ticks_fire_on_advance_alone)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2, .flags = GMK_BOOT_MANUAL_TICKS};

    GMK_REQUIRE(begin(&cfg));
    gmk_test_assert_eq(gmk_tick_now(&kernel), 0);
    for (uint32_t i = 0; i < 50; i++)
        gmk_test_assert_eq(at_tick(i & 3, i, 1 + i / 10), GMK_OK);
    for (uint32_t tick = 0; tick <= 5; tick++) {
        kit_idle(&kernel);
        gmk_test_assert_eq(gmk_tick_now(&kernel), tick);
        gmk_test_assert_eq(kit_get(&load.runs), tick * 10);
        gmk_tick_advance(&kernel);
    }
    kit_halt(&kernel);
}

GMK_TEST(sched_evq_tick_of_the_past_runs_at_once)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1, .flags = GMK_BOOT_MANUAL_TICKS};

    GMK_REQUIRE(begin(&cfg));
    for (uint32_t i = 0; i < 10; i++)
        gmk_tick_advance(&kernel);
    gmk_test_assert_eq(at_tick(0, 0, 3), GMK_OK);
    gmk_test_assert_eq(at_tick(0, 1, 10), GMK_OK);
    gmk_test_assert_eq(at_tick(0, 2, 11), GMK_OK);
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), 2);
    gmk_test_assert_eq(kit_halt(&kernel).dead, 1);
}

/* The tick of the API has 32 bits; the queue's has 64. */
GMK_TEST(sched_evq_tick_wraps_at_32_bits)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1, .flags = GMK_BOOT_MANUAL_TICKS};
    gmk_sched_t *s;

    GMK_REQUIRE(begin(&cfg));
    kit_idle(&kernel);
    s = &gmki_kernel(&kernel)->core.sched;
    gmk_add_ar(&s->tick_base, UINT32_MAX - 1ull, GMK_DEV); /* sync: sched.tick */
    gmk_test_assert_eq(at_tick(0, 7, 1), GMK_OK);
    for (uint32_t i = 0; i < 3; i++) {
        kit_idle(&kernel);
        gmk_test_assert_eq(kit_get(&load.runs), 0);
        gmk_tick_advance(&kernel);
    }
    kit_idle(&kernel);
    gmk_test_assert_eq(gmk_tick_now(&kernel), 1);
    gmk_test_assert_eq(kit_get(&load.runs), 1);
    kit_halt(&kernel);
}

/* SC-7. One worker, batches of one and too few tasks for a look at older queues, so that the
 * order of running is that of the event queue. */
GMK_TEST(sched_evq_events_of_one_tick_and_priority_run_in_insertion_order)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1, .flags = GMK_BOOT_MANUAL_TICKS, .batch_size = 1};

    GMK_REQUIRE(begin(&cfg));
    for (uint32_t i = 0; i < GMK_AGING_INTERVAL / 4; i++)
        gmk_test_assert_eq(at_tick(GMK_PRIO_NORMAL, i, 1), GMK_OK);
    gmk_tick_advance(&kernel);
    kit_idle(&kernel);
    for (uint32_t i = 0; i < GMK_AGING_INTERVAL / 4; i++)
        gmk_test_assert_eq(kit_get(&load.order[i]), i);
    kit_halt(&kernel);
}

/* SC-5. */
GMK_TEST(sched_evq_full_queue_refuses_then_takes_again)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1, .flags = GMK_BOOT_MANUAL_TICKS, .evq_slots = 16};
    gmk_audit_report_t r;

    GMK_REQUIRE(begin(&cfg));
    for (uint32_t i = 0; i < 16; i++)
        gmk_test_assert_eq(at_tick(0, i, 1), GMK_OK);
    gmk_test_assert_eq(at_tick(0, 16, 1), GMK_E_FULL);
    gmk_test_assert_eq(after(16, 1), GMK_E_FULL);
    gmk_test_assert_eq(gmk_metric_get(&kernel, GMK_METRIC_TASKS_ACCEPTED), 16);
    gmk_tick_advance(&kernel);
    kit_idle(&kernel);
    gmk_test_assert_eq(at_tick(0, 16, 1), GMK_OK);
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.runs), 17);
    r = kit_halt(&kernel);
    gmk_test_assert_eq(r.accepted, 17);
}

GMK_TEST(sched_evq_far_timers_are_dead_lettered_by_halt)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2};
    gmk_audit_report_t r;
    gmk_host_t host;
    gmk_ctx_t *ctx;
    gmk_task_t t;

    GMK_REQUIRE(begin(&cfg));
    for (uint32_t i = 0; i < 100; i++)
        gmk_test_assert_eq(after(i, i & 1 ? UINT64_MAX : 1ull << 60), GMK_OK);
    ctx = gmk_host_attach(&kernel, &host);
    GMK_REQUIRE(ctx != NULL);
    for (uint32_t i = 0; i < 10; i++) {
        t = kit_task(TIMED, 0, i);
        gmk_task_set_payload(&t, gmk_payload_alloc(ctx, 100));
        gmk_test_assert_eq(gmk_emit_after(ctx, &t, 1ull << 62), GMK_OK);
        t = kit_task(TIMED, 0, i);
        gmk_test_assert_eq(gmk_emit_at_tick(ctx, &t, gmk_tick_now(&kernel) + (1u << 30)), GMK_OK);
    }
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    kit_idle(&kernel);
    r = kit_halt(&kernel);
    gmk_test_assert_eq(r.dead, 120);
    gmk_test_assert_eq(r.completed, 0);
}

GMK_TEST(sched_evq_handler_timers_chain_by_clock_and_by_tick)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2};
    gmk_task_t t = kit_task(CHAIN, GMK_PRIO_NORMAL, 20);

    GMK_REQUIRE(begin(&cfg));
    kit_submit(&kernel, t);
    t.meta1 = 1;
    t.meta0 = 5;
    kit_submit(&kernel, t);
    gmk_test_assert(kit_until(&load.runs, 27));
    kit_idle(&kernel);
    gmk_test_assert_eq(kit_get(&load.wrong), 0);
    kit_halt(&kernel);
}

/* One worker sleeps towards a far timer and keeps the time; a tick that falls due while
 * the other is about to park must not be left to the keeper. */
GMK_TEST(sched_evq_tick_advance_beside_the_keeper_wakes_somebody)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2, .flags = GMK_BOOT_MANUAL_TICKS, .spin_ns = 1};
    uint32_t n = (uint32_t)gmk_test_scale(3000, 3000);

    GMK_REQUIRE(begin(&cfg));
    gmk_test_assert_eq(after(0, 3600000000000ull), GMK_OK);
    for (uint32_t i = 0; i < n; i++) {
        gmk_test_assert_eq(at_tick(0, i, i + 1), GMK_OK);
        kit_submit(&kernel, kit_task(NOISE, 0, 0));
        gmk_tick_advance(&kernel);
        if (!kit_idle(&kernel) || !gmk_test_assert_eq(kit_get(&load.runs), i + 1))
            break;
    }
    gmk_test_assert_eq(kit_halt(&kernel).dead, 1);
}

/* A worker reckons its time by the cycle counter: it may lag a little, but a timer must not
 * come early by it, nor may it go back. */
GMK_TEST(sched_clock_of_a_worker_is_never_ahead_and_never_back)
{
    uint64_t ahead = 0, back = 0, lag = 0, last = 0;
    uint64_t n = gmk_test_scale(400000, 2000);

    GMK_REQUIRE(rig_begin(&rig, (gmk_boot_cfg_t){.lq_slots = 16}));
    for (uint64_t i = 0; i < n; i++) {
        uint64_t before = gmk_hal_now_ns();
        uint64_t at = gmki_clock(&rig.a);
        uint64_t after = gmk_hal_now_ns();

        ahead += at > after;
        back += at < last;
        lag += at + 1000 * GMK_CLOCK_SYNC_US < before; /* read anew in time */
        last = at;
        rig.a.obs.now = at;
    }
    gmk_test_assert_eq(ahead, 0);
    gmk_test_assert_eq(back, 0);
    gmk_test_assert_eq(lag, 0);
    rig_end(&rig);
}

/* R19: a due event that finds every queue full and no memory left is not lost: it fires when
 * there is room. */
GMK_TEST(sched_evq_due_event_waits_while_nothing_has_room)
{
    gmk_boot_cfg_t cfg = {.lq_slots = 8, .rq_slots = 2, .overflow_slots = 2};
    gmk_cell_t c = kit_cell(GMK_PRIO_LOW, 7);
    gmki_queue_t *q;

    GMK_REQUIRE(rig_begin(&rig, cfg));
    q = &rig.s.rq[GMK_PRIO_LOW];
    while (gmki_alloc(&rig.a.cache, 4096) != NULL)
        ;
    for (uint32_t i = 0; i < 4; i++)
        gmk_test_assert(gmki_place(&rig.a, &c)); /* two there, two in the overflow bucket */
    gmk_test_assert(!gmki_place(&rig.a, &c));
    gmk_test_assert(gmki_place_event(&rig.a, &c, 1000, false));
    gmk_test_assert(gmki_evq_due(&rig.s, 1000));
    gmki_fire(&rig.a, 1000);
    gmk_test_assert_eq(gmki_evq_count(&rig.s.evq), 1);
    gmk_test_assert(gmki_evq_due(&rig.s, 1000));
    gmk_test_assert_eq(rig_metric(&rig, GMK_METRIC_TIMERS_FIRED), 0);
    gmk_test_assert(gmk_cells_pop(&q->ring, q->cells, &c, 1, GMK_DEV) == 1);
    gmki_fire(&rig.a, 1000);
    gmk_test_assert_eq(gmki_evq_count(&rig.s.evq), 0);
    gmk_test_assert_eq(rig_metric(&rig, GMK_METRIC_TIMERS_FIRED), 1);
    gmk_test_assert_eq(gmk_mpmc_count(&q->ring, GMK_DEV), 2);
    rig_end(&rig);
}

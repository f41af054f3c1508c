/* SPDX-License-Identifier: MIT
 * Consumers and producers that are no modules: sinks, and whole cells of a peer kernel.
 * Floor: tests. Source: SPEC CH-38, CH-42, BR; ARCHITECTURE R5, R8, R16. */
#include "chan_parts.h"

#define LOSSLESS (GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS)
#define BOX 4096u

static env_t env;
static part_t part[2];
static watch_t watch;
static gmk_module_t plumber;

/* A sink with room for so many; calls are made one at a time on any worker, so that its
 * plain state needs no lock. room is the test's to raise while the sink rests. */
typedef struct box {
    gmk_chan_sink_t sink;
    uint32_t room;
    uint32_t n;
    uint32_t calls, short_calls;
    uint32_t wrong;
    gmk_a32_t inside;
    gmk_cell_t cells[BOX];
} box_t;

static box_t box[2];

static uint32_t box_take(void *arg, const gmk_cell_t *cells, uint32_t n)
{
    box_t *b = arg;
    uint32_t k = n < b->room ? n : b->room;

    if (gmk_add_rlx(&b->inside, 1, GMK_DEV) != 0) /* relaxed: must not order the box's state */
        b->wrong++;
    b->wrong += n == 0;
    if (b->n + k > BOX)
        k = BOX - b->n;
    for (uint32_t i = 0; i < k; i++)
        b->cells[b->n + i] = cells[i];
    b->n += k;
    b->room -= k;
    b->calls++;
    b->short_calls += k < n;
    gmk_sub_rlx(&b->inside, 1, GMK_DEV); /* relaxed: as above */
    return k;
}

static void box_init(box_t *b, uint32_t room)
{
    gmk_hal_memset(b, 0, sizeof(*b));
    b->sink = (gmk_chan_sink_t){.take = box_take, .arg = b};
    b->room = room;
}

/* The cells came in channel order, from position first, whole; their payloads go. */
static void box_check(box_t *b, uint64_t first)
{
    for (uint32_t i = 0; i < b->n; i++) {
        const gmk_cell_t *c = &b->cells[i];

        b->wrong += c->chan_seq != first + i || c->task.type != T_MSG;
        b->wrong += c->task.channel != env.chan || !part_intact(&c->task);
        b->wrong += (c->task.flags & GMK_TF_CHANNEL_MSG) == 0;
        if (c->task.payload_ptr != 0)
            gmk_payload_release_ptr(env.ctx, (void *)(uintptr_t)c->task.payload_ptr);
    }
    gmk_test_assert_eq(b->wrong, 0);
}

static bool boot(uint32_t mode, uint32_t slots)
{
    gmk_chan_opts_t o = {.mode = mode, .slots = slots, .msg_type = T_MSG};
    gmk_module_t *mods[3];
    int id;

    gmk_hal_memset(&env, 0, sizeof(env));
    mods[0] = part_make(&part[0], &env, 0, on_part);
    mods[1] = plumber_make(&plumber, &env);
    mods[2] = watch_make(&watch, "watch");
    if (!env_boot(&env, 2, 0, mods, 3))
        return false;
    id = gmk_chan_open_with(env.ctx, "t.sink", &o);
    env.chan = id > 0 ? (uint32_t)id : 0;
    return gmk_test_assert_gt(id, 0);
}

static int ready(box_t *b)
{
    int rc = gmk_chan_sink_ready(env.ctx, env.chan, &b->sink);

    env_idle(&env);
    return rc;
}

/* R16: cells in channel order, references with them. */
static void all(uint32_t mode)
{
    gmk_sub_info_t s;

    GMK_REQUIRE(boot(mode, 1024));
    box_init(&box[0], BOX);
    gmk_test_assert_eq(gmk_chan_sub_sink(env.ctx, env.chan, &box[0].sink), GMK_OK);
    gmk_test_assert_eq(env_burst(&env, 0, 500, true), 500);
    env_idle(&env);
    gmk_test_assert_eq(box[0].n, 500);
    gmk_test_assert_eq(env_live(&env), 500); /* the sink's now */
    gmk_test_assert_eq(gmk_chan_get_sub(&env.kernel, env.chan, 0, &s), GMK_OK);
    gmk_test_assert(s.module == NULL);
    gmk_test_assert_eq(s.lag, 0);
    gmk_test_assert_eq(s.acked_seq, 500);
    gmk_test_assert_eq(chan_info(&env, env.chan).n_subs, 1);
    box_check(&box[0], 1);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}

GMK_TEST(chan_sink_takes_cells_in_order_p2p) { all(GMK_CHAN_P2P); }
GMK_TEST(chan_sink_takes_cells_in_order_fanout) { all(LOSSLESS); }
GMK_TEST(chan_sink_takes_cells_in_order_lossy) { all(GMK_CHAN_FANOUT); }

/* A sink that has taken fewer than it was offered is not called until it is ready. */
static void partial(uint32_t mode)
{
    uint32_t calls;

    GMK_REQUIRE(boot(mode, 64));
    box_init(&box[0], 10);
    gmk_test_assert_eq(gmk_chan_sub_sink(env.ctx, env.chan, &box[0].sink), GMK_OK);
    gmk_test_assert_eq(env_burst(&env, 0, 40, true), 40);
    env_idle(&env); /* at rest: a sink without room costs nothing */
    gmk_test_assert_eq(box[0].n, 10);
    gmk_test_assert_eq(box[0].short_calls, 1);
    calls = box[0].calls;
    gmk_test_assert_eq(env_burst(&env, 40, 50, true), 10);
    env_idle(&env);
    gmk_test_assert_eq(box[0].calls, calls);
    gmk_test_assert_eq(env_books(&env).queued, 40);
    gmk_test_assert_eq(env_live(&env), 50);
    gmk_test_assert_eq(ready(&box[0]), GMK_OK); /* no room yet: asked once more */
    gmk_test_assert_eq(box[0].n, 10);
    box[0].room = 15;
    gmk_test_assert_eq(ready(&box[0]), GMK_OK);
    gmk_test_assert_eq(box[0].n, 25);
    box[0].room = BOX;
    gmk_test_assert_eq(ready(&box[0]), GMK_OK);
    gmk_test_assert_eq(box[0].n, 50);
    gmk_test_assert_eq(ready(&box[0]), GMK_OK); /* nothing there is no reason to be called */
    box_check(&box[0], 1);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}

GMK_TEST(chan_sink_without_room_waits_until_it_is_ready_p2p) { partial(GMK_CHAN_P2P); }
GMK_TEST(chan_sink_without_room_waits_until_it_is_ready_fanout) { partial(LOSSLESS); }

/* CH-14: a sink without room holds a lossless channel up; on a lossy one it loses. */
GMK_TEST(chan_sink_without_room_is_a_slow_subscriber)
{
    GMK_REQUIRE(boot(LOSSLESS, 8));
    box_init(&box[0], 0);
    gmk_test_assert_eq(gmk_chan_sub_sink(env.ctx, env.chan, &box[0].sink), GMK_OK);
    gmk_test_assert_eq(env_burst(&env, 0, 100, true), 8);
    box[0].room = BOX;
    gmk_test_assert_eq(ready(&box[0]), GMK_OK);
    gmk_test_assert_eq(env_burst(&env, 8, 12, true), 4);
    env_idle(&env);
    gmk_test_assert_eq(box[0].n, 12);
    box_check(&box[0], 1);
    env_end(&env);

    GMK_REQUIRE(boot(GMK_CHAN_FANOUT, 8));
    box_init(&box[0], 0);
    gmk_test_assert_eq(gmk_chan_sub_sink(env.ctx, env.chan, &box[0].sink), GMK_OK);
    gmk_test_assert_eq(env_burst(&env, 0, 1, true), 1);
    env_idle(&env);
    gmk_test_assert_eq(env_burst(&env, 1, 100, true), 99);
    env_idle(&env);
    gmk_test_assert_eq(watch.by_reason[GMK_ERR_LAPPED], 92);
    box[0].room = BOX;
    gmk_test_assert_eq(ready(&box[0]), GMK_OK);
    gmk_test_assert_eq(box[0].n, 8);
    box_check(&box[0], 93);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_eq(env.report.dead, 92);
}

/* CH-9, CH-10: a sink is a subscriber like others. */
static int act_sub_taken(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_sub(ctx, env.chan), GMK_CHAN_ALREADY_BOUND);
    return GMK_OK;
}

GMK_TEST(chan_sink_beside_modules)
{
    GMK_REQUIRE(boot(GMK_CHAN_P2P, 64));
    box_init(&box[0], BOX);
    box_init(&box[1], BOX);
    gmk_test_assert_eq(gmk_chan_sub_sink(env.ctx, env.chan, &box[0].sink), GMK_OK);
    gmk_test_assert_eq(gmk_chan_sub_sink(env.ctx, env.chan, &box[1].sink), GMK_CHAN_ALREADY_BOUND);
    part_act(&part[0], 0, act_sub_taken);
    gmk_test_assert_eq(gmk_chan_unsub_sink(env.ctx, env.chan, &box[1].sink), GMK_E_NOT_FOUND);
    gmk_test_assert_eq(gmk_chan_sink_ready(env.ctx, env.chan, &box[1].sink), GMK_E_NOT_FOUND);
    env_end(&env);

    GMK_REQUIRE(boot(LOSSLESS, 64));
    box_init(&box[0], BOX);
    box_init(&box[1], BOX);
    part_act(&part[0], 0, act_part_sub);
    gmk_test_assert_eq(gmk_chan_sub_sink(env.ctx, env.chan, &box[0].sink), GMK_OK);
    gmk_test_assert_eq(gmk_chan_sub_sink(env.ctx, env.chan, &box[1].sink), GMK_OK);
    gmk_test_assert_eq(env_burst(&env, 0, 50, true), 50);
    env_idle(&env);
    part_check(&part[0], 50, 0);
    gmk_test_assert_eq(box[0].n, 50);
    gmk_test_assert_eq(box[1].n, 50);
    gmk_test_assert_eq(env_live(&env), 50);
    box_check(&box[0], 1);
    gmk_test_assert_eq(env_live(&env), 50); /* the other sink has its own references */
    box_check(&box[1], 1);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}

/* R5: what a sink that leaves has not taken. */
GMK_TEST(chan_unsub_sink_from_fanout_dead_letters_the_rest)
{
    GMK_REQUIRE(boot(LOSSLESS, 64));
    box_init(&box[0], 5);
    gmk_test_assert_eq(gmk_chan_sub_sink(env.ctx, env.chan, &box[0].sink), GMK_OK);
    gmk_test_assert_eq(env_burst(&env, 0, 30, true), 30);
    env_idle(&env);
    gmk_test_assert_eq(gmk_chan_unsub_sink(env.ctx, env.chan, &box[0].sink), GMK_OK);
    env_idle(&env);
    gmk_test_assert_eq(gmk_chan_unsub_sink(env.ctx, env.chan, &box[0].sink), GMK_E_NOT_FOUND);
    gmk_test_assert_eq(watch.by_reason[GMK_ERR_NO_SUBSCRIBER], 25);
    gmk_test_assert_eq(watch.bad, 0);
    gmk_test_assert_eq(env_live(&env), 5);
    box_check(&box[0], 1);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_eq(env.report.dead, 25);
}

GMK_TEST(chan_unsub_sink_from_p2p_keeps_the_rest_for_the_next)
{
    GMK_REQUIRE(boot(GMK_CHAN_P2P, 64));
    box_init(&box[0], 5);
    gmk_test_assert_eq(gmk_chan_sub_sink(env.ctx, env.chan, &box[0].sink), GMK_OK);
    gmk_test_assert_eq(env_burst(&env, 0, 30, true), 30);
    env_idle(&env);
    gmk_test_assert_eq(gmk_chan_unsub_sink(env.ctx, env.chan, &box[0].sink), GMK_OK);
    env_idle(&env);
    part_act(&part[0], 0, act_part_sub);
    part_check(&part[0], 25, 0);
    gmk_test_assert_eq(part[0].first_seq, 6);
    box_check(&box[0], 1);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}

/* CH-30: a sink ends with its channel. */
GMK_TEST(chan_close_ends_a_sink)
{
    uint32_t calls;

    GMK_REQUIRE(boot(LOSSLESS, 64));
    box_init(&box[0], 5);
    gmk_test_assert_eq(gmk_chan_sub_sink(env.ctx, env.chan, &box[0].sink), GMK_OK);
    gmk_test_assert_eq(env_burst(&env, 0, 30, true), 30);
    env_idle(&env);
    gmk_test_assert_eq(gmk_chan_close(env.ctx, env.chan), GMK_OK);
    env_idle(&env);
    calls = box[0].calls;
    box[0].room = BOX;
    gmk_test_assert_eq(ready(&box[0]), GMK_CHAN_CLOSED);
    gmk_test_assert_eq(gmk_chan_unsub_sink(env.ctx, env.chan, &box[0].sink), GMK_CHAN_CLOSED);
    gmk_test_assert_eq(gmk_chan_sub_sink(env.ctx, env.chan, &box[0].sink), GMK_CHAN_CLOSED);
    gmk_test_assert_eq(box[0].calls, calls);
    gmk_test_assert_eq(watch.by_reason[GMK_ERR_CLOSED], 25);
    box_check(&box[0], 1);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_eq(env.report.dead, 25);
}

/* Under load: threads emit, the sink takes a few at a time and is told again and again
 * that it has room; nothing is lost, doubled or out of order. */
typedef struct sieve {
    gmk_chan_sink_t sink;
    uint64_t next[2]; /* by producer */
    uint64_t wrong;
    uint64_t calls;
    gmk_a64_t got;
    gmk_a32_t hungry;
} sieve_t;

static uint32_t sieve_take(void *arg, const gmk_cell_t *cells, uint32_t n)
{
    sieve_t *s = arg;
    uint32_t k = (uint32_t)(s->calls++ * 7 % 5);

    if (k > n)
        k = n;
    for (uint32_t i = 0; i < k; i++)
        s->wrong += cells[i].task.meta0 != s->next[cells[i].task.meta1 & 1]++;
    gmk_add_rlx(&s->got, k, GMK_DEV); /* relaxed: a count */
    if (k < n)
        gmk_xchg_sc(&s->hungry, 1, GMK_DEV); /* sync: test.kit */
    return k;
}

static void storm(uint32_t mode)
{
    sieve_t s = {.sink = {.take = sieve_take, .arg = &s}};
    env_host_t hosts[2];
    uint64_t begin;

    GMK_REQUIRE(boot(mode, 64));
    env.per_from = env_scale(20000, 500);
    gmk_test_assert_eq(gmk_chan_sub_sink(env.ctx, env.chan, &s.sink), GMK_OK);
    for (uint32_t i = 0; i < 2; i++)
        env_host_start(&hosts[i], &env, i);
    begin = gmk_hal_now_ns();
    while (gmk_load_rlx(&s.got, GMK_DEV) < 2 * env.per_from && /* relaxed: a count */
           gmk_hal_now_ns() - begin < ENV_PATIENCE_NS) {
        if (gmk_xchg_sc(&s.hungry, 0, GMK_DEV) != 0) /* sync: test.kit */
            gmk_test_assert_eq(gmk_chan_sink_ready(env.ctx, env.chan, &s.sink), GMK_OK);
        gmk_hal_relax();
    }
    env_hosts_join(hosts, 2);
    env_idle(&env);
    gmk_test_assert_eq(s.got, 2 * env.per_from);
    gmk_test_assert_eq(s.wrong, 0);
    env_end(&env);
}

GMK_TEST(chan_sink_storm_loses_nothing_p2p) { storm(GMK_CHAN_P2P); }
GMK_TEST(chan_sink_storm_loses_nothing_fanout) { storm(LOSSLESS); }

/* Cells of a peer. ------------------------------------------------------------------------- */

static gmk_cell_t peer_cell(uint64_t n)
{
    gmk_cell_t c = {.chan_seq = 1000 + n, .sub = 77, .retries = 3};

    c.task = part_payload(env.ctx, T_MSG, n);
    c.task.meta1 = n * 3;
    c.task.seq = 0x80000000u + (uint32_t)n;
    c.task.flags |= GMK_TF_IDEMPOTENT | GMK_TF_EMIT_TRACE;
    c.task.flags = GMK_SET_PRIORITY(c.task.flags, GMK_PRIO_HIGH);
    c.task.channel = 4711; /* of the peer */
    c.task.yield_count = 5;
    return c;
}

/* R16: flags, sequence number and meta words as they are; the rest is this kernel's. */
GMK_TEST(chan_emit_cells_keeps_what_the_peer_wrote)
{
    gmk_cell_t cells[12];

    GMK_REQUIRE(boot(GMK_CHAN_P2P, 8));
    for (uint32_t i = 0; i < 12; i++)
        cells[i] = peer_cell(i);
    gmk_test_assert_eq(gmk_chan_emit_cells(env.ctx, env.chan, cells, 12), 8); /* the credit */
    gmk_test_assert_eq(gmk_chan_emit_cells(env.ctx, env.chan, &cells[8], 4), 0);
    for (uint32_t i = 8; i < 12; i++) {
        gmk_test_assert_eq(part_refs(cells[i].task.payload_ptr), 1);
        gmk_payload_release_ptr(env.ctx, (void *)(uintptr_t)cells[i].task.payload_ptr);
    }
    gmk_test_assert_eq(env_live(&env), 8);
    box_init(&box[0], BOX);
    gmk_test_assert_eq(gmk_chan_sub_sink(env.ctx, env.chan, &box[0].sink), GMK_OK);
    env_idle(&env);
    gmk_test_assert_eq(box[0].n, 8);
    for (uint32_t i = 0; i < box[0].n; i++) {
        const gmk_task_t *t = &box[0].cells[i].task;

        gmk_test_assert_eq(t->seq, 0x80000000u + i);
        gmk_test_assert_eq(t->meta0, i);
        gmk_test_assert_eq(t->meta1, i * 3);
        gmk_test_assert_eq(GMK_PRIORITY(t->flags), GMK_PRIO_HIGH);
        gmk_test_assert((t->flags & GMK_TF_IDEMPOTENT) != 0);
        gmk_test_assert_eq(t->channel, env.chan);
    }
    box_check(&box[0], 1);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}

/* V-34: the consumer is a module like any other. */
GMK_TEST(chan_emit_cells_reach_modules)
{
    gmk_cell_t cells[30];

    GMK_REQUIRE(boot(LOSSLESS, 64));
    part_act(&part[0], 0, act_part_sub);
    for (uint32_t i = 0; i < 30; i++) {
        cells[i] = peer_cell(i);
        cells[i].task.meta1 = 0;
    }
    gmk_test_assert_eq(gmk_chan_emit_cells(env.ctx, env.chan, cells, 30), 30);
    env_idle(&env);
    part_check(&part[0], 30, 0);
    gmk_test_assert_eq(part[0].first_seq, 1);
    gmk_test_assert_eq(env_live(&env), 0);
    env_end(&env);
}

/* R15: deterministic messages are on no ring that a sink could take them from. */
GMK_TEST(chan_sub_sink_of_a_deterministic_channel_is_refused)
{
    gmk_module_t *mods[] = {plumber_make(&plumber, &env)};
    int id;

    gmk_hal_memset(&env, 0, sizeof(env));
    box[0].sink = (gmk_chan_sink_t){.take = box_take, .arg = &box[0]};
    GMK_REQUIRE(env_boot(&env, 1, 0, mods, 1));
    id = gmk_chan_open(env.ctx, "t.det", LOSSLESS | GMK_CHAN_DETERMINISTIC, 8);
    gmk_test_assert_gt(id, 0);
    gmk_test_assert_eq(gmk_chan_sub_sink(env.ctx, (uint32_t)id, &box[0].sink), GMK_E_UNSUPPORTED);
    gmk_test_assert_eq(chan_info(&env, (uint32_t)id).n_subs, 0);
    env_end(&env);
}

GMK_TEST(chan_emit_cells_codes)
{
    gmk_cell_t good;
    gmk_cell_t bad;

    GMK_REQUIRE(boot(LOSSLESS, 8));
    good = (gmk_cell_t){.task = env_msg(T_MSG, 0, 0)};
    gmk_test_assert_eq(gmk_chan_emit_cells(NULL, env.chan, &good, 1), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_chan_emit_cells(env.ctx, env.chan, NULL, 1), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_chan_emit_cells(env.ctx, 0, &good, 1), GMK_CHAN_CLOSED);
    gmk_test_assert_eq(gmk_chan_emit_cells(env.ctx, 200, &good, 1), GMK_CHAN_CLOSED);
    bad = good;
    bad.task.type = T_MSG2;
    gmk_test_assert_eq(gmk_chan_emit_cells(env.ctx, env.chan, &bad, 1), GMK_CHAN_TYPE_MISMATCH);
    bad = good;
    bad.task.tenant = 1;
    gmk_test_assert_eq(gmk_chan_emit_cells(env.ctx, env.chan, &bad, 1), GMK_E_TENANT);
    env_end(&env);
}

/* SPDX-License-Identifier: MIT
 * Back-pressure through a pipeline of lossless channels: it reaches the source, costs no
 * memory, trips no breaker, loses and doubles nothing; a cycle of waits is warned of and named.
 * Floor: tests. Source: SPEC CH-14, CH-16, CH-55, SDK-10; ARCHITECTURE R8, R19. */
#include "chan_parts.h"

#include "ggmk/base/bits.h"

#define LOSSLESS GMK_CHAN_LOSSLESS
#define SLOTS 8u
#define BYTES 64u /* of a payload; its first word is the number */
enum { T_RAW = 20, T_MID, T_OUT, T_PING, T_PONG, T_PANG };

typedef struct stage {
    gmk_module_t m;
    gmk_handler_reg_t h[1];
    gmk_chan_decl_t d[2];
    uint64_t next;
    uint64_t wrong;
    uint32_t to, to_type; /* where it sends; 0: nowhere */
    uint32_t yields;      /* times it yields a message */
    uint32_t units;       /* work a message, in units of work() */
    uint64_t worked;      /* units done, that the compiler keeps them */
    uint64_t pause_at;    /* stands still behind that many messages; 0: never */
} stage_t;

static env_t env;
static stage_t stage[3];
static gmk_module_t plumber;

static uint64_t number_of(const gmk_task_t *t)
{
    const uint64_t *p = (const uint64_t *)(uintptr_t)t->payload_ptr;

    if (p == NULL || t->payload_len != BYTES)
        return UINT64_MAX;
    for (uint32_t i = 1; i < BYTES / 8; i++)
        if (p[i] != p[0])
            return UINT64_MAX;
    return p[0];
}

/* A unit of work: some 20 ns, on the simulated machine a switch. */
static void work(stage_t *s)
{
    for (uint32_t i = 0; i < s->units; i++) {
        for (uint32_t k = 0; k < 16; k++)
            s->worked = s->worked * 0x9e3779b97f4a7c15ull + i;
        if (gmk_test_simulated())
            gmk_hal_relax();
    }
}

/* Checks its number and hands it on; the last stage works. */
static int on_stage(gmk_ctx_t *ctx)
{
    stage_t *s = ctx->user;
    gmk_task_t *t = ctx->task;

    if (t->yield_count == 0) {
        s->wrong += number_of(t) != s->next || gmk_chan_seq(ctx) != s->next + 1;
        s->wrong += gmk_chan_gap(ctx) != 0;
        s->wrong += GMK_PRIORITY(t->flags) != GMK_PRIO_NORMAL; /* handed on */
        s->next++;
        if (s->next == s->pause_at)
            gmk_test_assert_eq(gmk_sdk_chan_send_inline(ctx, env.chan2, T_PLUG, 0, 0), GMK_OK);
    }
    work(s);
    if (t->yield_count < s->yields) {
        gmk_yield(ctx);
        return GMK_OK;
    }
    if (s->to == 0)
        return GMK_OK;
    return gmk_sdk_chan_send(ctx, s->to, s->to_type, (const void *)(uintptr_t)t->payload_ptr,
                             t->payload_len);
}

/* Stage i takes from the i-th channel; mode P2P or FANOUT, lossless. */
static bool boot(uint32_t n_workers, uint32_t mode)
{
    static const char *const names[] = {"ingest", "transform", "store"};
    static const char *const chans[] = {"data.raw", "data.mid", "data.out"};
    gmk_module_t *mods[4];

    gmk_hal_memset(&env, 0, sizeof(env));
    gmk_hal_memset(stage, 0, sizeof(stage));
    for (uint32_t i = 0; i < 3; i++) {
        stage_t *s = &stage[i];

        s->h[0] = (gmk_handler_reg_t){.type = T_RAW + i, .fn = on_stage, .name = names[i]};
        for (uint32_t j = i; j < 3 && j < i + 2; j++)
            s->d[j - i] =
                (gmk_chan_decl_t){.name = chans[j],
                                  .direction = j == i ? GMK_CHAN_CONSUME : GMK_CHAN_PRODUCE,
                                  .msg_type = T_RAW + j,
                                  .mode = mode,
                                  .guarantee = LOSSLESS,
                                  .slots = SLOTS};
        s->m = (gmk_module_t){.name = names[i],
                              .handlers = s->h,
                              .n_handlers = 1,
                              .channels = s->d,
                              .n_channels = i < 2 ? 2 : 1,
                              .user = s};
        mods[i] = &s->m;
    }
    mods[3] = plumber_make(&plumber, &env);
    if (!env_boot(&env, n_workers, 0, mods, 4))
        return false;
    env.chan = (uint32_t)gmk_chan_find(env.ctx, chans[0]);
    for (uint32_t i = 0; i < 2; i++) {
        stage[i].to = (uint32_t)gmk_chan_find(env.ctx, chans[i + 1]);
        stage[i].to_type = T_RAW + i + 1;
    }
    return true;
}

/* One message of number n from the source. */
static int send(uint64_t n)
{
    uint64_t words[BYTES / 8];

    for (uint32_t i = 0; i < BYTES / 8; i++)
        words[i] = n;
    env.ctx->task->flags = GMK_PRIO_NORMAL;
    return gmk_sdk_chan_send(env.ctx, env.chan, T_RAW, words, sizeof(words));
}

/* The source sends from..to-1 and waits for room. returns: how often it was refused. */
static uint64_t pour(uint64_t from, uint64_t to)
{
    uint64_t begin = gmk_hal_now_ns();
    uint64_t refused = 0;

    while (from < to && gmk_hal_now_ns() - begin < ENV_PATIENCE_NS) {
        int rc = send(from);

        from += rc == GMK_OK;
        refused += rc != GMK_OK;
        if (rc == GMK_OK)
            continue;
        if (!gmk_test_assert_eq(rc, GMK_CHAN_FULL))
            break;
        gmk_hal_relax();
    }
    gmk_test_assert_eq(from, to);
    return refused;
}

/* Sends until nothing goes in any more, from a number on. returns: how many went in. */
static uint64_t dam(uint64_t from)
{
    uint64_t n = 0;

    for (uint64_t before = 1; before != n;) {
        before = n;
        while (n < 10000 && send(from + n) == GMK_OK)
            n++;
        env_idle(&env); /* at rest: waiting costs nothing */
    }
    return n;
}

/* Memory that somebody holds. */
static uint64_t in_use(void)
{
    uint64_t bytes = 0;

    for (uint32_t kind = 0; kind < GMK_ALLOC_KINDS; kind++) {
        gmk_alloc_stats_t s = {.bytes_total = 0};

        gmk_test_assert_eq(gmk_alloc_get_stats(&env.kernel, kind, &s), GMK_OK);
        bytes += s.bytes_total - s.bytes_free;
    }
    return bytes;
}

/* What a pipeline under pressure can hold: its slots, one parked send and one message in
 * the hands of each stage, one of the source. */
#define MOST_HELD (3 * SLOTS + 2 + 3 + 1)
#define BLOCK_BYTES 128u /* of a payload with its header */

static void check_through(uint64_t n)
{
    for (uint32_t i = 0; i < 3; i++) {
        gmk_test_assert_eq(stage[i].next, n); /* nothing lost, nothing doubled */
        gmk_test_assert_eq(stage[i].wrong, 0);
    }
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_YIELD_LIMITS), 0);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_TASKS_FAILED), 0);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_CHAN_DROPS), 0);
    gmk_test_assert_eq(env_live(&env), 0);
}

static uint64_t high_water(void)
{
    gmk_alloc_stats_t s;

    gmk_test_assert_eq(gmk_alloc_get_stats(&env.kernel, GMK_ALLOC_BLOCK, &s), GMK_OK);
    return s.bytes_high_water;
}

/* CH-14, CH-55, R19: the last stage is slow because it yields each message ten times, and there
 * are more workers than stages. It begins by standing still, so that the pressure comes to the
 * source through both outboxes however the machine's other work slows the source itself. */
static void yielding(uint32_t n_workers, uint32_t mode)
{
    uint64_t n = env_scale(20000, 300);
    uint64_t warm, full;

    GMK_REQUIRE(boot(n_workers, mode));
    plug_in(&env);
    stage[2].yields = 10;
    stage[2].pause_at = 1;
    full = dam(0);
    gmk_test_assert_eq(full, 3 * SLOTS + 3);
    gmk_test_assert_eq(send(full), GMK_CHAN_FULL);
    gmk_test_assert_ge(env_metric(&env, GMK_METRIC_OUTBOX_PARKED), 3); /* the plug's, too */
    plug_out(&env);
    pour(full, n / 4);
    env_idle(&env);
    warm = high_water();
    pour(n / 4, n);
    env_idle(&env);
    check_through(n);
    /* Memory is what is under way and in caches, whatever has gone through. */
    gmk_test_assert_le(high_water(), warm + 32768);
    env_end(&env);
    gmk_test_assert_eq(env.report.completed, 3 * n + 4); /* and the plugs and their script */
}

static int act_plug_anew(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(gmk_chan_unsub(ctx, env.chan2), GMK_OK);
    return GMK_OK;
}

/* Memory under way. */
typedef struct seen {
    uint64_t live, bytes;
} seen_t;

static void look(seen_t *most)
{
    most->live = gmk_max64(most->live, env_live(&env));
    most->bytes = gmk_max64(most->bytes, in_use());
}

/* The last stage stands still behind its next message, so that every outbox is in use and
 * the pipeline is as full as it can be, at rest. returns: how many went in. */
static uint64_t dam_and_look(uint64_t from, seen_t *most)
{
    uint64_t parked = env_metric(&env, GMK_METRIC_OUTBOX_PARKED);
    uint64_t n;

    stage[2].pause_at = from + 1;
    n = dam(from);
    gmk_test_assert_eq(n, 3 * SLOTS + 3);
    gmk_test_assert_ge(env_metric(&env, GMK_METRIC_OUTBOX_PARKED),
                       parked + 3); /* the plug's, too */
    gmk_test_assert_eq(env_live(&env), 3 * SLOTS + 2);
    gmk_test_assert_eq(send(from + n), GMK_CHAN_FULL); /* the pressure has come to the source */
    look(most);
    return n;
}

#define DAMS 10u

/* The same, where the last stage does a thousand times the work of the others, and stands still
 * at times. Memory is looked at all the way, in motion and when it stands: payloads and bytes in
 * use never grow beyond what the slots hold. */
static void thousandfold(uint32_t n_workers, uint32_t mode)
{
    uint64_t n = env_scale(20000, 200);
    seen_t most = {0, 0};
    uint64_t idle_bytes, at = 0;

    GMK_REQUIRE(boot(n_workers, mode));
    for (uint32_t i = 0; i < 3; i++)
        stage[i].units = i < 2 ? 1 : 1000;
    plug_in(&env);
    env_idle(&env);
    idle_bytes = in_use();
    for (uint32_t round = 1; round <= DAMS; round++) {
        at += dam_and_look(at, &most);
        plug_out(&env);
        for (uint64_t to = at + n / DAMS; at < to; at += n / 100) {
            pour(at, at + n / 100);
            look(&most);
        }
        env_idle(&env);
        gmk_test_assert_eq(in_use(), idle_bytes);
        if (round == DAMS)
            break;
        env_act(&env, act_plug_anew);
        plug_in(&env);
    }
    gmk_test_assert_le(most.live, MOST_HELD);
    gmk_test_assert_le(most.bytes, idle_bytes + MOST_HELD * BLOCK_BYTES);
    check_through(at);
    gmk_test_assert_eq(env_metric(&env, GMK_METRIC_TASKS_YIELDED), 0); /* a wait is no yield */
    env_end(&env);
    /* And of each dam: two plugs, the send that waited for them, and what ended it; of all but
     * the first what began it. */
    gmk_test_assert_eq(env.report.completed, 3 * at + 5 * DAMS - 1);
}

/* CH-14, CH-55, SDK-10, R19. */
GMK_TEST(pressure_last_stage_slowed_a_thousandfold_p2p) { thousandfold(2, GMK_CHAN_P2P); }
GMK_TEST(pressure_last_stage_slowed_a_thousandfold_fanout) { thousandfold(2, GMK_CHAN_FANOUT); }
GMK_TEST(pressure_last_stage_slowed_a_thousandfold_one_worker) { thousandfold(1, GMK_CHAN_P2P); }

GMK_TEST(pressure_slow_last_stage_yields_p2p_eight_workers) { yielding(8, GMK_CHAN_P2P); }
GMK_TEST(pressure_slow_last_stage_yields_fanout_eight_workers) { yielding(8, GMK_CHAN_FANOUT); }

/* CH-14, R19: the last stage stands still. What the pipeline holds is bounded by its
 * slots and outboxes; then the source is refused and the kernel rests. */
static void standstill(uint32_t mode)
{
    uint64_t held;
    uint64_t n;

    GMK_REQUIRE(boot(2, mode));
    plug_in(&env);
    stage[2].pause_at = 1;
    n = dam(0);
    held = env_books(&env).queued - 3; /* the plug's two and the send that waits for it */
    /* The last stage has done one; in the stages before it one message is parked each. */
    gmk_test_assert_eq(held, 3 * SLOTS + 2);
    gmk_test_assert_eq(n, 3 * SLOTS + 3);
    gmk_test_assert_eq(stage[2].next, 1);
    gmk_test_assert_eq(env_live(&env), held);
    gmk_test_assert_str_eq(env_books(&env).stuck, "");
    for (uint32_t i = 0; i < 100; i++)
        gmk_test_assert_eq(send(n), GMK_CHAN_FULL);
    gmk_test_assert_eq(env_live(&env), held); /* refused sends leave nothing behind */
    plug_out(&env);
    pour(n, n + 200);
    env_idle(&env);
    check_through(n + 200);
    env_end(&env);
}

GMK_TEST(pressure_standstill_reaches_the_source_p2p) { standstill(GMK_CHAN_P2P); }
GMK_TEST(pressure_standstill_reaches_the_source_fanout) { standstill(GMK_CHAN_FANOUT); }

/* R5, R19: one of two consumers of a lossless fan-out stands still: that is enough. */
static stage_t tap;

GMK_TEST(pressure_one_slow_tap_of_a_pipeline_is_enough)
{
    uint64_t n = env_scale(5000, 200);
    gmk_module_t *mods[4];

    GMK_REQUIRE(boot(2, GMK_CHAN_FANOUT));
    env_end(&env); /* the stages are made; once more with a tap beside the last one */
    for (uint32_t i = 0; i < 3; i++) {
        mods[i] = &stage[i].m;
        stage[i].next = 0;
    }
    tap = stage[2];
    tap.m.name = "tap";
    tap.m.handlers = tap.h;
    tap.m.channels = tap.d;
    tap.m.user = &tap;
    tap.yields = 12;
    mods[3] = &tap.m;
    GMK_REQUIRE(env_boot(&env, 3, 0, mods, 4));
    gmk_test_assert_gt(pour(0, n), 0);
    env_idle(&env);
    check_through(n);
    gmk_test_assert_eq(tap.next, n);
    gmk_test_assert_eq(tap.wrong, 0);
    env_end(&env);
    gmk_test_assert_eq(env.report.completed, 4 * n);
}

/* A cycle of lossless channels. ------------------------------------------------------------ */

static uint32_t ring[3];

/* Two for one to the next, with payloads: must end in a circular wait. */
static int on_double(gmk_ctx_t *ctx)
{
    uint32_t to = (ctx->task->type - T_PING + 1) % 3;

    for (uint32_t i = 0; i < 2; i++) {
        int rc = gmk_sdk_chan_send(ctx, ring[to], T_PING + to, "12345678", 8);

        gmk_test_assert(rc == GMK_OK || rc == GMK_CHAN_FULL);
    }
    return GMK_OK;
}

#define CYCLE                                                                                      \
    "cycle of channels that never drop: ping -> c.pong -> pong -> c.pang -> pang -> c.ping -> "    \
    "ping"

/* At boot: the declarations already say that it can close. */
static void check_warned(void)
{
    const char *at = gmk_boot_warnings(&env.kernel);
    uint32_t n = 0;

    while (CYCLE[n] != '\0' && CYCLE[n] == at[n])
        n++;
    gmk_test_assert_named(CYCLE[n] == '\0', CYCLE);
}

static void cycle(uint32_t mode)
{
    static const char *const names[] = {"ping", "pong", "pang"};
    static const char *const chans[] = {"c.ping", "c.pong", "c.pang"};
    gmk_module_t *mods[3];
    gmk_audit_report_t r;
    gmk_task_t t = env_msg(T_PING, 0, 0);

    gmk_hal_memset(&env, 0, sizeof(env));
    gmk_hal_memset(stage, 0, sizeof(stage));
    for (uint32_t i = 0; i < 3; i++) {
        stage_t *s = &stage[i];

        s->h[0] = (gmk_handler_reg_t){.type = T_PING + i, .fn = on_double, .name = names[i]};
        s->d[0] = (gmk_chan_decl_t){.name = chans[i],
                                    .direction = GMK_CHAN_CONSUME,
                                    .msg_type = T_PING + i,
                                    .mode = mode,
                                    .guarantee = LOSSLESS,
                                    .slots = 2};
        s->d[1] = s->d[0];
        s->d[1].name = chans[(i + 1) % 3];
        s->d[1].direction = GMK_CHAN_PRODUCE;
        s->d[1].msg_type = T_PING + (i + 1) % 3;
        s->m = (gmk_module_t){
            .name = names[i], .handlers = s->h, .n_handlers = 1, .channels = s->d, .n_channels = 2};
        mods[i] = &s->m;
    }
    GMK_REQUIRE(env_boot(&env, 2, 0, mods, 3));
    check_warned();
    for (uint32_t i = 0; i < 3; i++)
        ring[i] = (uint32_t)gmk_chan_find(env.ctx, chans[i]);
    gmk_test_assert_eq(gmk_chan_emit(env.ctx, ring[0], &t), GMK_OK);
    env_idle(&env); /* nobody spins on it */
    r = env_books(&env);
    gmk_test_assert(r.balanced);
    gmk_test_assert_ge(r.queued, 6);
    gmk_test_assert_eq(r.payloads_live, r.queued);
    gmk_test_assert_str_eq(r.stuck, "circular wait: ping -> pong -> pang -> ping");
    env_end_within(&env, ENV_PATIENCE_NS);
    gmk_test_assert_eq(env.report.dead, r.queued);
    gmk_test_assert_str_eq(env.report.stuck, r.stuck);
}

/* R8, R19: the boot warns of the cycle, the audit names it once it has closed, and halt ends
 * all the same. */
GMK_TEST(pressure_cycle_of_p2p_channels_is_named) { cycle(GMK_CHAN_P2P); }
GMK_TEST(pressure_cycle_of_fanout_channels_is_named) { cycle(GMK_CHAN_FANOUT); }

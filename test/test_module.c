/* SPDX-License-Identifier: MIT
 * Modules: full tables, routing, life cycle, poison, yields.
 * Floor: tests. Source: SPEC MOD-1 to MOD-13, MOD-22 to MOD-25, V-20, V-31, V-33, V-35,
 * V-58; ARCHITECTURE R6. */
#include "bytes.h"
#include "chan_env.h"
#include "kernel/kernel.h"

static env_t env;

static int on_ok(gmk_ctx_t *ctx)
{
    (void)ctx;
    return GMK_OK;
}

/* Wrong lists; wrong declarations are in test_wiring.c. ------------------------------ */

#define PRODUCE GMK_CHAN_PRODUCE
#define CONSUME GMK_CHAN_CONSUME
#define H(t)                                                                                       \
    {                                                                                              \
        .type = (t), .fn = on_ok, .name = "h"                                                      \
    }
#define D(n, dir, t)                                                                               \
    {                                                                                              \
        .name = (n), .direction = (dir), .msg_type = (t)                                           \
    }

static bool boots(gmk_module_t **mods, uint32_t n, int want, const char *says)
{
    static gmk_kernel_t k;
    gmk_boot_cfg_t cfg = {
        .arena_size = (size_t)1 << 20, .n_workers = 1, .flags = GMK_BOOT_NO_LINKED_MODULES};
    gmk_task_t t = {.type = 11};
    int rc = gmk_boot(&k, &cfg, mods, n);
    bool ok = gmk_test_assert_eq(rc, want) &&
              gmk_test_assert_named(text_has(gmk_boot_error(&k), says), says);

    /* Of a boot that failed nothing is left, and the next one has the same storage. */
    if (rc != GMK_OK)
        gmk_test_assert_eq(gmk_submit(&k, &t), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_halt(&k), rc == GMK_OK ? GMK_OK : GMK_E_INVALID);
    return ok;
}

/* MOD-10. */
GMK_TEST(module_null_pointer_is_refused)
{
    gmk_module_t *mods[] = {NULL};
    static gmk_kernel_t k;

    boots(mods, 1, GMK_E_WIRING, "name it");
    gmk_test_assert_eq(gmk_boot(NULL, NULL, mods, 1), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_boot(&k, NULL, NULL, 1), GMK_E_INVALID);
}

/* MOD-10, SYS-21. */
GMK_TEST(module_tables_that_are_full_are_limits)
{
    static gmk_module_t mods[GMK_MAX_MODULES + 1];
    static char names[GMK_MAX_CHANNELS][8];
    gmk_module_t *list[GMK_MAX_MODULES + 1];
    gmk_handler_reg_t *h = gmk_hal_calloc(GMK_MAX_HANDLERS, sizeof(*h));
    gmk_chan_decl_t *d = gmk_hal_calloc(GMK_MAX_CHANNELS, sizeof(*d));

    GMK_REQUIRE(h != NULL && d != NULL);
    for (uint32_t i = 0; i < GMK_MAX_CHANNELS; i++) {
        char name[8] = {'m', (char)('0' + i / 100), (char)('0' + i / 10 % 10),
                        (char)('0' + i % 10)};

        gmk_hal_memcpy(names[i], name, sizeof(name));
        h[i] = (gmk_handler_reg_t)H(i + 1);
        d[i] = (gmk_chan_decl_t){.name = names[i], .direction = PRODUCE, .msg_type = 1, .slots = 2};
    }
    for (uint32_t i = 0; i <= GMK_MAX_MODULES; i++) {
        mods[i] = (gmk_module_t){.name = names[i]};
        list[i] = &mods[i];
    }
    boots(list, GMK_MAX_MODULES, GMK_OK, "");
    boots(list, GMK_MAX_MODULES + 1, GMK_E_LIMIT, "'m064' is one too many");
    /* 239 types of one module and 17 of another are 256 handlers; one more is not. */
    mods[0].handlers = h;
    mods[0].n_handlers = 239;
    mods[1].handlers = h;
    mods[1].n_handlers = 18;
    boots(list, 2, GMK_E_LIMIT, "'m001' has one handler too many");
    mods[0] = (gmk_module_t){
        .name = "wide", .channels = d, .n_channels = GMK_MAX_CHANNELS - GMK_N_SYS_CHANNELS};
    boots(list, 1, GMK_OK, "");
    mods[0].n_channels++;
    boots(list, 1, GMK_E_LIMIT, "module 'wide' declares channel 'm251' and fails: a table");
    gmk_hal_free(h);
    gmk_hal_free(d);
}

/* Routing. --------------------------------------------------------------------------- */

static void reset(void) { gmk_hal_memset(&env, 0, sizeof(env)); }

/* The consumers of a shared type count their runs in next[their own number]. */
static int on_shared_0(gmk_ctx_t *ctx)
{
    gmk_test_assert_eq(ctx->task->channel, 0);
    return GMK_OK;
}

static int on_shared_1(gmk_ctx_t *ctx)
{
    env.next[1]++;
    gmk_test_assert_eq(ctx->task->channel, env.chan);
    return GMK_OK;
}

static int on_shared_2(gmk_ctx_t *ctx)
{
    env.next[2]++;
    gmk_test_assert_eq(ctx->task->channel, env.chan2);
    return GMK_OK;
}

/* MOD-12. */
GMK_TEST(module_shared_type_goes_to_the_right_module)
{
    gmk_handler_reg_t h[] = {{.type = T_MSG, .fn = on_shared_0, .name = "zero"},
                             {.type = T_MSG, .fn = on_shared_1, .name = "one"},
                             {.type = T_MSG, .fn = on_shared_2, .name = "two"}};
    gmk_chan_decl_t d[] = {D("t.msg", CONSUME, T_MSG), D("t.msg2", CONSUME, T_MSG)};
    gmk_module_t first = {.name = "first", .handlers = &h[1], .n_handlers = 1, .channels = &d[0]};
    gmk_module_t direct = {.name = "direct", .handlers = &h[0], .n_handlers = 1};
    gmk_module_t last = {.name = "last", .handlers = &h[2], .n_handlers = 1, .channels = &d[1]};
    gmk_module_t *mods[] = {&first, &direct, &last};
    gmk_handler_info_t info;

    first.n_channels = 1;
    last.n_channels = 1;
    reset();
    GMK_REQUIRE(env_boot(&env, 2, 0, mods, 3));
    env.chan = (uint32_t)gmk_chan_find(env.ctx, "t.msg");
    env.chan2 = (uint32_t)gmk_chan_find(env.ctx, "t.msg2");
    for (uint32_t i = 0; i < 100; i++) {
        gmk_task_t t = env_msg(T_MSG, i, 0);

        gmk_test_assert_eq(gmk_submit(&env.kernel, &t), GMK_OK);
        env_send(&env, env.chan, t);
        env_send(&env, env.chan2, t);
        gmk_test_assert_eq(gmk_emit(env.ctx, &t), GMK_OK);
    }
    env_idle(&env);
    gmk_test_assert_eq(gmk_handler_get_info(&env.kernel, 1, &info), GMK_OK);
    gmk_test_assert_str_eq(info.module, "direct");
    gmk_test_assert_str_eq(info.handler, "zero");
    gmk_test_assert_eq(info.completed, 200);
    gmk_test_assert_eq(env.next[1], 100);
    gmk_test_assert_eq(env.next[2], 100);
    env_end(&env);
}

/* MOD-13. */
GMK_TEST(module_only_consumer_of_a_type_takes_direct_tasks_too)
{
    gmk_handler_reg_t h = H(T_MSG);
    gmk_chan_decl_t d = D("t.msg", CONSUME, T_MSG);
    gmk_module_t m = {
        .name = "m", .handlers = &h, .n_handlers = 1, .channels = &d, .n_channels = 1};
    gmk_module_t *mods[] = {&m};
    gmk_task_t t = env_msg(T_MSG, 0, 0);
    gmk_task_t unknown = env_msg(T_MSG2, 0, 0);

    reset();
    GMK_REQUIRE(env_boot(&env, 1, 0, mods, 1));
    gmk_test_assert_eq(gmk_submit(&env.kernel, &t), GMK_OK);
    gmk_test_assert_eq(gmk_submit(&env.kernel, &unknown), GMK_E_NO_HANDLER);
    unknown.type = UINT32_MAX;
    gmk_test_assert_eq(gmk_submit(&env.kernel, &unknown), GMK_E_NO_HANDLER);
    env_end(&env);
    gmk_test_assert_eq(env.report.completed, 1);
}

GMK_TEST(module_type_that_all_consume_takes_no_direct_tasks)
{
    gmk_handler_reg_t h = H(T_MSG);
    gmk_chan_decl_t d[] = {D("t.msg", CONSUME, T_MSG), D("t.msg2", CONSUME, T_MSG)};
    gmk_module_t a = {
        .name = "a", .handlers = &h, .n_handlers = 1, .channels = &d[0], .n_channels = 1};
    gmk_module_t b = {
        .name = "b", .handlers = &h, .n_handlers = 1, .channels = &d[1], .n_channels = 1};
    gmk_module_t *mods[] = {&a, &b};
    gmk_task_t t = env_msg(T_MSG, 0, 0);

    reset();
    GMK_REQUIRE(env_boot(&env, 1, 0, mods, 2));
    gmk_test_assert_eq(gmk_submit(&env.kernel, &t), GMK_E_NO_HANDLER);
    env_send(&env, (uint32_t)gmk_chan_find(env.ctx, "t.msg"), t);
    env_send(&env, (uint32_t)gmk_chan_find(env.ctx, "t.msg2"), t);
    env_end(&env);
    gmk_test_assert_eq(env.report.completed, 2);
}

GMK_TEST(module_system_message_is_no_direct_task)
{
    gmk_handler_reg_t h = H(GMK_TYPE_SYS_ERROR);
    gmk_chan_decl_t d = D("sys.error", CONSUME, GMK_TYPE_SYS_ERROR);
    gmk_module_t m = {
        .name = "m", .handlers = &h, .n_handlers = 1, .channels = &d, .n_channels = 1};
    gmk_module_t *mods[] = {&m};
    gmk_task_t t = env_msg(GMK_TYPE_SYS_ERROR, 0, 0);

    reset();
    GMK_REQUIRE(env_boot(&env, 1, 0, mods, 1));
    gmk_test_assert_eq(gmk_submit(&env.kernel, &t), GMK_E_NO_HANDLER);
    gmk_test_assert_eq(gmk_emit(env.ctx, &t), GMK_E_NO_HANDLER);
    gmk_test_assert_eq(gmk_chan_emit(env.ctx, GMK_CHAN_SYS_ERROR, &t), GMK_E_INVALID);
    env_end(&env);
}

static int on_outcomes(gmk_ctx_t *ctx)
{
    const gmk_task_t *t = ctx->task;

    if (t->meta0 == 1)
        return GMK_FAIL(9);
    if (t->meta0 == 2 && t->yield_count < 2)
        gmk_yield(ctx);
    return t->meta0 == 3 && gmk_retries(ctx) < 4 ? GMK_RETRY : GMK_OK;
}

/* T-12. */
GMK_TEST(module_handler_info_counts_the_outcomes)
{
    gmk_handler_reg_t h[] = {H(9), {.type = T_MSG, .fn = on_outcomes, .name = "outcomes"}};
    gmk_module_t m = {.name = "m", .handlers = h, .n_handlers = 2};
    gmk_module_t *mods[] = {&m};
    gmk_handler_info_t info;

    reset();
    GMK_REQUIRE(env_boot(&env, 2, GMK_BOOT_MANUAL_TICKS, mods, 1));
    for (uint64_t i = 0; i < 40; i++) {
        gmk_task_t t = env_msg(T_MSG, i % 4, 0);

        gmk_test_assert_eq(gmk_submit(&env.kernel, &t), GMK_OK);
    }
    env_idle(&env);
    gmk_test_assert_eq(gmk_handler_get_info(&env.kernel, 1, &info), GMK_OK);
    gmk_test_assert_str_eq(info.module, "m");
    gmk_test_assert_str_eq(info.handler, "outcomes");
    gmk_test_assert_eq(info.type, T_MSG);
    gmk_test_assert(!info.poisoned);
    gmk_test_assert_eq(info.completed, 30);
    gmk_test_assert_eq(info.failed, 10);
    gmk_test_assert_eq(info.yields, 20);
    gmk_test_assert_eq(info.retries, 40);
    gmk_test_assert_eq(gmk_handler_get_info(&env.kernel, 0, &info), GMK_OK);
    gmk_test_assert_eq(info.type, 9);
    gmk_test_assert_eq(info.completed + info.failed + info.yields + info.retries, 0);
    gmk_test_assert_eq(gmk_handler_get_info(&env.kernel, 2, &info), GMK_E_NOT_FOUND);
    gmk_test_assert_eq(gmk_handler_get_info(NULL, 0, &info), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_handler_get_info(&env.kernel, 0, NULL), GMK_E_INVALID);
    env_end(&env);
}

/* Life cycle. ------------------------------------------------------------------------ */

/* What was called: 1.. for init, 101.. for fini, by the number in user. */
static uint32_t calls[8];
static uint32_t n_calls;
static int numbers[3] = {1, 2, 3};
static int init_rc[4];

static bool context_is_whole(const gmk_ctx_t *ctx)
{
    return ctx->task != NULL && ctx->alloc != NULL && ctx->chan != NULL && ctx->trace != NULL &&
           ctx->metrics != NULL && ctx->sched != NULL && ctx->kernel != NULL;
}

static int init_number(gmk_ctx_t *ctx)
{
    int n = *(int *)ctx->user;

    gmk_test_assert(context_is_whole(ctx));
    calls[n_calls++] = (uint32_t)n;
    return init_rc[n];
}

static int fini_number(gmk_ctx_t *ctx)
{
    gmk_test_assert(context_is_whole(ctx));
    calls[n_calls++] = 100 + (uint32_t) * (int *)ctx->user;
    return GMK_OK;
}

static int on_user(gmk_ctx_t *ctx)
{
    gmk_test_assert(context_is_whole(ctx));
    gmk_test_assert_eq(*(int *)ctx->user, ctx->task->meta0);
    return GMK_OK;
}

static gmk_handler_reg_t user_handlers[] = {{.type = 11, .fn = on_user, .name = "one"},
                                            {.type = 12, .fn = on_user, .name = "two"},
                                            {.type = 13, .fn = on_user, .name = "three"}};
static gmk_module_t numbered[3];

static void number_modules(gmk_module_t **mods)
{
    static const char *const names[] = {"one", "two", "three"};

    for (uint32_t i = 0; i < 3; i++) {
        numbered[i] = (gmk_module_t){.name = names[i],
                                     .version = GMK_VERSION(i, 2, 3),
                                     .handlers = &user_handlers[i],
                                     .n_handlers = 1,
                                     .init = init_number,
                                     .fini = fini_number,
                                     .user = &numbers[i]};
        mods[i] = &numbered[i];
    }
    n_calls = 0;
    gmk_hal_memset(init_rc, 0, sizeof(init_rc));
    reset();
}

static void expect_calls(const uint32_t *want, uint32_t n)
{
    gmk_test_assert_eq(n_calls, n);
    for (uint32_t i = 0; i < n; i++)
        gmk_test_assert_eq(calls[i], want[i]);
}

/* SYS-11, MOD-7, T-10. */
GMK_TEST(module_init_in_order_fini_in_reverse_user_data_visible)
{
    static const uint32_t want[] = {1, 2, 3, 103, 102, 101};
    gmk_module_t *mods[3];

    number_modules(mods);
    GMK_REQUIRE(env_boot(&env, 2, 0, mods, 3));
    for (uint32_t i = 0; i < 60; i++) {
        gmk_task_t t = env_msg(11 + i % 3, 1 + i % 3, 0);

        gmk_test_assert_eq(gmk_submit(&env.kernel, &t), GMK_OK);
    }
    expect_calls(want, 3);
    env_end(&env);
    expect_calls(want, 6);
    gmk_test_assert_eq(numbered[1].version, 0x010203);
    gmk_test_assert_eq(gmk_version(), GMK_VERSION_CURRENT);
}

/* MOD-8. */
GMK_TEST(module_failing_init_fails_the_boot_and_undoes_the_others)
{
    static const uint32_t want[] = {1, 2, 3, 102, 101};
    gmk_module_t *mods[3];

    number_modules(mods);
    init_rc[3] = GMK_FAIL(17);
    boots(mods, 3, GMK_E_INIT, "init of module 'three' returned -17");
    expect_calls(want, 5);
    n_calls = 0;
    init_rc[3] = 0;
    init_rc[1] = GMK_ALLOC_FAIL;
    boots(mods, 3, GMK_E_INIT, "init of module 'one' returned -200 (out of memory");
    expect_calls(want, 1);
    init_rc[1] = 5; /* not negative: no failure */
    n_calls = 0;
    boots(mods, 3, GMK_OK, "");
    gmk_test_assert_eq(n_calls, 6);
}

static uint32_t linked_inits, linked_runs;

static int init_linked(gmk_ctx_t *ctx)
{
    (void)ctx;
    linked_inits++;
    return GMK_OK;
}

static int on_linked(gmk_ctx_t *ctx)
{
    (void)ctx;
    linked_runs++;
    return GMK_OK;
}

static gmk_handler_reg_t linked_handlers[] = {{.type = 200, .fn = on_linked, .name = "linked"}};
GMK_MODULE(linked) = {.name = "linked",
                      .version = GMK_VERSION(1, 0, 0),
                      .handlers = linked_handlers,
                      .n_handlers = 1,
                      .init = init_linked};

/* MOD-5, MOD-6. */
GMK_TEST(module_linked_is_registered_once_with_or_without_the_array)
{
    static gmk_kernel_t k;
    gmk_boot_cfg_t cfg = {.arena_size = (size_t)1 << 20, .n_workers = 1};
    gmk_module_t *mods[] = {&gmk_module_linked, &gmk_module_linked};
    gmk_task_t t = env_msg(200, 0, 0);
    gmk_handler_info_t info;

    linked_inits = 0;
    linked_runs = 0;
    for (uint32_t n = 0; n <= 2; n++) {
        GMK_REQUIRE(gmk_boot(&k, &cfg, mods, n) == GMK_OK);
        gmk_test_assert_eq(linked_inits, n + 1);
        gmk_test_assert_eq(gmk_handler_get_info(&k, 1, &info), GMK_E_NOT_FOUND);
        gmk_test_assert_eq(gmk_submit(&k, &t), GMK_OK);
        gmk_test_assert_eq(gmk_halt(&k), GMK_OK);
        gmk_test_assert_eq(linked_runs, n + 1);
    }
    cfg.flags = GMK_BOOT_NO_LINKED_MODULES;
    GMK_REQUIRE(gmk_boot(&k, &cfg, NULL, 0) == GMK_OK);
    gmk_test_assert_eq(gmk_submit(&k, &t), GMK_E_NO_HANDLER);
    gmk_test_assert_eq(gmk_halt(&k), GMK_OK);
    gmk_test_assert_eq(linked_inits, 3);
}

/* Poison. ---------------------------------------------------------------------------- */

enum { T_BAD = 50, T_GOOD };

static int on_bad(gmk_ctx_t *ctx)
{
    env.got++;
    return ctx->task->meta0 != 0 ? GMK_FAIL(1) : GMK_OK;
}

static int on_poison_error(gmk_ctx_t *ctx)
{
    env.next[0] += (uint32_t)ctx->task->meta0 == GMK_ERR_POISONED;
    env.next[1] += (uint32_t)ctx->task->meta0 == (GMK_ERR_HANDLER | 1u << 16);
    env.next[2] += ctx->task->meta0 >> 32 == T_BAD;
    return GMK_OK;
}

static gmk_handler_reg_t bad_handlers[] = {{.type = T_BAD, .fn = on_bad, .name = "bad"},
                                           {.type = T_GOOD, .fn = on_ok, .name = "good"}};
static gmk_module_t bad = {.name = "bad", .handlers = bad_handlers, .n_handlers = 2};
static gmk_handler_reg_t error_handlers[] = {
    {.type = GMK_TYPE_SYS_ERROR, .fn = on_poison_error, .name = "error"}};
static gmk_chan_decl_t error_decls[] = {D("sys.error", CONSUME, GMK_TYPE_SYS_ERROR)};
static gmk_module_t watcher = {.name = "watcher",
                               .handlers = error_handlers,
                               .n_handlers = 1,
                               .channels = error_decls,
                               .n_channels = 1};

static bool poison_boot(void)
{
    gmk_module_t *mods[] = {&bad, &watcher};

    reset();
    return env_boot(&env, 1, GMK_BOOT_MANUAL_TICKS, mods, 2);
}

static bool poisoned(uint32_t idx)
{
    gmk_handler_info_t info = {.type = 0};

    gmk_test_assert_eq(gmk_handler_get_info(&env.kernel, idx, &info), GMK_OK);
    return info.poisoned;
}

static void run(uint32_t type, bool fails)
{
    gmk_task_t t = env_msg(type, fails, 0);

    gmk_test_assert_eq(gmk_submit(&env.kernel, &t), GMK_OK);
    env_idle(&env);
}

static void ticks(uint32_t n)
{
    while (n-- > 0)
        gmk_tick_advance(&env.kernel);
}

/* MOD-23, ACC-10. */
GMK_TEST(module_poison_thirty_failures_in_one_tick_do_not_flag)
{
    GMK_REQUIRE(poison_boot());
    ticks(5);
    for (uint32_t i = 0; i < 30; i++)
        run(T_BAD, true);
    for (uint32_t i = 0; i < 2000; i += 50) {
        gmk_test_assert(!poisoned(0));
        run(T_BAD, false);
        ticks(50);
    }
    gmk_test_assert(!poisoned(0));
    gmk_test_assert_eq(env.got, 30 + 40);
    env_end(&env);
}

/* MOD-22, FM-3. */
GMK_TEST(module_poison_flags_at_the_thirty_third_failure)
{
    GMK_REQUIRE(poison_boot());
    for (uint32_t i = 0; i < GMK_POISON_RATE; i++)
        run(T_BAD, true);
    gmk_test_assert(!poisoned(0));
    run(T_BAD, true);
    gmk_test_assert(poisoned(0));
    gmk_test_assert(!poisoned(1)); /* the type, not the module */
    run(T_GOOD, false);
    env_end(&env);
    gmk_test_assert_eq(env.report.failed, GMK_POISON_RATE + 1);
}

/* One failure in `every` ticks; returns how many it took to flag, at most limit. */
static uint32_t failures_until_flag(uint32_t every, uint32_t limit)
{
    uint32_t n = 0;

    while (n < limit && !poisoned(0)) {
        run(T_BAD, true);
        n++;
        ticks(every);
    }
    return n;
}

/* MOD-22, FM-3. */
GMK_TEST(module_poison_window_is_a_thousand_ticks)
{
    static const struct {
        uint32_t every; /* ticks between two failures */
        uint32_t want;  /* failures until the flag; 200: never */
    } cases[] = {{1, 33}, {20, 33}, {31, 33}, {32, 200}, {40, 200}, {1000, 200}};

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(cases); i++) {
        GMK_REQUIRE(poison_boot());
        gmk_test_assert_eq(failures_until_flag(cases[i].every, 200), cases[i].want);
        env_end(&env);
    }
}

/* MOD-23, ACC-10. */
GMK_TEST(module_poison_five_percent_sustained_flags)
{
    uint32_t tick = 0;

    GMK_REQUIRE(poison_boot());
    for (; tick < 1000 && !poisoned(0); tick++) {
        run(T_BAD, tick % 20 == 0);
        ticks(1);
    }
    gmk_test_assert_eq(tick, 20 * GMK_POISON_RATE + 1);
    env_end(&env);
}

/* MOD-24. */
GMK_TEST(module_poisoned_tasks_go_to_sys_error_unrun_until_reset)
{
    uint32_t n = GMK_POISON_RATE + 1;

    GMK_REQUIRE(poison_boot());
    for (uint32_t i = 0; i < n; i++)
        run(T_BAD, true);
    gmk_test_assert_eq(env.got, n);
    for (uint32_t i = 0; i < 10; i++)
        run(T_BAD, false);
    gmk_test_assert_eq(env.got, n); /* none of them was run */
    gmk_test_assert_eq(env.next[0], 10);
    gmk_test_assert_eq(env.next[1], n);
    gmk_test_assert_eq(env.next[2], n + 10);
    gmk_test_assert_eq(gmk_metric_get(&env.kernel, GMK_METRIC_POISON_SKIPS), 10);
    gmk_test_assert_eq(gmk_mod_reset(&env.kernel, T_BAD), GMK_OK);
    gmk_test_assert(!poisoned(0));
    run(T_BAD, false);
    gmk_test_assert_eq(env.got, n + 1);
    /* The window begins anew. */
    for (uint32_t i = 0; i < GMK_POISON_RATE; i++)
        run(T_BAD, true);
    gmk_test_assert(!poisoned(0));
    run(T_BAD, true);
    gmk_test_assert(poisoned(0));
    gmk_test_assert_eq(gmk_mod_reset(&env.kernel, 99), GMK_E_NOT_FOUND);
    gmk_test_assert_eq(gmk_mod_reset(NULL, T_BAD), GMK_E_INVALID);
    env_end(&env);
}

/* Yields. ---------------------------------------------------------------------------- */

static int on_yield(gmk_ctx_t *ctx)
{
    env.got++;
    gmk_yield(ctx);
    return GMK_OK;
}

/* EQ-7, MOD-25, FM-4. */
GMK_TEST(module_max_yields_default_own_and_never)
{
    static const struct {
        uint32_t max_yields, runs;
    } cases[] = {{0, GMK_DEFAULT_MAX_YIELDS + 1}, {1, 2}, {40, 41}, {GMK_YIELD_NEVER, 1}};
    gmk_handler_reg_t h = {.type = T_MSG, .fn = on_yield, .name = "yield"};
    gmk_module_t m = {.name = "m", .handlers = &h, .n_handlers = 1};
    gmk_module_t *mods[] = {&m};

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(cases); i++) {
        h.max_yields = cases[i].max_yields;
        reset();
        GMK_REQUIRE(env_boot(&env, 1, GMK_BOOT_MANUAL_TICKS, mods, 1));
        run(T_MSG, false);
        gmk_test_assert_eq(env.got, cases[i].runs);
        gmk_test_assert_eq(gmk_metric_get(&env.kernel, GMK_METRIC_YIELD_LIMITS), 1);
        /* A trip is a failure for the poison window (MOD-25). */
        for (uint32_t n = 0; n < GMK_POISON_RATE; n++)
            run(T_MSG, false);
        gmk_test_assert(poisoned(0));
        env_end(&env);
        gmk_test_assert_eq(env.report.failed, GMK_POISON_RATE + 1);
    }
}

/* The largest declared number of slots counts, whoever declares it. */
GMK_TEST(module_declared_slots_largest_counts)
{
    gmk_chan_decl_t small = {.name = "t.msg", .direction = PRODUCE, .msg_type = T_MSG, .slots = 5};
    gmk_chan_decl_t large = {
        .name = "t.msg", .direction = CONSUME, .msg_type = T_MSG, .slots = 100};
    gmk_handler_reg_t h = H(T_MSG);
    gmk_module_t a = {.name = "a", .channels = &small, .n_channels = 1};
    gmk_module_t b = {
        .name = "b", .handlers = &h, .n_handlers = 1, .channels = &large, .n_channels = 1};
    gmk_module_t *mods[] = {&a, &b};
    gmk_chan_info_t info;
    int id;

    reset();
    GMK_REQUIRE(env_boot(&env, 1, 0, mods, 2));
    id = gmk_chan_find(env.ctx, "t.msg");
    gmk_test_assert_eq(gmk_chan_get_info(&env.kernel, (uint32_t)id, &info), GMK_OK);
    gmk_test_assert_eq(info.slots, 128);
    gmk_test_assert_str_eq(info.consumer, "b");
    env_end(&env);
}

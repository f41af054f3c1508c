/* SPDX-License-Identifier: MIT
 * The fault guard: a handler that crashes fails its task, and nothing else is hurt.
 * Floor: tests. Source: SPEC FM-11, V-73, FM-14. */
#include "guard_env.h"

#ifdef GMK_SIM
#include "sim.h"
#endif

/* True where a worker's handler may crash; a test that needs it returns otherwise. */
static bool guards(void)
{
    if (!GUARD_WORKS)
        gmk_test_skip("TSan loses the jump buffers of fibers: see guard_env.h");
    return GUARD_WORKS;
}

#define FAULT_CODE(reason) ((uint32_t)((reason) >> 16 & 0xffff))

enum { CRASH = 1, GOOD, MSG, CALL, SPAWN, DET, TYPES };

typedef struct guard {
    gmk_kernel_t kernel;
    uint32_t chan;
    gmk_a32_t good;   /* what ended well */
    gmk_a32_t errors; /* on sys.error */
    gmk_a32_t reasons[GMK_REASON_COUNT];
    gmk_a32_t codes[8]; /* of GMK_ERR_CRASHED */
    gmk_a32_t told;     /* by the error handler of the channel */
    gmk_a32_t told_bad;
    gmk_a32_t wrong;
    gmk_a32_t finis;
    uint64_t due;     /* the next message in order */
    gmk_task_t *torn; /* its first 16 bytes have memory, the others have none */
    gmk_task_t *bad;  /* an address without memory, or torn */
    int (*call)(gmk_ctx_t *ctx);
} guard_t;

static guard_t g;

static int on_crash(gmk_ctx_t *ctx)
{
    crash((uint32_t)ctx->task->meta0);
    kit_add(&g.wrong, 1);
    return GMK_OK;
}

static int on_good(gmk_ctx_t *ctx)
{
    (void)ctx;
    kit_add(&g.good, 1);
    return GMK_OK;
}

static int on_call(gmk_ctx_t *ctx) { return g.call(ctx); }

static int on_error(gmk_ctx_t *ctx)
{
    uint64_t why = ctx->task->meta0;

    kit_add(&g.errors, 1);
    if ((why & 0xffff) < GMK_REASON_COUNT)
        kit_add(&g.reasons[why & 0xffff], 1);
    if ((why & 0xffff) == GMK_ERR_CRASHED && FAULT_CODE(why) < GMK_ARRAY_LEN(g.codes))
        kit_add(&g.codes[FAULT_CODE(why)], 1);
    return GMK_OK;
}

static gmk_handler_reg_t main_handlers[] = {{.type = CRASH, .fn = on_crash, .name = "crash"},
                                            {.type = GOOD, .fn = on_good, .name = "good"},
                                            {.type = CALL, .fn = on_call, .name = "call"}};
static gmk_module_t main_module = {
    .name = "main", .handlers = main_handlers, .n_handlers = GMK_ARRAY_LEN(main_handlers)};

static gmk_handler_reg_t watch_handlers[] = {
    {.type = GMK_TYPE_SYS_ERROR, .fn = on_error, .name = "error"}};
static gmk_chan_decl_t watch_channels[] = {
    {.name = "sys.error", .direction = GMK_CHAN_CONSUME, .msg_type = GMK_TYPE_SYS_ERROR}};
static gmk_module_t watch_module = {.name = "watch",
                                    .handlers = watch_handlers,
                                    .n_handlers = 1,
                                    .channels = watch_channels,
                                    .n_channels = 1};

#define PAGE 4096u
#define N_PAGES 8u

static CRASHES void read_byte(void *at) { (void)*(const volatile char *)at; }

static bool has_memory(char *at)
{
    uint32_t inside = 0;

    return gmk_hal_guard_call(read_byte, at, &inside) == GMK_HAL_FAULT_NONE;
}

/* A page with memory, before one without and one with: no larger thing will ever fill a hole
 * of one page. One of several pages is given back, and ports leave holes of their own. */
static char *page_before_a_hole(void)
{
    char *pages[N_PAGES], *found = NULL;
    gmk_hal_guard_t guard;

    for (uint32_t i = 0; i < N_PAGES; i++)
        if ((pages[i] = gmk_hal_page_alloc(PAGE, PAGE)) == NULL)
            return NULL;
    gmk_hal_page_free(pages[N_PAGES / 2], PAGE);
    if (gmk_hal_guard_open() != 0)
        return NULL;
    gmk_hal_guard_enter(&guard);
    for (uint32_t i = 0; i < N_PAGES && found == NULL; i++)
        if (i != N_PAGES / 2 && !has_memory(pages[i] + PAGE) && has_memory(pages[i] + 2 * PAGE))
            found = pages[i];
    gmk_hal_guard_leave(&guard);
    gmk_hal_guard_close();
    return found;
}

/* Boots the module under test beside the two above. */
static bool begin(uint32_t n_workers, uint32_t flags, gmk_module_t *more, uint32_t n_more)
{
    gmk_module_t *mods[6] = {&watch_module, &main_module};
    gmk_boot_cfg_t cfg = {.n_workers = n_workers, .flags = flags | GMK_BOOT_FAULT_GUARD};
    static char *page;

    gmk_hal_memset(&g, 0, sizeof(g));
    for (uint32_t i = 0; i < n_more; i++)
        mods[2 + i] = &more[i];
    if (page == NULL)
        page = page_before_a_hole();
    if (!gmk_test_assert(page != NULL))
        return false;
    g.torn = (gmk_task_t *)(void *)(page + PAGE - 16);
    g.bad = (gmk_task_t *)(void *)(page + PAGE);
    g.torn->type = GOOD; /* valid as far as it can be read */
    return kit_boot_mods(&g.kernel, &cfg, mods, 2 + n_more);
}

static uint64_t metric(uint32_t id) { return gmk_metric_get(&g.kernel, id); }

static void run(uint32_t type, uint64_t meta0)
{
    kit_submit(&g.kernel, kit_task(type, GMK_PRIO_NORMAL, meta0));
    kit_idle(&g.kernel);
}

static uint32_t crashed(void) { return kit_get(&g.reasons[GMK_ERR_CRASHED]); }

/* FM-11, V-73, FM-14: each kind of crash fails its task with its reason and kind; the worker,
 * there is one, goes on. */
GMK_TEST(guard_each_kind_of_crash_fails_the_task_and_says_what_it_was)
{
    static const uint32_t kinds[N_CRASHES] = {GMK_HAL_FAULT_MEMORY, GMK_HAL_FAULT_MEMORY,
                                              GMK_HAL_FAULT_ARITHMETIC, GMK_HAL_FAULT_INSTRUCTION,
                                              GMK_HAL_FAULT_STACK};
    static const char *const names[N_CRASHES] = {"null", "read-only", "division", "instruction",
                                                 "stack"};
    uint32_t n = 0;

    if (!guards())
        return;
    GMK_REQUIRE(begin(1, 0, NULL, 0));
    for (uint32_t round = 0; round < 3; round++)
        for (uint32_t how = 0; how < N_CRASHES; how++) {
            uint32_t before = kit_get(&g.codes[kinds[how]]);

#if !defined(__x86_64__)
            if (how == BY_DIVISION)
                continue; /* gives 0 elsewhere */
#endif
            run(CRASH, how);
            n++;
            gmk_test_assert_named(kit_get(&g.codes[kinds[how]]) == before + 1, names[how]);
            gmk_test_assert_eq(metric(GMK_METRIC_HANDLER_CRASHES), n);
            gmk_test_assert_eq(metric(GMK_METRIC_TASKS_FAILED), n);
            run(GOOD, 0);
            gmk_test_assert_eq(kit_get(&g.good), n);
        }
    gmk_test_assert_eq(crashed(), n);
    gmk_test_assert_eq(kit_get(&g.errors), n);
    gmk_test_assert_eq(kit_get(&g.wrong), 0);
    gmk_test_assert_str_eq(gmk_reason_text(GMK_ERR_CRASHED),
                           "handler crashed and the fault guard caught it");
    kit_halt(&g.kernel);
}

/* What a handler asked for or gave back before it crashed. */

static int yield_then_crash(gmk_ctx_t *ctx)
{
    gmk_yield(ctx);
    crash(BY_NULL);
    return GMK_OK;
}

static int release_then_crash(gmk_ctx_t *ctx)
{
    gmk_payload_release(ctx);
    crash(BY_NULL);
    return GMK_OK;
}

static int spawn_then_crash(gmk_ctx_t *ctx)
{
    gmk_task_t t = kit_task(GOOD, GMK_PRIO_NORMAL, 0);

    for (uint32_t i = 0; i < 20; i++)
        if (gmk_emit(ctx, &t) != GMK_OK)
            kit_add(&g.wrong, 1);
    crash(BY_NULL);
    return GMK_OK;
}

/* FM-11: a crash is a failure whatever the handler did before: a yield is not honoured, a
 * payload not freed twice, what was emitted stands. */
GMK_TEST(guard_what_was_done_before_a_crash_stands_and_no_more)
{
    gmk_host_t host;
    gmk_ctx_t *ctx;
    gmk_task_t t = kit_task(CALL, GMK_PRIO_NORMAL, 0);

    if (!guards())
        return;
    GMK_REQUIRE(begin(2, 0, NULL, 0));
    g.call = yield_then_crash;
    run(CALL, 0);
    gmk_test_assert_eq(crashed(), 1);
    gmk_test_assert_eq(metric(GMK_METRIC_TASKS_YIELDED), 0);
    g.call = spawn_then_crash;
    run(CALL, 0);
    gmk_test_assert_eq(crashed(), 2);
    gmk_test_assert_eq(kit_get(&g.good), 20);
    ctx = gmk_host_attach(&g.kernel, &host);
    GMK_REQUIRE(ctx != NULL);
    for (uint32_t i = 0; i < 2; i++) {
        void *p = gmk_payload_alloc(ctx, 100);

        GMK_REQUIRE(p != NULL);
        gmk_task_set_payload(&t, p);
        g.call = i == 0 ? release_then_crash : yield_then_crash;
        gmk_test_assert_eq(gmk_emit(ctx, &t), GMK_OK);
        kit_idle(&g.kernel);
    }
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    gmk_test_assert_eq(crashed(), 4);
    gmk_test_assert_eq(metric(GMK_METRIC_ALLOC_BAD_FREES), 0);
    gmk_test_assert_eq(kit_get(&g.wrong), 0);
    kit_halt(&g.kernel);
}

/* Bad pointers given to the core. */

static uint32_t bad_chan;
static gmk_kernel_t *bad_kernel;

static int bad_emit(gmk_ctx_t *ctx) { return gmk_emit(ctx, g.bad); }
static int bad_emit_to(gmk_ctx_t *ctx) { return gmk_emit_to(ctx, g.bad, 0); }
static int bad_emit_after(gmk_ctx_t *ctx) { return gmk_emit_after(ctx, g.bad, 1); }
static int bad_chan_emit(gmk_ctx_t *ctx) { return gmk_chan_emit(ctx, bad_chan, g.bad); }
static int bad_chan_wait(gmk_ctx_t *ctx) { return gmk_chan_emit_wait(ctx, bad_chan, g.bad); }
static int bad_batch(gmk_ctx_t *ctx) { return gmk_chan_emit_batch(ctx, bad_chan, g.bad, 3); }

static int bad_cells(gmk_ctx_t *ctx)
{
    uintptr_t line = ((uintptr_t)g.bad + 63) & ~(uintptr_t)63; /* a cell lies in one page */

    return gmk_chan_emit_cells(ctx, bad_chan, (const gmk_cell_t *)line, 1);
}

static int bad_submit(gmk_ctx_t *ctx)
{
    (void)ctx;
    return gmk_submit(bad_kernel, g.bad);
}

static int bad_submit_to(gmk_ctx_t *ctx)
{
    (void)ctx;
    return gmk_submit_to(bad_kernel, g.bad, 0);
}

static int bad_submit_after(gmk_ctx_t *ctx)
{
    (void)ctx;
    return gmk_submit_after(bad_kernel, g.bad, 1);
}

static int bad_find(gmk_ctx_t *ctx)
{
    bad_chan = (uint32_t)gmk_chan_find(ctx, "box");
    return GMK_OK;
}

static gmk_handler_reg_t box_handlers[] = {{.type = MSG, .fn = on_good, .name = "box"}};
static gmk_chan_decl_t box_channels[] = {
    {.name = "box", .direction = GMK_CHAN_CONSUME, .msg_type = MSG, .slots = 8}};
static gmk_module_t box_module = {.name = "box",
                                  .handlers = box_handlers,
                                  .n_handlers = 1,
                                  .channels = box_channels,
                                  .n_channels = 1};

/* FM-11, V-73: a bad task pointer is the handler's own crash: no cell is claimed, no gate
 * stays entered, so the channel and both kernels work on and halt. */
GMK_TEST(guard_a_bad_task_pointer_leaves_no_call_half_done)
{
    static int (*const calls[])(gmk_ctx_t *) = {
        bad_emit,  bad_emit_to, bad_emit_after, bad_chan_emit, bad_chan_wait,
        bad_batch, bad_cells,   bad_submit,     bad_submit_to, bad_submit_after};
    static gmk_kernel_t other;
    gmk_boot_cfg_t cfg = {.n_workers = 1};
    gmk_task_t t = kit_task(MSG, GMK_PRIO_NORMAL, 0);
    gmk_host_t host;
    gmk_ctx_t *ctx;

    if (!guards())
        return;
    GMK_REQUIRE(begin(1, 0, &box_module, 1));
    GMK_REQUIRE(kit_boot(&other, &cfg, &main_module));
    bad_kernel = &other;
    g.call = bad_find;
    run(CALL, 0);
    GMK_REQUIRE(bad_chan != 0);
    for (uint32_t i = 0; i < 2 * GMK_ARRAY_LEN(calls); i++) {
        if (i == GMK_ARRAY_LEN(calls))
            g.bad = g.torn;
        g.call = calls[i % GMK_ARRAY_LEN(calls)];
        run(CALL, 0);
        gmk_test_assert_eq(crashed(), i + 1);
    }
    ctx = gmk_host_attach(&g.kernel, &host);
    GMK_REQUIRE(ctx != NULL);
    for (uint32_t i = 0; i < 20; i++) { /* more than the ring has */
        gmk_test_assert_eq(gmk_chan_emit(ctx, bad_chan, &t), GMK_OK);
        kit_idle(&g.kernel);
    }
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    gmk_test_assert_eq(kit_get(&g.good), 20);
    kit_halt(&other);
    kit_halt(&g.kernel);
}

/* Channels. ------------------------------------------------------------------------- */

/* Message n crashes if n is a multiple of 3; the others come in order, one at a time. */
static int on_msg(gmk_ctx_t *ctx)
{
    uint64_t n = ctx->task->meta0;

    if (n != g.due++)
        kit_add(&g.wrong, 1);
    if (n % 3 == 0)
        crash(n % 2 ? BY_NULL : BY_INSTRUCTION);
    kit_add(&g.good, 1);
    return GMK_OK;
}

/* The error handler of the channel: crashes itself once. */
static int on_told(gmk_ctx_t *ctx)
{
    uint32_t want = GMK_ERR_CRASHED |
                    (ctx->task->meta0 % 2 ? GMK_HAL_FAULT_MEMORY : GMK_HAL_FAULT_INSTRUCTION) << 16;

    kit_add(&g.told, 1);
    if (gmk_error_reason(ctx) != want || ctx->task->meta0 % 3 != 0)
        kit_add(&g.told_bad, 1);
    if (ctx->task->meta0 == 6)
        crash(BY_NULL);
    return GMK_OK;
}

static int on_spawn(gmk_ctx_t *ctx)
{
    for (uint64_t i = 0; i < ctx->task->meta0; i++) {
        gmk_task_t t = kit_task(MSG, GMK_PRIO_NORMAL, i);

        if (gmk_chan_emit(ctx, g.chan, &t) != GMK_OK)
            kit_add(&g.wrong, 1);
    }
    return GMK_OK;
}

static int p2p_init(gmk_ctx_t *ctx)
{
    g.chan = (uint32_t)gmk_chan_find(ctx, "p2p");
    return gmk_chan_on_error(ctx, g.chan, on_told);
}

static gmk_handler_reg_t p2p_handlers[] = {{.type = MSG, .fn = on_msg, .name = "msg"},
                                           {.type = SPAWN, .fn = on_spawn, .name = "spawn"}};
static gmk_chan_decl_t p2p_channels[] = {
    {.name = "p2p", .direction = GMK_CHAN_CONSUME, .msg_type = MSG, .slots = 64}};
static gmk_module_t p2p_module = {.name = "p2p",
                                  .handlers = p2p_handlers,
                                  .n_handlers = GMK_ARRAY_LEN(p2p_handlers),
                                  .channels = p2p_channels,
                                  .n_channels = 1,
                                  .init = p2p_init};

/* FM-11, CH-31: a message that crashes its handler goes to the channel's error handler; the
 * messages behind it come in order; a crash of the error handler goes to sys.error. */
GMK_TEST(guard_a_crashing_message_goes_to_the_error_handler_of_its_channel)
{
    if (!guards())
        return;
    GMK_REQUIRE(begin(2, 0, &p2p_module, 1));
    run(SPAWN, 30);
    gmk_test_assert_eq(kit_get(&g.good), 20);
    gmk_test_assert_eq(kit_get(&g.told), 10);
    gmk_test_assert_eq(kit_get(&g.told_bad), 0);
    gmk_test_assert_eq(g.due, 30);
    gmk_test_assert_eq(crashed(), 1);
    gmk_test_assert_eq(kit_get(&g.wrong), 0);
    gmk_test_assert_eq(metric(GMK_METRIC_HANDLER_CRASHES), 11);
    kit_halt(&g.kernel);
}

/* Fan-out: the first of three subscribers crashes on every other message. */
static int on_fan(gmk_ctx_t *ctx)
{
    const unsigned char *p = (const unsigned char *)(uintptr_t)ctx->task->payload_ptr;

    if (ctx->user != NULL && ctx->task->meta0 % 2 == 0)
        crash(BY_NULL);
    for (uint32_t i = 0; i < ctx->task->payload_len; i++)
        if (p[i] != (unsigned char)ctx->task->meta0)
            kit_add(&g.wrong, 1);
    kit_add(&g.good, 1);
    return GMK_OK;
}

#define FAN_MESSAGES 40u

static int fan_emit(gmk_ctx_t *ctx)
{
    for (uint64_t i = 0; i < FAN_MESSAGES; i++) {
        gmk_task_t t = kit_task(MSG, GMK_PRIO_NORMAL, i);
        void *p = gmk_payload_alloc(ctx, 200);

        if (p == NULL) {
            kit_add(&g.wrong, 1);
            return GMK_FAIL;
        }
        gmk_hal_memset(p, (int)i, 200);
        gmk_task_set_payload(&t, p);
        if (gmk_chan_emit(ctx, (uint32_t)gmk_chan_find(ctx, "fan"), &t) != GMK_OK)
            kit_add(&g.wrong, 1);
    }
    return GMK_OK;
}

static gmk_handler_reg_t fan_handlers[] = {{.type = MSG, .fn = on_fan, .name = "fan"}};
static gmk_chan_decl_t fan_channels[] = {{.name = "fan",
                                          .direction = GMK_CHAN_CONSUME,
                                          .mode = GMK_CHAN_FANOUT,
                                          .msg_type = MSG,
                                          .slots = 64}};
#define FAN_MODULE(n, u)                                                                           \
    {                                                                                              \
        .name = n, .handlers = fan_handlers, .n_handlers = 1, .channels = fan_channels,            \
        .n_channels = 1, .user = u                                                                 \
    }
static gmk_module_t fan_modules[] = {FAN_MODULE("fan.a", &g), FAN_MODULE("fan.b", NULL),
                                     FAN_MODULE("fan.c", NULL)};

/* FM-11, CH-42: of a fan-out message whose handler crashed with one subscriber, the others get
 * the payload whole, and it is freed once. */
GMK_TEST(guard_a_payload_shared_with_a_crashing_subscriber_is_freed_once)
{
    if (!guards())
        return;
    GMK_REQUIRE(begin(3, 0, fan_modules, 3));
    g.call = fan_emit;
    run(CALL, 0);
    gmk_test_assert_eq(kit_get(&g.good), 3 * FAN_MESSAGES - FAN_MESSAGES / 2);
    gmk_test_assert_eq(crashed(), FAN_MESSAGES / 2);
    gmk_test_assert_eq(kit_get(&g.wrong), 0);
    gmk_test_assert_eq(metric(GMK_METRIC_ALLOC_BAD_FREES), 0);
    kit_halt(&g.kernel);
}

/* A parallel consumer. */
static int on_parallel(gmk_ctx_t *ctx)
{
    if (ctx->task->meta0 % 4 == 0)
        crash(BY_NULL);
    kit_add(&g.good, 1);
    return GMK_OK;
}

static int parallel_init(gmk_ctx_t *ctx)
{
    g.chan = (uint32_t)gmk_chan_find(ctx, "par");
    return GMK_OK;
}

static gmk_handler_reg_t parallel_handlers[] = {{.type = MSG, .fn = on_parallel, .name = "par"},
                                                {.type = SPAWN, .fn = on_spawn, .name = "spawn"}};
static gmk_chan_decl_t parallel_channels[] = {{.name = "par",
                                               .direction = GMK_CHAN_CONSUME | GMK_CHAN_PARALLEL,
                                               .msg_type = MSG,
                                               .slots = 128}};
static gmk_module_t parallel_module = {.name = "par",
                                       .handlers = parallel_handlers,
                                       .n_handlers = GMK_ARRAY_LEN(parallel_handlers),
                                       .channels = parallel_channels,
                                       .n_channels = 1,
                                       .init = parallel_init};

/* FM-11: the same for a parallel consumer. */
GMK_TEST(guard_a_parallel_consumer_goes_on_after_crashes)
{
    if (!guards())
        return;
    GMK_REQUIRE(begin(3, 0, &parallel_module, 1));
    run(SPAWN, 100);
    gmk_test_assert_eq(kit_get(&g.good), 75);
    gmk_test_assert_eq(crashed(), 25);
    gmk_test_assert_eq(kit_get(&g.wrong), 0);
    kit_halt(&g.kernel);
}

/* Deterministic work. */
static int on_det(gmk_ctx_t *ctx)
{
    if (ctx->task->meta0 == 1)
        crash(BY_NULL);
    kit_add(&g.good, 1);
    return GMK_OK;
}

static gmk_handler_reg_t det_handlers[] = {
    {.type = DET, .fn = on_det, .name = "det", .flags = GMK_HF_DETERMINISTIC}};
static gmk_module_t det_module = {.name = "det", .handlers = det_handlers, .n_handlers = 1};

/* FM-11, DET-1: a deterministic task that crashes fails, its tick ends, the next one runs. */
GMK_TEST(guard_a_tick_ends_though_a_task_of_it_crashed)
{
    if (!guards())
        return;
    GMK_REQUIRE(begin(2, GMK_BOOT_MANUAL_TICKS, &det_module, 1));
    for (uint32_t tick = 0; tick < 3; tick++) {
        for (uint64_t i = 0; i < 3; i++)
            kit_submit(&g.kernel, kit_task(DET, GMK_PRIO_NORMAL | GMK_TF_DETERMINISTIC, i));
        gmk_tick_advance(&g.kernel);
        gmk_test_assert_eq(gmk_tick_wait(&g.kernel, KIT_WAIT_NS), GMK_OK);
        kit_idle(&g.kernel);
        gmk_test_assert_eq(kit_get(&g.good), 2 * (tick + 1));
        gmk_test_assert_eq(crashed(), tick + 1);
    }
    kit_halt(&g.kernel);
}

/* Boot. ------------------------------------------------------------------------------- */

static uint32_t init_how;

static int crash_init(gmk_ctx_t *ctx)
{
    (void)ctx;
    crash(init_how);
    return GMK_OK;
}

static int count_fini(gmk_ctx_t *ctx)
{
    (void)ctx;
    kit_add(&g.finis, 1);
    return GMK_OK;
}

/* FM-11: an init that crashes makes boot fail with a story; what was begun is undone, and the
 * kernel boots without that module. */
GMK_TEST(guard_a_crash_in_init_makes_boot_fail_with_a_story)
{
    gmk_module_t first = {.name = "first", .fini = count_fini};
    gmk_module_t bad = {.name = "bad", .init = crash_init, .fini = count_fini};
    gmk_module_t *mods[] = {&first, &bad};
    gmk_boot_cfg_t cfg = {.n_workers = 1, .flags = GMK_BOOT_FAULT_GUARD};

    gmk_hal_memset(&g, 0, sizeof(g));
    init_how = BY_NULL;
    gmk_test_assert_eq(gmk_boot(&g.kernel, &cfg, mods, 2), GMK_E_INIT);
    gmk_test_assert_str_eq(gmk_boot_error(&g.kernel),
                           "init of module 'bad' crashed (bad memory access): boot without "
                           "GMK_BOOT_FAULT_GUARD to see where");
    gmk_test_assert_eq(kit_get(&g.finis), 1);
    init_how = BY_INSTRUCTION;
    gmk_test_assert_eq(gmk_boot(&g.kernel, &cfg, mods, 2), GMK_E_INIT);
    gmk_test_assert_str_eq(gmk_boot_error(&g.kernel),
                           "init of module 'bad' crashed (bad instruction or trap): boot without "
                           "GMK_BOOT_FAULT_GUARD to see where");
    GMK_REQUIRE(kit_boot(&g.kernel, &cfg, &first));
    kit_halt(&g.kernel);
    gmk_test_assert_eq(kit_get(&g.finis), 3);
}

#ifdef GMK_SIM
/* V-73: a machine without a fault guard refuses the flag. */
GMK_TEST(guard_a_machine_without_one_refuses_the_flag)
{
    gmk_boot_cfg_t cfg = {.n_workers = 1, .flags = GMK_BOOT_FAULT_GUARD};
    gmk_module_t *mods[] = {&main_module};

    gmk_sim_no_guard = true;
    gmk_test_assert_eq(gmk_boot(&g.kernel, &cfg, mods, 1), GMK_E_UNSUPPORTED);
    gmk_test_assert_str_eq(
        gmk_boot_error(&g.kernel),
        "this machine has no fault guard: clear GMK_BOOT_FAULT_GUARD in cfg.flags");
    gmk_sim_no_guard = false;
    GMK_REQUIRE(kit_boot_mods(&g.kernel, &cfg, mods, 1));
    kit_halt(&g.kernel);
}
#endif

/* FM-3, FM-11: crashes poison like other failures; then nothing crashes any more. */
GMK_TEST(guard_a_handler_that_crashes_too_often_is_poisoned)
{
    if (!guards())
        return;
    GMK_REQUIRE(begin(1, GMK_BOOT_MANUAL_TICKS, NULL, 0));
    for (uint32_t i = 0; i < GMK_POISON_RATE + 10; i++)
        run(CRASH, BY_NULL);
    gmk_test_assert_eq(metric(GMK_METRIC_HANDLER_CRASHES), GMK_POISON_RATE + 1);
    gmk_test_assert_eq(crashed(), GMK_POISON_RATE + 1);
    gmk_test_assert_eq(kit_get(&g.reasons[GMK_ERR_POISONED]), 9);
    gmk_test_assert_eq(gmk_mod_reset(&g.kernel, CRASH), GMK_OK);
    run(CRASH, BY_NULL);
    gmk_test_assert_eq(metric(GMK_METRIC_HANDLER_CRASHES), GMK_POISON_RATE + 2);
    kit_halt(&g.kernel);
}

/* Many. ------------------------------------------------------------------------------- */

#define STORM_TYPES 64u /* so that none is poisoned: 16 crashes each */
#define STORM_FIRST 100u

static int on_storm(gmk_ctx_t *ctx)
{
    gmk_task_t t = kit_task(GOOD, GMK_PRIO_NORMAL, 0);

    for (uint32_t i = 0; i < 4; i++)
        if (gmk_emit(ctx, &t) != GMK_OK)
            kit_add(&g.wrong, 1);
    crash(ctx->task->meta0 % 100 == 0 ? BY_STACK : BY_NULL);
    return GMK_OK;
}

/* FM-11, V-73: a thousand crashes on four workers while other work goes on: every task has its
 * end, and the books balance. */
GMK_TEST(guard_a_thousand_crashes_beside_other_work_lose_nothing)
{
    static gmk_handler_reg_t handlers[STORM_TYPES];
    gmk_module_t storm = {.name = "storm", .handlers = handlers, .n_handlers = STORM_TYPES};
    uint64_t n = gmk_test_scale(1000, 300);
    gmk_module_t *mods[] = {&main_module, &storm}; /* nobody hears sys.error, which drops */
    gmk_boot_cfg_t cfg = {.n_workers = 4, .flags = GMK_BOOT_MANUAL_TICKS | GMK_BOOT_FAULT_GUARD};
    gmk_audit_report_t books;

    if (!guards())
        return;
    gmk_hal_memset(&g, 0, sizeof(g));
    for (uint32_t i = 0; i < STORM_TYPES; i++)
        handlers[i] = (gmk_handler_reg_t){.type = STORM_FIRST + i, .fn = on_storm, .name = "storm"};
    GMK_REQUIRE(kit_boot_mods(&g.kernel, &cfg, mods, 2));
    for (uint64_t i = 0; i < n; i++) {
        kit_submit(&g.kernel, kit_task(STORM_FIRST + i % STORM_TYPES, GMK_PRIO_NORMAL, i));
        kit_submit(&g.kernel, kit_task(GOOD, GMK_PRIO_NORMAL, i));
    }
    kit_idle(&g.kernel);
    gmk_test_assert_eq(metric(GMK_METRIC_HANDLER_CRASHES), n);
    gmk_test_assert_eq(metric(GMK_METRIC_TASKS_FAILED), n);
    gmk_test_assert_eq(kit_get(&g.good), 5 * n);
    gmk_test_assert_eq(kit_get(&g.wrong), 0);
    gmk_test_assert_eq(gmk_audit(&g.kernel, &books), GMK_OK);
    gmk_test_assert(books.balanced);
    books = kit_halt(&g.kernel);
    gmk_test_assert_eq(books.dead, 0);
    gmk_test_assert_eq(books.failed, n);
}

/* V-73: the guard is a kernel's own: one without it works beside it, and after the guarded one
 * has ended; a second guarded one keeps its guard. */
GMK_TEST(guard_kernels_with_and_without_live_side_by_side)
{
    static gmk_kernel_t plain;
    static gmk_kernel_t second;
    gmk_boot_cfg_t cfg = {.n_workers = 2};
    gmk_boot_cfg_t guarded = {.n_workers = 2, .flags = GMK_BOOT_FAULT_GUARD};

    if (!guards())
        return;
    GMK_REQUIRE(kit_boot(&plain, &cfg, &main_module));
    GMK_REQUIRE(begin(2, 0, NULL, 0));
    GMK_REQUIRE(kit_boot(&second, &guarded, &main_module));
    for (uint32_t i = 0; i < 20; i++) {
        kit_submit(&plain, kit_task(GOOD, GMK_PRIO_NORMAL, 0));
        kit_submit(&second, kit_task(CRASH, GMK_PRIO_NORMAL, BY_NULL));
        kit_submit(&g.kernel, kit_task(CRASH, GMK_PRIO_NORMAL, BY_NULL));
    }
    kit_idle(&g.kernel);
    kit_halt(&g.kernel);
    kit_submit(&second, kit_task(CRASH, GMK_PRIO_NORMAL, BY_STACK));
    kit_idle(&second);
    kit_submit(&plain, kit_task(GOOD, GMK_PRIO_NORMAL, 0));
    kit_idle(&plain);
    gmk_test_assert_eq(gmk_metric_get(&second, GMK_METRIC_HANDLER_CRASHES), 21);
    gmk_test_assert_eq(gmk_metric_get(&plain, GMK_METRIC_HANDLER_CRASHES), 0);
    kit_halt(&second);
    gmk_test_assert_eq(kit_get(&g.good), 21);
    kit_halt(&plain);
}

/* SPDX-License-Identifier: MIT
 * Deterministic work in a whole kernel: the same results and trace hash on any number of
 * workers, ticks that begin and end.
 * Floor: tests. Source: SPEC DET-1 to DET-9, CH-54, ACC-7; ARCHITECTURE R15. */
#include "det_work.h"

/* ACC-7, DET-1, DET-2, DET-7, DET-9: identical results and hash for any number of workers. */
GMK_TEST(det_same_results_and_hash_on_any_number_of_workers)
{
    static const uint32_t workers[] = {1, 1, 2, 3, 8};
    struct det first = {.hash = 0};
    uint64_t seed = gmk_test_seed() * 1000;

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(workers); i++) {
        GMK_REQUIRE(begin(workers[i]));
        run_all(seed);
        end();
        if (i == 0)
            first = det;
        gmk_test_assert_gt(det.part[3].n, 0);
        gmk_test_assert_ne(det.hash, 0);
        gmk_test_assert_eq(det.hash, first.hash);
        for (uint32_t p = 0; p < 4; p++) {
            gmk_test_assert_eq(det.part[p].sum, first.part[p].sum);
            gmk_test_assert_eq(det.part[p].n, first.part[p].n);
        }
    }
    GMK_REQUIRE(begin(2));
    run_all(seed + 1);
    end();
    gmk_test_assert_ne(det.hash, first.hash); /* other input, other hash */
}

/* DET-4, DET-5, CH-54: what comes during a tick waits for the next one; nothing runs
 * without an advance. */
GMK_TEST(det_emission_lands_in_the_next_tick)
{
    gmk_task_t t = {.type = T_MID, .meta0 = 1};
    gmk_audit_report_t books;

    GMK_REQUIRE(begin(2));
    gmk_test_assert_eq(send(det.ctx, "det.mid", t), GMK_OK);
    GMK_REQUIRE(kit_idle(&det.k));
    gmk_test_assert_eq(det.part[1].n, 0);
    gmk_test_assert_eq(gmk_audit(&det.k, &books), GMK_OK);
    gmk_test_assert_eq(books.queued, 1);
    tick();
    gmk_test_assert_eq(det.part[1].n, 1);
    gmk_test_assert_eq(det.part[2].n, 1);
    gmk_test_assert_eq(det.part[3].n, 0);
    tick();
    gmk_test_assert_eq(det.part[3].n, 2);
    gmk_test_assert_eq(gmk_audit(&det.k, &books), GMK_OK);
    gmk_test_assert_eq(books.queued, 0);
    end();
}

/* DET-1, DET-4, DET-7: ticks that are all owed begin the moment the one before ends, while
 * the worker that ended it still looks for more: it must not find the next one half handed
 * out (TSan watches, too). What a task puts off counts from its own tick, however many
 * have been advanced to. */
GMK_TEST(det_ticks_that_follow_at_once_are_the_same_on_any_workers)
{
    static const uint32_t workers[] = {1, 2, 4, 8};
    uint32_t n = (uint32_t)gmk_test_scale(400, 40);
    struct det first = {.hash = 0};

    for (uint32_t w = 0; w < GMK_ARRAY_LEN(workers); w++) {
        GMK_REQUIRE(begin(workers[w]));
        for (uint32_t i = 0; i < 2 * n; i++) {
            gmk_task_t t = {.type = T_IN,
                            .flags = GMK_TF_DETERMINISTIC,
                            .meta0 = mix(gmk_test_seed() * 7919 + i)};

            gmk_test_assert_eq(gmk_submit_at_tick(&det.k, &t, 1 + i / 2), GMK_OK);
        }
        for (uint32_t i = 0; i < n + 40; i++)
            gmk_tick_advance(&det.k);
        gmk_test_assert_eq(gmk_tick_wait(&det.k, KIT_WAIT_NS), GMK_OK);
        end();
        if (w == 0)
            first = det;
        gmk_test_assert_gt(det.part[3].n, 0);
        gmk_test_assert_eq(det.hash, first.hash);
        for (uint32_t p = 0; p < 4; p++)
            gmk_test_assert_eq(det.part[p].sum, first.part[p].sum);
    }
}

/* A message that comes back may use up the module's turn; the module's part of the tick is
 * then run by the next turn, though no message gives notice. */
static gmk_a32_t runs;

static int on_back(gmk_ctx_t *ctx)
{
    kit_add(&runs, 1);
    return gmk_retries(ctx) == 0 ? (int)GMK_RETRY : GMK_OK;
}

GMK_TEST(det_runs_after_a_turn_spent_on_a_retry)
{
    gmk_handler_reg_t h[] = {DET_HANDLER(T_OUT, on_out),
                             {.type = T_PLAIN, .fn = on_back, .name = "back"}};
    gmk_chan_decl_t c[] = {
        DET_CHAN("det.out", GMK_CHAN_CONSUME, T_OUT, GMK_CHAN_P2P),
        {.name = "det.plain", .direction = GMK_CHAN_CONSUME, .msg_type = T_PLAIN}};
    gmk_module_t m = {
        .name = "mixed", .handlers = h, .n_handlers = 2, .channels = c, .n_channels = 2};
    gmk_boot_cfg_t cfg = {.arena_size = (size_t)8 << 20,
                          .n_workers = 1,
                          .batch_size = 1,
                          .flags = GMK_BOOT_NO_LINKED_MODULES | GMK_BOOT_MANUAL_TICKS};
    gmk_task_t plain = {.type = T_PLAIN}, out = {.type = T_OUT};

    gmk_hal_memset(&det, 0, sizeof(det));
    kit_set(&runs, 0);
    GMK_REQUIRE(kit_boot(&det.k, &cfg, &m));
    det.ctx = gmk_host_attach(&det.k, &det.host);
    GMK_REQUIRE(det.ctx != NULL);
    tick();
    for (uint32_t i = 1; i <= 20; i++) {
        gmk_test_assert_eq(send(det.ctx, "det.plain", plain), GMK_OK);
        gmk_test_assert(kit_idle(&det.k));
        gmk_test_assert_eq(kit_get(&runs), 2 * i - 1); /* it waits for the next tick */
        gmk_test_assert_eq(send(det.ctx, "det.out", out), GMK_OK);
        tick();
        gmk_test_assert_eq(det.part[3].n, i);
        gmk_test_assert(kit_idle(&det.k));
        gmk_test_assert_eq(kit_get(&runs), 2 * i);
    }
    end();
}

static gmk_a32_t slow_in, slow_go;

static int on_slow(gmk_ctx_t *ctx)
{
    (void)ctx;
    kit_set(&slow_in, 1);
    gmk_test_assert(kit_meet(&slow_go, 1));
    return GMK_OK;
}

/* R15: gmk_tick_wait waits for the ticks up to now, not for later ones, and not for ever. */
GMK_TEST(det_tick_wait_ends_with_the_tick_or_its_time)
{
    static gmk_handler_reg_t h[] = {DET_HANDLER(T_SLOW, on_slow)};
    gmk_module_t m = {.name = "slow", .handlers = h, .n_handlers = 1};
    gmk_module_t *one = &m;
    gmk_boot_cfg_t cfg = {.n_workers = 1,
                          .flags = GMK_BOOT_NO_LINKED_MODULES | GMK_BOOT_MANUAL_TICKS};
    gmk_task_t t = {.type = T_SLOW, .flags = GMK_TF_DETERMINISTIC};
    gmk_kernel_t k;

    slow_in = slow_go = 0;
    GMK_REQUIRE(kit_boot_mods(&k, &cfg, &one, 1));
    gmk_test_assert_eq(gmk_tick_wait(&k, 0), GMK_OK); /* nothing is due */
    gmk_test_assert_eq(gmk_submit(&k, &t), GMK_OK);
    gmk_test_assert_eq(gmk_tick_wait(&k, 0), GMK_OK); /* it lands in tick 1 */
    gmk_tick_advance(&k);
    gmk_test_assert(kit_until(&slow_in, 1));
    gmk_test_assert_eq(gmk_tick_wait(&k, 1000), GMK_E_TIMEOUT);
    kit_set(&slow_go, 1);
    gmk_test_assert_eq(gmk_tick_wait(&k, KIT_WAIT_NS), GMK_OK);
    gmk_test_assert_eq(gmk_metric_get(&k, GMK_METRIC_TASKS_COMPLETED), 1);
    kit_halt(&k);
}

/* CH-54, R15: ticks have been moved past the one that input is for: nobody advances again,
 * so who brings it wakes who runs it. */
GMK_TEST(det_input_for_a_tick_that_has_passed_runs_at_once)
{
    gmk_task_t t = {.type = T_LATER, .flags = GMK_TF_DETERMINISTIC};

    GMK_REQUIRE(begin(1));
    for (uint32_t i = 0; i < 5; i++)
        gmk_tick_advance(&det.k);
    GMK_REQUIRE(kit_idle(&det.k));
    gmk_test_assert_eq(gmk_submit_at_tick(&det.k, &t, 5), GMK_OK);
    gmk_test_assert_eq(gmk_tick_wait(&det.k, KIT_WAIT_NS), GMK_OK);
    gmk_test_assert_eq(det.part[0].n, 1);
    end();
}

static void *advance_once(void *arg)
{
    (void)kit_meet(((kit_thread_t *)arg)->go, 1);
    gmk_tick_advance(&det.k);
    return NULL;
}

/* The same with the advance beside the input: one of the two finds the other. */
GMK_TEST(det_input_beside_an_advance_is_not_slept_through)
{
    gmk_task_t t = {.type = T_LATER, .flags = GMK_TF_DETERMINISTIC};
    uint32_t n = (uint32_t)gmk_test_scale(1000, 400);
    kit_thread_t thread;
    gmk_a32_t go;

    GMK_REQUIRE(begin(1));
    for (uint32_t i = 0; i < n; i++) {
        GMK_REQUIRE(kit_idle(&det.k)); /* nobody looks about by himself */
        kit_start(&thread, 1, &go, advance_once, NULL);
        for (uint32_t wait = i % 40; wait != 0; wait--) /* so that they meet at some time */
            gmk_hal_relax();
        gmk_test_assert_eq(gmk_submit(&det.k, &t), GMK_OK);
        kit_join(&thread, 1);
        if (!gmk_test_assert_eq(gmk_tick_wait(&det.k, KIT_WAIT_NS), GMK_OK))
            break;
    }
    tick();
    gmk_test_assert_eq(det.part[0].n, n);
    end();
}

/* R15: a tick that came to nothing has ended, too: who waits for it is woken, while another
 * worker is busy for as long as that takes. */
GMK_TEST(det_tick_wait_ends_with_a_tick_that_came_to_nothing)
{
    static gmk_handler_reg_t h[] = {{.type = T_SLOW, .fn = on_slow, .name = "slow"}};
    gmk_module_t m = {.name = "slow", .handlers = h, .n_handlers = 1};
    gmk_module_t *one = &m;
    gmk_boot_cfg_t cfg = {.n_workers = 2,
                          .flags = GMK_BOOT_NO_LINKED_MODULES | GMK_BOOT_MANUAL_TICKS};
    gmk_task_t slow = {.type = T_SLOW}, t = {.type = T_MID};
    int chan;

    slow_in = slow_go = 0;
    gmk_hal_memset(&det, 0, sizeof(det));
    GMK_REQUIRE(kit_boot_mods(&det.k, &cfg, &one, 1));
    det.ctx = gmk_host_attach(&det.k, &det.host);
    GMK_REQUIRE(gmk_test_assert(det.ctx != NULL));
    chan = gmk_chan_open(det.ctx, "det.nobody", GMK_CHAN_FANOUT | GMK_CHAN_DETERMINISTIC, 4);
    GMK_REQUIRE(gmk_test_assert_gt(chan, 0));
    gmk_test_assert_eq(gmk_submit(&det.k, &slow), GMK_OK);
    gmk_test_assert(kit_until(&slow_in, 1));
    for (uint32_t i = 1; i <= 20; i++) {
        gmk_test_assert_eq(gmk_chan_emit(det.ctx, (uint32_t)chan, &t), GMK_OK);
        tick();
        gmk_test_assert_eq(gmk_metric_get(&det.k, GMK_METRIC_CHAN_UNHEARD), i);
    }
    kit_set(&slow_go, 1);
    end();
}

static int on_never(gmk_ctx_t *ctx)
{
    (void)ctx;
    kit_add(&runs, 1);
    return GMK_RETRY;
}

/* R15, R16: as many of a module's messages are away for a retry as may be: its part of a
 * tick begins all the same. */
GMK_TEST(det_tick_runs_beside_messages_that_are_all_away)
{
    gmk_handler_reg_t h[] = {DET_HANDLER(T_OUT, on_out),
                             {.type = T_PLAIN, .fn = on_never, .name = "never"}};
    gmk_chan_decl_t c[] = {
        DET_CHAN("det.out", GMK_CHAN_CONSUME, T_OUT, GMK_CHAN_P2P),
        {.name = "det.plain", .direction = GMK_CHAN_CONSUME, .msg_type = T_PLAIN, .slots = 256}};
    gmk_module_t m = {
        .name = "away", .handlers = h, .n_handlers = 2, .channels = c, .n_channels = 2};
    gmk_boot_cfg_t cfg = {.n_workers = 1,
                          .flags = GMK_BOOT_NO_LINKED_MODULES | GMK_BOOT_MANUAL_TICKS};
    gmk_task_t plain = {.type = T_PLAIN}, out = {.type = T_OUT};
    uint32_t ran;

    gmk_hal_memset(&det, 0, sizeof(det));
    kit_set(&runs, 0);
    GMK_REQUIRE(kit_boot(&det.k, &cfg, &m));
    det.ctx = gmk_host_attach(&det.k, &det.host);
    GMK_REQUIRE(gmk_test_assert(det.ctx != NULL));
    tick();
    for (uint32_t i = 0; i < GMK_GROUP_RESUME_CAP + 20; i++)
        gmk_test_assert_eq(send(det.ctx, "det.plain", plain), GMK_OK);
    for (uint32_t i = 0; i < 3; i++) { /* the back-off grows beyond a tick */
        GMK_REQUIRE(kit_idle(&det.k));
        tick();
    }
    GMK_REQUIRE(kit_idle(&det.k));
    ran = kit_get(&runs);
    gmk_test_assert_ge(ran, GMK_GROUP_RESUME_CAP);
    gmk_test_assert_eq(send(det.ctx, "det.out", out), GMK_OK);
    tick();
    gmk_test_assert_eq(det.part[3].n, 1);
    gmk_test_assert_eq(kit_get(&runs), ran); /* none came back meanwhile */
    gmk_test_assert_eq(gmk_host_detach(&det.host), GMK_OK);
    gmk_test_assert_eq(gmk_halt_timeout(&det.k, KIT_HALT_NS, NULL), GMK_OK);
}

/* DET-4, CH-54, R19: a deterministic message lands in the next tick also when its sender's
 * outbox waits for another channel: it is on no ring and needs no room. */
GMK_TEST(det_emission_does_not_queue_behind_an_outbox)
{
    gmk_module_t *all[] = {&mods[0], &mods[1], &mods[2], &mods[3], &mixer};
    gmk_boot_cfg_t cfg = {.arena_size = (size_t)8 << 20,
                          .n_workers = 2,
                          .flags = GMK_BOOT_NO_LINKED_MODULES | GMK_BOOT_MANUAL_TICKS};
    gmk_task_t t = {.type = T_MIX, .flags = GMK_PRIO_NORMAL};
    gmk_audit_report_t r;

    gmk_hal_memset(&det, 0, sizeof(det));
    mods[1].user = &det.part[1];
    mods[2].user = &det.part[2];
    GMK_REQUIRE(kit_boot_mods(&det.k, &cfg, all, 5));
    det.ctx = gmk_host_attach(&det.k, &det.host);
    GMK_REQUIRE(gmk_test_assert(det.ctx != NULL));
    gmk_test_assert_eq(send(det.ctx, "mix.in", t), GMK_OK);
    GMK_REQUIRE(kit_idle(&det.k));
    gmk_test_assert_eq(gmk_metric_get(&det.k, GMK_METRIC_OUTBOX_PARKED), 1);
    gmk_test_assert_eq(det.part[1].n, 0);
    tick();
    gmk_test_assert_eq(det.part[1].n, 1);
    gmk_test_assert_eq(det.part[2].n, 1);
    gmk_test_assert_eq(gmk_host_detach(&det.host), GMK_OK);
    gmk_test_assert_eq(gmk_halt_timeout(&det.k, KIT_HALT_NS, &r), GMK_OK);
    gmk_test_assert(r.balanced);
    gmk_test_assert_eq(r.dead, 3);
}

/* DET-6: a deterministic task or channel wants a handler that may be one. */
GMK_TEST(det_refuses_what_cannot_be_deterministic)
{
    gmk_task_t t = {.type = T_PLAIN, .flags = GMK_TF_DETERMINISTIC};
    gmk_task_t in = {.type = T_IN, .flags = GMK_TF_DETERMINISTIC};
    gmk_chan_decl_t c = DET_CHAN("det.plain", GMK_CHAN_CONSUME, T_PLAIN, GMK_CHAN_P2P);
    gmk_module_t m = {
        .name = "plain", .handlers = &sink_h[1], .n_handlers = 1, .channels = &c, .n_channels = 1};
    gmk_module_t *one = &m;
    gmk_kernel_t k;

    GMK_REQUIRE(begin(1));
    gmk_test_assert_eq(gmk_emit(det.ctx, &t), GMK_E_WIRING);
    gmk_test_assert_eq(gmk_submit(&det.k, &t), GMK_E_WIRING);
    gmk_test_assert_eq(gmk_emit_to(det.ctx, &in, 0), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_emit_after(det.ctx, &in, 5), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_submit_to(&det.k, &in, 0), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_submit_after(&det.k, &in, 5), GMK_E_INVALID);
    end();
    gmk_test_assert_eq(gmk_boot(&k, NULL, &one, 1), GMK_E_WIRING);
}

/* R8, DET-4: halt dead-letters what no tick will run, and the books balance. */
GMK_TEST(det_halt_accounts_for_work_of_later_ticks)
{
    gmk_audit_report_t r;

    GMK_REQUIRE(begin(2));
    input(7);
    tick();
    input(8);
    gmk_test_assert_eq(gmk_host_detach(&det.host), GMK_OK);
    gmk_test_assert_eq(gmk_halt_timeout(&det.k, KIT_HALT_NS, &r), GMK_OK);
    gmk_test_assert(r.balanced);
    gmk_test_assert_gt(r.dead, 0);
    gmk_test_assert_eq(r.payloads_live, 0);
}

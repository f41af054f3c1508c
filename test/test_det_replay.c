/* SPDX-License-Identifier: MIT
 * Recordings of deterministic work and their replay in a whole kernel.
 * Floor: tests. Source: SPEC DET-7, DET-8, ACC-7; ARCHITECTURE R15. */
#include "det_work.h"

#define RECORD_BYTES (256u << 10)

static uint8_t record_bytes[RECORD_BYTES];
static size_t record_n, record_at, record_cap;

static int write_bytes(void *arg, const void *bytes, size_t n)
{
    (void)arg;
    if (n > record_cap - record_n)
        return -1;
    gmk_hal_memcpy(record_bytes + record_n, bytes, n);
    record_n += n;
    return 0;
}

static int64_t read_bytes(void *arg, void *bytes, size_t n)
{
    uint64_t *rand = arg;

    n = gmk_min64(n, 1 + mix(++*rand) % 300);
    n = gmk_min64(n, record_n - record_at);
    gmk_hal_memcpy(bytes, record_bytes + record_at, n);
    record_at += n;
    return (int64_t)n;
}

static bool make_recording(uint32_t workers)
{
    uint32_t fault = 99;

    record_n = 0;
    record_cap = RECORD_BYTES;
    if (!begin(workers))
        return false;
    gmk_test_assert_eq(gmk_record_start(&det.k, write_bytes, NULL), GMK_OK);
    gmk_test_assert_eq(gmk_record_start(&det.k, write_bytes, NULL), GMK_E_BUSY);
    run_all(gmk_test_seed());
    gmk_test_assert_eq(gmk_record_stop(&det.k, &fault), GMK_OK);
    gmk_test_assert_eq(fault, GMK_RECORD_SOUND);
    gmk_test_assert_eq(gmk_record_stop(&det.k, NULL), GMK_E_NOT_FOUND);
    end();
    return true;
}

/* DET-7, DET-8, ACC-7: a recording replays to the same hash and results, whatever the
 * number of workers. */
GMK_TEST(det_recording_replays_on_any_number_of_workers)
{
    static const uint32_t workers[] = {1, 2, 8};
    struct det first;

    GMK_REQUIRE(make_recording(2));
    first = det;
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(workers); i++) {
        gmk_replay_report_t report = {.fault = 99};
        uint64_t rand = i;

        record_at = 0;
        GMK_REQUIRE(begin(workers[i]));
        gmk_test_assert_eq(gmk_replay(&det.k, read_bytes, &rand, KIT_WAIT_NS, &report), GMK_OK);
        gmk_test_assert_eq(report.hash, first.hash);
        gmk_test_assert_eq(report.fault, GMK_RECORD_SOUND);
        gmk_test_assert_gt(report.n_inputs, TICKS);
        end();
        gmk_test_assert_eq(det.hash, first.hash);
        for (uint32_t p = 0; p < 4; p++)
            gmk_test_assert_eq(det.part[p].sum, first.part[p].sum);
    }
}

/* DET-7: a handler that acts otherwise than it did is found out, at its tick. */
GMK_TEST(det_replay_names_the_tick_where_it_diverges)
{
    gmk_replay_report_t report;
    uint64_t rand = 1;

    GMK_REQUIRE(make_recording(1));
    record_at = 0;
    GMK_REQUIRE(begin(1));
    sink_h[0].fn = on_plain; /* the same events: not seen */
    mid_h[0].fn = on_plain;  /* sends nothing on: seen */
    gmk_test_assert_eq(gmk_host_detach(&det.host), GMK_OK);
    kit_halt(&det.k);
    GMK_REQUIRE(begin(1));
    gmk_test_assert_eq(gmk_replay(&det.k, read_bytes, &rand, KIT_WAIT_NS, &report), GMK_E_DIVERGED);
    gmk_test_assert_gt(report.tick, 1);
    gmk_test_assert_lt(report.tick, TICKS);
    mid_h[0].fn = on_mid;
    sink_h[0].fn = on_out;
    gmk_test_assert_eq(gmk_host_detach(&det.host), GMK_OK);
    gmk_test_assert_eq(gmk_halt_timeout(&det.k, KIT_HALT_NS, NULL), GMK_OK);
}

/* What differs in the last tick alone is found at the end: before the tick after it. */
static int on_out_other(gmk_ctx_t *ctx)
{
    (void)on_out(ctx);
    return ctx->tick == 2 ? GMK_FAIL(9) : GMK_OK;
}

GMK_TEST(det_replay_names_the_tick_after_the_last_when_that_differs)
{
    gmk_task_t t = {.type = T_MID, .meta0 = 1};
    gmk_replay_report_t report;
    uint64_t rand = 1;

    record_n = 0;
    record_cap = RECORD_BYTES;
    GMK_REQUIRE(begin(1));
    gmk_test_assert_eq(gmk_record_start(&det.k, write_bytes, NULL), GMK_OK);
    gmk_test_assert_eq(send(det.ctx, "det.mid", t), GMK_OK);
    tick();
    tick();
    gmk_test_assert_eq(gmk_record_stop(&det.k, NULL), GMK_OK);
    gmk_test_assert_eq(det.part[3].n, 2);
    end();
    record_at = 0;
    sink_h[0].fn = on_out_other;
    GMK_REQUIRE(begin(1));
    gmk_test_assert_eq(gmk_replay(&det.k, read_bytes, &rand, KIT_WAIT_NS, &report), GMK_E_DIVERGED);
    sink_h[0].fn = on_out;
    gmk_test_assert_eq(report.n_ticks, 2);
    gmk_test_assert_eq(report.tick, 3);
    end();
}

/* A reader that fails is no sound recording. */
static int64_t read_nothing(void *arg, void *bytes, size_t n)
{
    uint32_t *calls = arg;

    if (++*calls > 1)
        return -1;
    n = gmk_min64(n, GMK_RECORD_HEADER_BYTES + 7);
    gmk_hal_memcpy(bytes, record_bytes, n);
    return (int64_t)n;
}

GMK_TEST(det_replay_says_that_its_reader_failed)
{
    gmk_replay_report_t report = {.fault = 99};
    uint32_t calls = 0;

    GMK_REQUIRE(make_recording(1));
    GMK_REQUIRE(begin(1));
    gmk_test_assert_eq(gmk_replay(&det.k, read_nothing, &calls, KIT_WAIT_NS, &report),
                       GMK_E_RECORD);
    gmk_test_assert_eq(report.fault, GMK_RECORD_READ_FAILED);
    gmk_test_assert_eq(report.offset, GMK_RECORD_HEADER_BYTES + 7);
    end();
}

/* R15: a damaged or cut recording, a full disk, a kernel that is not fresh: each is said. */
GMK_TEST(det_replay_says_what_is_wrong_with_a_recording)
{
    gmk_replay_report_t report;
    uint64_t rand = 1;
    uint32_t fault = 0;
    size_t whole;

    GMK_REQUIRE(make_recording(1));
    whole = record_n;
    GMK_REQUIRE(begin(1));
    record_at = 0;
    record_n = whole - 1;
    gmk_test_assert_eq(gmk_replay(&det.k, read_bytes, &rand, KIT_WAIT_NS, &report), GMK_E_RECORD);
    gmk_test_assert_eq(report.fault, GMK_RECORD_TRUNCATED);
    record_at = 0;
    record_n = whole;
    gmk_test_assert_eq(gmk_replay(&det.k, read_bytes, &rand, KIT_WAIT_NS, &report), GMK_E_BUSY);
    gmk_test_assert_eq(gmk_replay(NULL, read_bytes, &rand, 1, &report), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_replay(&det.k, NULL, NULL, 1, &report), GMK_E_INVALID);
    end();
    record_n = 0;
    record_cap = 200;
    GMK_REQUIRE(begin(1));
    gmk_test_assert_eq(gmk_record_start(&det.k, write_bytes, NULL), GMK_OK);
    input(3);
    tick();
    gmk_test_assert_eq(gmk_record_stop(&det.k, &fault), GMK_E_RECORD);
    gmk_test_assert_eq(fault, GMK_RECORD_WRITE_FAILED);
    gmk_test_assert_gt(gmk_metric_get(&det.k, GMK_METRIC_RECORD_FAILS), 0);
    for (uint32_t t = 0; t < 40; t++)
        tick();
    end();
}

/* A recording of one input, as anybody could write it: for the trace hash of a kernel that
 * has run nothing. */
static void forge(const char *channel, gmk_task_t t, uint64_t hash)
{
    gmk_record_writer_t w = {.state = GMK_RECORD_IDLE};

    record_n = record_at = 0;
    record_cap = RECORD_BYTES;
    gmk_test_assert_eq(gmk_record_begin(&w, write_bytes, NULL, 0, 0), GMK_OK);
    gmk_test_assert_eq(gmk_record_input(&w, 1, channel, &t, NULL), GMK_OK);
    gmk_test_assert_eq(gmk_record_tick(&w, 1, hash), GMK_OK);
    gmk_test_assert_eq(gmk_record_end(&w, hash), GMK_OK);
}

/* Found by fuzzing: a replay took a step for every tick up to the one a recording names. */
GMK_TEST(det_replay_goes_straight_to_a_far_tick)
{
    const uint64_t far = GMK_RECORD_LIMIT - 1;
    gmk_task_t t = {.type = T_IN, .flags = GMK_TF_DETERMINISTIC};
    gmk_record_writer_t w = {.state = GMK_RECORD_IDLE};
    gmk_replay_report_t report;
    uint64_t rand = 1;

    GMK_REQUIRE(begin(2));
    record_n = record_at = 0;
    record_cap = RECORD_BYTES;
    gmk_test_assert_eq(gmk_record_begin(&w, write_bytes, NULL, 0, 0), GMK_OK);
    gmk_test_assert_eq(gmk_record_input(&w, far, NULL, &t, NULL), GMK_OK);
    gmk_test_assert_eq(gmk_record_tick(&w, far, gmk_trace_hash(&det.k)), GMK_OK);
    gmk_test_assert_eq(gmk_record_end(&w, 0), GMK_OK);
    gmk_test_assert_eq(gmk_replay(&det.k, read_bytes, &rand, KIT_WAIT_NS, &report), GMK_E_DIVERGED);
    gmk_test_assert_eq(report.n_ticks, 1);
    gmk_test_assert_eq(report.tick, far + 1);
    gmk_test_assert_eq(gmk_tick_now(&det.k), (uint32_t)far);
    end();
}

/* DET-7, R15: an input of a recording is checked as an emit is: another kernel's, or one
 * that was changed, is refused, and nothing of it is done. */
GMK_TEST(det_replay_refuses_input_that_an_emit_refuses)
{
    static const struct {
        const char *channel;
        gmk_task_t t;
        int rc;
    } bad[] = {{"det.mid", {.type = T_OUT}, GMK_CHAN_TYPE_MISMATCH},
               {"det.mid", {.type = 99}, GMK_CHAN_TYPE_MISMATCH},
               {"det.mid", {.type = T_MID, .tenant = GMK_MAX_TENANTS - 1}, GMK_E_TENANT},
               {"mix.in", {.type = T_MIX}, GMK_E_WIRING},
               {"det.nowhere", {.type = T_MID}, GMK_E_NOT_FOUND},
               {NULL, {.type = T_PLAIN}, GMK_E_WIRING},
               {NULL, {.type = 99}, GMK_E_NO_HANDLER},
               {NULL, {.type = T_IN, .tenant = GMK_MAX_TENANTS - 1}, GMK_E_TENANT}};
    gmk_module_t *all[] = {&mods[0], &mods[1], &mods[2], &mods[3], &mixer};
    gmk_boot_cfg_t cfg = {.n_workers = 1,
                          .flags = GMK_BOOT_NO_LINKED_MODULES | GMK_BOOT_MANUAL_TICKS};
    gmk_replay_report_t report;
    uint64_t rand = 1;

    gmk_hal_memset(&det, 0, sizeof(det));
    GMK_REQUIRE(kit_boot_mods(&det.k, &cfg, all, 5));
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(bad); i++) {
        forge(bad[i].channel, bad[i].t, gmk_trace_hash(&det.k));
        gmk_test_assert_eq(gmk_replay(&det.k, read_bytes, &rand, KIT_WAIT_NS, &report), bad[i].rc);
        gmk_test_assert_eq(report.n_inputs, 0);
        gmk_test_assert_eq(report.n_ticks, 0);
    }
    gmk_test_assert_eq(kit_halt(&det.k).accepted, 0);
}

/* DET-7: what fitted when it was recorded fits when it is replayed: an input takes memory
 * for the channel's subscribers, not for as many as there could be. */
GMK_TEST(det_recording_replays_in_the_arena_it_was_made_in)
{
    gmk_task_t t = {.type = T_OUT};
    gmk_replay_report_t report;
    uint64_t rand = 1;

    record_n = record_at = 0;
    record_cap = RECORD_BYTES;
    GMK_REQUIRE(begin(1));
    gmk_test_assert_eq(gmk_record_start(&det.k, write_bytes, NULL), GMK_OK);
    for (uint32_t i = 0; i < 2200; i++)
        gmk_test_assert_eq(send(det.ctx, "det.out", t), GMK_OK);
    tick();
    gmk_test_assert_eq(gmk_record_stop(&det.k, NULL), GMK_OK);
    end();
    GMK_REQUIRE(begin(1));
    gmk_test_assert_eq(gmk_replay(&det.k, read_bytes, &rand, KIT_WAIT_NS, &report), GMK_OK);
    gmk_test_assert_eq(report.n_inputs, 2200);
    end();
    gmk_test_assert_eq(det.part[3].n, 2200);
}

/* DET-7: a recording begun after other work replays in a kernel that did none of it: the
 * hash begins with it. A kernel that did the same work replays it as well. */
GMK_TEST(det_recording_begun_after_work_replays)
{
    gmk_task_t t = {.type = T_MID, .meta0 = 1};
    gmk_replay_report_t report;
    uint64_t rand = 1, none;

    record_n = record_at = 0;
    record_cap = RECORD_BYTES;
    GMK_REQUIRE(begin(2));
    none = gmk_trace_hash(&det.k);
    gmk_test_assert_eq(send(det.ctx, "det.mid", t), GMK_OK);
    tick();
    tick();
    gmk_test_assert_ne(gmk_trace_hash(&det.k), none);
    gmk_test_assert_eq(gmk_record_start(&det.k, write_bytes, NULL), GMK_OK);
    gmk_test_assert_eq(gmk_trace_hash(&det.k), none);
    gmk_test_assert_eq(send(det.ctx, "det.mid", t), GMK_OK);
    tick();
    tick();
    gmk_test_assert_eq(gmk_record_stop(&det.k, NULL), GMK_OK);
    end();
    for (uint32_t before = 0; before < 2; before++) {
        record_at = 0;
        GMK_REQUIRE(begin(1));
        if (before == 1) {
            gmk_test_assert_eq(send(det.ctx, "det.mid", t), GMK_OK);
            tick();
            tick();
            gmk_test_assert_ne(gmk_trace_hash(&det.k), none);
        }
        gmk_test_assert_eq(gmk_replay(&det.k, read_bytes, &rand, KIT_WAIT_NS, &report), GMK_OK);
        gmk_test_assert_eq(report.n_inputs, 1);
        end();
    }
}

/* DET-7: a recording is asked for while ticks begin and end: it looks at nobody's lists
 * meanwhile (TSan watches), and begins only where nothing is pending. */
GMK_TEST(det_record_start_beside_ticks_looks_at_no_open_one)
{
    uint32_t n = (uint32_t)gmk_test_scale(400, 40);
    uint32_t begun = 0;

    record_cap = RECORD_BYTES;
    GMK_REQUIRE(begin(3));
    for (uint32_t i = 0; i < n; i++) {
        gmk_task_t t = {.type = T_IN,
                        .flags = GMK_TF_DETERMINISTIC,
                        .meta0 = mix(gmk_test_seed() * 104729 + i)};

        gmk_test_assert_eq(gmk_submit(&det.k, &t), GMK_OK);
        gmk_tick_advance(&det.k);
        for (uint32_t look = 0; look < 20; look++) {
            int rc;

            record_n = 0;
            rc = gmk_record_start(&det.k, write_bytes, NULL);
            gmk_test_assert(rc == GMK_OK || rc == GMK_E_BUSY);
            if (rc == GMK_OK) {
                begun++;
                gmk_test_assert_eq(gmk_record_stop(&det.k, NULL), GMK_OK);
            }
        }
    }
    for (uint32_t t = 0; t < 40; t++)
        tick();
    record_n = 0;
    gmk_test_assert_eq(gmk_record_start(&det.k, write_bytes, NULL), GMK_OK);
    gmk_test_assert_eq(gmk_record_stop(&det.k, NULL), GMK_OK);
    gmk_test_assert_lt(begun, 20 * n); /* some found work pending */
    end();
}

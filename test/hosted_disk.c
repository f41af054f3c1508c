/* SPDX-License-Identifier: MIT
 * The disk module over the virtio driver over the model of a device on a thread of its own:
 * the whole way of a request, and a device that stops answering for a while.
 * Floor: tests. Source: SPEC STD-24, BM-36, BM-37. */
#include "kernel_env.h"
#include "model_virtio.h"

#include "drivers/virtio/virtio_blk.h"
#include "modules/disk/disk.h"

enum { GO = 1 };

#define SECTORS 1003u
#define IDS 512u

static gmk_kernel_t kernel;
static disk_t disk;
static mv_t dev;
static blk_dev_t *blk;
static uint8_t image[SECTORS * 512];
static uint32_t chan_read;
static uint64_t patience_ns; /* of each request; 0: the default */
static gmk_a32_t answers, right, late, stop, silent;

GMK_HANDLER(on_go)
{
    gmk_task_t t = {.type = DISK_TYPE_READ, .flags = GMK_PRIO_NORMAL};
    disk_msg_t *m = gmk_payload_alloc(ctx, DISK_MSG_BYTES(2));

    if (m == NULL)
        return GMK_RETRY;
    *m = (disk_msg_t){.id = ctx->task->meta0, .sector = ctx->task->meta0, .count = 2};
    if (patience_ns != 0)
        m->deadline_ns = gmk_hal_now_ns() + patience_ns;
    gmk_task_set_payload(&t, m);
    if (gmk_chan_emit(ctx, chan_read, &t) == GMK_OK)
        return GMK_OK;
    gmk_payload_release_ptr(ctx, m);
    return GMK_RETRY;
}

GMK_HANDLER(on_answer)
{
    const disk_msg_t *m = (const disk_msg_t *)(uintptr_t)ctx->task->payload_ptr;

    kit_add(&right, m->status == BLK_OK && memcmp(m + 1, image + m->sector * 512, 1024) == 0);
    /* Where the deadlines lie apart, one may pass while another request is tried again. */
    kit_add(&late, m->status == BLK_E_TIMEOUT || m->status == BLK_E_RESET);
    kit_add(&answers, 1);
    return GMK_OK;
}

static int client_init(gmk_ctx_t *ctx)
{
    chan_read = (uint32_t)gmk_chan_find(ctx, DISK_CHAN_READ);
    return GMK_OK;
}

static gmk_handler_reg_t handlers[] = {{.type = GO, .fn = on_go, .name = "go"},
                                       {.type = DISK_TYPE_RESP, .fn = on_answer, .name = "answer"}};
static gmk_chan_decl_t channels[] = {
    {.name = DISK_CHAN_READ,
     .direction = GMK_CHAN_PRODUCE,
     .msg_type = DISK_TYPE_READ,
     .slots = 1024},
    {.name = DISK_CHAN_RESP, .direction = GMK_CHAN_CONSUME, .msg_type = DISK_TYPE_RESP}};
static gmk_module_t client = {.name = "client",
                              .handlers = handlers,
                              .n_handlers = 2,
                              .channels = channels,
                              .n_channels = 2,
                              .init = client_init};

static void *run_device(void *arg)
{
    (void)arg;
    while (kit_get(&stop) == 0) {
        uint32_t seen = gmk_hal_park_word(&dev.park);
        bool idle = true;

        gmk_hal_lock_acquire(&mp.lock);
        if (kit_get(&silent) == 0) {
            mv_fetch(&dev);
            while (dev.n_held != 0)
                mv_answer(&dev, dev.n_held / 2, MV_TRUTH);
            mv_tell(&dev);
            idle = mv_listen(&dev);
        }
        gmk_hal_lock_release(&mp.lock);
        if (idle && kit_get(&stop) == 0)
            gmk_hal_park_wait(&dev.park, seen, GMK_HAL_FOREVER);
    }
    return NULL;
}

static void nudge_device(gmk_a32_t *word, uint32_t v)
{
    kit_set(word, v);
    gmk_hal_park_wake(&dev.park);
}

static bool begin(gmk_hal_thread_t *t, bool modern)
{
    disk_cfg_t cfg = {.cpu = GMK_HAL_ANY_CPU};
    gmk_boot_cfg_t boot = {.n_workers = 2, .arena_size = 8u << 20};
    gmk_module_t *mods[2] = {NULL, &client};

    virtio_blk_forget_all();
    blk_forget_all();
    mp_reset();
    for (uint32_t i = 0; i < sizeof(image); i++)
        image[i] = (uint8_t)(i * 7 + i / 512);
    dev = mv_plain(modern, image, SECTORS);
    mv_plug(&dev, 0, 4);
    if (!gmk_test_assert_eq(drivers_init(), 1))
        return false;
    dev.eager = false;
    mp.clock = 0; /* the real one */
    blk = blk_find(NULL);
    cfg.dev = blk;
    mods[0] = disk_module(&disk, &cfg);
    kit_set(&answers, 0);
    kit_set(&right, 0);
    kit_set(&late, 0);
    kit_set(&stop, 0);
    kit_set(&silent, 0);
    patience_ns = 0;
    return gmk_test_assert_eq(gmk_hal_cpu_start(t, GMK_HAL_ANY_CPU, run_device, NULL), 0) &&
           kit_boot_mods(&kernel, &boot, mods, 2);
}

static void finish(gmk_hal_thread_t *t)
{
    kit_halt(&kernel);
    nudge_device(&stop, 1);
    gmk_test_assert_eq(gmk_hal_thread_join(t), 0);
    gmk_test_assert_eq(blk->inflight, 0);
    gmk_test_assert_eq(gmk_count_get(&blk->stats.submitted), gmk_count_get(&blk->stats.completed));
    virtio_blk_forget_all();
    gmk_test_assert_eq(mp.n_live, 0);
    gmk_test_assert_eq(mp.complaints, 0);
}

static void ask(uint32_t first, uint32_t n)
{
    for (uint32_t i = first; i < first + n; i++)
        kit_submit(&kernel, kit_task(GO, GMK_PRIO_NORMAL, i % IDS));
}

GMK_TEST(disk_over_virtio_answers_what_stands_on_the_disk)
{
    for (uint32_t modern = 0; modern < 2; modern++) {
        gmk_hal_thread_t t = {0};

        GMK_REQUIRE(begin(&t, modern != 0));
        for (uint32_t i = 0; i < 100; i++) {
            ask(i, 1);
            GMK_REQUIRE(kit_until(&answers, i + 1));
        }
        ask(0, 500);
        GMK_REQUIRE(kit_until(&answers, 600));
        gmk_test_assert_eq(kit_get(&right), 600);
        finish(&t);
    }
}

/* The thread sleeps meanwhile: only the deadline wakes it. */
GMK_TEST(disk_over_a_silent_device_answers_at_the_deadline_and_goes_on)
{
    gmk_hal_thread_t t = {0};

    GMK_REQUIRE(begin(&t, true));
    ask(0, 20);
    GMK_REQUIRE(kit_until(&answers, 20));
    nudge_device(&silent, 1);
    patience_ns = 20000000;
    ask(0, 10);
    GMK_REQUIRE(kit_until(&answers, 30));
    gmk_test_assert_eq(kit_get(&late), 10);
    gmk_test_assert_ge(gmk_count_get(&blk->stats.resets), 1);
    patience_ns = 0;
    nudge_device(&silent, 0);
    ask(0, 200);
    GMK_REQUIRE(kit_until(&answers, 230));
    gmk_test_assert_eq(kit_get(&right), 220);
    finish(&t);
}

/* Halt does not wait for a device that is dead: its requests end by a reset. */
GMK_TEST(disk_halt_over_a_silent_device_ends)
{
    gmk_hal_thread_t t = {0};

    GMK_REQUIRE(begin(&t, false));
    nudge_device(&silent, 1);
    ask(0, 5);
    while (gmk_count_get(&disk.stats.requests) < 5)
        gmk_hal_relax();
    finish(&t);
    gmk_test_assert_eq(gmk_count_get(&disk.stats.unheard), 5);
}

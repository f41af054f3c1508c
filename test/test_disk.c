/* SPDX-License-Identifier: MIT
 * The disk module on a block device in memory: requests and answers as tasks, many in
 * flight, back-pressure without loss, errors, halt with work in flight.
 * Floor: tests. Source: SPEC STD-24, CH-36, BM-37; ARCHITECTURE R8, R19. */
#include "kernel_env.h"
#include "model_blk.h"
#include "modules/disk/disk.h"

enum { GO = 1 };

#define IDS 2048u

static gmk_kernel_t kernel;
static disk_t disk;
static mb_t dev;

/* The client: a direct task sends a request, its mailbox takes the answers. */
static struct client {
    uint32_t read, write, own; /* channels */
    gmk_a32_t answers, wrong, ok;
    uint32_t n_got[IDS];
    int32_t status[IDS];
} cl;

static uint8_t pattern(uint64_t sector, uint32_t at) { return (uint8_t)(sector * 7 + at); }

/* A request as the test describes it: meta0 = id | op << 32 | flags << 40, meta1 = sector |
 * count << 32. */
#define ASK(id, op, flags) ((uint64_t)(id) | (uint64_t)(op) << 32 | (uint64_t)(flags) << 40)
#define AT(sector, count) ((uint64_t)(sector) | (uint64_t)(count) << 32)
#define TO_OWN 0x80u   /* flag of the test: answer to the client's own channel */
#define SHORT 0x40u    /* flag of the test: no room for the data */
#define WRONG_OP 0x20u /* flag of the test: on the other channel */

static int send_request(gmk_ctx_t *ctx, uint64_t meta0, uint64_t meta1)
{
    uint32_t id = (uint32_t)meta0, op = (uint32_t)(meta0 >> 32) & 0xff;
    uint32_t flags = (uint32_t)(meta0 >> 40), count = (uint32_t)(meta1 >> 32);
    bool read = (op == BLK_READ) != ((flags & WRONG_OP) != 0);
    gmk_task_t t = {.type = read ? DISK_TYPE_READ : DISK_TYPE_WRITE, .flags = GMK_PRIO_NORMAL};
    disk_msg_t *m = gmk_payload_alloc(ctx, DISK_MSG_BYTES((flags & SHORT) != 0 ? 0 : count));
    int rc;

    if (m == NULL)
        return GMK_ALLOC_FAIL;
    *m = (disk_msg_t){.id = id,
                      .op = (uint16_t)op,
                      .sector = (uint32_t)meta1,
                      .count = count,
                      .flags = flags & DISK_ACK,
                      .reply = (flags & TO_OWN) != 0 ? cl.own : 0};
    for (uint32_t i = 0; op == BLK_WRITE && (flags & SHORT) == 0 && i < count * BLK_SECTOR; i++)
        ((uint8_t *)(m + 1))[i] = pattern(m->sector + i / BLK_SECTOR, i);
    gmk_task_set_payload(&t, m);
    rc = gmk_chan_emit(ctx, read ? cl.read : cl.write, &t);
    if (rc != GMK_OK)
        gmk_payload_release_ptr(ctx, m);
    return rc;
}

GMK_HANDLER(on_go)
{
    int rc = send_request(ctx, ctx->task->meta0, ctx->task->meta1);

    return rc == GMK_OK ? GMK_OK : rc == GMK_CHAN_FULL ? GMK_RETRY : GMK_FAIL(2);
}

/* The data of a read that went well is what stands on the disk. */
static bool data_is_right(const disk_msg_t *m)
{
    const uint8_t *p = (const uint8_t *)(m + 1);
    bool right = true;

    for (uint32_t i = 0; i < m->count * BLK_SECTOR; i++)
        right &= p[i] == pattern(m->sector + i / BLK_SECTOR, i % BLK_SECTOR) ||
                 p[i] == pattern(m->sector + i / BLK_SECTOR, i);
    return right;
}

GMK_HANDLER(on_answer)
{
    const gmk_task_t *t = ctx->task;
    const disk_msg_t *m = (const disk_msg_t *)(uintptr_t)t->payload_ptr;
    uint64_t id = t->meta0;
    bool good = id < IDS;

    if (m != NULL && t->payload_len >= sizeof(*m))
        good &= m->id == id && m->status == DISK_RESP_STATUS(t) && m->op == DISK_RESP_OP(t);
    if (good && DISK_RESP_STATUS(t) == BLK_OK && DISK_RESP_OP(t) == BLK_READ)
        good = data_is_right(m);
    if (good) {
        cl.n_got[id]++;
        cl.status[id] = DISK_RESP_STATUS(t);
        kit_add(&cl.ok, DISK_RESP_STATUS(t) == BLK_OK);
    } else {
        kit_add(&cl.wrong, 1);
    }
    kit_add(&cl.answers, 1);
    return GMK_OK;
}

static int client_init(gmk_ctx_t *ctx)
{
    cl.read = (uint32_t)gmk_chan_find(ctx, DISK_CHAN_READ);
    cl.write = (uint32_t)gmk_chan_find(ctx, DISK_CHAN_WRITE);
    cl.own = (uint32_t)gmk_chan_find(ctx, "client.answers");
    return GMK_OK;
}

static gmk_handler_reg_t handlers[] = {{.type = GO, .fn = on_go, .name = "go"},
                                       {.type = DISK_TYPE_RESP, .fn = on_answer, .name = "answer"}};
static gmk_chan_decl_t channels[] = {
    {.name = DISK_CHAN_READ,
     .direction = GMK_CHAN_PRODUCE,
     .msg_type = DISK_TYPE_READ,
     .slots = 64},
    {.name = DISK_CHAN_WRITE, .direction = GMK_CHAN_PRODUCE, .msg_type = DISK_TYPE_WRITE},
    {.name = DISK_CHAN_RESP,
     .direction = GMK_CHAN_CONSUME,
     .msg_type = DISK_TYPE_RESP,
     .slots = 16},
    {.name = "client.answers", .direction = GMK_CHAN_CONSUME, .msg_type = DISK_TYPE_RESP}};
static gmk_module_t client = {.name = "client",
                              .handlers = handlers,
                              .n_handlers = GMK_ARRAY_LEN(handlers),
                              .channels = channels,
                              .n_channels = GMK_ARRAY_LEN(channels),
                              .init = client_init};

static bool begin_on(blk_dev_t *d, uint64_t spin_ns)
{
    disk_cfg_t cfg = {.dev = d, .cpu = GMK_HAL_ANY_CPU, .spin_ns = spin_ns};
    gmk_boot_cfg_t boot = {.n_workers = 2, .arena_size = 8u << 20};
    gmk_module_t *mods[2] = {disk_module(&disk, &cfg), &client};

    cl = (struct client){.read = 0};
    return kit_boot_mods(&kernel, &boot, mods, 2);
}

static bool begin(void)
{
    if (!gmk_test_assert_eq(mb_begin(&dev), 0))
        return false;
    for (uint32_t i = 0; i < sizeof(dev.image); i++)
        dev.image[i] = pattern(i / BLK_SECTOR, i % BLK_SECTOR);
    return begin_on(&dev.blk, 0);
}

static bool ask(uint64_t meta0, uint64_t meta1)
{
    gmk_task_t t = kit_task(GO, GMK_PRIO_NORMAL, meta0);

    t.meta1 = meta1;
    return kit_submit(&kernel, t);
}

static void expect(uint64_t id, int32_t status)
{
    gmk_test_assert_eq(cl.n_got[id], 1);
    gmk_test_assert_eq(cl.status[id], status);
}

static void finish(void)
{
    kit_halt(&kernel);
    gmk_test_assert_eq(kit_get(&cl.wrong), 0);
    gmk_test_assert_eq(disk.n_slots, 0);
    gmk_test_assert_eq(mb_end(&dev), 0);
    gmk_test_assert_eq(dev.blk.inflight, 0);
    gmk_test_assert_eq(gmk_load_acq(&dev.blk.owned, GMK_DEV), 0);
}

/* STD-24, CH-36. */
GMK_TEST(disk_read_comes_back_with_its_data)
{
    GMK_REQUIRE(begin());
    ask(ASK(1, BLK_READ, 0), AT(5, 3));
    GMK_REQUIRE(kit_until(&cl.answers, 1));
    expect(1, BLK_OK);
    ask(ASK(2, BLK_READ, TO_OWN), AT(MB_SECTORS - 1, 1));
    GMK_REQUIRE(kit_until(&cl.answers, 2));
    expect(2, BLK_OK);
    finish();
}

GMK_TEST(disk_write_is_acknowledged_on_request_only)
{
    uint64_t n;

    GMK_REQUIRE(begin());
    gmk_hal_memset(dev.image, 0, sizeof(dev.image));
    ask(ASK(1, BLK_WRITE, DISK_ACK), AT(10, 2));
    GMK_REQUIRE(kit_until(&cl.answers, 1));
    expect(1, BLK_OK);
    gmk_test_assert_eq(dev.image[10 * BLK_SECTOR + 3], pattern(10, 3));
    ask(ASK(2, BLK_WRITE, 0), AT(20, 1));
    ask(ASK(3, BLK_WRITE, 0), AT(MB_SECTORS, 1)); /* fails, so it is answered */
    ask(ASK(4, BLK_FLUSH, DISK_ACK), AT(0, 0));
    GMK_REQUIRE(kit_until(&cl.answers, 3));
    expect(3, BLK_E_RANGE);
    expect(4, BLK_OK);
    n = dev.n_flushes;
    gmk_test_assert_eq(n, 1);
    finish();
    gmk_test_assert_eq(cl.n_got[2], 0);
    gmk_test_assert_eq(gmk_count_get(&disk.stats.unanswered), 1);
    gmk_test_assert_eq(dev.image[20 * BLK_SECTOR], pattern(20, 0));
    gmk_test_assert_eq(dev.n_flushes, 2); /* the halt's */
}

GMK_TEST(disk_wrong_requests_are_answered_with_the_reason)
{
    GMK_REQUIRE(begin());
    ask(ASK(1, BLK_READ, 0), AT(MB_SECTORS, 1));
    ask(ASK(2, BLK_READ, 0), AT(0, 65));
    ask(ASK(3, BLK_READ, 0), AT(0, 0));
    ask(ASK(4, BLK_READ, SHORT), AT(0, 1));
    ask(ASK(5, BLK_READ, WRONG_OP), AT(0, 1));
    ask(ASK(6, BLK_WRITE, WRONG_OP), AT(0, 1));
    ask(ASK(7, 9, WRONG_OP), AT(0, 1));
    GMK_REQUIRE(kit_until(&cl.answers, 7));
    expect(1, BLK_E_RANGE);
    for (uint32_t id = 2; id <= 7; id++)
        expect(id, BLK_E_INVALID);
    finish();
    gmk_test_assert_eq(gmk_count_get(&disk.stats.answers), 7);
}

/* A message that is no request at all. */
GMK_TEST(disk_message_without_payload_is_answered_and_lost_nowhere)
{
    gmk_host_t host;
    gmk_ctx_t *ctx;
    gmk_task_t t = {.type = DISK_TYPE_READ, .flags = GMK_PRIO_NORMAL, .meta0 = 77};
    void *p;

    GMK_REQUIRE(begin());
    ctx = gmk_host_attach(&kernel, &host);
    GMK_REQUIRE(ctx != NULL);
    gmk_test_assert_eq(gmk_chan_emit(ctx, cl.read, &t), GMK_OK);
    p = gmk_payload_alloc(ctx, 8); /* too short */
    gmk_task_set_payload(&t, p);
    t.meta0 = 78;
    gmk_test_assert_eq(gmk_chan_emit(ctx, cl.read, &t), GMK_OK);
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    GMK_REQUIRE(kit_until(&cl.answers, 2));
    expect(77, BLK_E_INVALID);
    expect(78, BLK_E_INVALID);
    finish();
    gmk_test_assert_eq(gmk_count_get(&disk.stats.refused), 2);
}

/* Sends, and waits for room where there is none; the device rests until that happens. */
static uint32_t send_patiently(gmk_ctx_t *ctx, uint64_t meta0, uint64_t meta1)
{
    uint32_t fulls = 0;
    int rc;

    while ((rc = send_request(ctx, meta0, meta1)) == GMK_CHAN_FULL || rc == GMK_ALLOC_FAIL) {
        mb_hold(&dev, false);
        fulls++;
        gmk_hal_relax();
    }
    gmk_test_assert_eq(rc, GMK_OK);
    return fulls;
}

/* More than the device, the module and the channels hold: all come back, once. */
GMK_TEST(disk_many_requests_wait_for_room_and_all_come_back)
{
    uint32_t n = IDS, fulls = 0;
    gmk_host_t host;
    gmk_ctx_t *ctx;

    GMK_REQUIRE(begin());
    mb_hold(&dev, true);
    ctx = gmk_host_attach(&kernel, &host);
    GMK_REQUIRE(ctx != NULL);
    for (uint32_t id = 0; id < n; id++)
        fulls += send_patiently(ctx, ASK(id, id % 4 == 3 ? BLK_WRITE : BLK_READ, DISK_ACK),
                                AT(id % 900, 1));
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    GMK_REQUIRE(kit_until(&cl.answers, n));
    for (uint32_t id = 0; id < n; id++)
        expect(id, BLK_OK);
    gmk_test_assert(fulls > 0);
    gmk_test_assert_eq(dev.peak, MB_DEPTH);
    finish();
}

/* A client that takes no answers stops the disk, which goes on when it takes them. */
static void send_reads(uint32_t n_answers)
{
    gmk_host_t host;
    gmk_ctx_t *ctx = gmk_host_attach(&kernel, &host);
    uint32_t sent = 0;

    GMK_REQUIRE(ctx != NULL);
    while (sent < n_answers && send_request(ctx, ASK(sent, BLK_READ, 0), AT(sent, 1)) == GMK_OK)
        sent++;
    gmk_test_assert_eq(sent, n_answers);
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
}

GMK_TEST(disk_full_answer_channel_stalls_without_loss)
{
    gmk_task_t block = kit_task(GO, GMK_PRIO_NORMAL, ASK(60, BLK_READ, 0));

    GMK_REQUIRE(begin());
    mb_hold(&dev, true);
    send_reads(50); /* more than the 16 slots of disk.read.resp */
    mb_hold(&dev, false);
    block.meta1 = AT(1, 1);
    kit_submit(&kernel, block);
    GMK_REQUIRE(kit_until(&cl.answers, 51));
    for (uint32_t id = 0; id < 50; id++)
        expect(id, BLK_OK);
    finish();
}

GMK_TEST(disk_device_errors_are_statuses)
{
    GMK_REQUIRE(begin());
    gmk_store_rel(&dev.broken, 1, GMK_DEV);
    ask(ASK(1, BLK_READ, 0), AT(0, 1));
    ask(ASK(2, BLK_WRITE, 0), AT(0, 1));
    GMK_REQUIRE(kit_until(&cl.answers, 2));
    expect(1, BLK_E_DEVICE);
    expect(2, BLK_E_DEVICE);
    gmk_store_rel(&dev.broken, 0, GMK_DEV);
    ask(ASK(3, BLK_READ, 0), AT(0, 1));
    GMK_REQUIRE(kit_until(&cl.answers, 3));
    expect(3, BLK_OK);
    finish();
}

/* BM-37. */
GMK_TEST(disk_without_a_device_answers_that_there_is_none)
{
    GMK_REQUIRE(begin_on(NULL, 0));
    ask(ASK(1, BLK_READ, 0), AT(0, 1));
    ask(ASK(2, BLK_WRITE, 0), AT(0, 1));
    GMK_REQUIRE(kit_until(&cl.answers, 2));
    expect(1, BLK_E_NO_DISK);
    expect(2, BLK_E_NO_DISK);
    kit_halt(&kernel);
}

GMK_TEST(disk_device_without_interrupts_is_polled)
{
    GMK_REQUIRE(mb_begin(&dev) == 0);
    for (uint32_t i = 0; i < sizeof(dev.image); i++)
        dev.image[i] = pattern(i / BLK_SECTOR, i % BLK_SECTOR);
    dev.no_irq = true;
    dev.blk.has_irq = false;
    GMK_REQUIRE(begin_on(&dev.blk, 20000));
    for (uint32_t id = 0; id < 40; id++)
        ask(ASK(id, BLK_READ, 0), AT(id, 1));
    GMK_REQUIRE(kit_until(&cl.answers, 40));
    gmk_test_assert_eq(kit_get(&cl.ok), 40);
    gmk_test_assert_eq(gmk_count_get(&dev.blk.stats.interrupts), 0);
    finish();
}

/* The device has a driver already. */
GMK_TEST(disk_that_somebody_drives_fails_the_boot)
{
    disk_cfg_t cfg = {.dev = &dev.blk, .cpu = GMK_HAL_ANY_CPU};
    gmk_boot_cfg_t boot = {.n_workers = 1, .arena_size = 4u << 20};
    gmk_module_t *mods[1];

    GMK_REQUIRE(mb_begin(&dev) == 0);
    gmk_test_assert_eq(blk_claim(&dev.blk), BLK_OK);
    mods[0] = disk_module(&disk, &cfg);
    gmk_test_assert_eq(gmk_boot(&kernel, &boot, mods, 1), GMK_E_INIT);
    blk_release(&dev.blk);
    gmk_test_assert_eq(mb_end(&dev), 0);
}

/* A module after it fails: the service thread ends and gives the device back. */
static int refuse(gmk_ctx_t *ctx)
{
    (void)ctx;
    return GMK_FAIL(9);
}

GMK_TEST(disk_failed_boot_of_another_module_gives_the_device_back)
{
    gmk_module_t bad = {.name = "bad", .init = refuse};
    disk_cfg_t cfg = {.dev = &dev.blk, .cpu = GMK_HAL_ANY_CPU};
    gmk_boot_cfg_t boot = {.n_workers = 1, .arena_size = 4u << 20};
    gmk_module_t *mods[2] = {NULL, &bad};

    GMK_REQUIRE(mb_begin(&dev) == 0);
    mods[0] = disk_module(&disk, &cfg);
    gmk_test_assert_eq(gmk_boot(&kernel, &boot, mods, 2), GMK_E_INIT);
    gmk_test_assert_eq(blk_claim(&dev.blk), BLK_OK);
    blk_release(&dev.blk);
    gmk_test_assert_eq(mb_end(&dev), 0);
}

/* Writes that are with the module at halt reach the disk, reads give their memory back. */
GMK_TEST(disk_halt_carries_out_what_is_in_flight)
{
    gmk_host_t host;
    gmk_ctx_t *ctx;
    uint32_t sent = 0;

    GMK_REQUIRE(begin());
    gmk_hal_memset(dev.image, 0, 100 * BLK_SECTOR);
    mb_hold(&dev, true);
    ctx = gmk_host_attach(&kernel, &host);
    GMK_REQUIRE(ctx != NULL);
    for (uint32_t id = 0; id < 100; id++)
        sent += send_request(ctx, ASK(id, BLK_WRITE, 0), AT(id, 1)) == GMK_OK;
    for (uint32_t id = 0; id < 20; id++) {
        gmk_test_assert_eq(send_request(ctx, ASK(id, BLK_READ, 0), AT(500 + id, 1)), GMK_OK);
    }
    gmk_test_assert_eq(gmk_host_detach(&host), GMK_OK);
    while (gmk_count_get(&disk.stats.requests) < 120)
        gmk_hal_relax();
    mb_hold(&dev, false);
    finish();
    gmk_test_assert_eq(sent, 100);
    for (uint32_t i = 0; i < 100; i++)
        gmk_test_assert_eq(dev.image[i * BLK_SECTOR + 9], pattern(i, 9));
    gmk_test_assert_eq(dev.n_flushes, 1);
}

/* Boots again and again on the same storage. */
GMK_TEST(disk_halt_and_boot_again)
{
    for (uint32_t round = 0; round < 5; round++) {
        GMK_REQUIRE(begin());
        for (uint32_t id = 0; id < 10; id++)
            ask(ASK(id, BLK_READ, 0), AT(id + round, 2));
        GMK_REQUIRE(kit_until(&cl.answers, round == 4 ? 10 : 1 + round));
        finish();
    }
}

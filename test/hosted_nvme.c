/* SPDX-License-Identifier: MIT
 * NVMe against a model of the controller: sizes of queues, blocks and doorbells, good and bad
 * behaviour, resets, interrupts, a controller on a thread of its own.
 * Floor: tests. Source: SPEC BM-37; drivers/nvme/nvme.h. */
#include "model_nvme.h"

#include "disk_work.h"
#include "drivers/nvme/nvme.h"

static mn_t dev;

/* Begin and end. ------------------------------------------------------------------------------ */

static void clean(void)
{
    nvme_forget_all();
    blk_forget_all();
    work_clean();
}

static void make(void)
{
    clean();
    dev = mn_plain(image, sizeof(image));
}

static bool start(void)
{
    mn_plug(&dev, MN_BAR, 4);
    if (!gmk_test_assert_eq(drivers_init(), 1))
        return false;
    disk = blk_find("nvme0");
    return gmk_test_assert(disk != NULL);
}

static bool begin(void)
{
    make();
    return start();
}

/* Begins with a controller that waits to be told what to do. */
static bool begin_slow(void)
{
    bool well = begin();

    dev.eager = false;
    return well;
}

/* The books are right, the driver kept the rules, all memory is given back. */
static void finish(void)
{
    work_check();
    nvme_forget_all();
    blk_forget_all();
    gmk_test_assert_eq(mp.n_live, 0);
}

static void device_step(void)
{
    mn_fetch(&dev);
    if (below(3) != 0 && dev.n_held != 0)
        mn_answer(&dev, below(dev.n_held), MN_TRUTH);
}

static void work(uint32_t n_steps) { random_work(n_steps, device_step); }

static bool broken(void) { return gmk_load_acq(&disk->broken, GMK_DEV) != 0; }

/* What a controller may be. ------------------------------------------------ */

GMK_TEST(nvme_start_reads_what_the_controller_says)
{
    GMK_REQUIRE(begin());
    gmk_test_assert_str_eq(disk->serial, "MODEL-N");
    gmk_test_assert_eq(disk->capacity, WORK_SECTORS);
    gmk_test_assert_eq(disk->block_bytes, 512);
    gmk_test_assert_eq(disk->depth, 255);
    gmk_test_assert_eq(disk->max_sectors, 256);
    gmk_test_assert(disk->can_flush && disk->has_irq && !disk->read_only);
    gmk_test_assert_eq(disk->due_ns, BLK_NEVER);
    gmk_test_assert(blk_find(NULL) == disk);
    finish();
}

/* STD-24. */
GMK_TEST(nvme_random_work_matches_its_shadow_for_every_shape)
{
    static const uint32_t mqes[] = {1, 2, 7, 255, 256, 1023, 2047, 65535};

    for (uint32_t i = 0; i < 4 * GMK_ARRAY_LEN(mqes); i++) {
        make();
        dev.mqes = mqes[i % GMK_ARRAY_LEN(mqes)];
        dev.block_bits = 9 + i % 4;
        dev.blocks = sizeof(image) >> dev.block_bits;
        dev.stride = i % 5;
        dev.mdts = i % 3 == 0 ? 0 : i % 6;
        dev.no_msix = i % 7 == 3;
        dev.n_vectors = 1 + i % 4;
        dev.no_list = false;
        dev.cache = i % 2 == 0;
        GMK_REQUIRE(start());
        dev.eager = i % 2 == 1;
        gmk_test_assert_eq(disk->depth, dev.mqes < 255 ? dev.mqes : 255);
        gmk_test_assert_eq(disk->block_bytes, 1u << dev.block_bits);
        gmk_test_assert_eq(disk->has_irq, !dev.no_msix);
        work(400);
        gmk_test_assert(dev.n_reads > 20 && dev.n_writes > 20);
        gmk_test_assert_eq(dev.n_flushes != 0, dev.cache);
        finish();
    }
}

GMK_TEST(nvme_queues_and_sequences_wrap)
{
    make();
    dev.mqes = 6;
    GMK_REQUIRE(start());
    for (uint32_t i = 0; i < 70000; i++)
        if (blk_sync(disk, BLK_READ, i % WORK_SECTORS, 1, space) != BLK_OK)
            GMK_REQUIRE(false);
    finish();
}

GMK_TEST(nvme_transfer_limit_of_the_controller_is_kept)
{
    for (uint32_t mdts = 1; mdts < 40; mdts++) {
        uint32_t most = mdts < 5 ? 8u << mdts : 256;

        make();
        dev.mdts = mdts;
        GMK_REQUIRE(start());
        gmk_test_assert_eq(disk->max_sectors, most);
        gmk_test_assert_eq(blk_sync(disk, BLK_READ, 0, most, space + 4092), BLK_OK);
        gmk_test_assert_eq(blk_sync(disk, BLK_READ, 0, most + 1, space), BLK_E_INVALID);
        finish();
    }
}

GMK_TEST(nvme_serial_is_made_printable)
{
    make();
    memcpy(dev.serial, " a\tb\x80  ", 8);
    GMK_REQUIRE(start());
    gmk_test_assert_str_eq(disk->serial, " a?b?");
    finish();
    make();
    memcpy(dev.serial, "12345678901234567890", 21);
    GMK_REQUIRE(start());
    gmk_test_assert_str_eq(disk->serial, "12345678901234567890");
    finish();
}

GMK_TEST(nvme_two_controllers_are_two_disks)
{
    static mn_t second;
    static uint8_t other[64 * 512];

    make();
    memset(other, 7, sizeof(other));
    second = mn_plain(other, sizeof(other));
    mn_plug(&dev, MN_BAR, 4);
    mn_plug(&second, MN_BAR + MN_BAR_BYTES, 5);
    gmk_test_assert_eq(drivers_init(), 2);
    disk = blk_find("nvme1");
    GMK_REQUIRE(disk != NULL);
    gmk_test_assert_eq(disk->capacity, 64);
    gmk_test_assert_eq(blk_sync(disk, BLK_READ, 63, 1, space), BLK_OK);
    gmk_test_assert_eq(space[511], 7);
    work_check();
    disk = blk_find("nvme0");
    work(100);
    finish();
}

/* Starts that fail. -------------------------------------------------------- */

static void no_disk(void)
{
    gmk_test_assert_eq(blk_count(), 0);
    gmk_test_assert_eq(mp.n_live, 0);
    if (!gmk_test_assert_eq(mp.complaints, 0))
        gmk_test_print(mp.complaint);
}

/* Plugs the controller in and expects that it is not taken, for that reason. */
static void expect_refused(int status)
{
    mn_plug(&dev, MN_BAR, 4);
    gmk_test_assert_eq(drivers_init(), 0);
    gmk_test_assert_eq(nvme_init(pci_get_device(0)), status);
    gmk_test_assert_eq(mp_get(dev.func, 4, 2) & PCI_CMD_MASTER, 0);
    no_disk();
}

GMK_TEST(nvme_missing_controller_is_a_code)
{
    pci_device_t other = {.class_code = 1, .subclass = 8, .prog_if = 1};

    clean();
    gmk_test_assert_eq(drivers_init(), 0);
    gmk_test_assert_eq(nvme_init(NULL), BLK_E_NO_DISK);
    gmk_test_assert_eq(nvme_init(&other), BLK_E_NO_DISK);
    no_disk();
}

#define EXPECT_REFUSED(change, status)                                                             \
    do {                                                                                           \
        make();                                                                                    \
        change;                                                                                    \
        expect_refused(status);                                                                    \
    } while (0)

GMK_TEST(nvme_unusable_controllers_are_refused_at_start)
{
    EXPECT_REFUSED(dev.mqes = 0, BLK_E_UNSUPPORTED);
    EXPECT_REFUSED(dev.no_nvm = true, BLK_E_UNSUPPORTED);
    EXPECT_REFUSED(dev.mps_min = 1, BLK_E_UNSUPPORTED);
    EXPECT_REFUSED(dev.stride = 15, BLK_E_UNSUPPORTED); /* doorbells beyond the BAR */
    EXPECT_REFUSED(dev.sqes = 0x77, BLK_E_UNSUPPORTED);
    EXPECT_REFUSED(dev.sqes = 0x55, BLK_E_UNSUPPORTED);
    EXPECT_REFUSED(dev.cqes = 0x55, BLK_E_UNSUPPORTED);
    EXPECT_REFUSED(dev.block_bits = 8, BLK_E_UNSUPPORTED);
    EXPECT_REFUSED(dev.block_bits = 13, BLK_E_UNSUPPORTED);
    EXPECT_REFUSED(dev.block_bits = 255, BLK_E_UNSUPPORTED);
    EXPECT_REFUSED(dev.meta = 8, BLK_E_UNSUPPORTED);
    EXPECT_REFUSED(dev.protection = 1, BLK_E_UNSUPPORTED);
    EXPECT_REFUSED(dev.blocks = 0, BLK_E_UNSUPPORTED);
    EXPECT_REFUSED(dev.blocks = UINT64_MAX, BLK_E_UNSUPPORTED);
    EXPECT_REFUSED(mp.no_dma = true, BLK_E_MEMORY);
}

GMK_TEST(nvme_broken_controllers_end_start_in_time)
{
    EXPECT_REFUSED(dev.gone = true, BLK_E_BROKEN);
    EXPECT_REFUSED(dev.no_ready = true, BLK_E_BROKEN);
    EXPECT_REFUSED(dev.no_stop = true, BLK_E_BROKEN);
    EXPECT_REFUSED(dev.dead_start = true, BLK_E_BROKEN);
    EXPECT_REFUSED(dev.admin_lies = true, BLK_E_BROKEN);
    EXPECT_REFUSED(dev.mute_admin = true, BLK_E_TIMEOUT);
    for (uint32_t opcode = 1; opcode < 10; opcode++) {
        if (opcode != 1 && opcode != 5 && opcode != 6 && opcode != 9)
            continue;
        EXPECT_REFUSED((dev.fail_opcode = opcode, dev.fail_status = 6), BLK_E_DEVICE);
    }
}

/* CAP.TO bounds the waits: the clock of the model says how long they were. */
GMK_TEST(nvme_controller_is_waited_for_as_long_as_it_says)
{
    for (uint32_t to = 0; to < 50; to += 7) {
        uint64_t began, want = (to == 0 ? 1 : to) * (SEC_NS / 2);

        make();
        dev.timeout = to;
        dev.no_ready = true;
        mn_plug(&dev, MN_BAR, 4);
        began = dev_now_ns();
        gmk_test_assert_eq(drivers_init(), 0);
        gmk_test_assert_ge(dev_now_ns() - began, want);
        gmk_test_assert_le(dev_now_ns() - began, want + SEC_NS / 100);
        no_disk();
    }
}

/* Before 1.1 there is no list of namespaces: it is number 1, which this one does not have. */
GMK_TEST(nvme_without_a_list_the_namespace_is_number_1)
{
    make();
    dev.no_list = true;
    GMK_REQUIRE(start());
    gmk_test_assert_eq(blk_sync(disk, BLK_READ, 0, 1, space), BLK_OK);
    gmk_test_assert_ge(mp.complaints, 1); /* the model's namespace is another one */
    mp.complaints = 0;
    finish();
}

/* Requests that cannot be. ------------------------------------------------- */

GMK_TEST(nvme_wrong_requests_are_refused_and_never_reach_the_controller)
{
    GMK_REQUIRE(begin());
    gmk_test_assert(submit(0, BLK_READ, WORK_SECTORS - 3, 4));
    gmk_test_assert(submit(1, BLK_READ, 0, 0));
    gmk_test_assert(submit(2, BLK_READ, 0, disk->max_sectors + 1));
    gmk_test_assert(submit(3, (enum blk_op)9, 0, 1));
    gmk_test_assert_eq(job[0].n_done, 0);
    gmk_test_assert_eq(poll(), 4);
    ended(0, BLK_E_RANGE);
    ended(1, BLK_E_INVALID);
    ended(2, BLK_E_INVALID);
    ended(3, BLK_E_INVALID);
    gmk_test_assert_eq(dev.n_fetched, 0);
    gmk_test_assert_eq(stat(&disk->stats.refused), 4);
    finish();
}

GMK_TEST(nvme_read_only_namespace_refuses_writes)
{
    make();
    dev.read_only = true;
    GMK_REQUIRE(start());
    gmk_test_assert(disk->read_only);
    gmk_test_assert_eq(blk_sync(disk, BLK_WRITE, 0, 1, space), BLK_E_READ_ONLY);
    gmk_test_assert_eq(blk_sync(disk, BLK_READ, 0, 1, space), BLK_OK);
    finish();
}

GMK_TEST(nvme_blocks_of_4096_want_whole_blocks)
{
    make();
    dev.block_bits = 12;
    dev.blocks = WORK_SECTORS / 8;
    GMK_REQUIRE(start());
    gmk_test_assert_eq(blk_sync(disk, BLK_READ, WORK_SECTORS - 8, 8, space), BLK_OK);
    gmk_test_assert_eq(blk_sync(disk, BLK_READ, 4, 8, space), BLK_E_INVALID);
    gmk_test_assert_eq(blk_sync(disk, BLK_READ, 8, 4, space), BLK_E_INVALID);
    finish();
}

GMK_TEST(nvme_memory_that_is_not_mapped_is_refused_without_a_leak)
{
    GMK_REQUIRE(begin());
    mp.hole = space + 8 * 4096;
    for (uint32_t i = 0; i < 1000; i++)
        gmk_test_assert_eq(blk_sync(disk, BLK_READ, 0, 64, space + 4096 * 5), BLK_E_INVALID);
    mp.hole = NULL;
    gmk_test_assert_eq(blk_sync(disk, BLK_READ, 0, 64, space + 4096 * 5), BLK_OK);
    finish();
}

GMK_TEST(nvme_full_queue_takes_no_more_and_loses_nothing)
{
    uint32_t n = 0;

    GMK_REQUIRE(begin_slow());
    while (n < WORK_REQS && submit(n, BLK_READ, n, 1))
        n++;
    gmk_test_assert_eq(n, 255);
    gmk_test_assert_eq(disk->inflight, n);
    gmk_test_assert_eq(job[n].n_done, 0);
    mn_serve(&dev);
    while (disk->inflight != 0)
        GMK_REQUIRE(poll() > 0);
    for (uint32_t i = 0; i < n; i++)
        ended(i, BLK_OK);
    gmk_test_assert(submit(n, BLK_READ, 0, 1));
    mn_serve(&dev);
    poll();
    ended(n, BLK_OK);
    finish();
}

/* Doorbells. --------------------------------------------------------------- */

static void again_done(blk_req_t *r)
{
    uint32_t i = (uint32_t)((job_t *)r->user - job);
    blk_req_t *next;

    job[i].n_done++;
    if (i >= 32)
        return;
    next = ask(i + 32, BLK_READ, i, 1);
    gmk_test_assert_eq(disk->ops->submit(disk, &next, 1), 1);
}

GMK_TEST(nvme_many_requests_ring_once)
{
    blk_req_t *r[32];

    GMK_REQUIRE(begin_slow());
    for (uint32_t i = 0; i < 32; i++) {
        r[i] = ask(i, BLK_READ, i, 1);
        r[i]->done = again_done;
    }
    dev.n_bells = 0;
    gmk_test_assert_eq(disk->ops->submit(disk, r, 32), 32);
    gmk_test_assert_eq(dev.n_bells, 1);
    mn_serve(&dev);
    gmk_test_assert_eq(poll(), 32); /* each submits another one */
    gmk_test_assert_eq(dev.n_bells, 2);
    mn_serve(&dev);
    gmk_test_assert_eq(poll(), 32);
    gmk_test_assert_eq(dev.n_cq_bells, 0);
    for (uint32_t i = 0; i < 64; i++)
        ended(i, BLK_OK);
    gmk_test_assert_eq(stat(&disk->stats.kicks), 2);
    finish();
}

/* Statuses. ---------------------------------------------------------------- */

GMK_TEST(nvme_statuses_end_requests_by_what_they_mean)
{
    static const struct {
        uint32_t field;
        int status;
    } t[] = {{0x001, BLK_E_UNSUPPORTED}, {0x002, BLK_E_DEVICE},    {0x004, BLK_E_DEVICE},
             {0x006, BLK_E_DEVICE},      {0x007, BLK_E_RESET},     {0x008, BLK_E_RESET},
             {0x00b, BLK_E_DEVICE},      {0x020, BLK_E_READ_ONLY}, {0x080, BLK_E_RANGE},
             {0x082, BLK_E_DEVICE},      {0x182, BLK_E_READ_ONLY}, {0x280, BLK_E_DEVICE},
             {0x281, BLK_E_DEVICE},      {0x287, BLK_E_DEVICE},    {0x7ff, BLK_E_DEVICE}};

    GMK_REQUIRE(begin_slow());
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(t); i++) {
        gmk_test_assert(submit(i, BLK_WRITE, i, 1));
        mn_fetch(&dev);
        dev.fail_status = t[i].field;
        mn_answer(&dev, 0, MN_ERROR);
        gmk_test_assert_eq(poll(), 1);
        ended(i, t[i].status);
    }
    gmk_test_assert(!broken());
    gmk_test_assert_eq(stat(&disk->stats.resets), 0);
    work(100);
    finish();
}

/* Lies. -------------------------------------------------------------------- */

/* A broken device takes requests and ends them, cannot reach memory, and can be mended. */
static void check_broken(void)
{
    gmk_test_assert(broken());
    gmk_test_assert_eq(mp_get(dev.func, 4, 2) & PCI_CMD_MASTER, 0);
    gmk_test_assert(submit(20, BLK_READ, 0, 1));
    gmk_test_assert(!disk->ops->arm(disk));
    gmk_test_assert_eq(poll(), 1);
    ended(20, BLK_E_BROKEN);
    gmk_test_assert(disk->ops->arm(disk));
}

/* Ten requests: two are answered well, one by the lie, the others not. */
static void tell_lie(enum mn_lie lie)
{
    uint32_t n_ok = 0, n_broken = 0;

    for (uint32_t i = 0; i < 10; i++)
        gmk_test_assert(submit(i, BLK_READ, 8 * i, 8));
    mn_fetch(&dev);
    mn_answer(&dev, 0, MN_TRUTH);
    mn_answer(&dev, 1, MN_TRUTH);
    gmk_test_assert_eq(poll(), 2);
    mn_answer(&dev, 2, lie);
    poll();
    poll();
    for (uint32_t i = 0; i < 10; i++) {
        gmk_test_assert_eq(job[i].n_done, 1);
        n_ok += job[i].r.status == BLK_OK;
        n_broken += job[i].r.status == BLK_E_BROKEN;
    }
    gmk_test_assert_eq(n_ok + n_broken, 10);
    gmk_test_assert_eq(n_ok, lie == MN_TWICE ? 3 : 2);
    gmk_test_assert_eq(stat(&disk->stats.spurious), 1);
}

GMK_TEST(nvme_every_lie_breaks_the_device_and_loses_no_request)
{
    for (uint32_t lie = MN_ID_IDLE; lie < MN_LIES; lie++) {
        GMK_REQUIRE(begin_slow());
        tell_lie((enum mn_lie)lie);
        check_broken();
        gmk_test_assert_eq(disk->ops->reset(disk), BLK_OK);
        gmk_test_assert(!broken());
        work(100);
        finish();
    }
}

GMK_TEST(nvme_answers_without_a_request_break_an_idle_device)
{
    for (uint32_t lie = MN_ALL_PHASES; lie < MN_LIES; lie++) {
        GMK_REQUIRE(begin_slow());
        mn_post_lie(&dev, 0, 0, (enum mn_lie)lie);
        gmk_test_assert_eq(poll(), 0);
        check_broken();
        gmk_test_assert_eq(disk->ops->reset(disk), BLK_OK);
        finish();
    }
}

/* Silence. ----------------------------------------------------------------- */

GMK_TEST(nvme_silent_device_is_reset_and_requests_time_out)
{
    GMK_REQUIRE(begin_slow());
    for (uint32_t i = 0; i < 10; i++)
        gmk_test_assert(submit(i, BLK_WRITE, i, 1));
    gmk_test_assert_eq(poll(), 0);
    gmk_test_assert(disk->due_ns != BLK_NEVER);
    later(4 * SEC_NS);
    gmk_test_assert_eq(poll(), 0);
    later(2 * SEC_NS);
    gmk_test_assert_eq(poll(), 10);
    for (uint32_t i = 0; i < 10; i++)
        ended(i, BLK_E_TIMEOUT);
    gmk_test_assert_eq(dev.n_resets, 2); /* one at start */
    gmk_test_assert_eq(disk->due_ns, BLK_NEVER);
    work(200);
    finish();
}

/* One late request: the others go on after the reset, with the right data. */
GMK_TEST(nvme_requests_beside_a_late_one_are_started_again)
{
    GMK_REQUIRE(begin_slow());
    for (uint32_t i = 0; i < sizeof(image); i++)
        image[i] = (uint8_t)below(256);
    for (uint32_t i = 0; i < 10; i++) {
        blk_req_t *r = ask(i, BLK_READ, 10 * i, 10);

        r->deadline_ns = dev_now_ns() + (i == 4 ? 1 : 3) * SEC_NS;
        gmk_test_assert_eq(disk->ops->submit(disk, &r, 1), 1);
    }
    later(SEC_NS);
    gmk_test_assert_eq(poll(), 1);
    ended(4, BLK_E_TIMEOUT);
    gmk_test_assert_eq(stat(&disk->stats.requeued), 9);
    mn_serve(&dev);
    gmk_test_assert_eq(poll(), 9);
    for (uint32_t i = 0; i < 10; i++)
        if (i != 4 && ended(i, BLK_OK))
            gmk_test_assert(memcmp(job[i].buf, image + 5120 * i, 5120) == 0);
    finish();
}

/* It ends by itself: the device and the requests beside it are left alone. */
GMK_TEST(nvme_request_that_is_late_when_it_comes_costs_no_reset)
{
    uint64_t resets;
    blk_req_t *r;

    GMK_REQUIRE(begin_slow());
    resets = stat(&disk->stats.resets);
    for (uint32_t i = 0; i < 4; i++) {
        r = ask(i, BLK_READ, i, 1);
        r->deadline_ns = i % 2 == 0 ? dev_now_ns() + SEC_NS : dev_now_ns();
        gmk_test_assert_eq(disk->ops->submit(disk, &r, 1), 1);
    }
    gmk_test_assert_eq(poll(), 2);
    ended(1, BLK_E_TIMEOUT);
    ended(3, BLK_E_TIMEOUT);
    mn_serve(&dev);
    gmk_test_assert_eq(poll(), 2);
    ended(0, BLK_OK);
    ended(2, BLK_OK);
    gmk_test_assert_eq(stat(&disk->stats.timeouts), 2);
    gmk_test_assert_eq(stat(&disk->stats.resets), resets);
    finish();
}

/* What is there already when the time is up counts, also the late one's own answer. */
GMK_TEST(nvme_answer_before_the_look_at_the_clock_is_no_timeout)
{
    GMK_REQUIRE(begin_slow());
    for (uint32_t i = 0; i < 100; i++)
        gmk_test_assert(submit(i, BLK_READ, i, 1));
    mn_serve(&dev);
    later(100 * SEC_NS);
    for (uint32_t i = 0; i < 100; i++)
        gmk_test_assert_eq(disk->ops->poll(disk, 1), 1);
    for (uint32_t i = 0; i < 100; i++)
        ended(i, BLK_OK);
    gmk_test_assert_eq(stat(&disk->stats.resets), 0);
    finish();
}

GMK_TEST(nvme_requests_that_meet_two_resets_end)
{
    GMK_REQUIRE(begin_slow());
    for (uint32_t i = 0; i < 3; i++) {
        blk_req_t *r = ask(i, BLK_READ, i, 1);

        r->deadline_ns = dev_now_ns() + (i + 1) * SEC_NS;
        gmk_test_assert_eq(disk->ops->submit(disk, &r, 1), 1);
    }
    later(SEC_NS);
    gmk_test_assert_eq(poll(), 1);
    later(SEC_NS);
    gmk_test_assert_eq(poll(), 2);
    ended(0, BLK_E_TIMEOUT);
    ended(1, BLK_E_TIMEOUT);
    ended(2, BLK_E_RESET);
    finish();
}

/* A device that goes on after the reset writes into the queue it had before. */
GMK_TEST(nvme_answers_after_a_reset_are_seen_and_meet_no_later_request)
{
    GMK_REQUIRE(begin_slow());
    for (uint32_t i = 0; i < 4; i++)
        gmk_test_assert(submit(i, BLK_READ, i, 1));
    later(6 * SEC_NS);
    gmk_test_assert_eq(poll(), 4);
    for (uint32_t i = 4; i < 8; i++)
        gmk_test_assert(submit(i, BLK_READ, i, 1));
    for (uint32_t i = 0; i < 4; i++)
        mn_post(&dev.before, 1, 4, 0x100 | i);
    gmk_test_assert_eq(poll(), 0);
    gmk_test_assert_eq(stat(&disk->stats.spurious), 4);
    gmk_test_assert(!broken());
    mn_serve(&dev);
    gmk_test_assert_eq(poll(), 4);
    for (uint32_t i = 4; i < 8; i++)
        ended(i, BLK_OK);
    finish();
}

/* The same, but in the new queue: known by the identifier, once; twice is nonsense. */
GMK_TEST(nvme_late_answers_in_the_new_queue_count_once)
{
    mn_cmd_t old;

    GMK_REQUIRE(begin_slow());
    gmk_test_assert(submit(0, BLK_READ, 0, 1));
    mn_fetch(&dev);
    old = dev.held[0];
    later(6 * SEC_NS);
    gmk_test_assert_eq(poll(), 1);
    gmk_test_assert(submit(1, BLK_READ, 1, 1));
    mn_fetch(&dev);
    mn_post(&dev.q[1], 1, 1, old.dw[0] >> 16);
    gmk_test_assert_eq(poll(), 0);
    gmk_test_assert_eq(stat(&disk->stats.spurious), 1);
    gmk_test_assert(!broken());
    mn_post(&dev.q[1], 1, 1, old.dw[0] >> 16);
    gmk_test_assert_eq(poll(), 1);
    ended(1, BLK_E_BROKEN);
    gmk_test_assert(broken());
    gmk_test_assert_eq(disk->ops->reset(disk), BLK_OK);
    work(100);
    finish();
}

/* What was in flight when the controller was given up is known as late, too. */
GMK_TEST(nvme_late_answer_after_a_mended_break_breaks_nothing)
{
    mn_cmd_t old;

    GMK_REQUIRE(begin_slow());
    for (uint32_t i = 0; i < 2; i++)
        gmk_test_assert(submit(i, BLK_READ, i, 1));
    mn_fetch(&dev);
    old = dev.held[0];
    mn_post(&dev.q[1], 1, 1, 200); /* a slot without a command */
    gmk_test_assert_eq(poll(), 2);
    gmk_test_assert(broken());
    gmk_test_assert_eq(disk->ops->reset(disk), BLK_OK);
    gmk_test_assert(submit(2, BLK_READ, 2, 1));
    mn_fetch(&dev);
    mn_post(&dev.q[1], 1, 1, old.dw[0] >> 16);
    gmk_test_assert_eq(poll(), 0);
    gmk_test_assert(!broken());
    mn_serve(&dev);
    gmk_test_assert_eq(poll(), 1);
    ended(2, BLK_OK);
    finish();
}

/* Sequences come round after 256 uses of a slot. (It was: the answer to a later request was taken
 * for the late one, and the request was lost; found by kernel_disk.) */
GMK_TEST(nvme_identifier_of_a_lost_command_is_not_used_again)
{
    mn_cmd_t old;

    GMK_REQUIRE(begin_slow());
    gmk_test_assert(submit(0, BLK_READ, 0, 1));
    mn_fetch(&dev);
    old = dev.held[0];
    gmk_test_assert_eq(disk->ops->reset(disk), BLK_OK);
    gmk_test_assert_eq(poll(), 1);
    ended(0, BLK_E_RESET);
    for (uint32_t i = 0; i < 1000; i++) {
        gmk_test_assert(submit(1, BLK_READ, i, 1));
        mn_fetch(&dev);
        gmk_test_assert_ne(dev.held[0].dw[0] >> 16, old.dw[0] >> 16);
        mn_answer(&dev, 0, MN_TRUTH);
        gmk_test_assert_eq(poll(), 1);
        ended(1, BLK_OK);
    }
    gmk_test_assert_eq(stat(&disk->stats.spurious), 0);
    mn_post(&dev.q[1], 1, dev.q[1].head, old.dw[0] >> 16);
    gmk_test_assert_eq(poll(), 0);
    gmk_test_assert_eq(stat(&disk->stats.spurious), 1);
    gmk_test_assert(!broken());
    finish();
}

/* Thousands of timeouts leak no slot and no identifier. */
GMK_TEST(nvme_many_timeouts_leak_nothing)
{
    GMK_REQUIRE(begin());
    for (uint32_t round = 0; round < 600; round++) {
        dev.eager = false;
        for (uint32_t i = 0; i < 3; i++)
            gmk_test_assert(submit(i, BLK_WRITE, i, 1));
        later(6 * SEC_NS);
        gmk_test_assert_eq(poll(), 3);
        ended(2, BLK_E_TIMEOUT);
        dev.eager = true;
        gmk_test_assert_eq(blk_sync(disk, BLK_READ, round, 8, space), BLK_OK);
    }
    gmk_test_assert_eq(stat(&disk->stats.resets), 600);
    dev.eager = false;
    for (uint32_t i = 0; i < 255; i++)
        gmk_test_assert(submit(i, BLK_READ, i, 1));
    mn_serve(&dev);
    gmk_test_assert_eq(disk->ops->poll(disk, 255), 255);
    work(200);
    finish();
}

GMK_TEST(nvme_device_that_never_answers_is_given_up)
{
    uint32_t rounds = 0;

    GMK_REQUIRE(begin_slow());
    while (!broken() && rounds++ < 100) {
        gmk_test_assert(submit(0, BLK_READ, 0, 1));
        later(6 * SEC_NS);
        gmk_test_assert_eq(poll(), 1);
        ended(0, BLK_E_TIMEOUT);
    }
    gmk_test_assert_eq(rounds, 9);
    gmk_test_assert_eq(disk->ops->reset(disk), BLK_OK);
    work(50);
    finish();
}

/* Each way a reset can fail: the late request ends as late, the others as broken. */
GMK_TEST(nvme_device_that_does_not_come_back_is_given_up)
{
    for (uint32_t how = 0; how < 5; how++) {
        GMK_REQUIRE(begin_slow());
        for (uint32_t i = 0; i < 2; i++) {
            blk_req_t *r = ask(i, BLK_READ, i, 1);

            r->deadline_ns = dev_now_ns() + (i + 1) * SEC_NS;
            gmk_test_assert_eq(disk->ops->submit(disk, &r, 1), 1);
        }
        dev.no_stop = how == 0;
        dev.no_ready = how == 1;
        dev.mute_admin = how == 2;
        dev.fail_opcode = how == 3 ? 1 : 0xff;
        dev.fail_status = 6;
        dev.dead_start = how == 4;
        later(SEC_NS);
        gmk_test_assert_eq(poll(), 2);
        ended(0, BLK_E_TIMEOUT);
        ended(1, BLK_E_BROKEN);
        gmk_test_assert_eq(disk->ops->reset(disk), BLK_E_BROKEN);
        check_broken();
        dev.no_stop = dev.no_ready = dev.mute_admin = dev.dead_start = false;
        dev.fail_opcode = 0xff;
        gmk_test_assert_eq(disk->ops->reset(disk), BLK_OK);
        work(50);
        finish();
    }
}

GMK_TEST(nvme_reset_by_the_owner_ends_requests)
{
    GMK_REQUIRE(begin_slow());
    for (uint32_t i = 0; i < 5; i++)
        gmk_test_assert(submit(i, BLK_WRITE, i, 1));
    gmk_test_assert_eq(disk->ops->reset(disk), BLK_OK);
    gmk_test_assert_eq(job[0].n_done, 0);
    gmk_test_assert_eq(poll(), 5);
    for (uint32_t i = 0; i < 5; i++)
        ended(i, BLK_E_RESET);
    work(50);
    finish();
}

/* Failure of the controller. ----------------------------------------------- */

GMK_TEST(nvme_fatal_status_is_found_soon_and_requests_go_on_after_a_reset)
{
    GMK_REQUIRE(begin_slow());
    for (uint32_t i = 0; i < 10; i++)
        gmk_test_assert(submit(i, BLK_READ, i, 1));
    mn_fetch(&dev);
    dev.fatal = true;
    later(SEC_NS / 10); /* long before a deadline */
    gmk_test_assert_eq(poll(), 0);
    gmk_test_assert_eq(stat(&disk->stats.requeued), 10);
    gmk_test_assert_eq(stat(&disk->stats.resets), 1);
    mn_fetch(&dev);
    dev.fatal = true;
    later(SEC_NS / 10);
    gmk_test_assert_eq(poll(), 10);
    for (uint32_t i = 0; i < 10; i++)
        ended(i, BLK_E_RESET);
    work(50);
    finish();
}

GMK_TEST(nvme_removed_controller_is_found_soon_and_ends_requests)
{
    GMK_REQUIRE(begin_slow());
    for (uint32_t i = 0; i < 10; i++)
        gmk_test_assert(submit(i, BLK_READ, i, 1));
    mn_fetch(&dev);
    dev.gone = true;
    later(SEC_NS / 10);
    gmk_test_assert_eq(poll(), 10);
    for (uint32_t i = 0; i < 10; i++)
        ended(i, BLK_E_BROKEN);
    gmk_test_assert_eq(disk->ops->reset(disk), BLK_E_BROKEN);
    check_broken();
    finish();
}

/* Interrupts. -------------------------------------------------------------- */

GMK_TEST(nvme_interrupts_come_when_armed_and_not_while_polled)
{
    uint32_t word;

    GMK_REQUIRE(begin_slow());
    for (uint32_t i = 0; i < 40; i++) {
        gmk_test_assert(submit(i, BLK_READ, i, 1));
        mn_serve(&dev);
        gmk_test_assert_eq(poll(), 1);
    }
    gmk_test_assert_eq(dev.n_interrupts, 0);
    gmk_test_assert(submit(0, BLK_READ, 0, 1));
    gmk_test_assert(submit(1, BLK_READ, 1, 1));
    gmk_test_assert(disk->ops->arm(disk));
    gmk_test_assert_eq(dev.n_interrupts, 1); /* for what came while it was masked */
    word = gmk_hal_park_word(&disk->park);
    mn_fetch(&dev);
    mn_answer(&dev, 0, MN_TRUTH);
    gmk_test_assert_eq(dev.n_interrupts, 2);
    gmk_test_assert_ne(gmk_hal_park_word(&disk->park), word);
    gmk_test_assert(!disk->ops->arm(disk)); /* an answer is there */
    gmk_test_assert_eq(poll(), 1);
    mn_serve(&dev);
    gmk_test_assert_eq(poll(), 1);
    finish();
}

/* Nobody sleeps: a few interrupts, then none. Somebody sleeps: one each, and no masking. */
GMK_TEST(nvme_interrupts_are_masked_under_load_only)
{
    GMK_REQUIRE(begin_slow());
    gmk_test_assert(disk->ops->arm(disk));
    dev.n_interrupts = dev.n_masks = 0;
    for (uint32_t i = 0; i < 100; i++) {
        gmk_test_assert(submit(0, BLK_READ, i, 1));
        mn_serve(&dev);
        gmk_test_assert_eq(poll(), 1);
    }
    gmk_test_assert_le(dev.n_interrupts, 6);
    gmk_test_assert_eq(dev.n_masks, 1);
    gmk_test_assert(disk->ops->arm(disk));
    dev.n_interrupts = dev.n_masks = 0;
    for (uint32_t i = 0; i < 100; i++) {
        gmk_test_assert_eq(poll(), 0);
        gmk_test_assert(submit(0, BLK_READ, i, 1));
        gmk_test_assert(disk->ops->arm(disk));
        mn_serve(&dev);
        gmk_test_assert_eq(poll(), 1);
    }
    gmk_test_assert_eq(dev.n_interrupts, 100);
    gmk_test_assert_eq(dev.n_masks, 0);
    finish();
}

GMK_TEST(nvme_lost_interrupt_costs_milliseconds_and_no_reset)
{
    GMK_REQUIRE(begin_slow());
    gmk_test_assert(submit(0, BLK_READ, 0, 1));
    gmk_test_assert(disk->ops->arm(disk));
    dev.no_irqs = true;
    mn_serve(&dev);
    gmk_test_assert_le(disk->due_ns, dev_now_ns() + SEC_NS / 50);
    later(SEC_NS / 50);
    gmk_test_assert_eq(poll(), 1);
    ended(0, BLK_OK);
    gmk_test_assert_eq(stat(&disk->stats.lost_irqs), 1);
    gmk_test_assert_eq(stat(&disk->stats.resets), 0);
    finish();
}

/* A controller on its own thread. ------------------------------------------ */

static gmk_a32_t stop;

static void *run_device(void *arg)
{
    (void)arg;
    while (gmk_load_acq(&stop, GMK_DEV) == 0) {
        uint32_t seen = gmk_hal_park_word(&dev.park);

        gmk_hal_lock_acquire(&mp.lock);
        mn_fetch(&dev);
        while (dev.n_held != 0)
            mn_answer(&dev, dev.n_held / 2, MN_TRUTH);
        gmk_hal_lock_release(&mp.lock);
        gmk_hal_park_wait(&dev.park, seen, GMK_HAL_FOREVER);
    }
    return NULL;
}

GMK_TEST(nvme_controller_on_a_thread_serves_a_sleeping_owner)
{
    for (uint32_t i = 0; i < 6; i++) {
        gmk_hal_thread_t t = {0};

        make();
        dev.mqes = i % 2 == 0 ? 2047 : 9;
        dev.n_vectors = 1 + i % 3;
        GMK_REQUIRE(start());
        mp.clock = 0;
        dev.eager = false;
        gmk_store_rel(&stop, 0, GMK_DEV);
        GMK_REQUIRE(gmk_hal_cpu_start(&t, GMK_HAL_ANY_CPU, run_device, NULL) == 0);
        gmk_test_assert_eq(drive(1 + i * 9, 800), 800);
        gmk_store_rel(&stop, 1, GMK_DEV);
        gmk_hal_park_wake(&dev.park);
        gmk_test_assert_eq(gmk_hal_thread_join(&t), 0);
        gmk_test_assert_eq(stat(&disk->stats.timeouts), 0);
        gmk_test_assert(memcmp(image, shadow, sizeof(image)) == 0);
        finish();
    }
}

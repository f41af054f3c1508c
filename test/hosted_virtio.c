/* SPDX-License-Identifier: MIT
 * virtio-blk against a model of the device: legacy and 1.x, every mix of ring features, good
 * and bad behaviour, resets, interrupts, a device on a thread of its own.
 * Floor: tests. Source: SPEC BM-34 to BM-37. */
#include "model_virtio.h"

#include "disk_work.h"
#include "drivers/virtio/virtio_blk.h"

#define SECTORS 1003u      /* no multiple of 8 */
#ifdef __SANITIZE_THREAD__ /* all but one test are of one thread, and take 20 times as long */
#define STEPS 300u
#else
#define STEPS 1500u
#endif

static mv_t dev;

/* Begin and end. ----------------------------------------------------------- */

enum { MODERN = 1, DIRECT = 2, NO_EVENT = 4, NO_MSIX = 8, ALL_MIXES = 16 };

static void clean(void)
{
    virtio_blk_forget_all();
    blk_forget_all();
    work_clean();
}

static void make(uint32_t mix)
{
    clean();
    dev = mv_plain((mix & MODERN) != 0, image, SECTORS);
    if ((mix & DIRECT) != 0)
        dev.offers &= ~VIRTIO_F_INDIRECT;
    if ((mix & NO_EVENT) != 0)
        dev.offers &= ~VIRTIO_F_EVENT_IDX;
    dev.no_msix = (mix & NO_MSIX) != 0;
}

static bool start(void)
{
    mv_plug(&dev, 0, 4);
    if (!gmk_test_assert_eq(drivers_init(), 1))
        return false;
    disk = blk_find("virtio0");
    return gmk_test_assert(disk != NULL);
}

static bool begin(uint32_t mix)
{
    make(mix);
    return start();
}

/* The books are right, the driver kept the rules, all memory is given back. */
static void finish(void)
{
    virtio_blk_forget_all();
    blk_forget_all();
    work_check();
    gmk_test_assert_eq(mp.n_live, 0);
}

/* Random work. ------------------------------------------------------------- */

static void device_step(void)
{
    mv_fetch(&dev);
    if (below(3) != 0 && dev.n_held != 0)
        mv_answer(&dev, below(dev.n_held), MV_TRUTH);
    if (below(3) == 0)
        mv_tell(&dev);
}

static void work(uint32_t n_steps) { random_work(n_steps, device_step); }

/* BM-34: both transports, split queues. */
GMK_TEST(virtio_random_work_matches_shadow_on_every_mix)
{
    for (uint32_t mix = 0; mix < ALL_MIXES; mix++) {
        GMK_REQUIRE(begin(mix));
        dev.eager = false;
        work(STEPS);
        gmk_test_assert(dev.n_reads > 50 && dev.n_writes > 50);
        gmk_test_assert_eq(disk->has_irq, (mix & NO_MSIX) == 0);
        finish();
    }
}

/* BM-35: reset, acknowledged, claimed, features agreed on, then the ring, contiguous and its
 * used part on a page of its own, and at last the word that all is ready. (Without bus mastering
 * the model does not answer.) */
GMK_TEST(virtio_device_is_set_up_in_the_order_it_wants)
{
    static const uint8_t legacy[] = {0, 1, 3, 7}, modern[] = {0, 1, 3, 0xb, 0xf};

    GMK_REQUIRE(begin(0));
    gmk_test_assert(dev.n_written == 4 && memcmp(dev.written, legacy, 4) == 0);
    gmk_test_assert(dev.enabled && dev.q.used % 4096 == 0 && dev.q.used > dev.q.avail);
    finish();
    GMK_REQUIRE(begin(MODERN));
    gmk_test_assert(dev.n_written == 5 && memcmp(dev.written, modern, 5) == 0);
    gmk_test_assert(dev.features != 0 && (dev.features & ~dev.offers) == 0);
    gmk_test_assert((mp_get(dev.func, 4, 2) & PCI_CMD_MASTER) != 0);
    finish();
}

/* More requests than used indices have numbers, on a small ring. */
GMK_TEST(virtio_indices_wrap)
{
    for (uint32_t mix = 0; mix < 4; mix++) {
        uint8_t buf[512];

        make(mix);
        dev.queue_max = 8;
        GMK_REQUIRE(start());
        for (uint32_t i = 0; i < 70000; i++)
            if (virtio_blk_read(i % SECTORS, buf) != BLK_OK && !gmk_test_assert(false))
                break;
        finish();
    }
}

/* BM-36. The simple calls and the edges of the disk.
 * ---------------------------------------------------
 */
GMK_TEST(virtio_blk_one_sector_calls_reach_the_image)
{
    uint8_t out[512], in[512];

    GMK_REQUIRE(begin(0));
    memset(out, 0x5a, sizeof(out));
    gmk_test_assert_eq(virtio_blk_capacity(), SECTORS);
    gmk_test_assert_eq(virtio_blk_write(SECTORS - 1, out), BLK_OK);
    gmk_test_assert_eq(virtio_blk_read(SECTORS - 1, in), BLK_OK);
    gmk_test_assert(memcmp(in, out, 512) == 0);
    gmk_test_assert(memcmp(image + (SECTORS - 1) * 512, out, 512) == 0);
    gmk_test_assert_eq(virtio_blk_read(SECTORS, in), BLK_E_RANGE);
    gmk_test_assert_eq(virtio_blk_read(UINT64_MAX, in), BLK_E_RANGE);
    gmk_test_assert_eq(virtio_blk_write(SECTORS, out), BLK_E_RANGE);
    gmk_test_assert_eq(virtio_blk_read(0, in + 1), BLK_E_INVALID);
    gmk_test_assert_eq(virtio_blk_read(0, NULL), BLK_E_INVALID);
    gmk_test_assert_str_eq(disk->serial, "MODEL-1");
    finish();
}

GMK_TEST(virtio_wrong_requests_are_refused_and_never_reach_the_device)
{
    GMK_REQUIRE(begin(MODERN));
    gmk_test_assert(submit(0, BLK_READ, SECTORS - 3, 4));
    gmk_test_assert(submit(1, BLK_READ, 0, 0));
    gmk_test_assert(submit(2, BLK_READ, 0, disk->max_sectors + 1));
    gmk_test_assert(submit(3, (enum blk_op)9, 0, 1));
    gmk_test_assert(submit(4, (enum blk_op)0x100, 0, 1)); /* the driver's own GET_ID */
    gmk_test_assert_eq(job[0].n_done, 0);
    gmk_test_assert_eq(poll(), 5);
    ended(0, BLK_E_RANGE);
    ended(1, BLK_E_INVALID);
    ended(2, BLK_E_INVALID);
    ended(3, BLK_E_INVALID);
    ended(4, BLK_E_INVALID);
    gmk_test_assert_eq(dev.n_reads, 0);
    gmk_test_assert_eq(stat(&disk->stats.refused), 5);
    finish();
}

GMK_TEST(virtio_read_only_disk_refuses_writes)
{
    uint8_t buf[512] = {1};

    make(0);
    dev.offers |= 1u << 5;
    GMK_REQUIRE(start());
    gmk_test_assert(disk->read_only);
    gmk_test_assert_eq(virtio_blk_write(0, buf), BLK_E_READ_ONLY);
    gmk_test_assert_eq(virtio_blk_read(0, buf), BLK_OK);
    finish();
}

GMK_TEST(virtio_without_a_cache_a_flush_is_done_at_once)
{
    make(0);
    dev.offers &= ~((uint64_t)1 << 9);
    GMK_REQUIRE(start());
    gmk_test_assert(submit(0, BLK_FLUSH, 0, 0));
    gmk_test_assert_eq(poll(), 1);
    ended(0, BLK_OK);
    gmk_test_assert_eq(dev.n_flushes, 0);
    finish();
}

GMK_TEST(virtio_blocks_of_4096_want_whole_blocks)
{
    make(MODERN);
    dev.offers |= 1u << 6;
    dev.blk_size = 4096;
    GMK_REQUIRE(start());
    gmk_test_assert_eq(blk_sync(disk, BLK_READ, 0, 8, space), BLK_OK);
    gmk_test_assert_eq(blk_sync(disk, BLK_READ, 4, 8, space), BLK_E_INVALID);
    gmk_test_assert_eq(blk_sync(disk, BLK_READ, 8, 4, space), BLK_E_INVALID);
    finish();
}

GMK_TEST(virtio_memory_that_is_not_mapped_is_refused_without_a_leak)
{
    GMK_REQUIRE(begin(0));
    mp.hole = space + 8 * 4096;
    for (uint32_t i = 0; i < 1000; i++)
        gmk_test_assert_eq(blk_sync(disk, BLK_READ, 0, 64, space + 4096 * 5), BLK_E_INVALID);
    mp.hole = NULL;
    gmk_test_assert_eq(blk_sync(disk, BLK_READ, 0, 64, space + 4096 * 5), BLK_OK);
    finish();
}

GMK_TEST(virtio_full_ring_takes_no_more_and_loses_nothing)
{
    for (uint32_t mix = 0; mix < 4; mix++) {
        uint32_t n = 0;

        GMK_REQUIRE(begin(mix));
        dev.eager = false;
        while (n < WORK_REQS && submit(n, BLK_READ, n, 1))
            n++;
        gmk_test_assert_le(n, disk->depth);
        gmk_test_assert_ge(n, 64);
        if ((mix & DIRECT) == 0)
            gmk_test_assert_eq(n, 256);
        gmk_test_assert_eq(disk->inflight, n);
        mv_serve(&dev);
        while (disk->inflight != 0)
            GMK_REQUIRE(poll() > 0);
        for (uint32_t i = 0; i < n; i++)
            ended(i, BLK_OK);
        gmk_test_assert_eq(job[n].n_done, 0);
        gmk_test_assert(submit(n, BLK_READ, 0, 1));
        mv_serve(&dev);
        poll();
        ended(n, BLK_OK);
        finish();
    }
}

/* Lies. -------------------------------------------------------------------- */

static int fate_of(enum mv_lie lie)
{
    switch (lie) {
    case MV_TRUTH:
        return BLK_OK;
    case MV_IOERR:
    case MV_BAD_STATUS:
    case MV_SHORT:
        return BLK_E_DEVICE;
    case MV_UNSUPP:
        return BLK_E_UNSUPPORTED;
    default:
        return BLK_E_BROKEN;
    }
}

/* Ten requests: two are answered well, one by the lie, the others not. */
static void tell_lie(enum mv_lie lie)
{
    int fate = fate_of(lie);
    uint32_t n_ok = 0, n_fate = 0;

    dev.eager = false;
    for (uint32_t i = 0; i < 10; i++)
        gmk_test_assert(submit(i, BLK_READ, 8 * i, 8));
    mv_fetch(&dev);
    mv_answer(&dev, 0, MV_TRUTH);
    mv_answer(&dev, 1, MV_TRUTH);
    mv_tell(&dev);
    gmk_test_assert_eq(poll(), 2);
    mv_answer(&dev, 2, lie);
    mv_tell(&dev);
    poll();
    if (fate != BLK_E_BROKEN) {
        gmk_test_assert_eq(gmk_load_acq(&disk->broken, GMK_DEV), 0);
        mv_serve(&dev);
    }
    poll();
    for (uint32_t i = 0; i < 10; i++) {
        gmk_test_assert_eq(job[i].n_done, 1);
        n_ok += job[i].r.status == BLK_OK;
        n_fate += job[i].r.status == fate;
    }
    if (fate == BLK_E_BROKEN) {
        gmk_test_assert_eq(n_ok + n_fate, 10);
        gmk_test_assert_ge(n_fate, 7);
        gmk_test_assert_ge(n_ok, 2);
    } else {
        gmk_test_assert_eq(n_fate, fate == BLK_OK ? 10 : 1);
        gmk_test_assert_eq(n_ok, fate == BLK_OK ? 10 : 9);
    }
}

/* A broken device takes requests and ends them, cannot reach memory, and can be mended. */
static void check_broken(void)
{
    gmk_test_assert_eq(gmk_load_acq(&disk->broken, GMK_DEV), 1);
    gmk_test_assert_ge(stat(&disk->stats.spurious), 1);
    gmk_test_assert_eq(mp_get(dev.func, 4, 2) & PCI_CMD_MASTER, 0);
    gmk_test_assert(submit(20, BLK_READ, 0, 1));
    gmk_test_assert(!disk->ops->arm(disk));
    gmk_test_assert_eq(poll(), 1);
    ended(20, BLK_E_BROKEN);
    gmk_test_assert_eq(disk->ops->reset(disk), BLK_OK);
}

/* BM-37. */
GMK_TEST(virtio_every_lie_has_its_fate_and_no_request_is_lost)
{
    for (uint32_t mix = 0; mix < ALL_MIXES / 2; mix++)
        for (uint32_t lie = MV_TRUTH; lie < MV_LIES; lie++) {
            GMK_REQUIRE(begin(mix));
            tell_lie((enum mv_lie)lie);
            if (fate_of((enum mv_lie)lie) == BLK_E_BROKEN)
                check_broken();
            work(100);
            finish();
        }
}

/* Silence. ----------------------------------------------------------------- */

GMK_TEST(virtio_silent_device_is_reset_and_requests_time_out)
{
    for (uint32_t mix = 0; mix < 4; mix++) {
        GMK_REQUIRE(begin(mix));
        dev.eager = false;
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
}

/* One late request: the others go on after the reset, with the right data. */
GMK_TEST(virtio_requests_beside_a_late_one_are_started_again)
{
    GMK_REQUIRE(begin(MODERN));
    for (uint32_t i = 0; i < sizeof(image); i++)
        image[i] = (uint8_t)below(256);
    dev.eager = false;
    for (uint32_t i = 0; i < 10; i++) {
        blk_req_t *r = ask(i, BLK_READ, 10 * i, 10);

        r->deadline_ns = dev_now_ns() + (i == 4 ? 1 : 3) * SEC_NS;
        gmk_test_assert_eq(disk->ops->submit(disk, &r, 1), 1);
    }
    later(SEC_NS);
    gmk_test_assert_eq(poll(), 1);
    ended(4, BLK_E_TIMEOUT);
    gmk_test_assert_eq(stat(&disk->stats.requeued), 9);
    dev.eager = true;
    mv_serve(&dev);
    gmk_test_assert_eq(poll(), 9);
    for (uint32_t i = 0; i < 10; i++)
        if (i != 4 && ended(i, BLK_OK))
            gmk_test_assert(memcmp(job[i].buf, image + 5120 * i, 5120) == 0);
    finish();
}

/* It ends by itself: the device and the requests beside it are left alone. */
GMK_TEST(virtio_request_that_is_late_when_it_comes_costs_no_reset)
{
    uint64_t resets;
    blk_req_t *r;

    GMK_REQUIRE(begin(0));
    dev.eager = false;
    resets = stat(&disk->stats.resets);
    for (uint32_t i = 0; i < 4; i++) {
        r = ask(i, BLK_READ, i, 1);
        r->deadline_ns = i % 2 == 0 ? dev_now_ns() + SEC_NS : dev_now_ns();
        gmk_test_assert_eq(disk->ops->submit(disk, &r, 1), 1);
    }
    gmk_test_assert_eq(poll(), 2);
    ended(1, BLK_E_TIMEOUT);
    ended(3, BLK_E_TIMEOUT);
    mv_serve(&dev);
    gmk_test_assert_eq(poll(), 2);
    ended(0, BLK_OK);
    ended(2, BLK_OK);
    gmk_test_assert_eq(stat(&disk->stats.timeouts), 2);
    gmk_test_assert_eq(stat(&disk->stats.resets), resets);
    finish();
}

/* What is there already when the time is up counts. */
GMK_TEST(virtio_answer_before_the_look_at_the_clock_is_no_timeout)
{
    GMK_REQUIRE(begin(0));
    dev.eager = false;
    for (uint32_t i = 0; i < 100; i++)
        gmk_test_assert(submit(i, BLK_READ, i, 1));
    mv_serve(&dev);
    later(100 * SEC_NS);
    for (uint32_t i = 0; i < 100; i++)
        gmk_test_assert_eq(disk->ops->poll(disk, 1), 1);
    for (uint32_t i = 0; i < 100; i++)
        ended(i, BLK_OK);
    gmk_test_assert_eq(stat(&disk->stats.resets), 0);
    finish();
}

GMK_TEST(virtio_requests_that_meet_two_resets_end)
{
    GMK_REQUIRE(begin(0));
    dev.eager = false;
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

/* A device that goes on after the reset: it writes answers into the memory it had before. */
GMK_TEST(virtio_answers_after_a_reset_are_seen_and_meet_no_later_request)
{
    for (uint32_t mix = 0; mix < 4; mix++) {
        uint16_t *idx;

        GMK_REQUIRE(begin(mix));
        dev.eager = false;
        for (uint32_t i = 0; i < 4; i++)
            gmk_test_assert(submit(i, BLK_READ, i, 1));
        later(6 * SEC_NS);
        gmk_test_assert_eq(poll(), 4);
        for (uint32_t i = 4; i < 8; i++)
            gmk_test_assert(submit(i, BLK_READ, i, 1));
        idx = mv_word(dev.before.used + 2);
        for (uint32_t i = 0; i < 4; i++) {
            *mv_word(dev.before.used + 4 + 8 * (*idx & 7u)) = (uint16_t)i;
            gmk_store_rel(idx, (uint16_t)(*idx + 1), GMK_SYS);
        }
        gmk_test_assert_eq(poll(), 0);
        gmk_test_assert_eq(stat(&disk->stats.spurious), 4);
        gmk_test_assert_eq(gmk_load_acq(&disk->broken, GMK_DEV), 0);
        mv_serve(&dev);
        gmk_test_assert_eq(poll(), 4);
        for (uint32_t i = 4; i < 8; i++)
            ended(i, BLK_OK);
        finish();
    }
}

/* It answers a request of now with what it did for one of before: no status of now. */
GMK_TEST(virtio_stale_answer_in_the_new_ring_breaks_the_device)
{
    GMK_REQUIRE(begin(MODERN));
    dev.eager = false;
    gmk_test_assert(submit(0, BLK_READ, 0, 1));
    later(6 * SEC_NS);
    gmk_test_assert_eq(poll(), 1);
    gmk_test_assert(submit(1, BLK_READ, 1, 1));
    mv_fetch(&dev);
    mv_answer(&dev, 0, MV_NO_STATUS);
    mv_tell(&dev);
    gmk_test_assert_eq(poll(), 1);
    ended(1, BLK_E_BROKEN);
    gmk_test_assert_eq(disk->ops->reset(disk), BLK_OK);
    work(100);
    finish();
}

/* Thousands of timeouts leak no descriptor, slot or index. */
GMK_TEST(virtio_many_timeouts_leak_nothing)
{
    for (uint32_t mix = 0; mix < 4; mix++) {
        GMK_REQUIRE(begin(mix));
        for (uint32_t round = 0; round < 300; round++) {
            dev.eager = false;
            for (uint32_t i = 0; i < 3; i++)
                gmk_test_assert(submit(i, BLK_WRITE, i, 1));
            later(6 * SEC_NS);
            gmk_test_assert_eq(poll(), 3);
            ended(2, BLK_E_TIMEOUT);
            dev.eager = true;
            gmk_test_assert_eq(blk_sync(disk, BLK_READ, round, 8, space), BLK_OK);
        }
        gmk_test_assert_eq(stat(&disk->stats.resets), 300);
        dev.eager = false;
        for (uint32_t i = 0; i < 64; i++)
            gmk_test_assert(submit(i, BLK_READ, i, 1));
        mv_serve(&dev);
        gmk_test_assert_eq(poll(), 64);
        work(200);
        finish();
    }
}

GMK_TEST(virtio_device_that_never_answers_is_given_up)
{
    uint32_t rounds = 0;

    GMK_REQUIRE(begin(0));
    dev.eager = false;
    while (gmk_load_acq(&disk->broken, GMK_DEV) == 0 && rounds++ < 100) {
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

GMK_TEST(virtio_device_stuck_in_reset_is_given_up)
{
    GMK_REQUIRE(begin(0));
    dev.eager = false;
    dev.no_reset = true;
    gmk_test_assert(submit(0, BLK_READ, 0, 1));
    gmk_test_assert(submit(1, BLK_READ, 1, 1));
    later(6 * SEC_NS);
    gmk_test_assert_eq(poll(), 2);
    ended(0, BLK_E_TIMEOUT);
    ended(1, BLK_E_TIMEOUT);
    gmk_test_assert_eq(gmk_load_acq(&disk->broken, GMK_DEV), 1);
    gmk_test_assert_eq(disk->ops->reset(disk), BLK_E_BROKEN);
    dev.no_reset = false;
    gmk_test_assert_eq(disk->ops->reset(disk), BLK_OK);
    work(50);
    finish();
}

/* Start. ------------------------------------------------------------------- */

static void no_disk(void)
{
    uint8_t buf[512];

    gmk_test_assert_eq(blk_count(), 0);
    gmk_test_assert(blk_find(NULL) == NULL);
    gmk_test_assert_eq(virtio_blk_read(0, buf), BLK_E_NO_DISK);
    gmk_test_assert_eq(virtio_blk_write(0, buf), BLK_E_NO_DISK);
    gmk_test_assert_eq(virtio_blk_capacity(), 0);
    gmk_test_assert_eq(mp.n_live, 0);
    gmk_test_assert_eq(mp.complaints, 0);
}

/* Plugs the device in and expects that it is not taken, for that reason. */
static void expect_refused(int status)
{
    mv_plug(&dev, 0, 4);
    gmk_test_assert_eq(drivers_init(), 0);
    gmk_test_assert_eq(virtio_blk_init(pci_get_device(0)), status);
    no_disk();
}

/* BM-37. */
GMK_TEST(virtio_missing_disk_is_a_code)
{
    clean();
    gmk_test_assert_eq(drivers_init(), 0);
    gmk_test_assert_eq(virtio_blk_init(NULL), BLK_E_NO_DISK);
    no_disk();
}

GMK_TEST(virtio_unusable_devices_are_refused_at_start)
{
    for (uint32_t modern = 0; modern < 2; modern++) {
        make(modern);
        dev.no_reset = true;
        expect_refused(BLK_E_BROKEN);
        make(modern);
        dev.queue_max = 0;
        expect_refused(BLK_E_UNSUPPORTED);
        make(modern);
        dev.queue_max = 100; /* no power of two */
        expect_refused(BLK_E_UNSUPPORTED);
        make(modern);
        dev.seg_max = 1;
        expect_refused(BLK_E_UNSUPPORTED);
        make(modern);
        dev.offers |= 1u << 1;
        dev.size_max = 512;
        expect_refused(BLK_E_UNSUPPORTED);
        make(modern);
        dev.offers |= 1u << 6;
        dev.blk_size = 1000;
        expect_refused(BLK_E_UNSUPPORTED);
        make(modern);
        mp.no_dma = true;
        expect_refused(BLK_E_MEMORY);
    }
    make(MODERN);
    dev.refuse = true;
    expect_refused(BLK_E_BROKEN);
    make(MODERN);
    dev.offers &= ~VIRTIO_F_VERSION_1;
    expect_refused(BLK_E_BROKEN);
}

GMK_TEST(virtio_small_limits_of_the_device_are_kept)
{
    make(MODERN | DIRECT);
    dev.seg_max = 5;
    dev.offers |= 1u << 1;
    dev.size_max = 4096;
    dev.queue_max = 16;
    GMK_REQUIRE(start());
    gmk_test_assert_eq(disk->max_sectors, 32);
    dev.eager = false;
    work(500);
    finish();
}

GMK_TEST(virtio_no_vector_left_means_polling)
{
    uint8_t buf[512];

    make(MODERN);
    mp.no_irqs = true;
    GMK_REQUIRE(start());
    gmk_test_assert(!disk->has_irq);
    gmk_test_assert_eq(virtio_blk_read(3, buf), BLK_OK);
    gmk_test_assert_eq(dev.n_interrupts, 0);
    finish();
}

GMK_TEST(virtio_silent_serial_number_holds_start_up_for_a_moment_only)
{
    make(MODERN);
    dev.eager = false;
    dev.serial = NULL;
    GMK_REQUIRE(start());
    gmk_test_assert_str_eq(disk->serial, "");
    gmk_test_assert_lt(mp.clock, SEC_NS);
    dev.eager = true;
    work(50);
    finish();
}

GMK_TEST(virtio_owner_is_one)
{
    uint8_t buf[512];

    GMK_REQUIRE(begin(0));
    gmk_test_assert_eq(blk_claim(disk), BLK_OK);
    gmk_test_assert_eq(blk_claim(disk), BLK_E_BUSY);
    gmk_test_assert_eq(virtio_blk_read(0, buf), BLK_E_BUSY);
    blk_release(disk);
    gmk_test_assert_eq(virtio_blk_read(0, buf), BLK_OK);
    finish();
}

/* Interrupts. -------------------------------------------------------------- */

GMK_TEST(virtio_interrupts_come_when_armed_and_not_while_polled)
{
    for (uint32_t mix = 0; mix < ALL_MIXES / 2; mix++) {
        uint32_t word;

        GMK_REQUIRE(begin(mix));
        dev.eager = false;
        dev.n_interrupts = 0;
        for (uint32_t i = 0; i < 40; i++) {
            gmk_test_assert(submit(i, BLK_READ, i, 1));
            mv_serve(&dev);
            gmk_test_assert_eq(poll(), 1);
        }
        gmk_test_assert_eq(dev.n_interrupts, 0);
        gmk_test_assert(submit(0, BLK_READ, 0, 1));
        gmk_test_assert(submit(1, BLK_READ, 1, 1));
        gmk_test_assert(disk->ops->arm(disk));
        word = gmk_hal_park_word(&disk->park);
        mv_fetch(&dev);
        mv_answer(&dev, 0, MV_TRUTH);
        mv_tell(&dev);
        gmk_test_assert_eq(dev.n_interrupts, 1);
        gmk_test_assert_ne(gmk_hal_park_word(&disk->park), word);
        gmk_test_assert(!disk->ops->arm(disk)); /* an answer is there */
        gmk_test_assert_eq(poll(), 1);
        mv_answer(&dev, 0, MV_TRUTH);
        mv_tell(&dev);
        gmk_test_assert_eq(dev.n_interrupts, 1);
        gmk_test_assert_eq(poll(), 1);
        gmk_test_assert_eq(stat(&disk->stats.interrupts), 1);
        finish();
    }
}

GMK_TEST(virtio_lost_interrupt_costs_milliseconds_and_no_reset)
{
    GMK_REQUIRE(begin(MODERN));
    dev.eager = false;
    gmk_test_assert(submit(0, BLK_READ, 0, 1));
    gmk_test_assert(disk->ops->arm(disk));
    dev.vector = VIRTIO_NO_VECTOR;
    mv_serve(&dev);
    gmk_test_assert_le(disk->due_ns, dev_now_ns() + SEC_NS / 50);
    later(SEC_NS / 50);
    gmk_test_assert_eq(poll(), 1);
    ended(0, BLK_OK);
    gmk_test_assert_eq(stat(&disk->stats.lost_irqs), 1);
    gmk_test_assert_eq(stat(&disk->stats.resets), 0);
    finish();
}

/* A device on its own thread. ---------------------------------------------- */

static gmk_a32_t stop;

static void *run_device(void *arg)
{
    (void)arg;
    while (gmk_load_acq(&stop, GMK_DEV) == 0) {
        uint32_t seen = gmk_hal_park_word(&dev.park);
        bool idle;

        gmk_hal_lock_acquire(&mp.lock);
        mv_fetch(&dev);
        while (dev.n_held != 0)
            mv_answer(&dev, dev.n_held / 2, MV_TRUTH);
        mv_tell(&dev);
        idle = mv_listen(&dev);
        gmk_hal_lock_release(&mp.lock);
        if (idle)
            gmk_hal_park_wait(&dev.park, seen, GMK_HAL_FOREVER);
    }
    return NULL;
}

GMK_TEST(virtio_device_on_a_thread_serves_a_sleeping_owner)
{
    for (uint32_t mix = 0; mix < ALL_MIXES / 2; mix++) {
        gmk_hal_thread_t t = {0};

        GMK_REQUIRE(begin(mix));
        mp.clock = 0;
        dev.eager = false;
        gmk_store_rel(&stop, 0, GMK_DEV);
        GMK_REQUIRE(gmk_hal_cpu_start(&t, GMK_HAL_ANY_CPU, run_device, NULL) == 0);
        gmk_test_assert_eq(drive(1 + mix * 5, 800), 800);
        gmk_store_rel(&stop, 1, GMK_DEV);
        gmk_hal_park_wake(&dev.park);
        gmk_test_assert_eq(gmk_hal_thread_join(&t), 0);
        gmk_test_assert_eq(stat(&disk->stats.lost_irqs), 0);
        gmk_test_assert_eq(stat(&disk->stats.timeouts), 0);
        gmk_test_assert(memcmp(image, shadow, sizeof(image)) == 0);
        finish();
    }
}

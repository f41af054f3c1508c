/* SPDX-License-Identifier: MIT
 * virtio-blk against a device that the input plays: it answers well, badly, late or never,
 * writes what it likes into ring, slots and configuration, and time passes as it likes.
 * Floor: tests. Source: SPEC BM-34 to BM-37. */
#include "../model_virtio.h"

#include "drivers/virtio/virtio_blk.h"
#include "fuzz_disk.h"

#define SECTORS 1003u

static mv_t dev;

static void answer(bytes_t *b, bool lie)
{
    enum mv_lie which = lie ? (enum mv_lie)(take8(b) % MV_LIES) : MV_TRUTH;

    if (dirty)
        return;
    mv_fetch(&dev);
    if (dev.n_held != 0) {
        lied |= which >= MV_LONG;
        mv_answer(&dev, take8(b) % dev.n_held, which);
    }
}

/* A byte of the device's into DMA memory. */
static void scribble(uint64_t phys, uint8_t v)
{
    if (phys >= MP_POOL_PHYS && phys < MP_POOL_PHYS + MP_POOL_BYTES)
        gmk_store_rlx(mp_host(phys), v, GMK_SYS); /* relaxed: one thread */
}

/* Used ring entries and index as the input has them. */
static void write_used(bytes_t *b)
{
    uint16_t n = 1 + take8(b) % 4u;

    lied = true;
    for (uint16_t i = 0; i < n && dev.enabled; i++) {
        uint64_t at = dev.q.used + 4 + 8u * (dev.used_idx++ & (dev.q.size - 1u));

        scribble(at, take8(b));
        scribble(at + 1, take8(b) % 16);
        scribble(at + 4, take8(b));
        scribble(at + 7, take8(b) == 0 ? 0xff : 0);
    }
    if (take8(b) % 8 == 0)
        dev.used_idx = take16(b);
    if (dev.enabled)
        mv_tell(&dev);
}

static void misbehave(bytes_t *b)
{
    uint8_t how = take8(b);

    lied = true;
    if (how % 4 == 0)
        dev.no_reset = (how & 4) != 0;
    else if (how % 4 == 1)
        dev.status = take8(b);
    else if (how % 4 == 2)
        dev.refuse = (how & 4) != 0;
    else
        mv_interrupt(&dev);
}

static void act(bytes_t *b, uint8_t op)
{
    if (op < 9)
        answer(b, false);
    else if (op == 9)
        answer(b, true);
    else if (op == 10 && dev.enabled)
        mv_tell(&dev);
    else if (op == 17)
        write_used(b);
    else if (op == 19)
        misbehave(b);
}

static bool make(bytes_t *b)
{
    uint8_t how = take8(b);
    uint32_t wild = take8(b);

    dev = mv_plain((how & 1) != 0, image, SECTORS);
    dev.offers &= (how & 2) != 0 ? ~VIRTIO_F_INDIRECT : UINT64_MAX;
    dev.offers &= (how & 4) != 0 ? ~VIRTIO_F_EVENT_IDX : UINT64_MAX;
    dev.no_msix = (how & 8) != 0;
    dev.queue_max = (uint16_t)(4u << how / 32);
    if (wild < 200)
        return true;
    dev.offers = take64(b);
    dev.capacity = take_wide(b);
    dev.size_max = (uint32_t)take_wide(b);
    dev.seg_max = (uint32_t)take_wide(b);
    dev.blk_size = (uint32_t)take_wide(b);
    dev.queue_max = (uint16_t)take_wide(b);
    dev.no_reset = wild == 255;
    dev.eager = false;
    return false;
}

static void obey(void) { dev.no_reset = dev.refuse = false; }

static mp_func_t *plug(void)
{
    mv_plug(&dev, 0, 4);
    return dev.func;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const fuzz_disk_t virtio = {make, plug, act, obey, virtio_blk_forget_all, &dev.eager};
    bytes_t b = {.p = data, .n = n};

    run(&virtio, &b);
    return 0;
}

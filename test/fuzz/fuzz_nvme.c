/* SPDX-License-Identifier: MIT
 * NVMe against a controller that the input plays: it answers well, badly, late or never, writes
 * what it likes into queues, lists and what it says of itself, its registers say what they like,
 * and time passes as it likes.
 * Floor: tests. Source: SPEC BM-37. */
#include "../model_nvme.h"

#include "drivers/nvme/nvme.h"
#include "fuzz_disk.h"

#define SECTORS 1024u

static mn_t dev;

/* A wait of the driver's takes no time of ours. */
static void hurry(void) { gmk_add_ar(&mp.clock, 50000000, GMK_DEV); }

/* Whether a lie is one whatever happened before. */
static bool is_plain(enum mn_lie lie)
{
    return lie == MN_TWICE || lie == MN_ID_RANGE || lie == MN_QUEUE || lie == MN_HEAD_RANGE ||
           lie == MN_ALL_PHASES || lie == MN_ALL_ONES;
}

/* The first lie must be noticed by the next poll. */
static void answer(bytes_t *b, bool lie)
{
    enum mn_lie which = lie ? (enum mn_lie)(take8(b) % MN_LIES) : MN_TRUTH;
    bool first = !lied;

    if (dirty)
        return;
    if (first && is_plain(which)) /* what it has not read yet could be written over unseen */
        disk->ops->poll(disk, 1000);
    mn_fetch(&dev);
    if (dev.n_held == 0)
        return;
    dev.fail_status = which == MN_ERROR ? take16(b) & 0x7ff : 0;
    lied |= which > MN_ERROR;
    mn_answer(&dev, take8(b) % dev.n_held, which);
    if (first && is_plain(which)) {
        disk->ops->poll(disk, 1000);
        FUZZ_CHECK(gmk_load_acq(&disk->broken, GMK_DEV) != 0);
    }
}

/* A completion as the input has it, in the queue of now or before. */
static void write_completion(bytes_t *b)
{
    uint8_t how = take8(b);
    mn_pair_t *p = (how & 1) != 0 ? &dev.before : &dev.q[1];
    uint32_t dw[4] = {0};

    lied = true;
    dw[2] = take8(b) | ((how & 2) != 0 ? take16(b) : 1u) << 16;
    dw[3] = take8(b) | (uint32_t)take8(b) << 8 | ((how & 4) != 0 ? (uint32_t)take16(b) << 17 : 0);
    for (uint32_t n = 1 + (how >> 4); n > 0 && p->cq_n != 0; n--)
        mn_put(p, dw);
    mn_interrupt(&dev, p);
}

static void misbehave(bytes_t *b)
{
    uint8_t how = take8(b);
    bool on = (how & 8) != 0;

    lied = true;
    switch (how % 8) {
    case 0:
        dev.no_stop = on;
        break;
    case 1:
        dev.no_ready = on;
        break;
    case 2:
        dev.dead_start = on;
        break;
    case 3:
        dev.gone = on;
        break;
    case 4:
        dev.fatal = on;
        break;
    case 5:
        dev.mute_admin = on;
        break;
    case 6:
        dev.admin_lies = on;
        break;
    default:
        dev.fail_opcode = on ? take8(b) % 16u : 0xff;
        dev.fail_status = 6;
    }
}

static void act(bytes_t *b, uint8_t op)
{
    if (op < 9)
        answer(b, false);
    else if (op == 9)
        answer(b, true);
    else if (op == 10)
        dev.no_irqs = take8(b) % 2 == 0;
    else if (op == 17)
        write_completion(b);
    else if (op == 19)
        misbehave(b);
}

static bool make(bytes_t *b)
{
    uint8_t how = take8(b);
    uint32_t wild = take8(b);

    mp.tick = hurry;
    dev = mn_plain(image, SECTORS * 512);
    dev.mqes = (4u << how / 32) - 1;
    dev.no_msix = (how & 1) != 0;
    dev.n_vectors = 1 + (how >> 1 & 1);
    dev.cache = (how & 4) != 0;
    dev.block_bits = (how & 8) != 0 ? 12 : 9;
    dev.blocks = (SECTORS * 512) >> dev.block_bits;
    dev.mdts = how >> 4 & 7;
    dev.timeout = 1;
    if (wild < 200)
        return true;
    dev.mqes = take16(b);
    dev.stride = take8(b) % 16;
    dev.mps_min = take8(b) % 2;
    dev.timeout = take8(b) % 4;
    dev.blocks = take_wide(b);
    dev.block_bits = take8(b) % 14;
    dev.mdts = take8(b);
    dev.sqes = take8(b);
    dev.cqes = take8(b);
    dev.no_stop = wild == 255;
    dev.no_ready = wild == 254;
    dev.admin_lies = wild == 253;
    dev.fail_opcode = wild == 252 ? take8(b) % 16u : 0xff;
    dev.eager = false;
    return false;
}

static void obey(void)
{
    dev.no_stop = dev.no_ready = dev.dead_start = dev.gone = dev.mute_admin = dev.admin_lies =
        false;
    dev.fail_opcode = 0xff;
}

static mp_func_t *plug(void)
{
    mn_plug(&dev, MN_BAR, 4);
    return dev.func;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const fuzz_disk_t nvme = {make, plug, act, obey, nvme_forget_all, &dev.eager};
    bytes_t b = {.p = data, .n = n};

    run(&nvme, &b);
    return 0;
}

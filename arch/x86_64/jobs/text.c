/* SPDX-License-Identifier: MIT
 * Reading the disk's text ahead, through channels.
 * Floor: arch. Source: SPEC STD-24. */
#include "arch/x86_64/jobs/text.h"

#include "arch/x86_64/memory/memops.h"
#include "arch/x86_64/serial/kprintf.h"
#include "ggmk/sdk.h"

enum { ASK = 1 }; /* meta0: the slot; meta1: its first sector */

#define SLOT_BYTES ((size_t)TEXT_SECTORS * BLK_SECTOR)
#define ARENA_BYTES (4u << 20)
#define HALT_NS 10000000000ull

static int reader_init(gmk_ctx_t *ctx)
{
    text_t *t = ctx->user;
    int rc = gmk_chan_find(ctx, DISK_CHAN_READ);

    t->chan = rc > 0 ? (uint32_t)rc : 0;
    return rc > 0 ? GMK_OK : rc;
}

/* The slot's status, and whoever waits for it goes on. */
static void settle(text_t *t, uint64_t i, int32_t status)
{
    t->slot[i].status = status;
    gmk_store_rel(&t->slot[i].ready, 1, GMK_DEV); /* sync: text.ready */
    gmk_hal_park_wake(&t->park);
}

GMK_HANDLER(on_ask)
{
    text_t *t = ctx->user;
    text_slot_t *s = &t->slot[ctx->task->meta0];
    gmk_task_t request = {.type = DISK_TYPE_READ, .flags = GMK_PRIO_NORMAL};
    disk_msg_t *m = gmk_payload_alloc(ctx, DISK_MSG_BYTES(0));
    int rc = m != NULL ? GMK_OK : GMK_ALLOC_FAIL;

    if (rc == GMK_OK) {
        *m = (disk_msg_t){.id = ctx->task->meta0,
                          .sector = ctx->task->meta1,
                          .buf = (uintptr_t)s->bytes,
                          .count = s->n_sectors,
                          .op = BLK_READ};
        gmk_task_set_payload(&request, m);
        rc = gmk_chan_emit(ctx, t->chan, &request); /* twice the room that there are slots */
        if (rc != GMK_OK)
            gmk_payload_release_ptr(ctx, m);
    }
    if (rc != GMK_OK)
        settle(t, ctx->task->meta0, rc);
    return GMK_OK;
}

GMK_HANDLER(on_answer)
{
    settle(ctx->user, ctx->task->meta0, DISK_RESP_STATUS(ctx->task));
    return GMK_OK;
}

static gmk_handler_reg_t handlers[] = {{.type = ASK, .fn = on_ask, .name = "ask"},
                                       {.type = DISK_TYPE_RESP, .fn = on_answer, .name = "answer"}};

/* Asks for the slot's next sectors, if there are any. */
static void ask(text_t *t, uint32_t i)
{
    text_slot_t *s = &t->slot[i];
    uint64_t left = t->capacity - t->asked;
    gmk_task_t task = {.type = ASK, .flags = GMK_PRIO_NORMAL, .meta0 = i, .meta1 = t->asked};

    gmk_store_rlx(&s->ready, 0, GMK_DEV); /* relaxed: the submit below orders it */
    s->n_sectors = left < TEXT_SECTORS ? (uint32_t)left : TEXT_SECTORS;
    if (left == 0)
        return;
    t->asked += s->n_sectors;
    gmk_add_rlx(&t->n_requests, 1, GMK_DEV); /* relaxed: a statistic */
    if (gmk_submit(&t->kernel, &task) != GMK_OK)
        settle(t, i, BLK_E_BUSY);
}

int text_open(text_t *t, blk_dev_t *dev)
{
    gmk_boot_cfg_t cfg = {.n_workers = gmk_hal_cpu_count(), .arena_size = ARENA_BYTES};
    disk_cfg_t how = {.dev = dev, .cpu = GMK_HAL_ANY_CPU};
    uint8_t *bytes = gmk_hal_page_alloc(TEXT_SLOTS * SLOT_BYTES, 4096);
    gmk_module_t *mods[2];
    int rc;

    memset(t, 0, sizeof(*t));
    if (bytes == NULL)
        return GMK_ALLOC_FAIL;
    t->decl[0] = (gmk_chan_decl_t){.name = DISK_CHAN_READ,
                                   .direction = GMK_CHAN_PRODUCE,
                                   .msg_type = DISK_TYPE_READ,
                                   .slots = 2 * TEXT_SLOTS};
    t->decl[1] = (gmk_chan_decl_t){.name = DISK_CHAN_RESP,
                                   .direction = GMK_CHAN_CONSUME,
                                   .msg_type = DISK_TYPE_RESP,
                                   .slots = 2 * TEXT_SLOTS};
    t->reader = (gmk_module_t){.name = "reader",
                               .init = reader_init,
                               .handlers = handlers,
                               .n_handlers = GMK_ARRAY_LEN(handlers),
                               .channels = t->decl,
                               .n_channels = 2,
                               .user = t};
    for (uint32_t i = 0; i < TEXT_SLOTS; i++)
        t->slot[i].bytes = bytes + i * SLOT_BYTES;
    gmk_hal_park_init(&t->park);
    t->capacity = dev->capacity;
    mods[0] = disk_module(&t->disk, &how);
    mods[1] = &t->reader;
    rc = gmk_boot(&t->kernel, &cfg, mods, 2);
    for (uint32_t i = 0; rc == GMK_OK && i < TEXT_SLOTS; i++)
        ask(t, i);
    return rc;
}

static void wait_for(text_t *t, text_slot_t *s)
{
    for (;;) {
        uint32_t word = gmk_hal_park_word(&t->park);

        if (gmk_load_acq(&s->ready, GMK_DEV) != 0) /* sync: text.ready */
            return;
        gmk_hal_park_wait(&t->park, word, GMK_HAL_FOREVER);
    }
}

/* Copies up to n bytes, up to a zero. returns: how many. */
static size_t copy(text_t *t, uint8_t *to, const uint8_t *from, size_t n)
{
    size_t k = 0;

    while (k < n && from[k] != 0)
        k++;
    memcpy(to, from, k);
    t->end = k < n;
    t->at += k;
    return k;
}

long text_read(text_t *t, void *to, size_t n)
{
    size_t done = 0;

    while (done < n && !t->end && t->at < t->capacity * BLK_SECTOR) {
        uint32_t i = (uint32_t)(t->at / SLOT_BYTES % TEXT_SLOTS);
        size_t within = t->at % SLOT_BYTES, left;
        text_slot_t *s = &t->slot[i];

        wait_for(t, s);
        if (s->status != BLK_OK)
            return s->status;
        left = (size_t)s->n_sectors * BLK_SECTOR - within;
        done += copy(t, (uint8_t *)to + done, s->bytes + within, n - done < left ? n - done : left);
        if (t->at % SLOT_BYTES == 0 && !t->end)
            ask(t, i);
    }
    return (long)done;
}

bool text_close(text_t *t)
{
    gmk_audit_report_t r = {.balanced = false};
    int rc = gmk_halt_timeout(&t->kernel, HALT_NS, &r);

    gmk_hal_page_free(t->slot[0].bytes, TEXT_SLOTS * SLOT_BYTES);
    return rc == GMK_OK && r.balanced;
}

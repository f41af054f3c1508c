/* SPDX-License-Identifier: MIT
 * The disk module.
 * Floor: modules. Workers bring requests through a sink, which refuses what it has no room
 * for, so that the channel keeps order and loses nothing; a thread of the module's own,
 * attached to the kernel, feeds the device, sleeps on the device's word, and sends answers.
 * It polls as long as there is anything to do and asks for an interrupt only before it sleeps.
 * Who brings requests starts them at once if the thread is not at it, so that the device works
 * while the thread wakes up; a token says who drives.
 * Source: SPEC STD-24; ARCHITECTURE R9, R16, R19, R21. */
#include "disk.h"

#define BATCH 32u
#define POLL_MAX 64u
#define BACKSTOP_NS 10000000ull /* a lost interrupt costs no more than this */
#define LINGER_NS 100000000ull  /* after its last work the thread wakes by itself for so long */
#define POLLED_NS 50000ull      /* between two looks at a device without interrupts */
#define STALL_NS 200000ull      /* between two tries to send to a full channel */
#define ATTACH_NS 1000000ull    /* between two tries to attach, while the kernel boots */
#define STOP_NS 2000000000ull   /* for what is in flight at halt, and for the last flush */

/* Requests in. ------------------------------------------------------------------------ */

/* Tells the service thread that there is something new. order: after it was published. */
static void nudge(disk_t *d)
{
    /* The thread announces that it sleeps by an exchange too, and looks once more after it. */
    if (gmk_xchg_sc(&d->asleep, 0, GMK_DEV) != 0)
        gmk_hal_park_wake(d->park);
}

static void on_done(blk_req_t *r) { blk_list_add(&((disk_t *)r->user)->ended, r); }

static disk_slot_t *slot_of(blk_req_t *r) { return (disk_slot_t *)(void *)r; }

/* Ends a request that never reached the device. */
static void end(disk_t *d, disk_slot_t *s, int status)
{
    s->r.status = (int16_t)status;
    blk_list_add(&d->ended, &s->r);
}

/* The message of a task. returns: null: its payload is none. */
static disk_msg_t *msg_of(const gmk_task_t *t)
{
    disk_msg_t *m = (disk_msg_t *)(uintptr_t)t->payload_ptr;

    if (m == NULL || (t->flags & GMK_TF_PAYLOAD_RC) == 0 || t->payload_len < sizeof(*m) ||
        t->payload_len > ((const gmk_payload_hdr_t *)(const void *)m - 1)->length)
        return NULL;
    return m;
}

/* Makes a request of a message. returns: BLK_OK, or the status to end it with. */
static int read_msg(disk_t *d, disk_slot_t *s, const disk_msg_t *m)
{
    bool write = s->task.type == DISK_TYPE_WRITE;

    s->r.op = m->op;
    s->r.sector = m->sector;
    s->r.n_sectors = m->count;
    s->r.deadline_ns = m->deadline_ns;
    s->r.buf = m->buf != 0 ? (void *)(uintptr_t)m->buf : (void *)(uintptr_t)(m + 1);
    if (m->op > BLK_FLUSH || (m->op == BLK_READ) == write)
        return BLK_E_INVALID;
    if (m->op == BLK_FLUSH)
        s->r.buf = NULL;
    else if (m->buf == 0 && (s->task.payload_len - sizeof(*m)) / BLK_SECTOR < m->count)
        return BLK_E_INVALID;
    if (d->cfg.dev == NULL)
        return BLK_E_NO_DISK;
    d->wrote |= m->op == BLK_WRITE;
    return BLK_OK;
}

/* One message into a free slot. */
static void admit(disk_t *d, const gmk_task_t *t)
{
    disk_slot_t *s = &d->slot[d->free_slot];
    const disk_msg_t *m = msg_of(t);
    int rc = BLK_E_INVALID;

    d->free_slot = s->next;
    d->n_slots++;
    gmk_count_add(&d->stats.requests, 1);
    s->task = *t;
    s->r = (blk_req_t){.done = on_done, .user = d};
    s->reply = m != NULL && m->reply != 0 ? m->reply : d->resp;
    if (m != NULL)
        rc = read_msg(d, s, m);
    else
        gmk_count_add(&d->stats.refused, 1);
    if (rc == BLK_OK)
        blk_list_add(&d->waiting, &s->r);
    else
        end(d, s, rc);
}

/* Takes messages from one inlet. returns: how many. */
static uint32_t admit_from(disk_t *d, disk_inlet_t *in)
{
    uint32_t want = gmk_min32(BATCH, DISK_SLOTS - d->n_slots);
    uint32_t pos, n = gmk_spsc_take(&in->ring, want, &pos, GMK_DEV);

    for (uint32_t i = 0; i < n; i++)
        admit(d, &in->cell[(pos + i) & (DISK_QUEUE - 1)].task);
    if (n != 0)
        gmk_spsc_release(&in->ring, pos, n, GMK_DEV);
    return n;
}

/* The kernel waits for room, and there is some. */
static bool is_owed(const disk_t *d, disk_inlet_t *in)
{
    return d->ctx != NULL && gmk_load_acq(&in->starved, GMK_DEV) != 0 &&
           gmk_spsc_count(&in->ring, GMK_DEV) <= DISK_QUEUE / 2;
}

/* Tells the kernel of room, if it waits for some. returns: it did. */
static bool tell_room(disk_t *d, disk_inlet_t *in)
{
    if (!is_owed(d, in))
        return false;
    gmk_store_rel(&in->starved, 0, GMK_DEV);
    (void)gmk_chan_sink_ready(d->ctx, in->chan, &in->sink); /* halting: nobody waits any more */
    return true;
}

/* Gives waiting requests to the device. returns: how many it took. */
static uint32_t feed(disk_t *d)
{
    blk_req_t *list[BATCH];
    uint32_t n = 0, k;

    for (blk_req_t *r = d->waiting.head; r != NULL && n < BATCH; r = r->next)
        list[n++] = r;
    if (n == 0)
        return 0;
    for (k = 0; k < n; k++)
        blk_list_take(&d->waiting);
    k = d->cfg.dev->ops->submit(d->cfg.dev, list, n);
    if (k < n) { /* back to the front, in order */
        blk_req_t *rest = d->waiting.head;

        list[n - 1]->next = rest;
        if (rest == NULL)
            d->waiting.tail = list[n - 1];
        d->waiting.head = list[k];
    }
    return k;
}

/* The token. It is held for short; whoever cannot wait leaves its requests to the holder, which
 * looks for them again before it sleeps. */
static bool try_drive(disk_t *d)
{
    uint32_t none = 0;

    return gmk_cas_acq(&d->driving, &none, 1, GMK_DEV);
}

static void drive(disk_t *d)
{
    while (!try_drive(d))
        gmk_hal_relax();
}

static void stop_driving(disk_t *d) { gmk_store_rel(&d->driving, 0, GMK_DEV); }

/* Starts k requests that were brought, if the device has nothing to do: under load the thread
 * does it, for many at once. returns: the thread need not be woken for them. */
static bool start_at_once(disk_t *d, disk_inlet_t *in, uint32_t k)
{
    bool all = false;

    if (k == 0 || d->cfg.dev == NULL || !try_drive(d))
        return false;
    if (d->cfg.dev->inflight == 0) {
        all = admit_from(d, in) >= k;
        feed(d);
        all = all && d->watching && d->waiting.head == NULL && d->ended.head == NULL;
    }
    stop_driving(d);
    return all;
}

/* The kernel's workers bring messages, one call at a time. */
static uint32_t take_cells(void *arg, const gmk_cell_t *cells, uint32_t n)
{
    disk_inlet_t *in = arg;
    uint32_t pos, k = gmk_spsc_claim(&in->ring, n, &pos, GMK_DEV);

    for (uint32_t i = 0; i < k; i++)
        gmk_cell_copy(&in->cell[(pos + i) & (DISK_QUEUE - 1)], &cells[i]);
    if (k != 0)
        gmk_spsc_publish(&in->ring, pos, k, GMK_DEV);
    if (k < n)
        gmk_store_rel(&in->starved, 1, GMK_DEV);
    if (!start_at_once(in->disk, in, k) || k < n)
        nudge(in->disk);
    return k;
}

/* Answers out. -------------------------------------------------------------------------- */

static void free_slot(disk_t *d, disk_slot_t *s)
{
    s->next = d->free_slot;
    d->free_slot = (uint32_t)(s - d->slot);
    d->n_slots--;
}

/* Gives the payload of a request that gets no answer back. */
static void drop(disk_t *d, gmk_ctx_t *ctx, disk_slot_t *s)
{
    if (s->task.payload_ptr != 0 && (s->task.flags & GMK_TF_PAYLOAD_RC) != 0)
        gmk_payload_release_ptr(ctx, (void *)(uintptr_t)s->task.payload_ptr);
    free_slot(d, s);
}

/* Whether the sender wants to hear of it. */
static bool is_wanted(const disk_slot_t *s)
{
    const disk_msg_t *m = msg_of(&s->task);

    return s->r.status != BLK_OK || s->r.op == BLK_READ ||
           (m != NULL && (m->flags & DISK_ACK) != 0);
}

/* Makes the answer of a request that has ended. */
static gmk_task_t answer_of(disk_slot_t *s)
{
    disk_msg_t *m = msg_of(&s->task);
    gmk_task_t t = {.type = DISK_TYPE_RESP,
                    .flags = s->task.flags & (GMK_TF_PRIORITY_MASK | GMK_TF_PAYLOAD_RC),
                    .tenant = s->task.tenant,
                    .payload_ptr = s->task.payload_ptr,
                    .payload_len = s->task.payload_len,
                    .meta0 = m != NULL ? m->id : s->task.meta0,
                    .meta1 = (uint64_t)s->r.op << 32 | (uint32_t)s->r.status};

    if (m != NULL)
        m->status = s->r.status;
    return t;
}

/* Takes the first n of those that have ended off the list. sent: their payloads are gone. */
static void settle(disk_t *d, uint32_t n, bool sent)
{
    for (uint32_t i = 0; i < n; i++) {
        disk_slot_t *s = slot_of(blk_list_take(&d->ended));

        if (sent)
            free_slot(d, s);
        else
            drop(d, d->ctx, s);
    }
}

/* The first answers of the list that go to one channel. returns: how many; 0: the first one
 * is not wanted. */
static uint32_t gather(disk_t *d, gmk_task_t *t)
{
    uint32_t reply = d->ended.head != NULL ? slot_of(d->ended.head)->reply : 0;
    uint32_t n = 0;

    for (blk_req_t *r = d->ended.head; r != NULL && n < BATCH; r = r->next) {
        if (slot_of(r)->reply != reply || !is_wanted(slot_of(r)))
            break;
        t[n++] = answer_of(slot_of(r));
    }
    return n;
}

/* Sends answers. returns: how many requests it is rid of. */
static uint32_t answer(disk_t *d)
{
    gmk_task_t t[BATCH];
    uint32_t n = 0, have;

    while (d->ended.head != NULL && d->ctx != NULL) {
        int rc;

        have = gather(d, t);
        if (have == 0) {
            gmk_count_add(&d->stats.unanswered, 1);
            settle(d, 1, false);
            n++;
            continue;
        }
        rc = gmk_chan_emit_batch(d->ctx, slot_of(d->ended.head)->reply, t, have);
        if (rc == 0 || rc == GMK_CHAN_FULL) {
            gmk_count_add(&d->stats.stalls, 1);
            break;
        }
        gmk_count_add(rc > 0 ? &d->stats.answers : &d->stats.unheard, rc > 0 ? (uint64_t)rc : 1);
        settle(d, rc > 0 ? (uint32_t)rc : 1, rc > 0);
        n += rc > 0 ? (uint32_t)rc : 1;
    }
    return n;
}

/* The service thread. ---------------------------------------------------------------------- */

static bool is_stopped(disk_t *d) { return gmk_load_acq(&d->stop, GMK_DEV) != 0; }

static uint32_t poll(disk_t *d)
{
    blk_dev_t *dev = d->cfg.dev;

    return dev != NULL && dev->inflight != 0 ? dev->ops->poll(dev, POLL_MAX) : 0;
}

/* Does what can be done now. returns: something was. */
static bool step(disk_t *d)
{
    disk_inlet_t *first = &d->in[d->turn & 1], *second = &d->in[~d->turn & 1];
    uint32_t n;

    drive(d);
    d->turn++;
    if (d->ctx == NULL && !is_stopped(d))
        d->ctx = gmk_host_attach(d->kernel, &d->host);
    n = admit_from(d, first);
    n += admit_from(d, second);
    n += feed(d);
    n += poll(d);
    n += answer(d);
    n += tell_room(d, first);
    stop_driving(d);
    n += tell_room(d, first);
    n += tell_room(d, second);
    return n != 0;
}

/* Something came in since the last step that can be taken. */
static bool has_new(disk_t *d)
{
    bool room = d->n_slots < DISK_SLOTS;

    return room && (gmk_spsc_count(&d->in[0].ring, GMK_DEV) != 0 ||
                    gmk_spsc_count(&d->in[1].ring, GMK_DEV) != 0);
}

/* How long the thread may sleep. */
static uint64_t patience(const disk_t *d)
{
    const blk_dev_t *dev = d->cfg.dev;
    uint64_t ns = GMK_HAL_FOREVER;
    uint64_t now = gmk_hal_now_ns();

    if (d->ctx == NULL)
        ns = ATTACH_NS;
    if (d->ended.head != NULL && ns > STALL_NS)
        ns = STALL_NS;
    if (dev != NULL && dev->has_irq && now - d->active_ns < LINGER_NS && ns > BACKSTOP_NS)
        ns = BACKSTOP_NS;
    if (dev != NULL && dev->inflight != 0) {
        uint64_t due = dev->due_ns > now ? dev->due_ns - now : 1;
        uint64_t most = dev->has_irq ? BACKSTOP_NS : POLLED_NS;

        ns = ns < due ? ns : due;
        ns = ns < most ? ns : most;
    }
    return ns;
}

/* Looks for an answer for a while. returns: something was done. */
static bool spin(disk_t *d)
{
    uint64_t end_ns;

    if (d->cfg.spin_ns == 0 || !d->busy)
        return false;
    end_ns = gmk_hal_now_ns() + d->cfg.spin_ns;
    do {
        if (step(d))
            return true;
        gmk_hal_relax();
    } while (gmk_hal_now_ns() < end_ns);
    return false;
}

/* Announce, look once more, sleep. Who starts a request meanwhile wakes the thread, so that it
 * knows of the deadline. */
static void doze(disk_t *d, uint32_t seen)
{
    blk_dev_t *dev = d->cfg.dev;
    uint64_t ns = 0;

    gmk_xchg_sc(&d->asleep, 1, GMK_DEV);
    drive(d);
    if (!has_new(d) && !is_owed(d, &d->in[0]) && !is_owed(d, &d->in[1]) &&
        (dev == NULL || dev->ops->arm(dev)))
        ns = patience(d);
    d->watching = dev != NULL && dev->has_irq && ns <= BACKSTOP_NS;
    stop_driving(d);
    if (ns != 0) {
        gmk_count_add(&d->stats.sleeps, 1);
        gmk_hal_park_wait(d->park, seen, ns);
    }
    gmk_xchg_sc(&d->asleep, 0, GMK_DEV);
}

static void flushed(blk_req_t *r) { *(bool *)r->user = true; }

/* What was written is on the disk when the kernel is halted. */
static void flush(disk_t *d)
{
    blk_dev_t *dev = d->cfg.dev;
    bool done = false;
    blk_req_t r = {
        .op = BLK_FLUSH, .deadline_ns = gmk_hal_now_ns() + STOP_NS, .done = flushed, .user = &done};
    blk_req_t *list = &r;

    if (!d->wrote || dev->ops->submit(dev, &list, 1) == 0)
        return;
    while (!done)
        if (dev->ops->poll(dev, POLL_MAX) == 0)
            gmk_hal_relax();
}

/* Carries out what is with the module, within bounds; answers are kept for fini. */
static void wind_up(disk_t *d)
{
    blk_dev_t *dev = d->cfg.dev;
    uint64_t end_ns = gmk_hal_now_ns() + STOP_NS;

    for (;;) {
        bool moved = step(d);

        if (!has_new(d) && d->waiting.head == NULL && (dev == NULL || dev->inflight == 0))
            break;
        if (moved)
            continue;
        if (dev != NULL && d->n_slots == DISK_SLOTS && dev->inflight == 0)
            break; /* answers fill all slots, and cannot be sent */
        if (dev != NULL && gmk_hal_now_ns() > end_ns) {
            (void)dev->ops->reset(dev); /* broken: all the same, all requests end */
            end_ns += STOP_NS;
        }
        gmk_hal_relax();
    }
    if (dev != NULL)
        flush(d);
}

static void *serve(void *arg)
{
    disk_t *d = arg;

    for (;;) {
        uint32_t seen = gmk_hal_park_word(d->park); /* before every look */

        if (is_stopped(d))
            break;
        if (step(d) || spin(d))
            d->active_ns = gmk_hal_now_ns();
        else
            doze(d, seen);
    }
    wind_up(d);
    if (d->ctx != NULL)
        (void)gmk_host_detach(&d->host);
    d->ctx = NULL;
    return NULL;
}

/* The module. -------------------------------------------------------------- */

static int open_inlet(gmk_ctx_t *ctx, disk_inlet_t *in, const char *name, uint32_t type)
{
    gmk_chan_opts_t o = {.msg_type = type};
    int rc = gmk_chan_open_with(ctx, name, &o);

    if (rc < 0)
        return rc;
    in->chan = (uint32_t)rc;
    gmk_spsc_setup(&in->ring, DISK_QUEUE, 0);
    in->sink = (gmk_chan_sink_t){.take = take_cells, .arg = in};
    return gmk_chan_sub_sink(ctx, in->chan, &in->sink);
}

static int open_channels(disk_t *d, gmk_ctx_t *ctx)
{
    int rc = gmk_chan_find(ctx, DISK_CHAN_RESP);

    d->resp = rc > 0 ? (uint32_t)rc : 0;
    if (rc > 0)
        rc = open_inlet(ctx, &d->in[0], DISK_CHAN_READ, DISK_TYPE_READ);
    return rc == GMK_OK ? open_inlet(ctx, &d->in[1], DISK_CHAN_WRITE, DISK_TYPE_WRITE) : rc;
}

static int disk_init(gmk_ctx_t *ctx)
{
    disk_t *d = ctx->user;
    int rc;

    d->kernel = ctx->kernel;
    if (d->cfg.dev != NULL && blk_claim(d->cfg.dev) != BLK_OK)
        return GMK_E_BUSY;
    rc = open_channels(d, ctx);
    if (rc == GMK_OK && gmk_hal_cpu_start(&d->thread, d->cfg.cpu, serve, d) != 0)
        rc = GMK_E_CPU;
    d->running = rc == GMK_OK;
    if (rc != GMK_OK && d->cfg.dev != NULL)
        blk_release(d->cfg.dev);
    return rc;
}

static int disk_fini(gmk_ctx_t *ctx)
{
    disk_t *d = ctx->user;

    if (!d->running)
        return GMK_OK;
    gmk_store_rel(&d->stop, 1, GMK_DEV);
    gmk_hal_park_wake(d->park);
    (void)gmk_hal_thread_join(&d->thread);
    d->running = false;
    /* Something is left only if the thread never got a context. */
    do {
        while (d->ended.head != NULL) {
            gmk_count_add(&d->stats.unheard, 1);
            drop(d, ctx, slot_of(blk_list_take(&d->ended)));
        }
        while (d->waiting.head != NULL)
            end(d, slot_of(blk_list_take(&d->waiting)), BLK_E_RESET);
    } while (d->ended.head != NULL || admit_from(d, &d->in[0]) + admit_from(d, &d->in[1]) != 0);
    if (d->cfg.dev != NULL)
        blk_release(d->cfg.dev);
    return GMK_OK;
}

gmk_module_t *disk_module(disk_t *d, const disk_cfg_t *cfg)
{
    gmk_hal_memset(d, 0, sizeof(*d));
    d->cfg = *cfg;
    d->decl[0] = (gmk_chan_decl_t){
        .name = DISK_CHAN_RESP, .direction = GMK_CHAN_PRODUCE, .msg_type = DISK_TYPE_RESP};
    for (uint32_t i = 0; i < DISK_SLOTS; i++)
        d->slot[i].next = i + 1;
    for (uint32_t i = 0; i < 2; i++)
        d->in[i].disk = d;
    gmk_hal_park_init(&d->own_park);
    d->park = cfg->dev != NULL ? &cfg->dev->park : &d->own_park;
    d->module = (gmk_module_t){.name = "nvme",
                               .version = GMK_VERSION(0, 5, 0),
                               .channels = d->decl,
                               .n_channels = 1,
                               .init = disk_init,
                               .fini = disk_fini,
                               .user = d};
    return &d->module;
}

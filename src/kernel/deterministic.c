/* SPDX-License-Identifier: MIT
 * Deterministic work seen from outside: waiting for ticks, recording, replay.
 * Floor: F8. The recorder is called under the lock that numbers external input, so what is
 * written stands in the order that counts.
 * Source: SPEC DET-5, DET-7, DET-9; ARCHITECTURE R15. */
#include "ggmk/determinism.h"

#include "kernel/kernel.h"

/* Recording. ------------------------------------------------------------------------- */

static void on_input(void *arg, const gmk_cell_t *c, uint64_t tick)
{
    gmki_kernel_t *k = arg;
    const gmki_chan_t *ch =
        c->task.channel != 0 ? gmki_chan_at(&k->core.chan, c->task.channel) : NULL;

    if (k->record.state != GMK_RECORD_ON)
        return;
    if (gmk_record_input(&k->record, tick, ch != NULL ? ch->name : NULL, &c->task,
                         (const void *)(uintptr_t)c->task.payload_ptr) != GMK_OK)
        gmki_count(&gmki_outside(k)->obs, c->task.tenant, GMK_METRIC_RECORD_FAILS, 1);
}

static void on_tick(void *arg, uint64_t tick)
{
    gmki_kernel_t *k = arg;

    if (k->record.state == GMK_RECORD_ON &&
        gmk_record_tick(&k->record, tick, gmki_det_hash(&k->core.det)) != GMK_OK)
        gmki_count(&gmki_outside(k)->obs, 0, GMK_METRIC_RECORD_FAILS, 1);
}

int gmki_det_boot(gmki_kernel_t *k)
{
    gmki_det_ops_t ops = {.targets = gmki_det_targets,
                          .begun = gmki_det_begun,
                          .input = on_input,
                          .begin = on_tick,
                          .arg = k}; /* the core is a kernel's first member */
    int rc = gmki_det_init(&k->core.det, &ops, k->n_agents, k->core.mods.n_mods);

    if (rc == GMK_OK) {
        k->core.sched.begin_ticks = gmki_det_begin_ticks;
        k->core.sched.det_ready = &k->core.det.ready;
    }
    return rc;
}

int gmk_record_start(gmk_kernel_t *handle, gmk_record_write_fn fn, void *arg)
{
    gmki_det_t *d;
    uint32_t seq;
    int rc;
    gmki_kernel_t *k = fn != NULL ? gmki_go_in(handle, 0, &seq, &rc) : NULL;

    if (k == NULL)
        return fn != NULL ? rc : (int)GMK_E_INVALID;
    d = &k->core.det;
    gmk_hal_lock_acquire(&d->lock);
    rc = gmki_det_empty(d) ? gmk_record_begin(&k->record, fn, arg, d->tick, d->seq)
                           : (int)GMK_E_BUSY;
    if (rc == GMK_OK)
        gmki_det_rehash(d);
    gmk_hal_lock_release(&d->lock);
    gmki_come_out(handle);
    return rc;
}

int gmk_record_stop(gmk_kernel_t *handle, uint32_t *fault)
{
    uint32_t seq;
    int rc;
    gmki_kernel_t *k = gmki_go_in(handle, 0, &seq, &rc);

    if (k == NULL)
        return rc;
    gmk_hal_lock_acquire(&k->core.det.lock);
    if (k->core.det.open)
        rc = GMK_E_BUSY;
    else
        rc = gmk_record_end(&k->record, gmki_det_hash(&k->core.det));
    if (fault != NULL)
        *fault = k->record.fault;
    gmk_hal_lock_release(&k->core.det.lock);
    gmki_come_out(handle);
    return rc;
}

/* Ticks. ----------------------------------------------------------------------------- */

static bool ticks_ended(gmki_kernel_t *k)
{
    uint64_t now = gmki_tick(&k->core.sched, gmk_hal_now_ns());

    return gmki_det_unfinished(&k->core.det) > now;
}

int gmk_tick_wait(gmk_kernel_t *handle, uint64_t timeout_ns)
{
    return gmki_wait_outside(handle, ticks_ended, timeout_ns);
}

uint64_t gmk_trace_hash(const gmk_kernel_t *handle)
{
    const gmki_kernel_t *k = gmki_kernel(handle);

    return k != NULL ? gmki_det_hash(&k->core.det) : 0;
}

/* Replay. ---------------------------------------------------------------------------- */

typedef struct replay {
    gmk_kernel_t *handle;
    gmki_kernel_t *k;
    gmk_ctx_t *ctx;
    uint64_t timeout_ns;
    gmk_record_reader_t reader;
    gmk_replay_report_t report;
    bool begun;
} replay_t;

/* The kernel stands where the recording began: the last tick and the next number. */
static int set_out(replay_t *r, const gmk_record_t *rec)
{
    gmki_det_t *d = &r->k->core.det;
    gmk_sched_t *s = &r->k->core.sched;
    uint64_t now = gmki_tick(s, gmk_hal_now_ns());

    (void)rec;
    r->begun = true;
    if (now > r->reader.start_tick ||
        !gmki_det_restart(d, r->reader.start_tick, r->reader.start_seq))
        return GMK_E_BUSY;
    gmk_add_ar(&s->tick_base, r->reader.start_tick - now, GMK_DEV); /* sync: sched.tick */
    return GMK_OK;
}

/* As the recorded emit did it, whatever the recording says: it may be another kernel's. */
static int put_input(const replay_t *r, const gmk_record_t *rec, const gmk_task_t *t)
{
    gmki_agent_t *a = r->ctx->agent;
    gmki_core_t *core = &r->k->core;
    gmki_chan_t *c;
    int rc;

    if (rec->channel[0] == '\0') {
        rc = gmki_check_task(&core->sched, t);
        return rc == GMK_OK ? gmki_det_direct(a, t, rec->tick) : rc;
    }
    rc = gmki_chan_find(&core->chan, rec->channel);
    if (rc < 0)
        return rc;
    c = gmki_chan_get(&core->chan, (uint32_t)rc);
    if (c == NULL)
        return GMK_CHAN_CLOSED;
    if ((c->mode & GMK_CHAN_DETERMINISTIC) == 0)
        return GMK_E_WIRING;
    return gmki_chan_det_input(a, &core->chan, c, t, rec->tick);
}

static int give_input(replay_t *r, const gmk_record_t *rec)
{
    gmk_task_t t = rec->task;
    void *payload = NULL;
    int rc;

    if (rec->payload != NULL) {
        payload = gmk_payload_alloc(r->ctx, t.payload_len);
        if (payload == NULL)
            return GMK_ALLOC_FAIL;
        gmk_hal_memcpy(payload, rec->payload, t.payload_len);
        gmk_task_set_payload(&t, payload);
    }
    rc = put_input(r, rec, &t);
    if (rc != GMK_OK && payload != NULL)
        gmk_payload_release_ptr(r->ctx, payload);
    r->report.n_inputs += rc == GMK_OK;
    return rc;
}

/* At the end the last tick is past, so what differs is found before the one after it. */
static int compare(replay_t *r, const gmk_record_t *rec)
{
    r->report.hash = gmki_det_hash(&r->k->core.det);
    r->report.tick = rec->tick + (rec->kind == GMK_RECORD_END);
    return r->report.hash == rec->hash ? GMK_OK : (int)GMK_E_DIVERGED;
}

/* Goes to the tick before the one that is still to come; 1: it is. No step for each between
 * them: none of those began when it was recorded, and a recording may name any tick. */
static int come_near(replay_t *r, const gmk_record_t *rec)
{
    gmk_sched_t *s = &r->k->core.sched;
    uint64_t now = gmki_tick(s, 0);

    if (now >= rec->tick)
        return 0;
    gmk_add_ar(&s->tick_base, rec->tick - 1 - now, GMK_DEV); /* sync: sched.tick */
    return 1;
}

/* Does one thing inside the kernel, which a halt waits for; GMK_E_HALTING: it has begun. */
static int inside(replay_t *r, const gmk_record_t *rec,
                  int (*fn)(replay_t *r, const gmk_record_t *rec))
{
    uint32_t seq;
    int rc;

    if (gmki_go_in(r->handle, 0, &seq, &rc) == NULL)
        return rc;
    rc = fn(r, rec);
    gmki_come_out(r->handle);
    return rc;
}

/* Lets a tick run, once everything before it is the same. */
static int give_tick(replay_t *r, const gmk_record_t *rec)
{
    int behind = 0;
    int rc = inside(r, rec, compare);

    if (rc == GMK_OK && (behind = inside(r, rec, come_near)) == 1) {
        gmk_tick_advance(r->handle);
        rc = gmk_tick_wait(r->handle, r->timeout_ns);
    }
    rc = behind < 0 ? behind : rc;
    r->report.n_ticks += rc == GMK_OK;
    return rc;
}

static int give(replay_t *r, const gmk_record_t *rec)
{
    int rc = r->begun ? GMK_OK : inside(r, rec, set_out);

    r->report.offset = rec->offset;
    if (rc != GMK_OK)
        return rc;
    if (rec->kind == GMK_RECORD_TICK)
        return give_tick(r, rec);
    return inside(r, rec, rec->kind == GMK_RECORD_INPUT ? give_input : compare);
}

static int bad_record(replay_t *r, int rc)
{
    if (rc == GMK_E_RECORD) {
        r->report.fault = r->reader.fault;
        r->report.offset = r->reader.fault_at;
    }
    return rc;
}

/* Feeds what one read gave. */
static int feed(replay_t *r, const uint8_t *bytes, size_t n)
{
    while (n != 0) {
        gmk_record_t rec;
        size_t used = 0;
        int rc = gmk_record_feed(&r->reader, bytes, n, &used, &rec);

        if (rc < 0)
            return bad_record(r, rc);
        bytes += used;
        n -= used;
        if (rc == GMK_RECORD_READY && (rc = give(r, &rec)) != GMK_OK)
            return rc;
    }
    return GMK_OK;
}

static int play(replay_t *r, gmk_record_read_fn fn, void *arg)
{
    uint8_t chunk[1024];

    for (;;) {
        int64_t n = fn(arg, chunk, sizeof(chunk));
        int rc;

        if (n < 0 || n > (int64_t)sizeof(chunk)) {
            r->report.fault = GMK_RECORD_READ_FAILED;
            r->report.offset = r->reader.offset + r->reader.have;
            return GMK_E_RECORD;
        }
        if (n == 0)
            return bad_record(r, gmk_record_finish(&r->reader));
        rc = feed(r, chunk, (size_t)n);
        if (rc != GMK_OK)
            return rc;
    }
}

int gmk_replay(gmk_kernel_t *handle, gmk_record_read_fn fn, void *arg, uint64_t timeout_ns,
               gmk_replay_report_t *report)
{
    replay_t r = {.handle = handle, .k = gmki_kernel(handle), .timeout_ns = timeout_ns};
    gmk_host_t host;
    void *buf;
    int rc = GMK_E_INVALID;

    if (r.k == NULL || fn == NULL || !r.k->core.sched.manual_ticks)
        return GMK_E_INVALID;
    r.ctx = gmk_host_attach(handle, &host);
    if (r.ctx == NULL)
        return GMK_E_LIMIT;
    buf = gmk_hal_calloc(1, GMK_RECORD_MAX_BYTES);
    rc = buf != NULL ? gmk_record_open(&r.reader, buf, GMK_RECORD_MAX_BYTES) : (int)GMK_ALLOC_FAIL;
    if (rc == GMK_OK)
        rc = play(&r, fn, arg);
    gmk_hal_free(buf);
    if (gmk_host_detach(&host) != GMK_OK && rc == GMK_OK)
        rc = GMK_E_HALTING;
    if (report != NULL)
        *report = r.report;
    return rc;
}

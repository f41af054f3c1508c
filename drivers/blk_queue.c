/* SPDX-License-Identifier: MIT
 * The request queue that block drivers share. Floor: drivers. */
#include "drivers/blk_queue.h"

#include "drivers/dev.h"

#define MAX_FRUITLESS 8u
#define LOOK_EVERY 16u /* polls of a busy device between two looks at the clock */
#define NO_SLOT 0xffffu

static blk_queue_t *queue_of(blk_dev_t *d) { return (blk_queue_t *)(void *)d; }

static bool is_broken(const blk_queue_t *q)
{
    return gmk_load_acq(&q->blk.broken, GMK_DEV) != 0; /* sync: blk.broken */
}

/* Slots. ------------------------------------------------------------------------------- */

static void free_slot(blk_queue_t *q, uint32_t s)
{
    q->slot[s].req = NULL;
    q->slot[s].next = q->free_slot;
    q->free_slot = (uint16_t)s;
}

void blk_queue_size(blk_queue_t *q, uint32_t depth)
{
    q->blk.depth = depth;
    q->free_slot = NO_SLOT;
    for (uint32_t s = depth; s-- > 0;)
        free_slot(q, s);
}

/* Ends a request: done is called by the next poll. */
static void end(blk_queue_t *q, blk_req_t *r, int status)
{
    r->status = (int16_t)status;
    blk_list_add(&q->ready, r);
}

static void end_all(blk_queue_t *q, int status)
{
    for (uint32_t s = 0; s < q->blk.depth; s++)
        if (q->slot[s].req != NULL) {
            end(q, q->slot[s].req, status);
            free_slot(q, s);
        }
}

static uint64_t first_deadline(const blk_queue_t *q)
{
    uint64_t due = BLK_NEVER;

    for (uint32_t s = 0; s < q->blk.depth; s++)
        if (q->slot[s].req != NULL && q->slot[s].deadline_ns < due)
            due = q->slot[s].deadline_ns;
    return due;
}

/* When poll is due: at that deadline, and a look before it. */
static uint64_t due_by(uint64_t deadline_ns, uint64_t now)
{
    bool look = deadline_ns != BLK_NEVER && deadline_ns > now + BLK_QUEUE_LOOK_NS;

    return look ? now + BLK_QUEUE_LOOK_NS : deadline_ns;
}

/* Submitting. ---------------------------------------------------------------------------- */

int blk_queue_start(blk_queue_t *q, blk_req_t *r, uint64_t deadline_ns)
{
    uint32_t s = q->free_slot;
    int rc;

    if (s == NO_SLOT)
        return 0;
    rc = q->ops->put(q, s, r);
    if (rc <= 0)
        return rc;
    q->free_slot = q->slot[s].next;
    q->slot[s].req = r;
    q->slot[s].deadline_ns = deadline_ns;
    q->slot[s].again = false;
    if (deadline_ns < q->blk.due_ns)
        q->blk.due_ns = deadline_ns;
    return 1;
}

static uint32_t submit(blk_dev_t *blk, blk_req_t *const *r, uint32_t n)
{
    blk_queue_t *q = queue_of(blk);
    uint64_t now = dev_now_ns();
    uint32_t i;

    for (i = 0; i < n; i++) {
        uint64_t deadline = r[i]->deadline_ns != 0 ? r[i]->deadline_ns : now + BLK_TIMEOUT_NS;
        int rc = blk_check(blk, r[i], now);

        if (rc == BLK_OK && (r[i]->op != BLK_FLUSH || blk->can_flush)) {
            rc = blk_queue_start(q, r[i], deadline);
            if (rc == 0)
                break;
        }
        blk_begin(blk, r[i]);
        if (rc <= 0)
            end(q, r[i], rc);
    }
    blk->due_ns = due_by(blk->due_ns, now);
    if (!is_broken(q) && (!q->polling || q->ops->publish_early))
        q->ops->publish(q);
    return i;
}

/* Answers. --------------------------------------------------------------------------------- */

/* No longer used: it cannot write to memory. */
static void break_off(blk_queue_t *q)
{
    gmk_store_rel(&q->blk.broken, 1, GMK_DEV); /* sync: blk.broken */
    q->ops->stop(q);
}

static void give_up(blk_queue_t *q)
{
    break_off(q);
    end_all(q, BLK_E_BROKEN);
}

/* Takes one answer. returns: the request and how it ended; null: there is none, or the device is
 * broken now. */
static blk_req_t *next_answer(blk_queue_t *q, int *status)
{
    int s = q->ops->take(q, status);
    blk_req_t *r;

    if (s == BLK_QUEUE_EMPTY)
        return NULL;
    if (s < 0 || (uint32_t)s >= q->blk.depth || q->slot[s].req == NULL) {
        gmk_count_add(&q->blk.stats.spurious, 1);
        give_up(q);
        return NULL;
    }
    q->fruitless = 0;
    r = q->slot[s].req;
    free_slot(q, (uint32_t)s);
    return r;
}

/* Resets. ------------------------------------------------------------------------------------ */

static int restart(blk_queue_t *q)
{
    gmk_count_add(&q->blk.stats.resets, 1);
    q->armed = false;
    return q->ops->restart(q);
}

/* What becomes of the request in a slot when the device was reset. returns: 1: the device has it
 * again; negative: the status it ends with. */
static int restart_slot(blk_queue_t *q, uint32_t s, uint64_t now)
{
    if (q->slot[s].deadline_ns <= now)
        return BLK_E_TIMEOUT;
    if (q->slot[s].again)
        return BLK_E_RESET;
    if (is_broken(q))
        return BLK_E_BROKEN;
    q->slot[s].again = true;
    return q->ops->put(q, s, q->slot[s].req) == 1 ? 1 : BLK_E_RESET;
}

/* Resets the device, for a deadline or because it failed. */
static void recover(blk_queue_t *q, uint64_t now)
{
    if (++q->fruitless > MAX_FRUITLESS || restart(q) != BLK_OK)
        break_off(q);
    for (uint32_t s = 0; s < q->blk.depth; s++) {
        blk_req_t *r = q->slot[s].req;
        int rc = r != NULL ? restart_slot(q, s, now) : 0;

        if (rc > 0) {
            gmk_count_add(&q->blk.stats.requeued, 1);
        } else if (rc < 0) {
            end(q, r, rc);
            free_slot(q, s);
        }
    }
    if (!is_broken(q))
        q->ops->publish(q);
}

/* Looks after the device and, when it is time to, its state and the deadlines. Answers that are
 * there count before both: poll may have reached its limit before them. pre: not broken. */
static void look(blk_queue_t *q)
{
    uint64_t now = dev_now_ns();
    int health = BLK_OK;
    blk_req_t *r;
    int status;

    gmk_count_add(&q->blk.stats.spurious, q->ops->look(q));
    if (now < q->blk.due_ns)
        return;
    while ((r = next_answer(q, &status)) != NULL)
        end(q, r, status);
    if (is_broken(q))
        return;
    if (q->ops->health != NULL)
        health = q->ops->health(q);
    if (health == BLK_E_BROKEN)
        give_up(q);
    else if (health != BLK_OK || first_deadline(q) <= now)
        recover(q, now);
    q->blk.due_ns = due_by(first_deadline(q), dev_now_ns());
}

/* The rest of the interface. ------------------------------------------------------------------ */

static uint32_t give_ready(blk_queue_t *q, uint32_t max)
{
    uint32_t n = 0;
    blk_req_t *r;

    while (n < max && (r = blk_list_take(&q->ready)) != NULL) {
        blk_finish(&q->blk, r, r->status);
        n++;
    }
    return n;
}

/* Poll has begun: nobody sleeps. returns: no interrupt came until time was up. */
static bool disarm(blk_queue_t *q)
{
    uint32_t irqs = gmk_load_acq(&q->irqs, GMK_DEV); /* sync: blk.irqs */
    bool none = q->armed && irqs == q->seen_irqs && dev_now_ns() >= q->blk.due_ns;

    if (q->armed)
        q->seen_irqs = irqs;
    q->armed = false;
    q->ops->quiet(q, irqs - q->seen_irqs);
    return none;
}

/* Answers, deadlines. returns: how many done calls. */
static uint32_t work(blk_queue_t *q, uint32_t max)
{
    bool lost = disarm(q);
    uint32_t n = 0;
    blk_req_t *r;
    int status;

    for (; n < max && (r = next_answer(q, &status)) != NULL; n++) {
        if (lost && n == 0)
            gmk_count_add(&q->blk.stats.lost_irqs, 1);
        blk_finish(&q->blk, r, status);
    }
    if (!is_broken(q) && (n == 0 || ++q->polls % LOOK_EVERY == 0))
        look(q);
    return n;
}

static uint32_t poll(blk_dev_t *blk, uint32_t max)
{
    blk_queue_t *q = queue_of(blk);
    uint32_t n;

    gmk_count_add(&blk->stats.polls, 1);
    q->polling = true;
    n = give_ready(q, max);
    if (!is_broken(q))
        n += work(q, max - n);
    n += give_ready(q, max - n);
    q->polling = false;
    if (!is_broken(q))
        q->ops->publish(q);
    if (blk->inflight == 0)
        blk->due_ns = BLK_NEVER;
    return n;
}

static bool arm(blk_dev_t *blk)
{
    blk_queue_t *q = queue_of(blk);

    if (q->ready.head != NULL)
        return false;
    if (is_broken(q))
        return true;
    q->seen_irqs = gmk_load_acq(&q->irqs, GMK_DEV); /* sync: blk.irqs */
    q->armed = q->ops->listen(q);
    if (!q->armed)
        q->ops->quiet(q, 0);
    return q->armed;
}

static int reset(blk_dev_t *blk)
{
    blk_queue_t *q = queue_of(blk);
    int rc = restart(q);

    end_all(q, BLK_E_RESET);
    q->fruitless = 0;
    blk->due_ns = BLK_NEVER;
    if (rc == BLK_OK) {
        gmk_store_rel(&blk->broken, 0, GMK_DEV); /* sync: blk.broken */
        return BLK_OK;
    }
    give_up(q);
    return BLK_E_BROKEN;
}

void blk_queue_interrupt(void *arg)
{
    blk_queue_t *q = arg;

    gmk_add_ar(&q->irqs, 1, GMK_DEV); /* sync: blk.irqs */
    blk_irq(&q->blk);
}

void blk_queue_init(blk_queue_t *q, const blk_queue_ops_t *ops, const char *name, uint32_t digit)
{
    static const blk_ops_t of_blk = {.submit = submit, .poll = poll, .arm = arm, .reset = reset};
    uint32_t n = 0;

    for (; name[n] != '\0' && n < sizeof(q->blk.name) - 2; n++)
        q->blk.name[n] = name[n];
    q->blk.name[n] = (char)('0' + digit);
    q->ops = ops;
    blk_setup(&q->blk, &of_blk);
}

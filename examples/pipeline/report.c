/* SPDX-License-Identifier: MIT
 * The pipeline's run and report, on any machine: boots, sets it going, waits, prints. */
#include "pipeline.h"

#define BUMP_PART (100 / GMK_ARENA_BUMP_PCT) /* the table lives in the bump region */

/* Text. -------------------------------------------------------------------------- */

static void say(const char *s)
{
    size_t n = 0;

    while (s[n] != '\0')
        n++;
    pl_print(s, n);
}

/* Writes v, which ends before end. returns: where it begins. */
static char *digits_of(uint64_t v, char *end)
{
    do
        *--end = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    return end;
}

static void say_u64(uint64_t v, uint32_t width)
{
    char digits[24];
    char *end = digits + sizeof(digits);
    char *at = digits_of(v, end);

    while ((uint32_t)(end - at) < width && at > digits)
        *--at = ' ';
    pl_print(at, (size_t)(end - at));
}

static void say_hex(uint64_t v)
{
    char digits[16];

    for (uint32_t i = 0; i < sizeof(digits); i++)
        digits[i] = "0123456789abcdef"[v >> (60 - 4 * i) & 15];
    pl_print(digits, sizeof(digits));
}

/* v thousandths as a number with one digit after the point. */
static void say_tenths(uint64_t v)
{
    char digit = (char)('0' + v / 100 % 10);

    say_u64(v / 1000, 0);
    say(".");
    pl_print(&digit, 1);
}

void pl_fail(pl_pipeline_t *p, const char *text, const uint64_t *number)
{
    char digits[24] = "";
    size_t n = 0;

    if (number != NULL)
        text = digits_of(*number, digits + sizeof(digits) - 1);
    while (p->error[n] != '\0')
        n++;
    for (; *text != '\0' && n + 1 < sizeof(p->error); text++)
        p->error[n++] = *text;
    p->error[n] = '\0';
}

/* Order. ------------------------------------------------------------------------- */

/* a stands before b: it is more frequent, or comes first by its letters. */
static bool before(const pl_store_t *s, const pl_word_t *a, const pl_word_t *b)
{
    const uint8_t *x = s->text + a->at;
    const uint8_t *y = s->text + b->at;
    uint32_t n = a->len < b->len ? a->len : b->len;

    if (a->count != b->count)
        return a->count > b->count;
    for (uint32_t i = 0; i < n; i++)
        if (x[i] != y[i])
            return x[i] < y[i];
    return a->len < b->len;
}

/* Lets word i sink in the heap words[0..n), whose root stands last in order. */
static void sink(const pl_store_t *s, uint32_t i, uint32_t n)
{
    pl_word_t w = s->words[i];

    while (2 * i + 1 < n) {
        uint32_t child = 2 * i + 1;

        if (child + 1 < n && before(s, &s->words[child], &s->words[child + 1]))
            child++;
        if (!before(s, &w, &s->words[child]))
            break;
        s->words[i] = s->words[child];
        i = child;
    }
    s->words[i] = w;
}

void pl_sort(pl_store_t *s)
{
    for (uint32_t i = s->n / 2; i-- > 0;)
        sink(s, i, s->n);
    for (uint32_t n = s->n; n-- > 1;) {
        pl_word_t last = s->words[0];

        s->words[0] = s->words[n];
        s->words[n] = last;
        sink(s, 0, n);
    }
}

/* Report. ------------------------------------------------------------------------ */

static void report_words(const pl_store_t *s, uint32_t n, uint32_t width)
{
    for (uint32_t i = 0; i < n && i < s->n; i++) {
        say_u64(s->words[i].count, width);
        say(" ");
        pl_print((const char *)s->text + s->words[i].at, s->words[i].len);
        say("\n");
    }
}

static void report_stages(const gmk_kernel_t *k)
{
    gmk_handler_info_t h;

    for (uint32_t i = 0; gmk_handler_get_info(k, i, &h) == GMK_OK; i++) {
        if (h.type == PL_TYPE_START)
            continue;
        say(h.module);
        say(".");
        say(h.handler);
        say(": ");
        say_u64(h.completed, 0);
        say(" messages, ");
        say_u64(h.failed, 0);
        say(" failed, ");
        say_u64(h.retries, 0);
        say(" retried\n");
    }
}

static void report_pressure(const gmk_kernel_t *k)
{
    say("back-pressure: ingest waited ");
    say_u64(gmk_metric_get(k, GMK_METRIC_OUTBOX_PARKED), 0);
    say(" times for room in pipeline.chunks\n");
}

static void report_tape(const pl_pipeline_t *p, const pl_tape_t *tape)
{
    say(tape->read != NULL ? "replayed " : tape->write != NULL ? "recorded " : "took ");
    say_u64(p->n_inputs, 0);
    say(" messages from outside\ntrace hash ");
    say_hex(p->hash);
    say("\n");
}

void pl_report(const pl_pipeline_t *p, const pl_options_t *o, const gmk_kernel_t *k)
{
    const pl_store_t *s = &p->store;
    uint64_t us = p->spent_ns / 1000 + 1;

    if (o->all) {
        report_words(s, s->n, 0);
        return;
    }
    report_words(s, o->top, 9);
    say_u64(s->total, 0);
    say(" words, ");
    say_u64(s->n, 0);
    say(s->other != 0 ? " different ones kept, in " : " different, in ");
    say_u64(p->ingest.bytes, 0);
    say(" bytes\n");
    if (s->other != 0) {
        say_u64(s->other, 0);
        say(" of the words found no room in the table: give a larger one\n");
    }
    say_tenths(us);
    say(" ms, ");
    say_tenths(p->ingest.bytes * 1000 / us);
    say(" MB/s, ");
    say_tenths(s->total * 1000 / us);
    say(" million words/s on ");
    say_u64(gmk_worker_count(k), 0);
    say(" workers\n");
    report_stages(k);
    if (o->tape != NULL)
        report_tape(p, o->tape);
    else
        report_pressure(k);
}

void pl_report_audit(const gmk_audit_report_t *a)
{
    say("audit: accepted ");
    say_u64(a->accepted, 0);
    say(" = completed ");
    say_u64(a->completed, 0);
    say(" + failed ");
    say_u64(a->failed, 0);
    say(" + dead ");
    say_u64(a->dead, 0);
    say(" + queued ");
    say_u64(a->queued, 0);
    say(a->balanced ? ": balanced\n" : ": NOT BALANCED\n");
}

/* Run. --------------------------------------------------------------------------- */

/* Sets a booted pipeline going and waits until it rests. */
static bool drive(pl_pipeline_t *p, gmk_kernel_t *k)
{
    gmk_task_t start = {.type = PL_TYPE_START, .flags = GMK_PRIO_NORMAL};
    uint64_t begin = gmk_hal_now_ns();
    int rc = gmk_submit(k, &start);

    if (rc == GMK_OK)
        rc = gmk_wait_idle(k, GMK_HAL_FOREVER);
    p->spent_ns = gmk_hal_now_ns() - begin;
    if (rc != GMK_OK)
        pl_fail(p, gmk_strerror(rc), NULL);
    else if (p->ingest.error != 0)
        pl_fail(p, "the file cannot be read", NULL);
    else if (!p->ingest.end || gmk_metric_get(k, GMK_METRIC_TASKS_FAILED) != 0)
        pl_fail(p, "a stage failed: its memory may be too small", NULL);
    return p->error[0] == '\0';
}

static int boot(pl_pipeline_t *p, const pl_options_t *o, pl_modules_t *m, gmk_kernel_t *k)
{
    size_t table = pl_table_bytes(o->table) * BUMP_PART + (PL_ARENA_BYTES >> 4);
    gmk_boot_cfg_t cfg = {.arena_size = PL_ARENA_BYTES, .n_workers = o->n_workers};
    int rc;

    if (table > cfg.arena_size)
        cfg.arena_size = table;
    if (o->tape != NULL) {
        cfg.flags = GMK_BOOT_MANUAL_TICKS;
        pl_tick_modules_init(m, p);
    } else {
        pl_modules_init(m, p);
    }
    rc = gmk_boot(k, &cfg, m->list, m->n);
    if (rc != GMK_OK) {
        pl_fail(p, "boot: ", NULL);
        pl_fail(p, gmk_boot_error(k), NULL);
    }
    return rc;
}

bool pl_run(pl_pipeline_t *p, const pl_options_t *o, void *source)
{
    gmk_audit_report_t books;
    pl_modules_t m;
    gmk_kernel_t k;
    bool ok;
    int rc;

    *p = (pl_pipeline_t){.ingest.source = source, .store.cap = o->table};
    if (boot(p, o, &m, &k) != GMK_OK)
        return false;
    ok = o->tape != NULL ? pl_tick_drive(p, o->tape, &k) : drive(p, &k);
    if (ok) {
        pl_sort(&p->store);
        pl_report(p, o, &k);
    }
    rc = gmk_halt_timeout(&k, GMK_HALT_TIMEOUT_NS, &books);
    if (ok && rc != GMK_OK) {
        pl_fail(p, "halt: ", NULL);
        pl_fail(p, gmk_strerror(rc), NULL);
    }
    if (ok && !o->all)
        pl_report_audit(&books);
    return p->error[0] == '\0';
}

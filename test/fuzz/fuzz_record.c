/* SPDX-License-Identifier: MIT
 * Recordings as outside bytes. An input is read as it is, and once more with its checks
 * put right, so that the fuzzer need not guess them. A reader that gets the bytes in other
 * pieces must say the same; what is read to its end, written again, must be the same
 * bytes. The other way round, what a writer is told in drawn calls must be read back.
 * Floor: tests. Source: SPEC DET-5, DET-7; ggmk/record.h. */
#include "ggmk/hal.h"
#include "ggmk/record.h"

#include "fuzz.h"

#define MOST_RECORDS 4096u

typedef struct tape {
    uint8_t *p;
    size_t n, cap, limit;
} tape_t;

static int tape_write(void *arg, const void *bytes, size_t n)
{
    tape_t *t = arg;

    FUZZ_CHECK(n != 0 && bytes != NULL);
    if (n > t->limit - t->n)
        return -1;
    if (t->n + n > t->cap) {
        t->cap = 2 * (t->n + n);
        t->p = realloc(t->p, t->cap);
        FUZZ_CHECK(t->p != NULL);
    }
    memcpy(t->p + t->n, bytes, n);
    t->n += n;
    return 0;
}

/* What a reading came to, in numbers that must not depend on the pieces. */
typedef struct outcome {
    uint32_t fault, n_records;
    uint64_t fault_at, digest, tick, n_inputs;
    int rc; /* of finish, or of the feed that failed */
} outcome_t;

static void digest(outcome_t *o, const void *p, size_t n)
{
    const uint8_t *b = p;

    for (size_t i = 0; i < n; i++)
        o->digest = (o->digest ^ b[i]) * 0x100000001b3ull;
}

/* What the header promises of each record. */
static void note(outcome_t *o, const gmk_record_reader_t *r, const gmk_record_t *rec)
{
    const gmk_task_t *t = &rec->task;

    FUZZ_CHECK(rec->kind >= GMK_RECORD_INPUT && rec->kind <= GMK_RECORD_END);
    FUZZ_CHECK(t->channel == 0 && t->seq == 0 && t->payload_ptr == 0 && t->yield_count == 0);
    FUZZ_CHECK((rec->payload != NULL) == (t->payload_len != 0));
    FUZZ_CHECK(t->payload_len <= GMK_PAYLOAD_MAX && t->tenant < GMK_MAX_TENANTS);
    FUZZ_CHECK(memchr(rec->channel, 0, sizeof(rec->channel)) != NULL);
    if (rec->kind == GMK_RECORD_INPUT)
        FUZZ_CHECK(t->type != 0 && rec->tick > r->tick && rec->hash == 0);
    else
        FUZZ_CHECK(t->type == 0 && t->payload_len == 0 && rec->tick == r->tick);
    digest(o, t, sizeof(*t));
    digest(o, &rec->tick, 8);
    digest(o, &rec->offset, 8);
    digest(o, &rec->hash, 8);
    digest(o, rec->channel, strlen(rec->channel));
    digest(o, rec->payload, t->payload_len);
    o->n_records++;
}

/* Writes a record as it was read. */
static int again(gmk_record_writer_t *w, const gmk_record_t *rec)
{
    if (rec->kind == GMK_RECORD_INPUT)
        return gmk_record_input(w, rec->tick, rec->channel, &rec->task, rec->payload);
    if (rec->kind == GMK_RECORD_TICK)
        return gmk_record_tick(w, rec->tick, rec->hash);
    return gmk_record_end(w, rec->hash);
}

typedef struct reading {
    uint32_t cap;  /* of the reader's buffer */
    uint64_t seed; /* of the pieces; 0: all at once */
    tape_t *copy;  /* what is read is written here again; may be null */
    bool copied;   /* without a fault */
} reading_t;

static size_t piece(uint64_t *seed, size_t left)
{
    uint64_t x;

    if (*seed == 0)
        return left;
    x = gmk_rand_next(seed) >> 20;
    x = x & 64 ? x >> 8 & 0xff : x & 63;
    return x < left ? x : left;
}

static outcome_t read_all(const uint8_t *p, size_t n, reading_t *how)
{
    outcome_t o = {.digest = 0xcbf29ce484222325ull};
    uint8_t *buf = aligned_alloc(16, (how->cap + 15u) / 16 * 16);
    gmk_record_writer_t w = {.state = GMK_RECORD_IDLE};
    gmk_record_reader_t r;
    gmk_record_t rec;
    size_t at = 0;

    FUZZ_CHECK(buf != NULL && gmk_record_open(&r, buf, how->cap) == GMK_OK);
    do {
        size_t k = piece(&how->seed, n - at), used = SIZE_MAX;
        uint8_t *part = malloc(k != 0 ? k : 1); /* of just this size: no look beyond it */

        FUZZ_CHECK(part != NULL);
        if (k != 0)
            memcpy(part, p + at, k);
        o.rc = gmk_record_feed(&r, part, k, &used, &rec);
        FUZZ_CHECK(used <= k && (o.rc != GMK_RECORD_MORE || used == k));
        FUZZ_CHECK(o.rc == GMK_RECORD_MORE || o.rc == GMK_RECORD_READY || o.rc == GMK_E_RECORD);
        at += used;
        if (o.rc == GMK_RECORD_READY) {
            note(&o, &r, &rec);
            if (how->copy != NULL && o.n_records == 1)
                FUZZ_CHECK(gmk_record_begin(&w, tape_write, how->copy, r.start_tick, r.start_seq) ==
                           GMK_OK);
            if (how->copy != NULL)
                FUZZ_CHECK(again(&w, &rec) == GMK_OK);
        }
        free(part);
    } while (o.rc >= 0 && at < n);
    if (o.rc >= 0)
        o.rc = gmk_record_finish(&r);
    else
        FUZZ_CHECK(gmk_record_finish(&r) == GMK_E_RECORD);
    FUZZ_CHECK((o.rc == GMK_OK) == (r.fault == GMK_RECORD_SOUND));
    FUZZ_CHECK(r.fault < GMK_RECORD_FAULTS && r.fault_at <= n);
    FUZZ_CHECK(strcmp(gmk_record_fault_text(r.fault), "unknown fault") != 0);
    o.fault = r.fault;
    o.fault_at = r.fault_at;
    o.tick = r.tick;
    o.n_inputs = r.n_inputs;
    free(buf);
    return o;
}

static void fuzz_read(const uint8_t *p, size_t n, uint8_t how)
{
    tape_t copy = {.limit = SIZE_MAX};
    reading_t one = {.cap = how & 1 ? GMK_RECORD_MIN_BYTES : GMK_RECORD_MAX_BYTES, .copy = &copy};
    reading_t two = {.cap = one.cap, .seed = 1 + (uint64_t)how};
    outcome_t a = read_all(p, n, &one), b = read_all(p, n, &two);

    FUZZ_CHECK(a.rc == b.rc && a.fault == b.fault && a.n_records == b.n_records);
    FUZZ_CHECK(a.fault_at == b.fault_at && a.digest == b.digest);
    FUZZ_CHECK(a.tick == b.tick && a.n_inputs == b.n_inputs);
    if (a.rc == GMK_OK)
        FUZZ_CHECK(copy.n == n && memcmp(copy.p, p, n) == 0);
    free(copy.p);
}

/* Writing. ------------------------------------------------------------------------------- */

static void name_of(bytes_t *b, char *name)
{
    uint32_t len = take8(b) % (GMK_MAX_CHAN_NAME + 2), i;

    for (i = 0; i < len; i++)
        name[i] = (char)(1 + take8(b) % 255);
    name[i] = '\0';
}

static int write_input(gmk_record_writer_t *w, bytes_t *b)
{
    uint8_t how = take8(b);
    gmk_task_t t = {.type = how & 1 ? 1 + take8(b) % 255 : take32(b), .flags = take16(b)};
    uint64_t tick = how & 2 ? w->tick + 1 + take8(b) : take_wide(b);
    uint32_t lost = (uint32_t)w->lost;
    uint8_t *payload = NULL;
    char name[GMK_MAX_CHAN_NAME + 2];
    bool fits;
    int rc;

    t.tenant = how & 4 ? take8(b) % GMK_MAX_TENANTS : take16(b);
    t.payload_len = how & 8 ? take8(b) : how & 16 ? (uint32_t)take_wide(b) : 0;
    t.channel = t.seq = take32(b);
    t.meta0 = take64(b);
    name_of(b, name);
    if (t.payload_len != 0 && t.payload_len <= GMK_PAYLOAD_MAX && (how & 0xe0) != 0) {
        payload = malloc(t.payload_len);
        FUZZ_CHECK(payload != NULL);
        memset(payload, how, t.payload_len);
    }
    fits = tick < GMK_RECORD_LIMIT && t.type >= 1 && t.type <= 255 && t.tenant < GMK_MAX_TENANTS &&
           tick > w->tick && t.payload_len <= GMK_PAYLOAD_MAX &&
           (payload != NULL || t.payload_len == 0) && strlen(name) < GMK_MAX_CHAN_NAME;
    rc = gmk_record_input(w, tick, how & 0x20 ? name : NULL, &t, payload);
    free(payload);
    if (!fits && (how & 0x20 || strlen(name) < GMK_MAX_CHAN_NAME) && rc == GMK_OK)
        FUZZ_CHECK(!"a record took what it cannot hold");
    FUZZ_CHECK(rc != GMK_E_RECORD || w->lost == lost + 1u);
    return rc;
}

/* Calls of a writer that may refuse bytes at some point. What it took must read back. */
static void fuzz_write(bytes_t *b)
{
    tape_t t = {.limit = take8(b) & 1 ? take16(b) : SIZE_MAX};
    gmk_record_writer_t w = {.state = GMK_RECORD_IDLE};
    reading_t how = {.cap = GMK_RECORD_MAX_BYTES, .seed = take8(b)};
    uint64_t tick = take_wide(b), seq = take_wide(b);
    uint32_t n_records = 0;
    outcome_t o;
    int rc;

    FUZZ_CHECK(gmk_record_input(&w, 1, NULL, NULL, NULL) == GMK_E_NOT_FOUND);
    rc = gmk_record_begin(&w, tape_write, &t, tick, seq);
    if (tick >= GMK_RECORD_LIMIT || seq >= GMK_RECORD_LIMIT) {
        FUZZ_CHECK(rc == GMK_E_INVALID && t.n == 0);
        return;
    }
    while (rc == GMK_OK && w.state == GMK_RECORD_ON && n_records < MOST_RECORDS) {
        uint8_t op = take8(b);

        FUZZ_CHECK(gmk_record_begin(&w, tape_write, &t, 0, 0) == GMK_E_BUSY);
        if (op % 8 == 7 || !more(b))
            rc = gmk_record_end(&w, take64(b));
        else if (op % 8 > 4)
            rc = gmk_record_tick(&w, op & 8 ? w.tick + 1 + take8(b) : take_wide(b), take64(b));
        else
            rc = write_input(&w, b);
        n_records += rc == GMK_OK;
    }
    FUZZ_CHECK(rc == GMK_OK || (rc == GMK_E_RECORD && w.state == GMK_RECORD_FAILED));
    FUZZ_CHECK((w.fault == GMK_RECORD_SOUND) == (rc == GMK_OK));
    FUZZ_CHECK(gmk_record_tick(&w, UINT64_MAX, 0) ==
               (rc == GMK_OK && w.state == GMK_RECORD_ENDED ? GMK_E_NOT_FOUND : GMK_E_RECORD));
    o = read_all(t.p, t.n, &how);
    FUZZ_CHECK(o.n_records == n_records && (o.rc == GMK_OK) == (rc == GMK_OK));
    FUZZ_CHECK(o.rc == GMK_OK || o.fault == GMK_RECORD_TRUNCATED || o.fault == GMK_RECORD_NO_END);
    for (uint32_t n = take8(b) & 3; t.n != 0 && n != 0; n--) /* then altered, and sealed again */
        t.p[(t.n - 1) - take16(b) % t.n] ^= take8(b);
    put_right(t.p, t.n);
    fuzz_read(t.p, t.n, take8(b));
    free(t.p);
}

/* The first byte says what becomes of the others. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    bytes_t b = {data, n, 1};
    uint8_t how, *copy;

    if (n == 0)
        return 0;
    how = data[0];
    if ((how & 3) == 3) {
        fuzz_write(&b);
        return 0;
    }
    copy = malloc(n);
    FUZZ_CHECK(copy != NULL);
    memcpy(copy, data + 1, n - 1);
    if (how & 2)
        put_right(copy, n - 1);
    fuzz_read(copy, n - 1, how >> 2);
    free(copy);
    return 0;
}

/* SPDX-License-Identifier: MIT
 * The pipeline example recorded and replayed, on the machine that the test runs on:
 * words and trace hash are the same on any number of workers, and what is wrong with a
 * recording is said. test/pipeline.sh takes recordings from one machine to the other.
 * Floor: tests. Source: SPEC DET-7, DET-9, ACC-7; ARCHITECTURE R15. */
#include "../examples/pipeline/pipeline.h"

#include "ggmk/base/bits.h"
#include "ggmk/test.h"

#include "bytes.h"

#define TEXT_MAX (600u << 10)
#define TAPE_MAX (TEXT_MAX + (64u << 10))
#define PRINT_MAX (256u << 10)

typedef struct tape {
    uint32_t n;
    uint32_t at;    /* of reading */
    uint32_t limit; /* bytes it takes or gives */
    bool broken;    /* it fails at its limit */
    uint8_t bytes[TAPE_MAX];
} tape_t;

/* What a run gave. */
typedef struct result {
    bool ok;
    uint32_t printed;
    uint64_t words;
    uint64_t n_reads; /* of the text */
    pl_pipeline_t p;
    char print[PRINT_MAX];
} result_t;

static uint8_t text[TEXT_MAX];
static uint32_t text_n, text_at, text_piece;
static uint32_t table = 16384;
static tape_t tape, other;
static result_t first, got;
static result_t *printing;
GMK_ALIGNAS(16) static uint8_t buf[GMK_RECORD_MAX_BYTES];

/* The pipeline's machine. ------------------------------------------------------------ */

long pl_read(void *source, void *to, size_t n)
{
    result_t *r = source;
    uint32_t k = (uint32_t)gmk_min64(gmk_min64(n, text_piece), text_n - text_at);

    r->n_reads++;
    gmk_hal_memcpy(to, text + text_at, k);
    text_at += k;
    return k;
}

void pl_print(const char *s, size_t n)
{
    if (!gmk_test_assert_le(printing->printed + n, PRINT_MAX))
        return;
    gmk_hal_memcpy(printing->print + printing->printed, s, n);
    printing->printed += (uint32_t)n;
}

static int write_tape(void *arg, const void *bytes, size_t n)
{
    tape_t *t = arg;

    if (n > t->limit - t->n)
        return -1;
    gmk_hal_memcpy(t->bytes + t->n, bytes, n);
    t->n += (uint32_t)n;
    return 0;
}

static int64_t read_tape(void *arg, void *bytes, size_t n)
{
    tape_t *t = arg;
    uint32_t k = (uint32_t)gmk_min64(n, gmk_min32(t->limit, t->n) - t->at);

    if (k == 0 && t->broken)
        return -1;
    gmk_hal_memcpy(bytes, t->bytes + t->at, k);
    t->at += k;
    return k;
}

/* Runs. -------------------------------------------------------------------------------- */

/* A text of few and many letters a word, with a word longer than a chunk in it. */
static void make_text(void)
{
    uint64_t rand = gmk_test_seed() * 977 + 5;
    uint32_t n = (uint32_t)gmk_test_scale(TEXT_MAX, 300u << 10);

    text_n = 0;
    while (text_n < n) {
        uint32_t x = (uint32_t)(gmk_rand_next(&rand) >> 32);
        uint32_t len = x % 5 + 1;

        if (text_n > 40000 && text_n < 40100)
            len = 21000;
        for (; len > 0 && text_n < n; len--) {
            uint32_t y = (uint32_t)(gmk_rand_next(&rand) >> 40);

            text[text_n++] = (uint8_t)((y % 7 == 0 ? 'A' : 'a') + y / 7 % 5);
        }
        if (text_n < n)
            text[text_n++] = " \n.,"[x >> 8 & 3];
    }
}

static void run(result_t *r, uint32_t workers, const pl_tape_t *how)
{
    pl_options_t o = {.n_workers = workers, .table = table, .all = true, .tape = how};

    gmk_hal_memset(r, 0, sizeof(*r));
    text_at = 0;
    text_piece = how != NULL && how->write != NULL ? 5000 : TEXT_MAX; /* it must not matter */
    printing = r;
    r->ok = pl_run(&r->p, &o, r);
    r->words = r->p.store.total;
    if (how != NULL && how->read != NULL)
        gmk_test_assert_eq(r->n_reads, 0);
}

static void run_ticks(result_t *r, uint32_t workers)
{
    static const pl_tape_t none = {.arg = NULL};

    run(r, workers, &none);
}

static void record(result_t *r, uint32_t workers, tape_t *t)
{
    pl_tape_t how = {.write = write_tape, .arg = t};

    t->n = 0;
    t->limit = TAPE_MAX;
    run(r, workers, &how);
}

static void replay(result_t *r, uint32_t workers, tape_t *t, uint32_t limit)
{
    pl_tape_t how = {.read = read_tape, .arg = t};

    t->at = 0;
    t->limit = limit;
    run(r, workers, &how);
}

static bool same_print(const result_t *a, const result_t *b)
{
    uint32_t i = 0;

    if (a->printed != b->printed)
        return false;
    while (i < a->printed && a->print[i] == b->print[i])
        i++;
    return i == a->printed;
}

/* A replay that failed with rc, and says so with `part`. */
static void refused(const result_t *r, int rc, const char *part)
{
    gmk_test_assert(!r->ok);
    gmk_test_assert_eq(r->printed, 0);
    gmk_test_assert_eq(r->p.rc, rc);
    gmk_test_assert_named(text_has(r->p.error, part), part);
}

static const uint32_t workers[] = {1, 2, 8};

/* Tests. ------------------------------------------------------------------------------- */

/* ACC-7, DET-7: the same words as without ticks, and one hash, on 1, 2 and 8 workers. */
GMK_TEST(pipeline_ticks_give_the_same_words_and_hash_on_any_number_of_workers)
{
    uint64_t hash = 0;

    make_text();
    run(&first, 2, NULL);
    GMK_REQUIRE(first.ok);
    gmk_test_assert_gt(first.words, 1000);
    gmk_test_assert_eq(first.p.hash, 0);
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(workers); i++) {
        run_ticks(&got, workers[i]);
        GMK_REQUIRE(got.ok);
        gmk_test_assert(same_print(&got, &first));
        gmk_test_assert_eq(got.words, first.words);
        gmk_test_assert_eq(got.p.ingest.bytes, text_n);
        gmk_test_assert_gt(got.p.n_inputs, 16); /* of more than one tick */
        gmk_test_assert_ne(got.p.hash, 0);
        hash = i == 0 ? got.p.hash : hash;
        gmk_test_assert_eq(got.p.hash, hash);
    }
}

/* ACC-7, DET-7, DET-8: a recording of 2 workers replays on 1, 2 and 8 to the same words
 * and hash, without the text; to record changes nothing. */
GMK_TEST(pipeline_recording_replays_on_any_number_of_workers)
{
    make_text();
    record(&first, 2, &tape);
    GMK_REQUIRE(first.ok);
    run_ticks(&got, 3);
    gmk_test_assert_eq(got.p.hash, first.p.hash);
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(workers); i++) {
        replay(&got, workers[i], &tape, tape.n);
        GMK_REQUIRE(got.ok);
        gmk_test_assert(same_print(&got, &first));
        gmk_test_assert_eq(got.words, first.words);
        gmk_test_assert_eq(got.p.hash, first.p.hash);
        gmk_test_assert_eq(got.p.replay.hash, first.p.hash);
        gmk_test_assert_eq(got.p.n_inputs, first.p.n_inputs);
    }
}

/* DET-7, DET-4: a table that is too small keeps the words that came first, and in ticks
 * those are the same on any number of workers. */
GMK_TEST(pipeline_ticks_fill_a_small_table_with_the_same_words)
{
    make_text();
    table = 64;
    record(&first, 1, &tape);
    gmk_test_assert(first.ok);
    gmk_test_assert_gt(first.p.store.other, 0);
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(workers); i++) {
        run_ticks(&got, workers[i]);
        gmk_test_assert(got.ok && same_print(&got, &first));
        replay(&got, workers[i], &tape, tape.n);
        gmk_test_assert(got.ok && same_print(&got, &first));
        gmk_test_assert_eq(got.p.store.other, first.p.store.other);
    }
    table = 16384;
}

/* DET-7: recordings do not depend on the number of workers either, byte by byte. */
GMK_TEST(pipeline_recordings_of_any_number_of_workers_are_the_same_bytes)
{
    uint32_t same = 0;

    make_text();
    record(&first, 1, &tape);
    record(&got, 8, &other);
    GMK_REQUIRE(first.ok && got.ok);
    gmk_test_assert_eq(other.n, tape.n);
    while (same < tape.n && tape.bytes[same] == other.bytes[same])
        same++;
    gmk_test_assert_eq(same, tape.n);
}

/* DET-9: one letter of the text that is another, in the first, a middle and the last
 * message, is another hash. */
GMK_TEST(pipeline_hash_sees_one_altered_letter)
{
    uint64_t hash;

    make_text();
    run_ticks(&first, 2);
    GMK_REQUIRE(first.ok);
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t at = i * (text_n - 1) / 2;
        uint8_t was = text[at];

        text[at] = was == 'a' ? 'b' : 'a';
        run_ticks(&got, 2);
        text[at] = was;
        gmk_test_assert(got.ok);
        gmk_test_assert_ne(got.p.hash, first.p.hash);
    }
    hash = first.p.hash;
    run_ticks(&got, 2);
    gmk_test_assert_eq(got.p.hash, hash);
}

/* The records of a tape. --------------------------------------------------------------- */

typedef struct mark {
    uint32_t at, len, kind;
} mark_t;

/* Offsets and lengths of a tape's records. returns: how many. */
static uint32_t records_of(const tape_t *t, mark_t *m, uint32_t cap)
{
    gmk_record_reader_t r;
    gmk_record_t rec;
    uint32_t n = 0, at = 0;

    if (!gmk_test_assert_eq(gmk_record_open(&r, buf, sizeof(buf)), GMK_OK))
        return 0;
    while (at < t->n && n < cap) {
        size_t used = 0;
        int rc = gmk_record_feed(&r, t->bytes + at, t->n - at, &used, &rec);

        at += (uint32_t)used;
        if (rc != GMK_RECORD_READY)
            break;
        m[n].at = (uint32_t)rec.offset;
        m[n].kind = rec.kind;
        m[n++].len = at - (uint32_t)rec.offset;
    }
    gmk_test_assert_eq(at, t->n);
    return n;
}

/* The tape cut at `cut`. */
static void cut_at(uint32_t cut, uint32_t fault)
{
    replay(&got, 1 + cut % 2, &tape, cut);
    refused(&got, GMK_E_RECORD, gmk_record_fault_text(fault));
    gmk_test_assert_eq(got.p.replay.fault, fault);
    gmk_test_assert_eq(got.p.replay.offset, cut);
}

/* DET-7, R15: cut at and within the header, the first and the last input, tick and the
 * end: GMK_E_RECORD, with what is missing and where. */
GMK_TEST(pipeline_recording_cut_at_every_class_of_boundary_is_refused)
{
    mark_t m[128];
    uint32_t n, seen[GMK_RECORD_END + 1] = {0};

    make_text();
    record(&first, 2, &tape);
    GMK_REQUIRE(first.ok);
    n = records_of(&tape, m, GMK_ARRAY_LEN(m));
    GMK_REQUIRE(n > 20 && m[n - 1].kind == GMK_RECORD_END);
    cut_at(0, GMK_RECORD_TRUNCATED);
    cut_at(7, GMK_RECORD_TRUNCATED);
    cut_at(GMK_RECORD_HEADER_BYTES - 1, GMK_RECORD_TRUNCATED);
    for (uint32_t i = 0; i < n; i++) {
        bool last = true;

        for (uint32_t k = i + 1; k < n; k++)
            last = last && m[k].kind != m[i].kind;
        if (seen[m[i].kind]++ != 0 && !last)
            continue;
        cut_at(m[i].at, GMK_RECORD_NO_END);
        cut_at(m[i].at + 1, GMK_RECORD_TRUNCATED);  /* in its size */
        cut_at(m[i].at + 16, GMK_RECORD_TRUNCATED); /* after its head */
        cut_at(m[i].at + m[i].len / 2, GMK_RECORD_TRUNCATED);
        cut_at(m[i].at + m[i].len - 4, GMK_RECORD_TRUNCATED); /* before its check */
        cut_at(m[i].at + m[i].len - 1, GMK_RECORD_TRUNCATED);
    }
    for (uint32_t kind = GMK_RECORD_INPUT; kind <= GMK_RECORD_END; kind++)
        gmk_test_assert_gt(seen[kind], 0);
    replay(&got, 2, &tape, tape.n);
    gmk_test_assert(got.ok);
}

static void reseal(tape_t *t, const mark_t *m) { record_reseal(t->bytes + m->at, m->len); }

/* DET-7: another input than was recorded, in a recording that is sound for itself: the
 * replay names the tick. The text of tick 1 runs in it, and the hash before tick 2 tells;
 * that of the end tells of the last one. */
GMK_TEST(pipeline_replay_of_another_input_names_the_tick)
{
    mark_t m[128];
    uint32_t n, input = 0;

    make_text();
    record(&first, 2, &tape);
    GMK_REQUIRE(first.ok);
    n = records_of(&tape, m, GMK_ARRAY_LEN(m));
    GMK_REQUIRE(n > 20 && m[0].kind == GMK_RECORD_INPUT);
    for (uint32_t i = 0; i < n; i++)
        input = m[i].kind == GMK_RECORD_INPUT && m[i].len > 1000 ? i : input;
    tape.bytes[m[0].at + 64 + 100] ^= 1; /* its payload: the digest of the chunk is another */
    replay(&got, 2, &tape, tape.n);
    refused(&got, GMK_E_RECORD, gmk_record_fault_text(GMK_RECORD_BAD_CHECK));
    reseal(&tape, &m[0]);
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(workers); i++) {
        replay(&got, workers[i], &tape, tape.n);
        refused(&got, GMK_E_DIVERGED, "before tick 3"); /* the chunk is made in 1, runs in 2 */
        gmk_test_assert_eq(got.p.replay.tick, 3);
    }
    tape.bytes[m[0].at + 64 + 100] ^= 1;
    reseal(&tape, &m[0]);
    tape.bytes[m[0].at + 48] ^= 1; /* a number of the message itself */
    reseal(&tape, &m[0]);
    replay(&got, 2, &tape, tape.n);
    gmk_test_assert(!got.ok);
    gmk_test_assert_eq(got.p.replay.tick, 2);
    tape.bytes[m[0].at + 48] ^= 1;
    reseal(&tape, &m[0]);
    tape.bytes[m[input].at + 64] ^= 1;
    reseal(&tape, &m[input]);
    replay(&got, 2, &tape, tape.n);
    gmk_test_assert_eq(got.p.rc, GMK_E_DIVERGED);
    gmk_test_assert_gt(got.p.replay.tick, 3);
}

/* R15: other files, other programs, readers and writers that fail: each is told apart. */
GMK_TEST(pipeline_replay_says_what_is_no_recording_of_it)
{
    gmk_record_writer_t w = {.state = GMK_RECORD_IDLE};
    gmk_task_t t = {.type = 9};
    pl_tape_t how = {.write = write_tape, .arg = &tape};

    make_text();
    gmk_hal_memcpy(tape.bytes, text, 1000);
    tape.n = 1000;
    replay(&got, 2, &tape, 1000);
    refused(&got, GMK_E_RECORD, "not a recording");
    gmk_test_assert_eq(got.p.replay.fault, GMK_RECORD_BAD_MAGIC);
    replay(&got, 2, &tape, 3);
    refused(&got, GMK_E_RECORD, "not a recording");

    tape.n = 0;
    tape.limit = TAPE_MAX;
    gmk_test_assert_eq(gmk_record_begin(&w, write_tape, &tape, 0, 0), GMK_OK);
    gmk_test_assert_eq(gmk_record_input(&w, 1, "other.channel", &t, NULL), GMK_OK);
    replay(&got, 2, &tape, tape.n);
    refused(&got, GMK_E_NOT_FOUND, "another program");

    tape.n = 0;
    tape.limit = 20000; /* a full disk */
    run(&got, 2, &how);
    refused(&got, GMK_E_RECORD, gmk_record_fault_text(GMK_RECORD_WRITE_FAILED));
    record(&first, 2, &tape);
    GMK_REQUIRE(first.ok);
    tape.broken = true;
    replay(&got, 2, &tape, 20000);
    tape.broken = false;
    refused(&got, GMK_E_RECORD, gmk_record_fault_text(GMK_RECORD_READ_FAILED));
    gmk_test_assert_eq(got.p.replay.offset, 20000);
}

/* An empty text, one without a word, and one word that is longer than a message. */
GMK_TEST(pipeline_recording_of_small_texts)
{
    static const uint32_t lengths[] = {0, 3, 50000};

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(lengths); i++) {
        gmk_hal_memset(text, lengths[i] < 100 ? '.' : 'w', lengths[i]);
        text_n = lengths[i];
        run(&first, 1, NULL);
        record(&got, 2, &tape);
        GMK_REQUIRE(first.ok && got.ok);
        gmk_test_assert(same_print(&got, &first));
        gmk_test_assert_eq(got.words, i == 2);
        first.p.hash = got.p.hash;
        replay(&got, 8, &tape, tape.n);
        gmk_test_assert(got.ok);
        gmk_test_assert_eq(got.p.hash, first.p.hash);
        gmk_test_assert(same_print(&got, &first));
    }
}

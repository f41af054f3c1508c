/* SPDX-License-Identifier: MIT
 * Recordings: round trips in pieces, every truncation, every altered byte, faults of the
 * writer's function.
 * Floor: tests. Source: SPEC DET-5, DET-7, ACC-7; ARCHITECTURE R15. */
#include "ggmk/base/bits.h"
#include "ggmk/hal.h"
#include "ggmk/record.h"
#include "ggmk/test.h"

#include "bytes.h"

#define TAPE_MAX (256u << 10)

typedef struct tape {
    uint32_t len;
    uint32_t limit;   /* bytes it takes; then it refuses */
    uint32_t refused; /* calls */
    uint8_t bytes[TAPE_MAX];
} tape_t;

static tape_t tape, copy;
GMK_ALIGNAS(16) static uint8_t buf[GMK_RECORD_MAX_BYTES];
static uint8_t payload[GMK_PAYLOAD_MAX];

static int tape_write(void *arg, const void *bytes, size_t n)
{
    tape_t *t = arg;

    if (t->len + n > t->limit) {
        t->refused++;
        return -1;
    }
    gmk_hal_memcpy(t->bytes + t->len, bytes, n);
    t->len += (uint32_t)n;
    return 0;
}

static void tape_clear(uint32_t limit)
{
    tape.len = 0;
    tape.limit = limit;
    tape.refused = 0;
    for (uint32_t i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)(i * 31 + (i >> 8));
}

static gmk_task_t input(uint32_t i)
{
    return (gmk_task_t){.type = 1 + i % 255,
                        .flags = GMK_TF_DETERMINISTIC | 2,
                        .tenant = (uint16_t)(i % GMK_MAX_TENANTS),
                        .meta0 = 0x0123456789abcdefull + i,
                        .meta1 = ~(uint64_t)i};
}

static const char long_name[GMK_MAX_CHAN_NAME] =
    "a.channel.whose.name.is.as.long.as.a.name.of.a.channel.can.be..";

/* A small recording: a header, five inputs, two ticks, the end. Its length, 0: failed. */
static uint32_t record_small(void)
{
    gmk_record_writer_t w = {.state = GMK_RECORD_IDLE};
    uint32_t bad = 0;
    gmk_task_t t;

    tape_clear(TAPE_MAX);
    bad += gmk_record_begin(&w, tape_write, &tape, 7, 1000) != GMK_OK;
    t = input(0);
    bad += gmk_record_input(&w, 8, NULL, &t, NULL) != GMK_OK;
    t = input(1);
    t.payload_len = 5;
    t.flags |= GMK_TF_PAYLOAD_RC;
    t.payload_ptr = 0xdeadbeef;
    bad += gmk_record_input(&w, 9, "a", &t, payload) != GMK_OK;
    bad += gmk_record_tick(&w, 8, 0x1111222233334444ull) != GMK_OK;
    t = input(2);
    t.payload_len = 16;
    t.flags |= GMK_TF_CHANNEL_MSG | GMK_TF_BOUND;
    t.seq = 5;
    t.channel = 6;
    bad += gmk_record_input(&w, 9, "data.parsed", &t, payload) != GMK_OK;
    t = input(3);
    bad += gmk_record_input(&w, 4000000000000ull, long_name, &t, NULL) != GMK_OK;
    t = input(4);
    t.payload_len = 3;
    bad += gmk_record_input(&w, 9, "", &t, payload) != GMK_OK;
    bad += gmk_record_tick(&w, 9, 5) != GMK_OK;
    bad += gmk_record_end(&w, 0xfeedfacecafebeefull) != GMK_OK;
    gmk_test_assert_eq(w.state, GMK_RECORD_ENDED);
    gmk_test_assert_eq(w.n_inputs, 5);
    gmk_test_assert_eq(w.bytes, tape.len);
    gmk_test_assert_eq(bad, 0);
    return bad == 0 ? tape.len : 0;
}

/* One record of record_small, by number. returns: how much of it is wrong. */
static uint32_t wrong_in_small(uint32_t i, const gmk_record_t *r)
{
    static const struct {
        uint32_t kind, input, len;
        uint64_t tick, hash;
        const char *name;
    } want[] = {{GMK_RECORD_INPUT, 0, 0, 8, 0, ""},
                {GMK_RECORD_INPUT, 1, 5, 9, 0, "a"},
                {GMK_RECORD_TICK, 0, 0, 8, 0x1111222233334444ull, ""},
                {GMK_RECORD_INPUT, 2, 16, 9, 0, "data.parsed"},
                {GMK_RECORD_INPUT, 3, 0, 4000000000000ull, 0, long_name},
                {GMK_RECORD_INPUT, 4, 3, 9, 0, ""},
                {GMK_RECORD_TICK, 0, 0, 9, 5, ""},
                {GMK_RECORD_END, 0, 0, 9, 0xfeedfacecafebeefull, ""}};
    gmk_task_t t = input(want[i % 8].input);
    uint32_t bad = i >= 8, k;

    i %= 8;
    for (k = 0; k < GMK_MAX_CHAN_NAME && want[i].name[k] != '\0'; k++)
        bad += r->channel[k] != want[i].name[k];
    bad += r->channel[k] != '\0';
    bad += r->kind != want[i].kind || r->tick != want[i].tick || r->hash != want[i].hash;
    bad += r->n_inputs != (r->kind == GMK_RECORD_END ? 5 : 0);
    bad += r->task.payload_len != want[i].len || (r->payload == NULL) != (want[i].len == 0);
    for (k = 0; k < want[i].len; k++)
        bad += ((const uint8_t *)r->payload)[k] != payload[k];
    if (r->kind != GMK_RECORD_INPUT)
        return bad;
    if (want[i].input == 1)
        t.flags |= GMK_TF_PAYLOAD_RC;
    bad += r->task.type != t.type || r->task.flags != t.flags || r->task.tenant != t.tenant;
    bad += r->task.meta0 != t.meta0 || r->task.meta1 != t.meta1;
    return bad + (r->task.channel != 0 || r->task.seq != 0 || r->task.payload_ptr != 0);
}

/* What was read: how many records, and what was wrong with them as those of record_small. */
typedef struct heard {
    uint32_t records, bad;
} heard_t;

/* Reads n bytes in pieces of `piece` (0: of lengths by chance). *h: what it heard, or null.
 * returns: what finish, or the failing feed, returned. */
static int read_all(gmk_record_reader_t *r, const uint8_t *p, uint32_t n, uint32_t piece,
                    heard_t *h)
{
    gmk_record_t rec;
    uint64_t rand = gmk_test_seed() + n;
    uint32_t at = 0, k = 0, steps = 0;
    size_t used;

    if (h != NULL)
        *h = (heard_t){.records = 0};
    while (at < n) {
        int rc;

        if (k == 0)
            k = piece != 0 ? piece : 1 + (uint32_t)(gmk_rand_next(&rand) >> 32) % 200;
        if (k > n - at)
            k = n - at;
        rc = gmk_record_feed(r, p + at, k, &used, &rec);
        at += (uint32_t)used;
        k -= (uint32_t)used;
        if (rc < 0)
            return rc;
        if (rc == GMK_RECORD_READY && h != NULL)
            h->bad += wrong_in_small(h->records++, &rec);
        if (!gmk_test_assert_le(++steps, 2 * TAPE_MAX))
            return GMK_E_INVALID; /* it takes nothing and says nothing */
    }
    return gmk_record_finish(r);
}

/* ACC-7: what was written is read, in pieces of any length. */
GMK_TEST(record_round_trip_in_any_pieces)
{
    static const uint32_t pieces[] = {1, 2, 3, 7, 16, 63, 64, 65, 1000, TAPE_MAX, 0};
    uint32_t n = record_small();
    gmk_record_reader_t r;
    heard_t h;

    GMK_REQUIRE(n != 0);
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(pieces); i++) {
        GMK_REQUIRE(gmk_record_open(&r, buf, GMK_RECORD_MIN_BYTES * 2) == GMK_OK);
        gmk_test_assert_eq(read_all(&r, tape.bytes, n, pieces[i], &h), GMK_OK);
        gmk_test_assert_eq(h.records, 8);
        gmk_test_assert_eq(h.bad, 0);
        gmk_test_assert_eq(r.start_tick, 7);
        gmk_test_assert_eq(r.start_seq, 1000);
        gmk_test_assert_eq(r.fault, GMK_RECORD_SOUND);
    }
}

/* The longest payload and name fit the buffer that the header promises. */
GMK_TEST(record_round_trip_of_the_longest_record)
{
    gmk_record_writer_t w = {.state = GMK_RECORD_IDLE};
    gmk_task_t t = input(9);
    gmk_record_reader_t r;
    gmk_record_t rec;
    size_t used;
    uint32_t bad = 0;

    tape_clear(TAPE_MAX);
    t.payload_len = GMK_PAYLOAD_MAX;
    gmk_test_assert_eq(gmk_record_begin(&w, tape_write, &tape, 0, 0), GMK_OK);
    gmk_test_assert_eq(gmk_record_input(&w, 1, long_name, &t, payload), GMK_OK);
    GMK_REQUIRE(gmk_record_open(&r, buf, sizeof(buf)) == GMK_OK);
    GMK_REQUIRE(gmk_record_feed(&r, tape.bytes, tape.len, &used, &rec) == GMK_RECORD_READY);
    gmk_test_assert_eq(used, tape.len);
    gmk_test_assert_eq((uintptr_t)rec.payload % 16, 0);
    for (uint32_t i = 0; i < GMK_PAYLOAD_MAX; i++)
        bad += ((const uint8_t *)rec.payload)[i] != payload[i];
    gmk_test_assert_eq(bad, 0);
    gmk_test_assert_str_eq(rec.channel, long_name);
    gmk_test_assert_eq(gmk_record_finish(&r), GMK_E_RECORD);
    gmk_test_assert_eq(r.fault, GMK_RECORD_NO_END);
    /* A smaller buffer says so, where the record begins. */
    GMK_REQUIRE(gmk_record_open(&r, buf, 1024) == GMK_OK);
    gmk_test_assert_eq(gmk_record_feed(&r, tape.bytes, tape.len, &used, &rec), GMK_E_RECORD);
    gmk_test_assert_eq(r.fault, GMK_RECORD_NO_ROOM);
    gmk_test_assert_eq(r.fault_at, GMK_RECORD_HEADER_BYTES);
}

/* Every place where a file can stop short. */
GMK_TEST(record_truncated_anywhere_is_named)
{
    uint32_t n = record_small(), bad = 0;
    uint32_t ends[9] = {0}, n_ends = 0;
    gmk_record_reader_t r;
    gmk_record_t rec;
    size_t used;

    GMK_REQUIRE(n != 0);
    GMK_REQUIRE(gmk_record_open(&r, buf, sizeof(buf)) == GMK_OK);
    ends[n_ends++] = GMK_RECORD_HEADER_BYTES;
    for (uint32_t at = 0; at < n && n_ends < 9; at += (uint32_t)used)
        if (gmk_record_feed(&r, tape.bytes + at, n - at, &used, &rec) == GMK_RECORD_READY)
            ends[n_ends++] = at + (uint32_t)used;
    gmk_test_assert_eq(n_ends, 9);
    gmk_test_assert_eq(ends[8], n);
    for (uint32_t cut = 0; cut < n; cut++) {
        bool between = false;

        for (uint32_t i = 0; i < 8; i++)
            between = between || ends[i] == cut;
        GMK_REQUIRE(gmk_record_open(&r, buf, sizeof(buf)) == GMK_OK);
        bad += read_all(&r, tape.bytes, cut, 13, NULL) != GMK_E_RECORD;
        bad += r.fault != (between ? GMK_RECORD_NO_END : GMK_RECORD_TRUNCATED);
        bad += r.fault_at != cut;
    }
    gmk_test_assert_eq(bad, 0);
}

/* Too short for the magic, and other bytes: no recording, rather than one that was cut. */
GMK_TEST(record_short_file_of_other_bytes_is_no_recording)
{
    static const uint8_t other[] = "GMKx";
    gmk_record_reader_t r;

    GMK_REQUIRE(gmk_record_open(&r, buf, sizeof(buf)) == GMK_OK);
    gmk_test_assert_eq(read_all(&r, other, 4, 1, NULL), GMK_E_RECORD);
    gmk_test_assert_eq(r.fault, GMK_RECORD_BAD_MAGIC);
    gmk_test_assert_eq(r.fault_at, 3);
    GMK_REQUIRE(gmk_record_open(&r, buf, sizeof(buf)) == GMK_OK);
    gmk_test_assert_eq(read_all(&r, other, 3, 1, NULL), GMK_E_RECORD);
    gmk_test_assert_eq(r.fault, GMK_RECORD_TRUNCATED);
}

/* Each byte set to each other value: never taken for sound, whatever the pieces. */
GMK_TEST(record_altered_byte_is_always_found)
{
    uint32_t n = record_small(), missed = 0, odd = 0;
    uint32_t step = (uint32_t)gmk_test_scale(1, 37);
    gmk_record_reader_t r;

    GMK_REQUIRE(n != 0);
    gmk_hal_memcpy(copy.bytes, tape.bytes, n);
    for (uint32_t at = 0; at < n; at++)
        for (uint32_t x = 1; x < 256; x += step) {
            copy.bytes[at] = tape.bytes[at] ^ (uint8_t)x;
            GMK_REQUIRE(gmk_record_open(&r, buf, sizeof(buf)) == GMK_OK);
            missed += read_all(&r, copy.bytes, n, x % 2 != 0 ? TAPE_MAX : 17, NULL) != GMK_E_RECORD;
            odd += r.fault == GMK_RECORD_SOUND || r.fault_at > n;
            copy.bytes[at] = tape.bytes[at];
        }
    gmk_test_assert_eq(missed, 0);
    gmk_test_assert_eq(odd, 0);
}

/* Noise, and sound records with noise in them: an answer, and no byte out of bounds
 * (the sanitizers watch). */
GMK_TEST(record_noise_is_refused)
{
    uint64_t rand = gmk_test_seed();
    uint32_t n = record_small(), taken = 0;
    uint32_t rounds = (uint32_t)gmk_test_scale(20000, 500);
    gmk_record_reader_t r;

    GMK_REQUIRE(n != 0);
    for (uint32_t i = 0; i < rounds; i++) {
        uint32_t from = i % 3 == 0 ? 0 : (uint32_t)(gmk_rand_next(&rand) >> 32) % n;
        uint32_t len = 1 + (uint32_t)(gmk_rand_next(&rand) >> 32) % 64;

        gmk_hal_memcpy(copy.bytes, tape.bytes, n);
        for (uint32_t k = from; k < n && k < from + len; k++)
            copy.bytes[k] = (uint8_t)(gmk_rand_next(&rand) >> 40);
        copy.bytes[from] = (uint8_t)~tape.bytes[from];
        GMK_REQUIRE(gmk_record_open(&r, buf, GMK_RECORD_MIN_BYTES) == GMK_OK);
        taken += read_all(&r, copy.bytes, n, 0, NULL) == GMK_OK;
    }
    gmk_test_assert_eq(taken, 0);
}

/* Each field out of range, with a right check: its own fault, at its own offset. */
GMK_TEST(record_field_out_of_range_has_its_own_fault)
{
    static const struct {
        uint32_t begin, size; /* the record that is altered */
        uint32_t at, fault, fault_at;
        uint8_t value;
    } cases[] = {
        {0, 40, 0, GMK_RECORD_BAD_MAGIC, 0, 'g'},
        {0, 40, 7, GMK_RECORD_BAD_MAGIC, 7, '\r'},
        {0, 40, 8, GMK_RECORD_BAD_ENDIAN, 8, 1},
        {0, 40, 12, GMK_RECORD_BAD_VERSION, 12, 2},
        {0, 40, 14, GMK_RECORD_BAD_HEADER, 14, 41},
        {0, 40, 33, GMK_RECORD_BAD_HEADER, 32, 1},
        {40, 68, 40, GMK_RECORD_BAD_SIZE, 40, 72},
        {40, 68, 40, GMK_RECORD_BAD_SIZE, 40, 64},
        {40, 68, 43, GMK_RECORD_BAD_SIZE, 40, 255},
        {40, 68, 44, GMK_RECORD_BAD_KIND, 44, 4},
        {40, 68, 44, GMK_RECORD_BAD_KIND, 44, 0},
        {40, 68, 44, GMK_RECORD_BAD_SIZE, 40, GMK_RECORD_TICK},
        {40, 68, 45, GMK_RECORD_BAD_NAME, 45, GMK_MAX_CHAN_NAME},
        {40, 68, 45, GMK_RECORD_BAD_SIZE, 40, 1},
        {40, 68, 46, GMK_RECORD_BAD_RESERVED, 46, 1},
        {40, 68, 48, GMK_RECORD_BAD_TICK, 48, 7},
        {40, 68, 56, GMK_RECORD_BAD_TASK, 56, 0},
        {40, 68, 57, GMK_RECORD_BAD_TASK, 56, 1},
        {40, 68, 60, GMK_RECORD_BAD_TASK, 60, GMK_TF_CHANNEL_MSG},
        {40, 68, 61, GMK_RECORD_BAD_TASK, 60, GMK_TF_BOUND >> 8},
        {40, 68, 63, GMK_RECORD_BAD_TASK, 62, 1},
        {40, 68, 64, GMK_RECORD_BAD_TASK, 64, 1},
        {40, 68, 71, GMK_RECORD_BAD_TASK, 64, 1},
        {40, 68, 79, GMK_RECORD_BAD_TASK, 64, 1},
        {40, 68, 82, GMK_RECORD_BAD_PAYLOAD, 80, 1},
        {40, 68, 84, GMK_RECORD_BAD_TASK, 84, 1},
        {40, 68, 88, GMK_RECORD_SOUND, 0, 1}, /* meta0 may be anything */
        {108, 76, 177, GMK_RECORD_BAD_NAME, 177, 0},
        {108, 76, 179, GMK_RECORD_BAD_RESERVED, 179, 1},
        {184, 28, 192, GMK_RECORD_BAD_TICK, 192, 7},
        {184, 28, 200, GMK_RECORD_SOUND, 0, 9}, /* a hash may be anything */
    };
    uint32_t n = record_small();
    gmk_record_reader_t r;

    GMK_REQUIRE(n != 0);
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(cases); i++) {
        gmk_hal_memcpy(copy.bytes, tape.bytes, n);
        copy.bytes[cases[i].at] = cases[i].value;
        record_reseal(copy.bytes + cases[i].begin, cases[i].size);
        GMK_REQUIRE(gmk_record_open(&r, buf, sizeof(buf)) == GMK_OK);
        gmk_test_assert_eq(read_all(&r, copy.bytes, n, 0, NULL),
                           cases[i].fault != GMK_RECORD_SOUND ? GMK_E_RECORD : GMK_OK);
        gmk_test_assert_eq(r.fault, cases[i].fault);
        gmk_test_assert_eq(r.fault_at, cases[i].fault_at);
    }
}

/* Found by fuzzing: a number in the header that no kernel can count on from ended the replay
 * by an assertion, and a last tick at the end of the circle let it go round. */
GMK_TEST(record_number_at_the_limit_is_refused)
{
    static const struct {
        uint32_t begin, size, at, fault, fault_at;
    } cases[] = {{0, 40, 22, GMK_RECORD_BAD_HEADER, 16},
                 {0, 40, 30, GMK_RECORD_BAD_HEADER, 24},
                 {40, 68, 54, GMK_RECORD_BAD_TICK, 48},
                 {184, 28, 198, GMK_RECORD_BAD_TICK, 192}};
    uint32_t n = record_small();
    gmk_record_writer_t w = {.state = GMK_RECORD_IDLE};
    gmk_record_reader_t r;
    gmk_task_t t = input(0);

    GMK_REQUIRE(n != 0);
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(cases); i++) {
        gmk_hal_memcpy(copy.bytes, tape.bytes, n);
        copy.bytes[cases[i].at] = 0x20; /* bit 53 of the number */
        record_reseal(copy.bytes + cases[i].begin, cases[i].size);
        GMK_REQUIRE(gmk_record_open(&r, buf, sizeof(buf)) == GMK_OK);
        gmk_test_assert_eq(read_all(&r, copy.bytes, n, 0, NULL), GMK_E_RECORD);
        gmk_test_assert_eq(r.fault, cases[i].fault);
        gmk_test_assert_eq(r.fault_at, cases[i].fault_at);
    }
    gmk_test_assert_eq(gmk_record_begin(&w, tape_write, &tape, GMK_RECORD_LIMIT, 0), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_record_begin(&w, tape_write, &tape, 0, GMK_RECORD_LIMIT), GMK_E_INVALID);
    tape_clear(TAPE_MAX);
    gmk_test_assert_eq(
        gmk_record_begin(&w, tape_write, &tape, GMK_RECORD_LIMIT - 2, GMK_RECORD_LIMIT - 1),
        GMK_OK);
    gmk_test_assert_eq(gmk_record_tick(&w, GMK_RECORD_LIMIT - 1, 0), GMK_OK);
    gmk_test_assert_eq(gmk_record_input(&w, GMK_RECORD_LIMIT, NULL, &t, NULL), GMK_E_RECORD);
    gmk_test_assert_eq(w.fault, GMK_RECORD_BAD_INPUT);
}

/* The end: another count, another tick; then a byte after it. */
GMK_TEST(record_end_that_differs_has_its_own_fault)
{
    uint32_t n = record_small(), end = n - 36;
    gmk_record_reader_t r;
    heard_t h;

    GMK_REQUIRE(n != 0);
    gmk_hal_memcpy(copy.bytes, tape.bytes, n);
    copy.bytes[end + 24] = 6;
    record_reseal(copy.bytes + end, 36);
    GMK_REQUIRE(gmk_record_open(&r, buf, sizeof(buf)) == GMK_OK);
    gmk_test_assert_eq(read_all(&r, copy.bytes, n, 0, NULL), GMK_E_RECORD);
    gmk_test_assert_eq(r.fault, GMK_RECORD_BAD_COUNT);
    gmk_test_assert_eq(r.fault_at, end + 24);
    gmk_hal_memcpy(copy.bytes, tape.bytes, n);
    copy.bytes[end + 8] = 10;
    record_reseal(copy.bytes + end, 36);
    GMK_REQUIRE(gmk_record_open(&r, buf, sizeof(buf)) == GMK_OK);
    gmk_test_assert_eq(read_all(&r, copy.bytes, n, 0, NULL), GMK_E_RECORD);
    gmk_test_assert_eq(r.fault, GMK_RECORD_BAD_TICK);
    gmk_hal_memcpy(copy.bytes, tape.bytes, n);
    copy.bytes[n] = 0;
    GMK_REQUIRE(gmk_record_open(&r, buf, sizeof(buf)) == GMK_OK);
    gmk_test_assert_eq(read_all(&r, copy.bytes, n + 1, 0, &h), GMK_E_RECORD);
    gmk_test_assert_eq(r.fault, GMK_RECORD_TRAILING);
    gmk_test_assert_eq(r.fault_at, n);
    gmk_test_assert_eq(h.records, 8);
}

/* Wherever the writer's function refuses: reported at once, counted, and over. */
GMK_TEST(record_failed_write_stops_the_recording)
{
    uint32_t n = record_small(), bad = 0;
    gmk_record_reader_t r;

    GMK_REQUIRE(n != 0);
    for (uint32_t limit = 0; limit < n; limit++) {
        gmk_record_writer_t w = {.state = GMK_RECORD_IDLE};
        gmk_task_t t = input(1);
        uint32_t failures = 0;

        tape_clear(limit);
        t.payload_len = 30;
        failures += gmk_record_begin(&w, tape_write, &tape, 7, 1000) != GMK_OK;
        for (uint32_t i = 0; i < 8; i++)
            failures += gmk_record_input(&w, 20, "some.channel", &t, payload) != GMK_OK;
        failures += gmk_record_tick(&w, 8, 1) != GMK_OK;
        failures += gmk_record_end(&w, 1) != GMK_OK;
        bad += failures == 0 || w.state != GMK_RECORD_FAILED;
        bad += w.fault != GMK_RECORD_WRITE_FAILED || w.lost != failures;
        bad += tape.refused != 1; /* it is not asked again */
        bad += w.bytes != tape.len;
        /* What is there is a truncated recording, not a wrong one. */
        GMK_REQUIRE(gmk_record_open(&r, buf, sizeof(buf)) == GMK_OK);
        bad += read_all(&r, tape.bytes, tape.len, 0, NULL) != GMK_E_RECORD;
        bad += r.fault != GMK_RECORD_TRUNCATED && r.fault != GMK_RECORD_NO_END;
        /* And a new one may begin. */
        tape_clear(TAPE_MAX);
        bad += gmk_record_begin(&w, tape_write, &tape, 0, 0) != GMK_OK || w.lost != 0;
    }
    gmk_test_assert_eq(bad, 0);
}

/* Input that no record can hold ends it: a recording with a hole would replay wrongly. */
GMK_TEST(record_impossible_input_stops_the_recording)
{
    static const char too_long[GMK_MAX_CHAN_NAME + 1] =
        "a.channel.whose.name.is.longer.than.the.name.of.a.channel.can.be";

    for (uint32_t i = 0; i < 9; i++) {
        gmk_record_writer_t w = {.state = GMK_RECORD_IDLE};
        gmk_task_t t = input(1);
        int rc;

        tape_clear(TAPE_MAX);
        gmk_test_assert_eq(gmk_record_begin(&w, tape_write, &tape, 7, 0), GMK_OK);
        t.type = i == 0 ? 0 : i == 1 ? 256 : 1;
        t.tenant = i == 2 ? GMK_MAX_TENANTS : 0;
        t.payload_len = i == 3 ? GMK_PAYLOAD_MAX + 1 : i == 4 ? 1 : 0;
        if (i == 8)
            rc = gmk_record_tick(&w, 7, 0);
        else
            rc = gmk_record_input(&w, i == 5 ? 7 : 8, i == 6 ? too_long : "a", i == 7 ? NULL : &t,
                                  i == 4 ? NULL : payload);
        gmk_test_assert_eq(rc, GMK_E_RECORD);
        gmk_test_assert_eq(w.state, GMK_RECORD_FAILED);
        gmk_test_assert_eq(w.fault, GMK_RECORD_BAD_INPUT);
        gmk_test_assert_eq(w.lost, 1);
        gmk_test_assert_eq(tape.len, GMK_RECORD_HEADER_BYTES);
        gmk_test_assert_eq(gmk_record_end(&w, 0), GMK_E_RECORD);
        gmk_test_assert_eq(w.lost, 2);
    }
}

/* Wrong arguments and calls out of turn. */
GMK_TEST(record_calls_out_of_turn_are_refused)
{
    gmk_record_writer_t w = {.state = GMK_RECORD_IDLE};
    gmk_record_reader_t r;
    gmk_record_t rec;
    gmk_task_t t = input(1);
    size_t used;

    tape_clear(TAPE_MAX);
    gmk_test_assert_eq(gmk_record_begin(NULL, tape_write, &tape, 0, 0), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_record_begin(&w, NULL, &tape, 0, 0), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_record_input(&w, 1, NULL, &t, NULL), GMK_E_NOT_FOUND);
    gmk_test_assert_eq(gmk_record_input(NULL, 1, NULL, &t, NULL), GMK_E_NOT_FOUND);
    gmk_test_assert_eq(gmk_record_tick(&w, 1, 0), GMK_E_NOT_FOUND);
    gmk_test_assert_eq(gmk_record_end(&w, 0), GMK_E_NOT_FOUND);
    gmk_test_assert_eq(gmk_record_begin(&w, tape_write, &tape, 0, 0), GMK_OK);
    gmk_test_assert_eq(gmk_record_begin(&w, tape_write, &tape, 0, 0), GMK_E_BUSY);
    gmk_test_assert_eq(gmk_record_end(&w, 0), GMK_OK);
    gmk_test_assert_eq(gmk_record_end(&w, 0), GMK_E_NOT_FOUND);
    gmk_test_assert_eq(gmk_record_open(NULL, buf, sizeof(buf)), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_record_open(&r, NULL, sizeof(buf)), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_record_open(&r, buf + 8, 1024), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_record_open(&r, buf, GMK_RECORD_MIN_BYTES - 1), GMK_E_INVALID);
    GMK_REQUIRE(gmk_record_open(&r, buf, GMK_RECORD_MIN_BYTES) == GMK_OK);
    gmk_test_assert_eq(gmk_record_feed(&r, NULL, 0, &used, &rec), GMK_RECORD_MORE);
    gmk_test_assert_eq(gmk_record_feed(&r, NULL, 1, &used, &rec), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_record_feed(&r, buf, 1, NULL, &rec), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_record_feed(&r, buf, 1, &used, NULL), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_record_feed(NULL, buf, 1, &used, &rec), GMK_E_INVALID);
    gmk_test_assert_eq(gmk_record_finish(NULL), GMK_E_INVALID);
    /* A fault stays. */
    gmk_test_assert_eq(gmk_record_feed(&r, "GMKREC??", 8, &used, &rec), GMK_E_RECORD);
    gmk_test_assert_eq(r.fault_at, 6);
    gmk_test_assert_eq(gmk_record_feed(&r, tape.bytes, tape.len, &used, &rec), GMK_E_RECORD);
    gmk_test_assert_eq(used, 0);
    gmk_test_assert_eq(gmk_record_finish(&r), GMK_E_RECORD);
    gmk_test_assert_eq(r.fault, GMK_RECORD_BAD_MAGIC);
}

/* R11: every fault has a text of its own. */
GMK_TEST(record_fault_texts_differ)
{
    const char *unknown = gmk_record_fault_text(GMK_RECORD_FAULTS);

    gmk_test_assert_str_eq(unknown, "unknown fault");
    gmk_test_assert_str_eq(gmk_record_fault_text(UINT32_MAX), unknown);
    for (uint32_t i = 0; i < GMK_RECORD_FAULTS; i++)
        for (uint32_t j = 0; j <= i; j++) {
            const char *a = gmk_record_fault_text(i), *b = gmk_record_fault_text(j);

            while (*a != '\0' && *a == *b)
                a++, b++;
            gmk_test_assert_eq(*a == *b, i == j);
        }
    gmk_test_assert_str_eq(gmk_strerror(GMK_E_RECORD),
                           "a recording is damaged, or could not be written: see its fault");
}

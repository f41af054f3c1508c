/* SPDX-License-Identifier: MIT
 * Recordings: the writer, and the reader that takes bytes in any pieces.
 * Floor: F4, but stands on public headers alone. Numbers are moved byte by byte, so the
 * machine's order and alignment do not matter; every byte is either checked for its value
 * or covered by a check, or both.
 * Source: ggmk/record.h has the format; SPEC DET-5, DET-7; ARCHITECTURE R15. */
#include "ggmk/record.h"

#include "ggmk/base/bits.h"
#include "ggmk/hal.h"

#define HEAD_BYTES 16u  /* of every record */
#define INPUT_BYTES 64u /* head and task */
#define CHECK_BYTES 4u
#define TICK_SIZE (HEAD_BYTES + 8 + CHECK_BYTES)
#define END_SIZE (HEAD_BYTES + 16 + CHECK_BYTES)
#define ENDIAN_MARK 0x01020304u
#define CHECK_SEED 0x811c9dc5u
#define CHECK_PRIME 0x01000193u
#define TYPE_MAX 255u

/* A carriage return and a line feed: a transfer that takes it for text shows. */
static const uint8_t magic[8] = {'G', 'M', 'K', 'R', 'E', 'C', '\r', '\n'};

static const char *const texts[] = {
#define X(name, number, text) [number] = text,
#include "ggmk/record_faults.def"
#undef X
};

const char *gmk_record_fault_text(uint32_t fault)
{
    return fault < GMK_ARRAY_LEN(texts) ? texts[fault] : "unknown fault";
}

static uint32_t check_of(uint32_t h, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * CHECK_PRIME;
    return h;
}

static void put(uint8_t *p, uint64_t v, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t get(const uint8_t *p, uint32_t bytes)
{
    uint64_t v = 0;

    for (uint32_t i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

/* The size of an input record. */
static uint32_t input_size(uint32_t payload_len, uint32_t name_len)
{
    return (uint32_t)gmk_align_up(INPUT_BYTES + payload_len + name_len, 4) + CHECK_BYTES;
}

/* Writer. ----------------------------------------------------------------------- */

static int fail(gmk_record_writer_t *w, uint32_t fault)
{
    w->state = GMK_RECORD_FAILED;
    w->fault = fault;
    w->lost++;
    return GMK_E_RECORD;
}

/* What to do with a record before it is written: GMK_OK: write it. */
static int admit(gmk_record_writer_t *w)
{
    if (w == NULL || w->state == GMK_RECORD_IDLE || w->state == GMK_RECORD_ENDED)
        return GMK_E_NOT_FOUND;
    if (w->state == GMK_RECORD_FAILED) {
        w->lost++;
        return GMK_E_RECORD;
    }
    w->check = CHECK_SEED;
    return GMK_OK;
}

static bool give(gmk_record_writer_t *w, const void *bytes, uint32_t n)
{
    if (n == 0)
        return true;
    w->check = check_of(w->check, bytes, n);
    if (w->fn(w->arg, bytes, n) != 0)
        return false;
    w->bytes += n;
    return true;
}

/* The check of what has been given since admit. */
static int seal(gmk_record_writer_t *w, bool ok)
{
    uint8_t end[CHECK_BYTES];

    put(end, w->check, CHECK_BYTES);
    return ok && give(w, end, CHECK_BYTES) ? GMK_OK : fail(w, GMK_RECORD_WRITE_FAILED);
}

static void put_head(uint8_t *p, uint32_t size, uint32_t kind, uint32_t name_len, uint64_t tick)
{
    put(p, size, 4);
    put(p + 4, kind, 1);
    put(p + 5, name_len, 1);
    put(p + 6, 0, 2);
    put(p + 8, tick, 8);
}

int gmk_record_begin(gmk_record_writer_t *w, gmk_record_write_fn fn, void *arg, uint64_t tick,
                     uint64_t seq)
{
    uint8_t h[GMK_RECORD_HEADER_BYTES - CHECK_BYTES] = {0};

    if (w == NULL || fn == NULL || tick >= GMK_RECORD_LIMIT || seq >= GMK_RECORD_LIMIT)
        return GMK_E_INVALID;
    if (w->state == GMK_RECORD_ON)
        return GMK_E_BUSY;
    *w = (gmk_record_writer_t){.fn = fn, .arg = arg, .state = GMK_RECORD_ON, .tick = tick};
    w->check = CHECK_SEED;
    gmk_hal_memcpy(h, magic, sizeof(magic));
    put(h + 8, ENDIAN_MARK, 4);
    put(h + 12, GMK_RECORD_VERSION, 2);
    put(h + 14, GMK_RECORD_HEADER_BYTES, 2);
    put(h + 16, tick, 8);
    put(h + 24, seq, 8);
    return seal(w, give(w, h, sizeof(h)));
}

static uint32_t name_length(const char *name)
{
    uint32_t n = 0;

    while (name != NULL && n < GMK_MAX_CHAN_NAME && name[n] != '\0')
        n++;
    return n;
}

/* A record can hold it. */
static bool holds(const gmk_record_writer_t *w, uint64_t tick, const gmk_task_t *t,
                  const void *payload)
{
    return t != NULL && tick > w->tick && tick < GMK_RECORD_LIMIT && t->type != 0 &&
           t->type <= TYPE_MAX && t->tenant < GMK_MAX_TENANTS &&
           t->payload_len <= GMK_PAYLOAD_MAX && (payload != NULL || t->payload_len == 0);
}

int gmk_record_input(gmk_record_writer_t *w, uint64_t tick, const char *channel,
                     const gmk_task_t *t, const void *payload)
{
    static const uint8_t zeros[4];
    uint8_t p[INPUT_BYTES] = {0};
    uint32_t name_len = name_length(channel);
    uint32_t size;
    int rc = admit(w);

    if (rc != GMK_OK)
        return rc;
    if (!holds(w, tick, t, payload) || name_len >= GMK_MAX_CHAN_NAME)
        return fail(w, GMK_RECORD_BAD_INPUT);
    size = input_size(t->payload_len, name_len);
    put_head(p, size, GMK_RECORD_INPUT, name_len, tick);
    put(p + 16, t->type, 4);
    put(p + 20, t->flags & ~(GMK_TF_RUNTIME_MASK | GMK_TF_CHANNEL_MSG), 2);
    put(p + 22, t->tenant, 2);
    put(p + 40, t->payload_len, 4);
    put(p + 48, t->meta0, 8);
    put(p + 56, t->meta1, 8);
    rc = seal(w, give(w, p, INPUT_BYTES) && give(w, payload, t->payload_len) &&
                     give(w, channel, name_len) &&
                     give(w, zeros, size - CHECK_BYTES - INPUT_BYTES - t->payload_len - name_len));
    if (rc == GMK_OK)
        w->n_inputs++;
    return rc;
}

int gmk_record_tick(gmk_record_writer_t *w, uint64_t tick, uint64_t hash)
{
    uint8_t p[TICK_SIZE - CHECK_BYTES];
    int rc = admit(w);

    if (rc != GMK_OK)
        return rc;
    if (tick <= w->tick || tick >= GMK_RECORD_LIMIT)
        return fail(w, GMK_RECORD_BAD_INPUT);
    w->tick = tick;
    put_head(p, TICK_SIZE, GMK_RECORD_TICK, 0, tick);
    put(p + 16, hash, 8);
    return seal(w, give(w, p, sizeof(p)));
}

int gmk_record_end(gmk_record_writer_t *w, uint64_t hash)
{
    uint8_t p[END_SIZE - CHECK_BYTES];
    int rc = admit(w);

    if (rc != GMK_OK)
        return rc;
    put_head(p, END_SIZE, GMK_RECORD_END, 0, w->tick);
    put(p + 16, hash, 8);
    put(p + 24, w->n_inputs, 8);
    rc = seal(w, give(w, p, sizeof(p)));
    if (rc == GMK_OK)
        w->state = GMK_RECORD_ENDED;
    return rc;
}

/* Reader. ----------------------------------------------------------------------- */
/* It gathers `need` bytes, then looks at them: that either asks for more of the same
 * record, ends it, or finds a fault. */

enum { AT_MAGIC, AT_HEADER, AT_HEAD, AT_INPUT, AT_BODY, AT_END };

static int wrong(gmk_record_reader_t *r, uint32_t fault, uint32_t at)
{
    r->fault = fault;
    r->fault_at = r->offset + at;
    return GMK_E_RECORD;
}

/* Goes on to gather until `need` bytes, then to look at `stage`. */
static int want(gmk_record_reader_t *r, uint32_t stage, uint32_t need)
{
    r->stage = stage;
    r->need = need;
    return GMK_RECORD_MORE;
}

/* What was gathered is done with. */
static void next(gmk_record_reader_t *r, uint32_t stage)
{
    r->offset += r->have;
    r->have = 0;
    want(r, stage, HEAD_BYTES);
}

static bool sealed(const gmk_record_reader_t *r)
{
    uint32_t at = r->need - CHECK_BYTES;

    return get(r->buf + at, CHECK_BYTES) == check_of(CHECK_SEED, r->buf, at);
}

int gmk_record_open(gmk_record_reader_t *r, void *buf, uint32_t cap)
{
    if (r == NULL || buf == NULL || (uintptr_t)buf % 16 != 0 || cap < GMK_RECORD_MIN_BYTES)
        return GMK_E_INVALID;
    *r = (gmk_record_reader_t){.buf = buf, .cap = cap};
    want(r, AT_MAGIC, sizeof(magic));
    return GMK_OK;
}

static int at_magic(gmk_record_reader_t *r)
{
    for (uint32_t i = 0; i < sizeof(magic); i++)
        if (r->buf[i] != magic[i])
            return wrong(r, GMK_RECORD_BAD_MAGIC, i);
    return want(r, AT_HEADER, GMK_RECORD_HEADER_BYTES);
}

static int at_header(gmk_record_reader_t *r)
{
    const uint8_t *p = r->buf;

    if (get(p + 8, 4) != ENDIAN_MARK)
        return wrong(r, GMK_RECORD_BAD_ENDIAN, 8);
    if (get(p + 12, 2) != GMK_RECORD_VERSION)
        return wrong(r, GMK_RECORD_BAD_VERSION, 12);
    if (get(p + 14, 2) != GMK_RECORD_HEADER_BYTES)
        return wrong(r, GMK_RECORD_BAD_HEADER, 14);
    if (get(p + 32, 4) != 0)
        return wrong(r, GMK_RECORD_BAD_HEADER, 32);
    if (!sealed(r))
        return wrong(r, GMK_RECORD_BAD_CHECK, 36);
    r->start_tick = get(p + 16, 8);
    r->start_seq = get(p + 24, 8);
    if (r->start_tick >= GMK_RECORD_LIMIT || r->start_seq >= GMK_RECORD_LIMIT)
        return wrong(r, GMK_RECORD_BAD_HEADER, r->start_tick >= GMK_RECORD_LIMIT ? 16 : 24);
    r->tick = r->start_tick;
    next(r, AT_HEAD);
    return GMK_RECORD_MORE;
}

/* The first 16 bytes of a record. */
static int at_head(gmk_record_reader_t *r)
{
    uint64_t size = get(r->buf, 4);
    uint32_t kind = r->buf[4];
    uint32_t name_len = r->buf[5];
    uint64_t tick = get(r->buf + 8, 8);

    if (kind < GMK_RECORD_INPUT || kind > GMK_RECORD_END)
        return wrong(r, GMK_RECORD_BAD_KIND, 4);
    if (kind == GMK_RECORD_INPUT ? size < input_size(0, 0)
                                 : size != (kind == GMK_RECORD_TICK ? TICK_SIZE : END_SIZE))
        return wrong(r, GMK_RECORD_BAD_SIZE, 0);
    if (kind == GMK_RECORD_INPUT ? name_len >= GMK_MAX_CHAN_NAME : name_len != 0)
        return wrong(r, GMK_RECORD_BAD_NAME, 5);
    if (get(r->buf + 6, 2) != 0)
        return wrong(r, GMK_RECORD_BAD_RESERVED, 6);
    if (kind == GMK_RECORD_END ? tick != r->tick : tick <= r->tick || tick >= GMK_RECORD_LIMIT)
        return wrong(r, GMK_RECORD_BAD_TICK, 8);
    return kind == GMK_RECORD_INPUT ? want(r, AT_INPUT, INPUT_BYTES)
                                    : want(r, AT_BODY, (uint32_t)size);
}

/* The task of an input, which says how long the record is. */
static int at_input(gmk_record_reader_t *r)
{
    const uint8_t *p = r->buf;
    uint64_t type = get(p + 16, 4);
    uint64_t len = get(p + 40, 4);

    if (type == 0 || type > TYPE_MAX)
        return wrong(r, GMK_RECORD_BAD_TASK, 16);
    if (get(p + 20, 2) & (GMK_TF_RUNTIME_MASK | GMK_TF_CHANNEL_MSG))
        return wrong(r, GMK_RECORD_BAD_TASK, 20);
    if (get(p + 22, 2) >= GMK_MAX_TENANTS)
        return wrong(r, GMK_RECORD_BAD_TASK, 22);
    if (get(p + 24, 8) != 0 || get(p + 32, 8) != 0)
        return wrong(r, GMK_RECORD_BAD_TASK, 24);
    if (len > GMK_PAYLOAD_MAX)
        return wrong(r, GMK_RECORD_BAD_PAYLOAD, 40);
    if (get(p + 44, 4) != 0)
        return wrong(r, GMK_RECORD_BAD_TASK, 44);
    if (get(p, 4) != input_size((uint32_t)len, p[5]))
        return wrong(r, GMK_RECORD_BAD_SIZE, 0);
    if (get(p, 4) > r->cap)
        return wrong(r, GMK_RECORD_NO_ROOM, 0);
    return want(r, AT_BODY, (uint32_t)get(p, 4));
}

static int read_input(gmk_record_reader_t *r, gmk_record_t *out)
{
    const uint8_t *p = r->buf;
    gmk_task_t *t = &out->task;
    uint32_t len = (uint32_t)get(p + 40, 4);
    uint32_t at = INPUT_BYTES + len;
    uint32_t name_len = p[5];

    for (uint32_t i = 0; i < name_len; i++, at++) {
        if (p[at] == 0)
            return wrong(r, GMK_RECORD_BAD_NAME, at);
        out->channel[i] = (char)p[at];
    }
    for (; at < r->need - CHECK_BYTES; at++)
        if (p[at] != 0)
            return wrong(r, GMK_RECORD_BAD_RESERVED, at);
    t->type = (uint32_t)get(p + 16, 4);
    t->flags = (uint16_t)get(p + 20, 2);
    t->tenant = (uint16_t)get(p + 22, 2);
    t->payload_len = len;
    t->meta0 = get(p + 48, 8);
    t->meta1 = get(p + 56, 8);
    out->payload = len != 0 ? p + INPUT_BYTES : NULL;
    r->n_inputs++;
    return GMK_RECORD_READY;
}

/* A whole record. */
static int at_body(gmk_record_reader_t *r, gmk_record_t *out)
{
    uint32_t kind = r->buf[4];

    if (!sealed(r))
        return wrong(r, GMK_RECORD_BAD_CHECK, r->need - CHECK_BYTES);
    gmk_hal_memset(out, 0, sizeof(*out));
    out->kind = kind;
    out->tick = get(r->buf + 8, 8);
    out->offset = r->offset;
    if (kind == GMK_RECORD_INPUT) {
        if (read_input(r, out) < 0)
            return GMK_E_RECORD;
    } else {
        out->hash = get(r->buf + 16, 8);
        r->tick = out->tick;
    }
    if (kind == GMK_RECORD_END) {
        out->n_inputs = get(r->buf + 24, 8);
        if (out->n_inputs != r->n_inputs)
            return wrong(r, GMK_RECORD_BAD_COUNT, 24);
    }
    next(r, kind == GMK_RECORD_END ? AT_END : AT_HEAD);
    return GMK_RECORD_READY;
}

static int look(gmk_record_reader_t *r, gmk_record_t *out)
{
    switch (r->stage) {
    case AT_MAGIC:
        return at_magic(r);
    case AT_HEADER:
        return at_header(r);
    case AT_HEAD:
        return at_head(r);
    case AT_INPUT:
        return at_input(r);
    default:
        return at_body(r, out);
    }
}

int gmk_record_feed(gmk_record_reader_t *r, const void *bytes, size_t n, size_t *used,
                    gmk_record_t *out)
{
    const uint8_t *p = bytes;
    int rc = GMK_RECORD_MORE;

    if (r == NULL || r->buf == NULL || (bytes == NULL && n != 0) || used == NULL || out == NULL)
        return GMK_E_INVALID;
    *used = 0;
    if (r->fault != GMK_RECORD_SOUND)
        return GMK_E_RECORD;
    while (rc == GMK_RECORD_MORE && *used < n) {
        size_t k = n - *used;

        if (r->stage == AT_END)
            return wrong(r, GMK_RECORD_TRAILING, 0);
        if (k > r->need - r->have)
            k = r->need - r->have;
        gmk_hal_memcpy(r->buf + r->have, p + *used, k);
        r->have += (uint32_t)k;
        *used += k;
        if (r->have == r->need)
            rc = look(r, out);
    }
    return rc;
}

/* Fewer bytes than the magic has, and others: not a recording that was cut. */
static bool other_magic(const gmk_record_reader_t *r, uint32_t *at)
{
    for (*at = 0; *at < r->have; ++*at)
        if (r->stage == AT_MAGIC && r->buf[*at] != magic[*at])
            return true;
    return false;
}

int gmk_record_finish(gmk_record_reader_t *r)
{
    uint32_t at;

    if (r == NULL || r->buf == NULL)
        return GMK_E_INVALID;
    if (r->fault != GMK_RECORD_SOUND)
        return GMK_E_RECORD;
    if (r->stage == AT_END)
        return GMK_OK;
    if (other_magic(r, &at))
        return wrong(r, GMK_RECORD_BAD_MAGIC, at);
    return wrong(r, r->stage == AT_HEAD && r->have == 0 ? GMK_RECORD_NO_END : GMK_RECORD_TRUNCATED,
                 r->have);
}

/* SPDX-License-Identifier: MIT
 * A virtio block device, legacy or 1.x, against an image in memory, that keeps the rules or
 * breaks one of them on request. It works by steps: mv_fetch takes what the driver has
 * published, mv_answer answers one of those; a test or a thread calls them.
 * It holds the driver to the rules too: see mp_complain.
 * Floor: tests. Source: Virtual I/O Device 1.2 sections 2.7, 4.1, 5.2. */
#ifndef TEST_MODEL_VIRTIO_H
#define TEST_MODEL_VIRTIO_H

#include "drivers/virtio/virtio.h"
#include "model_pci.h"

#define MV_QUEUE_MAX 1024u
#define MV_PORT 0xc000u
#define MV_MMIO 0xfe000000ull
#define MV_TABLE 0xfe100000ull /* BAR of the MSI-X table */
#define MV_CAP_MSIX 0x98u

/* What an answer does wrong. */
enum mv_lie {
    MV_TRUTH,
    MV_IOERR,
    MV_UNSUPP,
    MV_BAD_STATUS,
    MV_SHORT,     /* less than asked for */
    MV_LONG,      /* more than there is room for */
    MV_NO_STATUS, /* the status byte is not written */
    MV_ID_RANGE,  /* no such descriptor */
    MV_ID_IDLE,   /* a descriptor that is not with the device */
    MV_TWICE,     /* the same answer again */
    MV_JUMP,      /* the index moves by more than there is */
    MV_BACK,      /* the index goes back */
    MV_LIES
};

typedef struct mv_ring {
    uint64_t desc, avail, used;
    uint16_t size;
} mv_ring_t;

typedef struct mv {
    /* What it offers; a test sets it before mv_plug. */
    bool modern;
    bool no_msix;
    uint64_t offers;
    uint64_t capacity;
    uint32_t size_max, seg_max, blk_size;
    uint16_t queue_max;
    uint8_t *image;
    const char *serial; /* null: GET_ID is not known */
    bool no_reset;      /* the status never becomes 0 */
    bool refuse;        /* FEATURES_OK is not kept */
    bool eager;         /* works off everything at each notice */

    mp_func_t *func;
    uint8_t status, generation;
    uint8_t written[8]; /* the first values that the status was set to */
    uint32_t n_written;
    uint32_t feature_select, guest_select;
    uint64_t features;
    mv_ring_t q;
    bool enabled;
    uint16_t vector;
    uint8_t table[2][16];
    mv_ring_t before; /* the ring until the last reset */
    uint16_t before_used;

    uint16_t last_avail, used_idx, told;
    uint32_t n_held;
    uint16_t held[MV_QUEUE_MAX]; /* heads fetched and not answered */
    gmk_a32_t notices;
    gmk_hal_park_t park; /* of a device thread */
    uint64_t n_reads, n_writes, n_flushes, n_interrupts, n_resets;
} mv_t;

/* A chain as the device sees it. */
typedef struct mv_chain {
    struct {
        uint64_t addr;
        uint32_t len;
        bool in;
    } part[MV_QUEUE_MAX];
    uint32_t n;
    uint32_t type;
    uint64_t sector;
    uint32_t bytes; /* of data */
} mv_chain_t;

/* Ring memory. ------------------------------------------------------------- */

static inline uint16_t *mv_word(uint64_t phys)
{
    static uint64_t nowhere;
    uint8_t *p = mp_host(phys);

    if (p == NULL)
        mp_complain("a ring lies outside memory");
    return p != NULL ? (uint16_t *)(void *)p : (uint16_t *)(void *)&nowhere;
}

static inline uint16_t mv_load(uint64_t phys) { return gmk_load_acq(mv_word(phys), GMK_SYS); }

static inline uint16_t *mv_used_event(const mv_ring_t *q)
{
    return mv_word(q->avail + 4 + 2u * q->size);
}
static inline uint16_t *mv_avail_event(const mv_ring_t *q)
{
    return mv_word(q->used + 4 + 8u * q->size);
}

static inline bool mv_has(const mv_t *m, uint64_t feature) { return (m->features & feature) != 0; }

/* Takes the chains that were published. returns: how many. */
static inline uint32_t mv_fetch(mv_t *m)
{
    uint32_t n = 0;
    uint16_t idx;

    if (!m->enabled || (m->status & VIRTIO_S_DRIVER_OK) == 0 ||
        (mp_get(m->func, 4, 2) & PCI_CMD_MASTER) == 0)
        return 0;
    idx = mv_load(m->q.avail + 2);
    if ((uint16_t)(idx - m->last_avail) > m->q.size) {
        mp_complain("more chains are published than the ring has");
        return 0;
    }
    for (; m->last_avail != idx; m->last_avail++, n++)
        m->held[m->n_held++] = *mv_word(m->q.avail + 4 + 2u * (m->last_avail & (m->q.size - 1)));
    return n;
}

/* Before a device thread sleeps: asks for a notice. returns: nothing came meanwhile. */
static inline bool mv_listen(mv_t *m)
{
    if (!m->enabled)
        return true;
    if (mv_has(m, VIRTIO_F_EVENT_IDX))
        gmk_xchg_sc(mv_avail_event(&m->q), m->last_avail, GMK_SYS);
    else
        gmk_xchg_sc(mv_word(m->q.used), (uint16_t)0, GMK_SYS);
    return mv_load(m->q.avail + 2) == m->last_avail;
}

static inline void mv_add_part(mv_t *m, mv_chain_t *c, const vring_desc_t *d)
{
    bool in = (d->flags & 2) != 0;

    if (c->n > 0 && c->part[c->n - 1].in && !in)
        mp_complain("a part to read comes after one to write");
    if (c->n > 0 && d->len > m->size_max && m->size_max != 0)
        mp_complain("a part is longer than size_max");
    if (d->len == 0)
        mp_complain("a part is empty");
    c->part[c->n].addr = d->addr;
    c->part[c->n].len = d->len;
    c->part[c->n++].in = in;
}

/* Follows the chain at head. */
static inline void mv_chain(mv_t *m, uint16_t head, mv_chain_t *c)
{
    uint64_t table = m->q.desc;
    uint32_t n = m->q.size, i = head;
    vring_desc_t d;

    c->n = 0;
    mp_dma(table + 16ull * i, &d, sizeof(d), false);
    if ((d.flags & 4) != 0) {
        if (!mv_has(m, VIRTIO_F_INDIRECT) || (d.flags & 3) != 0 || d.len % 16 != 0)
            mp_complain("a table is not allowed here");
        table = d.addr;
        n = d.len / 16;
        i = 0;
    }
    for (;;) {
        if (i >= n || c->n == n || c->n == MV_QUEUE_MAX) {
            mp_complain("a chain leaves its table");
            return;
        }
        mp_dma(table + 16ull * i, &d, sizeof(d), false);
        if ((d.flags & 4) != 0)
            mp_complain("a table in a table");
        mv_add_part(m, c, &d);
        if ((d.flags & 1) == 0)
            return;
        i = d.next;
    }
}

/* Reads the request in a chain. returns: it is one. */
static inline bool mv_request(mv_t *m, mv_chain_t *c)
{
    uint8_t head[16];

    if (c->n < 2 || c->part[0].in || c->part[0].len != 16 || !c->part[c->n - 1].in ||
        c->part[c->n - 1].len != 1 || !mp_dma(c->part[0].addr, head, 16, false)) {
        mp_complain("a chain is no block request");
        return false;
    }
    if (m->seg_max != 0 && c->n - 2 > m->seg_max)
        mp_complain("a request has more parts than seg_max");
    memcpy(&c->type, head, 4);
    memcpy(&c->sector, head + 8, 8);
    c->bytes = 0;
    for (uint32_t i = 1; i + 1 < c->n; i++)
        c->bytes += c->part[i].len;
    return true;
}

static inline void mv_copy(const mv_chain_t *c, uint8_t *own, bool to_memory)
{
    for (uint32_t i = 1; i + 1 < c->n; i++) {
        if (c->part[i].in != to_memory || !mp_dma(c->part[i].addr, own, c->part[i].len, to_memory))
            mp_complain("a part of the data is wrong");
        own += c->part[i].len;
    }
}

/* Carries a request out. returns: the status byte. */
static inline uint8_t mv_work(mv_t *m, const mv_chain_t *c)
{
    char id[20] = "";

    if (c->type == 8 && m->serial != NULL && c->bytes == 20) {
        memcpy(id, m->serial, strlen(m->serial) < 20 ? strlen(m->serial) : 20);
        mv_copy(c, (uint8_t *)id, true);
        return 0;
    }
    if (c->type == 4) {
        m->n_flushes++;
        return mv_has(m, 1u << 9) ? 0 : 2;
    }
    if (c->type > 1)
        return 2;
    if (c->bytes % (m->blk_size != 0 ? m->blk_size : 512) != 0 || c->bytes == 0 ||
        c->sector > m->capacity || c->bytes / 512 > m->capacity - c->sector) {
        mp_complain("the driver lets a wrong request through");
        return 1;
    }
    if (c->type == 1 && (m->offers & 1u << 5) != 0)
        return 1;
    mv_copy(c, m->image + 512 * c->sector, c->type == 0);
    *(c->type == 0 ? &m->n_reads : &m->n_writes) += 1;
    return 0;
}

/* Answers. ------------------------------------------------------------------------------------- */

static inline void mv_interrupt(mv_t *m)
{
    uint64_t address;
    uint32_t data;
    uint8_t *e = m->table[0];

    if (m->vector != 0 || (mp_get(m->func, MV_CAP_MSIX + 2, 2) & 0x8000) == 0 || (e[12] & 1) != 0)
        return;
    memcpy(&address, e, 8);
    memcpy(&data, e + 8, 4);
    m->n_interrupts++;
    mp_message(address, data);
}

/* Writes one entry of the used ring, which the next mv_tell shows. */
static inline void mv_push(mv_t *m, uint32_t id, uint32_t len)
{
    uint32_t *e = (void *)mv_word(m->q.used + 4 + 8u * (m->used_idx & (m->q.size - 1)));

    e[0] = id;
    e[1] = len;
    m->used_idx++;
}

/* Shows what was pushed, and interrupts if that is wanted. */
static inline void mv_tell(mv_t *m)
{
    uint16_t old = m->told, now = m->used_idx;
    bool wanted;

    if (!m->enabled)
        return;
    m->told = now;
    gmk_xchg_sc(mv_word(m->q.used + 2), now, GMK_SYS);
    if (mv_has(m, VIRTIO_F_EVENT_IDX))
        wanted = (uint16_t)(now - gmk_load_acq(mv_used_event(&m->q), GMK_SYS) - 1) <
                 (uint16_t)(now - old);
    else
        wanted = (mv_load(m->q.avail) & 1) == 0;
    if (wanted && old != now)
        mv_interrupt(m);
}

static inline uint8_t mv_lie_status(enum mv_lie lie, uint8_t truth)
{
    return lie == MV_IOERR ? 1 : lie == MV_UNSUPP ? 2 : lie == MV_BAD_STATUS ? 77 : truth;
}

/* A descriptor that is not with the device, if there is one. */
static inline uint32_t mv_idle_id(const mv_t *m)
{
    for (uint32_t id = 0; id < m->q.size; id++) {
        bool held = false;

        for (uint32_t i = 0; i < m->n_held; i++)
            held |= m->held[i] == id;
        if (!held)
            return id;
    }
    return m->q.size;
}

static inline void mv_push_lie(mv_t *m, uint16_t head, uint32_t len, enum mv_lie lie)
{
    switch (lie) {
    case MV_ID_RANGE:
        mv_push(m, m->q.size + 7u, len);
        break;
    case MV_ID_IDLE:
        mv_push(m, mv_idle_id(m), len);
        break;
    case MV_TWICE:
        mv_push(m, head, len);
        mv_push(m, head, len);
        break;
    case MV_JUMP:
        mv_push(m, head, len);
        m->used_idx = (uint16_t)(m->used_idx + m->q.size + 3);
        break;
    case MV_BACK:
        m->used_idx--;
        break;
    default:
        mv_push(m, head, lie == MV_SHORT ? len / 2 : lie == MV_LONG ? UINT32_MAX : len);
    }
}

/* Answers the i-th request that it holds. pre: i < n_held. */
static inline void mv_answer(mv_t *m, uint32_t i, enum mv_lie lie)
{
    static mv_chain_t c;
    uint16_t head = m->held[i];
    uint32_t len = 1;
    uint8_t status;

    m->held[i] = m->held[--m->n_held];
    mv_chain(m, head, &c);
    if (!mv_request(m, &c))
        return;
    status = lie == MV_IOERR || lie == MV_UNSUPP ? 0 : mv_work(m, &c);
    status = mv_lie_status(lie, status);
    for (uint32_t p = 1; p + 1 < c.n; p++)
        len += c.part[p].in ? c.part[p].len : 0;
    if (lie != MV_NO_STATUS)
        mp_dma(c.part[c.n - 1].addr, &status, 1, true);
    mv_push_lie(m, head, len, lie);
}

/* Works everything off, truthfully. */
static inline void mv_serve(mv_t *m)
{
    mv_fetch(m);
    while (m->n_held != 0) {
        mv_answer(m, 0, MV_TRUTH);
        mv_fetch(m);
    }
    mv_tell(m);
    mv_listen(m);
}

/* Registers. --------------------------------------------------------------- */

static inline void mv_stop(mv_t *m)
{
    m->n_resets++;
    if (m->enabled) {
        m->before = m->q;
        m->before_used = m->used_idx;
    }
    m->enabled = false;
    m->q = (mv_ring_t){.size = m->queue_max};
    m->features = 0;
    m->vector = VIRTIO_NO_VECTOR;
    m->last_avail = m->used_idx = m->told = 0;
    m->n_held = 0;
}

static inline void mv_set_status(mv_t *m, uint8_t v)
{
    if (m->n_written < sizeof(m->written))
        m->written[m->n_written++] = v;
    if (v == 0) {
        mv_stop(m);
        m->status = m->no_reset ? 0x40 : 0;
        return;
    }
    if (m->refuse || (m->features & ~m->offers) != 0)
        v &= (uint8_t)~VIRTIO_S_FEATURES_OK;
    m->status = v;
}

/* The device's configuration. */
static inline uint64_t mv_config(const mv_t *m, uint64_t at, uint32_t bytes)
{
    uint8_t cfg[24] = {0};
    uint64_t v = 0;

    memcpy(cfg, &m->capacity, 8);
    memcpy(cfg + 8, &m->size_max, 4);
    memcpy(cfg + 12, &m->seg_max, 4);
    memcpy(cfg + 20, &m->blk_size, 4);
    for (uint32_t i = 0; i < bytes && at + i < sizeof(cfg); i++)
        v |= (uint64_t)cfg[at + i] << 8 * i;
    return v;
}

static inline void mv_notice(mv_t *m)
{
    gmk_add_ar(&m->notices, 1, GMK_DEV);
    gmk_hal_park_wake(&m->park);
    if (m->eager)
        mv_serve(m);
}

static inline bool mv_msix_on(const mv_t *m)
{
    return !m->no_msix && (mp_get(m->func, MV_CAP_MSIX + 2, 2) & 0x8000) != 0;
}

static inline uint64_t mv_io_read(const mv_t *m, uint64_t at, uint32_t bytes)
{
    uint32_t config = mv_msix_on(m) ? 24 : 20;

    switch (at) {
    case 0:
        return m->offers & 0xffffffffu;
    case 12:
        return m->q.size;
    case 18:
        return m->status;
    case 22:
        if (mv_msix_on(m))
            return m->vector;
        break;
    default:
        break;
    }
    return at >= config ? mv_config(m, at - config, bytes) : 0;
}

static inline void mv_io_write(mv_t *m, uint64_t at, uint64_t v)
{
    switch (at) {
    case 4:
        m->features = v;
        break;
    case 8:
        m->q.desc = v << 12;
        m->q.avail = m->q.desc + 16u * m->q.size;
        m->q.used = (m->q.avail + 6 + 2u * m->q.size + 4095) & ~4095ull;
        m->enabled = v != 0;
        break;
    case 14:
        m->q.size = v == 0 ? m->queue_max : 0;
        break;
    case 16:
        mv_notice(m);
        break;
    case 18:
        mv_set_status(m, (uint8_t)v);
        break;
    case 22:
        m->vector = (uint16_t)v;
        break;
    default:
        mp_complain("a register that cannot be written");
    }
}

static inline uint64_t mv_common_read(const mv_t *m, uint64_t at)
{
    switch (at) {
    case 4:
        return m->offers >> (m->feature_select == 1 ? 32 : 0) & 0xffffffffu;
    case 18:
        return 1;
    case 20:
        return m->status;
    case 21:
        return m->generation;
    case 24:
        return m->q.size;
    case 26:
        return m->vector;
    case 30:
        return 3; /* the queue's bell is not the first */
    default:
        return 0;
    }
}

static inline void mv_half(uint64_t *word, bool high, uint64_t v)
{
    *word = high ? (*word & 0xffffffffu) | v << 32 : (*word & ~0xffffffffull) | v;
}

static inline void mv_common_write(mv_t *m, uint64_t at, uint64_t v)
{
    if (at == 0)
        m->feature_select = (uint32_t)v;
    else if (at == 8)
        m->guest_select = (uint32_t)v;
    else if (at == 12)
        mv_half(&m->features, m->guest_select == 1, v);
    else if (at == 20)
        mv_set_status(m, (uint8_t)v);
    else if (at == 24)
        m->q.size = (uint16_t)v;
    else if (at == 26)
        m->vector = (uint16_t)v;
    else if (at == 28)
        m->enabled = v == 1;
    else if (at >= 32 && at < 56)
        mv_half(at < 40 ? &m->q.desc : at < 48 ? &m->q.avail : &m->q.used, (at & 4) != 0, v);
    else if (at != 22 || v != 0)
        mp_complain("a common register that cannot be written");
}

/* BAR 0: ports of the legacy device. BAR 2: the MSI-X table. BAR 4: common at 0, isr at 0x1000,
 * config at 0x2000, bells at 0x3000. */
static inline uint64_t mv_read(mp_func_t *f, uint32_t bar, uint64_t at, uint32_t bytes)
{
    mv_t *m = f->device;
    uint64_t v = 0;

    if (bar == 0)
        return mv_io_read(m, at, bytes);
    if (bar == 4)
        return at >= 0x3000   ? 0
               : at >= 0x2000 ? mv_config(m, at - 0x2000, bytes)
               : at >= 0x1000 ? 0
                              : mv_common_read(m, at);
    if (at + bytes <= sizeof(m->table))
        memcpy(&v, (uint8_t *)m->table + at, bytes);
    return v;
}

static inline void mv_write(mp_func_t *f, uint32_t bar, uint64_t at, uint64_t v, uint32_t bytes)
{
    mv_t *m = f->device;

    if (bar == 0) {
        mv_io_write(m, at, v);
    } else if (bar == 4 && at < 0x1000) {
        mv_common_write(m, at, v);
    } else if (bar == 4) {
        if (at != 0x3000 + 3 * 4 || v != 0 || bytes != 2)
            mp_complain("the wrong bell is rung");
        mv_notice(m);
    } else if (at + bytes <= sizeof(m->table)) {
        memcpy((uint8_t *)m->table + at, &v, bytes);
    }
}

/* Plugging in. ------------------------------------------------------------- */

static inline void mv_cap(mp_func_t *f, uint32_t at, uint32_t next, uint8_t type, uint32_t offset)
{
    mp_put(f, at, 9u | next << 8 | 20u << 16 | (uint32_t)type << 24, 4);
    mp_put(f, at + 4, 4, 4);
    mp_put(f, at + 8, offset, 4);
    mp_put(f, at + 12, 0x1000, 4);
    mp_put(f, at + 16, 4, 4);
}

/* What every test begins with. */
static inline mv_t mv_plain(bool modern, uint8_t *image, uint64_t capacity)
{
    return (mv_t){.modern = modern,
                  .offers = VIRTIO_F_INDIRECT | VIRTIO_F_EVENT_IDX | 1u << 9 | 1u << 2 |
                            (modern ? VIRTIO_F_VERSION_1 : 0),
                  .capacity = capacity,
                  .seg_max = 254,
                  .queue_max = 256,
                  .image = image,
                  .serial = "MODEL-1",
                  .eager = true};
}

static inline void mv_plug(mv_t *m, uint8_t bus, uint8_t dev)
{
    mp_func_t *f = mp_add(bus, dev, 0);

    m->func = f;
    f->device = m;
    f->read = mv_read;
    f->write = mv_write;
    mp_identity(f, 0x1af4, m->modern ? 0x1042 : 0x1001, 0x01000000u | (m->modern ? 1u : 0));
    mp_put(f, 6, 0x10, 2);
    mp_put(f, 0x34, 0x40, 1);
    memset(m->table, 0xff, sizeof(m->table));
    if (m->modern) {
        mp_bar(f, 4, MV_MMIO, 0x4000, 4 | 8);
        mv_cap(f, 0x40, 0x54, 1, 0);
        mv_cap(f, 0x54, 0x68, 3, 0x1000);
        mv_cap(f, 0x68, 0x7c, 4, 0x2000);
        mv_cap(f, 0x7c, MV_CAP_MSIX, 2, 0x3000);
    } else {
        mp_bar(f, 0, MV_PORT, 64, 1);
        mp_put(f, 0x34, MV_CAP_MSIX, 1);
    }
    if (!m->no_msix) {
        mp_bar(f, 2, MV_TABLE, 4096, 0);
        mp_put(f, MV_CAP_MSIX, 0x11u | 1u << 16, 4);
        mp_put(f, MV_CAP_MSIX + 4, 2, 4);
    } else {
        mp_put(f, MV_CAP_MSIX, 0x05, 4);
    }
    gmk_hal_park_init(&m->park);
    mv_stop(m);
    m->n_resets = 0;
}

#endif

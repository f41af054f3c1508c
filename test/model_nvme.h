/* SPDX-License-Identifier: MIT
 * An NVMe controller with one namespace, against an image in memory, that keeps the rules or
 * breaks one of them on request. It works by steps: mn_fetch takes the I/O commands that the
 * driver has published, mn_answer answers one of those; a test or a thread calls them. Admin
 * commands are answered at the doorbell.
 * It holds the driver to the rules too: see mp_complain.
 * Floor: tests. Source: NVM Express 1.4 sections 3.1, 4, 5, 6. */
#ifndef TEST_MODEL_NVME_H
#define TEST_MODEL_NVME_H

#include "model_pci.h"

#define MN_BAR 0xfe200000ull
#define MN_BAR_BYTES 0x80000u
#define MN_TABLE 0x40000u /* of MSI-X, in the BAR */
#define MN_CAP_MSIX 0x40u
#define MN_HELD 1024u
#define MN_NSID 3u

/* What an answer does wrong. */
enum mn_lie {
    MN_TRUTH,
    MN_ERROR,      /* a status, see fail_status */
    MN_ID_IDLE,    /* of a slot that no command has */
    MN_ID_RANGE,   /* of no slot */
    MN_ID_BEFORE,  /* the slot's identifier of before */
    MN_TWICE,      /* the same answer again */
    MN_QUEUE,      /* of another queue */
    MN_HEAD_RANGE, /* a head beyond the queue */
    MN_HEAD_BACK,  /* a head that goes back */
    MN_HEAD_AHEAD, /* a head beyond what was published */
    MN_ALL_PHASES, /* all entries turn valid, with nothing in them */
    MN_ALL_ONES,   /* the whole entry */
    MN_LIES
};

typedef struct mn_cmd {
    uint32_t dw[16];
} mn_cmd_t;

typedef struct mn_pair {
    uint64_t sq, cq;
    uint32_t sq_n, cq_n; /* 0: there is none */
    uint32_t head, tail; /* of submissions: fetched, published */
    uint32_t put, taken; /* of completions: written, acknowledged */
    uint32_t phase;
    uint32_t vector;
    bool irq;
} mn_pair_t;

typedef struct mn {
    /* What it is; a test sets it before mn_plug. */
    uint32_t mqes, stride, timeout, mps_min; /* fields of CAP */
    bool no_nvm, no_msix, no_list;
    uint32_t n_vectors;
    uint64_t blocks;
    uint32_t block_bits, meta, mdts, sqes, cqes, protection;
    bool cache, read_only;
    uint8_t *image;
    char serial[21];
    /* What it does wrong. */
    bool no_ready, no_stop, dead_start, gone, fatal, mute_admin, admin_lies, no_irqs;
    uint32_t fail_opcode, fail_status; /* of admin commands: status instead; ff: none */
    bool eager;                        /* works off everything at each doorbell */

    mp_func_t *func;
    uint32_t cc, aqa;
    uint64_t asq, acq;
    bool ready;
    mn_pair_t q[2], before; /* before: the I/O pair until the last reset */
    uint8_t table[4][16];
    uint32_t waiting; /* bits: a masked entry has a message */
    uint32_t n_held;
    mn_cmd_t held[MN_HELD];
    gmk_hal_park_t park; /* of a device thread */
    uint32_t n_fetched;
    uint64_t n_reads, n_writes, n_flushes, n_interrupts, n_resets, n_bells, n_cq_bells, n_masks;
} mn_t;

/* Interrupts. -------------------------------------------------------------------------------- */

static uint32_t mn_entry(const mn_t *m, uint32_t i, uint32_t at)
{
    uint32_t v;

    memcpy(&v, &m->table[i][at], 4);
    return v;
}

static bool mn_msix_on(const mn_t *m)
{
    return !m->no_msix && (mp_get(m->func, MN_CAP_MSIX + 2, 2) & 0x8000) != 0;
}

static void mn_send(mn_t *m, uint32_t i)
{
    m->waiting &= ~(1u << i);
    m->n_interrupts++;
    mp_message(mn_entry(m, i, 0) | (uint64_t)mn_entry(m, i, 4) << 32, mn_entry(m, i, 8));
}

static void mn_interrupt(mn_t *m, const mn_pair_t *p)
{
    if (!p->irq || m->no_irqs || m->no_msix)
        return;
    if (!mn_msix_on(m) || p->vector >= m->n_vectors)
        mp_complain("a queue interrupts by no entry");
    else if ((mn_entry(m, p->vector, 12) & 1) != 0)
        m->waiting |= 1u << p->vector;
    else
        mn_send(m, p->vector);
}

/* Completions. ------------------------------------------------------------------------------- */

/* Writes one, last word last. */
static void mn_put(mn_pair_t *p, const uint32_t dw[4])
{
    uint32_t *e = (void *)mp_host(p->cq + 16 * p->put);

    if (e == NULL)
        abort();
    for (uint32_t i = 0; i < 3; i++)
        gmk_store_rlx(&e[i], dw[i], GMK_SYS);
    gmk_store_rel(&e[3], (dw[3] & ~0x10000u) | p->phase << 16, GMK_SYS);
    if (++p->put == p->cq_n) {
        p->put = 0;
        p->phase ^= 1;
    }
}

static void mn_post(mn_pair_t *p, uint32_t queue, uint32_t head, uint32_t id_status)
{
    uint32_t dw[4] = {0, 0, queue << 16 | head, id_status};

    if ((p->put + 1) % p->cq_n == p->taken)
        mp_complain("a completion queue is full");
    mn_put(p, dw);
}

/* Work. ---------------------------------------------------------------------------------------- */

static uint64_t mn_u64(const mn_cmd_t *c, uint32_t i)
{
    return c->dw[i] | (uint64_t)c->dw[i + 1] << 32;
}

/* Finds where n bytes of the command's data are, a piece a page. */
static bool mn_move(const mn_cmd_t *c, uint8_t *own, uint32_t n, bool to_memory)
{
    uint64_t at = mn_u64(c, 6), next = mn_u64(c, 8);
    uint32_t first = 4096 - (uint32_t)(at & 4095);
    bool list = n > first + 4096;
    uint32_t k = 0;

    if ((at & 3) != 0)
        mp_complain("data is not aligned to 4");
    if (list && ((next & 7) != 0 || (next & 4095) + (n - first + 4095) / 4096 * 8 > 4096))
        mp_complain("a list of pages crosses a page");
    while (n > 0) {
        uint32_t len = k == 0 ? first : 4096;

        len = n < len ? n : len;
        if (k > 0 && (!list && k > 1))
            return false;
        if (k > 0 && list && !mp_dma(next + 8 * (k - 1), &at, 8, false))
            return false;
        if (k > 0 && !list)
            at = next;
        if (k > 0 && (at & 4095) != 0)
            mp_complain("a page after the first begins inside");
        if (!mp_dma(at, own, len, to_memory))
            return false;
        own += len;
        n -= len;
        k++;
    }
    return true;
}

/* returns: status field, type and code. */
static uint32_t mn_work(mn_t *m, const mn_cmd_t *c)
{
    uint32_t opcode = c->dw[0] & 0xff;
    uint64_t block = mn_u64(c, 10);
    uint32_t n = (c->dw[12] & 0xffff) + 1;

    if (c->dw[1] != MN_NSID || (c->dw[0] & 0xff00) != 0)
        mp_complain("a command for no namespace, or in another format");
    if (opcode == 0) {
        m->n_flushes++;
        return 0;
    }
    if (opcode > 2)
        return 1;
    if (block >= m->blocks || n > m->blocks - block)
        return 0x80;
    if (m->mdts != 0 && m->mdts < 32 && n << m->block_bits > (uint64_t)4096 << m->mdts)
        return 2;
    m->n_reads += opcode == 2;
    m->n_writes += opcode == 1;
    if (!mn_move(c, m->image + (block << m->block_bits), n << m->block_bits, opcode == 2))
        mp_complain("data at no memory");
    return 0;
}

static void mn_read_cmd(mn_pair_t *p, mn_cmd_t *c)
{
    mp_dma(p->sq + 64 * p->head, c, sizeof(*c), false);
    p->head = p->head + 1 == p->sq_n ? 0 : p->head + 1;
}

/* Takes what is published on the I/O queue. */
static void mn_fetch(mn_t *m)
{
    mn_pair_t *p = &m->q[1];

    if ((mp_get(m->func, 4, 2) & PCI_CMD_MASTER) == 0)
        return;
    while (p->sq_n != 0 && p->head != p->tail && m->n_held < MN_HELD) {
        mn_read_cmd(p, &m->held[m->n_held++]);
        m->n_fetched++;
    }
}

/* The identifier of a slot that no command has. */
static uint32_t mn_idle_id(const mn_t *m)
{
    for (uint32_t s = 0; s < 254; s++) {
        bool held = false;

        for (uint32_t i = 0; i < m->n_held; i++)
            held |= (m->held[i].dw[0] >> 16 & 0xff) == s;
        if (!held)
            return s;
    }
    return 254;
}

static void mn_all_phases(mn_pair_t *p)
{
    uint32_t dw[4] = {0};

    for (uint32_t i = 0; i < p->cq_n; i++)
        mn_put(p, dw);
}

static void mn_post_lie(mn_t *m, uint32_t id, uint32_t status, enum mn_lie lie)
{
    static const uint32_t ones[4] = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    mn_pair_t *p = &m->q[1];
    uint32_t head = p->head, queue = 1;
    uint32_t last = id | status << 17;

    if (lie == MN_ALL_PHASES) {
        mn_all_phases(p);
        return;
    }
    if (lie == MN_ALL_ONES) {
        mn_put(p, ones);
        return;
    }
    if (lie == MN_TWICE)
        mn_post(p, queue, head, last);
    queue = lie == MN_QUEUE ? 2 : 1;
    head = lie == MN_HEAD_RANGE   ? p->sq_n + 7
           : lie == MN_HEAD_BACK  ? (head + p->sq_n - 3) % p->sq_n
           : lie == MN_HEAD_AHEAD ? (p->tail + 1) % p->sq_n
                                  : head;
    last = lie == MN_ID_IDLE     ? mn_idle_id(m)
           : lie == MN_ID_RANGE  ? 255
           : lie == MN_ID_BEFORE ? ((id - 0x100) & 0xffff)
                                 : last;
    mn_post(p, queue, head, last);
}

/* Answers the i-th command that it holds. pre: i < n_held. */
static void mn_answer(mn_t *m, uint32_t i, enum mn_lie lie)
{
    mn_cmd_t c = m->held[i];
    uint32_t status;

    if (m->q[1].cq_n == 0)
        return;
    m->held[i] = m->held[--m->n_held];
    status = lie == MN_ERROR ? m->fail_status : mn_work(m, &c);
    mn_post_lie(m, c.dw[0] >> 16, status, lie);
    mn_interrupt(m, &m->q[1]);
}

/* Works everything off, truthfully, as long as the driver leaves room for answers. */
static void mn_serve(mn_t *m)
{
    mn_fetch(m);
    while (m->n_held != 0)
        mn_answer(m, 0, MN_TRUTH);
}

/* Admin commands. ---------------------------------------------------------- */

static void mn_identify(const mn_t *m, const mn_cmd_t *c, uint8_t *page)
{
    uint32_t format = m->meta | m->block_bits << 16, nsid = MN_NSID;

    if (c->dw[10] == 1) {
        memset(page + 4, ' ', 20);
        memcpy(page + 4, m->serial, strlen(m->serial));
        page[77] = (uint8_t)m->mdts;
        page[512] = (uint8_t)m->sqes;
        page[513] = (uint8_t)m->cqes;
        page[525] = m->cache;
    } else if (c->dw[10] == 2) {
        memcpy(page, &nsid, 4);
    } else if (c->dw[10] == 0) {
        memcpy(page, &m->blocks, 8);
        page[25] = 3;
        page[26] = 2;
        page[29] = (uint8_t)m->protection;
        page[99] = m->read_only;
        memcpy(page + 128 + 8, &format, 4);
    }
}

/* Makes the completion queue of pair 1, or its submission queue. */
static uint32_t mn_create(mn_t *m, const mn_cmd_t *c)
{
    mn_pair_t *p = &m->q[1];
    bool sq = (c->dw[0] & 0xff) == 1;
    uint32_t n = (c->dw[10] >> 16) + 1;

    if ((c->dw[10] & 0xffff) != 1 || (mn_u64(c, 6) & 4095) != 0 || (c->dw[11] & 1) == 0 || n < 2 ||
        n > m->mqes + 1 || (sq && (p->cq_n == 0 || c->dw[11] >> 16 != 1)) ||
        (sq ? p->sq_n : p->cq_n) != 0) {
        mp_complain("a queue that cannot be");
        return 2;
    }
    if (sq) {
        p->sq = mn_u64(c, 6);
        p->sq_n = n;
    } else {
        *p = (mn_pair_t){.cq = mn_u64(c, 6), .cq_n = n, .phase = 1};
        p->irq = (c->dw[11] & 2) != 0;
        p->vector = c->dw[11] >> 16;
    }
    return 0;
}

/* Takes away the submission queue of pair 1, with what it holds, or then its completion queue. */
static uint32_t mn_delete(mn_t *m, const mn_cmd_t *c)
{
    mn_pair_t *p = &m->q[1];
    bool sq = (c->dw[0] & 0xff) == 0;

    if (c->dw[10] != 1 || (sq ? p->sq_n : p->cq_n) == 0 || (!sq && p->sq_n != 0))
        return 0x101;
    m->before = *p;
    m->n_held = 0;
    p->sq_n = 0;
    p->cq_n = sq ? p->cq_n : 0;
    return 0;
}

static uint32_t mn_admin_work(mn_t *m, const mn_cmd_t *c)
{
    uint8_t page[4096] = {0};
    uint32_t opcode = c->dw[0] & 0xff;

    if (opcode == m->fail_opcode)
        return m->fail_status;
    if (opcode == 0 || opcode == 4)
        return mn_delete(m, c);
    if (opcode == 1 || opcode == 5)
        return mn_create(m, c);
    if (opcode == 9)
        return 0;
    if (opcode != 6 || (c->dw[10] == 2 && m->no_list))
        return 2;
    mn_identify(m, c, page);
    return mn_move(c, page, sizeof(page), true) ? 0 : 4;
}

static void mn_admin(mn_t *m)
{
    mn_pair_t *p = &m->q[0];
    mn_cmd_t c;

    while (p->head != p->tail && !m->mute_admin) {
        mn_read_cmd(p, &c);
        mn_post(p, 0, p->head, ((c.dw[0] >> 16) + m->admin_lies) | mn_admin_work(m, &c) << 17);
    }
}

/* Registers. --------------------------------------------------------------- */

static void mn_start(mn_t *m)
{
    if ((m->cc & 0xfffff1) != 0x460001 || (m->asq & 4095) != 0 || (m->acq & 4095) != 0)
        mp_complain("it is enabled with nonsense");
    m->q[0] = (mn_pair_t){.sq = m->asq,
                          .cq = m->acq,
                          .sq_n = (m->aqa & 0xfff) + 1,
                          .cq_n = (m->aqa >> 16 & 0xfff) + 1,
                          .phase = 1};
    m->q[1] = (mn_pair_t){.sq_n = 0};
    m->ready = !m->no_ready;
    m->fatal = m->dead_start;
}

static void mn_stop(mn_t *m)
{
    m->n_resets++;
    if (m->q[1].cq_n != 0)
        m->before = m->q[1];
    m->q[0] = m->q[1] = (mn_pair_t){.sq_n = 0};
    m->n_held = 0;
    m->ready = m->no_stop;
    m->fatal = false;
}

static void mn_set_cc(mn_t *m, uint32_t v)
{
    uint32_t was = m->cc;

    m->cc = v;
    if ((v & 1) != 0 && (was & 1) == 0)
        mn_start(m);
    else if ((v & 1) == 0)
        mn_stop(m);
}

static uint64_t mn_cap(const mn_t *m)
{
    return m->mqes | 1u << 16 | (uint64_t)m->timeout << 24 | (uint64_t)m->stride << 32 |
           (uint64_t)!m->no_nvm << 37 | (uint64_t)m->mps_min << 48 | (uint64_t)4 << 52;
}

static uint64_t mn_read(mp_func_t *f, uint32_t bar, uint64_t at, uint32_t bytes)
{
    const mn_t *m = f->device;
    uint64_t v = 0;

    (void)bar;
    if (m->gone)
        return UINT64_MAX;
    if (at >= MN_TABLE && at + bytes <= MN_TABLE + sizeof(m->table)) {
        memcpy(&v, (const uint8_t *)m->table + (at - MN_TABLE), bytes);
        return v;
    }
    switch (at) {
    case 0:
        return bytes == 8 ? mn_cap(m) : (uint32_t)mn_cap(m);
    case 4:
        return mn_cap(m) >> 32;
    case 8:
        return 0x10400;
    case 0x14:
        return m->cc;
    case 0x1c:
        return m->ready | (uint32_t)m->fatal << 1;
    default:
        return 0;
    }
}

static void mn_bell(mn_t *m, uint64_t at, uint32_t v)
{
    uint64_t unit = 4u << m->stride, i = (at - 0x1000) / unit;
    mn_pair_t *p = &m->q[i / 2 & 1];
    uint32_t n = i % 2 == 0 ? p->sq_n : p->cq_n;

    if (at % unit != 0 || i > 3 || n == 0 || v >= n) {
        mp_complain("a doorbell that is not, or a number beyond its queue");
        return;
    }
    if (i % 2 == 1) {
        m->n_cq_bells += i == 3;
        if ((v + n - p->taken) % n > (p->put + n - p->taken) % n)
            mp_complain("completions are acknowledged before they are there");
        p->taken = v;
        return;
    }
    if ((v + n - p->head) % n < (p->tail + n - p->head) % n)
        mp_complain("a submission queue is overrun");
    p->tail = v;
    if (i == 0) {
        mn_admin(m);
        return;
    }
    m->n_bells++;
    gmk_hal_park_wake(&m->park);
    if (m->eager)
        mn_serve(m);
}

static void mn_table_write(mn_t *m, uint64_t at, uint64_t v, uint32_t bytes)
{
    uint32_t i = (uint32_t)(at / 16);

    memcpy((uint8_t *)m->table + at, &v, bytes);
    m->n_masks += at % 16 == 12 && (v & 1) != 0;
    if (at % 16 == 12 && (v & 1) == 0 && (m->waiting >> i & 1) != 0 && mn_msix_on(m))
        mn_send(m, i);
}

static void mn_half(uint64_t *word, bool high, uint64_t v)
{
    *word = high ? (*word & 0xffffffffu) | v << 32 : (*word & ~0xffffffffull) | v;
}

static void mn_write(mp_func_t *f, uint32_t bar, uint64_t at, uint64_t v, uint32_t bytes)
{
    mn_t *m = f->device;

    (void)bar;
    if (m->gone)
        return;
    if (at >= MN_TABLE && at + bytes <= MN_TABLE + sizeof(m->table))
        mn_table_write(m, at - MN_TABLE, v, bytes);
    else if (bytes != 4)
        mp_complain("a register is written in another width");
    else if (at >= 0x1000)
        mn_bell(m, at, (uint32_t)v);
    else if (at == 0x14)
        mn_set_cc(m, (uint32_t)v);
    else if ((m->cc & 1) != 0 || (at == 0xc && mn_msix_on(m)))
        mp_complain("a register is written while it must not");
    else if (at == 0x24)
        m->aqa = (uint32_t)v;
    else if (at == 0x28 || at == 0x2c)
        mn_half(&m->asq, at == 0x2c, v);
    else if (at == 0x30 || at == 0x34)
        mn_half(&m->acq, at == 0x34, v);
    else if (at != 0xc)
        mp_complain("a register that cannot be written");
}

/* Plugging in. ------------------------------------------------------------- */

/* What every test begins with. */
static mn_t mn_plain(uint8_t *image, uint64_t bytes)
{
    return (mn_t){.mqes = 2047,
                  .timeout = 15,
                  .n_vectors = 4,
                  .blocks = bytes / 512,
                  .block_bits = 9,
                  .mdts = 7,
                  .sqes = 0x66,
                  .cqes = 0x44,
                  .cache = true,
                  .image = image,
                  .fail_opcode = 0xff,
                  .serial = "MODEL-N",
                  .eager = true};
}

static void mn_plug(mn_t *m, uint64_t base, uint8_t dev)
{
    mp_func_t *f = mp_add(0, dev, 0);

    m->func = f;
    f->device = m;
    f->read = mn_read;
    f->write = mn_write;
    mp_identity(f, 0x1b36, 0x10, 0x01080202u);
    mp_bar(f, 0, base, MN_BAR_BYTES, 4);
    mp_put(f, 6, m->no_msix ? 0 : 0x10, 2);
    mp_put(f, 0x34, MN_CAP_MSIX, 1);
    mp_put(f, MN_CAP_MSIX, 0x11u | (m->n_vectors - 1) << 16, 4);
    mp_put(f, MN_CAP_MSIX + 4, MN_TABLE, 4);
    memset(m->table, 0xff, sizeof(m->table));
    gmk_hal_park_init(&m->park);
}

#endif

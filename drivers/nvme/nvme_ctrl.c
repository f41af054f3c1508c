/* SPDX-License-Identifier: MIT
 * An NVMe controller. Floor: drivers. See nvme_ctrl.h.
 * Source: NVM Express 1.4 sections 3.1 (registers), 4.1 (queues), 4.6 (completions), 5.3-5.21
 * (admin commands), 7.6.1 (initialization). */
#include "drivers/nvme/nvme_ctrl.h"

#include "drivers/nvme/nvme.h"

enum { REG_CAP = 0, REG_INTMS = 0x0c, REG_CC = 0x14, REG_CSTS = 0x1c, REG_AQA = 0x24 };
enum { REG_ASQ = 0x28, REG_ACQ = 0x30, REG_BELLS = 0x1000 };

#define CAP_TO_NS 500000000ull
#define CAP_CSS_NVM ((uint64_t)1 << 37)
#define CC_ON 0x00460001u /* entries of 64 and 16 bytes, NVM commands, 4 KiB pages, enabled */
#define CC_ENABLE 1u
#define CSTS_READY 1u
#define CSTS_FATAL 2u
#define GONE UINT32_MAX

#define ADMIN_ENTRIES 16u
#define ADMIN_NS 5000000000ull
#define RETIRE_NS 500000000ull

enum { OP_DELETE_SQ = 0, OP_CREATE_SQ = 1, OP_DELETE_CQ = 4, OP_CREATE_CQ = 5 };
enum { OP_IDENTIFY = 6, OP_SET_FEATURES = 9 };
enum { CNS_NAMESPACE = 0, CNS_CONTROLLER = 1, CNS_ACTIVE = 2 };
enum { FEATURE_QUEUES = 7 };

static uint32_t reg(const nvme_ctrl_t *c, uint32_t at) { return dev_read32(c->reg + at); }

/* By halves, low first: some controllers know no wider access. */
static void set_reg64(const nvme_ctrl_t *c, uint32_t at, uint64_t v)
{
    dev_write32(c->reg + at, (uint32_t)v);
    dev_write32(c->reg + at + 4, (uint32_t)(v >> 32));
}

/* Queues. ------------------------------------------------------------------------------ */

nvme_cmd_t *nvme_next(nvme_pair_t *p)
{
    nvme_cmd_t *e = &p->sq[p->tail];

    p->tail = p->tail + 1 == p->sq_n ? 0 : p->tail + 1;
    *e = (nvme_cmd_t){.dw = {0}};
    return e;
}

bool nvme_ring(nvme_pair_t *p)
{
    if (p->tail == p->rung)
        return false;
    p->rung = p->tail;
    dev_write32(p->sq_bell, p->tail);
    return true;
}

/* The last word of a completion: identifier, phase, status. The device writes it last. */
static uint32_t last_word(const nvme_pair_t *p)
{
    return gmk_load_acq(&p->cq[p->head].dw[3], GMK_SYS); /* sync: nvme.cq */
}

bool nvme_pending(const nvme_pair_t *p) { return (last_word(p) >> 16 & 1) == p->phase; }

/* How far b is after a on a ring of n. */
static uint32_t ahead(uint32_t a, uint32_t b, uint32_t n) { return b >= a ? b - a : b + n - a; }

int nvme_take(nvme_pair_t *p, nvme_answer_t *a)
{
    uint32_t last = last_word(p);
    uint32_t where;

    if ((last >> 16 & 1) != p->phase)
        return 0;
    /* relaxed: acquired by the last word */
    where = gmk_load_rlx(&p->cq[p->head].dw[2], GMK_SYS);
    a->result = gmk_load_rlx(&p->cq[p->head].dw[0], GMK_SYS); /* relaxed: the same */
    a->head = (uint16_t)where;
    a->queue = (uint16_t)(where >> 16);
    a->id = (uint16_t)last;
    a->status = (uint16_t)(last >> 17 & 0x7ff);
    p->untold++;
    if (++p->head == p->cq_n) {
        p->head = 0;
        p->phase ^= 1;
    }
    /* The device has fetched from where it last was, no further than it was told. */
    if (a->queue != p->number || a->head >= p->sq_n ||
        ahead(p->sq_head, a->head, p->sq_n) > ahead(p->sq_head, p->rung, p->sq_n))
        return -1;
    p->sq_head = a->head;
    return 1;
}

void nvme_told(nvme_pair_t *p)
{
    if (p->untold == 0)
        return;
    p->untold = 0;
    dev_write32(p->cq_bell, p->head);
}

/* Memory: admin queues, a page, I/O queues, lists. ---------------------------------------- */

static size_t whole(size_t bytes) { return (bytes + DEV_PAGE - 1) & ~(size_t)(DEV_PAGE - 1); }

static void pair_at(nvme_ctrl_t *c, nvme_pair_t *p, size_t at)
{
    uint32_t i = c->generation & 1;
    size_t sq = whole(p->sq_n * sizeof(nvme_cmd_t));
    volatile uint8_t *bell = c->reg + REG_BELLS + 2 * p->number * (size_t)c->bell_bytes;

    p->sq = (void *)(c->area[i].mem + at);
    p->sq_phys = c->area[i].phys + at;
    p->cq = (void *)(c->area[i].mem + at + sq);
    p->cq_phys = c->area[i].phys + at + sq;
    p->sq_bell = bell;
    p->cq_bell = bell + c->bell_bytes;
    p->phase = 1;
}

static size_t pair_bytes(uint32_t sq_n, uint32_t cq_n)
{
    return whole(sq_n * sizeof(nvme_cmd_t)) + whole(cq_n * sizeof(nvme_cpl_t));
}

/* Empty queues in the memory of this generation. */
static void lay_out(nvme_ctrl_t *c)
{
    uint32_t i = c->generation & 1;
    size_t at = pair_bytes(ADMIN_ENTRIES, ADMIN_ENTRIES);

    gmk_hal_memset(c->area[i].mem, 0, c->area_bytes);
    c->admin = (nvme_pair_t){.sq_n = ADMIN_ENTRIES, .cq_n = ADMIN_ENTRIES, .number = 0};
    pair_at(c, &c->admin, 0);
    c->page = c->area[i].mem + at;
    c->page_phys = c->area[i].phys + at;
    at += DEV_PAGE;
    c->io = (nvme_pair_t){.sq_n = c->sq_n, .cq_n = c->cq_n, .number = 1};
    pair_at(c, &c->io, at);
    at += pair_bytes(c->sq_n, c->cq_n);
    c->list = (void *)(c->area[i].mem + at);
    c->list_phys = c->area[i].phys + at;
}

static int get_memory(nvme_ctrl_t *c)
{
    c->area_bytes = pair_bytes(ADMIN_ENTRIES, ADMIN_ENTRIES) + DEV_PAGE +
                    pair_bytes(c->sq_n, c->cq_n) + whole((c->sq_n - 1) * sizeof(nvme_list_t));
    for (uint32_t i = 0; i < 2; i++) {
        c->area[i].mem = dev_dma_alloc(c->area_bytes, &c->area[i].phys);
        if (c->area[i].mem == NULL)
            return BLK_E_MEMORY;
    }
    return BLK_OK;
}

/* Opening. --------------------------------------------------------------------------------- */

int nvme_ctrl_open(nvme_ctrl_t *c, const pci_device_t *pci)
{
    uint64_t cap;
    uint32_t most;

    c->pci = pci;
    pci_enable(pci, PCI_CMD_MEMORY | PCI_CMD_MASTER | PCI_CMD_NO_INTX);
    c->reg = pci_map_bar(pci, 0, 0, REG_BELLS);
    if (c->reg == NULL)
        return BLK_E_UNSUPPORTED;
    cap = reg(c, REG_CAP) | (uint64_t)reg(c, REG_CAP + 4) << 32;
    if (cap == UINT64_MAX)
        return BLK_E_BROKEN;
    most = (uint32_t)(cap & 0xffff) + 1;
    if (most < 2 || (cap & CAP_CSS_NVM) == 0 || (cap >> 48 & 15) != 0)
        return BLK_E_UNSUPPORTED; /* no I/O queue, no NVM commands, no pages of 4 KiB */
    c->ready_ns = CAP_TO_NS * ((cap >> 24 & 0xff) != 0 ? cap >> 24 & 0xff : 1);
    c->bell_bytes = 4u << (cap >> 32 & 15);
    c->reg = pci_map_bar(pci, 0, 0, REG_BELLS + 4 * (uint64_t)c->bell_bytes);
    if (c->reg == NULL)
        return BLK_E_UNSUPPORTED;
    c->sq_n = most < NVME_DEPTH + 1 ? most : NVME_DEPTH + 1;
    c->cq_n = most < NVME_CQ_ENTRIES ? most : NVME_CQ_ENTRIES;
    return get_memory(c);
}

/* Entry 0 is the admin queue's, which is polled: it stays masked where there is another. */
bool nvme_ctrl_use_irq(nvme_ctrl_t *c, const dev_msi_t *msi)
{
    if (pci_msix_open(&c->msix, c->pci) != 0)
        return false;
    c->vector = c->msix.n > 1 ? 1 : 0;
    if (pci_msix_set(&c->msix, c->vector, msi) != 0)
        return false;
    c->irq = true;
    nvme_ctrl_mask(c, true);
    pci_msix_enable(&c->msix, true);
    return true;
}

void nvme_ctrl_mask(const nvme_ctrl_t *c, bool masked)
{
    if (c->irq)
        pci_msix_mask(&c->msix, c->vector, masked);
}

void nvme_ctrl_close(nvme_ctrl_t *c)
{
    if (c->pci == NULL)
        return;
    if (c->reg != NULL)
        dev_write32(c->reg + REG_CC, 0);
    pci_disable(c->pci, PCI_CMD_MASTER);
    for (uint32_t i = 0; i < 2; i++) {
        dev_dma_free(c->area[i].mem, c->area_bytes);
        c->area[i].mem = NULL;
    }
}

/* Stopping and starting. --------------------------------------------------------------------- */

enum nvme_health nvme_ctrl_health(const nvme_ctrl_t *c)
{
    uint32_t v = reg(c, REG_CSTS);

    return v == GONE ? NVME_GONE : (v & CSTS_FATAL) != 0 ? NVME_FATAL : NVME_WELL;
}

/* Waits until the controller says that it is ready, or that it is not. */
static int await(const nvme_ctrl_t *c, uint32_t ready)
{
    uint64_t end = dev_now_ns() + c->ready_ns;

    for (;;) {
        bool late = dev_now_ns() >= end;
        uint32_t v = reg(c, REG_CSTS);

        if (v == GONE || (ready != 0 && (v & CSTS_FATAL) != 0))
            return BLK_E_BROKEN;
        if ((v & CSTS_READY) == ready)
            return BLK_OK;
        if (late)
            return BLK_E_BROKEN;
        dev_relax();
    }
}

int nvme_ctrl_stop(nvme_ctrl_t *c)
{
    uint32_t cc = reg(c, REG_CC);

    if (cc == GONE)
        return BLK_E_BROKEN;
    dev_write32(c->reg + REG_CC, cc & ~CC_ENABLE);
    return await(c, 0);
}

int nvme_ctrl_start(nvme_ctrl_t *c)
{
    c->generation++;
    lay_out(c);
    pci_enable(c->pci, PCI_CMD_MASTER);
    if (!c->irq)
        dev_write32(c->reg + REG_INTMS, UINT32_MAX);
    dev_write32(c->reg + REG_AQA, (ADMIN_ENTRIES - 1) << 16 | (ADMIN_ENTRIES - 1));
    set_reg64(c, REG_ASQ, c->admin.sq_phys);
    set_reg64(c, REG_ACQ, c->admin.cq_phys);
    dev_write32(c->reg + REG_CC, CC_ON);
    return await(c, CSTS_READY);
}

/* Admin commands. ------------------------------------------------------------------------------ */

/* Carries one out, by polling. returns: BLK_OK; BLK_E_BROKEN; BLK_E_TIMEOUT; else the end that
 * its status stands for. */
static int admin_within(nvme_ctrl_t *c, const nvme_cmd_t *cmd, uint64_t ns)
{
    uint64_t end = dev_now_ns() + ns;
    uint16_t id = ++c->admin_id & 0x7fff;
    nvme_cmd_t *e = nvme_next(&c->admin);
    nvme_answer_t a;
    int rc;

    *e = *cmd;
    e->dw[0] |= (uint32_t)id << 16;
    (void)nvme_ring(&c->admin);
    for (;;) {
        bool late = dev_now_ns() >= end;

        rc = nvme_take(&c->admin, &a);
        if (rc != 0)
            break;
        if (late)
            return nvme_ctrl_health(c) == NVME_WELL ? BLK_E_TIMEOUT : BLK_E_BROKEN;
        dev_relax();
    }
    if (rc < 0 || a.id != id)
        return BLK_E_BROKEN;
    nvme_told(&c->admin);
    return a.status == 0 ? BLK_OK : nvme_status_of(a.status);
}

static int admin(nvme_ctrl_t *c, const nvme_cmd_t *cmd) { return admin_within(c, cmd, ADMIN_NS); }

void nvme_ctrl_retire(nvme_ctrl_t *c)
{
    nvme_cmd_t sq = {.dw = {OP_DELETE_SQ}};
    nvme_cmd_t cq = {.dw = {OP_DELETE_CQ}};

    sq.dw[10] = cq.dw[10] = c->io.number;
    if ((reg(c, REG_CC) & CC_ENABLE) != 0 && reg(c, REG_CSTS) == CSTS_READY &&
        admin_within(c, &sq, RETIRE_NS) == BLK_OK)
        (void)admin_within(c, &cq, RETIRE_NS); /* a reset follows in any case */
}

static int identify(nvme_ctrl_t *c, uint32_t cns, uint32_t nsid)
{
    nvme_cmd_t cmd = {.dw = {OP_IDENTIFY, nsid}};

    cmd.dw[6] = (uint32_t)c->page_phys;
    cmd.dw[7] = (uint32_t)(c->page_phys >> 32);
    cmd.dw[10] = cns;
    return admin(c, &cmd);
}

int nvme_ctrl_queues(nvme_ctrl_t *c)
{
    nvme_cmd_t ask = {.dw = {OP_SET_FEATURES}};
    nvme_cmd_t cq = {.dw = {OP_CREATE_CQ}};
    nvme_cmd_t sq = {.dw = {OP_CREATE_SQ}};
    int rc;

    ask.dw[10] = FEATURE_QUEUES; /* and dw[11] 0: one of each, which every controller has */
    cq.dw[6] = (uint32_t)c->io.cq_phys;
    cq.dw[7] = (uint32_t)(c->io.cq_phys >> 32);
    cq.dw[10] = (c->io.cq_n - 1) << 16 | c->io.number;
    cq.dw[11] = c->vector << 16 | (c->irq ? 2u : 0) | 1; /* contiguous */
    sq.dw[6] = (uint32_t)c->io.sq_phys;
    sq.dw[7] = (uint32_t)(c->io.sq_phys >> 32);
    sq.dw[10] = (c->io.sq_n - 1) << 16 | c->io.number;
    sq.dw[11] = (uint32_t)c->io.number << 16 | 1;
    rc = admin(c, &ask);
    if (rc == BLK_OK)
        rc = admin(c, &cq);
    return rc == BLK_OK ? admin(c, &sq) : rc;
}

/* What it says of itself. -------------------------------------------------- */

/* Each field is read once. */
static uint8_t field8(const nvme_ctrl_t *c, uint32_t at)
{
    return gmk_load_rlx(&c->page[at], GMK_SYS); /* relaxed: the completion was acquired */
}

static uint32_t field32(const nvme_ctrl_t *c, uint32_t at)
{
    const uint32_t *p = (const void *)(c->page + at);

    return gmk_load_rlx(p, GMK_SYS); /* relaxed: as field8 */
}

static uint64_t field64(const nvme_ctrl_t *c, uint32_t at)
{
    return field32(c, at) | (uint64_t)field32(c, at + 4) << 32;
}

enum { ID_SERIAL = 4, ID_MDTS = 77, ID_SQES = 512, ID_CQES = 513, ID_VWC = 525 };
enum { NS_BLOCKS = 0, NS_FORMATS = 25, NS_FORMAT = 26, NS_PROTECTION = 29, NS_ATTR = 99 };
enum { NS_TABLE = 128 };

static void read_serial(const nvme_ctrl_t *c, nvme_facts_t *f)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < 20; i++) {
        char ch = (char)field8(c, ID_SERIAL + i);

        f->serial[i] = ch >= ' ' && ch <= '~' ? ch : '?';
        if (ch != ' ' && ch != '\0')
            n = i + 1;
    }
    f->serial[n] = '\0';
}

static int read_controller(nvme_ctrl_t *c, nvme_facts_t *f)
{
    uint32_t sizes, mdts;
    int rc = identify(c, CNS_CONTROLLER, 0);

    if (rc != BLK_OK)
        return rc;
    sizes = (uint32_t)field8(c, ID_SQES) << 8 | field8(c, ID_CQES);
    if ((sizes >> 8 & 15) > 6 || sizes >> 12 < 6 || (sizes & 15) > 4 || (sizes >> 4 & 15) < 4)
        return BLK_E_UNSUPPORTED; /* entries of other sizes than everybody's */
    mdts = field8(c, ID_MDTS);
    f->max_pages = mdts == 0 || mdts > 31 ? UINT32_MAX : 1u << mdts;
    f->cache = (field8(c, ID_VWC) & 1) != 0;
    read_serial(c, f);
    return BLK_OK;
}

/* The first namespace that is active; before 1.1 there was no list, and it is number 1. */
static int find_namespace(nvme_ctrl_t *c, nvme_facts_t *f)
{
    int rc = identify(c, CNS_ACTIVE, 0);

    f->nsid = 1;
    if (rc == BLK_E_BROKEN || rc == BLK_E_TIMEOUT)
        return rc;
    if (rc == BLK_OK)
        f->nsid = field32(c, 0);
    return f->nsid != 0 && f->nsid < 0xfffffffeu ? BLK_OK : BLK_E_UNSUPPORTED;
}

static int read_namespace(nvme_ctrl_t *c, nvme_facts_t *f)
{
    uint32_t format, table;
    int rc = identify(c, CNS_NAMESPACE, f->nsid);

    if (rc != BLK_OK)
        return rc;
    format = field8(c, NS_FORMAT);
    format = (format & 15) | (field8(c, NS_FORMATS) > 15 ? format >> 1 & 0x30 : 0);
    table = field32(c, NS_TABLE + 4 * format);
    f->block_bits = table >> 16 & 0xff;
    f->blocks = field64(c, NS_BLOCKS);
    f->read_only = (field8(c, NS_ATTR) & 1) != 0;
    if (f->block_bits < 9 || f->block_bits > 12 || (table & 0xffff) != 0 ||
        (field8(c, NS_PROTECTION) & 7) != 0 || f->blocks == 0 || f->blocks > UINT64_MAX >> 13)
        return BLK_E_UNSUPPORTED;
    return BLK_OK;
}

int nvme_ctrl_ask(nvme_ctrl_t *c, nvme_facts_t *f)
{
    int rc = read_controller(c, f);

    if (rc == BLK_OK)
        rc = find_namespace(c, f);
    return rc == BLK_OK ? read_namespace(c, f) : rc;
}

/* SPDX-License-Identifier: MIT
 * The split virtqueue.
 * Floor: drivers. Indices count without end modulo 65536 and stand for positions modulo the
 * size: idx & (size - 1). Two handshakes need a store before a load, and make the store an
 * exchange: publish, then look whether the device sleeps; listen, then look for an answer.
 * Source: Virtual I/O Device 1.2 section 2.7. */
#include "drivers/virtio/virtio.h"

#define DESC_NEXT 1u
#define DESC_WRITE 2u
#define DESC_INDIRECT 4u
#define AVAIL_NO_INTERRUPT 1u
#define USED_NO_NOTIFY 1u
#define USED_ALIGN 4096u
#define END 0xffffu

static size_t avail_offset(uint32_t size) { return sizeof(vring_desc_t) * size; }

static size_t used_offset(uint32_t size)
{
    /* flags, idx, ring, used_event */
    size_t end = avail_offset(size) + 2 * ((size_t)size + 3);

    return (end + USED_ALIGN - 1) & ~(size_t)(USED_ALIGN - 1);
}

size_t vring_bytes(uint32_t size)
{
    /* flags, idx, ring, avail_event */
    size_t end = used_offset(size) + 6 + sizeof(vring_used_t) * size;

    return (end + DEV_PAGE - 1) & ~(size_t)(DEV_PAGE - 1);
}

/* Where the driver asks for its next interrupt, and the device for its next notice. */
static uint16_t *used_event(const vring_t *r) { return &r->avail->ring[r->size]; }

static const uint16_t *avail_event(const vring_t *r)
{
    return (const uint16_t *)(const void *)&r->used->ring[r->size];
}

void vring_init(vring_t *r, uint32_t size, void *mem, uint64_t phys)
{
    *r = (vring_t){.size = (uint16_t)size, .n_free = (uint16_t)size, .bell = r->bell};
    r->desc = mem;
    r->avail = (void *)((char *)mem + avail_offset(size));
    r->used = (void *)((char *)mem + used_offset(size));
    r->desc_phys = phys;
    r->avail_phys = phys + avail_offset(size);
    r->used_phys = phys + used_offset(size);
    for (uint32_t i = 0; i < size; i++)
        r->next[i] = i + 1 < size ? (uint16_t)(i + 1) : (uint16_t)END;
}

static void fill(vring_desc_t *d, const vring_seg_t *s, bool more, uint16_t next)
{
    d->addr = s->addr;
    d->len = s->len;
    d->flags = (uint16_t)((s->in ? DESC_WRITE : 0u) | (more ? DESC_NEXT : 0u));
    d->next = more ? next : 0;
}

/* Takes one free descriptor. pre: n_free > 0. */
static uint16_t take_desc(vring_t *r)
{
    uint16_t i = r->free_head;

    r->free_head = r->next[i];
    r->n_free--;
    return i;
}

static void fill_table(vring_t *r, uint16_t head, const vring_seg_t *seg, uint32_t n,
                       vring_desc_t *table)
{
    for (uint32_t i = 0; i < n; i++)
        fill(&table[i], &seg[i], i + 1 < n, (uint16_t)(i + 1));
    r->desc[head].len = n * (uint32_t)sizeof(*table);
    r->desc[head].flags = DESC_INDIRECT;
    r->desc[head].next = 0;
    r->chain[head] = 1;
}

static void fill_chain(vring_t *r, uint16_t head, const vring_seg_t *seg, uint32_t n)
{
    uint16_t at = head;

    for (uint32_t i = 0; i < n; i++) {
        uint16_t next = i + 1 < n ? take_desc(r) : 0;

        fill(&r->desc[at], &seg[i], i + 1 < n, next);
        r->next[at] = next;
        at = next;
    }
    r->chain[head] = (uint16_t)n;
}

int vring_add(vring_t *r, const vring_seg_t *seg, uint32_t n, vring_desc_t *table,
              uint64_t table_phys)
{
    uint16_t head;

    if (n == 0 || r->n_free < (table != NULL ? 1 : n))
        return -1;
    head = take_desc(r);
    if (table != NULL) {
        r->desc[head].addr = table_phys;
        fill_table(r, head, seg, n, table);
    } else {
        fill_chain(r, head, seg, n);
    }
    r->avail->ring[r->avail_idx & (r->size - 1)] = head;
    r->avail_idx++;
    r->n_chains++;
    return head;
}

/* Whether the device says that it sleeps and what it has not seen was published since it was
 * last told; then it counts as told. */
static bool must_ring(vring_t *r)
{
    uint16_t now = r->published;
    uint16_t event;
    bool sleeps;

    if (r->event_idx) {
        event = gmk_load_acq(avail_event(r), GMK_SYS); /* sync: virtio.avail */
        sleeps = (uint16_t)(now - event - 1) < (uint16_t)(now - r->rung);
    } else {
        sleeps = now != r->rung && (gmk_load_acq(&r->used->flags, GMK_SYS) & USED_NO_NOTIFY) ==
                                       0; /* sync: virtio.avail */
    }
    if (sleeps)
        r->rung = now;
    return sleeps;
}

bool vring_publish(vring_t *r)
{
    if (r->published == r->avail_idx)
        return false;
    r->published = r->avail_idx;
    /* The device says that it sleeps before it looks at idx once more. */
    gmk_xchg_sc(&r->avail->idx, r->published, GMK_SYS); /* sync: virtio.avail */
    return must_ring(r);
}

bool vring_overslept(vring_t *r) { return r->rung != r->published && must_ring(r); }

bool vring_pending(vring_t *r)
{
    if (r->seen_used == r->last_used)
        r->seen_used = gmk_load_acq(&r->used->idx, GMK_SYS); /* sync: virtio.used */
    return r->seen_used != r->last_used;
}

/* Gives the descriptors of a chain back. */
static void release(vring_t *r, uint16_t head)
{
    uint16_t last = head;

    for (uint16_t i = 1; i < r->chain[head]; i++)
        last = r->next[last];
    r->n_free = (uint16_t)(r->n_free + r->chain[head]);
    r->next[last] = r->free_head;
    r->free_head = head;
    r->chain[head] = 0;
    r->n_chains--;
}

int vring_take(vring_t *r, vring_used_t *out)
{
    const vring_used_t *u;

    if (!vring_pending(r))
        return 0;
    if ((uint16_t)(r->seen_used - r->last_used) > r->n_chains)
        return -1;
    u = &r->used->ring[r->last_used & (r->size - 1)];
    /* each word once: the device may go on writing */
    out->id = gmk_load_rlx(&u->id, GMK_SYS);   /* relaxed: acquired by idx */
    out->len = gmk_load_rlx(&u->len, GMK_SYS); /* relaxed: the same */
    if (out->id >= r->size || r->chain[out->id] == 0)
        return -1;
    r->last_used++;
    release(r, (uint16_t)out->id);
    return 1;
}

/* With event indices the device interrupts when it passes the one named: name one far ahead,
 * and do so as often as the ring is emptied, long before it comes there. (One just behind
 * would do for a device that looks at once; QEMU's I/O threads look after a batch.) */
void vring_quiet(vring_t *r)
{
    if (r->event_idx) /* sync: virtio.listen */
        gmk_store_rel(used_event(r), (uint16_t)(r->last_used + 0x7fff), GMK_SYS);
    else if (!r->quiet) /* sync: virtio.listen */
        gmk_store_rel(&r->avail->flags, (uint16_t)AVAIL_NO_INTERRUPT, GMK_SYS);
    r->quiet = true;
}

bool vring_listen(vring_t *r)
{
    if (r->event_idx)
        gmk_xchg_sc(used_event(r), r->last_used, GMK_SYS); /* sync: virtio.listen */
    else
        gmk_xchg_sc(&r->avail->flags, (uint16_t)0, GMK_SYS); /* sync: virtio.listen */
    r->quiet = false;
    return !vring_pending(r);
}

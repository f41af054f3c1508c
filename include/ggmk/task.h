/* SPDX-License-Identifier: MIT
 * The task record, the only form of work, and the 64-byte queue cell that holds it.
 * Floor: F0, the same bytes on every kernel.
 * Invariants: sizeof(gmk_task_t) == 48, sizeof(gmk_cell_t) == 64, task at 16.
 * Source: SPEC T-1 to T-7, V-34, V-39; ARCHITECTURE R2. */
#ifndef GGMK_TASK_H
#define GGMK_TASK_H

#include "ggmk/base/atomic.h"

typedef struct gmk_task {
    GMK_ALIGNAS(16) uint32_t type; /* handler ID and message type, 1..255 */
    uint16_t flags;                /* GMK_TF_* */
    uint16_t tenant;               /* logical partition */
    uint32_t channel;              /* source channel; 0: direct submit */
    uint32_t seq;                  /* given at enqueue, monotonic per producer */
    uint64_t payload_ptr;          /* valid on the kernel that runs the task */
    uint32_t payload_len;          /* bytes; 0: the message is meta0 and meta1 */
    uint16_t yield_count;          /* counted by the runtime */
    uint16_t _pad;
    uint64_t meta0; /* belongs to the handler */
    uint64_t meta1; /* belongs to the handler */
} gmk_task_t;

GMK_STATIC_ASSERT(sizeof(gmk_task_t) == 48, "the task record is 48 bytes on every kernel");

/* gmk_task_t.flags */
#define GMK_TF_PRIORITY_MASK 0x0003u
#define GMK_TF_DETERMINISTIC 0x0004u
#define GMK_TF_IDEMPOTENT 0x0008u
#define GMK_TF_EMIT_TRACE 0x0010u
#define GMK_TF_CHANNEL_MSG 0x0020u /* set by the runtime on channel delivery */
#define GMK_TF_PAYLOAD_RC 0x0040u  /* the payload has a reference-count header */
/* Runtime-only bits: cleared from every task that a user hands over. */
#define GMK_TF_RUNTIME_MASK 0xff80u
#define GMK_TF_ACTIVATION 0x8000u /* drains a module's mailboxes; not work of its own */
#define GMK_TF_BOUND 0x4000u      /* addressed to one worker: never stolen */

/* Priorities, 0 the most urgent. A zeroed task is GMK_PRIO_CRITICAL. */
enum { GMK_PRIO_CRITICAL = 0, GMK_PRIO_HIGH = 1, GMK_PRIO_NORMAL = 2, GMK_PRIO_LOW = 3 };
#define GMK_N_PRIO 4
#define GMK_PRIORITY(flags) ((uint32_t)((flags)&GMK_TF_PRIORITY_MASK))
#define GMK_SET_PRIORITY(flags, p)                                                                 \
    ((uint16_t)(((flags) & ~GMK_TF_PRIORITY_MASK) | ((uint32_t)(p)&GMK_TF_PRIORITY_MASK)))

/* System message types; user types are 1..239. */
#define GMK_TYPE_ANY 0u
#define GMK_TYPE_SYS_FIRST 240u
#define GMK_TYPE_SYS_DROPPED 240u
#define GMK_TYPE_SYS_ERROR 241u
#define GMK_TYPE_SYS_TRACE 242u
#define GMK_TYPE_SYS_TICK 243u
#define GMK_TYPE_SYS_HEARTBEAT 244u

/* One line: the turn word of its ring, what the runtime keeps beside a task, the task. */
typedef struct gmk_cell {
    GMK_ALIGNAS(64) gmk_a32_t turn;
    uint16_t sub;      /* subscription index; 0: direct */
    uint16_t retries;  /* how often the handler asked for a retry */
    uint64_t chan_seq; /* position in the channel, from 1; 0: no channel */
    gmk_task_t task;
} gmk_cell_t;

GMK_STATIC_ASSERT(sizeof(gmk_cell_t) == 64, "a cell is one line");
GMK_STATIC_ASSERT(offsetof(gmk_cell_t, task) == 16, "the task stands at 16");

/* Copies what a cell carries and leaves the destination's turn word alone. */
GMK_FN void gmk_cell_copy(gmk_cell_t *to, const gmk_cell_t *from)
{
    to->sub = from->sub;
    to->retries = from->retries;
    to->chan_seq = from->chan_seq;
    to->task = from->task;
}

/* One of the six words of a task, moved through a register of its own. */
GMK_FN uint64_t gmk_task_word(const gmk_task_t *t, uint32_t i)
{
    uint64_t w;

    __builtin_memcpy(&w, (const char *)t + (size_t)8 * i, 8);
    GMK_KEEP_WORD(w);
    return w;
}

GMK_FN void gmk_task_set_word(gmk_task_t *t, uint32_t i, uint64_t w)
{
    GMK_KEEP_WORD(w);
    __builtin_memcpy((char *)t + (size_t)8 * i, &w, 8);
}

/* A task's first word: type, flags, tenant. */
GMK_FN uint64_t gmk_task_head(uint32_t type, uint32_t flags, uint32_t tenant)
{
    return type | (uint64_t)flags << 32 | (uint64_t)tenant << 48;
}

/* Writes direct task t into a cell, word by word, so that a load of any of them is served
 * from its store: head and seq as given, channel, yield count and what stands beside the
 * task zero. */
GMK_FN void gmk_cell_write_as(gmk_cell_t *to, const gmk_task_t *t, uint64_t head, uint32_t seq)
{
    to->sub = 0;
    to->retries = 0;
    to->chan_seq = 0;
    gmk_task_set_word(&to->task, 0, head);
    gmk_task_set_word(&to->task, 1, (uint64_t)seq << 32);
    gmk_task_set_word(&to->task, 2, t->payload_ptr);
    gmk_task_set_word(&to->task, 3, t->payload_len);
    gmk_task_set_word(&to->task, 4, t->meta0);
    gmk_task_set_word(&to->task, 5, t->meta1);
}

/* The same with the task's own head, but for its flags. */
GMK_FN void gmk_cell_write(gmk_cell_t *to, const gmk_task_t *t, uint32_t flags, uint32_t seq)
{
    gmk_cell_write_as(to, t, gmk_task_head(t->type, flags & 0xffff, t->tenant), seq);
}

#endif

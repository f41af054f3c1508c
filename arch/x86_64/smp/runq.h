/* SPDX-License-Identifier: MIT
 * The private side of threads: the record of one, and a processor's queue.
 * Floor: arch. Source: SPEC BM-21. */
#ifndef X86_RUNQ_H
#define X86_RUNQ_H

#include "arch/x86_64/cpu/lock.h"
#include "arch/x86_64/smp/thread.h"

enum { RUNNING, READY, BLOCKED, DONE };

/* A guarded call under way: what it needs to come back. Offsets are known to switch.S. */
typedef struct x86_guard {
    uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip;
    struct x86_guard *outer;
    const volatile uint32_t *inside;
    uint32_t holds; /* when it began */
} x86_guard_t;

struct x86_thread {
    uint64_t rsp; /* while it does not run; what it saved lies there */
    x86_cpu_t *cpu;
    x86_thread_t *next;    /* in the run queue */
    x86_thread_t *sleeper; /* next to be due */
    uint64_t due_ns;       /* X86_FOREVER: it does not sleep */
    uint32_t state;        /* under the queue's lock */
    uint32_t holds;        /* its own */
    x86_guard_t *guard;
    const gmk_a32_t *parked_on; /* under the lock of its bucket */
    x86_thread_t *parked_next;
    void *(*fn)(void *);
    void *arg;
    uint8_t *stack; /* lowest byte; null: not ours */
    size_t stack_bytes;
    gmk_hal_park_t gone; /* woken when it has left its stack */
};

typedef struct x86_runq {
    x86_lock_t lock;
    x86_thread_t *head, *tail;        /* ready */
    x86_thread_t *sleepers;           /* by due_ns */
    gmk_a32_t n_ready;                /* written under the lock, read by x86_relax without */
    gmk_a32_t idle;                   /* it halts, or is about to; written under the lock */
    uint64_t turn_ends_ns;            /* of the running thread, while others are ready */
    uint64_t asked_ns;                /* x86_timer_within */
    uint64_t armed_ns;                /* the timer rings then; X86_FOREVER: not */
    bool turn_over;                   /* of this processor */
    uint64_t relax_began, relax_last; /* since when its threads do nothing but x86_relax */
    uint64_t patience_ns;             /* for how long they may */
    x86_thread_t idle_thread;
    x86_thread_t *left; /* has ended; to be told so once its stack is left */
    x86_load_t load;
    gmk_a32_t n_started;
} x86_runq_t;

/* Saves the callee-saved registers and the stack pointer in *save, goes on where load was
 * saved. switch.S. */
void x86_ctx_switch(uint64_t *save, uint64_t load);
/* Where a new thread starts; switch.S. */
void x86_thread_entry(void);
/* Calls fn(arg), under *g; returns 0, or what x86_guard_fault was told. switch.S. */
uint32_t x86_guard_enter(x86_guard_t *g, void (*fn)(void *), void *arg);

#endif

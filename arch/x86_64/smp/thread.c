/* SPDX-License-Identifier: MIT
 * Threads of a processor: run queue, sleepers, turns, halting.
 * Floor: arch. thread.h has the rules.
 * Everything that changes a queue holds its lock, and so has interrupts off.
 * Source: SPEC HAL-7, BM-21. */
#include "arch/x86_64/smp/thread.h"

#include "arch/x86_64/cpu/clock.h"
#include "arch/x86_64/cpu/lapic.h"
#include "arch/x86_64/cpu/panic.h"
#include "arch/x86_64/memory/memops.h"
#include "arch/x86_64/memory/tlb.h"
#include "arch/x86_64/memory/vmm.h"
#include "arch/x86_64/smp/runq.h"
#include "ggmk/base/bits.h"

#define TURN_NS 500000u       /* of one thread while others of its processor wait */
#define RELAX_GAP_NS 3000u    /* calls of x86_relax this close have nothing done between them */
#define RELAX_AWAY_NS 500000u /* and this far apart: it worked long, or the host ran others */
#define RELAX_PATIENCE_MIN_NS 400000u
#define RELAX_PATIENCE_MAX_NS 2000000u
#define RELAX_SLEEP_NS 50000u
#define BUCKETS 64u
#define MAX_ARM_NS 1000000000u /* the timer counts 32 bits */

void x86_thread_main(x86_thread_t *t); /* called by ctx_switch.S */

static x86_runq_t runqs[X86_MAX_CPUS];

static x86_runq_t *my_runq(void) { return x86_cpu_self()->runq; }

void x86_lock_waits(void)
{
    tlb_poll();
    x86_spin();
}

/* The timer. ----------------------------------------------------------------------- */

/* Arms it for the first of what is due; an earlier ring than needed stands. pre: locked. */
static void arm(x86_runq_t *q)
{
    uint64_t at = q->asked_ns, now, ns;

    if (q->sleepers != NULL && q->sleepers->due_ns < at)
        at = q->sleepers->due_ns;
    if (q->head != NULL && !q->idle && q->turn_ends_ns < at)
        at = q->turn_ends_ns;
    if (at >= q->armed_ns)
        return;
    now = clock_now_ns();
    ns = at > now ? at - now : 1;
    if (ns > MAX_ARM_NS)
        ns = MAX_ARM_NS;
    q->armed_ns = now + ns;
    ns = ns * lapic_get_ticks_per_ms() / 1000000 + 1;
    lapic_timer_arm(ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX);
}

static void sleep_insert(x86_runq_t *q, x86_thread_t *t)
{
    x86_thread_t **at = &q->sleepers;

    while (*at != NULL && (*at)->due_ns <= t->due_ns)
        at = &(*at)->sleeper;
    t->sleeper = *at;
    *at = t;
}

static void sleep_remove(x86_runq_t *q, x86_thread_t *t)
{
    x86_thread_t **at = &q->sleepers;

    if (t->due_ns == X86_FOREVER)
        return;
    while (*at != t)
        at = &(*at)->sleeper;
    *at = t->sleeper;
    t->due_ns = X86_FOREVER;
}

/* The queue. ----------------------------------------------------------------------- */

static void push(x86_runq_t *q, x86_thread_t *t)
{
    uint32_t n = gmk_load_rlx(&q->n_ready, GMK_DEV); /* relaxed: written under the lock only */

    if (n == 0)
        q->turn_ends_ns = clock_now_ns() + TURN_NS;
    t->state = READY;
    t->next = NULL;
    if (q->head == NULL)
        q->head = t;
    else
        q->tail->next = t;
    q->tail = t;
    gmk_store_rlx(&q->n_ready, n + 1, GMK_DEV); /* relaxed: a hint to x86_relax */
}

static x86_thread_t *pop(x86_runq_t *q)
{
    x86_thread_t *t = q->head;

    if (t == NULL)
        return NULL;
    q->head = t->next;
    gmk_store_rlx(&q->n_ready, gmk_load_rlx(&q->n_ready, GMK_DEV) - 1, GMK_DEV); /* relaxed: so */
    if (q->head != NULL)
        q->turn_ends_ns = clock_now_ns() + TURN_NS;
    t->state = RUNNING;
    return t;
}

/* Makes a blocked thread ready. Its processor is told if it halts, or if it did not know that
 * it has to share. pre: locked. */
static void make_ready(x86_runq_t *q, x86_thread_t *t)
{
    bool first = q->head == NULL;

    if (t->state != BLOCKED)
        return;
    sleep_remove(q, t);
    push(q, t);
    if (t->cpu == x86_cpu_self()) {
        arm(q);
    } else if (q->idle || first) {
        gmk_store_rlx(&q->idle, 0, GMK_DEV); /* relaxed: under the lock; one interrupt is enough */
        lapic_send_ipi(t->cpu->apic_id, X86_VECTOR_WAKE);
    }
}

static void wake(x86_thread_t *t)
{
    x86_runq_t *q = t->cpu->runq;
    uint64_t flags = x86_lock_irq(&q->lock);

    make_ready(q, t);
    x86_unlock_irq(&q->lock, flags);
}

/* Switching. ------------------------------------------------------------------------ */

/* The first thing on the stack of a thread that goes on: who has ended there is told. */
static void after_switch(void)
{
    x86_runq_t *q = my_runq();
    x86_thread_t *t = q->left;

    q->left = NULL;
    if (t != NULL)
        gmk_hal_park_wake(&t->gone);
}

static void switch_to(x86_runq_t *q, x86_thread_t *from, x86_thread_t *to)
{
    q->load.n_switches++;
    if (from->state == DONE)
        q->left = from;
    x86_cpu_self()->current = to;
    x86_ctx_switch(&from->rsp, to->rsp);
    after_switch();
}

/* Sleeps until an interrupt. pre: locked, nothing is ready; returns locked. */
static void halt(x86_runq_t *q)
{
    uint64_t t0;

    gmk_store_rlx(&q->idle, 1, GMK_DEV); /* relaxed: under the lock */
    arm(q);
    x86_unlock_irq(&q->lock, 0);
    t0 = clock_now_ns();
    x86_halt_once();
    q->load.n_halts++;
    q->load.halted_ns += clock_now_ns() - t0;
    x86_lock_irq(&q->lock);
    gmk_store_rlx(&q->idle, 0, GMK_DEV); /* relaxed: under the lock */
}

/* Gives the processor to the next ready thread. The caller, if RUNNING, goes on when nobody
 * waits, else to the end of the line, under one hold of the lock: who left it in neither would
 * be lost. If not RUNNING it stays until it is woken, and halts in place while nobody else
 * wants to run. pre: interrupts off. */
static void schedule(void)
{
    x86_runq_t *q = my_runq();
    x86_thread_t *me = x86_thread_self(), *next = NULL;

    x86_lock_irq(&q->lock);
    if (me->state == RUNNING && (q->head == NULL || me == &q->idle_thread))
        next = me;
    else if (me->state == RUNNING)
        push(q, me);
    while (next == NULL && (next = pop(q)) == NULL) {
        if (me->state == DONE)
            next = &q->idle_thread;
        else
            halt(q);
    }
    q->turn_over = false;
    arm(q);
    x86_unlock_irq(&q->lock, 0);
    if (next != me)
        switch_to(q, me, next);
}

/* All threads of a processor count together: those that wait in turns for what another
 * processor does keep the host from running that one, as one alone does. How long until they
 * sleep: short where the host seems to share this processor, longer with each sleep that
 * nothing of that was seen, since what waits may be quick hand-overs of work. */
void x86_relax(void)
{
    x86_runq_t *q = my_runq();
    uint64_t now = clock_now_ns(), flags;

    if (now - q->relax_last > RELAX_AWAY_NS)
        q->patience_ns = RELAX_PATIENCE_MIN_NS;
    if (now - q->relax_last > RELAX_GAP_NS)
        q->relax_began = now;
    q->relax_last = now;
    if (now - q->relax_began >= q->patience_ns) {
        q->patience_ns = gmk_min64(2 * q->patience_ns, RELAX_PATIENCE_MAX_NS);
        x86_sleep_ns(RELAX_SLEEP_NS);
        q->relax_last = clock_now_ns(); /* patience begins anew: the guess may be wrong */
        q->relax_began = q->relax_last;
        return;
    }
    if (gmk_load_rlx(&q->n_ready, GMK_DEV) == 0) { /* relaxed: looked at again, locked */
        x86_spin();
        return;
    }
    flags = x86_irq_save();
    schedule();
    x86_irq_restore(flags);
}

/* Waiting. -------------------------------------------------------------------------- */

/* pre: interrupts off. The caller says by *word whether it may sleep after all. */
static void block(uint64_t timeout_ns)
{
    x86_runq_t *q = my_runq();
    x86_thread_t *me = x86_thread_self();
    uint64_t now = clock_now_ns();

    x86_lock_irq(&q->lock);
    me->state = BLOCKED;
    if (timeout_ns < X86_FOREVER - now) { /* else for ever, or as good as that */
        me->due_ns = now + timeout_ns;
        sleep_insert(q, me);
    }
    x86_unlock_irq(&q->lock, 0);
}

void x86_sleep_ns(uint64_t ns)
{
    uint64_t flags = x86_irq_save();

    block(ns);
    schedule();
    x86_irq_restore(flags);
}

/* Who waits on which word stands in a table by address, as with a futex: a waker touches the
 * word no more once it has changed it, since its owner may be gone by then. The waiter is
 * counted before it looks at the word, the word changed before the count is looked at, both by
 * locked instructions: one of the two sees the other. */
typedef struct bucket {
    x86_lock_t lock;
    gmk_a32_t n;
    x86_thread_t *first;
} bucket_t;

static bucket_t buckets[BUCKETS];

static bucket_t *bucket_of(const gmk_a32_t *word)
{
    return &buckets[(uint32_t)((uintptr_t)word * 0x9e3779b97f4a7c15ull >> 32) % BUCKETS];
}

static void unlist(bucket_t *b, x86_thread_t *t)
{
    x86_thread_t **at = &b->first;

    while (*at != t)
        at = &(*at)->parked_next;
    *at = t->parked_next;
    gmk_sub_rlx(&b->n, 1, GMK_DEV); /* relaxed: under the lock; too many only costs a look */
}

/* At the end of the list: who has waited longest is woken first. */
static void enlist(bucket_t *b, x86_thread_t *t, const gmk_a32_t *word)
{
    x86_thread_t **at = &b->first;

    while (*at != NULL)
        at = &(*at)->parked_next;
    t->parked_on = word;
    t->parked_next = NULL;
    *at = t;
}

void x86_wait(const gmk_a32_t *word, uint32_t seen, uint64_t timeout_ns)
{
    x86_thread_t *me = x86_thread_self();
    bucket_t *b = bucket_of(word);
    uint64_t flags;

    if (timeout_ns == 0)
        return;
    flags = x86_lock_irq(&b->lock);
    gmk_add_sc(&b->n, 1, GMK_DEV);             /* sync: x86.park */
    if (gmk_load_acq(word, GMK_DEV) != seen) { /* sync: hal.park */
        gmk_sub_rlx(&b->n, 1, GMK_DEV);        /* relaxed: under the lock */
        x86_unlock_irq(&b->lock, flags);
        return;
    }
    enlist(b, me, word);
    block(timeout_ns);
    x86_unlock_irq(&b->lock, 0);
    schedule();
    x86_lock_irq(&b->lock); /* and so whoever woke it is through with it */
    if (me->parked_on != NULL)
        unlist(b, me);
    me->parked_on = NULL;
    x86_unlock_irq(&b->lock, flags);
}

void x86_wake(const gmk_a32_t *word, uint32_t n)
{
    bucket_t *b = bucket_of(word);
    x86_thread_t *t, *next;
    uint64_t flags;

    if (gmk_load_acq(&b->n, GMK_DEV) == 0) /* sync: x86.park */
        return;
    flags = x86_lock_irq(&b->lock);
    for (t = b->first; t != NULL && n != 0; t = next) {
        next = t->parked_next;
        if (t->parked_on != word)
            continue;
        unlist(b, t);
        t->parked_on = NULL;
        wake(t);
        n--;
    }
    x86_unlock_irq(&b->lock, flags);
}

/* Life. ----------------------------------------------------------------------------- */

void x86_threads_init(uintptr_t stack, size_t stack_bytes)
{
    x86_cpu_t *cpu = x86_cpu_self();
    x86_runq_t *q = &runqs[cpu->index];
    x86_thread_t *t = &q->idle_thread;

    q->armed_ns = X86_FOREVER;
    q->asked_ns = X86_FOREVER;
    t->cpu = cpu;
    t->state = RUNNING;
    t->due_ns = X86_FOREVER;
    t->stack = (uint8_t *)stack;
    t->stack_bytes = stack_bytes;
    cpu->runq = q;
    cpu->current = t;
}

void x86_idle(void)
{
    x86_cli();
    for (;;) {
        x86_runq_t *q = my_runq();

        x86_lock_irq(&q->lock);
        x86_thread_self()->state = BLOCKED;
        x86_unlock_irq(&q->lock, 0);
        schedule();
    }
}

void x86_thread_main(x86_thread_t *t)
{
    after_switch();
    x86_sti();
    t->fn(t->arg);
    x86_cli();
    t->state = DONE; /* nobody looks at the state of one that is not in a queue */
    schedule();
    PANIC("a thread that has ended runs on");
}

/* What x86_ctx_switch takes off a new thread's stack. */
static void fill_stack(x86_thread_t *t)
{
    uint64_t *top = (uint64_t *)(t->stack + t->stack_bytes);

    *--top = 0; /* the end for whoever follows the frames; and alignment */
    *--top = (uintptr_t)x86_thread_entry;
    *--top = 0;            /* rbp */
    *--top = (uintptr_t)t; /* rbx */
    for (uint32_t i = 0; i < 4; i++)
        *--top = 0;
    t->rsp = (uintptr_t)top;
}

int x86_thread_start(x86_thread_t **out, uint32_t cpu, void *(*fn)(void *), void *arg)
{
    x86_thread_t *t;

    if (cpu >= x86_n_cpus ||
        gmk_load_acq(&x86_cpus[cpu].online, GMK_DEV) == 0) /* sync: x86.online */
        return -1;
    t = kmalloc(sizeof(*t));
    if (t == NULL)
        return -1;
    *t = (x86_thread_t){.cpu = &x86_cpus[cpu], .fn = fn, .arg = arg, .state = BLOCKED};
    t->due_ns = X86_FOREVER;
    t->stack_bytes = X86_THREAD_STACK;
    t->stack = vmm_area_alloc(t->stack_bytes, 0, VMM_GUARD | VMM_POPULATE);
    if (t->stack == NULL) {
        kfree(t, sizeof(*t));
        return -1;
    }
    fill_stack(t);
    gmk_add_rlx(&t->cpu->runq->n_started, 1, GMK_DEV); /* relaxed: a hint where to start more */
    *out = t;
    wake(t);
    return 0;
}

void x86_thread_join(x86_thread_t *t)
{
    uint32_t word;

    while ((word = gmk_load_acq(&t->gone.word, GMK_DEV)) == 0) /* sync: hal.park */
        gmk_hal_park_wait(&t->gone, word, X86_FOREVER);
    gmk_sub_rlx(&t->cpu->runq->n_started, 1, GMK_DEV); /* relaxed: a hint */
    vmm_area_free(t->stack, t->stack_bytes);
    kfree(t, sizeof(*t));
}

uint32_t x86_least_loaded(void)
{
    uint32_t best = 0, least = UINT32_MAX;

    for (uint32_t i = 0; i < x86_n_cpus; i++) {
        uint32_t n = gmk_load_rlx(&x86_cpus[i].runq->n_started, GMK_DEV); /* relaxed: a hint */

        if (n < least) {
            least = n;
            best = i;
        }
    }
    return best;
}

void x86_hold(void) { x86_thread_self()->holds++; }

void x86_drop(void)
{
    x86_thread_t *me = x86_thread_self();
    uint64_t flags;

    if (--me->holds != 0 || !my_runq()->turn_over || !x86_irq_enabled())
        return;
    flags = x86_irq_save();
    schedule();
    x86_irq_restore(flags);
}

/* Traps. ---------------------------------------------------------------------------- */

void x86_thread_on_timer(void)
{
    x86_runq_t *q = my_runq();
    uint64_t flags, now;

    if (q == NULL)
        return;
    flags = x86_lock_irq(&q->lock);
    now = clock_now_ns();
    q->armed_ns = X86_FOREVER;
    if (q->asked_ns <= now)
        q->asked_ns = X86_FOREVER;
    while (q->sleepers != NULL && q->sleepers->due_ns <= now)
        make_ready(q, q->sleepers);
    if (q->head != NULL && now >= q->turn_ends_ns) {
        q->turn_over = true;
        q->turn_ends_ns = now + TURN_NS; /* once more if the thread holds on */
    }
    arm(q);
    x86_unlock_irq(&q->lock, flags);
}

void x86_thread_on_wake(void)
{
    x86_runq_t *q = my_runq();
    uint64_t flags;

    if (q == NULL)
        return;
    flags = x86_lock_irq(&q->lock);
    arm(q);
    x86_unlock_irq(&q->lock, flags);
}

void x86_thread_after_interrupt(void)
{
    x86_cpu_t *cpu = x86_cpu_self();
    x86_thread_t *me = cpu->current;

    if (me != NULL && cpu->interrupts == 0 && cpu->runq->turn_over && me->state == RUNNING &&
        me->holds == 0 && me != &cpu->runq->idle_thread)
        schedule();
}

void x86_timer_within(uint64_t ns)
{
    x86_runq_t *q = my_runq();
    uint64_t flags = x86_lock_irq(&q->lock);

    q->asked_ns = gmk_min64(q->asked_ns, clock_now_ns() + ns);
    arm(q);
    x86_unlock_irq(&q->lock, flags);
}

bool x86_thread_overflowed(uintptr_t address)
{
    const x86_thread_t *t = x86_thread_self();

    return t != NULL && t->stack != NULL && address - ((uintptr_t)t->stack - 4096) < 4096;
}

bool x86_guard_fault(x86_frame_t *f, uint32_t what)
{
    x86_thread_t *t = x86_thread_self();
    x86_guard_t *g = t != NULL ? t->guard : NULL;

    if (g == NULL || *g->inside != 0 || t->holds != g->holds || t->cpu->interrupts != 0 ||
        (f->rflags & X86_RFLAGS_IF) == 0)
        return false;
    t->guard = g->outer;
    f->rbx = g->rbx;
    f->rbp = g->rbp;
    f->r12 = g->r12;
    f->r13 = g->r13;
    f->r14 = g->r14;
    f->r15 = g->r15;
    f->rsp = g->rsp;
    f->rip = g->rip;
    f->rax = what;
    f->rflags = X86_RFLAGS_IF | 2;
    return true;
}

bool x86_cpu_halts(uint32_t cpu)
{
    return gmk_load_rlx(&runqs[cpu].idle, GMK_DEV) != 0; /* relaxed: old at once */
}

void x86_get_load(uint32_t cpu, x86_load_t *out)
{
    const x86_runq_t *q = &runqs[cpu];

    *out = q->load;
    out->n_threads = gmk_load_rlx(&q->n_started, GMK_DEV); /* relaxed: a statistic */
}

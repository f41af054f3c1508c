/* SPDX-License-Identifier: MIT
 * The simulated machine: scheduler, clock, faults, and the port contract on them.
 * Floor: HAL. A fiber is runnable when what it waits for has happened; the scheduler
 * looks at all of them at each switch and picks one by the seed.
 * Source: ARCHITECTURE R14. */
#define _GNU_SOURCE
#include "sim.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "ggmk/base/bits.h"
#include "guard.h"

#define MAX_FIBERS 192u
#define STACK_BYTES (256u << 10)
#define STEP_NS 20u

enum wait { RUNS, PARKED, LOCKED, JOINS, ENDED, UNUSED };

typedef struct fiber {
    ucontext_t ctx;
    enum wait wait;
    const gmk_hal_park_t *park;
    uint32_t seen;
    uint64_t deadline;
    const gmk_hal_lock_t *lock;
    uint32_t joins; /* fiber index */
    void *(*fn)(void *);
    void *arg;
    char *stack;
    gmk_guard_self_t guard; /* while another one runs */
} fiber_t;

static fiber_t fibers[MAX_FIBERS];
static uint32_t n_fibers;
static uint32_t current;
static gmk_sim_cfg_t cfg;
static uint64_t rng = 1;
static uint64_t clock_ns = 1000000000;
static uint64_t switches;
static uint32_t drawn = 1;

uint32_t gmk_sim_countdown = 1u << 30;

static uint32_t draw(uint32_t n) { return (uint32_t)(gmk_rand_next(&rng) >> 32) % n; }

uint64_t gmk_sim_switches(void) { return switches; }

static void rearm(void)
{
    drawn = 1 + draw(2 * cfg.run_length);
    gmk_sim_countdown = drawn;
}

bool gmk_sim_fault(int kind)
{
    uint32_t rate = kind == GMK_FAULT_ALLOC ? cfg.alloc_faults : cfg.queue_faults;

    return rate != 0 && draw(1000000) < rate;
}

static bool runnable(const fiber_t *f)
{
    switch (f->wait) {
    case RUNS:
        return true;
    case PARKED:
        return f->park->word != f->seen || f->deadline <= clock_ns;
    case LOCKED:
        return !f->lock->held;
    case JOINS:
        return fibers[f->joins].wait == ENDED;
    default:
        return false;
    }
}

static void die(int status, const char *what)
{
    printf("sim: %s; seed %llu, %llu switches, time %llu ns\n", what, (unsigned long long)cfg.seed,
           (unsigned long long)switches, (unsigned long long)clock_ns);
    for (uint32_t i = 0; i < n_fibers; i++)
        if (fibers[i].wait != UNUSED && fibers[i].wait != ENDED)
            printf("  fiber %u: %s\n", i,
                   fibers[i].wait == PARKED   ? "parked"
                   : fibers[i].wait == LOCKED ? "waits for a lock"
                   : fibers[i].wait == JOINS  ? "joins another"
                                              : "runs");
    fflush(stdout);
    _Exit(status);
}

/* Moves the clock to the next deadline, if there is one. */
static bool advance(void)
{
    uint64_t next = GMK_HAL_FOREVER;

    for (uint32_t i = 0; i < n_fibers; i++)
        if (fibers[i].wait == PARKED)
            next = gmk_min64(next, fibers[i].deadline);
    if (next == GMK_HAL_FOREVER)
        return false;
    clock_ns = gmk_max64(clock_ns, next);
    return true;
}

static uint32_t pick(void)
{
    uint32_t n = 0;
    uint32_t choice = 0;

    for (uint32_t i = 0; i < n_fibers; i++)
        if (runnable(&fibers[i]) && draw(++n) == 0)
            choice = i;
    return n != 0 ? choice : MAX_FIBERS;
}

void gmk_sim_switch(void)
{
    uint32_t me = current;
    uint32_t next;

    clock_ns += (uint64_t)drawn * STEP_NS;
    switches++;
    if (cfg.max_switches != 0 && switches > cfg.max_switches)
        die(4, "too many switches: no progress");
    while ((next = pick()) == MAX_FIBERS)
        if (!advance())
            die(3, "deadlock: every fiber waits, and for nothing that is due");
    rearm();
    fibers[next].wait = RUNS;
    if (next == me)
        return;
    fibers[me].guard = gmk_guard_self;
    gmk_guard_self = fibers[next].guard;
    current = next;
    swapcontext(&fibers[me].ctx, &fibers[next].ctx);
}

void gmk_sim_pause(void) { gmk_sim_switch(); }

void gmk_sim_run(const gmk_sim_cfg_t *c, void (*fn)(void *), void *arg)
{
    static const uint32_t lengths[] = {1, 2, 5, 20, 100};

    cfg = *c;
    rng = (cfg.seed + 1) * 0x9e3779b97f4a7c15ull | 1;
    for (int i = 0; i < 4; i++)
        gmk_rand_next(&rng);
    if (cfg.run_length == 0)
        cfg.run_length = lengths[draw(5)];
    switches = 0;
    current = 0;
    if (n_fibers == 0)
        n_fibers = 1;
    fibers[0].wait = RUNS;
    rearm();
    fn(arg);
    gmk_sim_countdown = 1u << 30;
}

/* Processors. ------------------------------------------------------------------ */

static void fiber_entry(void)
{
    fiber_t *f = &fibers[current];

    f->fn(f->arg);
    f->wait = ENDED;
    gmk_sim_switch();
    abort();
}

/* getcontext may return twice as far as the compiler knows: it has a frame of its own. */
static void make_context(void *stack, ucontext_t *ctx)
{
    getcontext(ctx);
    ctx->uc_stack.ss_sp = stack;
    ctx->uc_stack.ss_size = STACK_BYTES;
    ctx->uc_link = NULL;
    makecontext(ctx, fiber_entry, 0);
}

int gmk_hal_cpu_start(gmk_hal_thread_t *t, uint32_t cpu, void *(*fn)(void *), void *arg)
{
    uint32_t i = 1;
    fiber_t *f;

    (void)cpu;
    while (i < n_fibers && fibers[i].wait != UNUSED)
        i++;
    if (i == MAX_FIBERS)
        return -1;
    f = &fibers[i];
    if (i == n_fibers) {
        f->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (f->stack == MAP_FAILED)
            return -1;
        mprotect(f->stack, 4096, PROT_NONE); /* a guard below the stack */
        n_fibers++;
    }
    f->fn = fn;
    f->arg = arg;
    f->guard = (gmk_guard_self_t){.frame = NULL};
    make_context(f->stack, &f->ctx);
    f->wait = RUNS;
    t->fiber = i + 1;
    gmk_sim_switch();
    return 0;
}

int gmk_hal_thread_join(gmk_hal_thread_t *t)
{
    if (t->fiber == 0)
        return -1;
    fibers[current].wait = JOINS;
    fibers[current].joins = t->fiber - 1;
    gmk_sim_switch();
    fibers[t->fiber - 1].wait = UNUSED;
    t->fiber = 0;
    return 0;
}

uint32_t gmk_hal_cpu_count(void) { return 4; }
void gmk_hal_relax(void) { gmk_sim_switch(); }

/* Locks and parking. ------------------------------------------------------------ */

void gmk_hal_lock_init(gmk_hal_lock_t *l) { l->held = false; }
void gmk_hal_lock_destroy(gmk_hal_lock_t *l) { (void)l; }

void gmk_hal_lock_acquire(gmk_hal_lock_t *l)
{
    gmk_guard_self.holds++;
    fibers[current].wait = LOCKED;
    fibers[current].lock = l;
    gmk_sim_switch();
    l->held = true;
}

void gmk_hal_lock_release(gmk_hal_lock_t *l)
{
    l->held = false;
    gmk_guard_self.holds--;
    gmk_sim_switch();
}

void gmk_hal_park_init(gmk_hal_park_t *p) { p->word = 0; }
void gmk_hal_park_destroy(gmk_hal_park_t *p) { (void)p; }

uint32_t gmk_hal_park_word(gmk_hal_park_t *p)
{
    gmk_sim_switch();
    return p->word;
}

void gmk_hal_park_wait(gmk_hal_park_t *p, uint32_t seen, uint64_t timeout_ns)
{
    fiber_t *f = &fibers[current];

    f->wait = PARKED;
    f->park = p;
    f->seen = seen;
    f->deadline = timeout_ns < GMK_HAL_FOREVER - clock_ns ? clock_ns + timeout_ns : GMK_HAL_FOREVER;
    gmk_sim_switch();
}

void gmk_hal_park_wake(gmk_hal_park_t *p)
{
    gmk_sim_switch();
    p->word++;
}

/* Time. -------------------------------------------------------------------------- */

uint64_t gmk_hal_now_ns(void) { return clock_ns += STEP_NS; }
uint64_t gmk_hal_cycles(void) { return gmk_hal_now_ns(); }
uint64_t gmk_hal_cycles_hz(void) { return 1000000000; }

/* The fault guard: all fibers share the thread and so one signal stack. ------------- */

bool gmk_sim_no_guard;

static char guard_stack[64u << 10];
static stack_t guard_was;
static uint32_t n_guarded;

int gmk_hal_guard_open(void) { return gmk_sim_no_guard ? -1 : gmk_guard_install(); }
void gmk_hal_guard_close(void) { gmk_guard_remove(); }

void gmk_hal_guard_enter(gmk_hal_guard_t *g)
{
    stack_t mine = {.ss_sp = guard_stack, .ss_size = sizeof(guard_stack)};

    g->entered = n_guarded != 0 || sigaltstack(&mine, &guard_was) == 0;
    n_guarded += g->entered;
}

void gmk_hal_guard_leave(gmk_hal_guard_t *g)
{
    if (g->entered && --n_guarded == 0)
        sigaltstack(&guard_was, NULL);
    g->entered = false;
}

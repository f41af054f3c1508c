/* SPDX-License-Identifier: MIT
 * The port contract: what a machine gives to the core.
 * Floor: F2. "hal_types.h" is found by include path (hal/linux, hal/sim,
 * hal/x86_baremetal; an installed tree has its own beside this file): it defines
 * gmk_hal_thread_t, gmk_hal_lock_t, gmk_hal_park_t, gmk_hal_guard_t and gmk_hal_region_t.
 * A port implements every function here. Nothing here may call up into the core
 * but through the function pointers it was given.
 * Source: SPEC N, ARCHITECTURE R9, R13. */
#ifndef GGMK_HAL_H
#define GGMK_HAL_H

#include "ggmk/base/atomic.h"

#include "hal_types.h"

GMK_EXTERN_C_BEGIN

#define GMK_HAL_ANY_CPU UINT32_MAX
#define GMK_HAL_FOREVER UINT64_MAX

/* Processors. ----------------------------------------------------------------- */

/* Runs fn(arg) on a processor of its own: a thread, an application processor, a
 * fiber. cpu pins it, GMK_HAL_ANY_CPU does not.
 * threads: any. returns: 0, or -1 if the machine has none to give.
 * ownership: *t must stay until gmk_hal_thread_join. source: R13. */
GMK_NODISCARD int gmk_hal_cpu_start(gmk_hal_thread_t *t, uint32_t cpu, void *(*fn)(void *),
                                    void *arg);

/* Waits until fn has returned. returns: 0, or -1 if t was never started. blocks. */
int gmk_hal_thread_join(gmk_hal_thread_t *t);

/* Processors that can run at one time. */
uint32_t gmk_hal_cpu_count(void);

/* The seed's name of gmk_hal_cpu_start without a processor number. */
static inline GMK_NODISCARD int gmk_hal_thread_create(gmk_hal_thread_t *t, void *(*fn)(void *),
                                                      void *arg)
{
    return gmk_hal_cpu_start(t, GMK_HAL_ANY_CPU, fn, arg);
}

/* Lets another processor run, if several share one. Used by waits that spin. */
void gmk_hal_relax(void);

/* Locks: mutual exclusion for rare paths; never taken around a handler. -------- */

void gmk_hal_lock_init(gmk_hal_lock_t *l);
void gmk_hal_lock_acquire(gmk_hal_lock_t *l);
void gmk_hal_lock_release(gmk_hal_lock_t *l);
void gmk_hal_lock_destroy(gmk_hal_lock_t *l);

/* Parking: an eventcount. ------------------------------------------------------ */
/* The word of gmk_hal_park_t counts wakes. A waiter reads it by gmk_hal_park_word,
 * looks once more for work, then waits with what it read: a wake in between makes
 * the wait return at once, so none is lost. */

void gmk_hal_park_init(gmk_hal_park_t *p);
void gmk_hal_park_destroy(gmk_hal_park_t *p);

/* The wake count. threads: any. order: acquire, pairs with gmk_hal_park_wake. */
uint32_t gmk_hal_park_word(gmk_hal_park_t *p);

/* Sleeps while the count equals seen, at most timeout_ns (GMK_HAL_FOREVER: no
 * limit). May return early. threads: the owner of p alone. blocks. */
void gmk_hal_park_wait(gmk_hal_park_t *p, uint32_t seen, uint64_t timeout_ns);

/* Raises the count and wakes the waiter. threads: any. order: release. */
void gmk_hal_park_wake(gmk_hal_park_t *p);

/* Time. ------------------------------------------------------------------------ */

/* Nanoseconds of a clock that never goes back; its start means nothing. */
uint64_t gmk_hal_now_ns(void);

/* A cheap counter for durations below a second: it may be read early or late by what the
 * processor has under way, and may not agree between processors. */
uint64_t gmk_hal_cycles(void);
/* Its steps per second, measured once a process (2 ms) or known. threads: any. */
uint64_t gmk_hal_cycles_hz(void);

/* Memory. ---------------------------------------------------------------------- */

/* Zeroed pages at a multiple of align (a power of two), or null. */
void *gmk_hal_page_alloc(size_t bytes, size_t align);
void gmk_hal_page_free(void *p, size_t bytes);

/* Zeroed memory at a multiple of 64, or null. Boot and open time only. */
void *gmk_hal_calloc(size_t n, size_t bytes);
void gmk_hal_free(void *p);

/* Of no bytes: nothing is touched, and null is as good as any pointer. */
void *gmk_hal_memset(void *to, int byte, size_t n);
void *gmk_hal_memcpy(void *to, const void *from, size_t n);

/* Zeroed memory that another process can map (r->handle says how: a file
 * descriptor on linux). returns: 0, or -1 if the machine has no such memory. */
GMK_NODISCARD int gmk_hal_region_create(gmk_hal_region_t *r, size_t bytes);
void gmk_hal_region_destroy(gmk_hal_region_t *r);

/* Fault guard: optional. ------------------------------------------------------- */
/* Turns a fault of the code under a guarded call into a return of that call. It is for the
 * faults that the processor itself raises on an instruction: bad address, bad arithmetic,
 * bad instruction, end of the stack; never for what another thread sends. A fault is the
 * guard's only if all of this holds; any other goes where it would go without a guard (on
 * linux to the action that was there before, which dumps core; on bare metal to the panic):
 *   - the thread is under gmk_hal_guard_call;
 *   - *inside is 0, so no call of the core is half done;
 *   - the thread holds as many locks and holds as when that call began.
 * Hosted machines do it by signals and an alternate stack, bare metal by its exception
 * vectors and a stack of their own (an IST entry): the vector checks the same three, then
 * returns into gmk_hal_guard_call. A port without it answers -1 to gmk_hal_guard_open, calls
 * fn in gmk_hal_guard_call and has empty functions for the rest. */

enum {
    GMK_HAL_FAULT_NONE = 0,
    GMK_HAL_FAULT_MEMORY = 1,      /* no memory at the address, or not for this access */
    GMK_HAL_FAULT_ARITHMETIC = 2,  /* division by zero, overflow of one */
    GMK_HAL_FAULT_INSTRUCTION = 3, /* no such instruction, a trap */
    GMK_HAL_FAULT_STACK = 4        /* the stack is used up */
};

/* Makes the machine ready; counted, each pairs with a close, and the last close puts back
 * what was there. returns: 0, or -1 if the machine has no guard. threads: any. */
GMK_NODISCARD int gmk_hal_guard_open(void);
void gmk_hal_guard_close(void);

/* Makes the calling thread ready, until it leaves: it must before it ends. Without, calls
 * are guarded still, but perhaps not against the end of the stack. pre: open.
 * ownership: *g must stay. threads: each for itself; nested in order. */
void gmk_hal_guard_enter(gmk_hal_guard_t *g);
void gmk_hal_guard_leave(gmk_hal_guard_t *g);

/* Calls fn(arg). returns: GMK_HAL_FAULT_NONE when fn returned, else what ended it: nothing
 * of fn runs on, and what it held is not given back. inside: see above; read at the fault,
 * on the same thread. Calls nest; a fault ends the innermost. cost: a setjmp without
 * signal mask. pre: the thread has entered, or does without. */
uint32_t gmk_hal_guard_call(void (*fn)(void *), void *arg, const volatile uint32_t *inside);

/* From here to the drop a fault of this thread is not the guard's: for what would be left
 * half done. gmk_hal_lock_acquire and _release do so themselves, guard or not. */
void gmk_hal_guard_hold(void);
void gmk_hal_guard_drop(void);

/* Console and end. ------------------------------------------------------------- */

/* Writes bytes for a person to read. threads: any; one call is not torn apart. */
void gmk_hal_console_write(const char *text, size_t n);

/* Ends the process or halts the machine with a failure. */
GMK_NORETURN void gmk_hal_abort(void);

GMK_EXTERN_C_END

#endif

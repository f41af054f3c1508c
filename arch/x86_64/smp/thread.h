/* SPDX-License-Identifier: MIT
 * Kernel threads: each belongs to one processor for life; several share it by turns.
 * Floor: arch.
 * A thread that runs alone is never interrupted by a clock: the timer is armed only for the
 * next sleeper that is due or, when another thread waits, for the end of the turn.
 * Invariants: a thread is in at most one run queue, its processor's; only that processor takes
 * it out, so a thread may be woken before it has left its stack.
 * A processor without work halts: with interrupts off it marks itself idle under the queue's
 * lock, and `sti; hlt` lets no wake-up pass between the two.
 * Source: SPEC HAL-2, HAL-7, BM-21; ARCHITECTURE R9, R13. */
#ifndef X86_THREAD_H
#define X86_THREAD_H

#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/tables.h"
#include "ggmk/hal.h"

#define X86_THREAD_STACK 65536u /* with a guard page below */
#define X86_FOREVER UINT64_MAX

typedef struct x86_thread x86_thread_t;

/* Makes the calling context the idle thread of its processor. pre: gdt_init, vmm_init; once a
 * processor. stack: its lowest byte, for the fault report; 0 unknown. */
void x86_threads_init(uintptr_t stack, size_t stack_bytes);

/* Runs nothing but other threads, for ever. threads: the idle thread. */
GMK_NORETURN void x86_idle(void);

/* A thread of processor cpu that runs fn(arg). returns: 0, or -1 if cpu is not online or there
 * is no memory. ownership: *t until x86_thread_join. threads: any. */
GMK_NODISCARD int x86_thread_start(x86_thread_t **t, uint32_t cpu, void *(*fn)(void *), void *arg);

/* Waits until fn has returned and the thread has left its stack; frees it. threads: one. */
void x86_thread_join(x86_thread_t *t);

/* The processor with the fewest threads that were started, the lowest of several. */
uint32_t x86_least_loaded(void);

/* Lets another thread of this processor run, if one waits; else a pause, and after a while of
 * nothing but these calls a short sleep, since the processor may be shared with others that
 * this one waits for. threads: any, not interrupts. */
void x86_relax(void);

/* Sleeps. cost: a timer interrupt. threads: any, not interrupts. */
void x86_sleep_ns(uint64_t ns);

/* Sleeps while *word equals seen, at most timeout_ns; may return early. threads: any, not
 * interrupts. order: who changes *word does so by a locked instruction, then calls x86_wake. */
void x86_wait(const gmk_a32_t *word, uint32_t seen, uint64_t timeout_ns);
/* Wakes up to n that wait on word, which need not exist any more. threads: any, interrupts
 * too. cost: a look at a counter if nobody waits. */
void x86_wake(const gmk_a32_t *word, uint32_t n);

/* Within: no switch away from this thread but by its own waiting. Pairs nest. */
void x86_hold(void);
void x86_drop(void);

/* What traps call. ----------------------------------------------------------------- */

void x86_thread_on_timer(void);
void x86_thread_on_wake(void);
/* The last thing of an interrupt: switches if the turn is over. */
void x86_thread_after_interrupt(void);
/* Asks for a timer interrupt on this processor within ns. */
void x86_timer_within(uint64_t ns);
/* Whether an address lies in the guard page of the running thread's stack. */
bool x86_thread_overflowed(uintptr_t address);
/* Fault guard: changes the frame so that the guarded call returns what, if the fault is the
 * guard's (hal.h says when). returns: whether it is. */
bool x86_guard_fault(x86_frame_t *f, uint32_t what);

/* What a processor does, for the monitor. */
typedef struct x86_load {
    uint32_t n_threads;  /* started and not yet joined */
    uint64_t n_switches; /* of threads */
    uint64_t n_halts;
    uint64_t halted_ns;
} x86_load_t;
void x86_get_load(uint32_t cpu, x86_load_t *out);
/* Whether the processor halts, or is about to: old as soon as it is said. */
bool x86_cpu_halts(uint32_t cpu);

#endif

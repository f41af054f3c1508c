/* SPDX-License-Identifier: MIT
 * Boot, halt, submission from outside, ticks, audit, attached threads.
 * Floor: F2. gmk_kernel_t is storage that the caller provides; its contents are
 * private. Kernels share nothing: several may run in one process.
 * The calls to submit, advance the tick, wait, attach and detach may run beside gmk_halt;
 * every other call on a gmk_kernel_t, reading ones too, must not run beside its boot or
 * halt.
 * Across fork: the child has no workers; it must only _exit or exec. In a signal
 * handler: gmk_strerror and gmk_version only.
 * Source: SPEC SYS-11 to SYS-14, V-23; ARCHITECTURE R8, R13, R19, R21. */
#ifndef GGMK_BOOT_H
#define GGMK_BOOT_H

#include "ggmk/module.h"
#include "ggmk/types.h"

struct gmk_kernel {
    GMK_ALIGNAS(16) uint64_t opaque[64];
};

/* gmk_boot_cfg_t.flags */
#define GMK_BOOT_NO_LINKED_MODULES 0x1u /* register the array only */
#define GMK_BOOT_PIN_WORKERS 0x2u       /* worker i runs on processor i mod n */
#define GMK_BOOT_MANUAL_TICKS 0x4u      /* only gmk_tick_advance moves the tick; else 1 ms */

#define GMK_BOOT_FAULT_GUARD 0x8u /* a handler that crashes fails its task */

/* With GMK_BOOT_FAULT_GUARD, a fault that the processor raises in the code of a handler on a
 * worker (bad address, division by zero, bad instruction, end of the stack) ends that call
 * and fails its task with GMK_ERR_CRASHED, and with GMK_HAL_FAULT_* as the code. What the
 * handler held is lost: memory, its own locks, libc's. In init, it makes boot fail. Not
 * caught, so that it ends the process as it would without: a fault inside a call of this
 * library or under a gmk_hal lock, in fini, in an attached thread, in a sink; abort. A bad
 * task pointer given to a call that emits or submits is a fault of the handler's (of several
 * tasks, the first and the last are looked at).
 * On hosted machines the guard sets the actions of SIGSEGV, SIGBUS, SIGFPE and SIGILL from
 * the boot of the first such kernel to the halt of the last, and passes on what is not its
 * own. An application that sets one of them meanwhile takes that guard away.
 * Source: SPEC FM-11, V-73. */

/* A zero field takes its default from ggmk/config.h. Capacities are rounded up to
 * powers of two. */
typedef struct gmk_boot_cfg {
    size_t arena_size; /* bytes; at least 1 MiB is useful */
    uint32_t n_workers;
    uint32_t n_tenants;
    uint32_t flags;
    uint32_t rq_slots;    /* per priority */
    uint32_t lq_slots;    /* per worker */
    uint32_t inbox_slots; /* per worker */
    uint32_t evq_slots;   /* timers and retries */
    uint32_t overflow_slots;
    uint32_t trace_slots;     /* records per ring */
    uint32_t batch_size;      /* tasks between two looks at the clock */
    uint64_t spin_ns;         /* search before parking */
    uint64_t halt_timeout_ns; /* of gmk_halt */
    uint64_t park_timeout_ns; /* a sleeper looks up so often; 0: never, as it should be */
} gmk_boot_cfg_t;

/* The books of a kernel, in deliveries.
 * balanced: accepted == completed + failed + dead + queued. */
typedef struct gmk_audit_report {
    uint64_t accepted, completed, failed, dead, queued;
    uint64_t payloads_live; /* payload blocks not yet freed */
    bool balanced;
    char stuck[128]; /* what cannot proceed, and why; empty if nothing */
} gmk_audit_report_t;

/* A thread's own context on a kernel: counters, trace ring, memory cache. */
typedef struct gmk_host {
    GMK_ALIGNAS(16) uint64_t opaque[24];
} gmk_host_t;

GMK_EXTERN_C_BEGIN

/* Starts a kernel in *k: arena, scheduler, channels, modules (init in order), workers.
 * pre: *k is not a running kernel; cfg may be null; mods may be null if n_mods is 0.
 * ownership: the module structures must outlive the kernel.
 * returns: GMK_OK; GMK_E_INVALID, GMK_E_LIMIT, GMK_E_WIRING, GMK_E_INIT, GMK_E_CPU,
 * GMK_E_UNSUPPORTED (no fault guard here), GMK_ALLOC_FAIL, each undone whole, with its story in
 * gmk_boot_error(k). threads: one. source: SYS-11, SYS-12. */
int gmk_boot(gmk_kernel_t *k, const gmk_boot_cfg_t *cfg, gmk_module_t **mods, uint32_t n_mods);

/* What the last gmk_boot of *k refused, why, and what to do; "" after success, and for null. */
const char *gmk_boot_error(const gmk_kernel_t *k);

/* What boot accepted and may not be meant, a line each, '\n' between them, "" if there is
 * nothing or *k is not a running kernel: cycles of channels that never drop, lossless
 * fan-out (a slow subscriber stalls its producers), channels without a declared producer
 * or, once the init functions have run, without a consumer, names without a dot. If some
 * had no room, the last line counts them. The text stands until the halt. threads: any.
 * source: CH-14, CH-37, R19. */
const char *gmk_boot_warnings(const gmk_kernel_t *k);

/* Ends a kernel within cfg.halt_timeout_ns. returns: as gmk_halt_timeout. */
int gmk_halt(gmk_kernel_t *k);

/* Closes the kernel to new work from outside, lets the workers drain what is queued,
 * dead-letters what is still there when four fifths of timeout_ns have passed and all
 * timers, runs fini in reverse order, audits and frees everything.
 * Calls from outside that are under way, and fini functions, are waited for without a
 * limit: they are short, or the caller's own.
 * report (may be null) receives the books. Attached threads end with the kernel: their
 * contexts must not be in use.
 * returns: GMK_OK; GMK_E_UNBALANCED; GMK_E_INVALID (no running kernel); GMK_E_TIMEOUT
 * when a handler never returned: report->stuck names it, the kernel's memory is kept
 * for it, and *k must stay. threads: one, not a handler. blocks. source: R8. */
int gmk_halt_timeout(gmk_kernel_t *k, uint64_t timeout_ns, gmk_audit_report_t *report);

/* Submits a copy of *t from any thread outside the kernel's handlers; safe against a
 * halt by another thread, and after it while *k is the halted kernel's storage.
 * returns: GMK_OK, GMK_E_INVALID, GMK_E_NO_HANDLER, GMK_E_TENANT, GMK_E_FULL (back off
 * and try again), GMK_E_HALTING; of a deterministic task GMK_E_WIRING (as gmk_emit) and
 * GMK_ALLOC_FAIL. ownership: as gmk_emit.
 * threads: any. cost: one ring push, four read-modify-writes. source: SYS-12. */
int gmk_submit(gmk_kernel_t *k, gmk_task_t *t);

/* Up to n tasks in one push. returns: how many were taken (the first ones; fewer than n
 * when the queue is full or a task is refused), or a negative code as gmk_submit when
 * the first is refused. */
GMK_NODISCARD int gmk_submit_batch(gmk_kernel_t *k, gmk_task_t *t, uint32_t n);

/* The same calls from outside. returns: as gmk_emit_to, gmk_emit_after and gmk_emit_at_tick. */
GMK_NODISCARD int gmk_submit_to(gmk_kernel_t *k, gmk_task_t *t, uint32_t worker);
GMK_NODISCARD int gmk_submit_after(gmk_kernel_t *k, gmk_task_t *t, uint64_t delay_ns);
GMK_NODISCARD int gmk_submit_at_tick(gmk_kernel_t *k, gmk_task_t *t, uint32_t tick);

/* Moves the logical tick forward by one and wakes what is due. Without
 * GMK_BOOT_MANUAL_TICKS the clock moves it too, once a millisecond. threads: any. */
void gmk_tick_advance(gmk_kernel_t *k);
/* The logical tick; 0 of a kernel that does not run. threads: any, handlers too; from outside
 * not beside halt, which may free what it reads. */
uint32_t gmk_tick_now(const gmk_kernel_t *k);

/* Waits until nothing can run: all workers parked and no timer due, at most timeout_ns.
 * Later timers, back-offs, messages without a subscriber and sends that wait for room
 * may remain: gmk_audit counts them as queued.
 * returns: GMK_OK, GMK_E_TIMEOUT, GMK_E_INVALID, GMK_E_HALTING. threads: any, not a
 * handler. Other submitters may of course undo it. */
GMK_NODISCARD int gmk_wait_idle(gmk_kernel_t *k, uint64_t timeout_ns);

/* Sums the books while the workers stand still: it stops them between two batches and
 * lets them go again. Other threads go on: what they hand over while it sums, and what they
 * have half handed over then, shows as a difference.
 * returns: GMK_OK, GMK_E_UNBALANCED, GMK_E_INVALID, GMK_E_BUSY (a handler ran on for
 * GMK_AUDIT_TIMEOUT_NS; *out is not written). threads: any, not a handler. source: R8. */
GMK_NODISCARD int gmk_audit(gmk_kernel_t *k, gmk_audit_report_t *out);

/* Gives the calling thread a context, in *h, for every call that takes one; yields and
 * retries have no meaning there. returns: the context, null when GMK_MAX_HOSTS threads
 * are attached or the kernel halts. threads: any; the context is that thread's own.
 * source: R21. */
gmk_ctx_t *gmk_host_attach(gmk_kernel_t *k, gmk_host_t *h);

/* Ends it. returns: GMK_OK, GMK_E_INVALID. threads: the one that attached. */
int gmk_host_detach(gmk_host_t *h);

GMK_EXTERN_C_END

#endif

/* SPDX-License-Identifier: MIT
 * A kernel, whole: the core, its agents, its books.
 * Floor: F8. Agents 0..n_workers-1 are workers, then GMK_MAX_HOSTS attached threads,
 * then the outside agent, shared by all other threads.
 * Source: SPEC B.2; ARCHITECTURE R8, R13, R21. */
#ifndef GMKI_KERNEL_H
#define GMKI_KERNEL_H

#include "ggmk/boot.h"
#include "ggmk/record.h"
#include "worker/worker.h"

#define GMKI_MAGIC 0x676d6b2d72756e31ull
#define GMKI_MAGIC_ENDED 0x676d6b2d656e6431ull

enum gmki_state { GMKI_BOOTING, GMKI_RUNNING, GMKI_HALTING, GMKI_WEDGED };

/* What the watchdog knows of a worker. */
typedef struct gmki_watch {
    uint64_t seen; /* heartbeat at the last scan, plus 1; 0: none yet */
    uint32_t missed;
} gmki_watch_t;

typedef struct gmki_kernel {
    gmki_core_t core;
    gmk_boot_cfg_t cfg;
    gmk_kernel_t *handle;
    gmk_a32_t state;
    uint32_t n_agents;
    gmki_agent_t **agents; /* by number; a host's is made at its first attach */
    gmk_a32_t n_hosts;     /* hosts' agents made, in order of their numbers */
    gmk_hal_thread_t *threads;
    gmk_hal_guard_t *guards; /* of the workers, then of boot; null: no fault guard */
    uint32_t n_started;
    gmk_a64_t *rows;         /* agent * n_tenants + tenant */
    gmk_a64_t *handler_rows; /* agent * GMK_MAX_HANDLERS */
    gmki_trace_cfg_t trace_cfg;
    gmki_trace_ring_t *rings; /* (agents but the outside one) * n_tenants + tenant */
    uint32_t trace_slots;
    gmk_record_writer_t record; /* under the lock of deterministic work */
    gmk_a32_t parker;           /* somebody is parked on the quiet word */
    gmk_hal_lock_t lock;        /* attach and detach, trace levels, audits */
    gmk_hal_lock_t read_lock;   /* trace readers; no worker's own code takes it */
    gmk_hal_lock_t watch_lock;  /* watch[] */
    gmki_watch_t watch[GMK_MAX_WORKERS];
} gmki_kernel_t;

/* The private contents of gmk_kernel_t. It outlives the kernel, so that a call from
 * outside finds out here whether it may go in: the gate counts those inside, and above
 * them the numbers given to their tasks. */
typedef struct gmki_handle {
    gmki_kernel_t *k;
    gmk_a64_t magic;
    uint64_t born;  /* the time of boot: tells kernels in one storage apart */
    gmk_a64_t gate; /* calls inside | GMKI_GATE_OPEN | boots << 16 | next seq << 32 */
    char error[GMKI_ERROR_BYTES];
} gmki_handle_t;

GMK_STATIC_ASSERT(sizeof(gmki_handle_t) <= sizeof(gmk_kernel_t), "the public storage suffices");

#define GMKI_GATE_OPEN 0x8000u
#define GMKI_GATE_INSIDE 0x7fffu
#define GMKI_GATE_BOOT 0xffff0000u /* a boot gives it another value */
#define GMKI_GATE_BOOT_ONE 0x10000u
#define GMKI_GATE_SEQ 32

/* The kernel behind a handle, or null if it is not booted. */
GMK_FN gmki_kernel_t *gmki_kernel(const gmk_kernel_t *h)
{
    const gmki_handle_t *p = (const gmki_handle_t *)h;

    if (p == NULL || gmk_load_acq(&p->magic, GMK_DEV) != GMKI_MAGIC) /* sync: kernel.magic */
        return NULL;
    return p->k;
}

GMK_FN gmki_agent_t *gmki_outside(const gmki_kernel_t *k) { return k->agents[k->n_agents - 1]; }

GMK_FN uint32_t gmki_n_rings(const gmki_kernel_t *k)
{
    return (k->n_agents - 1) * k->cfg.n_tenants;
}

/* agent.c */
int gmki_agents_init(gmki_kernel_t *k);
void gmki_agents_fini(gmki_kernel_t *k);
bool gmki_hosts_inside(const gmk_sched_t *s, const gmki_agent_t *me);
gmki_agent_t *gmki_agent_make(gmki_kernel_t *k, uint32_t number, gmki_wq_t *wq);

/* halt.c */
void gmki_gate_shut(gmki_handle_t *h); /* and waits until those inside have come out */
void gmki_stop_workers(gmki_kernel_t *k);
void gmki_kernel_free(gmki_kernel_t *k);

/* outside.c: as gmk_wait_idle, while the kernel halts. */
int gmki_wait_rest(gmki_kernel_t *k, uint64_t timeout_ns);
/* A call from outside that waits for a condition, and gives up when the kernel halts. */
typedef bool (*gmki_wait_fn)(gmki_kernel_t *k);
int gmki_wait_outside(gmk_kernel_t *handle, gmki_wait_fn met, uint64_t timeout_ns);
gmki_kernel_t *gmki_go_in(gmk_kernel_t *handle, uint32_t n, uint32_t *seq, int *rc);
void gmki_come_out(gmk_kernel_t *handle);

/* audit.c */
void gmki_books(const gmki_kernel_t *k, gmk_audit_report_t *out); /* the counters alone */
void gmki_audit(gmki_kernel_t *k, gmk_audit_report_t *out);       /* pre: no worker runs */
uint32_t gmki_lose_all(gmki_kernel_t *k, gmki_agent_t *a);

/* deterministic.c */
int gmki_det_boot(gmki_kernel_t *k);

/* observe.c */
void gmki_panic_watch(gmki_kernel_t *k);
void gmki_panic_unwatch(gmki_kernel_t *k);

#endif

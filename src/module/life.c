/* SPDX-License-Identifier: MIT
 * Init, fini and the poison window.
 * Floor: F6. init runs in order of registration, fini in reverse; a failing init gives
 * those that succeeded their fini.
 * Source: SPEC MOD-7, MOD-8, MOD-22 to MOD-25, V-33. */
#include "module/module.h"

/* What ctx->task is while no task runs: contexts never hold a null pointer. */
static void enter_module(gmki_agent_t *a, gmk_task_t *none, const gmki_mod_reg_t *r, uint32_t m)
{
    a->ctx.task = none;
    a->ctx.user = r->mods[m]->user;
    a->obs.module = m;
    a->group = NULL;
    a->in_task = false;
    gmki_set_priority(a, GMK_N_PRIO);
}

static int call_init(gmki_agent_t *a, const gmki_mod_reg_t *r, const gmk_module_t *m)
{
    uint32_t fault;
    int rc;

    if (r->guard == NULL)
        return m->init(&a->ctx);
    fault = gmki_guard_call(a, m->init, &rc);
    if (fault == GMK_HAL_FAULT_NONE)
        return rc;
    gmki_error_text(r->error, "init of module '");
    gmki_error_name(r->error, m->name);
    gmki_error_text(r->error, "' crashed (");
    gmki_error_text(r->error, gmki_fault_text(fault));
    gmki_error_text(r->error, "): boot without GMK_BOOT_FAULT_GUARD to see where");
    return GMK_FAIL;
}

int gmki_mod_init_all(gmki_agent_t *a, gmki_mod_reg_t *r)
{
    gmk_task_t none = {.type = 0};
    int rc = GMK_OK;

    for (r->n_ready = 0; r->n_ready < r->n_mods && rc >= 0; r->n_ready++) {
        gmk_module_t *m = r->mods[r->n_ready];

        enter_module(a, &none, r, r->n_ready);
        rc = m->init != NULL ? call_init(a, r, m) : (int)GMK_OK;
        if (rc < 0 && r->error[0] == '\0') {
            gmki_error_text(r->error, "init of module '");
            gmki_error_name(r->error, m->name);
            gmki_error_text(r->error, "' returned -");
            gmki_error_u32(r->error, (uint32_t)-rc);
            gmki_error_text(r->error, " (");
            gmki_error_text(r->error, gmk_strerror(rc));
            gmki_error_text(r->error, "): see that function");
        }
        if (rc < 0)
            break;
    }
    a->obs.module = GMKI_LEVEL_KERNEL;
    if (rc >= 0)
        gmki_mod_warn(r); /* now that those who subscribe in their init have done so */
    return rc < 0 ? GMK_E_INIT : GMK_OK;
}

void gmki_mod_fini_all(gmki_agent_t *a, gmki_mod_reg_t *r)
{
    gmk_task_t none = {.type = 0};

    while (r->n_ready > 0) {
        gmk_module_t *m = r->mods[--r->n_ready];

        enter_module(a, &none, r, r->n_ready);
        if (m->fini != NULL)
            m->fini(&a->ctx);
    }
    a->obs.module = GMKI_LEVEL_KERNEL;
}

bool gmki_poison_count(gmki_mod_reg_t *r, uint32_t handler, uint64_t tick)
{
    gmki_handler_t *h = &r->handlers[handler];
    gmki_fails_t *f = &r->fails[handler];
    uint64_t oldest;
    bool poisons;

    gmk_hal_lock_acquire(&r->lock);
    f->ticks[f->n % GMKI_POISON_SLOTS] = tick;
    f->n++;
    /* The slot written next holds the failure GMK_POISON_RATE failures ago. */
    oldest = f->ticks[f->n % GMKI_POISON_SLOTS];
    poisons = f->n >= GMKI_POISON_SLOTS && tick - oldest < GMK_POISON_WINDOW &&
              gmk_load_rlx(&h->poisoned, GMK_DEV) == 0; /* relaxed: the lock is held */
    if (poisons)
        gmk_store_rel(&h->poisoned, 1, GMK_DEV); /* sync: module.poison */
    gmk_hal_lock_release(&r->lock);
    return poisons;
}

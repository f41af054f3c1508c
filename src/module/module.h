/* SPDX-License-Identifier: MIT
 * Modules, private side: dense handler indices, validation, life cycle, poison.
 * Floor: F6.
 * Invariant: each (module, type) has one index; the dispatch table, the poison marks
 * and the per-agent handler rows use it. Fixed once boot has validated.
 * Source: SPEC I; ARCHITECTURE R6. */
#ifndef GMKI_MODULE_H
#define GMKI_MODULE_H

#include "chan/chan.h"
#include "ggmk/module.h"

#define GMKI_POISON_SLOTS (GMK_POISON_RATE + 1u)

/* One line: what dispatch reads. */
typedef struct gmki_handler {
    GMK_ALIGNAS(GMK_CACHE_LINE) gmk_handler_fn fn;
    void *user;
    const char *name;
    uint32_t module;
    uint32_t type;
    uint32_t max_yields;
    gmk_a32_t poisoned;
    uint64_t budget_ns;
} gmki_handler_t;

GMK_STATIC_ASSERT(sizeof(gmki_handler_t) == GMK_CACHE_LINE, "the dispatch table has a line each");

/* Ticks of the latest failures of a handler, under the registry's lock. */
typedef struct gmki_fails {
    uint64_t ticks[GMKI_POISON_SLOTS];
    uint64_t n;
} gmki_fails_t;

typedef struct gmki_mod_reg {
    gmk_sched_t *sched;
    gmk_chan_reg_t *chan;
    gmk_module_t *mods[GMK_MAX_MODULES];
    uint32_t n_mods;
    uint32_t n_ready; /* modules whose init has succeeded */
    gmki_handler_t *handlers;
    gmki_fails_t *fails; /* by handler index */
    gmk_a32_t n_handlers;
    gmk_hal_lock_t lock; /* failure windows, handlers added at run time */
    uint8_t flags[GMK_MAX_HANDLERS]; /* GMK_HF_* by handler index */
    char *error;         /* the boot's story, GMKI_ERROR_BYTES */
} gmki_mod_reg_t;

#define GMKI_ERROR_BYTES 256u

/* registry.c */
int gmki_mod_add(gmki_mod_reg_t *r, gmk_module_t *m);
int gmki_mod_validate(gmki_mod_reg_t *r);
int gmki_mod_wire(gmki_agent_t *a, gmki_mod_reg_t *r);
void gmki_mod_fini(gmki_mod_reg_t *r);
uint32_t gmki_handler_of(void *modules, uint32_t module, uint32_t type);
/* A dispatch entry made while the kernel runs, for a channel's error handler; or
 * GMKI_NO_HANDLER. */
uint32_t gmki_add_handler(void *modules, uint32_t module, gmk_handler_fn fn);
bool gmki_is_deterministic(void *modules, uint32_t handler);
const char *gmki_module_name(void *modules, uint32_t module);

/* life.c */
int gmki_mod_init_all(gmki_agent_t *a, gmki_mod_reg_t *r);
void gmki_mod_fini_all(gmki_agent_t *a, gmki_mod_reg_t *r);
/* Counts a failure of a handler; true if that poisons it now. */
bool gmki_poison_count(gmki_mod_reg_t *r, uint32_t handler, uint64_t tick);

/* Appends text and a number to the boot's story. */
void gmki_error_text(char *error, const char *text);
void gmki_error_u32(char *error, uint32_t n);

#endif

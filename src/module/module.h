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
    gmk_handler_fn inner; /* what the module registered: fn, or called by fn under the guard */
    void *user;
    const char *name;
    uint32_t module;
    uint32_t type;
    uint32_t max_yields;
    gmk_a32_t poisoned;
    uint64_t budget_ns;
    gmk_hist_t *runtime; /* of timed calls; null: not kept */
} gmki_handler_t;

GMK_STATIC_ASSERT(sizeof(gmki_handler_t) == GMK_CACHE_LINE, "the dispatch table has a line each");

/* Ticks of the latest failures of a handler, under the registry's lock. */
typedef struct gmki_fails {
    uint64_t ticks[GMKI_POISON_SLOTS];
    uint64_t n;
} gmki_fails_t;

/* Texts. A name printed takes GMK_MAX_CHAN_NAME bytes at most, so that a story of three
 * names keeps its end, which says what to do. */
#define GMKI_ERROR_BYTES 384u
#define GMKI_WARN_BYTES 8192u

typedef struct gmki_warnings {
    uint32_t len;
    uint32_t line;  /* where the line in work begins */
    uint32_t n_cut; /* lines without room */
    bool full;      /* the line in work does not fit */
    char text[GMKI_WARN_BYTES];
} gmki_warnings_t;

/* A declared channel and the modules at its ends, a bit each. */
typedef struct gmki_wire {
    const gmk_chan_decl_t *decl;  /* the first one: all others agree with it */
    uint32_t module;              /* whose that is */
    uint32_t id;                  /* once open */
    uint32_t slots, replay_slots; /* the largest declared */
    bool system;
    uint64_t producers, consumers;
} gmki_wire_t;

GMK_STATIC_ASSERT(GMK_MAX_MODULES <= 64, "an end of a channel has one bit a module");

typedef struct gmki_mod_reg {
    gmk_sched_t *sched;
    gmk_chan_reg_t *chan;
    gmk_module_t *mods[GMK_MAX_MODULES];
    uint32_t n_mods;
    uint32_t n_ready; /* modules whose init has succeeded */
    gmki_handler_t *handlers;
    gmk_handler_fn guard; /* what calls the handlers under the fault guard; null: none */
    gmki_fails_t *fails;  /* by handler index */
    gmk_a32_t n_handlers;
    gmk_hal_lock_t lock;             /* failure windows, handlers added at run time */
    uint8_t flags[GMK_MAX_HANDLERS]; /* GMK_HF_* by handler index */
    gmki_wire_t *wires;              /* the declared channels, in order of declaration */
    uint32_t n_wires;
    char *error; /* the boot's story, GMKI_ERROR_BYTES */
    gmki_warnings_t warnings;
} gmki_mod_reg_t;

/* registry.c */
int gmki_mod_add(gmki_mod_reg_t *r, gmk_module_t *m);
int gmki_mod_route(gmki_mod_reg_t *r); /* pre: all declarations are valid by themselves */
/* Gives a new handler its histogram. returns: GMK_OK, GMK_ALLOC_FAIL. pre: no worker can
 * reach the handler yet. */
GMK_NODISCARD int gmki_mod_timed(gmki_handler_t *h);
void gmki_mod_fini(gmki_mod_reg_t *r);
bool gmki_consumes(const gmk_module_t *m, uint32_t type); /* by a declaration */
uint32_t gmki_handler_of(void *modules, uint32_t module, uint32_t type);
/* A dispatch entry made while the kernel runs, for a channel's error handler; or
 * GMKI_NO_HANDLER. */
uint32_t gmki_add_handler(void *modules, uint32_t module, gmk_handler_fn fn);
bool gmki_is_deterministic(void *modules, uint32_t handler);
const char *gmki_module_name(void *modules, uint32_t module);

/* guard.c */
/* Calls fn under the machine's fault guard. returns: GMK_HAL_FAULT_NONE and *rc, or what
 * ended it. */
uint32_t gmki_guard_call(gmki_agent_t *a, gmk_handler_fn fn, int *rc);
const char *gmki_fault_text(uint32_t fault);

/* life.c */
int gmki_mod_init_all(gmki_agent_t *a, gmki_mod_reg_t *r);
void gmki_mod_fini_all(gmki_agent_t *a, gmki_mod_reg_t *r);
/* Counts a failure of a handler; true if that poisons it now. */
bool gmki_poison_count(gmki_mod_reg_t *r, uint32_t handler, uint64_t tick);

/* validate.c: each declaration by itself. */
int gmki_mod_validate(gmki_mod_reg_t *r);
bool gmki_name_is_plain(const char *name); /* 1 to 63 graphic characters, no quotes */

/* wire.c: the declarations together; then the channels open, the consumers subscribe. */
int gmki_mod_wire(gmki_agent_t *a, gmki_mod_reg_t *r);

/* warn.c: what works and may not be meant. pre: the init functions have run. */
void gmki_mod_warn(gmki_mod_reg_t *r);

/* story.c: appends text, a number, a name to the boot's story. */
void gmki_error_text(char *error, const char *text);
void gmki_error_u32(char *error, uint32_t n);
void gmki_error_name(char *error, const char *name);
/* "module 'm' ...", "... registers type n ...", "... declares channel 'c' ...": the code
 * of a wiring error. */
int gmki_wrong(gmki_mod_reg_t *r, const gmk_module_t *m, const char *what);
int gmki_wrong_type(gmki_mod_reg_t *r, const gmk_module_t *m, uint32_t type, const char *what);
int gmki_wrong_chan(gmki_mod_reg_t *r, const gmk_module_t *m, const gmk_chan_decl_t *d,
                    const char *what);
/* A warning is a line: texts, then its end, which drops the line if it did not fit. */
void gmki_warn_text(gmki_warnings_t *w, const char *text);
void gmki_warn_end(gmki_warnings_t *w);
void gmki_warn_close(gmki_warnings_t *w); /* after the last: says how many were dropped */

#endif

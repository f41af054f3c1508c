/* SPDX-License-Identifier: MIT
 * Modules: handlers, channel declarations, life cycle.
 * Floor: F2. Source: SPEC I, V-20, V-30, V-31, V-58; ARCHITECTURE R6, R21. */
#ifndef GGMK_MODULE_H
#define GGMK_MODULE_H

#include "ggmk/chan.h"
#include "ggmk/types.h"

/* gmk_handler_reg_t.flags */
#define GMK_HF_SCALAR 0x0000u
#define GMK_HF_WARP 0x0001u
#define GMK_HF_BLOCK 0x0002u
#define GMK_HF_DETERMINISTIC 0x0004u
#define GMK_HF_NEEDS_SHARED 0x0008u
#define GMK_HF_LANES 0x0010u

#define GMK_YIELD_NEVER UINT32_MAX /* max_yields: the first yield trips the breaker */

typedef struct gmk_handler_reg {
    uint32_t type; /* 1..239; 240..255 are system message types */
    gmk_handler_fn fn;
    const char *name;
    uint32_t flags;        /* GMK_HF_* */
    uint32_t shared_bytes; /* GPU shared memory per block */
    uint32_t max_yields;   /* 0: GMK_DEFAULT_MAX_YIELDS */
    uint64_t budget_ns;    /* 0: GMK_MAX_HANDLER_CYCLES */
} gmk_handler_reg_t;

typedef struct gmk_chan_decl {
    const char *name;
    uint32_t direction; /* GMK_CHAN_PRODUCE or _CONSUME, with GMK_CHAN_PARALLEL */
    uint32_t msg_type;
    uint32_t mode; /* GMK_CHAN_P2P (also 0) or _FANOUT, and _DETERMINISTIC */
    /* GMK_CHAN_LOSSY or _LOSSLESS. A lossless fan-out channel never drops: one slow
     * subscriber stalls all its producers (CH-14; gmk_boot_warnings names them). */
    uint32_t guarantee;
    uint32_t slots;        /* 0: default; the largest declared value counts */
    uint32_t replay_slots; /* lossless: see gmk_chan_opts_t; the largest value counts */
} gmk_chan_decl_t;

typedef struct gmk_module {
    const char *name;
    uint32_t version; /* GMK_VERSION(major, minor, patch) */
    gmk_handler_reg_t *handlers;
    uint32_t n_handlers;
    gmk_chan_decl_t *channels;
    uint32_t n_channels;
    int (*init)(gmk_ctx_t *ctx); /* may be null; a negative return fails the boot */
    int (*fini)(gmk_ctx_t *ctx); /* may be null */
    void *user;                  /* appears as ctx->user */
} gmk_module_t;

/* Declares a handler for every kernel. source: R22. */
#define GMK_HANDLER(name) static int name(gmk_ctx_t *ctx)

/* Defines a module that every gmk_boot of this program registers (unless the boot
 * flag GMK_BOOT_NO_LINKED_MODULES is set):
 *     GMK_MODULE(counter) = { .name = "counter", ... };
 * source: MOD-5, V-20. */
#define GMK_MODULE(ident)                                                                          \
    extern gmk_module_t gmk_module_##ident;                                                        \
    __attribute__((used, section("gmk_modules"))) gmk_module_t *const gmk_module_ptr_##ident =     \
        &gmk_module_##ident;                                                                       \
    gmk_module_t gmk_module_##ident

GMK_EXTERN_C_BEGIN

/* Clears the poison mark of a type in every module that handles it.
 * returns: GMK_OK, GMK_E_INVALID, GMK_E_NOT_FOUND (no module handles the type).
 * threads: any. blocks: for a lock. source: MOD-24. */
int gmk_mod_reset(gmk_kernel_t *k, uint32_t type);

/* What happened to the deliveries of one (module, type). */
typedef struct gmk_handler_info {
    const char *module;
    const char *handler;
    uint32_t type;
    bool poisoned;
    uint64_t completed, failed, yields, retries;
    gmk_latency_t runtime; /* of its calls, the short ones of a yield or retry included */
} gmk_handler_info_t;

/* Handler index idx counts from 0. returns: GMK_OK, GMK_E_INVALID, GMK_E_NOT_FOUND (no
 * such index). threads: any. */
GMK_NODISCARD int gmk_handler_get_info(const gmk_kernel_t *k, uint32_t idx,
                                       gmk_handler_info_t *out);

GMK_EXTERN_C_END

#endif

/* SPDX-License-Identifier: MIT
 * Modules of a few handlers and channels that all look at one env, and a kernel of them.
 * Floor: tests. Source: SPEC S.5; ARCHITECTURE R4. */
#ifndef TEST_CHAN_MODS_H
#define TEST_CHAN_MODS_H

#include "chan_env.h"

static env_t env;

static gmk_handler_reg_t act_handlers[] = {{.type = T_ACT, .fn = on_act, .name = "act"}};
static gmk_module_t actor = {
    .name = "actor", .handlers = act_handlers, .n_handlers = 1, .user = &env};

/* A module of up to three handlers and three declarations. */
typedef struct mod {
    gmk_module_t m;
    gmk_handler_reg_t h[3];
    gmk_chan_decl_t d[3];
} mod_t;

GMK_FN gmk_module_t *mod_make(mod_t *m, const char *name)
{
    gmk_hal_memset(m, 0, sizeof(*m));
    m->m = (gmk_module_t){.name = name, .handlers = m->h, .channels = m->d, .user = &env};
    return &m->m;
}

GMK_FN gmk_handler_reg_t *mod_handle(mod_t *m, uint32_t type, gmk_handler_fn fn)
{
    gmk_handler_reg_t *h = &m->h[m->m.n_handlers++];

    *h = (gmk_handler_reg_t){.type = type, .fn = fn, .name = m->m.name};
    return h;
}

GMK_FN gmk_chan_decl_t *mod_consume(mod_t *m, const char *chan, uint32_t type, uint32_t slots)
{
    gmk_chan_decl_t *d = &m->d[m->m.n_channels++];

    *d = (gmk_chan_decl_t){
        .name = chan, .direction = GMK_CHAN_CONSUME, .msg_type = type, .slots = slots};
    return d;
}

GMK_FN void reset(uint64_t per_from)
{
    gmk_hal_memset(&env, 0, sizeof(env));
    env.per_from = per_from;
}

GMK_FN bool boot(uint32_t n_workers, uint32_t flags, gmk_module_t **mods, uint32_t n)
{
    int id;

    if (!env_boot(&env, n_workers, flags, mods, n))
        return false;
    id = gmk_chan_find(env.ctx, "t.msg");
    env.chan = id > 0 ? (uint32_t)id : 0;
    id = gmk_chan_find(env.ctx, "t.msg2");
    env.chan2 = id > 0 ? (uint32_t)id : 0;
    return true;
}

GMK_FN uint64_t metric(uint32_t id) { return gmk_metric_get(&env.kernel, id); }

#endif

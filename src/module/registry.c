/* SPDX-License-Identifier: MIT
 * The registry of modules: dense handler indices and who takes direct submits.
 * Floor: F6. An error names what clashes, why, and what to do.
 * Source: SPEC MOD-1 to MOD-7, MOD-10, MOD-16, V-35, V-58; ARCHITECTURE R6. */
#include "module/module.h"

/* The story of a module that cannot be named. */
static int nameless(gmki_mod_reg_t *r, const char *what)
{
    if (r->n_mods == 0) {
        gmki_error_text(r->error, "the first module");
    } else {
        gmki_error_text(r->error, "the module after '");
        gmki_error_name(r->error, r->mods[r->n_mods - 1]->name);
        gmki_error_text(r->error, "'");
    }
    gmki_error_text(r->error, what);
    return GMK_E_WIRING;
}

static int check_module_name(gmki_mod_reg_t *r, const gmk_module_t *m)
{
    size_t n = 0;

    if (m == NULL)
        return nameless(r, " is a null pointer: pass a gmk_module_t and name it");
    if (m->name == NULL)
        return nameless(r, " has a null name: name it, set .name");
    if (m->name[0] == '\0')
        return nameless(r, " has an empty name: name it");
    while (n < GMK_MAX_CHAN_NAME && m->name[n] != '\0')
        n++;
    if (n == GMK_MAX_CHAN_NAME)
        return gmki_wrong(r, m, "has a name too long: cut it to GMK_MAX_CHAN_NAME - 1 bytes");
    if (!gmki_name_is_plain(m->name))
        return gmki_wrong(r, m,
                          "has a blank, quote or control character in its name: "
                          "use letters, digits and '._-'");
    return GMK_OK;
}

int gmki_mod_add(gmki_mod_reg_t *r, gmk_module_t *m)
{
    int rc = check_module_name(r, m);

    if (rc != GMK_OK)
        return rc;
    for (uint32_t i = 0; i < r->n_mods; i++) {
        if (r->mods[i] == m)
            return GMK_OK;
        if (gmki_text_eq(r->mods[i]->name, m->name))
            return gmki_wrong(r, m, "is registered twice under one name: rename one of the two");
    }
    if (r->n_mods == GMK_MAX_MODULES) {
        gmki_wrong(r, m, "is one too many: GMK_MAX_MODULES are the most, merge two");
        return GMK_E_LIMIT;
    }
    r->mods[r->n_mods++] = m;
    return GMK_OK;
}

bool gmki_consumes(const gmk_module_t *m, uint32_t type)
{
    for (uint32_t i = 0; i < m->n_channels; i++)
        if ((m->channels[i].direction & GMK_CHAN_CONSUME) != 0 && m->channels[i].msg_type == type)
            return true;
    return false;
}

static int add_handler(gmki_mod_reg_t *r, uint32_t module, const gmk_handler_reg_t *reg)
{
    gmki_handler_t *h;

    if (r->n_handlers == GMK_MAX_HANDLERS) {
        gmki_wrong(r, r->mods[module], "has one handler too many: raise GMK_MAX_HANDLERS");
        return GMK_E_LIMIT;
    }
    h = &r->handlers[r->n_handlers++];
    h->fn = r->guard != NULL ? r->guard : reg->fn;
    h->inner = reg->fn;
    h->user = r->mods[module]->user;
    h->name = reg->name != NULL ? reg->name : "";
    h->module = module;
    h->type = reg->type;
    r->flags[h - r->handlers] = (uint8_t)reg->flags;
    h->max_yields = reg->max_yields == 0                 ? GMK_DEFAULT_MAX_YIELDS
                    : reg->max_yields == GMK_YIELD_NEVER ? 0
                                                         : reg->max_yields;
    h->budget_ns = reg->budget_ns != 0 ? reg->budget_ns : GMK_MAX_HANDLER_CYCLES;
    if (gmki_mod_timed(h) == GMK_OK)
        return GMK_OK;
    gmki_wrong(r, r->mods[module], "has a handler more than there is memory for: register fewer");
    return GMK_ALLOC_FAIL;
}

int gmki_mod_timed(gmki_handler_t *h)
{
    h->runtime = gmk_hal_calloc(1, sizeof(gmk_hist_t));
    return h->runtime != NULL ? GMK_OK : GMK_ALLOC_FAIL;
}

/* Direct submits of a type go to the one module that does not consume it from a
 * channel, or to the only one that handles it. */
static int route_type(gmki_mod_reg_t *r, uint32_t type)
{
    uint32_t only = GMKI_NO_HANDLER;
    uint32_t direct = GMKI_NO_HANDLER;
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->n_handlers; i++) {
        if (r->handlers[i].type != type)
            continue;
        n++;
        only = i;
        if (gmki_consumes(r->mods[r->handlers[i].module], type))
            continue;
        if (direct != GMKI_NO_HANDLER) {
            gmki_wrong_type(r, r->mods[r->handlers[i].module], type, ", and so does module '");
            gmki_error_name(r->error, r->mods[r->handlers[direct].module]->name);
            gmki_error_text(r->error, "': all but one must consume it from a channel");
            return GMK_E_WIRING;
        }
        direct = i;
    }
    if (n == 1 && type < GMK_TYPE_SYS_FIRST)
        direct = only;
    r->sched->type_handler[type] = (uint16_t)direct;
    return GMK_OK;
}

int gmki_mod_route(gmki_mod_reg_t *r)
{
    int rc;

    for (uint32_t m = 0; m < r->n_mods; m++)
        for (uint32_t i = 0; i < r->mods[m]->n_handlers; i++)
            if ((rc = add_handler(r, m, &r->mods[m]->handlers[i])) != GMK_OK)
                return rc;
    for (uint32_t t = 1; t < GMKI_TYPES; t++)
        if ((rc = route_type(r, t)) != GMK_OK)
            return rc;
    return GMK_OK;
}

uint32_t gmki_handler_of(void *modules, uint32_t module, uint32_t type)
{
    const gmki_mod_reg_t *r = modules;
    uint32_t n = gmk_load_acq(&r->n_handlers, GMK_DEV); /* sync: module.handlers */

    for (uint32_t i = 0; i < n; i++)
        if (r->handlers[i].module == module && r->handlers[i].type == type)
            return i;
    return GMKI_NO_HANDLER;
}

uint32_t gmki_add_handler(void *modules, uint32_t module, gmk_handler_fn fn)
{
    gmki_mod_reg_t *r = modules;
    uint32_t i;

    gmk_hal_lock_acquire(&r->lock);
    for (i = 0; i < r->n_handlers; i++) /* the same one again */
        if (r->handlers[i].type == GMKI_TYPE_ERROR_HANDLER && r->handlers[i].inner == fn &&
            r->handlers[i].module == module)
            break;
    if (i == r->n_handlers && i < GMK_MAX_HANDLERS) {
        r->handlers[i] = (gmki_handler_t){.fn = r->guard != NULL ? r->guard : fn,
                                          .inner = fn,
                                          .user = r->mods[module]->user,
                                          .name = "error handler",
                                          .module = module,
                                          .type = GMKI_TYPE_ERROR_HANDLER,
                                          .max_yields = GMK_DEFAULT_MAX_YIELDS,
                                          .budget_ns = GMK_MAX_HANDLER_CYCLES};
        (void)!gmki_mod_timed(&r->handlers[i]);        /* without it, it is not timed */
        gmk_store_rel(&r->n_handlers, i + 1, GMK_DEV); /* sync: module.handlers */
    }
    gmk_hal_lock_release(&r->lock);
    return i < GMK_MAX_HANDLERS ? i : (uint32_t)GMKI_NO_HANDLER;
}

bool gmki_is_deterministic(void *modules, uint32_t handler)
{
    const gmki_mod_reg_t *r = modules;

    return (r->flags[handler] & GMK_HF_DETERMINISTIC) != 0;
}

const char *gmki_module_name(void *modules, uint32_t module)
{
    const gmki_mod_reg_t *r = modules;

    return module < r->n_mods ? r->mods[module]->name : NULL;
}

void gmki_mod_fini(gmki_mod_reg_t *r)
{
    for (uint32_t i = 0; r->handlers != NULL && i < GMK_MAX_HANDLERS; i++)
        gmk_hal_free(r->handlers[i].runtime);
    gmk_hal_free(r->handlers);
    gmk_hal_free(r->fails);
    gmk_hal_free(r->wires);
    r->handlers = NULL;
}

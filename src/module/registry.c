/* SPDX-License-Identifier: MIT
 * Registration and wiring: every declaration is checked before anything runs.
 * Floor: F6. An error names what clashes, why, and what to do.
 * Source: SPEC MOD-1 to MOD-10, MOD-16, V-35, V-58; ARCHITECTURE R6. */
#include "module/module.h"

void gmki_error_text(char *error, const char *text)
{
    size_t n = 0;

    while (error[n] != '\0')
        n++;
    while (*text != '\0' && n + 1 < GMKI_ERROR_BYTES)
        error[n++] = *text++;
    error[n] = '\0';
}

void gmki_error_u32(char *error, uint32_t v)
{
    char digits[11];
    size_t i = sizeof(digits) - 1;

    digits[i] = '\0';
    do
        digits[--i] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    gmki_error_text(error, &digits[i]);
}

static bool text_eq(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

/* The story "module 'm' ..." and the code of a wiring error. */
static int wrong(gmki_mod_reg_t *r, const gmk_module_t *m, const char *what)
{
    gmki_error_text(r->error, "module '");
    gmki_error_text(r->error, m->name);
    gmki_error_text(r->error, "' ");
    gmki_error_text(r->error, what);
    return GMK_E_WIRING;
}

static int wrong_type(gmki_mod_reg_t *r, const gmk_module_t *m, uint32_t type, const char *what)
{
    wrong(r, m, "registers type ");
    gmki_error_u32(r->error, type);
    gmki_error_text(r->error, what);
    return GMK_E_WIRING;
}

static int wrong_chan(gmki_mod_reg_t *r, const gmk_module_t *m, const gmk_chan_decl_t *d,
                      const char *what)
{
    wrong(r, m, "declares channel '");
    gmki_error_text(r->error, d->name != NULL ? d->name : "(null)");
    gmki_error_text(r->error, "' ");
    gmki_error_text(r->error, what);
    return GMK_E_WIRING;
}

int gmki_mod_add(gmki_mod_reg_t *r, gmk_module_t *m)
{
    if (m == NULL || m->name == NULL || m->name[0] == '\0') {
        gmki_error_text(r->error, "a module pointer or its name is null or empty: name it");
        return GMK_E_WIRING;
    }
    for (uint32_t i = 0; i < r->n_mods; i++) {
        if (r->mods[i] == m)
            return GMK_OK;
        if (text_eq(r->mods[i]->name, m->name))
            return wrong(r, m, "is registered twice under one name: rename one of the two");
    }
    if (r->n_mods == GMK_MAX_MODULES) {
        wrong(r, m, "is one too many: raise GMK_MAX_MODULES");
        return GMK_E_LIMIT;
    }
    r->mods[r->n_mods++] = m;
    return GMK_OK;
}

static bool consumes(const gmk_module_t *m, uint32_t type)
{
    for (uint32_t i = 0; i < m->n_channels; i++)
        if ((m->channels[i].direction & GMK_CHAN_CONSUME) != 0 && m->channels[i].msg_type == type)
            return true;
    return false;
}

static int check_handler(gmki_mod_reg_t *r, const gmk_module_t *m, const gmk_handler_reg_t *h)
{
    if (h->fn == NULL)
        return wrong_type(r, m, h->type, " with a null handler: set .fn");
    if (h->type == 0 || h->type >= GMKI_TYPES)
        return wrong_type(r, m, h->type, ", out of range: valid types are 1..239");
    if (h->type >= GMK_TYPE_SYS_FIRST && !consumes(m, h->type))
        return wrong_type(r, m, h->type,
                          ", a system message type, without consuming it: use 1..239");
    if ((h->flags & GMK_HF_NEEDS_SHARED) != 0 && h->shared_bytes == 0)
        return wrong_type(r, m, h->type,
                          " with GMK_HF_NEEDS_SHARED and shared_bytes 0: set shared_bytes");
    for (const gmk_handler_reg_t *o = m->handlers; o != h; o++)
        if (o->type == h->type)
            return wrong_type(r, m, h->type, " twice: keep one handler a type");
    return GMK_OK;
}

static int add_handler(gmki_mod_reg_t *r, uint32_t module, const gmk_handler_reg_t *reg)
{
    gmki_handler_t *h;

    if (r->n_handlers == GMK_MAX_HANDLERS) {
        wrong(r, r->mods[module], "has one handler too many: raise GMK_MAX_HANDLERS");
        return GMK_E_LIMIT;
    }
    h = &r->handlers[r->n_handlers++];
    h->fn = reg->fn;
    h->user = r->mods[module]->user;
    h->name = reg->name != NULL ? reg->name : "";
    h->module = module;
    h->type = reg->type;
    r->flags[h - r->handlers] = (uint8_t)reg->flags;
    h->max_yields = reg->max_yields == 0                 ? GMK_DEFAULT_MAX_YIELDS
                    : reg->max_yields == GMK_YIELD_NEVER ? 0
                                                         : reg->max_yields;
    h->budget_ns = reg->budget_ns != 0 ? reg->budget_ns : GMK_MAX_HANDLER_CYCLES;
    return GMK_OK;
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
        if (consumes(r->mods[r->handlers[i].module], type))
            continue;
        if (direct != GMKI_NO_HANDLER) {
            wrong_type(r, r->mods[r->handlers[i].module], type, ", and so does module '");
            gmki_error_text(r->error, r->mods[r->handlers[direct].module]->name);
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

static int check_name(gmki_mod_reg_t *r, const gmk_module_t *m, const gmk_chan_decl_t *d)
{
    size_t n = 0;

    if (d->name == NULL || d->name[0] == '\0')
        return wrong_chan(r, m, d, "without a name: name it");
    while (n < GMK_MAX_CHAN_NAME && d->name[n] != '\0')
        n++;
    return n < GMK_MAX_CHAN_NAME ? GMK_OK
                                 : wrong_chan(r, m, d, ", a name too long: use 63 characters");
}

static int check_decl(gmki_mod_reg_t *r, const gmk_module_t *m, const gmk_chan_decl_t *d)
{
    uint32_t ends = d->direction & (GMK_CHAN_PRODUCE | GMK_CHAN_CONSUME);
    int rc = check_name(r, m, d);

    if (rc != GMK_OK)
        return rc;
    if (ends == 0 ||
        (d->direction & ~(GMK_CHAN_PRODUCE | GMK_CHAN_CONSUME | GMK_CHAN_PARALLEL)) != 0)
        return wrong_chan(r, m, d, "with a bad direction: use GMK_CHAN_PRODUCE or _CONSUME");
    if (ends == GMK_CHAN_PRODUCE && d->direction != ends)
        return wrong_chan(r, m, d, "as a parallel producer: GMK_CHAN_PARALLEL is its consumer's");
    if ((d->mode & ~(GMK_CHAN_P2P | GMK_CHAN_FANOUT | GMK_CHAN_LOSSLESS |
                     GMK_CHAN_DETERMINISTIC)) != 0)
        return wrong_chan(r, m, d, "with an unknown mode: use GMK_CHAN_P2P or _FANOUT");
    if ((d->guarantee & ~GMK_CHAN_LOSSLESS) != 0)
        return wrong_chan(r, m, d, "with an unknown guarantee: use GMK_CHAN_LOSSY or _LOSSLESS");
    if (d->msg_type == 0 || d->msg_type >= GMKI_TYPES)
        return wrong_chan(r, m, d, "with a message type out of range: valid are 1..239");
    if (d->slots > GMKI_MAX_SLOTS)
        return wrong_chan(r, m, d, "with too many slots: 16777216 are the most");
    return GMK_OK;
}

int gmki_mod_validate(gmki_mod_reg_t *r)
{
    int rc;

    for (uint32_t m = 0; m < r->n_mods; m++) {
        const gmk_module_t *mod = r->mods[m];

        if ((mod->n_handlers != 0 && mod->handlers == NULL) ||
            (mod->n_channels != 0 && mod->channels == NULL))
            return wrong(r, mod, "counts handlers or channels but has no table: set the pointer");
        for (uint32_t i = 0; i < mod->n_channels; i++)
            if ((rc = check_decl(r, mod, &mod->channels[i])) != GMK_OK)
                return rc;
        for (uint32_t i = 0; i < mod->n_handlers; i++)
            if ((rc = check_handler(r, mod, &mod->handlers[i])) != GMK_OK ||
                (rc = add_handler(r, m, &mod->handlers[i])) != GMK_OK)
                return rc;
    }
    for (uint32_t t = 1; t < GMKI_TYPES; t++)
        if ((rc = route_type(r, t)) != GMK_OK)
            return rc;
    return GMK_OK;
}

uint32_t gmki_handler_of(void *modules, uint32_t module, uint32_t type)
{
    const gmki_mod_reg_t *r = modules;

    for (uint32_t i = 0; i < r->n_handlers; i++)
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
        if (r->handlers[i].type == GMKI_TYPE_ERROR_HANDLER && r->handlers[i].fn == fn &&
            r->handlers[i].module == module)
            break;
    if (i == r->n_handlers && i < GMK_MAX_HANDLERS) {
        r->handlers[i] = (gmki_handler_t){.fn = fn,
                                          .user = r->mods[module]->user,
                                          .name = "error handler",
                                          .module = module,
                                          .type = GMKI_TYPE_ERROR_HANDLER,
                                          .max_yields = GMK_DEFAULT_MAX_YIELDS,
                                          .budget_ns = GMK_MAX_HANDLER_CYCLES};
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

/* What all declarations of a channel say together; the largest number of slots counts. */
static gmk_chan_opts_t declared(const gmki_mod_reg_t *r, const gmk_chan_decl_t *d)
{
    gmk_chan_opts_t o = {.mode = d->mode | (d->guarantee & GMK_CHAN_LOSSLESS),
                         .msg_type = d->msg_type};

    for (uint32_t m = 0; m < r->n_mods; m++)
        for (uint32_t i = 0; i < r->mods[m]->n_channels; i++) {
            const gmk_chan_decl_t *e = &r->mods[m]->channels[i];

            if (!text_eq(e->name, d->name))
                continue;
            o.slots = gmk_max32(o.slots, e->slots);
            o.replay_slots = gmk_max32(o.replay_slots, e->replay_slots);
        }
    return o;
}

/* Which module declared the channel, with one of the ends, before d did. */
static const char *other_end(const gmki_mod_reg_t *r, const gmk_chan_decl_t *d, uint32_t ends)
{
    for (uint32_t m = 0; m < r->n_mods; m++)
        for (uint32_t i = 0; i < r->mods[m]->n_channels; i++) {
            const gmk_chan_decl_t *o = &r->mods[m]->channels[i];

            if (o == d)
                return "the kernel";
            if (text_eq(o->name, d->name) && (o->direction & ends) != 0)
                return r->mods[m]->name;
        }
    return "the kernel";
}

/* The story of d against an earlier declaration: what, that module's name, fix. */
static int clash(gmki_mod_reg_t *r, const gmk_module_t *m, const gmk_chan_decl_t *d, uint32_t ends,
                 const char *const what[2])
{
    wrong_chan(r, m, d, what[0]);
    gmki_error_text(r->error, other_end(r, d, ends));
    gmki_error_text(r->error, what[1]);
    return GMK_E_WIRING;
}

static const char *const clash_type[2] = {"with another message type than module '",
                                          "': agree on one type"};
static const char *const clash_mode[2] = {"with another mode or guarantee than module '",
                                          "': agree on one"};
static const char *const clash_consumer[2] = {"as its consumer, and so does module '",
                                              "': a P2P channel has one consumer"};

static int wire_decl(gmki_agent_t *a, gmki_mod_reg_t *r, uint32_t module,
                     const gmk_chan_decl_t *d)
{
    const gmk_module_t *m = r->mods[module];
    gmki_sub_req_t sub = {.module = module,
                          .worker = GMK_NO_WORKER,
                          .handler = GMKI_NO_HANDLER,
                          .parallel = (d->direction & GMK_CHAN_PARALLEL) != 0};
    gmki_chan_t *sys = NULL;
    int id = gmki_chan_find(r->chan, d->name);
    int rc;

    gmk_chan_opts_t opts = declared(r, d);

    if (id > 0 && r->chan->chans[id]->kind == GMKI_CHAN_SYSTEM)
        sys = r->chan->chans[id];
    if (sys == NULL)
        id = gmki_chan_open(a, r->chan, d->name, &opts);
    else if (sys->msg_type != d->msg_type)
        return wrong_chan(r, m, d, "wrongly: consume it with its own system message type");
    if (sys == NULL && d->msg_type >= GMK_TYPE_SYS_FIRST)
        return wrong_chan(r, m, d, "with a system message type: use 1..239");
    if (id == GMK_CHAN_TYPE_MISMATCH)
        return clash(r, m, d, UINT32_MAX, clash_type);
    if (id == GMK_E_EXISTS)
        return clash(r, m, d, UINT32_MAX, clash_mode);
    if (id < 0) {
        wrong_chan(r, m, d, "and fails: ");
        gmki_error_text(r->error, gmk_strerror(id));
        return id;
    }
    if ((d->direction & GMK_CHAN_CONSUME) == 0)
        return GMK_OK;
    sub.chan = (uint32_t)id;
    rc = gmki_chan_subscribe(a, r->chan, &sub);
    if (rc == GMK_CHAN_ALREADY_BOUND)
        return clash(r, m, d, GMK_CHAN_CONSUME, clash_consumer);
    if (rc == GMK_CHAN_TYPE_MISMATCH)
        return wrong_chan(r, m, d, "as consumer but has no handler of its message type: add one");
    if (rc != GMK_OK) {
        wrong_chan(r, m, d, "and fails: ");
        gmki_error_text(r->error, gmk_strerror(rc));
    }
    return rc;
}

int gmki_mod_wire(gmki_agent_t *a, gmki_mod_reg_t *r)
{
    for (uint32_t m = 0; m < r->n_mods; m++)
        for (uint32_t i = 0; i < r->mods[m]->n_channels; i++) {
            int rc = wire_decl(a, r, m, &r->mods[m]->channels[i]);

            if (rc != GMK_OK)
                return rc;
        }
    return GMK_OK;
}

void gmki_mod_fini(gmki_mod_reg_t *r)
{
    gmk_hal_free(r->handlers);
    gmk_hal_free(r->fails);
    r->handlers = NULL;
}

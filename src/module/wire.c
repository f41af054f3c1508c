/* SPDX-License-Identifier: MIT
 * Wiring: all declarations of a channel must agree; then it opens and they subscribe.
 * Floor: F6. Nothing is opened before everything agrees. The first declaration of a
 * channel stands for it: whoever comes later is told by whom it was made otherwise.
 * Source: SPEC MOD-9, MOD-10, CH-6, CH-9, CH-10, DET-6, V-45, V-46, V-58, V-65;
 * ARCHITECTURE R6, R7. */
#include "module/module.h"

/* A declaration, its module, and the channel that it speaks of. */
typedef struct end {
    gmki_mod_reg_t *r;
    uint32_t module;
    const gmk_module_t *m;
    const gmk_chan_decl_t *d;
    gmki_wire_t *w;
} end_t;

static int wrong(const end_t *e, const char *what)
{
    return gmki_wrong_chan(e->r, e->m, e->d, what);
}

/* Two modules differ: what, the other's name, how, what to do. */
static int clash(const end_t *e, const char *what, uint32_t other, const char *how)
{
    wrong(e, what);
    gmki_error_name(e->r->error, e->r->mods[other]->name);
    gmki_error_text(e->r->error, how);
    return GMK_E_WIRING;
}

static int fails(const end_t *e, int rc)
{
    wrong(e, "and fails: ");
    gmki_error_text(e->r->error, gmk_strerror(rc));
    if (rc == GMK_E_LIMIT)
        gmki_error_text(e->r->error, " (GMK_MAX_CHANNELS counts the system's too)");
    if (rc == GMK_ALLOC_FAIL)
        gmki_error_text(e->r->error, ": lower its slots");
    return rc;
}

/* What both ends must say alike. -------------------------------------------------- */

static int agree_on_type(const end_t *e)
{
    if (e->d->msg_type == e->w->decl->msg_type)
        return GMK_OK;
    clash(e, "with another message type than module '", e->w->module, "': ");
    gmki_error_u32(e->r->error, e->d->msg_type);
    gmki_error_text(e->r->error, " here, ");
    gmki_error_u32(e->r->error, e->w->decl->msg_type);
    gmki_error_text(e->r->error, " there: agree on one type");
    return GMK_E_WIRING;
}

static int agree_on_mode(const end_t *e)
{
    static const char what[] = "with another mode or guarantee than module '";
    const gmk_chan_decl_t *d = e->d;
    const gmk_chan_decl_t *o = e->w->decl;
    const uint32_t bits = d->mode | (d->guarantee & GMK_CHAN_LOSSLESS);
    const uint32_t differ = bits ^ (o->mode | (o->guarantee & GMK_CHAN_LOSSLESS));

    if (differ & GMK_CHAN_FANOUT) /* neither bit means P2P, V-46 */
        return clash(e, what, e->w->module,
                     bits & GMK_CHAN_FANOUT
                         ? "': FANOUT here, P2P (or 0) there: agree on one .mode"
                         : "': P2P (or 0) here, FANOUT there: agree on one .mode");
    if (differ & GMK_CHAN_LOSSLESS)
        return clash(e, what, e->w->module,
                     bits & GMK_CHAN_LOSSLESS
                         ? "': LOSSLESS here, LOSSY (or 0) there: agree on one .guarantee"
                         : "': LOSSY (or 0) here, LOSSLESS there: agree on one .guarantee");
    if (differ & GMK_CHAN_DETERMINISTIC)
        return clash(e, what, e->w->module,
                     bits & GMK_CHAN_DETERMINISTIC
                         ? "': DETERMINISTIC here, not there: set it in both .mode or in none"
                         : "': DETERMINISTIC there, not here: set it in both .mode or in none");
    return GMK_OK;
}

/* System channels are made by the kernel: who may stand at which end, and as what. */
static int check_system(const end_t *e)
{
    const gmki_chan_t *c = e->r->chan->chans[GMK_CHAN_INDEX(e->w->id)];
    const gmk_chan_decl_t *d = e->d;
    const bool produces = (d->direction & GMK_CHAN_PRODUCE) != 0;
    const bool consumes = (d->direction & GMK_CHAN_CONSUME) != 0;
    const bool own = d->msg_type == c->msg_type;
    const bool wraps = e->w->id == GMK_CHAN_SYS_ERROR && d->msg_type < GMK_TYPE_SYS_FIRST;

    if (produces && (e->w->id == GMK_CHAN_SYS_DROPPED || e->w->id == GMK_CHAN_SYS_TICK))
        return wrong(e, "as its producer, but only the kernel produces it: "
                        "consume it, with its own system message type");
    if (!own && !(produces && !consumes && wraps)) {
        wrong(e, !produces  ? "wrongly: consume it with its own system message type "
                 : consumes ? "for both ends with one type, but its consumers get another: split "
                              "the entry and consume it with its own system message type "
                            : "wrongly: produce it with its own system message type ");
        gmki_error_u32(e->r->error, c->msg_type);
        return GMK_E_WIRING;
    }
    if ((d->mode & (GMK_CHAN_P2P | GMK_CHAN_DETERMINISTIC)) != 0 || d->slots != 0 ||
        d->replay_slots != 0 || (((d->mode | d->guarantee) & ~c->mode & GMK_CHAN_LOSSLESS) != 0))
        return wrong(e, "with a mode, guarantee or size, but a system channel has its own: "
                        "leave .mode, .guarantee, .slots and .replay_slots 0");
    return GMK_OK;
}

/* The consumers. ------------------------------------------------------------------- */

static int check_handler_of(const end_t *e)
{
    const gmk_handler_reg_t *h = e->m->handlers;
    const gmk_handler_reg_t *end = h + e->m->n_handlers;

    while (h != end && h->type != e->d->msg_type)
        h++;
    if (h == end)
        return wrong(e, "as consumer but has no handler of its message type: add one");
    if ((e->w->decl->mode & GMK_CHAN_DETERMINISTIC) != 0 && (h->flags & GMK_HF_DETERMINISTIC) == 0)
        return wrong(e, "as consumer, but the channel is deterministic and its handler is not: "
                        "set GMK_HF_DETERMINISTIC if it is, or drop GMK_CHAN_DETERMINISTIC");
    return GMK_OK;
}

static int check_consumer(const end_t *e)
{
    const uint64_t others = e->w->consumers;
    const uint32_t first = others != 0 ? gmk_lowest_bit64(others) : e->module;
    int rc = check_handler_of(e);

    if (rc != GMK_OK || others == 0)
        return rc;
    if (others >> e->module & 1)
        return clash(e, "as its consumer, and so does module '", e->module,
                     "' itself in another entry, but a module has one consumer entry a channel: "
                     "merge the two");
    if (!e->w->system && (e->w->decl->mode & GMK_CHAN_FANOUT) == 0)
        return clash(e, "as its consumer, and so does module '", first,
                     "': a P2P channel has one consumer: make it GMK_CHAN_FANOUT in all entries, "
                     "or drop one consumer");
    if (gmk_popcount32((uint32_t)others) + gmk_popcount32((uint32_t)(others >> 32)) ==
        GMK_MAX_CHAN_SUBS) {
        clash(e, "as one consumer too many after module '", first, "' and others: ");
        gmki_error_u32(e->r->error, GMK_MAX_CHAN_SUBS);
        gmki_error_text(e->r->error, " are the most (GMK_MAX_CHAN_SUBS): let one pass it on");
        return GMK_E_LIMIT;
    }
    return GMK_OK;
}

/* The table of channels. ----------------------------------------------------------- */

static bool has_sys_prefix(const char *name)
{
    static const char sys[] = "sys.";
    size_t i = 0;

    while (sys[i] != '\0' && name[i] == sys[i])
        i++;
    return sys[i] == '\0';
}

/* The channel's place in the table, a fresh one if this declaration is its first. */
static int wire_of(end_t *e)
{
    gmki_mod_reg_t *r = e->r;
    gmki_wire_t *w = r->wires;
    int id;

    for (; w != r->wires + r->n_wires; w++)
        if (gmki_text_eq(w->decl->name, e->d->name)) {
            e->w = w;
            return GMK_OK;
        }
    id = gmki_chan_find(r->chan, e->d->name); /* so far the system's alone are open */
    if (id < 0 && has_sys_prefix(e->d->name))
        return wrong(e, ", but 'sys.' is the system's, which has sys.dropped, sys.error, "
                        "sys.trace, sys.tick, sys.heartbeat: choose another namespace");
    if (id < 0 && e->d->msg_type >= GMK_TYPE_SYS_FIRST)
        return wrong(e, "with a system message type: use 1..239");
    if (r->n_wires == GMK_MAX_CHANNELS)
        return fails(e, GMK_E_LIMIT);
    *w = (gmki_wire_t){
        .decl = e->d, .module = e->module, .id = id > 0 ? (uint32_t)id : 0, .system = id > 0};
    r->n_wires++;
    e->w = w;
    return GMK_OK;
}

static int add_end(end_t *e)
{
    const uint64_t bit = (uint64_t)1 << e->module;
    int rc = wire_of(e);

    if (rc != GMK_OK)
        return rc;
    if (e->w->system)
        rc = check_system(e);
    else if ((rc = agree_on_type(e)) == GMK_OK)
        rc = agree_on_mode(e);
    if (rc == GMK_OK && (e->d->direction & GMK_CHAN_CONSUME) != 0)
        rc = check_consumer(e);
    if (rc != GMK_OK)
        return rc;
    e->w->slots = gmk_max32(e->w->slots, e->d->slots);
    e->w->replay_slots = gmk_max32(e->w->replay_slots, e->d->replay_slots);
    e->w->producers |= e->d->direction & GMK_CHAN_PRODUCE ? bit : 0;
    e->w->consumers |= e->d->direction & GMK_CHAN_CONSUME ? bit : 0;
    return GMK_OK;
}

static int open_wire(gmki_agent_t *a, end_t *e)
{
    const gmk_chan_opts_t o = {.mode = e->d->mode | (e->d->guarantee & GMK_CHAN_LOSSLESS),
                               .slots = e->w->slots,
                               .replay_slots = e->w->replay_slots,
                               .msg_type = e->d->msg_type};
    int id = gmki_chan_open(a, e->r->chan, e->d->name, &o);

    if (id < 0)
        return fails(e, id);
    e->w->id = (uint32_t)id;
    return GMK_OK;
}

/* The step of one declaration: agree; open, if it is its channel's first; subscribe. */
static int step(gmki_agent_t *a, end_t *e, uint32_t pass)
{
    gmki_sub_req_t sub = {.module = e->module,
                          .worker = GMK_NO_WORKER,
                          .handler = GMKI_NO_HANDLER,
                          .parallel = (e->d->direction & GMK_CHAN_PARALLEL) != 0};
    int rc;

    if (pass == 0)
        return add_end(e);
    rc = wire_of(e);
    if (rc == GMK_OK && pass == 1 && e->w->decl == e->d && !e->w->system)
        return open_wire(a, e);
    if (rc != GMK_OK || pass == 1 || (e->d->direction & GMK_CHAN_CONSUME) == 0)
        return rc;
    sub.chan = e->w->id;
    rc = gmki_chan_subscribe(a, e->r->chan, &sub);
    return rc == GMK_OK ? GMK_OK : fails(e, rc);
}

int gmki_mod_wire(gmki_agent_t *a, gmki_mod_reg_t *r)
{
    r->wires = gmk_hal_calloc(GMK_MAX_CHANNELS, sizeof(*r->wires));
    if (r->wires == NULL) {
        gmki_error_text(r->error, "no memory for the table of declared channels");
        return GMK_ALLOC_FAIL;
    }
    for (uint32_t pass = 0; pass < 3; pass++)
        for (uint32_t m = 0; m < r->n_mods; m++)
            for (uint32_t i = 0; i < r->mods[m]->n_channels; i++) {
                end_t e = {.r = r, .module = m, .m = r->mods[m], .d = &r->mods[m]->channels[i]};
                int rc = step(a, &e, pass);

                if (rc != GMK_OK)
                    return rc;
            }
    return GMK_OK;
}

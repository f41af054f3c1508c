/* SPDX-License-Identifier: MIT
 * Warnings of boot: declarations that fit together and may not be meant.
 * Floor: F6. The graph has an edge from each producer of a channel that never drops to
 * each of its consumers. Of cycles, one is named for each module that is on any and not
 * in a cycle named before: so each such module is named, and no line is said twice.
 * Source: SPEC CH-14, CH-37; ARCHITECTURE R19. */
#include "module/module.h"

static bool never_drops(const gmki_wire_t *w)
{
    const uint32_t bits = w->decl->mode | w->decl->guarantee;

    return (bits & GMK_CHAN_FANOUT) == 0 || (bits & GMK_CHAN_LOSSLESS) != 0;
}

static void say(gmki_mod_reg_t *r, const char *text) { gmki_warn_text(&r->warnings, text); }

/* "channel 'name' ": the head of a line. */
static void say_chan(gmki_mod_reg_t *r, const gmki_wire_t *w, const char *what)
{
    say(r, "channel '");
    say(r, w->decl->name);
    say(r, "' ");
    say(r, what);
}

static void say_modules(gmki_mod_reg_t *r, uint64_t set)
{
    for (; set != 0; set &= set - 1) {
        say(r, "'");
        say(r, r->mods[gmk_lowest_bit64(set)]->name);
        say(r, (set & (set - 1)) != 0 ? "', " : "'");
    }
}

/* Cycles. --------------------------------------------------------------------------- */

typedef struct graph {
    uint64_t next[GMK_MAX_MODULES]; /* a bit each */
    uint8_t path[GMK_MAX_MODULES];  /* a cycle: path[0] to path[n - 1] and back */
} graph_t;

static void draw(graph_t *g, const gmki_mod_reg_t *r)
{
    gmk_hal_memset(g, 0, sizeof(*g));
    for (uint32_t i = 0; i < r->n_wires; i++) {
        const gmki_wire_t *w = &r->wires[i];

        if (w->system || !never_drops(w))
            continue;
        for (uint64_t from = w->producers; from != 0; from &= from - 1)
            g->next[gmk_lowest_bit64(from)] |= w->consumers;
    }
}

/* The shortest cycle through m, breadth first. returns: its length, 0 if there is none. */
static uint32_t cycle_through(graph_t *g, uint32_t m)
{
    uint8_t queue[GMK_MAX_MODULES];
    uint8_t parent[GMK_MAX_MODULES];
    uint64_t seen = 0;
    uint32_t tail = 1;
    uint32_t n = 1;

    queue[0] = (uint8_t)m;
    for (uint32_t head = 0; head < tail && (seen >> m & 1) == 0; head++) {
        uint64_t fresh = g->next[queue[head]] & ~seen;

        seen |= fresh;
        for (; fresh != 0; fresh &= fresh - 1) {
            uint32_t to = gmk_lowest_bit64(fresh);

            parent[to] = queue[head];
            if (to != m)
                queue[tail++] = (uint8_t)to;
        }
    }
    if ((seen >> m & 1) == 0)
        return 0;
    for (uint32_t v = parent[m]; v != m; v = parent[v])
        n++;
    for (uint32_t i = n, v = parent[m]; i-- > 1; v = parent[v])
        g->path[i] = (uint8_t)v;
    g->path[0] = (uint8_t)m;
    return n;
}

static const char *chan_between(const gmki_mod_reg_t *r, uint32_t from, uint32_t to)
{
    uint32_t i = 0;

    while (r->wires[i].system || !never_drops(&r->wires[i]) ||
           (r->wires[i].producers >> from & 1) == 0 || (r->wires[i].consumers >> to & 1) == 0)
        i++; /* there is one: the edge came from it */
    return r->wires[i].decl->name;
}

static void warn_cycles(gmki_mod_reg_t *r)
{
    graph_t g;
    uint64_t named = 0;

    draw(&g, r);
    for (uint32_t m = 0; m < r->n_mods; m++) {
        uint32_t n = named >> m & 1 ? 0 : cycle_through(&g, m);

        if (n == 0)
            continue;
        say(r, "cycle of channels that never drop: ");
        for (uint32_t i = 0; i < n; i++) {
            uint32_t from = g.path[i];

            named |= (uint64_t)1 << from;
            say(r, r->mods[from]->name);
            say(r, " -> ");
            say(r, chan_between(r, from, g.path[(i + 1) % n]));
            say(r, " -> ");
        }
        say(r, r->mods[m]->name);
        say(r, ": when all are full none proceeds: bound what is on its way, or make one of them "
               "a lossy fan-out channel");
        gmki_warn_end(&r->warnings);
    }
}

/* Ends. ----------------------------------------------------------------------------- */

/* The trade-off of CH-14. */
static void warn_stall(gmki_mod_reg_t *r, const gmki_wire_t *w)
{
    if ((w->decl->mode & GMK_CHAN_FANOUT) == 0 || !never_drops(w))
        return;
    say_chan(r, w, "is a lossless fan-out: a slow subscriber stalls producers: subscribers ");
    say(r, w->consumers == 0 ? "undeclared" : "");
    say_modules(r, w->consumers);
    say(r, w->producers == 0 ? "; producers undeclared" : "; producers ");
    say_modules(r, w->producers);
    say(r, ": keep the subscribers' handlers short, or declare it GMK_CHAN_LOSSY");
    gmki_warn_end(&r->warnings);
}

/* Somebody subscribes now: a module in its init, or a sink. */
static bool is_heard(const gmki_mod_reg_t *r, const gmki_wire_t *w)
{
    const gmki_chan_t *c = gmki_chan_get(r->chan, w->id);

    for (uint32_t set = c != NULL ? c->taken : 0; set != 0; set &= set - 1)
        if (gmki_sub_state(gmki_chan_sub(c, gmk_lowest_bit(set))) == GMKI_SUB_LIVE)
            return true;
    return false;
}

static void warn_loose_end(gmki_mod_reg_t *r, const gmki_wire_t *w)
{
    const bool fanout = (w->decl->mode & GMK_CHAN_FANOUT) != 0;

    if (w->consumers == 0 && !is_heard(r, w)) {
        say_chan(r, w, "is produced by ");
        say_modules(r, w->producers);
        say(r, fanout ? " and consumed by nobody, so nobody hears it: declare its consumer"
                      : " and consumed by nobody, so it fills and refuses: declare its consumer");
        gmki_warn_end(&r->warnings);
    } else if (w->producers == 0 && w->consumers != 0) {
        say_chan(r, w, "is consumed by ");
        say_modules(r, w->consumers);
        say(r, " and produced by no module: declare its producer, unless threads outside feed it");
        gmki_warn_end(&r->warnings);
    }
}

static void warn_name(gmki_mod_reg_t *r, const gmki_wire_t *w)
{
    const char *c = w->decl->name;

    while (*c != '\0' && *c != '.')
        c++;
    if (*c == '.')
        return;
    say_chan(r, w, "of module '");
    say(r, r->mods[w->module]->name);
    say(r, "' has no dot in its name: write namespace.noun, names are global");
    gmki_warn_end(&r->warnings);
}

/* The gravest come first, since room is limited. */
void gmki_mod_warn(gmki_mod_reg_t *r)
{
    static void (*const kinds[])(gmki_mod_reg_t *,
                                 const gmki_wire_t *) = {warn_stall, warn_loose_end, warn_name};

    warn_cycles(r);
    for (uint32_t k = 0; k < GMK_ARRAY_LEN(kinds); k++)
        for (uint32_t i = 0; i < r->n_wires; i++)
            if (!r->wires[i].system)
                kinds[k](r, &r->wires[i]);
    gmki_warn_close(&r->warnings);
}

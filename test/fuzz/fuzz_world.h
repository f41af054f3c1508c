/* SPDX-License-Identifier: MIT
 * A kernel drawn from bytes: options, modules, declarations; the codes a call may give.
 * Half of what is drawn is meant to boot, the rest is whatever the bytes say.
 * Floor: tests. Source: SPEC MOD-2 to MOD-10, SYS-11; ARCHITECTURE R11, R12. */
#ifndef TEST_FUZZ_WORLD_H
#define TEST_FUZZ_WORLD_H

#include "ggmk/determinism.h"
#include "ggmk/ggmk.h"
#include "ggmk/hal.h"
#include "ggmk/sdk.h"
#include "ggmk/why.h"
#include "ggmk/worker.h"

#include "fuzz.h"
#include "sim.h"

/* Codes. --------------------------------------------------------------------------------- */

enum code_index {
#define X(name, number, text) AT_##name,
#include "ggmk/errors.def"
#undef X
    N_CODES
};

#define C(name) ((uint64_t)1 << AT_##name)
#define HEARD(call, codes) heard(call, codes, #call, __LINE__)
/* The same where zero and more is a number. */
#define HEARD_N(call, codes) heard_n(call, codes, #call, __LINE__)

/* FUZZ_TALK=1 in the environment prints each call and its code: for a replay. */
static void talk(const char *call, int line, int rc)
{
    static int wanted = -1;

    if (wanted < 0)
        wanted = getenv("FUZZ_TALK") != NULL;
    if (wanted)
        fprintf(stderr, "%d: %s: %d\n", line, call, rc);
}

/* The code must be one that the header names. */
static __attribute__((unused)) int heard(int rc, uint64_t codes, const char *call, int line)
{
    static const int numbers[] = {
#define X(name, number, text) number,
#include "ggmk/errors.def"
#undef X
    };

    talk(call, line, rc);
    for (uint32_t i = 0; i < N_CODES; i++)
        if (numbers[i] == rc && (codes >> i & 1) != 0)
            return rc;
    fprintf(stderr, "line %d: %s gave %d (%s), which its header does not name\n", line, call, rc,
            gmk_strerror(rc));
    abort();
}

static __attribute__((unused)) int heard_n(int rc, uint64_t codes, const char *call, int line)
{
    if (rc < 0)
        return heard(rc, codes, call, line);
    talk(call, line, rc);
    return rc;
}

/* Kernels. ------------------------------------------------------------------------------- */

#define MAX_MODS 4u
#define MAX_FNS 4u   /* handlers of a module */
#define MAX_DECLS 4u /* channels of a module */
#define N_TYPES 6u   /* 1..6 are what valid modules handle */
#define N_NAMES 4u   /* fz.a..fz.d */

typedef struct draft {
    gmk_boot_cfg_t cfg;
    gmk_module_t mod[MAX_MODS];
    gmk_module_t *list[MAX_MODS];
    gmk_handler_reg_t fn[MAX_MODS][MAX_FNS];
    gmk_chan_decl_t decl[MAX_MODS][MAX_DECLS];
    uint32_t n_mods;
    bool wild; /* not meant to boot */
} draft_t;

static const char *const good_names[N_NAMES] = {"fz.a", "fz.b", "fz.c", "fz.d"};

static const char *take_name(bytes_t *b)
{
    static const char *const others[] = {
        "sys.error",
        "sys.dropped",
        "sys.tick",
        "sys.trace",
        "",
        "plain",
        NULL,
        "bad name",
        ".a",
        "a..b",
        "a.",
        "fz.\x01",
        "\xc3\xa9.x",
        "fz.'a'",
        "fz.sixty.three.letters.are.what.a.name.may.have.and.no.more.xx",
        "fz.a.name.that.is.longer.than.sixty.three.letters.is.refused.by.all",
    };
    uint8_t x = take8(b);

    return x < 224 ? good_names[x % N_NAMES] : others[x % GMK_ARRAY_LEN(others)];
}

/* A capacity that a run can pay for, or one that is refused. */
static uint32_t take_slots(bytes_t *b)
{
    uint8_t x = take8(b);

    if (x < 128)
        return x & 15;
    return x < 250 ? 1u << (x & 7) : x < 253 ? take16(b) & 0xfff : (1u << 24) + 1 + take8(b);
}

static void take_cfg(bytes_t *b, gmk_boot_cfg_t *c, bool wild)
{
    static const size_t arenas[] = {1u << 20, 1u << 20, 2u << 20, 256u << 10, 64u << 10, 300001};

    *c = (gmk_boot_cfg_t){.flags = GMK_BOOT_NO_LINKED_MODULES, .arena_size = arenas[take8(b) % 6]};
    c->n_workers = 1 + take8(b) % 4;
    c->n_tenants = take8(b) % 4;
    c->flags |= take8(b) & (GMK_BOOT_PIN_WORKERS | GMK_BOOT_MANUAL_TICKS | GMK_BOOT_FAULT_GUARD);
    c->rq_slots = take_slots(b);
    c->lq_slots = take_slots(b);
    c->inbox_slots = take_slots(b);
    c->evq_slots = take_slots(b);
    c->overflow_slots = take_slots(b);
    c->trace_slots = take_slots(b);
    c->batch_size = take8(b) & 63;
    c->spin_ns = take8(b) * 20ull;
    c->halt_timeout_ns = take8(b) < 240 ? 0 : take8(b) * 1000ull;
    c->park_timeout_ns = take8(b) < 240 ? 0 : 1000 + take8(b) * 1000ull;
    if (!wild)
        return;
    c->n_workers = take8(b) < 128 ? c->n_workers : take8(b) & 1 ? take8(b) & 63 : take32(b);
    c->n_tenants = take8(b) < 128 ? c->n_tenants : take8(b) & 1 ? take8(b) & 31 : take32(b);
    c->arena_size = take8(b) < 192 ? c->arena_size : take_wide(b);
    if (c->arena_size > (64u << 20) && c->arena_size < (size_t)1 << 46)
        c->arena_size = 64u << 20; /* address space that the machine may really give */
    c->flags = take8(b) < 192 ? c->flags : take32(b) | GMK_BOOT_NO_LINKED_MODULES;
}

static void take_handler(bytes_t *b, gmk_handler_reg_t *h, uint32_t type, bool wild)
{
    uint8_t x = take8(b);

    h->type = type;
    h->name = x & 1 ? "fuzzed" : NULL;
    h->flags = x >> 1 & (GMK_HF_DETERMINISTIC | GMK_HF_LANES);
    h->max_yields = x & 0x20 ? x >> 6 : x & 0x40 ? GMK_YIELD_NEVER : 0;
    h->budget_ns = x & 0x80 ? take16(b) : 0;
    if (!wild)
        return;
    h->type = take8(b) < 192 ? h->type : take8(b) & 1 ? take8(b) : take32(b);
    h->flags = take8(b) < 192 ? h->flags : take16(b);
    h->shared_bytes = take8(b);
    h->fn = take8(b) == 0xff ? NULL : h->fn;
}

/* Of valid modules: name i is consumed by who handles type i + 1, in a mode that the name has. */
static void take_decl(bytes_t *b, gmk_chan_decl_t *d, uint32_t name, uint8_t modes)
{
    uint8_t x = take8(b);

    *d = (gmk_chan_decl_t){.name = good_names[name], .msg_type = name + 1, .slots = x >> 4};
    d->mode = modes >> (2 * name) & 1 ? GMK_CHAN_FANOUT : GMK_CHAN_P2P;
    d->guarantee = modes >> (2 * name) & 2 ? GMK_CHAN_LOSSLESS : GMK_CHAN_LOSSY;
    d->direction = x & 1 ? GMK_CHAN_PRODUCE : GMK_CHAN_CONSUME;
    if ((x & 7) == 2)
        d->direction |= GMK_CHAN_PARALLEL;
    if ((x & 8) != 0 && d->guarantee == GMK_CHAN_LOSSLESS)
        d->replay_slots = x & 7;
}

static void wild_decl(bytes_t *b, gmk_chan_decl_t *d)
{
    d->name = take_name(b);
    d->direction = take8(b) < 192 ? d->direction : take16(b);
    d->msg_type = take8(b) < 192 ? d->msg_type : take8(b) & 1 ? take8(b) : take32(b);
    d->mode = take8(b) < 192 ? d->mode : take16(b);
    d->guarantee = take8(b) < 192 ? d->guarantee : take16(b);
    d->slots = take8(b) < 192 ? d->slots : take_slots(b);
    d->replay_slots = take8(b) < 192 ? d->replay_slots : take_slots(b);
}

static void take_module(bytes_t *b, draft_t *d, uint32_t i, uint8_t modes)
{
    static const char *const names[MAX_MODS] = {"one", "two", "three", "four"};
    gmk_module_t *m = &d->mod[i];
    uint8_t x = take8(b);

    m->name = names[i];
    m->version = GMK_VERSION(1, i, 0);
    m->handlers = d->fn[i];
    m->channels = d->decl[i];
    m->n_handlers = 1 + x % MAX_FNS;
    m->n_channels = x >> 4 & 3;
    for (uint32_t h = 0; h < m->n_handlers; h++)
        take_handler(b, &d->fn[i][h], 1 + (i + h) % N_TYPES, d->wild);
    for (uint32_t c = 0; c < m->n_channels; c++)
        take_decl(b, &d->decl[i][c], (i + c) % N_NAMES, modes);
    if (!d->wild)
        return;
    for (uint32_t c = 0; c < m->n_channels; c++)
        wild_decl(b, &d->decl[i][c]);
    if ((x = take8(b)) >= 240)
        m->name = x & 1 ? take_name(b) : names[take8(b) % MAX_MODS];
    m->handlers = x == 1 ? NULL : m->handlers;
    m->channels = x == 2 ? NULL : m->channels;
    m->n_handlers = x == 3 ? 0 : m->n_handlers;
}

/* Draws a kernel. fn: every handler; user: of every module. */
static __attribute__((unused)) void take_draft(bytes_t *b, draft_t *d, gmk_handler_fn fn,
                                               void *user)
{
    uint8_t x = take8(b), modes;

    memset(d, 0, sizeof(*d));
    d->wild = x & 1;
    d->n_mods = 1 + (x >> 1) % MAX_MODS;
    take_cfg(b, &d->cfg, d->wild);
    modes = take8(b);
    for (uint32_t i = 0; i < d->n_mods; i++) {
        for (uint32_t h = 0; h < MAX_FNS; h++)
            d->fn[i][h].fn = fn;
        take_module(b, d, i, modes);
        d->mod[i].user = user;
        d->list[i] = &d->mod[i];
    }
    if (d->wild && (x = take8(b)) >= 250)
        d->list[x % d->n_mods] = x & 1 ? NULL : d->list[0];
}

#define BOOT_CODES                                                                                 \
    (C(GMK_OK) | C(GMK_E_INVALID) | C(GMK_E_LIMIT) | C(GMK_E_WIRING) | C(GMK_E_INIT) |             \
     C(GMK_E_CPU) | C(GMK_E_UNSUPPORTED) | C(GMK_ALLOC_FAIL))

/* What boot owes beside its code. */
static __attribute__((unused)) int boot(gmk_kernel_t *k, draft_t *d)
{
    int rc = HEARD(gmk_boot(k, &d->cfg, d->list, d->n_mods), BOOT_CODES);

    FUZZ_CHECK((gmk_boot_error(k)[0] == '\0') == (rc == GMK_OK));
    FUZZ_CHECK(rc == GMK_OK || gmk_boot_warnings(k)[0] == '\0');
    FUZZ_CHECK(strlen(gmk_boot_warnings(k)) < 1u << 20);
    if (d->cfg.n_workers == 0) /* what it has then */
        d->cfg.n_workers = GMK_DEFAULT_WORKERS;
    return rc;
}

/* The machine's end of a run must be the fuzzer's to see: linked with --wrap=_Exit. */
void __wrap__Exit(int status);
void __wrap__Exit(int status)
{
    fprintf(stderr, "the simulated machine ended with status %d\n", status);
    abort();
}

#endif

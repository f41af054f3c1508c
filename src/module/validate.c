/* SPDX-License-Identifier: MIT
 * Validation of each module by itself, before anything of it is used.
 * Floor: F6. What its neighbours must agree on is wire.c's.
 * Source: SPEC MOD-2 to MOD-4, MOD-10, CH-4, V-35, V-45, V-46. */
#include "module/module.h"

#define KNOWN_FLAGS                                                                                \
    (GMK_HF_WARP | GMK_HF_BLOCK | GMK_HF_DETERMINISTIC | GMK_HF_NEEDS_SHARED | GMK_HF_LANES)

bool gmki_name_is_plain(const char *name)
{
    size_t n = 0;

    for (; n < GMK_MAX_CHAN_NAME && name[n] != '\0'; n++) {
        unsigned char c = (unsigned char)name[n]; /* of UTF-8 any byte will do */

        if (c <= ' ' || c == 0x7f || c == '\'' || c == '"' || c == '\\')
            return false;
    }
    return n != 0 && n < GMK_MAX_CHAN_NAME;
}

/* Handlers. ------------------------------------------------------------------------- */

static int check_flags(gmki_mod_reg_t *r, const gmk_module_t *m, const gmk_handler_reg_t *h)
{
    if ((h->flags & ~KNOWN_FLAGS) != 0)
        return gmki_wrong_type(r, m, h->type, " with unknown flags: use GMK_HF_* only");
    if ((h->flags & GMK_HF_WARP) != 0 && (h->flags & GMK_HF_BLOCK) != 0)
        return gmki_wrong_type(r, m, h->type,
                               " with GMK_HF_WARP and GMK_HF_BLOCK, which exclude each other: "
                               "keep the one it is written for");
    if ((h->flags & GMK_HF_NEEDS_SHARED) != 0 && h->shared_bytes == 0)
        return gmki_wrong_type(r, m, h->type,
                               " with GMK_HF_NEEDS_SHARED and shared_bytes 0: set shared_bytes");
    return GMK_OK;
}

static int check_handler(gmki_mod_reg_t *r, const gmk_module_t *m, const gmk_handler_reg_t *h)
{
    if (h->fn == NULL)
        return gmki_wrong_type(r, m, h->type, " with a null handler: set .fn");
    if (h->type == 0)
        return gmki_wrong_type(r, m, 0,
                               ", out of range, or did not set .type: "
                               "valid types are 1..239");
    if (h->type >= GMKI_TYPES)
        return gmki_wrong_type(r, m, h->type, ", out of range: valid types are 1..239");
    if (h->type >= GMK_TYPE_SYS_FIRST && !gmki_consumes(m, h->type))
        return gmki_wrong_type(r, m, h->type,
                               ", a system message type, without consuming it from a system "
                               "channel: use 1..239");
    for (const gmk_handler_reg_t *o = m->handlers; o != h; o++)
        if (o->type == h->type)
            return gmki_wrong_type(r, m, h->type, " twice: keep one handler a type");
    return check_flags(r, m, h);
}

/* Declarations. --------------------------------------------------------------------- */

static int wrong_name(gmki_mod_reg_t *r, const gmk_module_t *m, const gmk_chan_decl_t *d,
                      const char *what)
{
    gmki_wrong(r, m, "has ");
    gmki_error_text(r->error, what);
    gmki_error_text(r->error, " name in its channel entry ");
    gmki_error_u32(r->error, (uint32_t)(d - m->channels));
    gmki_error_text(r->error, ": name it");
    return GMK_E_WIRING;
}

static int check_name(gmki_mod_reg_t *r, const gmk_module_t *m, const gmk_chan_decl_t *d)
{
    size_t n = 0;

    if (d->name == NULL)
        return wrong_name(r, m, d, "a null");
    if (d->name[0] == '\0')
        return wrong_name(r, m, d, "an empty");
    while (n < GMK_MAX_CHAN_NAME && d->name[n] != '\0')
        n++;
    if (n == GMK_MAX_CHAN_NAME) {
        gmki_wrong_chan(r, m, d, ", a name too long: use ");
        gmki_error_u32(r->error, GMK_MAX_CHAN_NAME - 1);
        gmki_error_text(r->error, " characters at most");
        return GMK_E_WIRING;
    }
    if (!gmki_name_is_plain(d->name))
        return gmki_wrong_chan(r, m, d,
                               ", a name with a blank, quote or control character: "
                               "use letters, digits and '._-'");
    for (size_t i = 0; i < n; i++)
        if (d->name[i] == '.' && (i == 0 || i + 1 == n || d->name[i + 1] == '.'))
            return gmki_wrong_chan(r, m, d,
                                   ", a name with an empty part: "
                                   "write namespace.noun, a dot only between words");
    return GMK_OK;
}

static int check_ends(gmki_mod_reg_t *r, const gmk_module_t *m, const gmk_chan_decl_t *d)
{
    const uint32_t ends = d->direction & (GMK_CHAN_PRODUCE | GMK_CHAN_CONSUME);

    if ((d->direction & ~(GMK_CHAN_PRODUCE | GMK_CHAN_CONSUME | GMK_CHAN_PARALLEL)) != 0)
        return gmki_wrong_chan(r, m, d,
                               "with unknown bits in its direction: "
                               "use GMK_CHAN_PRODUCE or _CONSUME, mode bits go to .mode");
    if (d->direction == GMK_CHAN_PARALLEL)
        return gmki_wrong_chan(r, m, d,
                               "as GMK_CHAN_PARALLEL without a direction: "
                               "add GMK_CHAN_CONSUME");
    if (ends == 0)
        return gmki_wrong_chan(r, m, d, "without a direction: use GMK_CHAN_PRODUCE or _CONSUME");
    if (ends == GMK_CHAN_PRODUCE && d->direction != ends)
        return gmki_wrong_chan(r, m, d,
                               "as a parallel producer, but GMK_CHAN_PARALLEL "
                               "is its consumer's: drop it here");
    return GMK_OK;
}

static int check_mode(gmki_mod_reg_t *r, const gmk_module_t *m, const gmk_chan_decl_t *d)
{
    const uint32_t both = GMK_CHAN_P2P | GMK_CHAN_FANOUT;

    if ((d->mode & ~(both | GMK_CHAN_LOSSLESS | GMK_CHAN_DETERMINISTIC)) != 0)
        return gmki_wrong_chan(r, m, d, "with an unknown mode: use GMK_CHAN_P2P or _FANOUT");
    if ((d->mode & both) == both)
        return gmki_wrong_chan(r, m, d,
                               "as GMK_CHAN_P2P and GMK_CHAN_FANOUT at once: "
                               "keep one, by how many modules consume it");
    if ((d->guarantee & ~GMK_CHAN_LOSSLESS) != 0)
        return gmki_wrong_chan(r, m, d,
                               "with an unknown guarantee: use GMK_CHAN_LOSSY or _LOSSLESS");
    if ((d->mode & GMK_CHAN_DETERMINISTIC) != 0 && (d->direction & GMK_CHAN_PARALLEL) != 0)
        return gmki_wrong_chan(r, m, d,
                               "as a parallel consumer, but it is deterministic and "
                               "so consumed in order: drop GMK_CHAN_PARALLEL");
    return GMK_OK;
}

static int check_sizes(gmki_mod_reg_t *r, const gmk_module_t *m, const gmk_chan_decl_t *d)
{
    const char *what = NULL;

    if (d->slots > GMKI_MAX_SLOTS)
        what = "with too many slots: ";
    else if (d->replay_slots > GMKI_MAX_SLOTS)
        what = "with too many replay slots: ";
    if (what != NULL) {
        gmki_wrong_chan(r, m, d, what);
        gmki_error_u32(r->error, GMKI_MAX_SLOTS);
        gmki_error_text(r->error, " are the most");
        return GMK_E_WIRING;
    }
    if (d->replay_slots != 0 && ((d->mode | d->guarantee) & GMK_CHAN_LOSSLESS) == 0)
        return gmki_wrong_chan(r, m, d,
                               "with replay slots, but lossy, and only lossless channels "
                               "replay: set .guarantee to GMK_CHAN_LOSSLESS");
    return GMK_OK;
}

static int check_decl(gmki_mod_reg_t *r, const gmk_module_t *m, const gmk_chan_decl_t *d)
{
    int rc;

    if ((rc = check_name(r, m, d)) != GMK_OK || (rc = check_ends(r, m, d)) != GMK_OK ||
        (rc = check_mode(r, m, d)) != GMK_OK || (rc = check_sizes(r, m, d)) != GMK_OK)
        return rc;
    if (d->msg_type == 0)
        return gmki_wrong_chan(r, m, d,
                               "without a message type (0), "
                               "a message type out of range: valid are 1..239");
    if (d->msg_type >= GMKI_TYPES)
        return gmki_wrong_chan(r, m, d, "with a message type out of range: valid are 1..239");
    return GMK_OK;
}

int gmki_mod_validate(gmki_mod_reg_t *r)
{
    int rc;

    for (uint32_t i = 0; i < r->n_mods; i++) {
        const gmk_module_t *m = r->mods[i];

        if (m->n_handlers != 0 && m->handlers == NULL)
            return gmki_wrong(r, m, "counts handlers but has no table: set the pointer .handlers");
        if (m->n_channels != 0 && m->channels == NULL)
            return gmki_wrong(r, m, "counts channels but has no table: set the pointer .channels");
        for (uint32_t c = 0; c < m->n_channels; c++)
            if ((rc = check_decl(r, m, &m->channels[c])) != GMK_OK)
                return rc;
        for (uint32_t h = 0; h < m->n_handlers; h++)
            if ((rc = check_handler(r, m, &m->handlers[h])) != GMK_OK)
                return rc;
    }
    return gmki_mod_route(r);
}

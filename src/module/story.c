/* SPDX-License-Identifier: MIT
 * The words of boot: the one error that ended it, the warnings of one that did not.
 * Floor: F6. An error that does not fit ends early; a warning that does not fit is left
 * out whole and counted.
 * Source: SPEC MOD-9, CH-14; ARCHITECTURE R6, R19. */
#include "module/module.h"

#define TAIL_BYTES 64u /* kept for the line that counts what was left out */

GMK_STATIC_ASSERT(GMKI_ERROR_BYTES >= 3 * GMK_MAX_CHAN_NAME + 192, "three names and a text");

void gmki_error_text(char *error, const char *text)
{
    size_t n = 0;

    while (error[n] != '\0')
        n++;
    while (*text != '\0' && n + 1 < GMKI_ERROR_BYTES)
        error[n++] = *text++;
    error[n] = '\0';
}

/* Writes v into digits[11]. returns: its first digit. */
static const char *decimal(char *digits, uint32_t v)
{
    size_t i = 10;

    digits[i] = '\0';
    do
        digits[--i] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    return &digits[i];
}

void gmki_error_u32(char *error, uint32_t n)
{
    char digits[11];

    gmki_error_text(error, decimal(digits, n));
}

/* Names are not checked yet when an error shows them: what would garble a line is '?'. */
void gmki_error_name(char *error, const char *name)
{
    char shown[GMK_MAX_CHAN_NAME];
    size_t n = 0;

    for (; n + 1 < GMK_MAX_CHAN_NAME && name[n] != '\0'; n++)
        shown[n] = (unsigned char)name[n] < ' ' || name[n] == 0x7f ? '?' : name[n];
    shown[n] = '\0';
    gmki_error_text(error, shown);
}

int gmki_wrong(gmki_mod_reg_t *r, const gmk_module_t *m, const char *what)
{
    gmki_error_text(r->error, "module '");
    gmki_error_name(r->error, m->name);
    gmki_error_text(r->error, "' ");
    gmki_error_text(r->error, what);
    return GMK_E_WIRING;
}

int gmki_wrong_type(gmki_mod_reg_t *r, const gmk_module_t *m, uint32_t type, const char *what)
{
    gmki_wrong(r, m, "registers type ");
    gmki_error_u32(r->error, type);
    gmki_error_text(r->error, what);
    return GMK_E_WIRING;
}

int gmki_wrong_chan(gmki_mod_reg_t *r, const gmk_module_t *m, const gmk_chan_decl_t *d,
                    const char *what)
{
    gmki_wrong(r, m, "declares channel '");
    gmki_error_name(r->error, d->name);
    gmki_error_text(r->error, "' ");
    gmki_error_text(r->error, what);
    return GMK_E_WIRING;
}

/* Warnings. ------------------------------------------------------------------------ */

void gmki_warn_text(gmki_warnings_t *w, const char *text)
{
    if (w->line != 0 && w->len == w->line) /* a line before it */
        w->text[w->len++] = '\n';
    while (*text != '\0' && w->len < GMKI_WARN_BYTES - TAIL_BYTES)
        w->text[w->len++] = *text++;
    w->full |= *text != '\0';
}

void gmki_warn_end(gmki_warnings_t *w)
{
    if (w->full) {
        w->len = w->line;
        w->n_cut++;
    }
    w->full = false;
    w->line = w->len;
    w->text[w->len] = '\0';
}

void gmki_warn_close(gmki_warnings_t *w)
{
    char digits[11];
    const char *parts[] = {w->line != 0 ? "\n" : "",
                           "warnings left out for want of room: ", decimal(digits, w->n_cut)};

    for (uint32_t i = 0; i < GMK_ARRAY_LEN(parts) && w->n_cut != 0; i++)
        for (const char *c = parts[i]; *c != '\0'; c++)
            w->text[w->len++] = *c;
    w->text[w->len] = '\0';
}

/* SPDX-License-Identifier: MIT
 * What commands are made of: a call of one, its answer, its errors.
 * Floor: modules, private. */
#ifndef MODULES_MONITOR_COMMAND_H
#define MODULES_MONITOR_COMMAND_H

#include <stdarg.h>

#include "monitor.h"

#define MON_WORDS 5u
#define MON_PIECE 4000u /* bytes of one message of an answer */

/* An answer: text that goes out in pieces. */
typedef struct mon_call {
    gmk_ctx_t *ctx;
    mon_t *mon;
    uint64_t tag;
    char *piece;   /* a payload; null: none begun */
    uint32_t used; /* of it */
    uint32_t flags;
    bool cut;   /* memory or room was spent: the rest is left out */
    bool later; /* the answer goes on when the transfer has ended */
    bool ends;  /* and with it the machine, as `how` says */
    enum mon_end how;
    uint32_t n; /* words, the name first */
    char *word[MON_WORDS];
} mon_call_t;

typedef struct mon_command {
    const char *name, *arguments, *text;
    uint32_t min, max;
    void (*run)(mon_call_t *c);
} mon_command_t;

extern const mon_command_t mon_commands[];
extern const uint32_t mon_n_commands;
extern const gmk_module_t mon_exec_module; /* exec.c */

#define X(name, min, max, arguments, text) void mon_do_##name(mon_call_t *c);
#include "commands.def"
#undef X

/* %s %c %u %x with l, a width, '-' and '0'. */
void mon_print(mon_call_t *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void mon_write(mon_call_t *c, const char *text, size_t n);
/* The same into a buffer, cut if need be and always ended. returns: its length. */
size_t mon_format(char *to, size_t bytes, const char *format, va_list args);

/* `error: NAME: what; what to do` as the answer. */
void mon_refuse(mon_call_t *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sends what there is, the last piece with flags. */
void mon_finish(mon_call_t *c);

/* Word i as a number from 0 to max, 0x too. returns: false, with the refusal made. */
bool mon_number(mon_call_t *c, uint32_t i, uint64_t max, uint64_t *out);
bool mon_same(const char *a, const char *b);
size_t mon_length(const char *s);

/* The name that is nearest to a wrong one; null: none is near. */
const char *mon_nearest(const char *wrong);

/* The lines of a list of the machine. */
void mon_list(mon_call_t *c, enum mon_list list);

/* A module's channel at its start. returns: GMK_OK, or what gmk_chan_find says. */
int mon_channel(gmk_ctx_t *ctx, const char *name, uint32_t *id);

/* The transfer of this call has ended (c->word is not set). */
void mon_io_ended(mon_call_t *c);

#endif

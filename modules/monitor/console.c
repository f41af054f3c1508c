/* SPDX-License-Identifier: MIT
 * Module `cli`: the terminal. Keys make a line, a line becomes a command, answers are shown.
 * Floor: modules. One command is under way at a time; what is typed meanwhile waits.
 * Source: SPEC BM-38, STD-26. */
#include "command.h"

#define SLOW_NS 1000000000u /* a line takes 10 ms at 115200 baud */

enum { CTRL_C = 0x03, BELL = 0x07, BACKSPACE = 0x08, CTRL_U = 0x15, ESCAPE = 0x1b, DELETE = 0x7f };

static void show(mon_t *m, const char *text, size_t n) { m->ops->write(m->arg, text, n); }
static void show_text(mon_t *m, const char *text) { show(m, text, mon_length(text)); }
static void prompt(mon_t *m) { show_text(m, MON_PROMPT); }

static void say(mon_t *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(mon_t *m, const char *format, ...)
{
    char text[200];
    va_list args;
    size_t n;

    va_start(args, format);
    n = mon_format(text, sizeof(text), format, args);
    va_end(args);
    show(m, text, n);
}

/* Whole lines one by one, since each holds the port for its length. */
static void show_lines(mon_t *m, const char *text, size_t n)
{
    size_t from = 0;

    for (size_t i = 0; i < n; i++)
        if (text[i] == '\n' || i + 1 == n) {
            show(m, text + from, i + 1 - from);
            from = i + 1;
        }
}

/* The line editor. -------------------------------------------------------------------- */

static void erase(mon_t *m, uint32_t n)
{
    mon_console_t *s = &m->console;

    for (; n != 0 && s->n != 0; n--, s->n--)
        show_text(m, "\b \b");
}

/* Sends the line off. */
static void command(gmk_ctx_t *ctx, mon_t *m)
{
    mon_console_t *s = &m->console;
    gmk_task_t t = {.type = MON_TYPE_COMMAND, .flags = GMK_PRIO_HIGH};
    void *line = gmk_payload_alloc(ctx, s->n);
    int rc = GMK_ALLOC_FAIL;

    if (line != NULL) {
        gmk_hal_memcpy(line, s->line, s->n);
        gmk_task_set_payload(&t, line);
        t.meta0 = MON_TAG << 32 | (uint32_t)(s->tag + 1);
        rc = gmk_chan_emit_wait(ctx, s->cmd, &t);
        if (rc != GMK_OK)
            gmk_payload_release_ptr(ctx, line);
    }
    if (rc == GMK_OK) {
        s->tag = t.meta0;
        s->busy = true;
        return;
    }
    say(m, "error: the command could not be sent: %s; try again\n", gmk_strerror(rc));
    prompt(m);
}

static void enter(gmk_ctx_t *ctx, mon_t *m)
{
    mon_console_t *s = &m->console;

    show_text(m, "\n");
    if (s->too_long)
        say(m, "error: the line is longer than %u bytes; it was not run: shorten it\n", MON_LINE);
    if (s->too_long || s->n == 0)
        prompt(m);
    else
        command(ctx, m);
    s->n = 0;
    s->too_long = false;
}

static void add(mon_t *m, char c)
{
    mon_console_t *s = &m->console;

    if (s->n == MON_LINE) {
        s->too_long = true;
        c = BELL;
    } else {
        s->line[s->n++] = c;
    }
    show(m, &c, 1);
}

/* Whether c belongs to the sequence of a key that has no meaning here (arrows and the like). */
static bool escaped(mon_console_t *s, uint8_t c)
{
    bool inside = s->escape != 0 || c == ESCAPE;

    if (c == ESCAPE)
        s->escape = 1;
    else if (s->escape == 1)
        s->escape = c == '[' || c == 'O' ? 2 : 0;
    else if (s->escape == 2 && c >= 0x40)
        s->escape = 0;
    return inside;
}

static void edit(gmk_ctx_t *ctx, mon_t *m, uint8_t c)
{
    mon_console_t *s = &m->console;
    bool after_cr = s->after_cr;

    s->after_cr = c == '\r';
    if (c == CTRL_C) {
        show_text(m, "^C\n");
        s->n = 0;
        s->too_long = false;
        s->escape = 0;
        prompt(m);
    } else if (c == '\r' || (c == '\n' && !after_cr)) {
        s->escape = 0;
        enter(ctx, m);
    } else if (c == '\n' || escaped(s, c)) {
        return; /* the second half of an end of line, or of a key */
    } else if (c == BACKSPACE || c == DELETE) {
        erase(m, 1);
    } else if (c == CTRL_U) {
        erase(m, MON_LINE);
        s->too_long = false;
    } else if (c == '\t' || (c >= ' ' && c < DELETE)) {
        add(m, c == '\t' ? ' ' : (char)c);
    } else {
        show_text(m, "\a");
    }
}

/* Edits what is typed, up to a command. */
static void pump(gmk_ctx_t *ctx, mon_t *m)
{
    mon_console_t *s = &m->console;

    while (!s->busy && s->n_ahead != 0) {
        uint8_t c = s->ahead[s->first];

        s->first = (s->first + 1) % MON_AHEAD;
        s->n_ahead--;
        edit(ctx, m, c);
    }
}

/* Messages. --------------------------------------------------------------------------- */

int mon_type(gmk_ctx_t *ctx, uint32_t chan, const void *bytes, uint32_t n)
{
    gmk_task_t t = {.type = MON_TYPE_KEYS, .flags = GMK_PRIO_HIGH};
    uint8_t room[16] = {0};

    if (n > MON_TYPE_BYTES)
        return GMK_E_INVALID;
    gmk_hal_memcpy(room, bytes, n);
    room[MON_TYPE_BYTES] = (uint8_t)n;
    gmk_hal_memcpy(&t.meta0, room, 8);
    gmk_hal_memcpy(&t.meta1, room + 8, 8);
    return gmk_chan_emit(ctx, chan, &t);
}

GMK_HANDLER(on_keys)
{
    mon_t *m = ctx->user;
    mon_console_t *s = &m->console;
    uint8_t room[16];

    gmk_hal_memcpy(room, &ctx->task->meta0, 8);
    gmk_hal_memcpy(room + 8, &ctx->task->meta1, 8);
    if (!s->started)
        prompt(m);
    s->started = true;
    for (uint32_t i = 0; i < room[MON_TYPE_BYTES] && i < MON_TYPE_BYTES; i++) {
        if (room[i] == CTRL_C) { /* at once: also what was typed ahead is given up */
            s->n_ahead = 0;
            s->busy = false;
        }
        if (s->n_ahead == MON_AHEAD) {
            show_text(m, "\a"); /* typed too far ahead: lost, and heard */
            continue;
        }
        s->ahead[(s->first + s->n_ahead++) % MON_AHEAD] = room[i];
        pump(ctx, m);
    }
    return GMK_OK;
}

GMK_HANDLER(on_answer)
{
    const gmk_task_t *t = ctx->task;
    mon_t *m = ctx->user;
    mon_console_t *s = &m->console;

    if (t->meta0 != s->tag || !s->busy)
        return GMK_OK; /* somebody else's, or given up by ^C */
    if (t->payload_len != 0)
        show_lines(m, (const char *)(uintptr_t)t->payload_ptr, t->payload_len);
    else if ((t->meta1 & MON_FAILED) != 0)
        show_text(m, "error: there is no memory for an answer; see 'mem' later\n");
    if ((t->meta1 & MON_LAST) == 0 || (t->meta1 & MON_ENDS) != 0)
        return GMK_OK;
    s->busy = false;
    prompt(m);
    pump(ctx, m);
    return GMK_OK;
}

/* Something to be said in the middle of a line: the line is shown again below it. */
static void again(mon_t *m)
{
    mon_console_t *s = &m->console;

    if (s->busy || !s->started)
        return;
    prompt(m);
    show(m, s->line, s->n);
}

GMK_HANDLER(on_error)
{
    const gmk_task_t *t = ctx->task;
    mon_t *m = ctx->user;

    say(m, "\nsys.error: task type %u, channel %u: %s (code %u)\n", GMK_ENVELOPE_TYPE(t),
        GMK_ENVELOPE_CHANNEL(t), gmk_reason_text(GMK_ENVELOPE_REASON(t)), GMK_ENVELOPE_CODE(t));
    again(m);
    return GMK_OK;
}

/* Trace records of a peer: a payload of them. */
GMK_HANDLER(on_trace)
{
    const gmk_task_t *t = ctx->task;
    const gmk_trace_ev_t *ev = (const gmk_trace_ev_t *)(uintptr_t)t->payload_ptr;
    mon_t *m = ctx->user;

    show_text(m, "\n");
    for (uint32_t i = 0; i < t->payload_len / sizeof(*ev); i++)
        say(m, "sys.trace: %s type %u: %u %u\n", gmk_trace_event_name(ev[i].ev_type), ev[i].type,
            ev[i].arg0, ev[i].arg1);
    again(m);
    return GMK_OK;
}

static int init(gmk_ctx_t *ctx)
{
    return mon_channel(ctx, "cli.cmd", &((mon_t *)ctx->user)->console.cmd);
}

static gmk_handler_reg_t handlers[] = {
    {.type = MON_TYPE_KEYS, .fn = on_keys, .name = "keys", .budget_ns = SLOW_NS},
    {.type = MON_TYPE_ANSWER, .fn = on_answer, .name = "answer", .budget_ns = SLOW_NS},
    {.type = GMK_TYPE_SYS_ERROR, .fn = on_error, .name = "error"},
    {.type = GMK_TYPE_SYS_TRACE, .fn = on_trace, .name = "trace"}};

static gmk_chan_decl_t channels[] = {
    {.name = "cli.key",
     .direction = GMK_CHAN_CONSUME,
     .msg_type = MON_TYPE_KEYS,
     .guarantee = GMK_CHAN_LOSSLESS,
     .slots = 64},
    {.name = "cli.cmd",
     .direction = GMK_CHAN_PRODUCE,
     .msg_type = MON_TYPE_COMMAND,
     .guarantee = GMK_CHAN_LOSSLESS,
     .slots = 16},
    {.name = "cli.resp",
     .direction = GMK_CHAN_CONSUME,
     .msg_type = MON_TYPE_ANSWER,
     .mode = GMK_CHAN_FANOUT,
     .guarantee = GMK_CHAN_LOSSLESS,
     .slots = 16},
    {.name = "sys.error", .direction = GMK_CHAN_CONSUME, .msg_type = GMK_TYPE_SYS_ERROR},
    {.name = "sys.trace", .direction = GMK_CHAN_CONSUME, .msg_type = GMK_TYPE_SYS_TRACE}};

static const gmk_module_t cli = {.name = "cli",
                                 .version = GMK_VERSION(1, 0, 0),
                                 .handlers = handlers,
                                 .n_handlers = GMK_ARRAY_LEN(handlers),
                                 .channels = channels,
                                 .n_channels = GMK_ARRAY_LEN(channels),
                                 .init = init};

void mon_setup(mon_t *m, const mon_ops_t *ops, void *arg, gmk_module_t **mods)
{
    gmk_hal_memset(m, 0, sizeof(*m));
    m->ops = ops;
    m->arg = arg;
    m->exec.buf = m->buf;
    m->modules[0] = cli;
    m->modules[1] = mon_exec_module;
    for (uint32_t i = 0; i < MON_N_MODULES; i++) {
        m->modules[i].user = m;
        mods[i] = &m->modules[i];
    }
}

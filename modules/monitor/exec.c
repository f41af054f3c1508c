/* SPDX-License-Identifier: MIT
 * Module `monitor`: takes commands from `cli.cmd`, answers on `cli.resp`.
 * Floor: modules. One serial group: commands and ends of transfers come one by one. While a
 * transfer is under way other commands that need the disk are refused.
 * Source: SPEC BM-38, STD-26. */
#include "command.h"

const mon_command_t mon_commands[] = {
#define X(name, min, max, arguments, text) {#name, arguments, text, min, max, mon_do_##name},
#include "commands.def"
#undef X
};
const uint32_t mon_n_commands = GMK_ARRAY_LEN(mon_commands);

/* The answer. --------------------------------------------------------------------------- */

/* Sends the piece that is made, or an empty last one. */
static void send(mon_call_t *c, uint32_t flags)
{
    gmk_task_t t = {.type = MON_TYPE_ANSWER, .flags = GMK_PRIO_HIGH};

    if (c->piece != NULL) {
        gmk_task_set_payload(&t, c->piece);
        t.payload_len = c->used;
    }
    t.meta0 = c->tag;
    t.meta1 = flags;
    if (gmk_chan_emit_wait(c->ctx, c->mon->exec.resp, &t) != GMK_OK) {
        if (c->piece != NULL)
            gmk_payload_release_ptr(c->ctx, c->piece);
        c->cut = true;
    }
    c->piece = NULL;
    c->used = 0;
}

void mon_write(mon_call_t *c, const char *text, size_t n)
{
    for (size_t i = 0; i < n && !c->cut; i++) {
        if (c->piece == NULL && (c->piece = gmk_payload_alloc(c->ctx, MON_PIECE)) == NULL) {
            c->cut = true;
            return;
        }
        c->piece[c->used++] = text[i];
        if (c->used == MON_PIECE)
            send(c, 0);
    }
}

void mon_print(mon_call_t *c, const char *format, ...)
{
    char text[256];
    va_list args;
    size_t n;

    va_start(args, format);
    n = mon_format(text, sizeof(text), format, args);
    va_end(args);
    mon_write(c, text, n);
}

void mon_refuse(mon_call_t *c, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    mon_format(text, sizeof(text), format, args);
    va_end(args);
    c->flags |= MON_FAILED;
    mon_print(c, "error: ");
    if (c->n != 0)
        mon_print(c, "%s: ", c->word[0]);
    mon_print(c, "%s\n", text);
}

void mon_finish(mon_call_t *c)
{
    static const char spent[] = "\nerror: the rest of the answer had no memory or room\n";

    if (c->cut) {
        c->cut = false;
        c->flags |= MON_FAILED;
        mon_write(c, spent, sizeof(spent) - 1);
    }
    c->cut = false;
    send(c, c->flags | MON_LAST);
}

void mon_list(mon_call_t *c, enum mon_list list)
{
    char line[160];
    uint32_t i = 0;
    size_t n;

    while (c->mon->ops->line != NULL &&
           (n = c->mon->ops->line(c->mon->arg, list, i, line, sizeof(line))) != 0) {
        mon_write(c, line, n);
        mon_print(c, "\n");
        i++;
    }
    if (i == 0)
        mon_refuse(c, "this machine tells nothing of it; nothing can be done");
}

/* Commands. ------------------------------------------------------------------------------ */

/* Splits line, ended, into words. returns: false: there are more than fit. */
static bool split(mon_call_t *c, char *line)
{
    char *p = line;

    for (;;) {
        while (*p == ' ')
            *p++ = '\0';
        if (*p == '\0')
            return true;
        if (c->n == MON_WORDS)
            return false;
        c->word[c->n++] = p;
        while (*p != '\0' && *p != ' ')
            p++;
    }
}

static const mon_command_t *find(const char *name)
{
    for (uint32_t i = 0; i < mon_n_commands; i++)
        if (mon_same(mon_commands[i].name, name))
            return &mon_commands[i];
    return NULL;
}

static void unknown(mon_call_t *c, const char *name)
{
    const char *near = mon_nearest(name);

    c->n = 0; /* no command is to blame */
    if (near != NULL)
        mon_refuse(c, "there is no command '%s'; did you mean '%s'?", name, near);
    else
        mon_refuse(c, "there is no command '%s'; 'help' shows what there is", name);
}

static void run(mon_call_t *c, char *line)
{
    const mon_command_t *command;
    bool fits = split(c, line);

    if (c->n == 0)
        return;
    command = find(c->word[0]);
    if (command == NULL)
        unknown(c, c->word[0]);
    else if (!fits || c->n - 1 < command->min || c->n - 1 > command->max)
        mon_refuse(c, "too %s words; write: %s%s%s",
                   fits && c->n - 1 < command->min ? "few" : "many", command->name,
                   command->arguments[0] != '\0' ? " " : "", command->arguments);
    else
        command->run(c);
}

GMK_HANDLER(on_command)
{
    mon_call_t c = {.ctx = ctx, .mon = ctx->user, .tag = ctx->task->meta0};
    uint32_t n = ctx->task->payload_len;
    char line[MON_LINE + 1];

    if (n > MON_LINE) {
        mon_refuse(&c, "the line is longer than %u bytes; shorten it", MON_LINE);
    } else {
        gmk_hal_memcpy(line, (const void *)(uintptr_t)ctx->task->payload_ptr, n);
        line[n] = '\0';
        run(&c, line);
    }
    if (!c.later)
        mon_finish(&c);
    if (c.ends)
        c.mon->ops->end(c.mon->arg, c.how);
    return GMK_OK;
}

int mon_io_done(gmk_ctx_t *ctx, uint32_t chan)
{
    gmk_task_t t = {.type = MON_TYPE_DONE, .flags = GMK_PRIO_HIGH};

    return gmk_chan_emit(ctx, chan, &t);
}

GMK_HANDLER(on_done)
{
    mon_t *m = ctx->user;
    mon_call_t c = {.ctx = ctx, .mon = m, .tag = m->exec.tag};

    if (!m->exec.pending)
        return GMK_OK;
    m->exec.pending = false;
    mon_io_ended(&c);
    mon_finish(&c);
    return GMK_OK;
}

void mon_do_help(mon_call_t *c)
{
    const mon_command_t *one = c->n > 1 ? find(c->word[1]) : NULL;

    if (c->n > 1 && one == NULL) {
        unknown(c, c->word[1]);
        return;
    }
    for (uint32_t i = 0; i < mon_n_commands; i++) {
        const mon_command_t *x = &mon_commands[i];

        if (one == NULL || one == x)
            mon_print(c, "%-8s %-22s %s\n", x->name, x->arguments, x->text);
    }
}

int mon_channel(gmk_ctx_t *ctx, const char *name, uint32_t *id)
{
    int rc = gmk_chan_find(ctx, name);

    *id = rc > 0 ? (uint32_t)rc : 0;
    return rc > 0 ? GMK_OK : rc;
}

static int init(gmk_ctx_t *ctx)
{
    return mon_channel(ctx, "cli.resp", &((mon_t *)ctx->user)->exec.resp);
}

/* A command looks at all of a kernel: its budget is longer than a task's. */
static gmk_handler_reg_t handlers[] = {
    {.type = MON_TYPE_COMMAND, .fn = on_command, .name = "command", .budget_ns = 100000000},
    {.type = MON_TYPE_DONE, .fn = on_done, .name = "done", .budget_ns = 100000000}};

static gmk_chan_decl_t channels[] = {{.name = "cli.cmd",
                                      .direction = GMK_CHAN_CONSUME,
                                      .msg_type = MON_TYPE_COMMAND,
                                      .guarantee = GMK_CHAN_LOSSLESS,
                                      .slots = 16},
                                     {.name = "cli.done",
                                      .direction = GMK_CHAN_CONSUME,
                                      .msg_type = MON_TYPE_DONE,
                                      .guarantee = GMK_CHAN_LOSSLESS,
                                      .slots = 4},
                                     {.name = "cli.resp",
                                      .direction = GMK_CHAN_PRODUCE,
                                      .msg_type = MON_TYPE_ANSWER,
                                      .mode = GMK_CHAN_FANOUT,
                                      .guarantee = GMK_CHAN_LOSSLESS,
                                      .slots = 16}};

const gmk_module_t mon_exec_module = {.name = "monitor",
                                      .version = GMK_VERSION(1, 0, 0),
                                      .handlers = handlers,
                                      .n_handlers = GMK_ARRAY_LEN(handlers),
                                      .channels = channels,
                                      .n_channels = GMK_ARRAY_LEN(channels),
                                      .init = init};

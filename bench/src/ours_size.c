/* SPDX-License-Identifier: MIT
 * Cost against size: ns a task over more tasks, channels and workers, and memory under load.
 * usage: ours_size ROW SIZE (one size a process); ours_size ROW for the memory rows
 *   size-tasks N      N empty tasks from outside, 32 a call, workers parked before each
 *                     burst; bursts are repeated up to 5 M tasks, and their median counts
 *   size-channels N   1 M messages, each to the next of N channels, from a serial handler;
 *                     the channels are shared out over as many modules as there may be
 *   size-workers N    a chain, a tree and tasks from outside at once on N workers
 *   memory-resident   MiB in memory at the end of 10 M tasks of that mix; after the first
 *                     million and after boot
 *   memory-mapped     the same of the address space */
#include "ours.h"
#include <fcntl.h>

enum { T_MSG = T_OWN, T_FEED, T_START };
enum { LAST = 128 };         /* tasks of a burst that look at the clock */
enum { REPEATED = 5000000 }; /* tasks of a size, in several bursts if it is small */
enum { MAX_BURSTS = 200 };
enum { MESSAGES = 1000000 };
enum { MIX_CHAIN = 300000, MIX_DEPTH = 18, MIX_OUTSIDE = 500000 };
enum { MIX = MIX_CHAIN + (2 << MIX_DEPTH) - 1 + MIX_OUTSIDE };
enum { LOAD = 10000000 };
enum { MAX_CONSUMERS = GMK_MAX_MODULES - 2 }; /* beside the modules "bench" and "feed" */
enum { MAX_CHANS = GMK_MAX_CHANNELS - GMK_N_SYS_CHANNELS - 1 }; /* beside the feed's own */

/* The last tasks, of whatever type, have the smallest arguments. */
GMK_HANDLER(on_burst)
{
    struct state *s = (struct state *)ctx->user;

    count(ctx);
    if (ctx->task->meta0 < LAST)
        __atomic_store_n(&s->ran[ctx->worker_id].last_ns, now_ns(), __ATOMIC_RELAXED);
    return GMK_OK;
}

static gmk_handler_reg_t handlers[] = {
    {.type = T_PLAIN, .fn = on_burst, .name = "plain"},
    {.type = T_CHAIN, .fn = on_chain, .name = "chain"},
    {.type = T_TREE, .fn = on_tree, .name = "tree"},
};
static gmk_module_t bench_module = {
    .name = "bench", .handlers = handlers, .n_handlers = 3, .user = &state};

static void boot(uint32_t workers)
{
    static gmk_module_t *modules[] = {&bench_module};

    boot_modules(workers, modules, 1);
}

/* size-tasks. ---------------------------------------------------------------------- */

static uint64_t last_ns(void)
{
    uint64_t end = 0;

    for (uint32_t i = 0; i < GMK_MAX_WORKERS; i++) {
        uint64_t at = __atomic_load_n(&state.ran[i].last_ns, __ATOMIC_RELAXED);
        end = at > end ? at : end;
    }
    return end;
}

static void size_tasks(uint32_t n)
{
    static uint64_t ns[MAX_BURSTS];
    uint32_t bursts = n >= REPEATED ? 1 : REPEATED / n;

    bursts = bursts > MAX_BURSTS ? MAX_BURSTS : bursts;
    boot(2);
    for (uint32_t i = 0; i < bursts; i++) {
        uint64_t t0 = now_ns();
        submit_all(T_PLAIN, n);
        wait_ran((i + 1) * (uint64_t)n);
        must(last_ns() > t0, "the end of a burst");
        ns[i] = last_ns() - t0;
        wait_idle();
    }
    halt(bursts * (uint64_t)n);
    printf("%s\t%u tasks\t%.6g\tns\n", ROW_SIZE_TASKS, n,
           (double)percentile(ns, bursts, .5) / (double)n);
}

/* size-channels. ------------------------------------------------------------------- */

struct feed {
    uint32_t own, n;        /* the channel it feeds itself by; how many others */
    uint32_t to[MAX_CHANS]; /* their identifiers */
};
static struct feed feed;
static char chan_name[MAX_CHANS][16], module_name[MAX_CONSUMERS][16];
static gmk_chan_decl_t consumed[MAX_CHANS], produced[MAX_CHANS + 1];
static gmk_module_t consumers[MAX_CONSUMERS];

GMK_HANDLER(on_message)
{
    count(ctx);
    return GMK_OK;
}

static int feed_next(gmk_ctx_t *ctx, uint64_t sent)
{
    struct feed *f = (struct feed *)ctx->user;
    gmk_task_t next = task(T_FEED, sent);

    return gmk_chan_emit_wait(ctx, f->own, &next) == GMK_OK ? GMK_OK : GMK_FAIL(1);
}

/* The first message to itself, from outside its channel. */
GMK_HANDLER(on_start)
{
    struct feed *f = (struct feed *)ctx->user;
    gmk_task_t first = task(T_FEED, 0);

    return gmk_chan_emit(ctx, f->own, &first) == GMK_OK ? GMK_OK : GMK_FAIL(1);
}

/* Sends 32 messages, each to the next channel; where one is full it waits in the outbox. */
GMK_HANDLER(on_feed)
{
    struct feed *f = (struct feed *)ctx->user;
    uint64_t sent = ctx->task->meta0, end = sent + BATCH;

    for (end = end < MESSAGES ? end : MESSAGES; sent < end; sent++) {
        gmk_task_t t = task(T_MSG, sent);
        if (gmk_chan_emit_wait(ctx, f->to[sent % f->n], &t) != GMK_OK)
            return GMK_FAIL(1);
    }
    return sent < MESSAGES ? feed_next(ctx, sent) : GMK_OK;
}

static int find(gmk_ctx_t *ctx, const char *name, uint32_t *out)
{
    int id = gmk_chan_find(ctx, name);

    *out = id > 0 ? (uint32_t)id : 0;
    return id > 0 ? GMK_OK : id;
}

static int feed_init(gmk_ctx_t *ctx)
{
    struct feed *f = (struct feed *)ctx->user;
    int rc = find(ctx, "bench.feed", &f->own);

    for (uint32_t i = 0; i < f->n && rc == GMK_OK; i++)
        rc = find(ctx, chan_name[i], &f->to[i]);
    return rc;
}

static gmk_handler_reg_t feed_handlers[] = {
    {.type = T_FEED, .fn = on_feed, .name = "feed"},
    {.type = T_START, .fn = on_start, .name = "start"},
};
static gmk_handler_reg_t message_handler = {.type = T_MSG, .fn = on_message, .name = "message"};
static gmk_module_t feed_module = {.name = "feed",
                                   .handlers = feed_handlers,
                                   .n_handlers = 2,
                                   .channels = produced,
                                   .init = feed_init,
                                   .user = &feed};

/* Consumer m has the channels from n * m / c to n * (m + 1) / c. */
static void make_consumer(uint32_t m, uint32_t c, uint32_t n)
{
    uint32_t first = n * m / c, end = n * (m + 1) / c;

    snprintf(module_name[m], sizeof module_name[m], "consumer%u", m);
    consumers[m] = (gmk_module_t){.name = module_name[m],
                                  .handlers = &message_handler,
                                  .n_handlers = 1,
                                  .channels = &consumed[first],
                                  .n_channels = end - first,
                                  .user = &state};
}

static void boot_channels(uint32_t n)
{
    static gmk_module_t *modules[GMK_MAX_MODULES] = {&bench_module, &feed_module};
    uint32_t c = n < MAX_CONSUMERS ? n : MAX_CONSUMERS;

    feed.n = n;
    for (uint32_t i = 0; i < n; i++) {
        snprintf(chan_name[i], sizeof chan_name[i], "bench.c%u", i);
        consumed[i] = (gmk_chan_decl_t){
            .name = chan_name[i], .direction = GMK_CHAN_CONSUME, .msg_type = T_MSG};
        produced[i] = consumed[i];
        produced[i].direction = GMK_CHAN_PRODUCE;
    }
    produced[n] = (gmk_chan_decl_t){
        .name = "bench.feed", .direction = GMK_CHAN_PRODUCE | GMK_CHAN_CONSUME, .msg_type = T_FEED};
    feed_module.n_channels = n + 1;
    for (uint32_t m = 0; m < c; m++) {
        make_consumer(m, c, n);
        modules[2 + m] = &consumers[m];
    }
    boot_modules(2, modules, 2 + c);
}

static void size_channels(uint32_t n)
{
    uint64_t t0, dt;

    must(n <= MAX_CHANS, "too many channels");
    boot_channels(n);
    t0 = now_ns();
    submit(T_START, 0);
    wait_ran(MESSAGES);
    dt = now_ns() - t0;
    halt(MESSAGES);
    printf("%s\t%u channel%s\t%.6g\tns\n", ROW_SIZE_CHANNELS, n, n == 1 ? "" : "s",
           (double)dt / MESSAGES);
}

/* size-workers and memory. --------------------------------------------------------- */

/* done counts what ran before. */
static void mix(uint64_t done)
{
    submit(T_CHAIN, MIX_CHAIN);
    submit(T_TREE, MIX_DEPTH);
    submit_all(T_PLAIN, MIX_OUTSIDE);
    wait_ran(done + MIX);
}

static void size_workers(uint32_t n)
{
    uint64_t t0, dt;

    must(n <= GMK_MAX_WORKERS, "too many workers");
    boot(n);
    t0 = now_ns();
    mix(0);
    dt = now_ns() - t0;
    halt(MIX);
    printf("%s\t%s\t%.6g\tns\n", ROW_SIZE_WORKERS, n == 2 ? "2 workers" : "GGMK", (double)dt / MIX);
}

/* Text of a file of /proc; stdio would allocate. */
static const char *proc(const char *path)
{
    static char text[4096];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    must(n > 0, path);
    close(fd);
    text[n] = 0;
    return text;
}

/* In MiB. */
static double resident(void)
{
    const char *line = strstr(proc("/proc/self/smaps_rollup"), "\nRss:");

    must(line != NULL, "Rss");
    return atof(line + 5) / 1024;
}

static double mapped(void)
{
    return atof(proc("/proc/self/statm")) * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

static void memory(const char *row, double (*look)(void))
{
    double booted, first, last;
    uint64_t done = 0;

    if (!bench_wants(row))
        return;
    boot(2);
    booted = look();
    mix(done);
    first = look();
    for (done = MIX; done < LOAD; done += MIX)
        mix(done);
    last = look();
    halt(done);
    result(row, "GGMK", last, "MiB");
    result(row, "after the first million", first, "MiB");
    result(row, "after boot", booted, "MiB");
}

int main(int argc, char **argv)
{
    uint32_t n = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;

    bench_args(argc, argv);
    must(argc > 1 && (argc > 2) == (strncmp(argv[1], "size-", 5) == 0), "usage: ROW [SIZE]");
    must(argc == 2 || n > 0, "a size above 0");
    if (bench_wants(ROW_SIZE_TASKS))
        size_tasks(n);
    if (bench_wants(ROW_SIZE_CHANNELS))
        size_channels(n);
    if (bench_wants(ROW_SIZE_WORKERS))
        size_workers(n);
    memory(ROW_MEMORY_RESIDENT, resident);
    memory(ROW_MEMORY_MAPPED, mapped);
    return 0;
}

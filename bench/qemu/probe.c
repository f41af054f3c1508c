/* SPDX-License-Identifier: MIT
 * The Linux side of bench-qemu: the only process of a guest under Debian's kernel, static, in
 * an initramfs. What it shall do are its arguments, the words after `--` of the command line:
 *   boot | lat | blk DEVICE MS [iopoll] [check]
 * Prints `row TAB who TAB value TAB unit`, and last `probe: done`, or `probe: failed: why`. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, MAX_DEPTH = 32, CLOCK_EVERY = 32 };

static void say(const char *form, ...)
{
    char text[256];
    va_list args;
    va_start(args, form);
    int n = vsnprintf(text, sizeof text, form, args);
    va_end(args);
    if (write(1, text, (size_t)n) != n) {
        /* nowhere to say so */
    }
}

/* The guest stays as it is: the runner ends it. */
static void finish(void)
{
    for (;;)
        pause();
}

#define FAIL_IF(cond, what)                                                                        \
    do {                                                                                           \
        if (cond) {                                                                                \
            say("probe: failed: %s: %s\n", what, strerror(errno));                                 \
            finish();                                                                              \
        }                                                                                          \
    } while (0)

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    FAIL_IF(sched_setaffinity(0, sizeof set, &set) != 0, "two CPUs are needed");
}

/* ---- memory and threads ---------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* First touch of anonymous pages, which earlier passes have used: median of five passes. */
static void page_fault(void)
{
    enum { PAGES = 4096, PASSES = 5 };
    double ns[PASSES + 1];
    for (int pass = 0; pass <= PASSES; pass++) {
        size_t bytes = (size_t)PAGES * BLOCK;
        char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        FAIL_IF(p == MAP_FAILED || madvise(p, bytes, MADV_NOHUGEPAGE) != 0, "mmap");
        double t = now_ns();
        for (size_t i = 0; i < bytes; i += BLOCK)
            ((volatile char *)p)[i] = 1;
        ns[pass] = (now_ns() - t) / PAGES;
        munmap(p, bytes);
    }
    qsort(ns + 1, PASSES, sizeof *ns, by_value); /* the first pass warms the machine's memory */
    say("page_fault\tLinux, anonymous memory\t%.1f\tns\n", ns[1 + PASSES / 2]);
}

enum { FREE, TURN, STOP }; /* what a word of the game says */

typedef struct game {
    _Atomic uint32_t ping __attribute__((aligned(128)));
    _Atomic uint32_t pong __attribute__((aligned(128)));
    bool futex;
} game_t;

static uint32_t game_wait(const game_t *g, _Atomic uint32_t *word)
{
    uint32_t said;
    while ((said = atomic_exchange(word, FREE)) == FREE) {
        if (g->futex)
            syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, FREE, NULL, NULL, 0);
        else
            while (atomic_load_explicit(word, memory_order_relaxed) == FREE)
                __builtin_ia32_pause();
    }
    return said;
}

static void game_hit(const game_t *g, _Atomic uint32_t *word, uint32_t what)
{
    atomic_store(word, what);
    if (g->futex)
        syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *partner(void *arg)
{
    game_t *g = arg;
    pin(1);
    while (game_wait(g, &g->ping) == TURN)
        game_hit(g, &g->pong, TURN);
    return NULL;
}

/* ns of a round trip between threads on CPU 0 and CPU 1, by futex or by spinning: of at most
 * so many, and of at most two seconds. */
static double round_trip(bool futex, int rounds)
{
    static game_t g;
    enum { WARM = 100, LONGEST_S = 2 };
    pthread_t other;
    g.futex = futex;
    pin(0);
    FAIL_IF(pthread_create(&other, NULL, partner, &g) != 0, "thread");
    double start = 0, ns = 0;
    int n = -WARM;
    for (; n < rounds && (n % CLOCK_EVERY != 0 || ns < LONGEST_S * 1e9); n++) {
        if (n == 0)
            start = now_ns();
        game_hit(&g, &g.ping, TURN);
        game_wait(&g, &g.pong);
        if (n > 0 && n % CLOCK_EVERY == 0)
            ns = now_ns() - start;
    }
    ns = now_ns() - start;
    game_hit(&g, &g.ping, STOP);
    pthread_join(other, NULL);
    return ns / n;
}

/* With idle=poll a waiting CPU stays awake, so that a wake-up needs no interrupt. */
static bool idle_polls(void)
{
    char line[1024] = "";
    int fd = open("/proc/cmdline", O_RDONLY);
    FAIL_IF(fd < 0 || read(fd, line, sizeof line - 1) <= 0, "/proc/cmdline");
    close(fd);
    return strstr(line, "idle=poll") != NULL;
}

static void lat(void)
{
    double ns = round_trip(true, 3000);
    if (idle_polls()) {
        say("task_round_trip_hot\tLinux futex, idle CPUs poll\t%.1f\tns\n", ns);
        say("task_round_trip_hot\tLinux threads that spin\t%.1f\tns\n", round_trip(false, 100000));
        return;
    }
    say("task_round_trip_halted\tLinux futex\t%.1f\tns\n", ns);
    page_fault();
}

/* ---- disk ------------------------------------------------------------------------------ */

typedef struct ring {
    int fd;
    _Atomic uint32_t *sq_tail, *cq_head, *cq_tail;
    uint32_t *sq_array, sq_mask, cq_mask;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
} ring_t;

typedef struct job {
    const char *row, *who, *unit;
    uint32_t depth, bytes;
    bool sequential;
} job_t;

typedef struct disk {
    int fd;
    uint64_t size;
    double ns;     /* how long a job runs */
    bool iopoll;   /* completions are polled for */
    bool check;    /* block k of 4096 bytes begins with the number k */
    char *buffers; /* MAX_DEPTH of the largest request */
} disk_t;

static void *ring_map(const ring_t *r, size_t bytes, off_t what)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, what);
    FAIL_IF(p == MAP_FAILED, "io_uring mmap");
    return p;
}

static void ring_open(ring_t *r, bool iopoll)
{
    struct io_uring_params p = {.flags = iopoll ? IORING_SETUP_IOPOLL : 0};
    r->fd = (int)syscall(SYS_io_uring_setup, MAX_DEPTH, &p);
    FAIL_IF(r->fd < 0, "io_uring_setup");
    char *sq = ring_map(r, p.sq_off.array + p.sq_entries * sizeof(uint32_t), IORING_OFF_SQ_RING);
    char *cq =
        ring_map(r, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
    r->sqes = ring_map(r, p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
    r->sq_tail = (void *)(sq + p.sq_off.tail);
    r->sq_array = (void *)(sq + p.sq_off.array);
    r->sq_mask = *(uint32_t *)(void *)(sq + p.sq_off.ring_mask);
    r->cq_head = (void *)(cq + p.cq_off.head);
    r->cq_tail = (void *)(cq + p.cq_off.tail);
    r->cq_mask = *(uint32_t *)(void *)(cq + p.cq_off.ring_mask);
    r->cqes = (void *)(cq + p.cq_off.cqes);
}

/* The byte where request number n begins. */
static uint64_t place(const disk_t *d, const job_t *j, uint64_t n)
{
    uint64_t blocks = d->size / j->bytes;
    if (!j->sequential) {
        n += 0x9e3779b97f4a7c15u; /* splitmix64: as good as random, and the same on each run */
        n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9u;
        n = (n ^ (n >> 27)) * 0x94d049bb133111ebu;
        n ^= n >> 31;
    }
    return n % blocks * j->bytes;
}

static void submit(const disk_t *d, const job_t *j, ring_t *r, uint32_t slot, uint64_t n)
{
    uint32_t tail = atomic_load_explicit(r->sq_tail, memory_order_relaxed), i = tail & r->sq_mask;
    uint64_t at = place(d, j, n);
    r->sqes[i] = (struct io_uring_sqe){.opcode = IORING_OP_READ,
                                       .fd = d->fd,
                                       .addr = (uintptr_t)(d->buffers + (size_t)slot * j->bytes),
                                       .len = j->bytes,
                                       .off = at,
                                       .user_data = at / BLOCK << 8 | slot};
    r->sq_array[i] = i;
    atomic_store_explicit(r->sq_tail, tail + 1, memory_order_release);
}

static void check_data(const disk_t *d, const job_t *j, const char *data, uint64_t first)
{
    if (!d->check)
        return;
    for (uint32_t k = 0; k * BLOCK < j->bytes; k++) {
        uint64_t stamp;
        memcpy(&stamp, data + (size_t)k * BLOCK, sizeof stamp);
        errno = EIO;
        FAIL_IF(stamp != first + k, "wrong data");
    }
}

/* Takes what has completed; its slots go to free_slots. returns: how many. */
static uint32_t reap(const disk_t *d, const job_t *j, ring_t *r, uint32_t *free_slots)
{
    uint32_t head = atomic_load_explicit(r->cq_head, memory_order_relaxed), n = 0;
    uint32_t tail = atomic_load_explicit(r->cq_tail, memory_order_acquire);
    for (; head != tail; head++) {
        const struct io_uring_cqe *c = &r->cqes[head & r->cq_mask];
        uint32_t slot = c->user_data & 0xff;
        errno = c->res < 0 ? -c->res : EIO;
        FAIL_IF(c->res != (int)j->bytes, "read");
        check_data(d, j, d->buffers + (size_t)slot * j->bytes, c->user_data >> 8);
        free_slots[n++] = slot;
    }
    atomic_store_explicit(r->cq_head, head, memory_order_release);
    return n;
}

static void report(const job_t *j, uint64_t reads, double ns)
{
    double value = (double)reads / ns * 1e9;
    if (j->sequential)
        value *= j->bytes / 1e6;
    say("%s\t%s\t%.1f\t%s\n", j->row, j->who, value, j->unit);
}

/* Keeps j->depth reads in flight; the clock is read once in CLOCK_EVERY turns. */
static void read_async(const disk_t *d, const job_t *j)
{
    ring_t r;
    uint32_t slots[MAX_DEPTH], idle = j->depth, turns = 0;
    uint64_t begun = 0, done = 0;
    ring_open(&r, d->iopoll);
    for (uint32_t i = 0; i < j->depth; i++)
        slots[i] = i;
    double start = now_ns();
    bool more = true;
    while (more || done < begun) {
        uint32_t fresh = 0;
        for (; more && idle > 0; fresh++)
            submit(d, j, &r, slots[--idle], begun++);
        long n = syscall(SYS_io_uring_enter, r.fd, fresh, 1, IORING_ENTER_GETEVENTS, NULL, 0);
        FAIL_IF(n != (long)fresh, "io_uring_enter");
        uint32_t freed = reap(d, j, &r, slots + idle);
        idle += freed;
        done += freed;
        more = more && (++turns % CLOCK_EVERY != 0 || now_ns() - start < d->ns);
    }
    report(j, done, now_ns() - start);
    close(r.fd);
}

static void read_plain(const disk_t *d, const job_t *j)
{
    uint64_t n = 0;
    double start = now_ns();
    while (n % CLOCK_EVERY != 0 || n == 0 || now_ns() - start < d->ns) {
        uint64_t at = place(d, j, n++);
        FAIL_IF(pread(d->fd, d->buffers, j->bytes, (off_t)at) != (ssize_t)j->bytes, "pread");
        check_data(d, j, d->buffers, at / BLOCK);
    }
    report(j, n, now_ns() - start);
}

static const job_t JOBS[] = {
    {"blk_rand4k_qd1", "Linux, default, io_uring", "IO/s", 1, BLOCK, false},
    {"blk_rand4k_qd32", "Linux, default, io_uring", "IO/s", 32, BLOCK, false},
    {"blk_seq128k_qd8", "Linux, default, io_uring", "MB/s", 8, 32 * BLOCK, true},
};

static void blk(disk_t *d, const char *device)
{
    struct timespec wait = {0, 2000000};
    for (int i = 0; i < 1000 && access(device, F_OK) != 0; i++)
        nanosleep(&wait, NULL); /* its driver finds it in the background */
    d->fd = open(device, O_RDONLY | O_DIRECT);
    FAIL_IF(d->fd < 0 || ioctl(d->fd, BLKGETSIZE64, &d->size) != 0, device);
    size_t bytes = 8 * 32 * BLOCK;
    FAIL_IF(posix_memalign((void **)&d->buffers, BLOCK, bytes) != 0, "memory");
    memset(d->buffers, 0, bytes);
    pin(0);
    if (!d->iopoll)
        read_plain(d, &(job_t){"blk_rand4k_qd1", "Linux, default, pread", "IO/s", 1, BLOCK, false});
    for (size_t i = 0; i < sizeof JOBS / sizeof *JOBS; i++) {
        job_t j = JOBS[i];
        if (d->iopoll)
            j.who = "Linux, IOPOLL, io_uring";
        read_async(d, &j);
    }
}

/* ---- the process ----------------------------------------------------------------------- */

static void load(const char *path, const char *options)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    FAIL_IF(fd < 0 || syscall(SYS_finit_module, fd, options, 0) != 0, path);
    close(fd);
}

static void load_virtio(bool iopoll)
{
    static const char *const names[] = {"/m/1-virtio_ring.ko", "/m/2-virtio.ko",
                                        "/m/3-virtio_pci_legacy_dev.ko",
                                        "/m/4-virtio_pci_modern_dev.ko", "/m/5-virtio_pci.ko"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        load(names[i], "");
    load("/m/6-virtio_blk.ko", iopoll ? "poll_queues=1" : "");
}

static void open_console(void)
{
    mkdir("/dev", 0755);
    mkdir("/proc", 0755);
    mount("dev", "/dev", "devtmpfs", 0, "");
    int fd = open("/dev/console", O_RDWR);
    for (int i = 0; fd >= 0 && i < 3; i++)
        dup2(fd, i);
}

int main(int argc, char **argv)
{
    open_console();
    say("first process\n");
    const char *what = argc > 1 ? argv[1] : "";
    mount("proc", "/proc", "proc", 0, "");
    if (strcmp(what, "lat") == 0) {
        lat();
    } else if (strcmp(what, "blk") == 0 && argc > 3) {
        disk_t d = {.ns = atof(argv[3]) * 1e6};
        for (int i = 4; i < argc; i++) {
            d.iopoll |= strcmp(argv[i], "iopoll") == 0;
            d.check |= strcmp(argv[i], "check") == 0;
        }
        if (strstr(argv[2], "vd") != NULL)
            load_virtio(d.iopoll);
        blk(&d, argv[2]);
    } else if (strcmp(what, "boot") != 0) {
        errno = EINVAL;
        FAIL_IF(true, "arguments");
    }
    say("probe: done\n");
    finish();
}

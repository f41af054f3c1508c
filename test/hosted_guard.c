/* SPDX-License-Identifier: MIT
 * What the fault guard leaves alone on linux: faults that are not a handler's end the process
 * as without it, and the application's own signal actions come back.
 * Floor: tests. Each case that ends a process runs in a child.
 * Source: SPEC FM-11, V-73; sigaction(2). */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ggmk/lock.h"
#include "guard_env.h"

enum { CRASH = 1, CALL, MSG };

static gmk_kernel_t kernel;
static int (*call)(gmk_ctx_t *ctx);
static gmk_lock_t lock;
static gmk_a32_t ended; /* calls that came back */
static const char *no_memory;

static int on_crash(gmk_ctx_t *ctx)
{
    crash((uint32_t)ctx->task->meta0);
    return GMK_OK;
}

static int on_call(gmk_ctx_t *ctx)
{
    int rc = call(ctx);

    kit_add(&ended, 1);
    return rc;
}

static int crash_fini(gmk_ctx_t *ctx)
{
    if (ctx->user != NULL)
        crash(BY_NULL);
    return GMK_OK;
}

static gmk_handler_reg_t handlers[] = {{.type = CRASH, .fn = on_crash, .name = "crash"},
                                       {.type = CALL, .fn = on_call, .name = "call"},
                                       {.type = MSG, .fn = on_call, .name = "msg"}};
static gmk_chan_decl_t channels[] = {
    {.name = "box", .direction = GMK_CHAN_CONSUME, .msg_type = MSG, .slots = 1024}};
static gmk_module_t module = {.name = "main",
                              .handlers = handlers,
                              .n_handlers = GMK_ARRAY_LEN(handlers),
                              .channels = channels,
                              .n_channels = 1,
                              .fini = crash_fini};

static bool boot(gmk_kernel_t *k, uint32_t flags)
{
    gmk_boot_cfg_t cfg = {.n_workers = 2, .flags = flags};

    return kit_boot(k, &cfg, &module);
}

static void run(gmk_kernel_t *k, uint32_t type, uint64_t meta0)
{
    kit_submit(k, kit_task(type, GMK_PRIO_NORMAL, meta0));
    kit_idle(k);
}

static uint64_t crashes(gmk_kernel_t *k) { return gmk_metric_get(k, GMK_METRIC_HANDLER_CRASHES); }

/* Children. ---------------------------------------------------------------------------- */

#define CAME_BACK 77 /* a child that its fault did not end */

/* Runs fn in a child whose actions are the system's. returns: the signal that ended it, or
 * minus its exit status. */
static int in_child(void (*fn)(void))
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    struct rlimit no_core = {0, 0};
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &no_core);
        for (uint32_t i = 0; i < GMK_ARRAY_LEN(signals); i++)
            signal(signals[i], SIG_DFL);
        fn();
        _exit(CAME_BACK);
    }
    if (!gmk_test_assert(pid > 0) || !gmk_test_assert(waitpid(pid, &status, 0) == pid))
        return 0;
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void crash_without(void)
{
    if (boot(&kernel, 0))
        run(&kernel, CRASH, BY_NULL);
}

static void crash_with(void)
{
    if (boot(&kernel, GMK_BOOT_FAULT_GUARD))
        run(&kernel, CRASH, BY_NULL);
    _exit(crashes(&kernel) == 1 ? CAME_BACK : 1);
}

/* V-73: without the flag a crash ends the process; with it, the same one does not. */
GMK_TEST(hosted_guard_off_a_crash_ends_the_process)
{
    gmk_test_assert_eq(in_child(crash_without), SIGSEGV);
    gmk_test_assert_eq(in_child(crash_with), -CAME_BACK);
}

static gmk_kernel_t unguarded;

static void crash_beside_a_guarded_kernel(void)
{
    if (!boot(&kernel, GMK_BOOT_FAULT_GUARD) || !boot(&unguarded, 0))
        _exit(1);
    run(&kernel, CRASH, BY_NULL);
    if (crashes(&kernel) == 1)
        run(&unguarded, CRASH, BY_DIVISION);
}

static void crash_outside(void)
{
    if (!boot(&kernel, GMK_BOOT_FAULT_GUARD))
        _exit(1);
    run(&kernel, CRASH, BY_NULL);
    if (crashes(&kernel) == 1)
        crash(BY_INSTRUCTION);
}

static void crash_in_fini(void)
{
    module.user = &kernel;
    if (!boot(&kernel, GMK_BOOT_FAULT_GUARD))
        _exit(1);
    gmk_halt(&kernel);
}

/* V-73: what is not in a guarded handler dumps core as before: a kernel without the guard, the
 * application's thread, fini. */
GMK_TEST(hosted_guard_leaves_alone_what_is_not_a_guarded_handler)
{
#if defined(__x86_64__)
    gmk_test_assert_eq(in_child(crash_beside_a_guarded_kernel), SIGFPE);
#endif
    gmk_test_assert_eq(in_child(crash_outside), SIGILL);
    gmk_test_assert_eq(in_child(crash_in_fini), SIGSEGV);
}

static int crash_locked(gmk_ctx_t *ctx)
{
    (void)ctx;
    gmk_lock_acquire(&lock);
    crash(BY_NULL);
    return GMK_OK;
}

static int crash_unlocked(gmk_ctx_t *ctx)
{
    (void)ctx;
    gmk_lock_acquire(&lock);
    gmk_lock_release(&lock);
    crash(BY_NULL);
    return GMK_OK;
}

/* A name without memory: the registry reads it while its lock is held, open before that. */
static int find_nothing(gmk_ctx_t *ctx) { return gmk_chan_find(ctx, no_memory); }

static int open_nothing(gmk_ctx_t *ctx)
{
    gmk_chan_opts_t o = {.mode = GMK_CHAN_P2P};

    return gmk_chan_open_with(ctx, no_memory, &o);
}

/* An array of tasks with a page missing in its middle: its ends are looked at before, the
 * rest is read while cells are claimed or the other kernel's gate is entered. */
static gmk_task_t *holed;
static uint32_t n_holed;

static void make_hole(void)
{
    char *p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        _exit(1);
    holed = (gmk_task_t *)(void *)p;
    n_holed = 3 * 4096 / sizeof(gmk_task_t);
    for (uint32_t i = 0; i < n_holed; i++)
        holed[i] = kit_task(MSG, GMK_PRIO_NORMAL, i);
    munmap(p + 4096, 4096);
}

static int emit_holed(gmk_ctx_t *ctx)
{
    make_hole();
    return gmk_chan_emit_batch(ctx, (uint32_t)gmk_chan_find(ctx, "box"), holed, n_holed);
}

static int submit_holed(gmk_ctx_t *ctx)
{
    (void)ctx;
    make_hole();
    return gmk_submit_batch(&kernel, holed, n_holed);
}

static int sent(gmk_ctx_t *ctx)
{
    (void)ctx;
    raise(SIGSEGV);
    return GMK_OK;
}

static int aborts(gmk_ctx_t *ctx)
{
    (void)ctx;
    abort();
}

static void run_call(void)
{
    gmk_lock_init(&lock);
    no_memory = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!boot(&kernel, GMK_BOOT_FAULT_GUARD))
        _exit(1);
    run(&kernel, CALL, 0);
    _exit(crashes(&kernel) == 1 ? CAME_BACK : 1);
}

/* V-73: a handler that crashes while it holds a lock of the machine would leave it held: the
 * process ends. Once it has given it back, it does not. */
GMK_TEST(hosted_guard_does_not_catch_a_crash_under_a_lock)
{
    call = crash_locked;
    gmk_test_assert_eq(in_child(run_call), SIGSEGV);
    call = crash_unlocked;
    gmk_test_assert_eq(in_child(run_call), -CAME_BACK);
}

/* V-73: nor a fault inside a call of the core, which would be left half done. */
GMK_TEST(hosted_guard_does_not_catch_a_fault_inside_the_core)
{
    call = find_nothing;
    gmk_test_assert_eq(in_child(run_call), SIGSEGV);
    call = open_nothing;
    gmk_test_assert_eq(in_child(run_call), SIGSEGV);
    call = emit_holed;
    gmk_test_assert_eq(in_child(run_call), SIGSEGV);
    call = submit_holed;
    gmk_test_assert_eq(in_child(run_call), SIGSEGV);
}

/* V-73: nor what is sent, by raise or abort. */
GMK_TEST(hosted_guard_does_not_catch_what_is_sent)
{
    call = sent;
    gmk_test_assert_eq(in_child(run_call), SIGSEGV);
    call = aborts;
    gmk_test_assert_eq(in_child(run_call), SIGABRT);
}

/* The application's actions. ----------------------------------------------------------- */

static volatile sig_atomic_t seen_signal;
static volatile sig_atomic_t seen_masked;
static volatile sig_atomic_t seen_address;
static char *app_page; /* its handler gives it memory that can be written, as a collector does */

static void app_handler(int sig, siginfo_t *info, void *uc)
{
    sigset_t now;

    (void)uc;
    seen_signal = sig;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    seen_masked = sigismember(&now, SIGUSR1) == 1 && sigismember(&now, sig) == 1;
    seen_address = (char *)info->si_addr == app_page;
    if (mprotect(app_page, 4096, PROT_READ | PROT_WRITE) != 0)
        _exit(1);
}

static CRASHES void touch_page(void) { *(volatile char *)app_page = 1; }

static bool is_app(int sig)
{
    struct sigaction now;

    return sigaction(sig, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) != 0 &&
           now.sa_sigaction == app_handler;
}

/* V-73: a fault outside the handlers is the application's, with its mask; its action is there
 * again after the last guarded kernel has halted, not after the first. */
GMK_TEST(hosted_guard_keeps_the_applications_action_and_gives_it_back)
{
    static gmk_kernel_t second;
    struct sigaction app = {.sa_sigaction = app_handler, .sa_flags = SA_SIGINFO};
    struct sigaction before;
    sigset_t mask;

    app_page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    GMK_REQUIRE(app_page != MAP_FAILED);
    sigemptyset(&app.sa_mask);
    sigaddset(&app.sa_mask, SIGUSR1);
    GMK_REQUIRE(sigaction(SIGSEGV, &app, &before) == 0);
    GMK_REQUIRE(boot(&kernel, GMK_BOOT_FAULT_GUARD) && boot(&second, GMK_BOOT_FAULT_GUARD));
    gmk_test_assert(!is_app(SIGSEGV));
    run(&kernel, CRASH, BY_NULL);
    gmk_test_assert_eq(crashes(&kernel), 1);
    gmk_test_assert_eq(seen_signal, 0);
    touch_page();
    gmk_test_assert_eq(seen_signal, SIGSEGV);
    gmk_test_assert(seen_masked);
    gmk_test_assert(seen_address);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    gmk_test_assert(sigismember(&mask, SIGUSR1) == 0 && sigismember(&mask, SIGSEGV) == 0);
    kit_halt(&kernel);
    gmk_test_assert(!is_app(SIGSEGV));
    run(&second, CRASH, BY_NULL);
    gmk_test_assert_eq(crashes(&second), 1);
    kit_halt(&second);
    gmk_test_assert(is_app(SIGSEGV));
    gmk_test_assert(!is_app(SIGILL));
    sigaction(SIGSEGV, &before, NULL);
    munmap(app_page, 4096);
}

/* V-73: an action that the application has set meanwhile stays when the guard goes. */
GMK_TEST(hosted_guard_does_not_undo_a_later_action)
{
    struct sigaction app = {.sa_sigaction = app_handler, .sa_flags = SA_SIGINFO};
    struct sigaction before;

    GMK_REQUIRE(sigaction(SIGFPE, NULL, &before) == 0);
    GMK_REQUIRE(boot(&kernel, GMK_BOOT_FAULT_GUARD));
    gmk_test_assert(sigaction(SIGFPE, &app, NULL) == 0);
    kit_halt(&kernel);
    gmk_test_assert(is_app(SIGFPE));
    sigaction(SIGFPE, &before, NULL);
}

/* V-73: without the flag no action is touched. */
GMK_TEST(hosted_guard_off_sets_no_action)
{
    struct sigaction app = {.sa_sigaction = app_handler, .sa_flags = SA_SIGINFO};
    struct sigaction before;

    GMK_REQUIRE(sigaction(SIGILL, &app, &before) == 0);
    GMK_REQUIRE(boot(&kernel, 0));
    gmk_test_assert(is_app(SIGILL));
    kit_halt(&kernel);
    gmk_test_assert(is_app(SIGILL));
    sigaction(SIGILL, &before, NULL);
}

/* V-73: a handler may crash again and again, by its stack too: the mask and the signal stack
 * are as they were. */
static gmk_a32_t masked;

static int look_at_mask(gmk_ctx_t *ctx)
{
    sigset_t now;
    stack_t stack;

    (void)ctx;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    if (sigismember(&now, SIGSEGV) || sigismember(&now, SIGILL) || sigaltstack(NULL, &stack) != 0 ||
        (stack.ss_flags & SS_ONSTACK) != 0)
        kit_add(&masked, 1);
    return GMK_OK;
}

GMK_TEST(hosted_guard_leaves_mask_and_signal_stack_as_they_were)
{
    static const uint32_t how[] = {BY_STACK, BY_NULL, BY_INSTRUCTION, BY_STACK, BY_STACK};

    call = look_at_mask;
    kit_set(&masked, 0);
    kit_set(&ended, 0);
    GMK_REQUIRE(boot(&kernel, GMK_BOOT_FAULT_GUARD));
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(how); i++) {
        run(&kernel, CRASH, how[i]);
        run(&kernel, CALL, 0);
    }
    gmk_test_assert_eq(crashes(&kernel), GMK_ARRAY_LEN(how));
    gmk_test_assert_eq(kit_get(&ended), GMK_ARRAY_LEN(how));
    gmk_test_assert_eq(kit_get(&masked), 0);
    kit_halt(&kernel);
}

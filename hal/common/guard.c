/* SPDX-License-Identifier: MIT
 * The fault guard of hosted machines: signal actions, and the way out of a call.
 * Floor: HAL.
 * Invariants:
 *   a fault ends the innermost guarded call of its thread if and only if the machine
 *   raised it, *inside is 0 and the thread holds what it held when the call began;
 *   every other one is the previous action's, as if there were no guard.
 * The mask that the fault found is taken from its context, so that a call needs no system
 * call. Source: SPEC FM-11, V-73; sigaction(2). */
#define _GNU_SOURCE
#include "guard.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GUARD_ASAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define GUARD_ASAN 1
#endif
#ifdef GUARD_ASAN
#include <sanitizer/asan_interface.h>
#endif

#define N_SIGNALS 4
/* A fault this close to the stack pointer is the stack's end: a frame is entered by lowering
 * the pointer, and then touched at or a little below it. */
#define STACK_BELOW 256u
#define STACK_ABOVE (64u << 10)

__thread gmk_guard_self_t gmk_guard_self;

static const int signals[N_SIGNALS] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
static struct sigaction previous[N_SIGNALS]; /* stays when the guard goes: a last fault reads it */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint32_t n_open;

/* Where the stack of the fault ends; 0: not known. */
static uintptr_t stack_of(const ucontext_t *uc)
{
#if defined(__x86_64__)
    return (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    return (uintptr_t)uc->uc_mcontext.sp;
#else
    (void)uc;
    return 0;
#endif
}

static bool at_stack_end(uintptr_t at, const ucontext_t *uc)
{
    uintptr_t sp = stack_of(uc);

    return sp != 0 && at - (sp - STACK_BELOW) < STACK_BELOW + STACK_ABOVE;
}

static uint32_t fault_of(int sig, const siginfo_t *info, const void *uc)
{
    if (sig == SIGFPE)
        return GMK_HAL_FAULT_ARITHMETIC;
    if (sig == SIGILL)
        return GMK_HAL_FAULT_INSTRUCTION;
    return at_stack_end((uintptr_t)info->si_addr, uc) ? GMK_HAL_FAULT_STACK : GMK_HAL_FAULT_MEMORY;
}

/* Of the set in a context the system fills the 64 bits that it knows. */
static sigset_t mask_of(const ucontext_t *uc)
{
    sigset_t mask;

    sigemptyset(&mask);
    memcpy(&mask, &uc->uc_sigmask, sizeof(uint64_t));
    return mask;
}

/* Runs the application's own handler under the mask that it would have had. */
static void call_previous(const struct sigaction *was, int sig, siginfo_t *info, void *uc)
{
    sigset_t mask = mask_of(uc);

    sigorset(&mask, &mask, &was->sa_mask);
    if ((was->sa_flags & SA_NODEFER) == 0)
        sigaddset(&mask, sig);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    if (was->sa_flags & SA_SIGINFO)
        was->sa_sigaction(sig, info, uc);
    else
        was->sa_handler(sig);
}

static void pass_on(int sig, siginfo_t *info, void *uc)
{
    bool sent = info->si_code <= 0; /* by kill and the like: it does not come again */
    uint32_t i = 0;
    struct sigaction was;

    while (signals[i] != sig)
        i++;
    was = previous[i];
    if (was.sa_handler == SIG_IGN && sent)
        return;
    if (was.sa_flags & SA_RESETHAND)
        previous[i].sa_handler = SIG_DFL;
    if (was.sa_handler != SIG_DFL && was.sa_handler != SIG_IGN) {
        call_previous(&was, sig, info, uc);
        return;
    }
    signal(sig, SIG_DFL); /* then the same instruction faults again, and the core shows it */
    if (sent)
        raise(sig); /* taken when this one returns */
}

static void on_fault(int sig, siginfo_t *info, void *uc)
{
    gmk_guard_frame_t *f = gmk_guard_self.frame;
    sigset_t mask;

    if (f == NULL || info->si_code <= 0 || *f->inside != 0 || gmk_guard_self.holds != f->holds) {
        pass_on(sig, info, uc);
        return;
    }
    f->fault = fault_of(sig, info, uc);
    f->low = stack_of(uc);
    gmk_guard_self.frame = f->outer;
    mask = mask_of(uc);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    siglongjmp(f->env, 1);
}

static void restore(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct sigaction now;

        /* One that the application has set since stays. */
        if (sigaction(signals[i], NULL, &now) == 0 && now.sa_sigaction == on_fault)
            sigaction(signals[i], &previous[i], NULL);
    }
}

int gmk_guard_install(void)
{
    struct sigaction ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    uint32_t n = 0;

    sigemptyset(&ours.sa_mask);
    pthread_mutex_lock(&mutex);
    for (; n_open == 0 && n < N_SIGNALS; n++)
        if (sigaction(signals[n], NULL, &previous[n]) != 0 ||
            sigaction(signals[n], &ours, NULL) != 0)
            break;
    if (n_open != 0 || n == N_SIGNALS)
        n_open++;
    else
        restore(n);
    n = n_open;
    pthread_mutex_unlock(&mutex);
    return n != 0 ? 0 : -1;
}

void gmk_guard_remove(void)
{
    pthread_mutex_lock(&mutex);
    if (--n_open == 0)
        restore(N_SIGNALS);
    pthread_mutex_unlock(&mutex);
}

/* ASan forgets the frames that a jump leaves on the thread's own stack alone; those of a fiber
 * would be reported as soon as others stand there. */
static void forget_frames(const gmk_guard_frame_t *f)
{
#ifdef GUARD_ASAN
    if (f->low != 0 && f->low < (uintptr_t)f)
        __asan_unpoison_memory_region((void *)f->low, (uintptr_t)f - f->low);
#else
    (void)f;
#endif
}

uint32_t gmk_hal_guard_call(void (*fn)(void *), void *arg, const volatile uint32_t *inside)
{
    gmk_guard_frame_t f; /* field by field: its buffer is large, and need not be zero */

    f.outer = gmk_guard_self.frame;
    f.inside = inside;
    f.holds = gmk_guard_self.holds;
    f.fault = GMK_HAL_FAULT_NONE;
    f.low = 0;
    if (sigsetjmp(f.env, 0) == 0) {
        gmk_guard_self.frame = &f;
        fn(arg);
        gmk_guard_self.frame = f.outer;
    } else {
        forget_frames(&f);
    }
    return f.fault;
}

void gmk_hal_guard_hold(void) { gmk_guard_self.holds++; }
void gmk_hal_guard_drop(void) { gmk_guard_self.holds--; }

/* SPDX-License-Identifier: MIT
 * Atomics of host compilers (gcc, clang; C and C++; freestanding) and of CUDA.
 * Floor: F0, the common port of linux, bare metal and gpu. The simulated machine
 * defines GMK_PORT_STEP (run before every operation) and includes this text; a model
 * checker defines GMK_PORT_OWN_ATOMICS and brings field types and GMK_AT_ operations.
 * Host: __atomic builtins; the scope has no meaning and is dropped.
 * CUDA: __nv_atomic builtins, which want literal scopes and reject __atomic.
 * Of the device fences only ACQ_REL becomes fence.acq_rel, so that one is used.
 * Source: ARCHITECTURE R1. */
#ifndef GGMK_ATOMIC_PORT_H
#define GGMK_ATOMIC_PORT_H

#ifndef GMK_PORT_STEP
#define GMK_PORT_STEP() ((void)0)
#endif

#if !defined(GMK_PORT_OWN_ATOMICS)
typedef uint32_t gmk_a32_t;
typedef uint64_t gmk_a64_t;
#endif

#if defined(GMK_PORT_OWN_ATOMICS)
/* The includer has defined what stands below. */
#elif defined(__CUDA_ARCH__)

/* The device builtins want pointers to non-const. */
template <class T> static __device__ __forceinline__ T *gmk_nv_mut(const T *p)
{
    return const_cast<T *>(p);
}

#define GMK_NV_SCOPE_(sc, dev, sys) ((sc) == GMK_DEV ? (dev) : (sys))
#define GMK_NV_LOAD_(p, mo, sc)                                                                    \
    GMK_NV_SCOPE_(sc, __nv_atomic_load_n(gmk_nv_mut(p), mo, __NV_THREAD_SCOPE_DEVICE),             \
                  __nv_atomic_load_n(gmk_nv_mut(p), mo, __NV_THREAD_SCOPE_SYSTEM))
#define GMK_NV_STORE_(p, v, mo, sc)                                                                \
    do {                                                                                           \
        if ((sc) == GMK_DEV)                                                                       \
            __nv_atomic_store_n((p), (v), mo, __NV_THREAD_SCOPE_DEVICE);                           \
        else                                                                                       \
            __nv_atomic_store_n((p), (v), mo, __NV_THREAD_SCOPE_SYSTEM);                           \
    } while (0)
#define GMK_NV_RMW_(op, p, v, mo, sc)                                                              \
    GMK_NV_SCOPE_(sc, __nv_atomic_##op((p), (v), mo, __NV_THREAD_SCOPE_DEVICE),                    \
                  __nv_atomic_##op((p), (v), mo, __NV_THREAD_SCOPE_SYSTEM))
#define GMK_NV_CAS_(p, e, v, ok, no, sc)                                                           \
    GMK_NV_SCOPE_(                                                                                 \
        sc,                                                                                        \
        __nv_atomic_compare_exchange_n((p), (e), (v), false, ok, no, __NV_THREAD_SCOPE_DEVICE),    \
        __nv_atomic_compare_exchange_n((p), (e), (v), false, ok, no, __NV_THREAD_SCOPE_SYSTEM))
#define GMK_NV_FENCE_(sc)                                                                          \
    do {                                                                                           \
        if ((sc) == GMK_DEV)                                                                       \
            __nv_atomic_thread_fence(__NV_ATOMIC_ACQ_REL, __NV_THREAD_SCOPE_DEVICE);               \
        else                                                                                       \
            __nv_atomic_thread_fence(__NV_ATOMIC_ACQ_REL, __NV_THREAD_SCOPE_SYSTEM);               \
    } while (0)

#define GMK_MO_RLX __NV_ATOMIC_RELAXED
#define GMK_MO_ACQ __NV_ATOMIC_ACQUIRE
#define GMK_MO_REL __NV_ATOMIC_RELEASE
#define GMK_MO_AR __NV_ATOMIC_ACQ_REL
#define GMK_MO_SC __NV_ATOMIC_SEQ_CST
#define GMK_AT_LOAD_(p, mo, sc) GMK_NV_LOAD_(p, mo, sc)
#define GMK_AT_STORE_(p, v, mo, sc) GMK_NV_STORE_(p, v, mo, sc)
#define GMK_AT_ADD_(p, v, mo, sc) GMK_NV_RMW_(fetch_add, p, v, mo, sc)
#define GMK_AT_SUB_(p, v, mo, sc) GMK_NV_RMW_(fetch_sub, p, v, mo, sc)
#define GMK_AT_OR_(p, v, mo, sc) GMK_NV_RMW_(fetch_or, p, v, mo, sc)
#define GMK_AT_AND_(p, v, mo, sc) GMK_NV_RMW_(fetch_and, p, v, mo, sc)
#define GMK_AT_XCHG_(p, v, mo, sc) GMK_NV_RMW_(exchange_n, p, v, mo, sc)
#define GMK_AT_CAS_(p, e, v, ok, no, sc) GMK_NV_CAS_(p, e, v, ok, no, sc)

#define GMK_POLL(p, sc) GMK_AT_LOAD_(p, GMK_MO_RLX, sc)
#define GMK_TAKE_FENCE(sc) GMK_NV_FENCE_(sc)
#define GMK_PUBLISH_FENCE(sc) GMK_NV_FENCE_(sc)
#define GMK_PUBLISH(p, v, sc) GMK_AT_STORE_(p, v, GMK_MO_RLX, sc)

#else

#define GMK_MO_RLX __ATOMIC_RELAXED
#define GMK_MO_ACQ __ATOMIC_ACQUIRE
#define GMK_MO_REL __ATOMIC_RELEASE
#define GMK_MO_AR __ATOMIC_ACQ_REL
#define GMK_MO_SC __ATOMIC_SEQ_CST
#define GMK_AT_LOAD_(p, mo, sc) (GMK_PORT_STEP(), (void)(sc), __atomic_load_n((p), mo))
#define GMK_AT_STORE_(p, v, mo, sc) (GMK_PORT_STEP(), (void)(sc), __atomic_store_n((p), (v), mo))
#define GMK_AT_ADD_(p, v, mo, sc) (GMK_PORT_STEP(), (void)(sc), __atomic_fetch_add((p), (v), mo))
#define GMK_AT_SUB_(p, v, mo, sc) (GMK_PORT_STEP(), (void)(sc), __atomic_fetch_sub((p), (v), mo))
#define GMK_AT_OR_(p, v, mo, sc) (GMK_PORT_STEP(), (void)(sc), __atomic_fetch_or((p), (v), mo))
#define GMK_AT_AND_(p, v, mo, sc) (GMK_PORT_STEP(), (void)(sc), __atomic_fetch_and((p), (v), mo))
#define GMK_AT_XCHG_(p, v, mo, sc) (GMK_PORT_STEP(), (void)(sc), __atomic_exchange_n((p), (v), mo))
#define GMK_AT_CAS_(p, e, v, ok, no, sc)                                                           \
    (GMK_PORT_STEP(), (void)(sc), __atomic_compare_exchange_n((p), (e), (v), false, ok, no))

#define GMK_POLL(p, sc) GMK_AT_LOAD_(p, GMK_MO_ACQ, sc)
#define GMK_TAKE_FENCE(sc) ((void)(sc))
#define GMK_PUBLISH_FENCE(sc) ((void)(sc))
#define GMK_PUBLISH(p, v, sc) GMK_AT_STORE_(p, v, GMK_MO_REL, sc)

#endif

#define gmk_load_rlx(p, sc) GMK_AT_LOAD_(p, GMK_MO_RLX, sc)
#define gmk_load_acq(p, sc) GMK_AT_LOAD_(p, GMK_MO_ACQ, sc)
#define gmk_load_sc(p, sc) GMK_AT_LOAD_(p, GMK_MO_SC, sc)
#define gmk_store_rlx(p, v, sc) GMK_AT_STORE_(p, v, GMK_MO_RLX, sc)
#define gmk_store_rel(p, v, sc) GMK_AT_STORE_(p, v, GMK_MO_REL, sc)
#define gmk_add_rlx(p, v, sc) GMK_AT_ADD_(p, v, GMK_MO_RLX, sc)
#define gmk_add_ar(p, v, sc) GMK_AT_ADD_(p, v, GMK_MO_AR, sc)
#define gmk_add_sc(p, v, sc) GMK_AT_ADD_(p, v, GMK_MO_SC, sc)
#define gmk_sub_rlx(p, v, sc) GMK_AT_SUB_(p, v, GMK_MO_RLX, sc)
#define gmk_sub_ar(p, v, sc) GMK_AT_SUB_(p, v, GMK_MO_AR, sc)
#define gmk_sub_sc(p, v, sc) GMK_AT_SUB_(p, v, GMK_MO_SC, sc)
#define gmk_or_rlx(p, v, sc) GMK_AT_OR_(p, v, GMK_MO_RLX, sc)
#define gmk_or_ar(p, v, sc) GMK_AT_OR_(p, v, GMK_MO_AR, sc)
#define gmk_or_sc(p, v, sc) GMK_AT_OR_(p, v, GMK_MO_SC, sc)
#define gmk_and_rlx(p, v, sc) GMK_AT_AND_(p, v, GMK_MO_RLX, sc)
#define gmk_and_ar(p, v, sc) GMK_AT_AND_(p, v, GMK_MO_AR, sc)
#define gmk_and_sc(p, v, sc) GMK_AT_AND_(p, v, GMK_MO_SC, sc)
#define gmk_xchg_rlx(p, v, sc) GMK_AT_XCHG_(p, v, GMK_MO_RLX, sc)
#define gmk_xchg_ar(p, v, sc) GMK_AT_XCHG_(p, v, GMK_MO_AR, sc)
#define gmk_xchg_sc(p, v, sc) GMK_AT_XCHG_(p, v, GMK_MO_SC, sc)
#define gmk_cas_rlx(p, e, v, sc) GMK_AT_CAS_(p, e, v, GMK_MO_RLX, GMK_MO_RLX, sc)
#define gmk_cas_acq(p, e, v, sc) GMK_AT_CAS_(p, e, v, GMK_MO_ACQ, GMK_MO_RLX, sc)
#define gmk_cas_rel(p, e, v, sc) GMK_AT_CAS_(p, e, v, GMK_MO_REL, GMK_MO_RLX, sc)
#define gmk_cas_ar(p, e, v, sc) GMK_AT_CAS_(p, e, v, GMK_MO_AR, GMK_MO_ACQ, sc)
#define gmk_cas_sc(p, e, v, sc) GMK_AT_CAS_(p, e, v, GMK_MO_SC, GMK_MO_ACQ, sc)

/* Tells the processor that this is a spin-wait loop. */
#ifdef GMK_PORT_PAUSE
#define gmk_pause() GMK_PORT_PAUSE()
#else
GMK_FN void gmk_pause(void)
{
#if defined(__CUDA_ARCH__)
    __nanosleep(20);
#elif defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("" ::: "memory");
#endif
}
#endif

/* Brings a line here for a writer at once, where a load would bring a shared copy and
 * the store would have to ask again. A hint: it changes nothing that a program sees.
 * The builtin for writing means prefetchw only when told that the processor has it;
 * every 64-bit one runs the instruction, an old one as a no-op. */
#if defined(__CUDA_ARCH__)
#define GMK_PREFETCH_WRITE(p) ((void)(p))
#elif defined(__x86_64__)
#define GMK_PREFETCH_WRITE(p) __asm__ volatile("prefetchw %0" : : "m"(*(const char *)(p)))
#else
#define GMK_PREFETCH_WRITE(p) __builtin_prefetch((p), 1)
#endif

/* Faults are injected by the simulated machine alone. */
#ifndef GMK_FAULT
#define GMK_FAULT(kind) 0
#endif

#endif

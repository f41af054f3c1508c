/* SPDX-License-Identifier: MIT
 * The model checker's machine: the words of the product's own headers become words of
 * Relacy, which tries interleavings and the stale values that C++ memory order allows.
 * With MODEL_FENCES the rings are spelled as on a GPU: relaxed accesses and fences.
 * Floor: HAL of the models. Source: ARCHITECTURE R1; D. Vyukov, Relacy Race Detector. */
#ifndef GGMK_RELACY_ATOMIC_PORT_H
#define GGMK_RELACY_ATOMIC_PORT_H

#include <relacy/relacy.hpp>

/* Begins as 0, as the product's memory does; assignment is for setup alone. */
template <class T> struct model_word {
    rl::atomic<T> a;

    model_word() { a.store(0, rl::mo_relaxed, $); }
    model_word &operator=(T v)
    {
        a.store(v, rl::mo_relaxed, $);
        return *this;
    }
};

typedef model_word<uint32_t> gmk_a32_t;
typedef model_word<uint64_t> gmk_a64_t;

#define GMK_PORT_OWN_ATOMICS
#define GMK_MO_RLX rl::mo_relaxed
#define GMK_MO_ACQ rl::mo_acquire
#define GMK_MO_REL rl::mo_release
#define GMK_MO_AR rl::mo_acq_rel
#define GMK_MO_SC rl::mo_seq_cst
#define GMK_AT_LOAD_(p, mo, sc) ((void)(sc), (p)->a.load(mo, $))
#define GMK_AT_STORE_(p, v, mo, sc) ((void)(sc), (p)->a.store((v), mo, $))
#define GMK_AT_ADD_(p, v, mo, sc) ((void)(sc), (p)->a.fetch_add((v), mo, $))
#define GMK_AT_SUB_(p, v, mo, sc) ((void)(sc), (p)->a.fetch_sub((v), mo, $))
#define GMK_AT_OR_(p, v, mo, sc) ((void)(sc), (p)->a.fetch_or((v), mo, $))
#define GMK_AT_AND_(p, v, mo, sc) ((void)(sc), (p)->a.fetch_and((v), mo, $))
#define GMK_AT_XCHG_(p, v, mo, sc) ((void)(sc), (p)->a.exchange((v), mo, $))
#define GMK_AT_CAS_(p, e, v, ok, no, sc)                                                           \
    ((void)(sc), (p)->a.compare_exchange_strong(*(e), (v), ok, $, no, $))

#ifdef MODEL_FENCES
#define GMK_POLL(p, sc) GMK_AT_LOAD_(p, GMK_MO_RLX, sc)
#define GMK_TAKE_FENCE(sc) ((void)(sc), rl::atomic_thread_fence(rl::mo_acq_rel, $))
#define GMK_PUBLISH_FENCE(sc) ((void)(sc), rl::atomic_thread_fence(rl::mo_acq_rel, $))
#define GMK_PUBLISH(p, v, sc) GMK_AT_STORE_(p, v, GMK_MO_RLX, sc)
#else
#define GMK_POLL(p, sc) GMK_AT_LOAD_(p, GMK_MO_ACQ, sc)
#define GMK_TAKE_FENCE(sc) ((void)(sc))
#define GMK_PUBLISH_FENCE(sc) ((void)(sc))
#define GMK_PUBLISH(p, v, sc) GMK_AT_STORE_(p, v, GMK_MO_REL, sc)
#endif

#define GMK_PORT_PAUSE() ((void)0) /* a lost race needs no time here; waits yield */

#include "../../hal/common/atomic_port.h"

#endif

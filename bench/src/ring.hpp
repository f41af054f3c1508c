// SPDX-License-Identifier: MIT
// Harness for rings: P producers and C consumers move items of one cache line.
// A queue type Q supplies Q(), struct Q::Prod{Prod(Q&); bool push(const Item&);} and
// struct Q::Cons{Cons(Q&); bool pop(Item&);}; optionally push_n / pop_n, which return a
// count. Producer k runs on core k mod 2, consumer k on core k + 1 mod 2. Every item is
// written in full, copied out in full, and summed up by its first and last word.
#pragma once
#include "bench.h"
#include <atomic>
#include <memory>
#include <signal.h>
#include <sys/wait.h>
#include <thread>
#include <vector>

struct alignas(64) Item {
    uint64_t v[8];
};
static_assert(sizeof(Item) == 64);

static inline void item_fill(Item &it, uint64_t x)
{
    for (int k = 0; k < 8; k++)
        it.v[k] = x + (uint64_t)k;
}
static inline uint64_t item_sum(const Item &it) { return it.v[0] + it.v[7]; }

// What Q moves; a queue with cells of its own specialises this, item_fill and item_sum.
template <class Q> struct item_of {
    using type = Item;
};

constexpr unsigned BULK = 32;
constexpr int STALL_S = 2;

// Room for a batch, which wanders through a page. The cells of a batch lie at one of two
// places of their pages, so a batch at a fixed place would meet them at one distance all
// the time; and where the places coincide, loads wait for stores that they have nothing to
// do with, at twice the time. So every queue goes through all distances.
template <class T> struct wandering_batch {
    static constexpr unsigned PLACES = 4096 / sizeof(T), STAY = 32;
    alignas(4096) T room[PLACES + BULK];
    unsigned batches = 0;
    T *next() { return room + batches++ / STAY % PLACES; }
};

template <class Q> void produce(Q &q, uint64_t base, uint64_t m, bool bulk, backoff b)
{
    using T = typename item_of<Q>::type;
    typename Q::Prod h(q);
    if (!bulk) {
        for (uint64_t i = 0; i < m; i++) {
            T it;
            item_fill(it, base + i);
            while (!h.push(it))
                backoff_wait(&b);
        }
    } else if constexpr (requires(T * a) { h.push_n(a, 1u); }) {
        wandering_batch<T> room;
        for (uint64_t i = 0; i < m; i += BULK) {
            T *a = room.next();
            for (unsigned k = 0; k < BULK; k++)
                item_fill(a[k], base + i + k);
            for (unsigned d = 0; d < BULK;) {
                unsigned k = h.push_n(a + d, BULK - d);
                d += k;
                if (!k)
                    backoff_wait(&b);
            }
        }
    }
}

template <class Q> uint64_t consume(Q &q, uint64_t m, bool bulk, backoff b)
{
    using T = typename item_of<Q>::type;
    typename Q::Cons h(q);
    uint64_t s = 0;
    if (!bulk) {
        for (uint64_t i = 0; i < m; i++) {
            T it;
            while (!h.pop(it))
                backoff_wait(&b);
            s += item_sum(it);
        }
    } else if constexpr (requires(T * a) { h.pop_n(a, 1u); }) {
        wandering_batch<T> room;
        for (uint64_t d = 0; d < m;) {
            T *a = room.next();
            unsigned want = m - d < BULK ? (unsigned)(m - d) : BULK;
            unsigned k = h.pop_n(a, want);
            for (unsigned j = 0; j < k; j++)
                s += item_sum(a[j]);
            d += k;
            if (!k)
                backoff_wait(&b);
        }
    }
    return s;
}

// Millions of items a second.
template <class Q> double ring_rate(int P, int C, uint64_t n, bool bulk)
{
    auto q = std::make_unique<Q>();
    std::atomic<int> ready{0};
    std::atomic<bool> go{false};
    std::atomic<uint64_t> sum{0};
    int yields = P + C > 2;
    std::vector<std::thread> th;
    auto sync = [&](int cpu) {
        pin(cpu);
        ready++;
        while (!go.load(std::memory_order_acquire)) {
            if (yields)
                sched_yield();
            else
                relax();
        }
    };
    for (int p = 0; p < P; p++)
        th.emplace_back([&, p] {
            uint64_t m = n / (uint64_t)P;
            sync(p % 2);
            produce(*q, m * (uint64_t)p, m, bulk, backoff{0, yields});
        });
    for (int c = 0; c < C; c++)
        th.emplace_back([&, c] {
            sync((c + 1) % 2);
            sum += consume(*q, n / (uint64_t)C, bulk, backoff{0, yields});
        });
    while (ready.load() != P + C)
        sched_yield();
    uint64_t t0 = now_ns();
    go.store(true, std::memory_order_release);
    for (auto &t : th)
        t.join();
    uint64_t dt = now_ns() - t0;
    must(sum.load() == n * (n - 1) + 7 * n, "ring checksum: items lost, doubled or torn");
    return m_per_s(n, dt);
}

// Each row runs in a child: one that has not ended within STALL_S seconds is killed and
// reported as 0 (queues that spin on a preempted thread when threads outnumber cores).
template <class F> void guarded_row(const char *row, const char *who, F measure)
{
    int st = 0;
    if (!bench_wants(row))
        return;
    fflush(stdout);
    pid_t c = fork();
    must(c >= 0, "fork");
    if (c == 0) {
        result(row, who, measure(), "M items/s");
        _exit(0);
    }
    for (uint64_t t0 = now_ns(); waitpid(c, &st, WNOHANG) == 0; usleep(2000))
        if (now_ns() - t0 > STALL_S * 1000000000ull) {
            kill(c, SIGKILL);
            waitpid(c, &st, 0);
            result(row, who, 0, "M items/s");
            return;
        }
    must(WIFEXITED(st) && WEXITSTATUS(st) == 0, row);
}

// n is a power of two, so that it divides by P, C and BULK.
template <class Q> void ring_row(const char *row, const char *who, int P, int C, bool bulk)
{
    guarded_row(row, who, [&] { return ring_rate<Q>(P, C, 1u << (P > 2 ? 18 : 20), bulk); });
}

template <class Q>
constexpr bool has_bulk = requires(typename Q::Prod h, typename item_of<Q>::type *a)
{
    h.push_n(a, 1u);
};

template <class Q> void spsc_rows(const char *who)
{
    ring_row<Q>(ROW_SPSC, who, 1, 1, false);
    if (has_bulk<Q>)
        ring_row<Q>(ROW_SPSC_BULK, who, 1, 1, true);
}

template <class Q> void mpmc_rows(const char *who)
{
    ring_row<Q>(ROW_MPMC_11, who, 1, 1, false);
    ring_row<Q>(ROW_MPMC_22, who, 2, 2, false);
    ring_row<Q>(ROW_MPMC_44, who, 4, 4, false);
    if (has_bulk<Q>) {
        ring_row<Q>(ROW_MPMC_BULK_11, who, 1, 1, true);
        ring_row<Q>(ROW_MPMC_BULK_22, who, 2, 2, true);
    }
}

// Handle pair for queues without per-thread state.
template <class Q> struct PlainProd {
    Q &q;
    explicit PlainProd(Q &x) : q(x) {}
    bool push(const Item &i) { return q.push(i); }
};
template <class Q> struct PlainCons {
    Q &q;
    explicit PlainCons(Q &x) : q(x) {}
    bool pop(Item &i) { return q.pop(i); }
};

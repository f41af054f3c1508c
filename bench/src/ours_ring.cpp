// SPDX-License-Identifier: MIT
// Our rings, straight from the headers that the kernel uses: prim/spsc.h with items of 64
// bytes, prim/cells.h with cells of one line. A cell carries 60 of its 64 bytes: the
// 48-byte task, 8 bytes of channel sequence, 4 of subscription and retries; the last 4 are
// the turn word. All 60 are written, moved and checked by their first and last word.
#include "ring.hpp"
#include "ggmk/prim/cells.h"
#include "ggmk/prim/spsc.h"
#include <algorithm>
#include <cstddef>

// A run of slots is copied as it lies, in at most two pieces.
struct Spsc {
    gmk_spsc_t r;
    alignas(128) Item buf[BENCH_RING_CAP];
    static constexpr uint32_t MASK = BENCH_RING_CAP - 1;
    Spsc() { gmk_spsc_setup(&r, BENCH_RING_CAP, 0); }
    struct Prod {
        Spsc &q;
        explicit Prod(Spsc &x) : q(x) {}
        bool push(const Item &i)
        {
            uint32_t pos;
            if (gmk_spsc_claim(&q.r, 1, &pos, GMK_DEV) == 0)
                return false;
            q.buf[pos & MASK] = i;
            gmk_spsc_publish(&q.r, pos, 1, GMK_DEV);
            return true;
        }
        unsigned push_n(const Item *a, unsigned n)
        {
            uint32_t pos, k = gmk_spsc_claim(&q.r, n, &pos, GMK_DEV);
            uint32_t at = pos & MASK, first = k < MASK + 1 - at ? k : MASK + 1 - at;
            std::copy_n(a, first, q.buf + at);
            std::copy_n(a + first, k - first, q.buf);
            if (k != 0)
                gmk_spsc_publish(&q.r, pos, k, GMK_DEV);
            return k;
        }
    };
    struct Cons {
        Spsc &q;
        explicit Cons(Spsc &x) : q(x) {}
        bool pop(Item &i)
        {
            uint32_t pos;
            if (gmk_spsc_take(&q.r, 1, &pos, GMK_DEV) == 0)
                return false;
            i = q.buf[pos & MASK];
            gmk_spsc_release(&q.r, pos, 1, GMK_DEV);
            return true;
        }
        unsigned pop_n(Item *a, unsigned n)
        {
            uint32_t pos, k = gmk_spsc_take(&q.r, n, &pos, GMK_DEV);
            uint32_t at = pos & MASK, first = k < MASK + 1 - at ? k : MASK + 1 - at;
            std::copy_n(q.buf + at, first, a);
            std::copy_n(q.buf, k - first, a + first);
            if (k != 0)
                gmk_spsc_release(&q.r, pos, k, GMK_DEV);
            return k;
        }
    };
};

struct Cells {
    gmk_mpmc_t r;
    alignas(128) gmk_cell_t buf[BENCH_RING_CAP];
    Cells()
    {
        memset((void *)buf, 0, sizeof buf);
        gmk_mpmc_setup(&r, BENCH_RING_CAP, 0);
    }
    struct Prod {
        Cells &q;
        explicit Prod(Cells &x) : q(x) {}
        bool push(const gmk_cell_t &c) { return push_n(&c, 1) == 1; }
        unsigned push_n(const gmk_cell_t *a, unsigned n)
        {
            return gmk_cells_push(&q.r, q.buf, a, n, GMK_DEV);
        }
    };
    struct Cons {
        Cells &q;
        explicit Cons(Cells &x) : q(x) {}
        bool pop(gmk_cell_t &c) { return pop_n(&c, 1) == 1; }
        unsigned pop_n(gmk_cell_t *a, unsigned n)
        {
            return gmk_cells_pop(&q.r, q.buf, a, n, GMK_DEV);
        }
    };
};
template <> struct item_of<Cells> {
    using type = gmk_cell_t;
};

// As whole words, as the peers' items are filled: field by field the compiler scatters a
// batch in some 400 narrow stores, which took longer than the ring does.
static inline void item_fill(gmk_cell_t &c, uint64_t x)
{
    uint32_t beside = (uint32_t)x; // subscription and retries
    uint64_t task[6];

    for (uint64_t k = 0; k < 6; k++)
        task[k] = x + 2 + k;
    memcpy((char *)&c + offsetof(gmk_cell_t, sub), &beside, sizeof beside);
    c.chan_seq = x + 1;
    memcpy((void *)&c.task, task, sizeof task);
}
static inline uint64_t item_sum(const gmk_cell_t &c)
{
    uint32_t beside;

    memcpy(&beside, (const char *)&c + offsetof(gmk_cell_t, sub), sizeof beside);
    return beside + c.task.meta1;
}

int main(int argc, char **argv)
{
    bench_args(argc, argv);
    spsc_rows<Spsc>("GGMK");
    mpmc_rows<Cells>("GGMK");
    return 0;
}

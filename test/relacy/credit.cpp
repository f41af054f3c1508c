/* SPDX-License-Identifier: MIT
 * Models of prim/credit.h, a ring of two or four cells.
 *   lossless: two producers, two cursors, producers give by the rule of the header
 *   lossy: two producers move the cursor of a slow reader that holds it for its copies
 *   leaver: a reader joins and leaves while a producer emits
 * Promises: each cursor sees every position that is for it once, in order, whole; a cell
 * is not written while somebody may read it; what is skipped is copied by who skips.
 * Source: ARCHITECTURE R5. */
#include "model.h"

#include "ggmk/prim/credit.h"

struct cell {
    gmk_a32_t turn;
    rl::var<uint64_t> pos; /* what the producer wrote: its position */
};

/* What the models share: a ring of CAP cells and two cursors. */
template <uint32_t CAP> struct ring {
    gmk_credit_t r;
    cell cells[CAP];
    gmk_a64_t cursor[2];

    void setup() { gmk_credit_setup(&r, CAP, 0); }

    uint64_t slowest(uint32_t set)
    {
        uint64_t low = gmk_credit_tail(&r, GMK_DEV);

        for (uint32_t i = 0; i < 2; i++)
            if (set >> i & 1) {
                uint64_t at = gmk_cursor_next(&cursor[i], GMK_DEV);

                low = at < low ? at : low;
            }
        return low;
    }

    /* The rule of the header: the set, the cursors, the set again. */
    bool give()
    {
        uint64_t word = gmk_credit_word(&r, GMK_DEV);

        for (;;) {
            uint64_t low = slowest(gmk_credit_readers(word));
            uint64_t again = gmk_credit_word(&r, GMK_DEV);

            if (gmk_credit_readers(again) == gmk_credit_readers(word))
                return gmk_credit_give(&r, low + CAP, GMK_DEV);
            word = again;
        }
    }

    void write(uint32_t pos, uint32_t n)
    {
        for (uint32_t i = 0; i < n; i++)
            VAR(cells[(pos + i) & (CAP - 1)].pos) = pos + i;
        gmk_credit_publish(&r, cells, sizeof(cell), pos, n, GMK_DEV);
    }

    uint32_t ready(uint64_t next, uint32_t want)
    {
        return gmk_credit_ready(cells, CAP - 1, sizeof(cell), (uint32_t)next, want, GMK_DEV);
    }
};

#define PER 2u

struct lossless_model : rl::test_suite<lossless_model, 4> {
    ring<2> q;

    void before()
    {
        q.setup();
        gmk_credit_join(&q.r, 0, &q.cursor[0], GMK_DEV);
        gmk_credit_join(&q.r, 1, &q.cursor[1], GMK_DEV);
    }

    void produce()
    {
        for (uint32_t sent = 0; sent < PER;) {
            uint32_t pos, readers;
            uint32_t n = gmk_credit_claim(&q.r, PER - sent, 0, &pos, &readers, GMK_DEV);

            RL_ASSERT(readers == 3);
            if (n != 0)
                q.write(pos, n);
            else if (!q.give())
                model_wait();
            sent += n;
        }
    }

    void consume(uint32_t me)
    {
        for (uint64_t next = 0; next < 2 * PER;) {
            uint32_t n = q.ready(next, 2);

            for (uint32_t i = 0; i < n; i++)
                RL_ASSERT(VAR(q.cells[(next + i) & 1].pos) == next + i);
            next += n;
            if (n != 0)
                gmk_cursor_pass(&q.cursor[me], next, GMK_DEV);
            else
                model_wait();
        }
    }

    void thread(unsigned index) { index < 2 ? produce() : consume(index - 2); }
};

/* Nobody waits for the reader: a full ring moves its cursor, under the givers' lock. */
struct lossy_model : rl::test_suite<lossy_model, 3> {
    ring<2> q;
    rl::mutex lock;
    rl::var<uint32_t> skipped; /* under the lock */
    rl::var<uint32_t> read;
    rl::atomic<uint32_t> producing;

    void before()
    {
        q.setup();
        gmk_credit_join(&q.r, 0, &q.cursor[0], GMK_DEV);
        VAR(skipped) = 0;
        VAR(read) = 0;
        producing.store(2, rl::mo_relaxed, $);
    }

    void make_room()
    {
        uint64_t low;

        lock.lock($);
        low = q.slowest(1);
        if (!gmk_credit_give(&q.r, low + 2, GMK_DEV) && q.ready(low, 1) != 0 &&
            gmk_cursor_skip(&q.cursor[0], low, 1, GMK_DEV)) {
            RL_ASSERT(VAR(q.cells[low & 1].pos) == low);
            VAR(skipped)++;
            gmk_credit_give(&q.r, q.slowest(1) + 2, GMK_DEV);
        }
        lock.unlock($);
    }

    void produce()
    {
        for (uint32_t sent = 0; sent < PER;) {
            uint32_t pos, readers;
            uint32_t n = gmk_credit_claim(&q.r, 1, 0, &pos, &readers, GMK_DEV);

            if (n != 0) {
                q.write(pos, n);
            } else {
                make_room();
                model_wait();
            }
            sent += n;
        }
        producing.fetch_sub(1, rl::mo_acq_rel, $);
    }

    bool read_one(uint64_t *next)
    {
        uint64_t at = gmk_cursor_next(&q.cursor[0], GMK_DEV);

        do {
            if (q.ready(at, 1) == 0)
                return false;
        } while (!gmk_cursor_hold(&q.cursor[0], &at, GMK_DEV));
        RL_ASSERT(at >= *next && VAR(q.cells[at & 1].pos) == at);
        gmk_cursor_pass(&q.cursor[0], at + 1, GMK_DEV);
        VAR(read)++;
        *next = at + 1;
        return true;
    }

    void thread(unsigned index)
    {
        uint64_t next = 0;

        if (index < 2) {
            produce();
            return;
        }
        while (producing.load(rl::mo_acquire, $) != 0)
            if (!read_one(&next))
                model_wait();
        while (read_one(&next))
            ;
    }

    void after() { RL_ASSERT(VAR(read) + VAR(skipped) == 2 * PER); }
};

/* Reader 1 joins, reads two positions at most, and leaves; reader 0 stays. */
struct leaver_model : rl::test_suite<leaver_model, 3> {
    ring<2> q;
    rl::var<uint64_t> for_it;   /* positions whose claim had it as a reader */
    rl::var<uint64_t> its_part; /* from its join to its leave */

    void before()
    {
        q.setup();
        gmk_credit_join(&q.r, 0, &q.cursor[0], GMK_DEV);
        VAR(for_it) = 0;
        VAR(its_part) = 0;
    }

    void produce()
    {
        uint64_t mine = 0;

        for (uint32_t sent = 0; sent < 5;) {
            uint32_t pos, readers;
            uint32_t n = gmk_credit_claim(&q.r, 1, 0, &pos, &readers, GMK_DEV);

            mine += n != 0 && (readers & 2) != 0;
            if (n != 0)
                q.write(pos, n);
            else if (!q.give())
                model_wait();
            sent += n;
        }
        VAR(for_it) = mine;
    }

    void stay()
    {
        for (uint64_t next = 0; next < 5;) {
            uint32_t n = q.ready(next, 1);

            RL_ASSERT(n == 0 || VAR(q.cells[next & 1].pos) == next);
            if (n == 0)
                model_wait();
            else
                gmk_cursor_pass(&q.cursor[0], ++next, GMK_DEV);
        }
    }

    void visit()
    {
        uint64_t first, next, end;
        uint32_t reads = 0;

        gmk_credit_join(&q.r, 1, &q.cursor[1], GMK_DEV);
        first = next = gmk_cursor_next(&q.cursor[1], GMK_DEV);
        for (uint32_t looks = 0; looks < 3 && reads < 2; looks++) {
            if (q.ready(next, 1) == 0)
                continue;
            RL_ASSERT(VAR(q.cells[next & 1].pos) == next);
            gmk_cursor_pass(&q.cursor[1], ++next, GMK_DEV);
            reads++;
        }
        end = gmk_credit_leave(&q.r, 2, GMK_DEV);
        RL_ASSERT(end >= next);
        VAR(its_part) = end - first;
    }

    void thread(unsigned index) { index == 0 ? produce() : index == 1 ? stay() : visit(); }
    void after() { RL_ASSERT(VAR(for_it) == VAR(its_part)); }
};

int main(int argc, char **argv)
{
    unsigned long n = model_iterations(argc, argv, 30000);

    return !(model_run<lossless_model>("credit, lossless", n) &&
             model_run<lossy_model>("credit, lossy", n) &&
             model_run<leaver_model>("credit, leaver", n));
}

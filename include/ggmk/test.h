/* SPDX-License-Identifier: MIT
 * Test harness: registration, assertions that print both values, a closing line.
 * The same test sources run hosted, on the simulated machine and in a kernel image.
 * Floor: tests. An assertion that fails prints and marks the running test, from any
 * thread, and goes on; GMK_REQUIRE also returns from the calling (void) function.
 * Source: SPEC S.5, CLI-29. */
#ifndef GGMK_TEST_H
#define GGMK_TEST_H

#include "ggmk/base/compiler.h"

typedef struct gmk_test_case {
    const char *name;
    void (*fn)(void);
} gmk_test_case_t;

/* Defines and registers a test: GMK_TEST(ring_pop_empty_fails) { ... } */
#define GMK_TEST(ident)                                                                            \
    static void gmk_test_fn_##ident(void);                                                         \
    static const gmk_test_case_t gmk_test_case_##ident = {#ident, gmk_test_fn_##ident};            \
    __attribute__((used, section("gmk_tests"))) static const gmk_test_case_t                       \
        *const gmk_test_ptr_##ident = &gmk_test_case_##ident;                                      \
    static void gmk_test_fn_##ident(void)

/* Both operands are evaluated once and compared as 64-bit signed numbers. */
#define GMK_TEST_CMP_(a, op, b)                                                                    \
    gmk_test_check_cmp((int64_t)(a), (int64_t)(b),                                                 \
                       (gmk_test_cmp_t){#a, #op, #b, {__FILE__, __LINE__}})
#define gmk_test_assert_eq(a, b) GMK_TEST_CMP_(a, ==, b)
#define gmk_test_assert_ne(a, b) GMK_TEST_CMP_(a, !=, b)
#define gmk_test_assert_lt(a, b) GMK_TEST_CMP_(a, <, b)
#define gmk_test_assert_le(a, b) GMK_TEST_CMP_(a, <=, b)
#define gmk_test_assert_gt(a, b) GMK_TEST_CMP_(a, >, b)
#define gmk_test_assert_ge(a, b) GMK_TEST_CMP_(a, >=, b)
#define gmk_test_assert(cond)                                                                      \
    gmk_test_check((cond) ? true : false, #cond, (gmk_test_where_t){__FILE__, __LINE__})
#define gmk_test_assert_str_eq(a, b)                                                               \
    gmk_test_check_str(a, b, #a, #b, (gmk_test_where_t){__FILE__, __LINE__})
/* Names one of several cases in the output of a table-driven test. */
#define gmk_test_assert_named(cond, name)                                                          \
    gmk_test_check((cond) ? true : false, name, (gmk_test_where_t){__FILE__, __LINE__})
#define GMK_REQUIRE(cond)                                                                          \
    do {                                                                                           \
        if (!gmk_test_assert(cond))                                                                \
            return;                                                                                \
    } while (0)

typedef struct gmk_test_where {
    const char *file;
    int line;
} gmk_test_where_t;

/* A comparison as it was written: operator ==, !=, <, <=, > or >=. */
typedef struct gmk_test_cmp {
    const char *a;
    const char *op;
    const char *b;
    gmk_test_where_t at;
} gmk_test_cmp_t;

GMK_EXTERN_C_BEGIN

bool gmk_test_check(bool ok, const char *text, gmk_test_where_t at);
bool gmk_test_check_cmp(int64_t a, int64_t b, gmk_test_cmp_t how);
bool gmk_test_check_str(const char *a, const char *b, const char *sa, const char *sb,
                        gmk_test_where_t at);

/* Marks the running test as skipped for a reason that is printed; return after it. */
void gmk_test_skip(const char *reason);

/* The seed of this run (--seed N), never 0; random tests print it when they fail. */
uint64_t gmk_test_seed(void);

/* True on the simulated machine: full-size loops may take a smaller share there. */
bool gmk_test_simulated(void);

/* n, or the smaller m on the simulated machine. */
uint64_t gmk_test_scale(uint64_t n, uint64_t m);

/* Prints without any library. */
void gmk_test_print(const char *text);
void gmk_test_print_u64(const char *label, uint64_t value);

/* Runs the registered tests whose name contains filter (null: all). Prints a line a
 * test and "N passed, N failed, N skipped"; to find none is one failure. returns: the
 * number that failed. */
int gmk_test_run_all(const char *filter, uint64_t seed);

GMK_EXTERN_C_END

#endif

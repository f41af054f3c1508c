/* SPDX-License-Identifier: MIT
 * Test harness: runner and checks. Prints through the HAL alone.
 * Floor: tests. Source: SPEC S.5. */
#include "ggmk/test.h"

#include "ggmk/hal.h"
#include "test_port.h"

extern const gmk_test_case_t *const __start_gmk_tests[] __attribute__((weak));
extern const gmk_test_case_t *const __stop_gmk_tests[] __attribute__((weak));

static gmk_a32_t test_failed; /* the running test has failed */
static gmk_a64_t test_checks;
static gmk_a64_t test_reports;
static const char *test_skipped;
static uint64_t test_seed = 1;

bool gmk_test_small;

#define TEST_MAX_REPORTS 20 /* failed assertions printed a test */

typedef struct line {
    char text[512];
    size_t n;
} line_t;

static void line_str(line_t *l, const char *s)
{
    while (s != NULL && *s != '\0' && l->n < sizeof(l->text))
        l->text[l->n++] = *s++;
}

static void line_u64(line_t *l, uint64_t v)
{
    char digits[20];
    int n = 0;

    do
        digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    while (n > 0 && l->n < sizeof(l->text))
        l->text[l->n++] = digits[--n];
}

static void line_i64(line_t *l, int64_t v)
{
    if (v < 0)
        line_str(l, "-");
    line_u64(l, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

static void line_end(line_t *l)
{
    line_str(l, "\n");
    gmk_hal_console_write(l->text, l->n);
}

static bool test_begin_report(line_t *l, gmk_test_where_t at)
{
    gmk_store_rel(&test_failed, 1, GMK_DEV);                        /* sync: test.failed */
    if (gmk_add_rlx(&test_reports, 1, GMK_DEV) >= TEST_MAX_REPORTS) /* relaxed: a limit */
        return false;
    l->n = 0;
    line_str(l, "  ");
    line_str(l, at.file);
    line_str(l, ":");
    line_i64(l, at.line);
    line_str(l, ": ");
    return true;
}

bool gmk_test_check(bool ok, const char *text, gmk_test_where_t at)
{
    line_t l;

    gmk_add_rlx(&test_checks, 1, GMK_DEV); /* relaxed: a statistic */
    if (!ok && test_begin_report(&l, at)) {
        line_str(&l, "expected ");
        line_str(&l, text);
        line_end(&l);
    }
    return ok;
}

static bool compare(int64_t a, int64_t b, const char *op)
{
    bool or_equal = op[1] == '=';

    switch (op[0]) {
    case '=':
        return a == b;
    case '!':
        return a != b;
    case '<':
        return or_equal ? a <= b : a < b;
    default:
        return or_equal ? a >= b : a > b;
    }
}

bool gmk_test_check_cmp(int64_t a, int64_t b, gmk_test_cmp_t how)
{
    bool ok = compare(a, b, how.op);
    line_t l;

    gmk_add_rlx(&test_checks, 1, GMK_DEV); /* relaxed: a statistic */
    if (!ok && test_begin_report(&l, how.at)) {
        line_str(&l, "expected ");
        line_str(&l, how.a);
        line_str(&l, " ");
        line_str(&l, how.op);
        line_str(&l, " ");
        line_str(&l, how.b);
        line_str(&l, ", got ");
        line_i64(&l, a);
        line_str(&l, " and ");
        line_i64(&l, b);
        line_end(&l);
    }
    return ok;
}

bool gmk_test_check_str(const char *a, const char *b, const char *sa, const char *sb,
                        gmk_test_where_t at)
{
    line_t l;
    size_t i = 0;
    bool ok;

    if (a == NULL || b == NULL) {
        ok = a == b;
    } else {
        while (a[i] == b[i] && a[i] != '\0')
            i++;
        ok = a[i] == b[i];
    }
    gmk_add_rlx(&test_checks, 1, GMK_DEV); /* relaxed: a statistic */
    if (!ok && test_begin_report(&l, at)) {
        line_str(&l, "expected ");
        line_str(&l, sa);
        line_str(&l, " == ");
        line_str(&l, sb);
        line_str(&l, ", got \"");
        line_str(&l, a != NULL ? a : "(null)");
        line_str(&l, "\" and \"");
        line_str(&l, b != NULL ? b : "(null)");
        line_str(&l, "\"");
        line_end(&l);
    }
    return ok;
}

void gmk_test_skip(const char *reason)
{
    test_skipped = reason != NULL ? reason : "no reason given"; /* a skip is never a pass */
}

uint64_t gmk_test_seed(void) { return test_seed; }

bool gmk_test_simulated(void)
{
#ifdef GMK_SIM
    return true;
#else
    return false;
#endif
}

uint64_t gmk_test_scale(uint64_t n, uint64_t m)
{
    return gmk_test_simulated() || gmk_test_small ? m : n;
}

void gmk_test_print(const char *text)
{
    line_t l = {.n = 0};

    line_str(&l, text);
    gmk_hal_console_write(l.text, l.n);
}

void gmk_test_print_u64(const char *label, uint64_t value)
{
    line_t l = {.n = 0};

    line_str(&l, "  ");
    line_str(&l, label);
    line_str(&l, " ");
    line_u64(&l, value);
    line_end(&l);
}

static bool name_contains(const char *name, const char *part)
{
    for (; *name != '\0'; name++) {
        size_t i = 0;

        while (part[i] != '\0' && name[i] == part[i])
            i++;
        if (part[i] == '\0')
            return true;
    }
    return *part == '\0';
}

static void test_line(const char *verdict, const char *name, uint64_t t0, const char *note)
{
    line_t l = {.n = 0};

    line_str(&l, verdict);
    line_str(&l, name);
    line_str(&l, " (");
    line_u64(&l, (gmk_hal_now_ns() - t0) / 1000000);
    line_str(&l, " ms)");
    line_str(&l, note);
    line_end(&l);
}

int gmk_test_run_all(const char *filter, uint64_t seed)
{
    uint64_t passed = 0;
    uint64_t failed = 0;
    uint64_t skipped = 0;
    line_t l = {.n = 0};

    test_seed = seed != 0 ? seed : 1;
    for (const gmk_test_case_t *const *t = __start_gmk_tests; t != __stop_gmk_tests; t++) {
        uint64_t t0 = gmk_hal_now_ns();

        if (filter != NULL && !name_contains((*t)->name, filter))
            continue;
        test_failed = 0;
        test_reports = 0;
        test_skipped = NULL;
        (*t)->fn();
        if (gmk_load_acq(&test_failed, GMK_DEV) != 0) { /* sync: test.failed */
            failed++;
            test_line("[FAIL] ", (*t)->name, t0, "");
        } else if (test_skipped != NULL) {
            skipped++;
            test_line("[SKIP] ", (*t)->name, t0, test_skipped);
        } else {
            passed++;
            test_line("[PASS] ", (*t)->name, t0, "");
        }
    }
    if (passed + failed + skipped == 0) {
        failed++; /* a run of nothing proves nothing */
        line_str(&l, "[FAIL] no test ran; filter: ");
        line_str(&l, filter);
        line_end(&l);
        l.n = 0;
    }
    if (failed != 0)
        gmk_test_print_u64("seed", test_seed);
    line_str(&l, "assertions: ");
    line_u64(&l, gmk_load_rlx(&test_checks, GMK_DEV)); /* relaxed: a statistic */
    line_end(&l);
    l.n = 0;
    line_u64(&l, passed);
    line_str(&l, " passed, ");
    line_u64(&l, failed);
    line_str(&l, " failed, ");
    line_u64(&l, skipped);
    line_str(&l, " skipped");
    line_end(&l);
    return failed > 255 ? 255 : (int)failed;
}

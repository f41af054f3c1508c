/* SPDX-License-Identifier: MIT
 * Texts of return codes, reasons and metrics; the summary of a histogram.
 * Floor: F2. Source: ARCHITECTURE R10, R11. */
#include "obs/obs.h"

static const struct {
    int number;
    const char *text;
} codes[] = {
#define X(name, number, text) {number, text},
#include "ggmk/errors.def"
#undef X
};

static const char *const reasons[GMK_REASON_COUNT] = {
#define X(name, number, text) [number] = text,
#include "ggmk/reasons.def"
#undef X
};

static const char *const metric_keys[GMK_METRIC_COUNT] = {
#define X(name, number, key, text) [number] = key,
#include "ggmk/metrics.def"
#undef X
};

static const char *const metric_texts[GMK_METRIC_COUNT] = {
#define X(name, number, key, text) [number] = text,
#include "ggmk/metrics.def"
#undef X
};

const char *gmk_strerror(int rc)
{
    for (size_t i = 0; i < GMK_ARRAY_LEN(codes); i++)
        if (codes[i].number == rc)
            return codes[i].text;
    if (rc <= -1 && rc >= -99)
        return "failure code of a handler";
    return "unknown code";
}

const char *gmk_reason_text(uint32_t reason)
{
    return reason < GMK_REASON_COUNT && reasons[reason] != NULL ? reasons[reason]
                                                                : "unknown reason";
}

const char *gmk_metric_key(uint32_t id) { return id < GMK_METRIC_COUNT ? metric_keys[id] : NULL; }

const char *gmk_metric_text(uint32_t id) { return id < GMK_METRIC_COUNT ? metric_texts[id] : NULL; }

void gmki_latency(const gmk_hist_t *h, gmk_latency_t *out)
{
    uint64_t max = gmk_hist_max(h);

    /* A bucket's upper end may lie above the greatest value; that is a bound, too. */
    *out = (gmk_latency_t){.count = gmk_hist_count(h),
                           .p50_ns = gmk_min64(gmk_hist_percentile(h, 5000), max),
                           .p90_ns = gmk_min64(gmk_hist_percentile(h, 9000), max),
                           .p99_ns = gmk_min64(gmk_hist_percentile(h, 9900), max),
                           .max_ns = max};
}

uint32_t gmk_version(void) { return GMK_VERSION_CURRENT; }

/* SPDX-License-Identifier: MIT
 * The main job's outside bytes: its text and its options. A text in pieces of any size is
 * counted on the simulated machine, and the report must be that of a loop over the bytes. The
 * options are parsed by main.c itself, whose functions this file includes.
 * Floor: tests. Source: examples/pipeline/pipeline.h. */
#include "../../examples/pipeline/main.c"

#include "fuzz_world.h"

#define MOST_TEXT 4096u

typedef struct job {
    const uint8_t *text;
    size_t n, at;
    uint64_t pieces; /* seed of their lengths */
    bool in_ticks;
    uint32_t workers;
    char out[1u << 17];
    size_t out_n;
} job_t;

static job_t job;

long __wrap_pl_read(void *source, void *to, size_t n);
void __wrap_pl_print(const char *text, size_t n);

long __wrap_pl_read(void *source, void *to, size_t n)
{
    job_t *j = source;
    size_t k = 1 + (size_t)(gmk_rand_next(&j->pieces) >> 40) % 300;

    k = k < n ? k : n;
    k = k < j->n - j->at ? k : j->n - j->at;
    memcpy(to, j->text + j->at, k);
    j->at += k;
    return (long)k;
}

void __wrap_pl_print(const char *text, size_t n)
{
    FUZZ_CHECK(n <= sizeof(job.out) - job.out_n);
    memcpy(job.out + job.out_n, text, n);
    job.out_n += n;
}

/* The reference. ------------------------------------------------------------------------------ */

typedef struct word {
    char letters[PL_MAX_WORD + 1];
    uint32_t count;
} word_t;

static word_t words[MOST_TEXT];
static uint32_t n_words;

static void count_word(const char *w)
{
    uint32_t i = 0;

    while (i < n_words && strcmp(words[i].letters, w) != 0)
        i++;
    if (i == n_words)
        strcpy(words[n_words++].letters, w);
    words[i].count++;
}

static int by_count(const void *a, const void *b)
{
    const word_t *x = a, *y = b;

    return x->count != y->count ? (x->count < y->count ? 1 : -1) : strcmp(x->letters, y->letters);
}

static void count_all(const uint8_t *p, size_t n)
{
    char w[PL_MAX_WORD + 1];
    uint32_t len = 0;

    for (uint32_t i = 0; i < n_words; i++)
        words[i].count = 0;
    n_words = 0;
    for (size_t i = 0; i <= n; i++) {
        char c = i < n ? (char)(p[i] | 0x20) : ' ';

        if (i < n && p[i] < 0x80 && c >= 'a' && c <= 'z') {
            if (len < PL_MAX_WORD)
                w[len++] = c;
        } else if (len != 0) {
            w[len] = '\0';
            len = 0;
            count_word(w);
        }
    }
    qsort(words, n_words, sizeof(words[0]), by_count);
}

static void count_words(void *arg)
{
    static const pl_tape_t no_tape = {.arg = NULL};
    static pl_pipeline_t p;
    pl_options_t o = {.n_workers = job.workers, .table = 8192, .all = true};
    size_t at = 0;

    o.tape = job.in_ticks ? &no_tape : NULL;
    FUZZ_CHECK(pl_run(&p, &o, arg));
    for (uint32_t i = 0; i < n_words; i++) {
        char line[PL_MAX_WORD + 32];
        int n = snprintf(line, sizeof(line), "%u %s\n", words[i].count, words[i].letters);

        FUZZ_CHECK((size_t)n <= job.out_n - at && memcmp(job.out + at, line, (size_t)n) == 0);
        at += (size_t)n;
    }
    FUZZ_CHECK(at == job.out_n);
}

static void fuzz_text(bytes_t *b)
{
    gmk_sim_cfg_t cfg = {.max_switches = 30000000, .run_length = 200};
    uint8_t how = take8(b);

    cfg.seed = take8(b);
    job.pieces = 1 + cfg.seed;
    job.in_ticks = how & 1;
    job.workers = 1 + (how >> 1 & 3);
    job.text = b->p + b->at;
    job.n = b->n - b->at < MOST_TEXT ? b->n - b->at : MOST_TEXT;
    job.at = job.out_n = 0;
    count_all(job.text, job.n);
    gmk_sim_run(&cfg, count_words, &job);
}

/* Options: words of the input, parted by zero bytes. What is accepted is in its range. */
static void fuzz_options(bytes_t *b)
{
    args_t x = {.o = {.n_workers = 1, .top = 10, .table = PL_DEFAULT_TABLE}, .file = "f"};
    static const char *const known[] = {"-w",       "-n",       "-t", "--all",
                                        "--record", "--replay", "--", "-h"};
    char *argv[18] = {NULL};
    int argc = 0, rc;

    argv[argc++] = strdup("pipeline");
    while (more(b) && argc < 17) {
        uint8_t how = take8(b);
        size_t len = how & 15, n = 0;
        char *a = calloc(1, 17);

        FUZZ_CHECK(a != NULL);
        if (how & 128)
            strcpy(a, known[how & 7]);
        for (; (how & 128) == 0 && n < len && more(b); n++)
            a[n] = (char)take8(b);
        argv[argc++] = a;
    }
    rc = parse(argc, argv, &x);
    FUZZ_CHECK(rc >= 0 && rc <= 2);
    FUZZ_CHECK(x.o.n_workers >= 1 && x.o.n_workers <= GMK_MAX_WORKERS);
    FUZZ_CHECK(x.o.table >= PL_MIN_TABLE && x.o.table <= PL_MAX_TABLE);
    FUZZ_CHECK(rc != 0 || x.file != NULL);
    FUZZ_CHECK(rc != 0 || x.record == NULL || x.replay == NULL);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    bytes_t b = {data, n, 0};

    if (take8(&b) & 1)
        fuzz_text(&b);
    else
        fuzz_options(&b);
    return 0;
}

/* SPDX-License-Identifier: MIT
 * The pipeline example: counts the words of a text on all workers.
 * ingest (serial) cuts the text into chunks, transform (parallel) counts the words of
 * one chunk, store (serial) adds the counts up. See pipeline.c for how they are joined.
 * A word is a longest run of the letters A-Z and a-z, taken in lower case; what follows
 * its first PL_MAX_WORD letters is dropped. Under LC_ALL=C this computes the same:
 *   tr -cs A-Za-z '\n' <FILE | tr A-Z a-z | grep . | cut -b 1-1024 |
 *       sort | uniq -c | sort -k1,1nr -k2
 * The machine is behind pl_read and pl_print; everything else runs on any port. */
#ifndef PIPELINE_H
#define PIPELINE_H

#include <ggmk/hal.h>
#include <ggmk/sdk.h>

#define PL_ARENA_BYTES ((size_t)64 << 20)
#define PL_MAX_WORD 1024u /* letters of a word that count */
#define PL_DEFAULT_TABLE 131072u
#define PL_MIN_TABLE 16u
#define PL_MAX_TABLE 4194304u

/* What the machine gives. ------------------------------------------------------- */

/* Reads up to n bytes of the text. returns: how many, 0 at its end, negative on error.
 * threads: one at a time, any worker. May block: its worker then does nothing else. */
long pl_read(void *source, void *to, size_t n);

/* Prints bytes of the report. threads: the one that called pl_run. */
void pl_print(const char *text, size_t n);

/* What the pipeline keeps. ------------------------------------------------------ */

/* One word of the table. */
typedef struct pl_word {
    uint64_t count;
    uint32_t hash;
    uint32_t at; /* its letters are text[at .. at + len) */
    uint32_t len;
} pl_word_t;

/* ingest: touched by its serial group alone. */
typedef struct pl_ingest {
    void *source;
    uint32_t credits, chunks; /* channels */
    bool end;                 /* nothing more to read */
    bool skipping;            /* the text goes on inside a word that is long enough */
    long error;               /* of pl_read */
    uint64_t bytes;
    uint32_t carry_len; /* letters at the end of the last chunk: a word may go on */
    uint8_t carry[PL_MAX_WORD];
} pl_ingest_t;

/* transform: nothing but where to send, since many workers run it at once. */
typedef struct pl_transform {
    uint32_t counts; /* channel */
} pl_transform_t;

/* store: touched by its serial group alone. */
typedef struct pl_store {
    uint32_t credits; /* channel */
    uint32_t cap, n;  /* different words: room and present */
    uint32_t mask;    /* of index, open addressing: word number + 1, 0 empty */
    uint32_t *index;
    pl_word_t *words;
    uint8_t *text;
    uint32_t text_used, text_cap;
    uint64_t total; /* words */
    uint64_t other; /* of these, words that found no room in the table */
} pl_store_t;

typedef struct pl_pipeline {
    pl_ingest_t ingest;
    pl_transform_t transform;
    pl_store_t store;
    uint64_t spent_ns;
    char error[128]; /* why pl_run returned false */
} pl_pipeline_t;

typedef struct pl_options {
    uint32_t n_workers;
    uint32_t top;   /* words to print */
    uint32_t table; /* different words to keep */
    bool all;       /* print every word and nothing else */
} pl_options_t;

/* Reads source to its end and reports by pl_print. returns: success; else p->error is
 * set. threads: one. */
bool pl_run(pl_pipeline_t *p, const pl_options_t *o, void *source);

/* The modules (pipeline.c). */
enum { PL_N_MODULES = 3 };
typedef struct pl_modules {
    gmk_module_t module[PL_N_MODULES];
    gmk_module_t *list[PL_N_MODULES];
} pl_modules_t;

#define PL_TYPE_START 1u /* the task that sets the pipeline going */
void pl_modules_init(pl_modules_t *m, pl_pipeline_t *p);
size_t pl_table_bytes(uint32_t table); /* memory that store takes */

/* The report (report.c). */
void pl_sort(pl_store_t *s); /* most frequent first, then by letters */
void pl_report(const pl_pipeline_t *p, const pl_options_t *o, const gmk_kernel_t *k);
void pl_report_audit(const gmk_audit_report_t *a);

#endif

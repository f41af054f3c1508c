/* SPDX-License-Identifier: MIT
 * The pipeline example: counts the words of a text on all workers.
 * ingest (serial) cuts the text into chunks, transform (parallel) counts the words of
 * one chunk, store (serial) adds the counts up. See pipeline.c for how they are joined.
 * A word is a longest run of the letters A-Z and a-z, taken in lower case; what follows
 * its first PL_MAX_WORD letters is dropped. Under LC_ALL=C this computes the same:
 *   tr -cs A-Za-z '\n' <FILE | tr A-Z a-z | grep . | cut -b 1-1024 |
 *       sort | uniq -c | sort -k1,1nr -k2
 * The machine is behind pl_read and pl_print; everything else runs on any port.
 * With a tape the same words are counted in deterministic ticks: see ticks.c. */
#ifndef PIPELINE_H
#define PIPELINE_H

#include <ggmk/determinism.h>
#include <ggmk/hal.h>
#include <ggmk/sdk.h>

#define PL_ARENA_BYTES ((size_t)64 << 20)
#define PL_MAX_WORD 1024u /* letters of a word that count */
#define PL_DEFAULT_TABLE 131072u
#define PL_MIN_TABLE 16u
#define PL_MAX_TABLE 4194304u

#define PL_BLOCK_BYTES 16384u
#define PL_CHUNK_BYTES (PL_BLOCK_BYTES - (uint32_t)sizeof(gmk_payload_hdr_t)) /* fills a block */
#define PL_INDEX_BYTES PL_BLOCK_BYTES

/* Counts of a chunk at worst: different words of three letters, each of which takes 4
 * bytes of the chunk and 7 of the counts; shorter ones take relatively more, but there
 * are only 26 + 676 of them. One more entry, of 4 bytes and its letters, stands while a
 * word is read. */
#define PL_COUNTS_BYTES (PL_CHUNK_BYTES / 4 * 7 + 26 * 2 + 676 + 2 * 4 + PL_MAX_WORD)

/* Each bin of blocks has a twelfth of the arena's share, of which free objects in the
 * workers' caches may keep half. */
#define PL_BIN_BYTES (PL_ARENA_BYTES / 100 * GMK_ARENA_BLOCK_PCT / GMK_BLOCK_BINS / 2)

/* Types of messages. */
enum {
    PL_TYPE_START = 1, /* the task that sets the pipeline going */
    PL_TYPE_CREDIT,
    PL_TYPE_CHUNK,  /* meta0: bytes */
    PL_TYPE_COUNTS, /* meta0: bytes, meta1: words */
    PL_TYPE_TEXT    /* in ticks: what is read; without payload: the end */
};

/* What the machine gives. ------------------------------------------------------- */

/* Reads up to n bytes of the text. returns: how many, 0 at its end, negative on error.
 * threads: one at a time, any worker. May block: its worker then does nothing else. */
long pl_read(void *source, void *to, size_t n);

/* Prints bytes of the report. threads: the one that called pl_run. */
void pl_print(const char *text, size_t n);

/* The program (main.c). returns: its exit status. */
int pl_main(int argc, char **argv);

/* What the pipeline keeps. ------------------------------------------------------ */

#define PL_LANES 4u /* transform modules, in ticks */

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
    uint32_t lanes[PL_LANES]; /* channels, in ticks */
    uint64_t n_chunks;        /* sent, in ticks */
    bool end;                 /* nothing more to read */
    bool skipping;            /* the text goes on inside a word that is long enough */
    long error;               /* of pl_read */
    uint64_t bytes;
    uint32_t carry_len; /* letters at the end of the last chunk: a word may go on */
    uint8_t carry[PL_MAX_WORD];
} pl_ingest_t;

/* transform: nothing but where to send, since many workers run it at once; in ticks a
 * lane. */
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
    uint64_t total;    /* words */
    uint64_t other;    /* of these, words that found no room in the table */
    uint64_t n_counts; /* taken, in ticks */
} pl_store_t;

typedef struct pl_pipeline {
    pl_ingest_t ingest;
    pl_transform_t transform, lane[PL_LANES];
    pl_store_t store;
    uint64_t spent_ns;
    int rc;                     /* in ticks: what ended them */
    uint64_t n_inputs;          /* in ticks: messages from outside */
    uint64_t hash;              /* in ticks: of the trace */
    gmk_replay_report_t replay; /* of a tape that was read */
    char error[128];            /* why pl_run returned false */
} pl_pipeline_t;

/* A recording: to be written, to be read, or none. */
typedef struct pl_tape {
    gmk_record_write_fn write; /* records what comes from outside */
    gmk_record_read_fn read;   /* replays it; the source is not read */
    void *arg;
} pl_tape_t;

typedef struct pl_options {
    uint32_t n_workers;
    uint32_t top;          /* words to print */
    uint32_t table;        /* different words to keep */
    bool all;              /* print every word and nothing else */
    const pl_tape_t *tape; /* not null: in deterministic ticks */
} pl_options_t;

/* Reads source to its end and reports by pl_print. returns: success; else p->error is
 * set. threads: one. */
bool pl_run(pl_pipeline_t *p, const pl_options_t *o, void *source);

/* The modules (pipeline.c). */
typedef struct pl_modules {
    gmk_module_t module[2 + PL_LANES];
    gmk_module_t *list[2 + PL_LANES];
    uint32_t n;
} pl_modules_t;

void pl_modules_init(pl_modules_t *m, pl_pipeline_t *p);
size_t pl_table_bytes(uint32_t table); /* memory that store takes */

/* Finds the channel of that name. returns: GMK_OK, or what gmk_chan_find refused with. */
int pl_channel(gmk_ctx_t *ctx, const char *name, uint32_t *id);

/* Of n bytes at p, which begin with what in->carry held: takes off what belongs to the
 * next chunk. returns: how many bytes of whole words are left. */
uint32_t pl_whole_words(pl_ingest_t *in, uint8_t *p, uint32_t n);

/* Counts the words of chunk *t. index: PL_INDEX_BYTES; out: PL_COUNTS_BYTES. *words goes
 * up by their number. returns: the bytes of out that hold the counts. */
uint32_t pl_count_chunk(const gmk_task_t *t, uint16_t *index, uint8_t *out, uint64_t *words);

int pl_store_init(gmk_ctx_t *ctx); /* the table */
void pl_add_counts(pl_store_t *s, const gmk_task_t *t);

/* The same in deterministic ticks (ticks.c). pl_tick_drive brings the text, or what the
 * tape holds; it sets p->rc, n_inputs, hash and replay. returns: success. */
void pl_tick_modules_init(pl_modules_t *m, pl_pipeline_t *p);
bool pl_tick_drive(pl_pipeline_t *p, const pl_tape_t *tape, gmk_kernel_t *k);

/* The report (report.c). */
void pl_sort(pl_store_t *s); /* most frequent first, then by letters */
void pl_report(const pl_pipeline_t *p, const pl_options_t *o, const gmk_kernel_t *k);
void pl_report_audit(const gmk_audit_report_t *a);

/* Puts a number, or where that is null a text, at the end of p->error. */
void pl_fail(pl_pipeline_t *p, const char *text, const uint64_t *number);

#endif

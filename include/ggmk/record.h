/* SPDX-License-Identifier: MIT
 * Recordings of external input to deterministic work: the byte format, a writer and a
 * reader that takes bytes in any pieces.
 * Floor: F2. Freestanding; no memory of its own.
 * Format: all numbers little-endian. A header of 40 bytes: magic 8, 0x01020304 u32,
 * version u16, header bytes u16, last tick before it u64, next seq u64, zero u32, check
 * u32. Then records: size u32, kind u8, name bytes u8, zero u16, tick u64, and
 *   INPUT  task 48, payload, name, zeros to a multiple of 4, check u32
 *   TICK   trace hash of all before the tick u64, check u32
 *   END    final trace hash u64, inputs u64, check u32; nothing follows
 * check is FNV-1a over all bytes before it, from the header's or record's first on: each
 * step is a bijection, so one altered byte never passes.
 * Source: SPEC DET-5, DET-7, DET-9; ARCHITECTURE R15; G. Fowler et al., FNV-1a. */
#ifndef GGMK_RECORD_H
#define GGMK_RECORD_H

#include "ggmk/alloc.h"
#include "ggmk/types.h"

#define GMK_RECORD_VERSION 1u
#define GMK_RECORD_HEADER_BYTES 40u
#define GMK_RECORD_MIN_BYTES 128u /* of a reader's buffer: every record without payload */
/* Ticks, and the number in the header, are below it: whoever goes on from there can count as
 * far again. */
#define GMK_RECORD_LIMIT ((uint64_t)1 << 53)
#define GMK_RECORD_MAX_BYTES (64u + GMK_PAYLOAD_MAX + GMK_MAX_CHAN_NAME + 8u) /* of any record */

enum gmk_record_kind {
    GMK_RECORD_INPUT = 1, /* a task from outside, and the tick it lands in */
    GMK_RECORD_TICK = 2,  /* a tick begins: all that lands in it stands before */
    GMK_RECORD_END = 3
};

enum gmk_record_fault {
#define X(name, number, text) name = number,
#include "ggmk/record_faults.def"
#undef X
    GMK_RECORD_FAULTS
};

/* Takes n bytes. returns: 0: all of them; else: the recording is over. */
typedef int (*gmk_record_write_fn)(void *arg, const void *bytes, size_t n);

/* A record, read. What its kind has no use for is zero. */
typedef struct gmk_record {
    gmk_task_t task;     /* INPUT: channel, seq, payload_ptr, yield_count are zero */
    uint64_t tick;       /* INPUT: lands in; TICK: begins; END: the last */
    uint64_t offset;     /* of its first byte in the stream */
    uint64_t hash;       /* TICK, END */
    uint64_t n_inputs;   /* END */
    const void *payload; /* task.payload_len bytes in the reader's buffer, or null */
    uint32_t kind;       /* enum gmk_record_kind */
    char channel[GMK_MAX_CHAN_NAME]; /* INPUT: its name; "" for a direct task */
} gmk_record_t;

enum gmk_record_state { GMK_RECORD_IDLE, GMK_RECORD_ON, GMK_RECORD_ENDED, GMK_RECORD_FAILED };

/* A recording being written. Zeroed, it is idle. Fields are for reading. */
typedef struct gmk_record_writer {
    gmk_record_write_fn fn;
    void *arg;
    uint32_t state; /* enum gmk_record_state; FAILED stays until the next begin */
    uint32_t fault; /* enum gmk_record_fault: why it failed */
    uint32_t check; /* private */
    uint64_t bytes; /* taken by fn: where a failure was */
    uint64_t tick;  /* the last begun */
    uint64_t n_inputs;
    uint64_t lost; /* records refused since it failed, that one included */
} gmk_record_writer_t;

/* A recording being read. Fields are for reading. */
typedef struct gmk_record_reader {
    uint8_t *buf; /* private, to need */
    uint32_t cap, have, need;
    uint32_t stage;
    uint32_t fault;       /* enum gmk_record_fault */
    uint64_t fault_at;    /* offset in the stream of the field that is wrong */
    uint64_t offset;      /* of buf's first byte */
    uint64_t tick;        /* the last begun */
    uint64_t n_inputs;    /* so far */
    uint64_t start_tick;  /* of the header: the last tick before the recording */
    uint64_t start_seq;   /* of the header */
} gmk_record_reader_t;

/* What gmk_record_feed returns beside codes. */
#define GMK_RECORD_MORE 0
#define GMK_RECORD_READY 1

GMK_EXTERN_C_BEGIN

/* Begins a recording: writes the header. tick: the last one begun, seq: the next one to
 * be given. returns: GMK_OK, GMK_E_INVALID (null; a number not below GMK_RECORD_LIMIT),
 * GMK_E_BUSY (one is on), GMK_E_RECORD (fn refused). threads: w has one user at a time, in
 * all calls. */
GMK_NODISCARD int gmk_record_begin(gmk_record_writer_t *w, gmk_record_write_fn fn, void *arg,
                                   uint64_t tick, uint64_t seq);

/* Writes an input: task *t that lands at `tick` on the channel of that name, direct if
 * null or "". payload: t->payload_len bytes, null if that is 0. Runtime fields and flags
 * of *t are left out. An input that no record can hold ends the recording too: one with
 * a hole is worth nothing.
 * returns: GMK_OK; GMK_E_NOT_FOUND (none is on); GMK_E_RECORD: w->fault says why; the
 * recording has failed, now or before. cost: up to four calls of fn. */
GMK_NODISCARD int gmk_record_input(gmk_record_writer_t *w, uint64_t tick, const char *channel,
                                   const gmk_task_t *t, const void *payload);

/* Writes that a tick begins; hash: of all before it. Ticks rise. returns: as above. */
GMK_NODISCARD int gmk_record_tick(gmk_record_writer_t *w, uint64_t tick, uint64_t hash);

/* Writes the end. returns: as above. Without it a recording is truncated. */
GMK_NODISCARD int gmk_record_end(gmk_record_writer_t *w, uint64_t hash);

/* Prepares r to read a stream from its first byte. buf: aligned to 16, kept by r;
 * GMK_RECORD_MAX_BYTES hold any record, fewer those without long payloads.
 * returns: GMK_OK, GMK_E_INVALID (null, misaligned, cap < GMK_RECORD_MIN_BYTES). */
GMK_NODISCARD int gmk_record_open(gmk_record_reader_t *r, void *buf, uint32_t cap);

/* Takes bytes up to the end of the next record. *used: how many of n; call again with
 * the rest.
 * returns: GMK_RECORD_READY: *out is a record, its payload valid until the next call;
 * GMK_RECORD_MORE: all were taken, none is whole; GMK_E_RECORD: r->fault and r->fault_at
 * say what and where, now or before; GMK_E_INVALID (null).
 * cost: a copy of each byte and a multiplication. Any bytes are safe. */
GMK_NODISCARD int gmk_record_feed(gmk_record_reader_t *r, const void *bytes, size_t n,
                                  size_t *used, gmk_record_t *out);

/* The stream is at its end. returns: GMK_OK: the end record was its last;
 * GMK_E_RECORD: as in feed; GMK_E_INVALID. */
GMK_NODISCARD int gmk_record_finish(gmk_record_reader_t *r);

/* The text of a fault, "unknown fault" for others. Never null; static storage. */
const char *gmk_record_fault_text(uint32_t fault);

GMK_EXTERN_C_END

#endif

/* SPDX-License-Identifier: MIT
 * The serial monitor: module `cli`, the terminal, and module `monitor`, which carries the
 * commands out. Each line becomes a task on `cli.cmd`, its answer comes in pieces on
 * `cli.resp`; any module may do the same with a tag of its own (MON_TYPE_COMMAND,
 * MON_TYPE_ANSWER). What it knows of the machine it asks through mon_ops_t.
 * Floor: modules. Nothing needs it to boot (V-57); it never polls: keys come as messages.
 * Threads: all state belongs to one serial group or the other; *mon outlives the kernel.
 * Source: SPEC BM-38, STD-26, V-57, V-76. */
#ifndef MODULES_MONITOR_H
#define MODULES_MONITOR_H

#include "ggmk/ggmk.h"
#include "ggmk/hal.h"

#define MON_PROMPT "ggmk> "
#define MON_LINE 120u  /* bytes of a line at most */
#define MON_AHEAD 256u /* bytes typed while a command is under way */
#define MON_SECTOR 512u
#define MON_MAX_SECTORS 4u
#define MON_TRACE 256u /* events kept to be shown */
#define MON_N_MODULES 2u

/* Message types. */
enum {
    MON_TYPE_KEYS = 208,    /* cli.key: mon_type makes them */
    MON_TYPE_COMMAND = 209, /* cli.cmd: payload: the line; meta0: tag, the issuer's choice */
    MON_TYPE_ANSWER = 210,  /* cli.resp: payload: text or none; meta0: tag; meta1: MON_LAST... */
    MON_TYPE_DONE = 211     /* cli.done: mon_io_done makes them */
};

/* meta1 of an answer. */
#define MON_LAST 0x1u   /* it is whole */
#define MON_FAILED 0x2u /* the command was refused or went wrong, the text says why */
#define MON_ENDS 0x4u   /* the machine goes down: no more is to be said */

/* Tags with this in their upper half are the terminal's. */
#define MON_TAG 0x636c6900ull

/* What the machine shows as lines: the first is a head. */
enum mon_list {
    MON_CPUS,
    MON_THREADS,
    MON_MEMORY,
    MON_HEAP,
    MON_MAP,
    MON_PCI,
    MON_DISKS,
    MON_LISTS
};

enum mon_end { MON_HALT, MON_REBOOT, MON_PANIC };

/* A transfer that the machine carries out beside the monitor. */
typedef struct mon_io {
    char disk[16]; /* "": the first */
    bool write;    /* one sector, and flushed */
    uint64_t sector;
    uint32_t n;
    uint8_t *buf;
    const char *wrong; /* set by the machine: null: done; else what went wrong */
} mon_io_t;

/* The machine. All but write and end may be null where it has no such thing. */
typedef struct mon_ops {
    /* Shows text on the terminal. threads: any worker. */
    void (*write)(void *arg, const char *text, size_t n);
    /* Line i of a list, without its end. returns: its bytes; 0: there is none. */
    size_t (*line)(void *arg, enum mon_list list, uint32_t i, char *to, size_t bytes);
    /* Sectors of a disk, "": the first. returns: 0: there is no such disk. */
    uint64_t (*sectors)(void *arg, const char *disk);
    /* Starts a transfer; somebody calls mon_io_done when it has ended. Never waits. */
    void (*io)(void *arg, mon_io_t *io);
    /* Asks for the end, which comes from outside the handlers; MON_PANIC does not return. */
    void (*end)(void *arg, enum mon_end how);
    bool may_write; /* blkwrite is allowed */
} mon_ops_t;

/* Private to console.c. */
typedef struct mon_console {
    char line[MON_LINE];
    uint8_t ahead[MON_AHEAD];
    uint32_t n, first, n_ahead;
    uint32_t escape; /* 0 none, 1 after ESC, 2 within a sequence */
    uint32_t cmd;    /* the channel */
    uint64_t tag;    /* of the last command */
    bool started, busy, too_long, after_cr;
} mon_console_t;

/* Private to exec.c. */
typedef struct mon_exec {
    uint32_t resp; /* the channel */
    uint64_t tag;  /* of the transfer under way */
    bool pending;
    mon_io_t io;
    uint8_t *buf;
    uint64_t n_trace; /* events read so far */
    gmk_trace_ev_t trace[MON_TRACE];
} mon_exec_t;

typedef struct mon {
    const mon_ops_t *ops;
    void *arg;
    mon_console_t console;
    mon_exec_t exec;
    GMK_ALIGNAS(64) uint8_t buf[MON_MAX_SECTORS * MON_SECTOR];
    gmk_module_t modules[MON_N_MODULES];
} mon_t;

/* Makes the modules of a monitor: mods[0..1] for gmk_boot. ownership: *m, *ops stay. */
void mon_setup(mon_t *m, const mon_ops_t *ops, void *arg, gmk_module_t **mods);

/* Types n bytes (0..15; none: the first prompt) into channel chan, which is `cli.key`.
 * returns: as gmk_chan_emit; GMK_CHAN_FULL: later. threads: ctx's own. */
GMK_NODISCARD int mon_type(gmk_ctx_t *ctx, uint32_t chan, const void *bytes, uint32_t n);
#define MON_TYPE_BYTES 15u

/* The transfer has ended; chan is `cli.done`. returns, threads: as mon_type. */
GMK_NODISCARD int mon_io_done(gmk_ctx_t *ctx, uint32_t chan);

#endif

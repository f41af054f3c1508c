/* SPDX-License-Identifier: MIT
 * The pipeline as a program: options, the file, the recording, standard output.
 * usage: pipeline [-w WORKERS] [-n TOP] [-t TABLE] [--all] [--record TAPE] [FILE]
 *        pipeline [-w WORKERS] [-n TOP] [-t TABLE] [--all] --replay TAPE
 * It runs on the simulated machine too: test/pipeline_sim.c. */
#define _POSIX_C_SOURCE 200809L
#include "pipeline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_FILE "/usr/share/common-licenses/GPL-3"

static const char usage[] =
    "usage: pipeline [-w WORKERS] [-n TOP] [-t TABLE] [--all] [--record TAPE] [FILE]\n"
    "       pipeline [-w WORKERS] [-n TOP] [-t TABLE] [--all] --replay TAPE\n"
    "Counts the words of FILE (" DEFAULT_FILE ").\n"
    "  -w WORKERS     1 to 32 (as many as there are processors)\n"
    "  -n TOP         how many of the most frequent words to print (10)\n"
    "  -t TABLE       how many different words to keep, 16 to 4194304 (131072)\n"
    "  --all          print every word as `count word` and nothing else\n"
    "  --record TAPE  run in deterministic ticks and record all input in TAPE\n"
    "  --replay TAPE  run what TAPE holds again, on any number of workers, without FILE:\n"
    "                 the same words and the same trace hash (give the same -t)\n"
    "status: 0 done, 1 wrong usage or a file that cannot be read or written,\n"
    "        2 TAPE is damaged or no recording, 3 the replay did other things than recorded\n";

enum { FAILED = 1, BAD_TAPE = 2, DIVERGED = 3 };

typedef struct args {
    pl_options_t o;
    const char *file, *record, *replay;
} args_t;

typedef struct source {
    int fd;
    int error;
} source_t;

long pl_read(void *source, void *to, size_t n)
{
    source_t *s = source;
    ssize_t got;

    do
        got = read(s->fd, to, n);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        s->error = errno;
    return got;
}

void pl_print(const char *text, size_t n) { fwrite(text, 1, n, stdout); }

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "pipeline: %s: %s\n", what, why);
    return 1;
}

static bool number(const char *text, uint32_t low, uint32_t high, uint32_t *out)
{
    char *end;
    unsigned long long v;

    if (text == NULL || *text < '0' || *text > '9')
        return false;
    v = strtoull(text, &end, 10);
    if (*end != '\0' || v < low || v > high)
        return false;
    *out = (uint32_t)v;
    return true;
}

static uint32_t default_workers(void)
{
    uint32_t n = gmk_hal_cpu_count();

    return n < 1 ? 1 : n > GMK_MAX_WORKERS ? GMK_MAX_WORKERS : n;
}

/* An option and the value that follows it. returns: it is right. */
static bool option(args_t *x, const char *a, const char *value)
{
    if (strcmp(a, "-w") == 0)
        return number(value, 1, GMK_MAX_WORKERS, &x->o.n_workers);
    if (strcmp(a, "-n") == 0)
        return number(value, 0, UINT32_MAX, &x->o.top);
    if (strcmp(a, "-t") == 0)
        return number(value, PL_MIN_TABLE, PL_MAX_TABLE, &x->o.table);
    if (strcmp(a, "--record") == 0)
        x->record = value;
    else if (strcmp(a, "--replay") == 0)
        x->replay = value;
    else
        return false;
    return value != NULL;
}

/* returns: 0 go on, 1 wrong usage, 2 help was asked for. */
static int parse(int argc, char **argv, args_t *x)
{
    bool only_files = false;
    int files = 0;

    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];

        if (only_files || a[0] != '-') {
            x->file = a;
            files++;
        } else if (strcmp(a, "--all") == 0) {
            x->o.all = true;
        } else if (strcmp(a, "-h") == 0 || strcmp(a, "--help") == 0) {
            return 2;
        } else if (strcmp(a, "--") == 0) {
            only_files = true;
        } else if (!option(x, a, i + 1 < argc ? argv[++i] : NULL)) {
            return 1;
        }
    }
    return files <= (x->replay != NULL ? 0 : 1) && (x->record == NULL || x->replay == NULL) ? 0 : 1;
}

static int open_file(const char *file, source_t *s)
{
    struct stat st;

    s->fd = open(file, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0)
        return complain(file, strerror(errno));
    if (fstat(s->fd, &st) != 0 || S_ISDIR(st.st_mode)) {
        close(s->fd);
        s->fd = -1;
        return complain(file, strerror(EISDIR));
    }
    return 0;
}

/* The recording. ------------------------------------------------------------------- */

static int write_tape(void *arg, const void *bytes, size_t n)
{
    source_t *s = arg;
    const char *p = bytes;

    while (n != 0) {
        ssize_t done = write(s->fd, p, n);

        if (done < 0 && errno != EINTR) {
            s->error = errno;
            return -1;
        }
        p += done > 0 ? done : 0;
        n -= done > 0 ? (size_t)done : 0;
    }
    return 0;
}

static int64_t read_tape(void *arg, void *bytes, size_t n) { return pl_read(arg, bytes, n); }

/* Opens the recording to write, unless it is the text itself. */
static int create_tape(const char *name, const source_t *text, source_t *tape)
{
    struct stat a, b;

    if (stat(name, &a) == 0 && fstat(text->fd, &b) == 0 && a.st_dev == b.st_dev &&
        a.st_ino == b.st_ino)
        return complain(name, "is the text itself");
    tape->fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return tape->fd < 0 ? complain(name, strerror(errno)) : 0;
}

/* Says why there is no report. returns: the status. */
static int say_why(const pl_pipeline_t *p, const args_t *x, int text_error, int tape_error)
{
    const char *name = x->replay != NULL ? x->replay : x->file;
    int error = text_error != 0 ? text_error : tape_error;

    if (tape_error != 0 && x->record != NULL)
        name = x->record;
    complain(name, error != 0 ? strerror(error) : p->error);
    if (x->replay == NULL || error != 0)
        return FAILED;
    return p->rc == GMK_E_DIVERGED ? DIVERGED : p->rc == GMK_E_RECORD ? BAD_TAPE : FAILED;
}

/* Runs it with all files open. returns: the status. */
static int run(args_t *x, source_t *text, source_t *tape)
{
    pl_tape_t how = {.write = x->record != NULL ? write_tape : NULL,
                     .read = x->replay != NULL ? read_tape : NULL,
                     .arg = tape};
    pl_pipeline_t p;
    struct rusage use;

    if (how.write != NULL || how.read != NULL)
        x->o.tape = &how;
    if (!pl_run(&p, &x->o, text))
        return say_why(&p, x, text->error, tape->error);
    if (x->o.all && p.store.other != 0)
        fprintf(stderr, "pipeline: %llu words found no room in the table: raise -t\n",
                (unsigned long long)p.store.other);
    if (!x->o.all && getrusage(RUSAGE_SELF, &use) == 0)
        printf("peak memory %ld KiB\n", use.ru_maxrss);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : complain("standard output", "cannot write");
}

int pl_main(int argc, char **argv)
{
    args_t x = {.o = {.n_workers = default_workers(), .top = 10, .table = PL_DEFAULT_TABLE},
                .file = DEFAULT_FILE};
    source_t text = {.fd = -1}, tape = {.fd = -1};
    int rc = parse(argc, argv, &x);

    if (rc != 0) {
        fputs(usage, rc == 2 ? stdout : stderr);
        return rc == 2 ? 0 : FAILED;
    }
    if (x.replay != NULL)
        rc = open_file(x.replay, &tape);
    else
        rc = open_file(x.file, &text);
    if (rc == 0 && x.record != NULL)
        rc = create_tape(x.record, &text, &tape);
    if (rc == 0)
        rc = run(&x, &text, &tape);
    if (tape.fd >= 0 && close(tape.fd) != 0 && rc == 0)
        rc = complain(x.record, strerror(errno));
    if (text.fd >= 0)
        close(text.fd);
    return rc;
}

/* SPDX-License-Identifier: MIT
 * The pipeline on linux: options, the file, standard output.
 * usage: pipeline [-w WORKERS] [-n TOP] [-t TABLE] [--all] [FILE] */
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
    "usage: pipeline [-w WORKERS] [-n TOP] [-t TABLE] [--all] [FILE]\n"
    "Counts the words of FILE (" DEFAULT_FILE ").\n"
    "  -w WORKERS  1 to 32 (as many as there are processors)\n"
    "  -n TOP      how many of the most frequent words to print (10)\n"
    "  -t TABLE    how many different words to keep, 16 to 4194304 (131072)\n"
    "  --all       print every word as `count word` and nothing else\n";

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

/* returns: 0 go on, 1 wrong usage, 2 help was asked for. */
static int parse(int argc, char **argv, pl_options_t *o, const char **file)
{
    bool only_files = false;
    int files = 0;

    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool ok = true;

        if (only_files || a[0] != '-') {
            *file = a;
            ok = ++files == 1;
        } else if (strcmp(a, "-w") == 0) {
            ok = number(value, 1, GMK_MAX_WORKERS, &o->n_workers);
            i++;
        } else if (strcmp(a, "-n") == 0) {
            ok = number(value, 0, UINT32_MAX, &o->top);
            i++;
        } else if (strcmp(a, "-t") == 0) {
            ok = number(value, PL_MIN_TABLE, PL_MAX_TABLE, &o->table);
            i++;
        } else if (strcmp(a, "--all") == 0) {
            o->all = true;
        } else if (strcmp(a, "-h") == 0 || strcmp(a, "--help") == 0) {
            return 2;
        } else {
            only_files = strcmp(a, "--") == 0;
            ok = only_files;
        }
        if (!ok)
            return 1;
    }
    return 0;
}

static int open_file(const char *file, source_t *s)
{
    struct stat st;

    s->fd = open(file, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0)
        return complain(file, strerror(errno));
    if (fstat(s->fd, &st) != 0 || S_ISDIR(st.st_mode)) {
        close(s->fd);
        return complain(file, strerror(EISDIR));
    }
    return 0;
}

int main(int argc, char **argv)
{
    pl_options_t o = {.n_workers = default_workers(), .top = 10, .table = PL_DEFAULT_TABLE};
    const char *file = DEFAULT_FILE;
    source_t source = {.fd = -1};
    pl_pipeline_t p;
    struct rusage use;
    bool ok;
    int rc = parse(argc, argv, &o, &file);

    if (rc != 0) {
        fputs(usage, rc == 2 ? stdout : stderr);
        return rc == 2 ? 0 : 1;
    }
    if (open_file(file, &source) != 0)
        return 1;
    ok = pl_run(&p, &o, &source);
    close(source.fd);
    if (!ok)
        return complain(file, source.error != 0 ? strerror(source.error) : p.error);
    if (o.all && p.store.other != 0)
        fprintf(stderr, "pipeline: %llu words found no room in the table: raise -t\n",
                (unsigned long long)p.store.other);
    if (!o.all && getrusage(RUSAGE_SELF, &use) == 0)
        printf("peak memory %ld KiB\n", use.ru_maxrss);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : complain("standard output", "cannot write");
}

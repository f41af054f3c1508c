/* SPDX-License-Identifier: MIT
 * The options of a hosted test program: [--seed N] [FILTER], nothing else.
 * Floor: tests. Source: SPEC S.5. */
#ifndef GGMK_TEST_ARGS_H
#define GGMK_TEST_ARGS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A number, decimal or by its prefix, and nothing after it. returns: whether it is one. */
static inline bool test_args_u64(const char *text, uint64_t *value)
{
    char *end;

    if (text == NULL || *text < '0' || *text > '9')
        return false;
    errno = 0;
    *value = strtoull(text, &end, 0);
    return *end == '\0' && errno == 0;
}

/* returns: false, with the usage printed, for what it does not know. */
static inline bool test_args(char **argv, const char **filter, uint64_t *seed)
{
    bool ok = true;

    for (char **a = argv + 1; ok && *a != NULL; a++) {
        if (strcmp(*a, "--seed") == 0)
            ok = test_args_u64(*++a, seed);
        else if (**a != '-' && *filter == NULL)
            *filter = *a;
        else
            ok = false;
        if (!ok)
            fprintf(stderr, "usage: %s [--seed N] [FILTER]\n", argv[0]);
    }
    return ok;
}

#endif

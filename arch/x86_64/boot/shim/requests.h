/* SPDX-License-Identifier: MIT
 * The kernel's requests: found in its image, each once.
 * Floor: arch, plain C. Invariant: a request that is not null lies whole in the image.
 * Source: limine.h; BOOT section 1. */
#ifndef X86_64_SHIM_REQUESTS_H
#define X86_64_SHIM_REQUESTS_H

#include "elf.h"

#include "../../limine/limine.h"

enum shim_feature {
#define SHIM_FEATURE(id, type) SHIM_F_##id,
#include "features.def"
#undef SHIM_FEATURE
    SHIM_N_FEATURES
};

typedef struct shim_requests {
    uint64_t *base_tag;
    limine_request_t *at[SHIM_N_FEATURES];
} shim_requests_t;

/* Looks in the bytes of the image that came from the file, between the marks where there are
 * some. returns: 0, SHIM_E_REVISION, SHIM_E_TWICE. */
int shim_requests_find(shim_requests_t *r, const shim_elf_t *e, uint8_t *image);

#endif

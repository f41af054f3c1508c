/* SPDX-License-Identifier: MIT
 * Boot allocator. See boot_alloc.h. Floor: port. */
#include "boot_alloc.h"

#include "machine.h"
#include "memops.h"
#include "pmm.h"

#define PIECE 0x10000ull /* what is taken from the frames at once */

static struct {
    mem_lock_t lock;
    char *at; /* the current piece: the next free byte, */
    char *end;
    size_t used; /* bytes of pieces, less what is left of the current one */
} boot;

void boot_alloc_init(void)
{
    boot.at = boot.end = NULL;
    boot.used = 0;
}

/* A piece that holds at least bytes. pre: the lock is held. */
static bool next_piece(size_t bytes)
{
    size_t size = gmk_align_up(bytes, MEM_PAGE) > PIECE ? gmk_align_up(bytes, MEM_PAGE) : PIECE;
    size_t taken = boot.used + (size_t)(boot.end - boot.at);
    uint64_t phys;

    if (size > BOOT_ALLOC_BYTES - taken)
        return false;
    phys = pmm_alloc_pages(size / MEM_PAGE);
    if (phys == 0)
        return false;
    boot.used = taken; /* the rest of the old piece is lost */
    boot.at = phys_to_virt(phys);
    boot.end = boot.at + size;
    return true;
}

static char *bump(size_t bytes, size_t align)
{
    char *p = (char *)gmk_align_up((uintptr_t)boot.at, align);

    if (boot.at == NULL || p > boot.end || bytes > (size_t)(boot.end - p)) {
        if (!next_piece(bytes))
            return NULL;
        p = boot.at; /* pieces begin at a page */
    }
    boot.used += (size_t)(p - boot.at) + bytes;
    boot.at = p + bytes;
    return p;
}

void *boot_aligned_alloc(size_t bytes, size_t align)
{
    uint64_t flags;
    void *p;

    if (bytes == 0 || bytes > BOOT_ALLOC_BYTES || align == 0 || align > MEM_PAGE ||
        (align & (align - 1)) != 0)
        return NULL;
    flags = mem_lock(&boot.lock);
    p = bump(bytes, align);
    mem_unlock(&boot.lock, flags);
    return p == NULL ? NULL : memset(p, 0, bytes);
}

void *boot_calloc(size_t n, size_t bytes)
{
    size_t all;

    if (__builtin_mul_overflow(n, bytes, &all))
        return NULL;
    return boot_aligned_alloc(all, GMK_CACHE_LINE);
}

void boot_free(void *p) { (void)p; }

size_t boot_alloc_used(void)
{
    uint64_t flags = mem_lock(&boot.lock);
    size_t used = boot.used;

    mem_unlock(&boot.lock, flags);
    return used;
}

size_t boot_alloc_total(void) { return BOOT_ALLOC_BYTES; }

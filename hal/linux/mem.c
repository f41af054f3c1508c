/* SPDX-License-Identifier: MIT
 * Linux memory: anonymous pages, shared regions, console, end.
 * Floor: HAL. Source: SPEC HAL-2, HAL-6; ARCHITECTURE R13. */
#define _GNU_SOURCE
#include "ggmk/hal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void *gmk_hal_page_alloc(size_t bytes, size_t align)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *raw;
    char *p;
    size_t head;

    if (bytes == 0 || (align & (align - 1)) != 0 || bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + page - 1) & ~(page - 1);
    if (align < page)
        align = page;
    raw = mmap(NULL, bytes + align, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw == MAP_FAILED)
        return NULL;
    p = (char *)(((uintptr_t)raw + align - 1) & ~(uintptr_t)(align - 1));
    head = (size_t)(p - raw);
    if (head != 0)
        munmap(raw, head);
    munmap(p + bytes, align - head);
    return p;
}

void gmk_hal_page_free(void *p, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    if (p != NULL)
        munmap(p, (bytes + page - 1) & ~(page - 1));
}

void *gmk_hal_calloc(size_t n, size_t bytes)
{
    size_t total;
    void *p;

    if (__builtin_mul_overflow(n, bytes, &total) || total > SIZE_MAX / 2)
        return NULL;
    total = (total + 127) & ~(size_t)127;
    p = aligned_alloc(128, total != 0 ? total : 128);
    if (p != NULL)
        memset(p, 0, total);
    return p;
}

void gmk_hal_free(void *p) { free(p); }
void *gmk_hal_memset(void *to, int byte, size_t n) { return n != 0 ? memset(to, byte, n) : to; }

void *gmk_hal_memcpy(void *to, const void *from, size_t n)
{
    return n != 0 ? memcpy(to, from, n) : to;
}

int gmk_hal_region_create(gmk_hal_region_t *r, size_t bytes)
{
    int fd = memfd_create("ggmk", MFD_CLOEXEC);

    if (fd < 0)
        return -1;
    if (bytes == 0 || ftruncate(fd, (off_t)bytes) != 0) {
        close(fd);
        return -1;
    }
    r->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (r->base == MAP_FAILED) {
        close(fd);
        return -1;
    }
    r->bytes = bytes;
    r->handle = fd;
    return 0;
}

void gmk_hal_region_destroy(gmk_hal_region_t *r)
{
    munmap(r->base, r->bytes);
    close(r->handle);
    r->base = NULL;
    r->handle = -1;
}

void gmk_hal_console_write(const char *text, size_t n)
{
    while (n != 0) {
        ssize_t k = write(STDOUT_FILENO, text, n);

        if (k <= 0)
            return;
        text += k;
        n -= (size_t)k;
    }
}

void gmk_hal_abort(void) { abort(); }

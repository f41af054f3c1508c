/* SPDX-License-Identifier: MIT
 * Bare-metal memory: areas paged on demand, the kernel heap, the serial console, the end.
 * Floor: HAL. Source: SPEC HAL-2, HAL-6; ARCHITECTURE R13. */
#include "arch/x86_64/cpu/panic.h"
#include "arch/x86_64/memory/memops.h"
#include "arch/x86_64/memory/vmm.h"
#include "arch/x86_64/serial/serial.h"
#include "ggmk/hal.h"

#define HEAD 64u          /* before an object of gmk_hal_calloc: its size */
#define LARGE (64u << 10) /* from here on an area of its own */

void *gmk_hal_page_alloc(size_t bytes, size_t align)
{
    if (bytes == 0 || (align & (align - 1)) != 0 || bytes > SIZE_MAX / 2)
        return NULL;
    return vmm_area_alloc(bytes, align, 0);
}

void gmk_hal_page_free(void *p, size_t bytes)
{
    if (p != NULL)
        (void)vmm_area_free(p, bytes); /* a wrong one is counted there */
}

void *gmk_hal_calloc(size_t n, size_t bytes)
{
    size_t total;
    uint8_t *p;

    if (__builtin_mul_overflow(n, bytes, &total) || total > SIZE_MAX / 2)
        return NULL;
    total += HEAD;
    p = total < LARGE ? kmalloc(total) : vmm_area_alloc(total, 0, 0);
    if (p == NULL)
        return NULL;
    if (total < LARGE)
        memset(p, 0, total);
    *(size_t *)p = total;
    return p + HEAD;
}

void gmk_hal_free(void *p)
{
    uint8_t *head = (uint8_t *)p - HEAD;

    if (p == NULL)
        return;
    if (*(size_t *)head < LARGE)
        kfree(head, *(size_t *)head);
    else
        (void)vmm_area_free(head, *(size_t *)head); /* a wrong one is counted there */
}

void *gmk_hal_memset(void *to, int byte, size_t n) { return n != 0 ? memset(to, byte, n) : to; }

void *gmk_hal_memcpy(void *to, const void *from, size_t n)
{
    return n != 0 ? memcpy(to, from, n) : to;
}

/* All code shares one address space, so any memory will do. */
int gmk_hal_region_create(gmk_hal_region_t *r, size_t bytes)
{
    r->base = gmk_hal_page_alloc(bytes, 0);
    r->bytes = bytes;
    r->handle = -1;
    return r->base != NULL ? 0 : -1;
}

void gmk_hal_region_destroy(gmk_hal_region_t *r)
{
    gmk_hal_page_free(r->base, r->bytes);
    r->base = NULL;
}

void gmk_hal_console_write(const char *text, size_t n) { serial_write(text, n); }

/* An assertion has told its reason and the last trace events; a panic of the kernel has called
 * the core to tell the latter, and ends here. */
void gmk_hal_abort(void)
{
    if (panic_is_here())
        panic_end();
    panic_tell(NULL);
    PANIC("the core has given up (its reason stands above)");
}

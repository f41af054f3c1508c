/* SPDX-License-Identifier: MIT
 * ACPI table search and the S5 switch.
 * Floor: arch. Source: ACPI 6.4, 5.2.5 (RSDP), 5.2.9 (FADT), 7.4.2 (_S5), 20.2 (AML). */
#include "arch/x86_64/cpu/acpi.h"

#include "arch/x86_64/boot/boot.h"
#include "arch/x86_64/memory/memops.h"
#include "arch/x86_64/memory/paging.h"

#define HEADER 36u
#define MAX_TABLE (1u << 20)
#define SLEEP_ENABLE (1u << 13)

uint32_t acpi_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint64_t acpi_u64(const uint8_t *p) { return acpi_u32(p) | (uint64_t)acpi_u32(p + 4) << 32; }

static bool sums_up(const uint8_t *p, uint32_t n)
{
    uint8_t sum = 0;

    for (uint32_t i = 0; i < n; i++)
        sum = (uint8_t)(sum + p[i]);
    return sum == 0;
}

/* The whole table at a physical address, or null. */
static const uint8_t *map_table(uint64_t phys)
{
    const uint8_t *p = phys != 0 ? map_firmware(phys, HEADER) : NULL;
    uint32_t n = p != NULL ? acpi_u32(p + 4) : 0;

    if (n < HEADER || n > MAX_TABLE)
        return NULL;
    p = map_firmware(phys, n);
    return p != NULL && sums_up(p, n) ? p : NULL;
}

/* RSDT or XSDT; *width is the size of its entries. */
static const uint8_t *root(uint32_t *width)
{
    const uint8_t *rsdp = boot_info.rsdp != 0 ? map_firmware(boot_info.rsdp, HEADER) : NULL;
    const uint8_t *table = NULL;

    if (rsdp == NULL || memcmp(rsdp, "RSD PTR ", 8) != 0 || !sums_up(rsdp, 20))
        return NULL;
    *width = 8;
    if (rsdp[15] >= 2)
        table = map_table(acpi_u64(rsdp + 24));
    if (table == NULL) {
        *width = 4;
        table = map_table(acpi_u32(rsdp + 16));
    }
    return table;
}

const uint8_t *acpi_find(const char *signature, uint32_t bytes)
{
    uint32_t width = 4;
    const uint8_t *r = root(&width);

    if (r == NULL)
        return NULL;
    for (uint32_t at = HEADER; at + width <= acpi_u32(r + 4); at += width) {
        uint64_t phys = width == 8 ? acpi_u64(r + at) : acpi_u32(r + at);
        const uint8_t *t = map_table(phys);

        if (t != NULL && memcmp(t, signature, 4) == 0 && acpi_u32(t + 4) >= bytes)
            return t;
    }
    return NULL;
}

/* One byte constant of a package: 0, 1, or BytePrefix and the byte. */
static uint32_t constant(const uint8_t **p)
{
    uint32_t v = *(*p)++;

    if (v == 0x0a)
        v = *(*p)++;
    return v;
}

/* The two sleep types of Name(_S5_, Package(){a, b, ..}) in the DSDT. */
static bool sleep_types(const uint8_t *dsdt, uint32_t *a, uint32_t *b)
{
    uint32_t n = acpi_u32(dsdt + 4);

    for (uint32_t i = HEADER; i + 16 < n; i++) {
        const uint8_t *p = dsdt + i + 4;

        if (memcmp(dsdt + i, "_S5_", 4) != 0 || *p != 0x12)
            continue;
        p += 2 + (p[1] >> 6); /* the length, one to four bytes */
        p++;                  /* how many elements */
        *a = constant(&p);
        *b = constant(&p);
        return true;
    }
    return false;
}

void acpi_power_off(void)
{
    const uint8_t *fadt = acpi_find("FACP", 116), *dsdt;
    uint32_t a, b;

    dsdt = fadt != NULL ? map_table(acpi_u32(fadt + 40)) : NULL;
    if (dsdt == NULL || !sleep_types(dsdt, &a, &b))
        return;
    x86_out16((uint16_t)acpi_u32(fadt + 64), (uint16_t)(a << 10 | SLEEP_ENABLE));
    if (acpi_u32(fadt + 68) != 0)
        x86_out16((uint16_t)acpi_u32(fadt + 68), (uint16_t)(b << 10 | SLEEP_ENABLE));
}

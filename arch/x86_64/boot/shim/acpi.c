/* SPDX-License-Identifier: MIT
 * ACPI: see acpi.h.
 * Floor: arch, plain C. */
#include "acpi.h"

enum {
    HEADER_BYTES = 36,
    MADT_BYTES = 44,
    RSDP1_BYTES = 20,
    MADT_LAPIC = 0,
    MADT_IOAPIC = 1,
    MADT_LAPIC_ADDRESS = 5,
    MADT_X2APIC = 9,
    CPU_ENABLED = 1,
};

#define TABLE_MAX 0x100000u
#define SIGN_APIC 0x43495041u /* "APIC" */
#define SIGN_RSDT 0x54445352u
#define SIGN_XSDT 0x54445358u
#define SIGN_RSDP 0x2052545020445352ull /* "RSD PTR " */

static bool sums_to_zero(const uint8_t *p, uint64_t n)
{
    uint8_t sum = 0;

    for (uint64_t i = 0; i < n; i++)
        sum = (uint8_t)(sum + p[i]);
    return sum == 0;
}

bool shim_rsdp_good(const uint8_t *p, uint64_t n)
{
    if (n < RSDP1_BYTES || shim_get64(p) != SIGN_RSDP || !sums_to_zero(p, RSDP1_BYTES))
        return false;
    return p[15] < 2 || (n >= SHIM_RSDP_BYTES && sums_to_zero(p, SHIM_RSDP_BYTES));
}

static uint64_t search_area(const shim_view_t *v, uint64_t from, uint64_t end)
{
    for (uint64_t at = from; at + SHIM_RSDP_BYTES <= end; at += 16) {
        const uint8_t *p = shim_at(v, at, SHIM_RSDP_BYTES);

        if (p != NULL && shim_rsdp_good(p, SHIM_RSDP_BYTES))
            return at;
    }
    return 0;
}

uint64_t shim_rsdp_search(const shim_view_t *v)
{
    const uint8_t *ebda = shim_at(v, 0x40e, 2);
    uint64_t at = ebda == NULL ? 0 : (uint64_t)shim_get16(ebda) << 4, found = 0;

    if (at >= 0x400 && at < 0xa0000)
        found = search_area(v, at, at + 1024);
    return found != 0 ? found : search_area(v, 0xe0000, 0x100000);
}

/* returns: a table whose header and sum are right, else null. */
static const uint8_t *table(const shim_view_t *v, uint64_t phys, uint32_t sign)
{
    const uint8_t *p = shim_at(v, phys, HEADER_BYTES);
    uint32_t n;

    if (p == NULL || shim_get32(p) != sign)
        return NULL;
    n = shim_get32(p + 4);
    p = n < HEADER_BYTES || n > TABLE_MAX ? NULL : shim_at(v, phys, n);
    return p != NULL && sums_to_zero(p, n) ? p : NULL;
}

/* Looks in a table of 32-bit (RSDT) or 64-bit (XSDT) addresses. */
static const uint8_t *madt_of(const shim_view_t *v, const uint8_t *list, uint32_t width)
{
    uint32_t n = list == NULL ? 0 : (shim_get32(list + 4) - HEADER_BYTES) / width;

    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *p = list + HEADER_BYTES + i * width;
        const uint8_t *t = table(v, width == 8 ? shim_get64(p) : shim_get32(p), SIGN_APIC);

        if (t != NULL && shim_get32(t + 4) >= MADT_BYTES)
            return t;
    }
    return NULL;
}

static void add_cpu(shim_madt_t *m, shim_cpu_t cpu)
{
    for (uint32_t i = 0; i < m->n_cpus; i++)
        if (m->cpu[i].lapic_id == cpu.lapic_id)
            return;
    if (m->n_cpus == SHIM_CPUS_MAX)
        m->n_left_out++;
    else
        m->cpu[m->n_cpus++] = cpu;
}

static void read_entry(shim_madt_t *m, const uint8_t *p)
{
    if (p[0] == MADT_LAPIC && p[1] >= 8) {
        if ((shim_get32(p + 4) & CPU_ENABLED) != 0 && p[3] != 0xff)
            add_cpu(m, (shim_cpu_t){p[2], p[3]});
    } else if (p[0] == MADT_X2APIC && p[1] >= 16) {
        if ((shim_get32(p + 8) & CPU_ENABLED) != 0 && shim_get32(p + 4) != UINT32_MAX)
            add_cpu(m, (shim_cpu_t){shim_get32(p + 12), shim_get32(p + 4)});
    } else if (p[0] == MADT_IOAPIC && p[1] >= 12) {
        if (m->n_ioapics < SHIM_IOAPICS_MAX)
            m->ioapic[m->n_ioapics++] = shim_get32(p + 4);
    } else if (p[0] == MADT_LAPIC_ADDRESS && p[1] >= 12) {
        m->lapic = shim_get64(p + 4);
    }
}

int shim_madt_read(const shim_view_t *v, const uint8_t *rsdp, shim_madt_t *out)
{
    const uint8_t *t = NULL;
    uint32_t n;

    out->n_cpus = out->n_ioapics = out->n_left_out = 0;
    out->lapic = 0;
    if (rsdp[15] >= 2)
        t = madt_of(v, table(v, shim_get64(rsdp + 24), SIGN_XSDT), 8);
    if (t == NULL)
        t = madt_of(v, table(v, shim_get32(rsdp + 16), SIGN_RSDT), 4);
    if (t == NULL)
        return SHIM_E_ACPI;
    n = shim_get32(t + 4);
    out->lapic = shim_get32(t + 36);
    for (uint32_t at = MADT_BYTES; at < n; at += t[at + 1]) {
        if (n - at < 2 || t[at + 1] < 2 || t[at + 1] > n - at)
            return SHIM_E_ACPI;
        read_entry(out, t + at);
    }
    return SHIM_OK;
}

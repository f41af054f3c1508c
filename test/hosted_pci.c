/* SPDX-License-Identifier: MIT
 * The PCI walk against a model of configuration space: functions, bridges, BARs,
 * capabilities, MSI-X, and spaces that lie.
 * Floor: tests. Source: SPEC BM-32, BM-33; PCI Local Bus 3.0. */
#include "model_pci.h"

#include "ggmk/test.h"

static mp_func_t *plain(uint8_t bus, uint8_t dev, uint8_t func)
{
    mp_func_t *f = mp_add(bus, dev, func);

    mp_identity(f, 0x8086, (uint16_t)(0x1000 + dev * 8 + func), 0x02000000);
    return f;
}

static mp_func_t *bridge(uint8_t bus, uint8_t dev, uint8_t secondary)
{
    mp_func_t *f = mp_add(bus, dev, 0);

    mp_identity(f, 0x1b36, 0x000c, 0x06040000);
    mp_put(f, 0x0e, 1, 1);
    mp_put(f, 0x18, (uint32_t)bus | (uint32_t)secondary << 8 | (uint32_t)secondary << 16, 4);
    return f;
}

static void kept_the_rules(void)
{
    if (!gmk_test_assert_eq(mp.complaints, 0))
        gmk_test_print(mp.complaint);
}

GMK_TEST(pci_empty_machine_has_no_devices)
{
    mp_reset();
    gmk_test_assert_eq(pci_init(), 0);
    gmk_test_assert_eq(pci_device_count(), 0);
    gmk_test_assert(pci_get_device(0) == NULL);
    gmk_test_assert(pci_find_device(0x8086, 0x1000) == NULL);
    gmk_test_assert(pci_find_device(0xffff, 0xffff) == NULL);
}

/* BM-32: multi-function devices, lookup by vendor and device. */
GMK_TEST(pci_functions_of_one_device_need_the_multi_function_bit)
{
    mp_func_t *f;

    mp_reset();
    plain(0, 3, 0);
    plain(0, 3, 5); /* an alias: the bit is off */
    f = plain(0, 4, 0);
    mp_put(f, 0x0e, 0x80, 1);
    plain(0, 4, 3);
    plain(0, 4, 7);
    plain(0, 31, 0);
    gmk_test_assert_eq(pci_init(), 5);
    gmk_test_assert(pci_find_device(0x8086, 0x1000 + 3 * 8 + 5) == NULL);
    gmk_test_assert(pci_find_device(0x8086, 0x1000 + 4 * 8 + 7) != NULL);
    gmk_test_assert_eq(pci_find_device(0x8086, 0x1000 + 4 * 8)->header_type, 0);
    kept_the_rules();
}

GMK_TEST(pci_bridges_are_walked_through_and_loops_end)
{
    mp_reset();
    bridge(0, 1, 5);
    bridge(5, 0, 9);
    plain(9, 2, 0);
    bridge(9, 3, 5);   /* leads back */
    bridge(9, 4, 9);   /* to itself */
    bridge(0, 2, 0);   /* not numbered */
    bridge(0, 6, 255); /* nothing behind it */
    gmk_test_assert_eq(pci_init(), 7);
    gmk_test_assert_eq(pci_find_device(0x8086, 0x1000 + 2 * 8)->bus, 9);
    gmk_test_assert_eq(pci_init(), 7);
    kept_the_rules();
}

/* BM-32: a table of 32. */
GMK_TEST(pci_devices_beyond_the_table_are_counted)
{
    mp_reset();
    for (uint8_t i = 0; i < 32; i++)
        plain(0, i, 0);
    bridge(0, 31, 1); /* hidden: the slot is taken */
    gmk_test_assert_eq(pci_init(), PCI_MAX_DEVICES);
    gmk_test_assert_eq(pci_devices_left_out(), 0);
    mp.func[0].there = false;
    bridge(0, 0, 1);
    for (uint8_t i = 0; i < 7; i++)
        plain(1, i, 0);
    gmk_test_assert_eq(pci_init(), PCI_MAX_DEVICES);
    gmk_test_assert_eq(pci_devices_left_out(), 7);
    gmk_test_assert(pci_get_device(PCI_MAX_DEVICES) == NULL);
}

/* BM-32, BM-33. */
GMK_TEST(pci_bars_have_kind_base_and_size)
{
    const pci_device_t *d;
    mp_func_t *f;

    mp_reset();
    f = plain(0, 2, 0);
    mp_put(f, 4, 7, 2);
    mp_bar(f, 0, 0xc040, 64, 1);
    mp_bar(f, 1, 0xfebf0000, 4096, 0);
    mp_bar(f, 2, 0x380000000000ull, 0x100000000ull, 4 | 8);
    mp_bar(f, 5, 0xfe000000, 1u << 24, 8);
    GMK_REQUIRE(pci_init() == 1);
    d = pci_get_device(0);
    gmk_test_assert_eq(d->bar_kind[0], PCI_BAR_IO);
    gmk_test_assert_eq(d->bar_base[0], 0xc040);
    gmk_test_assert_eq(d->bar_bytes[0], 64);
    gmk_test_assert_eq(d->bar_kind[1], PCI_BAR_MEM32);
    gmk_test_assert_eq(d->bar_base[1], 0xfebf0000u);
    gmk_test_assert_eq(d->bar_bytes[1], 4096);
    gmk_test_assert_eq(d->bar_kind[2], PCI_BAR_MEM64);
    gmk_test_assert_eq(d->bar_base[2], 0x380000000000);
    gmk_test_assert_eq(d->bar_bytes[2], 0x100000000);
    gmk_test_assert_eq(d->bar_kind[3], PCI_BAR_NONE);
    gmk_test_assert_eq(d->bar_kind[4], PCI_BAR_NONE);
    gmk_test_assert_eq(d->bar_bytes[5], 1 << 24);
    /* Sizing left everything as it was. */
    gmk_test_assert_eq(mp_get(f, 4, 2), 7);
    gmk_test_assert_eq(mp_get(f, 0x10, 4), 0xc041);
    gmk_test_assert_eq(mp_get(f, 0x1c, 4), 0x3800);
    kept_the_rules();
}

GMK_TEST(pci_map_bar_stays_inside_it)
{
    const pci_device_t *d;
    mp_func_t *f;

    mp_reset();
    f = plain(0, 2, 0);
    mp_bar(f, 0, 0xc000, 64, 1);
    mp_bar(f, 1, 0xfe000000, 8192, 0);
    mp_bar(f, 2, 0, 4096, 0); /* the firmware gave it no address */
    GMK_REQUIRE(pci_init() == 1);
    d = pci_get_device(0);
    gmk_test_assert(pci_map_bar(d, 1, 0, 8192) == (void *)(MP_MMIO_MAP + 0xfe000000));
    gmk_test_assert(pci_map_bar(d, 1, 8188, 4) != NULL);
    gmk_test_assert(pci_map_bar(d, 1, 8189, 4) == NULL);
    gmk_test_assert(pci_map_bar(d, 1, UINT64_MAX, 2) == NULL);
    gmk_test_assert(pci_map_bar(d, 1, 0, 8193) == NULL);
    gmk_test_assert(pci_map_bar(d, 1, 0, 0) == NULL);
    gmk_test_assert(pci_map_bar(d, 0, 0, 4) == NULL);
    gmk_test_assert(pci_map_bar(d, 2, 0, 4) == NULL);
    gmk_test_assert(pci_map_bar(d, 6, 0, 4) == NULL);
}

/* BM-33. */
GMK_TEST(pci_words_are_read_and_written_by_parts)
{
    const pci_device_t *d;
    mp_func_t *f;

    mp_reset();
    f = plain(0, 2, 0);
    mp_put(f, 0x50, 0x11223344, 4);
    GMK_REQUIRE(pci_init() == 1);
    d = pci_get_device(0);
    gmk_test_assert_eq(pci_cfg_read32(d, 0x50), 0x11223344);
    gmk_test_assert_eq(pci_cfg_read16(d, 0x52), 0x1122);
    gmk_test_assert_eq(pci_cfg_read8(d, 0x51), 0x33);
    pci_cfg_write16(d, 0x52, 0xabcd);
    gmk_test_assert_eq(mp_get(f, 0x50, 4), 0xabcd3344u);
    pci_cfg_write32(d, 0x50, 5);
    gmk_test_assert_eq(mp_get(f, 0x50, 4), 5);
    pci_enable(d, PCI_CMD_MASTER | PCI_CMD_IO);
    gmk_test_assert_eq(mp_get(f, 4, 2), 5);
    pci_disable(d, PCI_CMD_MASTER);
    gmk_test_assert_eq(mp_get(f, 4, 2), 1);
    kept_the_rules();
}

/* Capabilities. ------------------------------------------------------------------------- */

GMK_TEST(pci_capabilities_are_found_in_order)
{
    const pci_device_t *d;
    mp_func_t *f;

    mp_reset();
    f = plain(0, 2, 0);
    mp_put(f, 0x34, 0x43, 1); /* the low bits mean nothing */
    mp_put(f, 0x40, 0x8009, 2);
    mp_put(f, 0x80, 0x6011, 2);
    mp_put(f, 0x60, 0x0009, 2);
    GMK_REQUIRE(pci_init() == 1);
    d = pci_get_device(0);
    gmk_test_assert_eq(pci_find_cap(d, 9, 0), 0); /* the status says there are none */
    mp_put(f, 6, 0x10, 2);
    gmk_test_assert_eq(pci_find_cap(d, 9, 0), 0x40);
    gmk_test_assert_eq(pci_find_cap(d, 9, 0x40), 0x60);
    gmk_test_assert_eq(pci_find_cap(d, 9, 0x60), 0);
    gmk_test_assert_eq(pci_find_cap(d, 0x11, 0), 0x80);
    gmk_test_assert_eq(pci_find_cap(d, 5, 0), 0);
}

GMK_TEST(pci_capability_lists_that_loop_or_leave_end)
{
    const pci_device_t *d;
    mp_func_t *f;

    mp_reset();
    f = plain(0, 2, 0);
    mp_put(f, 6, 0x10, 2);
    mp_put(f, 0x34, 0x40, 1);
    GMK_REQUIRE(pci_init() == 1);
    d = pci_get_device(0);
    mp_put(f, 0x40, 0x4009, 2); /* its own successor */
    gmk_test_assert_eq(pci_find_cap(d, 5, 0), 0);
    mp_put(f, 0x40, 0xff09, 2);
    mp_put(f, 0xfc, 0x4009, 2);
    gmk_test_assert_eq(pci_find_cap(d, 5, 0), 0);
    mp_put(f, 0x40, 0x0409, 2); /* into the header */
    gmk_test_assert_eq(pci_find_cap(d, 5, 0), 0);
    memset(f->cfg + 0x34, 0xff, 256 - 0x34);
    gmk_test_assert_eq(pci_find_cap(d, 5, 0), 0);
}

/* MSI-X. ------------------------------------------------------------------------------------ */

static uint8_t table[64];

static uint64_t read_table(mp_func_t *f, uint32_t bar, uint64_t at, uint32_t bytes)
{
    uint64_t v = 0;

    (void)f;
    if (!gmk_test_assert_eq(bar, 1) || at + bytes > sizeof(table))
        return 0;
    memcpy(&v, table + at, bytes);
    return v;
}

static void write_table(mp_func_t *f, uint32_t bar, uint64_t at, uint64_t v, uint32_t bytes)
{
    (void)f;
    gmk_test_assert(bar == 1 && at >= 16 && at + bytes <= sizeof(table));
    if (at + bytes <= sizeof(table))
        memcpy(table + at, &v, bytes);
}

static mp_func_t *with_msix(uint32_t where, uint32_t n)
{
    mp_func_t *f;

    mp_reset();
    memset(table, 0xff, sizeof(table));
    f = plain(0, 2, 0);
    f->read = read_table;
    f->write = write_table;
    mp_bar(f, 1, 0xfe000000, 4096, 0);
    mp_put(f, 6, 0x10, 2);
    mp_put(f, 0x34, 0x70, 1);
    mp_put(f, 0x70, 0x11u | (n - 1) << 16, 4);
    mp_put(f, 0x74, where, 4);
    pci_init();
    return f;
}

static uint32_t entry_word(uint32_t entry, uint32_t word)
{
    uint32_t v;

    memcpy(&v, table + 16 + 16 * entry + 4 * word, 4);
    return v;
}

GMK_TEST(pci_msix_entries_are_masked_until_set)
{
    mp_func_t *f = with_msix(16 | 1, 3);
    dev_msi_t msi = {.address = 0x1fee01000ull, .data = 0x41};
    pci_msix_t m;

    GMK_REQUIRE(pci_msix_open(&m, pci_get_device(0)) == 0);
    gmk_test_assert_eq(m.n, 3);
    gmk_test_assert_eq(entry_word(2, 3), 1);
    gmk_test_assert_eq(mp_get(f, 0x72, 2) & 0x8000, 0);
    gmk_test_assert_eq(pci_msix_set(&m, 1, &msi), 0);
    gmk_test_assert_eq(pci_msix_set(&m, 3, &msi), -1);
    gmk_test_assert_eq(entry_word(1, 0), 0xfee01000u);
    gmk_test_assert_eq(entry_word(1, 1), 1);
    gmk_test_assert_eq(entry_word(1, 2), 0x41);
    gmk_test_assert_eq(entry_word(1, 3), 0);
    gmk_test_assert_eq(entry_word(0, 3), 1);
    pci_msix_enable(&m, true);
    gmk_test_assert_eq(mp_get(f, 0x72, 2) & 0xc000, 0x8000);
    gmk_test_assert_eq(mp_get(f, 4, 2) & PCI_CMD_NO_INTX, PCI_CMD_NO_INTX);
    pci_msix_enable(&m, false);
    gmk_test_assert_eq(mp_get(f, 0x72, 2) & 0xc000, 0);
    kept_the_rules();
}

GMK_TEST(pci_msix_table_outside_its_bar_is_refused)
{
    pci_msix_t m;

    with_msix(4096 | 1, 1);
    gmk_test_assert_eq(pci_msix_open(&m, pci_get_device(0)), -1);
    with_msix(0xfffffff8u | 1, 2);
    gmk_test_assert_eq(pci_msix_open(&m, pci_get_device(0)), -1);
    with_msix(1, 2048); /* longer than the BAR */
    gmk_test_assert_eq(pci_msix_open(&m, pci_get_device(0)), -1);
    with_msix(7, 1);
    gmk_test_assert_eq(pci_msix_open(&m, pci_get_device(0)), -1);
    mp_reset();
    plain(0, 0, 0);
    pci_init();
    gmk_test_assert_eq(pci_msix_open(&m, pci_get_device(0)), -1);
}

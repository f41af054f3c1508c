/* SPDX-License-Identifier: MIT
 * PCI configuration from several processors at once: a driver resets its device at any time.
 * Floor: tests. Source: SPEC BM-33. */
#include "drivers/pci/pci.h"
#include "machine_env.h"

static gmk_a32_t n_wrong, n_there;

/* Each asks for a device of its own, over and over; no other's word may come back. */
static void *ask(void *arg)
{
    const pci_device_t *d = pci_get_device(x86_cpu_self()->index % pci_device_count());
    uint32_t id = (uint32_t)d->device_id << 16 | d->vendor_id;

    word_add(&n_there, 1);
    word_until(&n_there, x86_n_cpus);
    for (uint32_t i = 0; i < (uint32_t)gmk_test_scale(50000, 20000); i++)
        word_add(arg, pci_cfg_read32(d, 0) != id);
    return NULL;
}

/* The address port and the data port are two accesses: between them nobody else's may come.
 * (One did, and took bus mastering from another disk than the broken one.) */
GMK_TEST(kernel_pci_words_are_read_by_all_processors_at_once)
{
    pci_init();
    GMK_REQUIRE(pci_device_count() >= 2);
    gmk_test_assert(pci_get_device(0)->device_id != pci_get_device(1)->device_id);
    on_every_cpu(ask, &n_wrong);
    gmk_test_assert_eq(word_get(&n_wrong), 0);
}

/* SPDX-License-Identifier: MIT
 * Offers every device to every driver. Floor: drivers. Source: SPEC BM-37. */
#include "drivers/drivers.h"

void (*drv_say)(const char *driver, const pci_device_t *dev, int status);

static const struct driver {
    const char *name;
    int (*probe)(const pci_device_t *dev);
} drivers[] = {
#define X(ident, name, text) {name, drv_##ident##_probe},
#include "drivers/drivers.def"
#undef X
};

static bool offer(const pci_device_t *dev)
{
    for (uint32_t i = 0; i < GMK_ARRAY_LEN(drivers); i++) {
        int rc = drivers[i].probe(dev);

        if (rc != DRV_NOT_MINE) {
            if (drv_say != NULL)
                drv_say(drivers[i].name, dev, rc);
            return rc == DRV_OK;
        }
    }
    return false;
}

uint32_t drivers_init(void)
{
    uint32_t n = pci_init();
    uint32_t taken = 0;

    for (uint32_t i = 0; i < n; i++)
        taken += offer(pci_get_device(i));
    return taken;
}

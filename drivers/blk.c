/* SPDX-License-Identifier: MIT
 * The table of block devices. Floor: drivers. */
#include "drivers/blk.h"

static blk_dev_t *devs[BLK_MAX_DEVS];
static uint32_t n_devs;

static bool same(const char *a, const char *b)
{
    while (*a == *b && *a != '\0') {
        a++;
        b++;
    }
    return *a == *b;
}

int blk_register(blk_dev_t *d)
{
    if (n_devs == BLK_MAX_DEVS || d->name[0] == '\0' || (n_devs != 0 && blk_find(d->name) != NULL))
        return -1;
    devs[n_devs++] = d;
    return 0;
}

uint32_t blk_count(void) { return n_devs; }

blk_dev_t *blk_get(uint32_t i) { return i < n_devs ? devs[i] : NULL; }

blk_dev_t *blk_find(const char *name)
{
    if (name == NULL || name[0] == '\0')
        return blk_get(0);
    for (uint32_t i = 0; i < n_devs; i++)
        if (same(devs[i]->name, name))
            return devs[i];
    return NULL;
}

void blk_forget_all(void) { n_devs = 0; }

/* SPDX-License-Identifier: MIT
 * Runs a hosted program's main in the kernel: `--NAME VALUE` for each of seconds= and seed= on
 * the command line. The bits of libc that such programs use stand in libc/.
 * Floor: tests. Before the end the clock is compared with the HPET, where there is one: the
 * two were read together at the start, and a drift of 0.1 % or more is a failure. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arch/x86_64/boot/boot.h"
#include "arch/x86_64/cpu/clock.h"
#include "arch/x86_64/memory/pmm.h"
#include "arch/x86_64/smp/thread.h"

int main(int argc, char **argv);

int errno;

int strcmp(const char *a, const char *b)
{
    while (*a == *b && *a != '\0') {
        a++;
        b++;
    }
    return (uint8_t)*a - (uint8_t)*b;
}

void exit(int status) { x86_power_off((uint8_t)(status != 0)); }

/* Decimal; base is 0 or 10. */
unsigned long long strtoull(const char *text, char **end, int base)
{
    unsigned long long v = 0;

    (void)base;
    for (; *text >= '0' && *text <= '9'; text++)
        v = v * 10 + (unsigned long long)(*text - '0');
    *end = (char *)(uintptr_t)text;
    return v;
}

FILE *fopen(const char *name, const char *mode)
{
    static FILE statm;

    (void)mode;
    return strcmp(name, "/proc/self/statm") == 0 ? &statm : NULL;
}

int fscanf(FILE *f, const char *format, unsigned long long *all, unsigned long long *resident)
{
    (void)f;
    (void)format;
    *all = pmm_usable_count();
    *resident = pmm_usable_count() - pmm_free_count();
    return 2;
}

int fclose(FILE *f)
{
    (void)f;
    return 0;
}

int clock_gettime(int clock, struct timespec *t)
{
    uint64_t now = clock_now_ns(), ns = 0;

    (void)clock;
    for (uint32_t i = 0; i < x86_n_cpus; i++) {
        x86_load_t load;

        x86_get_load(i, &load);
        ns += now - load.halted_ns;
    }
    t->tv_sec = (long)(ns / 1000000000);
    t->tv_nsec = (long)(ns % 1000000000);
    return 0;
}

/* returns: parts of a million that the clock went faster than the HPET since both were 0. */
static int64_t drift_ppm(uint64_t clock0, uint64_t hpet0)
{
    int64_t by_clock = (int64_t)(clock_now_ns() - clock0);
    int64_t by_hpet = (int64_t)(clock_hpet_ns() - hpet0);

    return (by_clock - by_hpet) * 1000000 / (by_hpet != 0 ? by_hpet : 1);
}

int kmain(void)
{
    char text[2][24];
    char *argv[6] = {"program", "--seconds", text[0], "--seed", text[1], NULL};
    uint64_t clock0 = clock_now_ns(), hpet0 = clock_hpet_ns();
    int64_t ppm;
    int rc;

    ksnprintf(text[0], sizeof(text[0]), "%lu", boot_option_u64("seconds", 60));
    ksnprintf(text[1], sizeof(text[1]), "%lu", boot_option_u64("seed", 1));
    rc = main(5, argv);
    if (hpet0 != 0) {
        ppm = drift_ppm(clock0, hpet0);
        kprintf("clock: %ld ppm apart from the HPET\n", ppm);
        rc |= ppm >= 1000 || ppm <= -1000;
    } else {
        kprintf("[SKIP] clock: this machine has no HPET: its drift is not known\n");
    }
    return rc;
}

/* SPDX-License-Identifier: MIT
 * The end that was wanted: power off, reboot.
 * Floor: arch. Source: ACPI 6.4, 4.8.3.2; 8042 data sheet. */
#include "arch/x86_64/boot/boot.h"
#include "arch/x86_64/cpu/acpi.h"
#include "arch/x86_64/cpu/panic.h"
#include "arch/x86_64/memory/memops.h"
#include "arch/x86_64/serial/kprintf.h"

#define KEYBOARD_COMMAND 0x64u
#define PULSE_RESET 0xfeu

void x86_power_off(uint8_t code)
{
    char how[8];

    if (boot_option("exit", how, sizeof(how)) && strncmp(how, "debug", 6) == 0)
        x86_debug_exit(code);
    kprintf("ggmk: power off\n");
    acpi_power_off();
    kprintf("ggmk: this machine does not say how it is switched off: halted\n");
    x86_cli();
    x86_stop_others();
    for (;;)
        __asm__ volatile("cli; hlt");
}

void x86_reboot(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } none = {0, 0};

    kprintf("ggmk: reboot\n");
    x86_cli();
    x86_out8(KEYBOARD_COMMAND, PULSE_RESET);
    for (uint32_t i = 0; i < 1000000; i++)
        x86_pause();
    __asm__ volatile("lidt %0; int3" : : "m"(none)); /* no gate: the third fault resets */
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* SPDX-License-Identifier: MIT
 * Ports, serial line, clock: see machine.h.
 * Floor: arch. Every wait is bounded: a device that is not there must not stop the boot. */
#include "machine.h"

#include "clock.h"

enum {
    COM1 = 0x3f8,
    PIC1 = 0x21,
    PIC2 = 0xa1,
    PIT_2 = 0x42,
    PIT_MODE = 0x43,
    PORT_B = 0x61, /* bit 0: gate of channel 2; bit 5: its output */
    PIT_10_MS = 11932,
    CMOS_INDEX = 0x70,
    CMOS_DATA = 0x71,
};

#define MSR_PAT 0x277u
#define PAT_LIMINE 0x0000010500070406ull /* WB WT UC- UC WP WC */
#define POLLS_MAX 10000000u

static const struct {
    const char *what, *why, *remedy;
} errors[] = {
#define SHIM_ERROR(name, what, why, remedy) [SHIM_E_##name] = {what, why, remedy},
#include "errors.def"
#undef SHIM_ERROR
};

/* A compiler may call these for large objects; none is where speed counts. The empty statement
 * keeps it from making a call of the loop. */
void *memset(void *to, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n);

void *memset(void *to, int c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ((uint8_t *)to)[i] = (uint8_t)c;
        __asm__ volatile("");
    }
    return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
        __asm__ volatile("");
    }
    return to;
}

void shim_serial_init(void)
{
    shim_out8(COM1 + 1, 0);
    shim_out8(COM1 + 3, 0x80);
    shim_out8(COM1 + 0, 1); /* 115200 baud */
    shim_out8(COM1 + 1, 0);
    shim_out8(COM1 + 3, 3); /* 8N1 */
    shim_out8(COM1 + 2, 7); /* FIFOs on, and empty */
    shim_out8(COM1 + 4, 3);
}

static void put(char c)
{
    for (uint32_t i = 0; i < 100000 && (shim_in8(COM1 + 5) & 0x20) == 0; i++)
        ;
    shim_out8(COM1, (uint8_t)c);
}

void shim_say(const char *text)
{
    for (; *text != 0; text++) {
        if (*text == '\n')
            put('\r');
        put(*text);
    }
}

void shim_say_hex(uint64_t x)
{
    int shift = 60;

    while (shift > 0 && x >> shift == 0)
        shift -= 4;
    for (shim_say("0x"); shift >= 0; shift -= 4)
        put("0123456789abcdef"[x >> shift & 15]);
}

void shim_warn(int error, uint64_t detail)
{
    shim_say("shim: ");
    shim_say(errors[error].what);
    shim_say(": ");
    shim_say(errors[error].why);
    shim_say(" (");
    shim_say_hex(detail);
    shim_say("); ");
    shim_say(errors[error].remedy);
    shim_say("\n");
}

void shim_die(int error, uint64_t detail)
{
    shim_warn(error, detail);
    for (;;)
        __asm__ volatile("cli; hlt");
}

void shim_timer_start(void)
{
    shim_out8(PORT_B, (uint8_t)((shim_in8(PORT_B) & 0xfc) | 1)); /* speaker off */
    shim_out8(PIT_MODE, 0xb0);                                   /* channel 2, mode 0 */
    shim_out8(PIT_2, PIT_10_MS & 0xff);
    shim_out8(PIT_2, PIT_10_MS >> 8);
}

bool shim_timer_over(void) { return (shim_in8(PORT_B) & 0x20) != 0; }

static uint32_t cmos(uint8_t reg)
{
    shim_out8(CMOS_INDEX, reg);
    return shim_in8(CMOS_DATA);
}

int64_t shim_clock_seconds(void)
{
    uint32_t r[6], form;

    for (uint32_t i = 0; i < POLLS_MAX && (cmos(10) & 0x80) != 0; i++) /* update in progress */
        ;
    form = cmos(11);
    for (uint32_t i = 0; i < 6; i++) {
        static const uint8_t reg[] = {9, 8, 7, 4, 2, 0}; /* year to second */

        r[i] = cmos(reg[i]);
    }
    return shim_date_seconds(r, form);
}

extern const uint8_t shim_exception_stubs[], shim_on_timer[], shim_on_other[];
void shim_on_exception(uint64_t vector, uint64_t error, uint64_t rip, uint64_t address);

/* Called by entry.S. */
void shim_on_exception(uint64_t vector, uint64_t error, uint64_t rip, uint64_t address)
{
    const uint64_t detail[] = {vector, error, rip, address};
    static const char *const name[] = {"shim: CPU exception ", ": error ", ", rip ", ", cr2 "};

    for (uint32_t i = 0; i < 4; i++) {
        shim_say(name[i]);
        shim_say_hex(detail[i]);
    }
    shim_say("; a fault of the shim or of the machine: report it with the command line\n");
}

static void set_gate(uint64_t *gate, uint64_t at)
{
    gate[0] = (at & 0xffff) | 0x28ull << 16 | 0x8e00ull << 32 | (at >> 16 & 0xffff) << 48;
    gate[1] = at >> 32;
}

/* The other CPUs load the table that the first one made. */
void shim_set_idt(void)
{
    static uint64_t idt[256][2];
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } idtr = {sizeof(idt) - 1, SHIM_HHDM + (uint64_t)idt};

    for (uint32_t i = 0; i < 256 && idt[SHIM_VECTOR_TIMER][0] == 0; i++)
        set_gate(idt[i], i < 32 ? (uint64_t)shim_exception_stubs + 16 * i
                                : SHIM_HHDM + (uint64_t)shim_on_other);
    set_gate(idt[SHIM_VECTOR_TIMER], SHIM_HHDM + (uint64_t)shim_on_timer);
    __asm__ volatile("lidt %0" : : "m"(idtr));
}

void shim_set_pat(void) { shim_wrmsr(MSR_PAT, PAT_LIMINE); }

void shim_mask_pic(void)
{
    shim_out8(PIC1, 0xff);
    shim_out8(PIC2, 0xff);
}

void shim_mask_ioapic(uint64_t phys)
{
    volatile uint32_t *io = shim_virt(phys);
    uint32_t n_pins;

    io[0] = 1;
    n_pins = (io[4] >> 16 & 0xff) + 1;
    for (uint32_t pin = 0; pin < n_pins; pin++) {
        io[0] = 0x10 + 2 * pin;
        io[4] |= 1u << 16;
    }
}

/* SPDX-License-Identifier: MIT
 * COM1 by port I/O.
 * Floor: arch. Source: SPEC BM-9 to BM-11; 16550 data sheet. */
#include "arch/x86_64/serial/serial.h"

#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/lock.h"
#include "arch/x86_64/cpu/pic.h"

#define COM1 0x3f8u
#define COM1_IRQ 4u
#define DATA (COM1 + 0)
#define INTERRUPTS (COM1 + 1)
#define FIFO (COM1 + 2)
#define LINE (COM1 + 3)
#define MODEM (COM1 + 4)
#define STATUS (COM1 + 5)
#define STATUS_READY 0x01u
#define STATUS_ROOM 0x20u
#define DIVISOR_115200 1u
#define ROOM_POLLS 1000000u /* then the byte is dropped: a port that is stuck stops nobody */

static x86_lock_t lock;
static bool present;
static gmk_a32_t speaker; /* 1 more than the only processor that may speak; 0: all may */

void serial_init(void)
{
    x86_out8(INTERRUPTS, 0);
    x86_out8(LINE, 0x80); /* the divisor */
    x86_out8(DATA, DIVISOR_115200);
    x86_out8(INTERRUPTS, 0);
    x86_out8(LINE, 0x03);  /* 8 data bits, no parity, 1 stop bit */
    x86_out8(FIFO, 0xc7);  /* on, emptied, a mark of 14 bytes */
    x86_out8(MODEM, 0x1e); /* loop-back, to see whether there is a port at all */
    x86_out8(DATA, 0xae);
    present = x86_in8(DATA) == 0xae;
    x86_out8(MODEM, 0x0f);
}

static void put_raw(char c)
{
    for (uint32_t i = 0; i < ROOM_POLLS; i++)
        if ((x86_in8(STATUS) & STATUS_ROOM) != 0) {
            x86_out8(DATA, (uint8_t)c);
            return;
        }
}

static void put_all(const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '\n')
            put_raw('\r');
        put_raw(bytes[i]);
    }
}

void serial_write(const char *bytes, size_t n)
{
    uint32_t alone = gmk_load_rlx(&speaker, GMK_DEV); /* relaxed: the others are stopped */
    uint64_t flags;

    if (!present || (alone != 0 && alone != x86_cpu_self()->index + 1))
        return;
    if (alone != 0) {
        put_all(bytes, n);
        return;
    }
    flags = x86_lock_irq(&lock);
    put_all(bytes, n);
    x86_unlock_irq(&lock, flags);
}

void serial_putc(char c) { serial_write(&c, 1); }

void serial_puts(const char *text)
{
    size_t n = 0;

    while (text[n] != '\0')
        n++;
    serial_write(text, n);
}

bool serial_data_ready(void) { return present && (x86_in8(STATUS) & STATUS_READY) != 0; }
int serial_getc(void) { return serial_data_ready() ? x86_in8(DATA) : -1; }

void serial_on_input(void (*fn)(void *), void *arg)
{
    if (!present)
        return;
    pic_route(COM1_IRQ, fn, arg);
    x86_out8(INTERRUPTS, 0x01);
}

void serial_break(void)
{
    gmk_store_rlx(&speaker, x86_cpu_self()->index + 1, GMK_DEV); /* relaxed: as above */
}
